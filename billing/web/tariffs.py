"""Tariffs: the list, one tariff with its bands and users, its rates."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404
from django.urls import URLPattern, path, reverse

from billing.book import set_rate
from billing.models import Tariff, TariffAssignment, TariffRate, TimeBand
from billing.web.editing import BookForm, RecordForm, list_actions
from billing.web.lookups import running
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Flag, Int, Money, Text
from resellerkpi.core.scope import Scope
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import Gated, house_field
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, percent
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def open_to(scope: Scope) -> QuerySet[Any]:
    """Return the tariffs a person may know of: wholesale ones only with that capability."""
    rows = Tariff.objects.all()
    return rows if scope.can(WHOLESALE) else rows.filter(kind=Tariff.Kind.RETAIL)


def find_open(scope: Scope, pk: int) -> Tariff:
    """Return a tariff the person may know of; raises Http404."""
    row = open_to(scope).select_related("parent", "carrier").filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


class TariffFilters(ScopedFilterSet):
    """Which tariffs to list."""

    q = SearchFilter("name", label="Name")
    kind = OneOf("kind", Tariff.Kind.choices, label="Kind")
    age = OneOf("superseded_on", (("now", "In use"), ("old", "Superseded")), label="State", method="by_age")

    def by_age(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to tariffs in use, or superseded."""
        return rows.filter(superseded_on__isnull=value == "now")


class TariffList(ListPage):
    """All tariffs the person may know of."""

    capability = Capability.VIEW_BOOK
    title = "Tariffs"
    purpose = "Price lists: what customers pay for calls and what carriers charge for them."
    filterset = TariffFilters
    row_url = "tariff"
    order = ("kind", "name")
    columns = (
        Text(name="name", label="Tariff"),
        Choice(name="kind", choices=Tariff.Kind.choices),
        Code(name="currency"),
        Int(name="rates", source="n_rates", help="Rates of its own; others are found in its parent."),
        Int(name="customers", source="n_customers", help="Customers priced by it today."),
        Text(name="parent", source="parent__name", url="tariff"),
        Text(name="carrier", source="carrier__name", url="carrier", needs=WHOLESALE),
        Flag(name="is_default", label="Default"),
        Date(name="superseded_on", label="Superseded"),
    )
    empty = EmptyState("There are no tariffs yet. Add one, then import its rates from a spreadsheet.")

    def queryset(self) -> QuerySet[Any]:
        """Return the tariffs with their counts."""
        rates = TariffRate.objects.filter(tariff=OuterRef("pk")).order_by().values("tariff")
        return open_to(self.scope).annotate(
            n_rates=Coalesce(Subquery(rates.annotate(n=Count("pk")).values("n")), 0),
            n_customers=running(TariffAssignment, self.today, "tariff"),
        )

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "tariff-assignments", add_label="Add a tariff", add_url="tariff-add")


RATES: tuple[Column, ...] = (
    Text(name="destination"),
    Code(name="key", label="Prefix or code"),
    Choice(name="service", choices=TariffRate.Service.choices),
    Text(name="call_class", label="Class"),
    Code(name="band"),
    Money(
        name="price",
        currency="tariff__currency",
        decimals=5,
        needs=MONEY,
        help="A minute, message or data unit.",
    ),
    Money(name="connection_fee", currency="tariff__currency", decimals=4, needs=MONEY),
    Money(name="minimum_charge", currency="tariff__currency", decimals=4, needs=MONEY, hidden=True),
    Money(name="maximum_charge", currency="tariff__currency", decimals=4, needs=MONEY, hidden=True),
    Int(name="initial_increment", label="First", group="Increment (s)"),
    Int(name="next_increment", label="Then", group="Increment (s)"),
    Int(name="free_seconds", label="Free seconds", hidden=True),
    Date(name="valid_from", label="From"),
    Date(name="valid_to", label="Until"),
)
USERS: tuple[Column, ...] = (
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="number", source="number__number", url="number"),
    Text(name="call_class", label="Class of calls"),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until"),
)


