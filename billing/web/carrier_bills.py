"""Carriers' bills: the list, one bill with its lines, all lines of all bills, allocating again, removing."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, reverse

from billing.charging.allocation import allocate_charges, waiting
from billing.charging.allocation_hand import AllocationRefused, remove_bill
from billing.charging.bill_sums import BillSums, sums_of
from billing.models import Carrier, CarrierCharge, CarrierInvoice
from billing.web.editing import find, list_actions
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import (
    SUM,
    Choice,
    Code,
    Column,
    Date,
    DateTime,
    Int,
    Money,
    Text,
    figure,
    round_for_display,
)
from resellerkpi.core.money import places
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, Panel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.tiles import Tile
from resellerkpi.ui.views import FormPage, ListPage

WHOLESALE = Capability.VIEW_WHOLESALE
State, Kind = CarrierCharge.State, CarrierCharge.Kind
AMOUNT: Any = DecimalField(max_digits=18, decimal_places=6)


class CostForm(FormPage):
    """A form about what carriers charge: for those who may see it and change the book."""

    capability = WHOLESALE
    refusals: tuple[type[Exception], ...] = (AllocationRefused,)
    also: Capability = Capability.EDIT_BOOK

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let in who may also change what the form changes."""
        scope = getattr(request, "scope", None)
        if request.user.is_authenticated and scope is not None and not scope.can(self.also):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)


class BillFilters(ScopedFilterSet):
    """Which bills to list."""

    q = SearchFilter("number", "carrier__name", label="Bill or carrier")
    carrier = ScopedChoiceFilter(Carrier, "carrier", label="Carrier")
    period = PeriodFilter("invoice_date", label="Dated")


def bill_rows() -> QuerySet[Any]:
    """Return the carriers' bills with what their lines come to."""
    lines = CarrierCharge.objects.filter(invoice=OuterRef("pk")).order_by().values("invoice")

    def summed(condition: Q) -> Coalesce:
        amount = Subquery(lines.filter(condition).annotate(s=Sum("amount")).values("s"), output_field=AMOUNT)
        return Coalesce(amount, Value(0, output_field=AMOUNT))

    counted = Subquery(lines.filter(state=State.OPEN).annotate(n=Count("pk")).values("n"))
    return CarrierInvoice.objects.annotate(
        total=summed(Q()),
        open_lines=Coalesce(counted, 0),
        open_amount=summed(Q(state=State.OPEN)),
        passed=summed(Q(charge__isnull=False)),
    ).annotate(difference=Case(When(net__isnull=False, then=F("net") - F("total"))))


BILLS: tuple[Column, ...] = (
    Code(name="number", label="Bill"),
    Text(name="carrier", source="carrier__name", url="carrier"),
    Date(name="invoice_date", label="Dated"),
    Date(name="period_start", label="Serves from"),
    Date(name="period_end", label="Until", help="The first day it no longer charges."),
    Money(name="total", total=SUM, help="The sum of its lines, before VAT."),
    Int(name="open_lines", label="Lines to allocate", total=SUM),
    Money(name="open_amount", label="To allocate", total=SUM),
    Money(name="passed", label="Passed on, at cost", total=SUM),
    Money(
        name="difference",
        help="The total the carrier states less the sum of the lines; blank when it states none.",
    ),
    Code(name="currency"),
    DateTime(name="loaded_at", label="Loaded", hidden=True),
    Text(name="file_name", label="File", hidden=True),
)


class BillList(ListPage):
    """All bills of carriers."""

    capability = WHOLESALE
    title = "Carrier bills"
    purpose = "What suppliers charge us besides calls, what it is for, and what of it customers pay."
    filterset = BillFilters
    columns = BILLS
    row_url = "carrier-bill"
    order = ("-invoice_date", "-pk")
    empty = EmptyState(
        "No carrier's bill is loaded yet. Load one to see which lines belong to no customer, and to pass charges on.",
        "Load a bill",
        "/import/carrier-charges/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the bills."""
        return bill_rows()

    def actions(self) -> Sequence[Action]:
        """Lead to the lines of all bills, to allocating again and to the import."""
        found = [Action("Lines of all bills", reverse("carrier-charge-list"))]
        if self.scope.can(Capability.EDIT_BOOK):
            found.append(Action("Allocate again", reverse("carrier-allocate")))
        return [*found, *list_actions(self.scope, "carrier-charges")]


class ChargeFilters(ScopedFilterSet):
    """Which lines of bills to list."""

    q = SearchFilter(
        "description", "reference", "product", "customer__name", "number__number", label="Words or reference"
    )
    state = OneOf("state", State.choices, label="State")
    kind = OneOf("kind", Kind.choices, label="Kind")
    passed = OneOf("passing", (("passed", "Passed on"), ("not", "Not passed on")), label="Passed on")


class AllChargeFilters(ChargeFilters):
    """Which lines of all bills to list."""

    carrier = ScopedChoiceFilter(Carrier, "invoice__carrier", label="Carrier")
    period = PeriodFilter("service_start", label="Serves from")


CHARGES: tuple[Column, ...] = (
    Text(name="description", label="Line"),
    Code(name="reference"),
    Money(name="amount", label="Cost", total=SUM, decimals=2),
    Code(name="currency", source="invoice__currency"),
    Choice(name="state", choices=State.choices),
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="number", source="number__number", url="number"),
    Text(name="feature", source="feature__feature_type__name"),
    Text(name="reason", label="Why", sortable=False),
    Money(name="asked", label="Passed on at", currency="asked_currency", help="What the customer is asked."),
    Code(name="product"),
    Choice(name="kind", choices=Kind.choices),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help="The first day no longer charged."),
    Choice(name="found", choices=CarrierCharge.Found.choices, label="How allocated", hidden=True),
    Money(name="retail", label="Suggested price", decimals=2, hidden=True),
    Int(name="line", label="Line of the file", hidden=True),
)


