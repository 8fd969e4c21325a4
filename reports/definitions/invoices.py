"""The Invoices report."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal as D
from typing import Any, ClassVar

from django import forms
from django.db.models import DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import (
    Allocation,
    ChargeKind,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    LedgerEntry,
)
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.filters import Params, ReportFilters
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.invoice_entries import ENTRIES, entries
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Money, Percent, Row, Text
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import current

AMOUNT = DecimalField(max_digits=24, decimal_places=2)
MARGIN = "Margin"
SETTLED, SPLIT, COSTS = "Settled", "Net by kind of charge", "Wholesale by kind of charge"
VIEWS = [
    ("invoices", "One line per invoice"),
    ("breakdown", "Mini breakdown by kind of charge"),
    ("wholesale", "Wholesale: cost by kind of charge, margin"),
    ("accounts", "Accounts: invoices and credit notes by rate of VAT"),
]
STATES = [("", "Issued and cancelled"), *((s.value, str(s.label)) for s in Invoice.State)]

WHO = (
    Code(name="number", label="Invoice", url="invoice", help="The invoice's number; drafts have none."),
    Date(name="invoice_date", label="Date", help="The day on the invoice."),
    Date(name="due_date", label="Due", help="The day by which it is to be paid."),
    Code(name="code", label="Account", help="The customer's account code."),
    Text(name="customer_name", label="Customer", url="customer"),
    Code(name="currency", label="Currency"),
)
ABOUT = (
    Text(name="dealer", label="Dealer", help="The customer's dealer today."),
    Text(
        name="manager",
        label="Account manager",
        needs=Capability.VIEW_PEOPLE,
        help="The customer's account manager today.",
    ),
    Choice(
        name="method",
        label="Payment method",
        choices=Customer.Method.choices,
        help="How the customer pays today.",
    ),
    Choice(
        name="state", label="State", choices=Invoice.State.choices, help="An issued invoice never changes."
    ),
)
BILLED = (
    Money(name="net", label="Net", total=SUM, group="Invoiced", help="Sum of the lines before VAT."),
    Money(name="vat", label="VAT", total=SUM, group="Invoiced", help="VAT per rate on the invoice's total."),
    Money(name="gross", label="Gross", total=SUM, group="Invoiced", help="Net plus VAT."),
)
PAID = (
    Money(
        name="credited",
        label="Credited",
        total=SUM,
        group=SETTLED,
        help="Settled by credit notes up to the report's day.",
    ),
    Money(
        name="paid",
        label="Paid",
        total=SUM,
        group=SETTLED,
        help="Settled by payments that stood on the report's day.",
    ),
    Money(name="unpaid", label="Unpaid", total=SUM, group=SETTLED, help="Gross less credited less paid."),
)
MADE = (
    Money(
        name="cost",
        label="Cost",
        total=SUM,
        group=MARGIN,
        needs=Capability.VIEW_WHOLESALE,
        help="What suppliers charge for the invoice's lines.",
    ),
    Money(
        name="margin",
        label="Margin",
        total=SUM,
        group=MARGIN,
        needs=Capability.VIEW_MARGIN,
        help="Net less cost.",
    ),
    Percent(
        name="margin_percent",
        label="Margin %",
        parts=("margin", "net"),
        group=MARGIN,
        needs=Capability.VIEW_MARGIN,
        help="Margin divided by net; of the totals in the total row.",
    ),
)
KINDS = tuple(
    Money(
        name=f"net_{kind.value}",
        label=str(kind.label),
        total=SUM,
        group=SPLIT,
        help=f"Net of {kind.label.lower()} lines.",
    )
    for kind in ChargeKind
)
WHOLESALE = tuple(
    Money(
        name=f"cost_{kind.value}",
        label=str(kind.label),
        total=SUM,
        group=COSTS,
        needs=Capability.VIEW_WHOLESALE,
        help=f"What suppliers charge for {kind.label.lower()} lines.",
    )
    for kind in ChargeKind
)
#: The layouts that split a figure of the lines by kind of charge.
BY_KIND = {"breakdown": "net", "wholesale": "cost"}


class InvoiceFilters(CustomerFilters):
    """Filters of customers, and of invoices by amount and state."""

    view = forms.ChoiceField(required=False, label="Layout", choices=VIEWS)
    amount = forms.DecimalField(
        required=False, label="Invoice amount at least", decimal_places=2, max_digits=14
    )
    unpaid = forms.DecimalField(
        required=False, label="Unpaid amount at least", decimal_places=2, max_digits=14
    )
    state = forms.ChoiceField(required=False, label="Invoice state", choices=STATES)
    suppress_zero = forms.BooleanField(required=False, label="Suppress zero values")

    def __init__(self, params: Params, *, reseller: Reseller, now: datetime) -> None:
        super().__init__(params, reseller=reseller, now=now)
        if not current().can(Capability.VIEW_WHOLESALE):
            layouts = [(view, label) for view, label in VIEWS if view != "wholesale"]
            self.fields["view"].choices = layouts  # type: ignore[attr-defined]  # a choice field

    def defaults(self) -> dict[str, list[str]]:
        """Show one line per invoice."""
        return super().defaults() | {"view": ["invoices"]}

    def clean(self) -> dict[str, Any]:
        """Refuse to group the accounts' list, or to fill it with drafts."""
        data = super().clean()
        if data.get("view") == "accounts" and data.get("group_by"):
            self.add_error("group_by", "Choose another layout to group; the accounts' layout is a list.")
        if data.get("view") == "accounts" and data.get("state") == Invoice.State.DRAFT:
            self.add_error("state", "Drafts are not for the accounts: they have no number yet.")
        return data