class TariffPage(DetailPage):
    """One tariff."""

    capability = Capability.VIEW_BOOK

    def get_object(self) -> Tariff:
        """Return the tariff of the address if the person may know of it."""
        return find_open(self.scope, self.kwargs["pk"])

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {"back": ("Tariffs", reverse("tariff-list")), "purpose": self.object.get_kind_display()}

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        pk = self.object.pk
        return (
            Action("Change details", reverse("tariff-edit", args=[pk])),
            Action("Add a rate", reverse("rate-add", args=[pk])),
        )

    def panels(self) -> list[Panel]:
        """Return how it prices, its bands, its first rates and who is on it."""
        tariff = self.object
        bands = TimeBand.objects.filter(tariff=tariff).order_by("-priority", "pk")
        rates = TariffRate.objects.filter(tariff=tariff).order_by("destination", "key", "band", "valid_from")
        users = TariffAssignment.objects.filter(tariff=tariff).order_by("-end_date", "customer__name")
        more = reverse("tariff-rates", args=[tariff.pk])
        empty = EmptyState("No customer or number is on this tariff.")
        return [
            Facts("Pricing", pricing(tariff, self.scope)),
            HtmlPanel(
                "billing/_bands.html", {"bands": [band_words(b) for b in bands]}, "Time bands", wide=False
            ),
            TablePanel(
                "Rates", RATES, rates, limit=20, more_url=more, empty=EmptyState("It has no rates yet.")
            ),
            TablePanel("Who is on it", USERS, users, limit=25, empty=empty),
        ]


def pricing(tariff: Tariff, scope: Scope) -> list[tuple[Any, ...]]:
    """Return how a tariff prices, as labels and values; carrier and markup only for those who may see them."""
    parent = reverse("tariff", args=[tariff.parent_id]) if tariff.parent_id else ""
    unit = f"{tariff.data_unit_mb.normalize():f} MB"
    markup = percent(tariff.markup_percent / 100, 2) if tariff.markup_percent is not None else ""
    shown = f"Cost plus {markup}" if scope.can(Capability.VIEW_MARGIN) else "Cost plus a markup"
    return [
        ("Currency", tariff.currency),
        ("Default", "Yes" if tariff.is_default else "No"),
        ("Looks further in", tariff.parent or "", parent),
        ("Carrier", (tariff.carrier or "") if scope.can(WHOLESALE) else ""),
        ("Price of a call", f"{tariff.places} places, rounded {tariff.get_rounding_display().lower()}"),
        ("Crossing a band", tariff.get_band_rule_display()),
        ("Time zone", tariff.time_zone),
        ("Data", f"Per {unit}, {'summed per month' if tariff.data_per_period else 'each session'}"),
        ("Without a rate", shown if markup else "An error to repair"),
        ("Superseded", day(tariff.superseded_on)),
    ]


def band_words(band: TimeBand) -> dict[str, str]:
    """Return a time band in words."""
    days = [name for bit, name in enumerate(DAYS) if band.weekdays >> bit & 1]
    start, end = (f"{m // 60:02d}:{m % 60:02d}" for m in (band.start_minute, band.end_minute))
    when = "Every day" if len(days) == 7 else ", ".join(days)
    return {
        "code": band.code,
        "days": when + (", bank holidays" if band.on_holidays else ""),
        "hours": f"{start}–{end}",
    }


