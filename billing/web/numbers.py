"""Numbers: the list, one number with its owners over time, and giving it to somebody."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.book import assign_tariff, end_assignment, move_number, supply_number
from billing.models import (
    Call,
    Carrier,
    Customer,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
    Tariff,
)
from billing.web.charges import waiting_panel
from billing.web.editing import BookForm, RecordForm, find, list_actions
from billing.web.lookups import FEATURES, TARIFFS, TariffField, current_on, feature_rows, tariff_rows
from billing.web.match_panel import match_panel
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, DateTime, Minutes, Money, Text
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput, Gated, ReferenceField, ScopedChoiceField, house_field
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import money
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
STATES = (("used", "In use"), ("free", "Not in use"))
RECENT = timedelta(days=92)


class NumberFilters(ScopedFilterSet):
    """Which numbers to list."""

    q = SearchFilter("number", "description", label="Number or description")
    customer = SearchFilter("customer_code", "customer_name", label="Customer")
    type = OneOf("type", Number.Type.choices, label="Type")
    use = OneOf("customer_id", STATES, label="Use", method="by_use")

    def by_use(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to numbers somebody has today, or nobody."""
        return rows.filter(customer_id__isnull=value == "free")


class NumberList(ListPage):
    """All numbers of the scope."""

    capability = Capability.VIEW_BOOK
    title = "Numbers"
    purpose = "Every line and circuit, who has it today and who supplies it."
    filterset = NumberFilters
    row_url = "number"
    order = ("number",)
    columns = (
        Code(name="number"),
        Choice(name="type", choices=Number.Type.choices),
        Text(name="description"),
        Text(name="customer", source="customer_name", url="customer"),
        Text(name="site", source="customer_site"),
        Date(name="since", source="customer_since"),
        Text(name="carrier", source="carrier_name", needs=Capability.EDIT_BOOK),
        Money(name="monthly_cost", currency="house_currency", decimals=2, needs=WHOLESALE),
    )
    empty = EmptyState("There are no numbers yet. Import your list, or add numbers on a customer's page.")

    def queryset(self) -> QuerySet[Any]:
        """Return the numbers with today's customer and carrier."""
        now = NumberAssignment.objects.filter(current_on(self.today), number=OuterRef("pk"))
        supply = Supply.objects.filter(current_on(self.today), number=OuterRef("pk"))
        return Number.objects.annotate(
            customer_id=Subquery(now.values("customer_id")[:1]),
            customer_name=Subquery(now.values("customer__name")[:1]),
            customer_code=Subquery(now.values("customer__code")[:1]),
            customer_site=Subquery(now.values("site")[:1]),
            customer_since=Subquery(now.values("start_date")[:1]),
            carrier_name=Subquery(supply.values("carrier__name")[:1]),
            house_currency=Value(self.reseller.currency),
        )

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "numbers", add_label="Add a number", add_url="number-add")


OWNERS: tuple[Column, ...] = (
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="account", source="customer__code"),
    Text(name="site"),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)
IDENTITIES: tuple[Column, ...] = (Code(name="identity", label="Name in call files"),)
SUPPLIES: tuple[Column, ...] = (
    Text(name="carrier", source="carrier__name", url="carrier"),
    Code(name="reference"),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)
CALLS: tuple[Column, ...] = (
    DateTime(name="started_at", label="Started"),
    Choice(name="service", choices=(("voice", "Voice"), ("sms", "SMS"), ("data", "Data"))),
    Code(name="dialled"),
    Text(name="destination"),
    Minutes(name="duration"),
    Choice(name="state", choices=Call.State.choices),
    Money(name="retail", label="Price", decimals=4, needs=MONEY),
    Money(name="cost", currency="cost_currency", decimals=4, needs=WHOLESALE),
    Code(name="currency", needs=MONEY),
)


