"""The Carrier transaction allocations report."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Case, Count, DecimalField, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from billing.models import Carrier, CarrierCharge, CarrierInvoice
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.fields import CodesField, SeveralField
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Stack
from resellerkpi.core.columns import (
    SUM,
    Choice,
    Code,
    Column,
    Date,
    Decimal,
    Flag,
    Int,
    Money,
    Row,
    Text,
    Words,
    figure,
)

WHOLESALE = Capability.VIEW_WHOLESALE
STATES = (
    ("unallocated", "Unallocated"),
    ("auto", "Auto-allocated"),
    ("hand", "Allocated by hand"),
    ("left_out", "Left out"),
)
State, Found = CarrierCharge.State, CarrierCharge.Found
ALLOCATION = Case(
    When(state=State.OPEN, then=Value("unallocated")),
    When(state=State.IGNORED, then=Value("left_out")),
    When(found=Found.REFERENCE, then=Value("auto")),
    default=Value("hand"),
)
AMOUNT = DecimalField(max_digits=24, decimal_places=6)
#: A line's own fields, and what it belongs to.
OWN = ("allocated", "line", "description", "reference", "product", "kind", "service_start", "service_end", "quantity",
       "reason")  # fmt: skip
NAMES = {
    "description_id": F("pk"),
    "carrier": F("invoice__carrier__name"),
    "bill": F("invoice__number"),
    "bill_id": F("invoice_id"),
    "dated": F("invoice__invoice_date"),
    "customer_name": F("customer__name"),
    "customer_name_id": F("customer_id"),
    "account": F("customer__code"),
    "number_text": F("number__number"),
    "number_text_id": F("number_id"),
    "feature_name": F("feature__feature_type__name"),
    "feature_name_id": F("feature_id"),
    "passed": Case(When(charge__isnull=True, then=Value(False)), default=Value(True)),
}
#: Filters that narrow the lines of bills beyond the period.
NARROWING = ("carrier", "bill", "show", "kind", "reference")
MOST_NOTES = 5


class AllocationFilters(CustomerFilters):
    """Filters of lines on carriers' bills."""

    default_period = "last_month"
    always = ("show",)

    show = SeveralField(required=False, label="Show", choices=STATES)
    carrier = CodesField(Carrier, required=False, label="Carriers")
    bill = forms.CharField(required=False, label="Bill", max_length=80, help_text="A part of its number.")
    kind = SeveralField(required=False, label="Kinds", choices=CarrierCharge.Kind.choices)
    reference = forms.CharField(required=False, label="Reference", max_length=80, help_text="A part of it.")

    @property
    def narrows(self) -> bool:
        """Whether anything beside the period is asked for."""
        return bool(self.of_customers()) or any(self.cleaned_data[name] for name in NARROWING)

    def lines(self) -> QuerySet[Any]:
        """Return the lines of bills dated in the period that the filters leave."""
        asked, period = self.cleaned_data, self.interval
        wanted = {
            "invoice__carrier__code__in": asked["carrier"],
            "invoice__number__icontains": asked["bill"],
            "allocated__in": asked["show"],
            "kind__in": asked["kind"],
            "reference__icontains": asked["reference"],
        }
        dated = Q(invoice__invoice_date__gte=period.start, invoice__invoice_date__lt=period.end)
        narrowed = Q(**{lookup: value for lookup, value in wanted.items() if value})
        return CarrierCharge.objects.annotate(allocated=ALLOCATION).filter(
            dated, narrowed, self.of_customers()
        )