def charge_rows(**where: Any) -> QuerySet[Any]:
    """Return lines of bills with what customers are asked for them."""
    return CarrierCharge.objects.filter(**where).annotate(
        currency=F("invoice__currency"),
        asked=F("charge__amount"),
        asked_currency=F("charge__currency"),
        passing=Case(When(charge__isnull=True, then=Value("not")), default=Value("passed")),
    )


class ChargeList(ListPage):
    """The lines of all bills: what is still to be allocated, and where every cost went."""

    capability = WHOLESALE
    title = "Lines of carrier bills"
    purpose = "Every charge of every carrier and what it is for; show those to be allocated and say it."
    filterset = AllChargeFilters
    columns = (CHARGES[0], Code(name="bill", source="invoice__number"), *CHARGES[1:])
    row_url = "carrier-charge"
    order = ("-invoice__invoice_date", "invoice_id", "line")
    empty = BillList.empty

    def queryset(self) -> QuerySet[Any]:
        """Return the lines of all bills."""
        return charge_rows()

    def get_context(self) -> dict[str, Any]:
        """Lead back to the bills."""
        return {"back": ("Carrier bills", reverse("carrier-bill-list"))}


class BillPage(ListPage):
    """One bill: what it comes to and each of its lines."""

    capability = WHOLESALE
    template = "billing/carrier_bill.html"
    filterset = ChargeFilters
    columns = CHARGES
    row_url = "carrier-charge"
    order = ("line",)
    bill: CarrierInvoice

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Find the bill and show it."""
        self.bill = find(CarrierInvoice, self.kwargs["pk"], "carrier")
        self.sums = sums_of(self.bill)
        self.title = f"Bill {self.bill.number}"
        self.purpose = _about(self.bill)
        return super().get(request, *args, **kwargs)

    def queryset(self) -> QuerySet[Any]:
        """Return the bill's lines."""
        return charge_rows(invoice=self.bill)

    def get_context(self) -> dict[str, Any]:
        """Add the sums and the way back."""
        panels: list[Panel] = [TilesPanel(tiles(self.bill, self.sums, self.request.path))]
        return {"panels": panels, "back": ("Carrier bills", reverse("carrier-bill-list"))}

    def actions(self) -> Sequence[Action]:
        """Offer what can be done with the bill as it stands."""
        pk, found = self.bill.pk, []
        if self.scope.can(Capability.IMPORT) and not self.sums.passed_lines:
            found.append(Action("Remove", reverse("carrier-bill-remove", args=[pk])))
        if self.sums.open_lines and self.scope.can(Capability.EDIT_BOOK):
            found.append(Action("Allocate again", reverse("carrier-allocate")))
        if self.scope.can(Capability.BILL):
            if self.sums.passed_lines:
                found.append(Action("Take back", reverse("carrier-bill-take-back", args=[pk])))
            found.append(Action("Pass on", reverse("carrier-bill-pass", args=[pk]), primary=True))
        return found


def _about(bill: CarrierInvoice) -> str:
    last = bill.period_end - timedelta(days=1) if bill.period_end else None
    days = f", serves {day(bill.period_start)} to {day(last)}" if bill.period_start else ""
    return f"{bill.carrier.name}, dated {day(bill.invoice_date)}{days}."


