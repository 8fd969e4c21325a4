"""Carriers: who supplies calls, lines and features."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse

from billing.models import Carrier, CdrFile, Supply, Tariff
from billing.web.carrier_bills import BILLS, bill_rows
from billing.web.editing import RecordForm, list_actions
from billing.web.lookups import current_on
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, DateTime, Flag, Int, Text
from resellerkpi.ui.filters import ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import house_field
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.views import DetailPage, ListPage


class CarrierFilters(ScopedFilterSet):
    """Which carriers to list."""

    q = SearchFilter("name", "code", label="Name or code")


class CarrierList(ListPage):
    """All carriers."""

    capability = Capability.EDIT_BOOK
    title = "Carriers"
    purpose = "Who supplies calls, lines and features, and up to when their call files are here."
    filterset = CarrierFilters
    row_url = "carrier"
    order = ("name",)
    columns = (
        Text(name="name", label="Carrier"),
        Code(name="code"),
        Code(name="currency"),
        Int(name="numbers", source="n_numbers", total="sum", help="Numbers it supplies today."),
        Int(name="files", source="n_files", total="sum", help="Call files loaded from it."),
        DateTime(name="last_call_at", source="latest", label="Calls up to"),
        Flag(name="required_for_run", label="Needed to bill"),
        Code(name="country", hidden=True),
        Text(name="time_zone", hidden=True),
    )
    empty = EmptyState("There are no carriers yet. Add the supplier whose call files you load.")

    def queryset(self) -> QuerySet[Any]:
        """Return the carriers with what they supply and their latest files."""
        files = CdrFile.objects.filter(carrier=OuterRef("pk")).order_by().values("carrier")
        numbers = Supply.objects.filter(current_on(self.today), carrier=OuterRef("pk"), number__isnull=False)
        return Carrier.objects.annotate(
            n_numbers=Coalesce(
                Subquery(numbers.order_by().values("carrier").annotate(n=Count("pk")).values("n")), 0
            ),
            n_files=Coalesce(Subquery(files.annotate(n=Count("pk")).values("n")), 0),
            latest=Subquery(files.annotate(at=Max("last_call_at")).values("at")),
        )

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "carriers", add_label="Add a carrier", add_url="carrier-add")


TARIFFS: tuple[Column, ...] = (
    Text(name="name", label="Tariff"),
    Code(name="currency"),
    Date(name="superseded_on", label="Superseded"),
)
FILES: tuple[Column, ...] = (
    Text(name="name", label="File"),
    Choice(name="state", choices=CdrFile.State.choices),
    Int(name="rows"),
    DateTime(name="first_call_at", label="First call"),
    DateTime(name="last_call_at", label="Last call"),
    DateTime(name="loaded_at", label="Loaded"),
)
SUPPLIED: tuple[Column, ...] = (
    Code(name="number", source="number__number", url="number"),
    Text(name="description", source="number__description"),
    Code(name="reference"),
    Date(name="start_date", label="From"),
)


class CarrierPage(DetailPage):
    """One carrier."""

    capability = Capability.EDIT_BOOK
    model = Carrier

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {"back": ("Carriers", reverse("carrier-list")), "purpose": f"Code {self.object.code}"}

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand."""
        return (Action("Change details", reverse("carrier-edit", args=[self.object.pk])),)

    def panels(self) -> list[Panel]:
        """Return facts, wholesale tariffs, files and numbers."""
        carrier = self.object
        facts = Facts(
            "Carrier",
            [
                ("Country", carrier.country),
                ("Time zone", carrier.time_zone),
                ("Currency", carrier.currency),
                ("Dates in its files", "Day before month" if carrier.day_first else "Month before day"),
                ("Files arrive within", f"{carrier.cdr_delay_days} days"),
                ("Needed to bill", "Yes" if carrier.required_for_run else "No"),
            ],
        )
        panels: list[Panel] = [facts]
        if self.scope.can(Capability.VIEW_WHOLESALE):
            rows = Tariff.objects.filter(carrier=carrier, kind=Tariff.Kind.WHOLESALE).order_by("name")
            empty = EmptyState("No wholesale tariff: costs are taken as its files say.")
            panels.append(
                TablePanel("Wholesale tariffs", TARIFFS, rows, row_url="tariff", empty=empty, wide=False)
            )
            panels.append(self.bills())
        files = CdrFile.objects.filter(carrier=carrier).order_by("-loaded_at", "-pk")
        supplied = Supply.objects.filter(current_on(self.today), carrier=carrier, number__isnull=False)
        return [
            *panels,
            TablePanel("Latest call files", FILES, files, row_url="cdr-file", limit=12),
            TablePanel("Numbers it supplies", SUPPLIED, supplied.order_by("number__number"), limit=25),
        ]

    def bills(self) -> TablePanel:
        """Return its latest bills."""
        rows = bill_rows().filter(carrier=self.object).order_by("-invoice_date", "-pk")
        shown = [c for c in BILLS if c.name != "carrier"]
        empty = EmptyState("None of its bills is loaded: what it charges besides calls is not compared.")
        return TablePanel("Latest bills", shown, rows, row_url="carrier-bill", limit=12, empty=empty)


class CarrierFields(forms.ModelForm):
    """The details of a carrier."""

    class Meta:
        model = Carrier
        formfield_callback = house_field
        fields = (
            "code",
            "name",
            "country",
            "time_zone",
            "currency",
            "day_first",
            "cdr_delay_days",
            "strip_prefix",
            "required_for_run",
        )
        labels = {
            "day_first": "Its files write the day before the month",
            "cdr_delay_days": "Files arrive within (days)",
            "strip_prefix": "Digits its files put before an international number",
            "required_for_run": "Bills wait for its files",
        }


class CarrierForm(RecordForm):
    """Add or change a carrier."""

    model, form_class, what = Carrier, CarrierFields, "a carrier"
    list_url, detail_url = "carrier-list", "carrier"


urls: list[URLPattern] = [
    path("carriers/", CarrierList.as_view(), name="carrier-list"),
    path("carriers/add/", CarrierForm.as_view(), name="carrier-add"),
    path("carriers/<int:pk>/", CarrierPage.as_view(), name="carrier"),
    path("carriers/<int:pk>/edit/", CarrierForm.as_view(), name="carrier-edit"),
]