class NumberPage(DetailPage):
    """One number."""

    capability = Capability.VIEW_BOOK
    model = Number

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {"back": ("Numbers", reverse("number-list")), "purpose": self.object.description}

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand, and charging whoever has it."""
        pk, actions = self.object.pk, list[Action]()
        if self.scope.can(Capability.BILL):
            held = NumberAssignment.objects.filter(current_on(self.today), number=self.object)
            for customer in held.values_list("customer", flat=True)[:1]:
                address = f"{reverse('customer-charge', args=[customer])}?number={pk}"
                actions.append(Action("Charge or credit", address))
        if not self.scope.can(Capability.EDIT_BOOK):
            return actions
        return (
            *actions,
            Action("Change details", reverse("number-edit", args=[pk])),
            Action("End its use", reverse("number-end", args=[pk])),
            Action("Give to a customer", reverse("number-assign", args=[pk]), primary=True),
        )

    def panels(self) -> list[Panel]:
        """Return what it is, whose it was and is, what it has and what it was used for."""
        mine = {"number": self.object}
        owners = NumberAssignment.objects.filter(**mine).order_by("-start_date")
        panels: list[Panel] = [self.facts()]
        if self.scope.can(Capability.EDIT_BOOK):
            identities = NumberIdentity.objects.filter(**mine).order_by("identity")
            empty = EmptyState("Call files carry it by its own digits only.")
            panels.append(TablePanel("Other names", IDENTITIES, identities, empty=empty, wide=False))
        panels.append(
            TablePanel("Customers over time", OWNERS, owners, empty=EmptyState("Nobody has had it yet."))
        )
        if self.scope.can(Capability.EDIT_BOOK):
            panels.append(self.supply())
        matched = match_panel(self.scope, self.today, search=self.object.number, **mine)
        return [
            *panels,
            self.features(),
            *([matched] if matched else []),
            self.tariffs(),
            *([waiting_panel(self.scope, number=self.object)] if self.scope.can(MONEY) else []),
            self.calls(),
        ]

    def features(self) -> TablePanel:
        """Return what goes with the line."""
        columns = [c for c in FEATURES if c.name != "number"]
        rows = feature_rows(self.today, number=self.object).order_by("-end_date", "pk")
        return TablePanel("Features", columns, rows, empty=EmptyState("No feature goes with this number."))

    def tariffs(self) -> TablePanel:
        """Return tariffs given to this number alone."""
        empty = EmptyState("No tariff of its own: its calls are priced by its customer's tariff.")
        actions = (Action("Give a tariff", reverse("number-tariff", args=[self.object.pk])),)
        may = self.scope.can(Capability.EDIT_BOOK)
        rows = tariff_rows(self.today, number=self.object)
        return TablePanel("Own tariffs", TARIFFS, rows, empty=empty, actions=actions if may else ())

    def facts(self) -> Facts:
        """Return what kind of line it is."""
        items: list[tuple[Any, ...]] = [("Type", self.object.get_type_display())]
        if self.scope.can(WHOLESALE):
            items.append(("Monthly cost", money(self.object.monthly_cost, self.reseller.currency)))
        return Facts("Line", items)

    def supply(self) -> TablePanel:
        """Return which carrier supplied it when."""
        rows = Supply.objects.filter(number=self.object).order_by("-start_date")
        action = Action("Change the carrier", reverse("number-supply", args=[self.object.pk]))
        empty = EmptyState("No carrier is named: its cost and files cannot be matched.")
        return TablePanel("Supplied by", SUPPLIES, rows, empty=empty, actions=(action,))

    def calls(self) -> TablePanel:
        """Return the latest calls of the last three months."""
        owners = NumberAssignment.objects.filter(number=self.object).values("customer_id")
        rows = Call.objects.filter(
            number=self.object, customer_id__in=owners, started_at__gte=timezone.now() - RECENT
        ).order_by("-started_at", "-id")
        empty = EmptyState("No calls in the last three months.")
        return TablePanel("Latest calls", CALLS, rows, limit=20, empty=empty)


class NumberFields(Gated, forms.ModelForm):
    """The details of a number."""

    needs = {"monthly_cost": WHOLESALE}

    class Meta:
        model = Number
        formfield_callback = house_field
        fields = ("number", "type", "description", "monthly_cost")


class NumberForm(RecordForm):
    """Add or change a number."""

    model, form_class, what = Number, NumberFields, "a number"
    list_url, detail_url = "number-list", "number"


class NumberStep(BookForm):
    """A form about one number; leads back to it."""

    def form_kwargs(self) -> dict[str, Any]:
        """Find the number of the address."""
        self.number = find(Number, self.kwargs["pk"])
        self.cancel_url = self.home()
        self.back = (str(self.number), self.home())
        return {}

    def home(self) -> str:
        """Return the address of the number's page."""
        return reverse("number", args=[self.number.pk])