def tiles(bill: CarrierInvoice, sums: BillSums, here: str) -> list[Tile]:
    """Return what a bill comes to as tiles that lead to its lines."""
    shown: dict[str, Any] = {"unit": bill.currency}
    open_lines = (_lines(sums.open_lines),) if sums.open_lines else ()
    nobodys = (f"{sums.nobodys_lines} nobody’s lines",) if sums.nobodys_lines else ()
    asked = " and ".join(f"for {money(amount, currency)}" for currency, amount in sums.asked.items())
    made = [
        Tile(label="Sum of the lines", value=_amount(sums.total, bill), **shown, target=_lines(sums.lines),
             url=here, definition="Before VAT: allocated, to be allocated and left out together."),
        Tile(label="Allocated", value=_amount(sums.allocated, bill), **shown, marks=nobodys,
             url=f"{here}?state=allocated", definition="What the reference, or a person, says it is for. Nobody's: "
             "the number is ours, but no customer had it in those days."),
        Tile(label="To be allocated", value=_amount(sums.open, bill), **shown, marks=open_lines,
             url=f"{here}?state=open", definition="No service, or more than one, has the reference."),
        Tile(label="Left out", value=_amount(sums.left_out, bill), **shown,
             target=_lines(sums.left_out_lines) if sums.left_out_lines else "",
             url=f"{here}?state=ignored", definition="Not for a customer; each line has its reason."),
        Tile(label="Passed on, at cost", value=_amount(sums.passed, bill), **shown, target=asked,
             url=f"{here}?passed=passed", definition="A part of what is allocated: it is on, or waits for, a "
             "customer's bill."),
    ]  # fmt: skip
    if sums.difference is not None:
        visible = round_for_display(sums.difference, places(bill.currency))
        wrong = ("does not add up",) if visible else ("rounding",) if sums.difference else ()
        stated = f"The carrier states {money(bill.net, bill.currency)}"
        made.append(
            Tile(label="Difference", value=_amount(sums.difference, bill), **shown, marks=wrong, target=stated,
                 definition="The total that the carrier states less the sum of the lines.")
        )  # fmt: skip
    return made


def _amount(value: Any, bill: CarrierInvoice) -> str:
    return figure(value, places(bill.currency))


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"


class AllocateAgain(CostForm):
    """Look again for what open charges are for, after the book has changed."""

    title = "Allocate again"
    form_class = forms.Form
    submit = "Allocate again"

    def form_kwargs(self) -> dict[str, Any]:
        """Say how many wait."""
        self.cancel_url = reverse("carrier-bill-list")
        self.back = ("Carrier bills", self.cancel_url)
        self.purpose = (
            f"{_lines(waiting().count())} wait for a service or its customer. Their references are looked for again in "
            "supplies, numbers, identities and features; what people decided stays."
        )
        return {}

    def save(self, form: Any) -> str:
        """Allocate by reference."""
        done = allocate_charges(self.reseller)
        messages.success(self.request, f"{_lines(done.allocated)} allocated, {_lines(done.open)} still open.")
        return f"{reverse('carrier-charge-list')}?state=open" if done.open else self.cancel_url


class RemoveBill(CostForm):
    """Take a carrier's bill out again."""

    form_class = forms.Form
    submit = "Remove the bill"
    also = Capability.IMPORT

    def form_kwargs(self) -> dict[str, Any]:
        """Find the bill and say what goes with it."""
        self.bill = find(CarrierInvoice, self.kwargs["pk"], "carrier")
        self.title = f"Remove bill {self.bill.number}"
        self.cancel_url = reverse("carrier-bill", args=[self.bill.pk])
        self.back = (f"Bill {self.bill.number}", self.cancel_url)
        sums = sums_of(self.bill)
        by_hand = CarrierCharge.objects.filter(invoice=self.bill).filter(
            Q(found=CarrierCharge.Found.HAND) | Q(state=State.IGNORED)
        )
        said = by_hand.count()
        self.danger = (
            f"{_lines(sums.lines)}, {money(sums.total, self.bill.currency)}, will be gone"
            f"{f', with what people said about {said} of them' if said else ''}. The file can be loaded again."
        )
        return {}

    def save(self, form: Any) -> str:
        """Remove it."""
        gone = remove_bill(self.bill)
        messages.success(self.request, f"Bill {self.bill.number} is removed with its {_lines(gone)}.")
        return reverse("carrier-bill-list")


urls: list[URLPattern] = [
    path("carriers/bills/", BillList.as_view(), name="carrier-bill-list"),
    path("carriers/bills/allocate/", AllocateAgain.as_view(), name="carrier-allocate"),
    path("carriers/bills/lines/", ChargeList.as_view(), name="carrier-charge-list"),
    path("carriers/bills/<int:pk>/", BillPage.as_view(), name="carrier-bill"),
    path("carriers/bills/<int:pk>/remove/", RemoveBill.as_view(), name="carrier-bill-remove"),
]