class Invoices(Report):
    """What was invoiced, to whom, and what of it is settled: one line per invoice.

    Use it after a bill run to check the round, and at any time to chase invoices over an amount. The accounts layout
    with CSV is for the accounting system; the credit notes of the period stand in it beside the invoices.
    """

    slug = "invoices"
    name = "Invoices"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dated = "invoice_date"
    keys = ("number", "document", "rate")
    moved_by: ClassVar[Mapping[str, Sequence[str]]] = {
        "paid": ("paid",),
        "credited": ("credited",),
        "unpaid": ("paid", "credited"),
        "state": ("credited", "edited"),
    }
    dimensions = (
        *time_dimensions("invoice_date"),
        *customer_dimensions(),
        dimension(
            "method",
            "Payment method",
            "customer__payment_method",
            choices=Customer.Method.choices,
            family="Customers",
        ),
    )
    billed = Billed(currency="currency", date="invoice_date")
    columns = (*WHO, *BILLED, *PAID, *MADE, *ABOUT)
    charts = (
        Preset("invoiced", Bar(x="invoice_date", y=("gross",), title="Invoiced over time")),
        Preset("unpaid", Bar(x="customer_name", y=("unpaid",), title="Unpaid by customer")),
        Preset("dealers", Bar(x="dealer", y=("net",), title="Net by dealer")),
    )

    class Filters(InvoiceFilters):
        """Filters of customers, and of invoices by amount and state."""

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns of the layout; what is split by kind stands in the place of what was settled."""
        return {
            "breakdown": (*WHO, *BILLED, *KINDS, *MADE, *ABOUT),
            "wholesale": (*WHO, BILLED[0], *WHOLESALE, *MADE, *ABOUT),
            "accounts": ENTRIES,
        }.get(f.cleaned_data["view"], self.columns)

    def rows(self, f: InvoiceFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return one row per invoice, by date and number, or the sums of each group; or the accounts' entries."""
        if f.cleaned_data["view"] == "accounts":
            return entries(f, invoices(f), credit_notes(f))
        sums = self._amounts(f)
        found = f.priced(invoices(f))
        if f.groups:
            return f.grouped(found).annotate(**{name: Sum(amount) for name, amount in sums.items()})
        names = {
            "number_id": F("pk"),
            "code": F("customer__code"),
            "customer_name": F("customer__name"),
            "customer_name_id": F("customer_id"),
            "dealer": F("customer__dealer__name"),
            "manager": F("customer__account_manager__name"),
            "method": F("customer__payment_method"),
        }
        plain = ("number", "invoice_date", "due_date", "state", *f.rate_fields)
        rows = found.order_by("invoice_date", "number", "pk").values(*plain, **names)
        return rows.annotate(currency=f.money_currency, **sums)

    def _amounts(self, f: InvoiceFilters) -> dict[str, Any]:
        """Return the amounts of a query by column; of the breakdown with net by kind of charge."""
        found = {name: f.money(name) for name in ("net", "vat", "gross", "credited", "paid", "unpaid")}
        found |= {"cost": f.money("cost", places=6), "margin": f.money("margin", places=6)}
        if field := BY_KIND.get(f.cleaned_data["view"]):
            places = 6 if field == "cost" else 2
            found |= {f"{field}_{k.value}": f.money(f"of_{k.value}", places=places) for k in ChargeKind}
        return found

    def tie_outs(
        self,
        f: InvoiceFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare net, VAT and gross with the invoices' own lines, VAT rows and ledger entries, to the penny."""
        if f.cleaned_data["view"] == "accounts":
            return [] if f.to_currency else _booked(f, totals)
        chosen = invoices(f).exclude(state=Invoice.State.DRAFT)
        ours = _by_currency(chosen, "gross")
        ledger = _by_currency(
            LedgerEntry.objects.filter(kind="invoice", invoice__in=chosen.values("pk")), "amount"
        )
        found = [TieOut("Gross against the ledger", c, ours[c], ledger.get(c, D(0))) for c in sorted(ours)]
        for name, field, lines, path in (
            ("Net against the invoice lines", "net", InvoiceLine, "net"),
            ("VAT against the VAT per rate", "vat", InvoiceVat, "vat"),
        ):
            sums = _by_currency(chosen, field)
            held = _by_currency(
                lines.objects.filter(invoice__in=chosen.values("pk")), path, "invoice__currency"
            )
            found += [TieOut(name, c, sums[c], held.get(c, D(0))) for c in sorted(sums)]
        return found


def _booked(f: InvoiceFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
    """Compare the accounts' entries with those of the ledger for the same documents."""
    of_notes = LedgerEntry.objects.filter(kind="credit_note", credit_note__in=credit_notes(f).values("pk"))
    of_invoices = LedgerEntry.objects.filter(kind="invoice", invoice__in=invoices(f).values("pk"))
    billed, back = _by_currency(of_invoices, "amount"), _by_currency(of_notes, "amount")
    ours = {total["currency"]: D(total["gross"]) for total in totals}
    return [
        TieOut("Entries against the ledger", c, ours.get(c, D(0)), billed.get(c, D(0)) + back.get(c, D(0)))
        for c in sorted({*ours, *billed, *back})
    ]


def invoices(f: InvoiceFilters) -> QuerySet[Any]:
    """Return the invoices of a query with what is credited, paid and unpaid on the report's day."""
    asked, period = f.cleaned_data, f.interval
    rows = Invoice.objects.filter(invoice_date__gte=period.start, invoice_date__lt=period.end).annotate(
        credited=_settled(f, credit_note__isnull=False), paid=_settled(f, credit_note__isnull=True)
    )
    rows = rows.annotate(unpaid=F("gross") - F("credited") - F("paid"), margin=F("net") - F("cost"))
    if field := BY_KIND.get(asked["view"]):
        rows = rows.annotate(**{f"of_{k.value}": _of_lines(k.value, field) for k in ChargeKind})
    rows = rows.filter(state=asked["state"]) if asked["state"] else rows.exclude(state=Invoice.State.DRAFT)
    limits = {"gross__gte": asked["amount"], "unpaid__gte": asked["unpaid"]}
    rows = rows.filter(
        f.of_customers(), **{path: value for path, value in limits.items() if value is not None}
    )
    return rows.exclude(gross=0) if asked["suppress_zero"] else rows


def credit_notes(f: InvoiceFilters) -> QuerySet[Any]:
    """Return the credit notes dated in the period; none when only some invoices are asked for."""
    asked, period = f.cleaned_data, f.interval
    if asked["state"] or asked["amount"] is not None or asked["unpaid"] is not None:
        return CreditNote.objects.none()
    return CreditNote.objects.filter(f.of_customers(), date__gte=period.start, date__lt=period.end)


def _settled(f: InvoiceFilters, **source: bool) -> Coalesce:
    """Sum what settles an invoice on the report's day; a reversed payment settles nothing from that day on."""
    stands = Q(ended_date__isnull=True) | Q(ended_date__gt=f.as_of)
    found = Allocation.objects.filter(stands, invoice=OuterRef("pk"), date__lte=f.as_of, **source)
    return _total(found.order_by().values("invoice").annotate(sum=Sum("amount")))


def _of_lines(kind: str, field: str) -> Coalesce:
    """Sum a figure of an invoice's lines of a kind; costs are exact to six places."""
    lines = InvoiceLine.objects.filter(invoice=OuterRef("pk"), kind=kind)
    return _total(lines.order_by().values("invoice").annotate(sum=Sum(field)))


def _total(grouped: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(grouped.values("sum")[:1]), Value(D("0.00")), output_field=AMOUNT)


def _by_currency(rows: QuerySet[Any], field: str, currency: str = "currency") -> dict[str, D]:
    return {r[currency]: r["sum"] for r in rows.order_by().values(currency).annotate(sum=Sum(field))}
