"""The Payments report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import (
    Case,
    Count,
    DecimalField,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from billing.models import Allocation, Customer, LedgerEntry, Payment
from billing.receivables.bacs import ARUDD
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.fields import SeveralField
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Line
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Int, Money, Row, Text
from resellerkpi.ui.forms import DayInput

AMOUNT = DecimalField(max_digits=24, decimal_places=2)
USED, BACK = "Used", "Taken back"
REASONS = tuple((code, reason.meaning) for code, reason in ARUDD.items())
METHOD = Choice(name="method", label="Method", choices=Customer.Method.choices, help="How it was paid.")
REFERENCE = Code(name="reference", label="Reference", help="The payer's or the bank's reference.")
WHO = (
    Date(name="received_date", label="Received", help="The day the money came in."),
    Code(name="code", label="Account", help="The customer's account code."),
    Text(name="customer_name", label="Customer", url="customer"),
    METHOD,
    Code(name="currency", label="Currency"),
)
LIST = (
    *WHO,
    Int(name="payments", label="Payments", total=SUM, help="Number of payments."),
    Money(
        name="amount", label="Received", total=SUM, help="What was paid, whether it was taken back or not."
    ),
    Money(
        name="allocated",
        label="Settles invoices",
        total=SUM,
        group=USED,
        help="What of it settles invoices on the report's day.",
    ),
    Money(
        name="on_account",
        label="On account",
        total=SUM,
        group=USED,
        help="Prepayment: what stands on the report's day and settles no invoice.",
    ),
    Money(
        name="reversed",
        label="Reversed",
        total=SUM,
        group=BACK,
        help="What was taken back by the report's day, for example a failed Direct Debit.",
    ),
    Date(name="reversed_date", label="On", group=BACK, help="The day it was taken back."),
    Choice(name="reversal_code", label="Why", choices=REASONS, group=BACK, help="The bank's reason."),
    Money(name="kept", label="Kept", total=SUM, help="Received less reversed."),
    REFERENCE,
    Text(name="dealer", label="Dealer", help="The customer's dealer today."),
)
ALLOCATED = (
    *WHO,
    Money(name="amount", label="Received", help="The whole payment."),
    Code(
        name="invoice_number", label="Invoice", url="invoice", help="The invoice it settles, or a part of it."
    ),
    Date(name="invoice_date", label="Invoice date"),
    Date(name="date", label="Since", help="The day from which it settles the invoice."),
    Date(name="ended_date", label="Until", help="The day it was taken back."),
    Money(name="share", label="Allocated", total=SUM, help="What of the payment was put to the invoice."),
    REFERENCE,
)
ACCOUNTS = (
    Choice(
        name="entry",
        label="Type",
        choices=[("receipt", "Receipt"), ("reversal", "Reversal")],
        help="A reversal is a line of its own, on its own day, with a minus.",
    ),
    Code(name="code", label="Account reference", help="The customer's account code."),
    Date(name="date", label="Date"),
    REFERENCE,
    Text(name="details", label="Details", help="The customer's name."),
    METHOD,
    Code(name="currency", label="Currency"),
    Money(name="net", label="Amount", total=SUM),
)
VIEWS = [
    ("payments", "One line per payment"),
    ("allocation", "Invoice allocation"),
    ("customer", "Customer level"),
    ("customer_method", "Customer level by type"),
    ("accounts", "Accounts: receipts and reversals"),
]
LEVELS = {"customer": ["customer"], "customer_method": ["customer", "method"]}
LISTS = ("allocation", "accounts")


class Payments(Report):
    """What was paid, how, what it settles and what was taken back: one line per payment.

    Choose reversed payments to find failed Direct Debits, prepayments to find money on account, and the accounts
    output with CSV for the accounting system.
    """

    slug = "payments"
    name = "Payments"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dated = "received_date"
    keys = ("received_date", "code", "reference", "amount")
    dimensions = (
        *time_dimensions("received_date"),
        *customer_dimensions(),
        dimension("method", "Method", "method", choices=Customer.Method.choices, family="Payments"),
        dimension("reason", "Why taken back", "reversal_code", choices=REASONS, family="Payments"),
    )
    billed = Billed(date="received_date")
    columns = LIST
    charts = (
        Preset("received", Line(x="received_date", y=("amount",), title="Received over time")),
        Preset("months", Bar(x="by_month", y=("amount", "reversed"), title="Received and reversed by month")),
        Preset("methods", Bar(x="by_method", y=("kept",), title="Kept by method")),
    )

    class Filters(CustomerFilters):
        """SAFE's filters of payments."""

        view = forms.ChoiceField(required=False, label="Output", choices=VIEWS)
        reversed_from = forms.DateField(required=False, label="Reversed on or after", widget=DayInput())
        reversed_before = forms.DateField(required=False, label="Reversed before", widget=DayInput())
        paid_by = SeveralField(required=False, label="Paid by", choices=Customer.Method.choices)
        reversed = forms.ChoiceField(
            required=False,
            label="Reversed",
            choices=[("", "All"), ("yes", "Reversed"), ("no", "Not reversed")],
        )
        allocation = forms.ChoiceField(
            required=False,
            label="Allocation",
            choices=[("", "All"), ("invoice", "Invoice payment"), ("prepayment", "Prepayment")],
            help_text="A prepayment settles no invoice, or not with all of it.",
        )
        invoice_from = forms.DateField(required=False, label="Invoice date on or after", widget=DayInput())
        invoice_before = forms.DateField(required=False, label="Invoice date before", widget=DayInput())

        def defaults(self) -> dict[str, list[str]]:
            """Show one line per payment."""
            return super().defaults() | {"view": ["payments"]}

        def clean(self) -> dict[str, Any]:
            """Group as the output says; a list of allocations or entries is not grouped."""
            data = super().clean()
            view, groups = data.get("view"), data.get("group_by")
            if view in LISTS and groups:
                self.add_error("group_by", "Choose one line per payment to group; this output is a list.")
            if view in LEVELS and not groups:
                data["group_by"] = LEVELS[view]
            return data

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns of the output; only groups count their payments."""
        listed = LIST if f.groups else [c for c in LIST if c.name != "payments"]
        return {"allocation": ALLOCATED, "accounts": ACCOUNTS}.get(f.cleaned_data["view"], listed)

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return a row per payment, allocation or entry by day, or the sums of each group."""
        view = f.cleaned_data["view"]
        if view == "allocation":
            return _allocations(f)
        if view == "accounts":
            return _entries(f)
        sums = {name: f.money(name) for name in ("amount", "allocated", "on_account", "reversed", "kept")}
        found = f.priced(payments(f))
        if f.groups:
            # A sum that has a field's name hides the field from what follows, so `amount` comes last.
            last = sums.pop("amount")
            grouped = f.grouped(found).annotate(payments=Count("pk"), **{n: Sum(a) for n, a in sums.items()})
            return grouped.annotate(amount=Sum(last))
        fields = ("received_date", "method", "reversed_date", "reversal_code", "reference", *f.rate_fields)
        rows = found.order_by("received_date", "pk").values(*fields, **_names(""))
        last = {"payments": Value(1), "currency": f.money_currency}
        return rows.annotate(**{n: a for n, a in sums.items() if n != "amount"}, **last).annotate(
            amount=sums["amount"]
        )

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare what was received with the ledger's entries of the same payments, as billed."""
        name = {"accounts": "net", "allocation": ""}.get(f.cleaned_data["view"], "amount")
        if f.to_currency or not name:
            return []
        kinds = ("payment", "refill", "reversal") if name == "net" else ("payment", "refill")
        entries = LedgerEntry.objects.filter(payment__in=payments(f).values("pk"), kind__in=kinds).order_by()
        if name == "net":
            entries = entries.filter(date__lte=f.as_of)
        held = {e["currency"]: -e["sum"] for e in entries.values("currency").annotate(sum=Sum("amount"))}
        return [
            TieOut("Payments against the ledger", t["currency"], t[name], held.get(t["currency"], D(0)))
            for t in totals
        ]