class RateFilters(ScopedFilterSet):
    """Which rates to list."""

    q = SearchFilter("destination", "key", label="Destination, prefix or code")
    service = OneOf("service", TariffRate.Service.choices, label="Service")
    age = OneOf("valid_to", (("now", "In force"), ("old", "Ended")), label="State", method="by_age")

    def by_age(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to rates with an open end, or ended ones."""
        return rows.filter(valid_to__isnull=value == "now")


class RateList(ListPage):
    """All rates of one tariff."""

    capability = Capability.VIEW_BOOK
    filterset = RateFilters
    order = ("destination", "key", "band", "valid_from")
    columns = RATES
    max_export = 100_000
    empty = EmptyState("This tariff has no rates yet.")

    def queryset(self) -> QuerySet[Any]:
        """Return the rates of the tariff of the address."""
        tariff = find_open(self.scope, self.kwargs["pk"])
        self.title, self.back = f"Rates of {tariff}", (tariff.name, reverse("tariff", args=[tariff.pk]))
        self.purpose = f"Prices in {tariff.currency}"
        return TariffRate.objects.filter(tariff=tariff)


class TariffFields(Gated, forms.ModelForm):
    """How a tariff prices."""

    needs = {"carrier": WHOLESALE, "kind": WHOLESALE, "markup_percent": Capability.VIEW_MARGIN}

    class Meta:
        model = Tariff
        formfield_callback = house_field
        fields = (
            "name",
            "kind",
            "currency",
            "parent",
            "carrier",
            "is_default",
            "places",
            "rounding",
            "band_rule",
            "charge_unanswered",
            "fee_inside_allowance",
            "data_unit_mb",
            "data_per_period",
            "markup_percent",
            "superseded_on",
        )
        labels = {
            "parent": "Looks further in",
            "is_default": "Prices customers without a tariff",
            "places": "Decimal places of a call's price",
            "band_rule": "A call that crosses a band",
            "charge_unanswered": "Unanswered calls are charged",
            "fee_inside_allowance": "Connection fee also inside an allowance",
            "data_unit_mb": "Data unit (MB)",
            "data_per_period": "Data is summed per month, then rounded up",
            "markup_percent": "Without a rate: cost plus (%)",
        }


class TariffForm(RecordForm):
    """Add or change a tariff."""

    model, form_class, what = Tariff, TariffFields, "a tariff"
    list_url, detail_url = "tariff-list", "tariff"

    def instance(self) -> Tariff:
        """Return the tariff of the address if the person may know of it."""
        return find_open(self.scope, self.kwargs["pk"]) if "pk" in self.kwargs else Tariff()


class RateFields(Gated, forms.ModelForm):
    """One rate."""

    needs = {"price": MONEY, "connection_fee": MONEY, "minimum_charge": MONEY, "maximum_charge": MONEY}

    class Meta:
        model = TariffRate
        formfield_callback = house_field
        fields = (
            "service",
            "key_kind",
            "key",
            "destination",
            "call_class",
            "band",
            "price",
            "connection_fee",
            "minimum_charge",
            "maximum_charge",
            "initial_increment",
            "next_increment",
            "free_seconds",
            "valid_from",
        )
        labels = {
            "key_kind": "Found by",
            "key": "Prefix or code",
            "call_class": "Class of calls",
            "band": "Time band",
            "initial_increment": "First increment (seconds)",
            "next_increment": "Further increments (seconds)",
            "valid_from": "From",
        }
        help_texts = {
            "price": "A minute, a message or a data unit.",
            "key": "Digits with country code, no +.",
        }


class AddRate(BookForm):
    """Add a rate; the one it replaces ends on the same day."""

    form_class = RateFields
    title = "Add a rate"
    purpose = "The rate with the same key and band before it ends on its first day."
    submit = "Add the rate"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the tariff of the address."""
        self.tariff = find_open(self.scope, self.kwargs["pk"])
        self.cancel_url = reverse("tariff", args=[self.tariff.pk])
        self.back = (self.tariff.name, self.cancel_url)
        return {"instance": TariffRate(tariff=self.tariff)}

    def save(self, form: Any) -> str:
        """Keep the rate."""
        row = set_rate(form.save(commit=False))
        return self.succeed(self.cancel_url, f"The rate for {row.destination or row.key} is saved.")


urls: list[URLPattern] = [
    path("tariffs/", TariffList.as_view(), name="tariff-list"),
    path("tariffs/add/", TariffForm.as_view(), name="tariff-add"),
    path("tariffs/<int:pk>/", TariffPage.as_view(), name="tariff"),
    path("tariffs/<int:pk>/edit/", TariffForm.as_view(), name="tariff-edit"),
    path("tariffs/<int:pk>/rates/", RateList.as_view(), name="tariff-rates"),
    path("tariffs/<int:pk>/rates/add/", AddRate.as_view(), name="rate-add"),
]