class CarrierAllocations(Report):
    """Which lines of carriers' bills are for which customer, number and feature, and which are not allocated yet.

    Lines of bills dated in the period, those to be allocated first; each leads to the page where it is said what it is
    for. Run it when the bills of a month are in, with Show on Unallocated.
    """

    slug = "carrier-allocations"
    name = "Carrier transaction allocations"
    family = "Margin and suppliers"
    needs = WHOLESALE
    dated = "dated"
    keys = ("carrier", "bill", "line")
    billed = Billed(currency="invoice__currency", date="invoice__invoice_date")
    dimensions = (
        dimension("allocated", "Allocation", "allocated", choices=STATES),
        dimension("carrier", "Carrier", "invoice__carrier__name"),
        dimension("bill", "Bill", "invoice__number"),
        dimension("kind", "Kind", "kind", choices=CarrierCharge.Kind.choices),
        dimension("product", "Carrier product", "product"),
        *time_dimensions("invoice__invoice_date"),
        *customer_dimensions(),
    )
    columns = (
        Text(name="description", label="Line", url="carrier-charge"),
        Choice(
            name="allocated",
            label="Allocation",
            choices=STATES,
            help="Auto-allocated lines were found by their reference; lines left out cost no customer anything.",
        ),
        Text(name="carrier", label="Carrier"),
        Code(name="reference", label="Reference", help="The carrier's own name of the service."),
        Code(name="currency", label="Currency"),
        Int(name="lines", label="Lines", total=SUM),
        Money(
            name="amount", label="Cost", total=SUM, needs=WHOLESALE, help="Before VAT; credits are negative."
        ),
        Money(
            name="unallocated",
            label="Unallocated",
            total=SUM,
            needs=WHOLESALE,
            help="The cost of lines that are not allocated yet.",
        ),
        Text(
            name="customer_name", label="Customer", url="customer", help="Empty: nobody had the number then."
        ),
        Code(name="account", label="Account", help="The customer's account code."),
        Code(name="number_text", label="Number", url="number"),
        Text(name="feature_name", label="Feature", url="feature"),
        Words(name="reason", label="Why", help="Why it is not allocated, or is left out."),
        Code(name="bill", label="Bill", url="carrier-bill"),
        Date(name="dated", label="Dated", help="The day on the carrier's bill."),
        Int(name="line", label="Line of the file", hidden=True),
        Code(name="product", label="Carrier product"),
        Choice(name="kind", label="Kind", choices=CarrierCharge.Kind.choices),
        Date(name="service_start", label="From"),
        Date(name="service_end", label="Until", help="The first day no longer charged."),
        Decimal(name="quantity", label="Quantity", hidden=True),
        Money(
            name="retail",
            label="Suggested price",
            total=SUM,
            needs=WHOLESALE,
            help="What the carrier suggests to ask for it.",
        ),
        Flag(
            name="passed",
            label="Passed on",
            help="Whether the customer is charged for it as a line of its own.",
        ),
    )
    charts = (
        Preset("allocations", Bar(x="allocated", y=("amount",), title="Cost by allocation")),
        Preset("carriers", Bar(x="carrier", y=("unallocated",), title="Unallocated by carrier")),
        Preset("by-allocation", Bar(x="by_allocated", y=("amount",), title="Cost by allocation")),
        Preset("by-carrier", Bar(x="by_carrier", y=("unallocated",), title="Unallocated by carrier")),
        Preset(
            "by-month",
            Stack(x="by_month", y=("amount",), series="by_allocated", title="Cost by month and allocation"),
        ),
    )

    class Filters(AllocationFilters):
        """Filters of lines on carriers' bills."""

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns; only groups count their lines."""
        return self.columns if f.groups else [c for c in self.columns if c.name != "lines"]

    def rows(self, f: AllocationFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return the lines, those to be allocated first, or the sums of groups of them."""
        lines = f.priced(f.lines())
        cost = f.money("amount", places=6)
        waiting = Case(When(state=State.OPEN, then=cost), default=Value(D(0)), output_field=AMOUNT)
        retail = f.money("retail", places=6)
        if f.groups:
            # The sum called amount hides the field of that name from the expressions behind it: it comes last.
            sums = {
                "lines": Count("pk"),
                "unallocated": Sum(waiting),
                "retail": Sum(retail),
                "amount": Sum(cost),
            }
            return f.grouped(lines).annotate(**sums)
        first = Case(When(state=State.OPEN, then=Value(0)), default=Value(1))
        order = (first, "invoice__invoice_date", "invoice__carrier__name", "invoice_id", "line")
        found = lines.order_by(*order).values(*OWN, *f.rate_fields, **NAMES)
        amounts = {"unallocated": waiting, "retail": retail, "amount": cost}
        return found.annotate(currency=f.money_currency, lines=Value(1), **amounts)

    def tie_outs(
        self,
        f: AllocationFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare with what the carriers' bills state, as billed and when nothing narrows the lines.

        A bill that states no total counts with its lines.
        """
        if f.to_currency or f.narrows:
            return []
        books: dict[str, D] = {}
        for _, currency, stated, lines in _bills(f):
            books[currency] = books.get(currency, D(0)) + (lines if stated is None else stated)
        ours = {total["currency"]: D(total["amount"]) for total in totals}
        return [
            TieOut("Lines against what the bills state", c, ours.get(c, D(0)), books.get(c, D(0)))
            for c in sorted({*ours, *books})
        ]

    def notes(self, f: AllocationFilters) -> Sequence[tuple[str, str, bool]]:  # type: ignore[override]  # this report's form
        """Name the bills whose lines come to something else than they state."""
        off = [(n, c, stated, lines) for n, c, stated, lines in _bills(f) if stated not in (None, lines)]
        shown = [
            (
                f"Bill {number}",
                f"States {figure(stated, 2)} {code}; its lines come to {figure(lines, 2)} {code}.",
                True,
            )
            for number, code, stated, lines in off[:MOST_NOTES]
        ]
        return [] if f.narrows else shown


def _bills(f: AllocationFilters) -> Iterable[tuple[str, str, D | None, D]]:
    """Return the bills dated in the period: number, currency, the total stated before VAT, the sum of the lines."""
    period = f.interval
    bills = CarrierInvoice.objects.filter(invoice_date__gte=period.start, invoice_date__lt=period.end)
    sums = bills.annotate(lines=Coalesce(Sum("charges__amount"), Value(D(0)), output_field=AMOUNT))
    return sums.order_by("invoice_date", "number", "pk").values_list("number", "currency", "net", "lines")