class AssignFields(forms.Form):
    """Who gets the number and when."""

    customer = ReferenceField(
        Customer, by="code", what="customer with the account code", label="Account code"
    )
    on = forms.DateField(widget=DayInput(), label="From", help_text="Its use by another customer ends there.")
    site = forms.CharField(max_length=80, required=False)


class AssignNumber(NumberStep):
    """Give a number to a customer."""

    form_class = AssignFields
    title = "Give to a customer"
    submit = "Give the number"

    def save(self, form: Any) -> str:
        """Move the number."""
        row = move_number(number=self.number, **form.cleaned_data)
        return self.succeed(self.home(), f"{self.number} belongs to {row.customer}.")


class EndFields(forms.Form):
    """When a use ends."""

    on = forms.DateField(widget=DayInput(), label="Until", help_text="The first day without the number.")


class EndNumber(NumberStep):
    """End the use of a number by whoever has it."""

    form_class = EndFields
    title = "End its use"
    submit = "End the use"

    def save(self, form: Any) -> str:
        """End the open assignment."""
        rows = NumberAssignment.objects.select_related("number", "customer")
        row = rows.filter(number=self.number, end_date__isnull=True).first()
        if row is None:
            return self.succeed(self.home(), "Nobody has this number with an open end.")
        end_assignment(assignment=row, on=form.cleaned_data["on"])
        return self.succeed(self.home(), f"{row.customer} no longer has {self.number}.")


class SupplyFields(forms.Form):
    """Which carrier supplies the number, since when."""

    carrier = ScopedChoiceField(Carrier, empty_label="Choose…")
    start = forms.DateField(widget=DayInput(), label="From")
    reference = forms.CharField(max_length=80, required=False, label="Carrier's reference")


class SupplyNumber(NumberStep):
    """Say which carrier supplies a number."""

    form_class = SupplyFields
    title = "Change the carrier"
    purpose = "Past margin keeps the carrier of its day."

    def save(self, form: Any) -> str:
        """Keep the supply."""
        supply_number(number=self.number, **form.cleaned_data)
        return self.succeed(self.home(), f"{form.cleaned_data['carrier']} supplies {self.number}.")


class TariffFields(forms.Form):
    """A tariff, for which calls of the number, since when."""

    tariff = TariffField(only={"kind": Tariff.Kind.RETAIL}, empty_label="Choose…")
    call_class = forms.CharField(
        max_length=30, required=False, label="Class of calls", help_text="Leave empty for all calls."
    )
    start = forms.DateField(widget=DayInput(), label="From")


class GiveTariff(NumberStep):
    """Price a number by a tariff of its own."""

    form_class = TariffFields
    title = "Give a tariff"
    purpose = "The number's own tariff stands before its customer's; the one it had ends on the same day."
    submit = "Give the tariff"

    def save(self, form: Any) -> str:
        """Assign the tariff."""
        assign_tariff(number=self.number, **form.cleaned_data)
        return self.succeed(self.home(), f"{form.cleaned_data['tariff']} prices the calls of {self.number}.")


urls: list[URLPattern] = [
    path("numbers/", NumberList.as_view(), name="number-list"),
    path("numbers/add/", NumberForm.as_view(), name="number-add"),
    path("numbers/<int:pk>/", NumberPage.as_view(), name="number"),
    path("numbers/<int:pk>/edit/", NumberForm.as_view(), name="number-edit"),
    path("numbers/<int:pk>/assign/", AssignNumber.as_view(), name="number-assign"),
    path("numbers/<int:pk>/end/", EndNumber.as_view(), name="number-end"),
    path("numbers/<int:pk>/supply/", SupplyNumber.as_view(), name="number-supply"),
    path("numbers/<int:pk>/tariff/", GiveTariff.as_view(), name="number-tariff"),
]
