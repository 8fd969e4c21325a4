"""The Invoices report."""

from collections.abc import Mapping, Sequence
from decimal import Decimal as D
from typing import Any, ClassVar

from django import forms
from django.db.models import DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import (
    Allocation,
    ChargeKind,
    Customer,
    Dealer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    LedgerEntry,
)
from reports.currency import Billed
from reports.fields import CodesField, PersonField, SeveralField, WordsField
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Money, Percent, Text

AMOUNT = DecimalField(max_digits=24, decimal_places=2)
MARGIN = "Margin"
SETTLED, SPLIT = "Settled", "Net by kind of charge"
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


class Invoices(Report):
    """What was invoiced, to whom, and what of it is settled: one line per invoice.

    Use it after a bill run to check the round, and at any time to chase invoices over an amount.
    """

    slug = "invoices"
    name = "Invoices"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dated = "invoice_date"
    keys = ("number",)
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

    class Filters(ReportFilters):
        """SAFE's filters of invoices."""

        needs: ClassVar[Mapping[str, Capability]] = {"account_manager": Capability.VIEW_PEOPLE}

        view = forms.ChoiceField(
            required=False,
            label="Layout",
            choices=[("invoices", "One line per invoice"), ("breakdown", "Mini breakdown by kind of charge")],
        )
        method = SeveralField(required=False, label="Payment methods", choices=Customer.Method.choices)
        amount = forms.DecimalField(
            required=False, label="Invoice amount at least", decimal_places=2, max_digits=14
        )
        unpaid = forms.DecimalField(
            required=False, label="Unpaid amount at least", decimal_places=2, max_digits=14
        )
        cycle = WordsField(Customer, "billing_cycle", required=False, label="Billing cycle")
        dealer = CodesField(Dealer, required=False, label="Dealers")
        account_manager = PersonField(required=False, label="Account manager")
        customer = forms.CharField(
            required=False, label="Customer", max_length=160, help_text="Account code, or part of the name."
        )
        state = forms.ChoiceField(required=False, label="State", choices=STATES)
        suppress_zero = forms.BooleanField(required=False, label="Suppress zero values")

        def defaults(self) -> dict[str, list[str]]:
            """Show one line per invoice."""
            return super().defaults() | {"view": ["invoices"]}

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns; the breakdown splits net by kind of charge in the place of what was settled."""
        return (
            (*WHO, *BILLED, *KINDS, *MADE, *ABOUT) if f.cleaned_data["view"] == "breakdown" else self.columns
        )

    def rows(self, f: ReportFilters) -> QuerySet[Any]:
        """Return one row per invoice, by date and number, or the sums of each group."""
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

    def _amounts(self, f: ReportFilters) -> dict[str, Any]:
        """Return the amounts of a query by column; of the breakdown with net by kind of charge."""
        found = {name: f.money(name) for name in ("net", "vat", "gross", "credited", "paid", "unpaid")}
        found |= {"cost": f.money("cost", places=6), "margin": f.money("margin", places=6)}
        if f.cleaned_data["view"] == "breakdown":
            found |= {f"net_{k.value}": f.money(f"of_{k.value}") for k in ChargeKind}
        return found

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare net, VAT and gross with the invoices' own lines, VAT rows and ledger entries, to the penny."""
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


def invoices(f: ReportFilters) -> QuerySet[Any]:
    """Return the invoices of a query with what is credited, paid and unpaid on the report's day."""
    asked, period = f.cleaned_data, f.interval
    rows = Invoice.objects.filter(invoice_date__gte=period.start, invoice_date__lt=period.end).annotate(
        credited=_settled(f, credit_note__isnull=False), paid=_settled(f, credit_note__isnull=True)
    )
    rows = rows.annotate(unpaid=F("gross") - F("credited") - F("paid"), margin=F("net") - F("cost"))
    if asked["view"] == "breakdown":
        rows = rows.annotate(**{f"of_{k.value}": _net_of(k.value) for k in ChargeKind})
    rows = rows.filter(state=asked["state"]) if asked["state"] else rows.exclude(state=Invoice.State.DRAFT)
    wanted = {
        "customer__payment_method__in": asked["method"],
        "gross__gte": asked["amount"],
        "unpaid__gte": asked["unpaid"],
        "customer__billing_cycle": asked["cycle"],
        "customer__dealer__code__in": asked["dealer"],
        "customer__account_manager": asked.get("account_manager"),
    }
    rows = rows.filter(**{path: value for path, value in wanted.items() if value not in (None, "", [])})
    if asked["customer"]:
        rows = rows.filter(
            Q(customer__code=asked["customer"]) | Q(customer__name__icontains=asked["customer"])
        )
    return rows.exclude(gross=0) if asked["suppress_zero"] else rows


def _settled(f: ReportFilters, **source: bool) -> Coalesce:
    """Sum what settles an invoice on the report's day; a reversed payment settles nothing from that day on."""
    stands = Q(ended_date__isnull=True) | Q(ended_date__gt=f.as_of)
    found = Allocation.objects.filter(stands, invoice=OuterRef("pk"), date__lte=f.as_of, **source)
    return _total(found.order_by().values("invoice").annotate(sum=Sum("amount")))


def _net_of(kind: str) -> Coalesce:
    lines = InvoiceLine.objects.filter(invoice=OuterRef("pk"), kind=kind)
    return _total(lines.order_by().values("invoice").annotate(sum=Sum("net")))


def _total(grouped: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(grouped.values("sum")[:1]), Value(D("0.00")), output_field=AMOUNT)


def _by_currency(rows: QuerySet[Any], field: str, currency: str = "currency") -> dict[str, D]:
    return {r[currency]: r["sum"] for r in rows.order_by().values(currency).annotate(sum=Sum(field))}
