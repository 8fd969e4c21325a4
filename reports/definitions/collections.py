"""The Collections report."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Count, DecimalField, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import Customer, Payment, PaymentAttempt
from billing.receivables.bacs import ARUDD
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.fields import SeveralField
from reports.filters import ReportFilters
from reports.grouping import Dimension, customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Int, Money, Percent, Row

AMOUNT = DecimalField(max_digits=24, decimal_places=2)
Outcome = PaymentAttempt.Outcome
FIRST, ALL, VALUE = "First time", "All tries", "By value"
PAID, FAILED, CANCELLED = (Q(outcome=o) for o in (Outcome.PAID, Outcome.FAILED, Outcome.CANCELLED))
ENDED, ONCE = PAID | FAILED, Q(presentation=1)
MEANINGS = tuple((code, reason.meaning) for code, reason in ARUDD.items())
ACTIONS = tuple((code, reason.action) for code, reason in ARUDD.items())
REASON = Dimension(
    slug="reason",
    label="Reason of failure",
    columns=(
        Code(name="by_reason", label="Code", help="The code the bank returned; none for what was paid."),
        Choice(name="by_meaning", label="Reason", choices=MEANINGS, help="What the code means."),
        Choice(name="by_action", label="What to do", choices=ACTIONS, help="What to do about it."),
    ),
    lookups={"by_reason": "reason_code", "by_meaning": "reason_code", "by_action": "reason_code"},
    family="Collections",
)
COUNTS = {
    "first_tries": ENDED & ONCE,
    "first_paid": PAID & ONCE,
    "tries": ENDED,
    "paid": PAID,
    "failed": FAILED,
    "cancelled": CANCELLED,
}
AMOUNTS = {"presented": ENDED, "collected": PAID, "returned": FAILED}


class Collections(Report):
    """How many collections succeed at the first try, which fail and why: one line per month and method.

    A collection counts on the day its outcome was known. Pending ones and those cancelled by us are neither paid nor
    failed; a payment reversed later was still paid. Test accounts are left out.
    """

    slug = "collections"
    name = "Collections"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *time_dimensions("outcome_date"),
        dimension("method", "Method", "method", choices=Customer.Method.choices, family="Collections"),
        dimension(
            "attempt", "Try", "presentation", help="1 is the first presentation.", family="Collections"
        ),
        REASON,
        *customer_dimensions(),
    )
    default_groups = ("month", "method")
    billed = Billed(date="outcome_date")
    columns = (
        Int(
            name="first_tries",
            label="Tries",
            total=SUM,
            group=FIRST,
            help="First presentations paid or failed.",
        ),
        Int(name="first_paid", label="Paid", total=SUM, group=FIRST, help="First presentations paid."),
        Percent(
            name="first_success",
            label="Success",
            parts=("first_paid", "first_tries"),
            group=FIRST,
            help="First presentations paid divided by those paid or failed.",
        ),
        Int(
            name="tries",
            label="Tries",
            total=SUM,
            group=ALL,
            help="Presentations paid or failed, whichever try.",
        ),
        Int(name="paid", label="Paid", total=SUM, group=ALL, help="Presentations paid."),
        Int(name="failed", label="Failed", total=SUM, group=ALL, help="Presentations that failed."),
        Percent(
            name="success",
            label="Success",
            parts=("paid", "tries"),
            group=ALL,
            help="Presentations paid divided by those paid or failed.",
        ),
        Int(
            name="cancelled",
            label="Cancelled",
            total=SUM,
            group=ALL,
            help="Cancelled by us; on neither side.",
        ),
        Money(name="presented", label="Presented", total=SUM, group=VALUE, help="Amount paid or failed."),
        Money(name="collected", label="Collected", total=SUM, group=VALUE, help="Amount paid."),
        Money(name="returned", label="Failed", total=SUM, group=VALUE, help="Amount that failed."),
        Percent(
            name="value_success",
            label="Success",
            parts=("collected", "presented"),
            group=VALUE,
            help="Amount paid divided by the amount paid or failed.",
        ),
    )
    charts = (
        Preset(
            "first", Bar(x="by_month", y=("first_tries", "first_paid"), title="First tries and those paid")
        ),
        Preset(
            "months", Bar(x="by_month", y=("collected", "returned"), title="Collected and failed by month")
        ),
        Preset("methods", Bar(x="by_method", y=("first_tries", "first_paid"), title="First tries by method")),
        Preset("tries", Bar(x="by_attempt", y=("tries", "paid"), title="Tries and those paid, by try")),
        Preset("reasons", Bar(x="by_meaning", y=("failed",), title="Failures by reason")),
    )

    class Filters(CustomerFilters):
        """Filters of collections: how they were made, how they ended, why they failed."""

        default_period = "last_12_months"
        collected_by = SeveralField(required=False, label="Collected by", choices=Customer.Method.choices)
        outcome = SeveralField(
            required=False,
            label="Outcome",
            choices=[(o.value, str(o.label)) for o in (Outcome.PAID, Outcome.FAILED, Outcome.CANCELLED)],
        )
        reason = SeveralField(required=False, label="Reason of failure", choices=MEANINGS)
        attempt = forms.IntegerField(required=False, label="Try", min_value=1, max_value=32_767)

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the counts and amounts of each group."""
        counts = {name: Count("pk", filter=only) for name, only in COUNTS.items()}
        amounts = {name: _sum(f.money("amount"), only) for name, only in AMOUNTS.items()}
        return f.grouped(f.priced(attempts(f))).annotate(**counts, **amounts)

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare what was collected with the payments it became, as billed."""
        if f.to_currency:
            return []
        paid = attempts(f).filter(PAID, payment__isnull=False)
        held = Payment.objects.filter(pk__in=paid.values("payment")).order_by()
        sums = {p["currency"]: p["sum"] for p in held.values("currency").annotate(sum=Sum("amount"))}
        return [
            TieOut(
                "Collected against the payments", t["currency"], t["collected"], sums.get(t["currency"], D(0))
            )
            for t in totals
        ]


def attempts(f: ReportFilters) -> QuerySet[Any]:
    """Return the collections of a query whose outcome was known in its interval, by the end of the report's day."""
    asked, period = f.cleaned_data, f.interval
    rows = PaymentAttempt.objects.filter(
        f.of_customers(),  # type: ignore[attr-defined]  # of CustomerFilters
        outcome_date__gte=period.start,
        outcome_date__lt=period.end,
        outcome_date__lte=f.as_of,
        customer__is_test=False,
    )
    wanted = {
        "method__in": asked["collected_by"],
        "outcome__in": asked["outcome"],
        "reason_code__in": asked["reason"],
        "presentation": asked["attempt"],
    }
    return rows.filter(**{lookup: value for lookup, value in wanted.items() if value})


def _sum(amount: Any, only: Q) -> Coalesce:
    return Coalesce(Sum(amount, filter=only), Value(D("0.00")), output_field=AMOUNT)