def payments(f: ReportFilters) -> QuerySet[Any]:
    """Return the payments of a query with what of each is allocated, on account, reversed and kept on the day."""
    asked, period, day = f.cleaned_data, f.interval, f.as_of
    rows = Payment.objects.filter(
        f.of_customers(),  # type: ignore[attr-defined]  # of CustomerFilters
        received_date__gte=period.start,
        received_date__lt=period.end,
        received_date__lte=day,
    )
    back = Q(reversed_date__lte=day)
    rows = rows.annotate(
        allocated=_allocated(f),
        reversed=Case(When(back, then=F("amount")), default=D("0.00"), output_field=AMOUNT),
    )
    rows = rows.annotate(kept=F("amount") - F("reversed"))
    rows = rows.annotate(on_account=F("kept") - F("allocated"))
    if asked["reversed"]:
        rows = rows.filter(back) if asked["reversed"] == "yes" else rows.exclude(back)
    if asked["allocation"]:
        rows = (
            rows.filter(allocated__gt=0)
            if asked["allocation"] == "invoice"
            else rows.filter(on_account__gt=0)
        )
    wanted = {
        "method__in": asked["paid_by"],
        "reversed_date__gte": asked["reversed_from"],
        "reversed_date__lt": asked["reversed_before"],
    }
    rows = rows.filter(**{lookup: value for lookup, value in wanted.items() if value})
    invoiced = _invoiced(f)
    return rows.filter(pk__in=Allocation.objects.filter(**invoiced).values("payment")) if invoiced else rows


