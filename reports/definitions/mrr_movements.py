"""The MRR movements report."""

from collections.abc import Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Count, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from kpis.models import FeatureFact, MovementFact
from reports.customers import CustomerFilters
from reports.grouping import customer_dimensions, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Line, Stack
from resellerkpi.core.columns import SUM, Int, Money
from resellerkpi.core.periods import add_months

STANDS, MOVES, PEOPLE = "Recurring revenue", "Movements", "Customers"
HOME = "home"
ZERO = Value(D(0))
#: A customer's MRR at the close before, the same at the close in the rates of before, and at the close.
FIELDS = {"": ("mrr_past", "mrr", "mrr"), HOME: ("home_past", "home_same", "home")}


class MrrMovements(Report):
    """What moved monthly recurring revenue: new, more, less, lost and back, from opening to closing.

    Group by customer to see who stands behind a movement. One movement per customer, currency and month: what a
    customer adds and drops within a month is one difference.
    """

    slug = "mrr-movements"
    name = "MRR movements"
    family = "Recurring revenue"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *time_dimensions("month", grains=("year", "quarter", "month")),
        *customer_dimensions(),
    )
    default_groups = ("month",)
    columns = (
        Money(
            name="opening",
            label="Opening",
            level=True,
            group=STANDS,
            help="MRR at the close before the first month of the row.",
        ),
        Money(
            name="new",
            label="New",
            total=SUM,
            group=MOVES,
            help="MRR of customers that never had any at an earlier close.",
        ),
        Money(
            name="back",
            label="Reactivation",
            total=SUM,
            group=MOVES,
            help="MRR of customers that had none at the close before, but some earlier.",
        ),
        Money(
            name="more",
            label="Expansion",
            total=SUM,
            group=MOVES,
            help="By how much customers that stayed grew: more features, higher prices, discounts that ended.",
        ),
        Money(
            name="less",
            label="Contraction",
            total=SUM,
            group=MOVES,
            help="By how much customers that stayed shrank.",
        ),
        Money(
            name="gone",
            label="Churn",
            total=SUM,
            group=MOVES,
            help="MRR of customers that have none any more.",
        ),
        Money(
            name="fx",
            label="Exchange rates",
            total=SUM,
            group=MOVES,
            help="What rates of exchange did to unchanged services; only in the house's own currency.",
        ),
        Money(
            name="net",
            label="Net change",
            total=SUM,
            group=MOVES,
            help="The movements together: closing less opening.",
        ),
        Money(
            name="closing",
            label="Closing",
            level=True,
            group=STANDS,
            help="MRR at the close of the last month of the row; of the open month, today.",
        ),
        Int(
            name="won",
            label="Won or back",
            total=SUM,
            group=PEOPLE,
            help="Customers with MRR that had none a month earlier.",
        ),
        Int(
            name="lost",
            label="Lost",
            total=SUM,
            group=PEOPLE,
            help="Customers with no MRR that had some a month earlier.",
        ),
    )
    charts = (
        Preset(
            "movements",
            Stack(x="by_month", y=("new", "back", "more", "less", "gone"), title="Movements by month"),
            grain="month",
        ),
        Preset("closing", Line(x="by_month", y=("closing",), title="Closing MRR by month"), grain="month"),
        Preset("customers", Bar(x="by_customer", y=("net",), title="Net change by customer")),
        Preset("segments", Bar(x="by_segment", y=("net",), title="Net change by segment")),
    )

    class Filters(CustomerFilters):
        """Filters of customers, and the currency of what is shown."""

        default_period = "last_12_months"
        shown_in = forms.ChoiceField(
            required=False,
            label="Amounts",
            choices=[("", "As billed"), (HOME, "In our own currency, with the impact of exchange rates")],
        )

    def rows(self, f: CustomerFilters) -> QuerySet[Any]:  # type: ignore[override]  # the form is this report's own
        """Return the movements of each group; opening and closing are of the first and last month of its time."""
        was, same, now = FIELDS[f.cleaned_data["shown_in"]]
        rows = f.grouped(_facts(f))
        home = Value(f.reseller.currency) if f.cleaned_data["shown_in"] else F("currency")
        stayed = Q(mrr_past__gt=0, mrr__gt=0)
        first, last = _ends(f)
        parts = {
            "opening": Sum(was, filter=first, default=D(0)),
            "new": _sum(Q(mrr_past=0, seen_before=False), F(now)),
            "back": _sum(Q(mrr_past=0, seen_before=True), F(now)),
            "more": _sum(stayed & Q(**{f"{same}__gt": F(was)}), F(same) - F(was)),
            "less": _sum(stayed & Q(**{f"{same}__lt": F(was)}), F(same) - F(was)),
            "gone": _sum(Q(mrr=0), -F(was)),
            "fx": _sum(stayed, F(now) - F(same)),
            "closing": Sum(now, filter=last, default=D(0)),
            "won": Count("pk", filter=Q(mrr_past=0)),
            "lost": Count("pk", filter=Q(mrr=0)),
        }
        order = (*rows.query.order_by, "currency")
        rows = rows.annotate(currency=home).annotate(**parts).order_by(*order)
        return rows.annotate(net=F("new") + F("back") + F("more") + F("less") + F("gone") + F("fx"))

    def tie_outs(
        self,
        f: CustomerFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Check opening + movements = closing and, as billed, that the closing is the price of what is in force."""
        was, _, now = FIELDS[f.cleaned_data["shown_in"]]
        facts, home = _facts(f), f.reseller.currency if f.cleaned_data["shown_in"] else ""
        months = facts.order_by().values_list("month", flat=True)
        first, last = months.order_by("month").first(), months.order_by("-month").first()
        opening = _by_currency(facts.filter(month=first), was, home)
        closing = _by_currency(facts.filter(month=last), now, home)
        moved = {total["currency"]: total["net"] for total in totals}
        found = [
            TieOut(
                "Opening and movements against the closing",
                c,
                opening.get(c, D(0)) + D(moved[c]),
                closing.get(c, D(0)),
            )
            for c in sorted(moved)
        ]
        if home:
            return found
        held = FeatureFact.objects.filter(f.of_customers(), month=last)
        features = _by_currency(held, "mrr", "")
        return found + [
            TieOut("Closing against the features in force", c, closing.get(c, D(0)), features.get(c, D(0)))
            for c in sorted(moved)
        ]


def _sum(only: Q, amount: Any) -> Any:
    return Coalesce(Sum(amount, filter=only), ZERO)


def _facts(f: CustomerFilters) -> QuerySet[Any]:
    """Return what moved in the months of the interval; in own currency only what has its rates."""
    period = f.interval
    rows = MovementFact.objects.filter(
        f.of_customers(), month__gte=period.start.replace(day=1), month__lt=period.end
    )
    if not f.cleaned_data["shown_in"]:
        return rows
    return rows.filter(Q(mrr_past=0) | Q(home_past__isnull=False), Q(mrr=0) | Q(home__isnull=False))


def _ends(f: CustomerFilters) -> tuple[Q, Q]:
    """Return the conditions on a fact of the first and of the last month of its row: of its time bucket, if any."""
    period = f.interval
    first = period.start.replace(day=1)
    final = add_months(period.end.replace(day=1), 0 if period.end.day > 1 else -1)
    final = min(final, f.as_of.replace(day=1))
    months = []
    month = first
    while month <= final:
        months.append(month)
        month = add_months(month, 1)
    finest = next((g for g in ("month", "quarter", "year") if any(d.slug == g for d in f.groups)), "")
    size = {"month": 1, "quarter": 3, "year": 12, "": 10_000}[finest]
    opens = [m for m in months if m == first or (m.month - 1) % size == 0]
    closes = [m for m in months if m == final or m.month % size == 0]
    return Q(month__in=opens), Q(month__in=closes)


def _by_currency(rows: QuerySet[Any], field: str, home: str) -> dict[str, D]:
    if home:
        return {home: rows.aggregate(sum=Sum(field, default=D(0)))["sum"]}
    return {r["currency"]: r["sum"] for r in rows.order_by().values("currency").annotate(sum=Sum(field))}