def _invoiced(f: ReportFilters) -> dict[str, Any]:
    """Return the conditions on the invoices that payments settle."""
    limits = {
        "invoice__invoice_date__gte": f.cleaned_data["invoice_from"],
        "invoice__invoice_date__lt": f.cleaned_data["invoice_before"],
    }
    return {lookup: value for lookup, value in limits.items() if value}


def _allocated(f: ReportFilters) -> Coalesce:
    stands = Q(ended_date__isnull=True) | Q(ended_date__gt=f.as_of)
    found = Allocation.objects.filter(stands, payment=OuterRef("pk"), date__lte=f.as_of).order_by()
    sums = found.values("payment").annotate(sum=Sum("amount")).values("sum")[:1]
    return Coalesce(Subquery(sums), Value(D("0.00")), output_field=AMOUNT)


def _names(lead: str) -> dict[str, Any]:
    """Return the fields that name the customer of a payment."""
    return {
        "code": F(f"{lead}customer__code"),
        "customer_name": F(f"{lead}customer__name"),
        "customer_name_id": F(f"{lead}customer_id"),
        "dealer": F(f"{lead}customer__dealer__name"),
    }


def _allocations(f: ReportFilters) -> QuerySet[Any]:
    """Return what each payment was put to; amounts at the rate of the day the payment came in."""
    rows = Allocation.objects.filter(payment__in=payments(f).values("pk"), date__lte=f.as_of, **_invoiced(f))
    rows = f.priced(rows.annotate(currency=F("payment__currency"), received_date=F("payment__received_date")))
    names = {
        **_names("payment__"),
        "method": F("payment__method"),
        "reference": F("payment__reference"),
        "invoice_number": F("invoice__number"),
        "invoice_number_id": F("invoice_id"),
        "invoice_date": F("invoice__invoice_date"),
    }
    found = rows.order_by("received_date", "payment", "pk")
    found = found.values("received_date", "date", "ended_date", *f.rate_fields, **names)
    return found.annotate(share=f.money("amount"), currency=f.money_currency).annotate(
        amount=f.money("payment__amount")
    )


def _entries(f: ReportFilters) -> Iterator[Row]:
    """Yield the receipts, then the reversals up to the day, as an accounting system books them."""
    found = f.priced(payments(f)).order_by("received_date", "pk")
    for entry, rows, date, sign in (
        ("receipt", found, "received_date", 1),
        ("reversal", found.filter(reversed_date__lte=f.as_of), "reversed_date", -1),
    ):
        named = rows.values(
            "method",
            "reference",
            *f.rate_fields,
            code=F("customer__code"),
            details=F("customer__name"),
            money=f.money("amount"),
            on=F(date),
        ).annotate(paid_in=f.money_currency)
        for row in named.iterator(chunk_size=2_000):
            yield {
                **row,
                "entry": entry,
                "date": row["on"],
                "net": row["money"] * sign,
                "currency": row["paid_in"],
            }
