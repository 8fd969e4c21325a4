"""Rates: the list of one tariff, adding one, changing one from a day on, ending one."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Count, F, Q, QuerySet, Value
from django.http import Http404
from django.urls import URLPattern, path, reverse

from billing.book import BookRefused, keep
from billing.models import TariffRate, TimeBand
from billing.tariffs import check_rate, end_rate, line_of, put_rate
from billing.web.editing import BookForm
from billing.web.lookups import find_tariff
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Int, Money, Text
from resellerkpi.core.columns import day as day_words
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput, Gated, house_field
from resellerkpi.ui.panels import Action, EmptyState
from resellerkpi.ui.views import ListPage

MONEY = Capability.VIEW_MONEY
PREFIX_MARKS = re.compile(r"[\s+().-]")
SERVICE_CHARGE = ((True, "Service charge"), (False, ""))
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
    Choice(
        name="is_service_charge",
        label="Kind",
        choices=SERVICE_CHARGE,
        help="To a service charge comes the access charge of the customer's tariff.",
    ),
    Money(name="connection_fee", currency="tariff__currency", decimals=4, needs=MONEY),
    Money(name="minimum_charge", currency="tariff__currency", decimals=4, needs=MONEY, hidden=True),
    Money(name="maximum_charge", currency="tariff__currency", decimals=4, needs=MONEY, hidden=True),
    Int(name="initial_increment", label="First", group="Increment (s)"),
    Int(name="next_increment", label="Then", group="Increment (s)"),
    Int(name="free_seconds", label="Free seconds", hidden=True),
    Date(name="valid_from", label="From"),
    Date(name="valid_to", label="Until", help="The first day without it."),
    Text(
        name="change",
        source="change_label",
        label="Change",
        url="rate-change",
        needs=Capability.EDIT_BOOK,
        sortable=False,
    ),
)


def rate_rows(tariff: Any) -> QuerySet[Any]:
    """Return a tariff's own rates, each with the way to change it."""
    return TariffRate.objects.filter(tariff=tariff).annotate(change_label=Value("Change"), change_id=F("pk"))


def telling(columns: Sequence[Column], rates: QuerySet[Any]) -> list[Column]:
    """Leave out the columns in which no rate of a tariff says anything, so that the others fit."""
    empty = {
        "band": Q(band=""),
        "call_class": Q(call_class=""),
        "is_service_charge": Q(is_service_charge=False),
    }
    empty |= {"valid_to": Q(valid_to__isnull=True), "connection_fee": Q(connection_fee=0)}
    said = rates.order_by().aggregate(**{name: Count("pk", filter=~none) for name, none in empty.items()})
    return [column for column in columns if said.get(column.name, 1)]


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
        tariff = find_tariff(self.scope, self.kwargs["pk"])
        self.title, self.back = f"Rates of {tariff}", (tariff.name, reverse("tariff", args=[tariff.pk]))
        self.purpose = f"Prices in {tariff.currency}"
        return rate_rows(tariff)


class RateFields(Gated, forms.ModelForm):
    """One rate."""

    needs = {"price": MONEY, "connection_fee": MONEY, "minimum_charge": MONEY, "maximum_charge": MONEY}
    groups = (
        ("Which calls", ("service", "key_kind", "key", "band", "destination", "call_class")),
        ("Price", ("price", "is_service_charge", "connection_fee", "minimum_charge", "maximum_charge")),
        ("How seconds count", ("initial_increment", "next_increment", "free_seconds")),
        ("Since when", ("valid_from",)),
    )

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
            "is_service_charge",
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
            "is_service_charge": "The price is the service charge of the called provider (UK 084, 087, 09, 118)",
            "connection_fee": "Fee per call",
            "maximum_charge": "Maximum charge",
            "initial_increment": "First increment (seconds)",
            "next_increment": "Further increments (seconds)",
            "valid_from": "From",
        }
        help_texts = {
            "price": "A minute, a message or a data unit.",
            "key": "Digits with country code, such as 4477. Empty serves every destination.",
            "call_class": "Such as mobile or premium: own tariffs and markups may go by it.",
            "band": "The name of a time band of the tariff; empty is any time.",
            "is_service_charge": "The access charge of the customer's own tariff is added to each minute.",
            "valid_from": "The rate with the same key and band before it ends there.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        short_decimals(self)

    def clean_key(self) -> str:
        """Return a prefix as digits, whatever stands between them; a code as it is. Other signs are refused."""
        key: str = self.cleaned_data["key"].strip()
        if self.cleaned_data.get("key_kind") != TariffRate.KeyKind.PREFIX:
            return key
        digits = PREFIX_MARKS.sub("", key)
        if digits and not (digits.isascii() and digits.isdigit()):
            raise forms.ValidationError("A prefix has digits only, with the country code: such as 4477.")
        return digits

    def clean_band(self) -> str:
        """Return the time band; on a retail tariff one that it or a tariff it looks further in has."""
        band: str = self.cleaned_data["band"].strip()
        tariff = self.instance.tariff
        if band and tariff.kind == tariff.Kind.RETAIL:
            codes = set(TimeBand.objects.filter(tariff__in=line_of(tariff)).values_list("code", flat=True))
            if band not in codes:
                known = (
                    f"It has: {', '.join(sorted(codes))}." if codes else "It has none: add the band first."
                )
                raise forms.ValidationError(f"The tariff has no time band “{band}”. {known}")
        return band


def short_decimals(form: Any) -> None:
    """Show decimals without the zeros that say nothing."""
    for name, value in form.initial.items():
        if isinstance(value, Decimal):
            form.initial[name] = f"{value.normalize():f}"


class RateStep(BookForm):
    """A form about the rates of a tariff; leads back to the tariff."""

    def lead_back(self, tariff: Any) -> None:
        """Set the ways back to the tariff."""
        self.tariff = tariff
        self.cancel_url = reverse("tariff", args=[tariff.pk])
        self.back = (tariff.name, self.cancel_url)

    def put(self, row: TariffRate) -> str:
        """Put a rate in force and say what that means for calls already priced."""
        concerned = put_rate(row, self.reseller)
        words = f"The rate for {named(row)} is saved."
        if concerned:
            words += (
                f" {concerned:,} calls since {day_words(row.valid_from)} were priced by the rate before;"
                " they keep their price until they are rated again."
            )
        return self.succeed(self.cancel_url, words)


def named(rate: TariffRate) -> str:
    """Return how people call a rate."""
    return rate.destination or rate.key or "every destination"


class AddRate(RateStep):
    """Add a rate; the one it replaces ends on the same day."""

    form_class = RateFields
    title = "Add a rate"
    purpose = "The rate with the same key and band before it ends on its first day."
    submit = "Add the rate"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the tariff of the address."""
        self.lead_back(find_tariff(self.scope, self.kwargs["pk"]))
        return {"instance": TariffRate(tariff=self.tariff)}

    def save(self, form: Any) -> str:
        """Keep the rate."""
        return self.put(form.save(commit=False))


class ChangeFields(RateFields):
    """A rate from another day on; what it is found by stays."""

    fixed = ("service", "key_kind", "key", "band")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fixed:
            self.fields.pop(name)


class ChangeRate(RateStep):
    """Change a rate from a day on: it ends there and one with the new terms begins."""

    form_class = ChangeFields
    purpose = "It ends on the day the new terms begin; the past stays as it was."
    submit = "Change from that day"

    def form_kwargs(self) -> dict[str, Any]:
        """Copy the rate of the address, to begin today at the earliest."""
        self.rate = find_rate(self)
        self.lead_back(self.rate.tariff)
        self.title = f"Change the rate for {named(self.rate)}"
        row = TariffRate.objects.get(pk=self.rate.pk)
        if row.valid_from <= self.today:
            row.pk, row._state.adding, row.valid_from = None, True, self.today
        return {"instance": row}

    def actions(self) -> Any:
        """Offer the end of the rate."""
        return (Action("End this rate", reverse("rate-end", args=[self.rate.pk])),)

    def save(self, form: Any) -> str:
        """Begin a rate with the new terms; one that has not begun is mended in place."""
        row = form.save(commit=False)
        if row.valid_from <= self.rate.valid_from and self.rate.valid_from <= self.today:
            raise BookRefused(
                f"The rate holds since {day_words(self.rate.valid_from)} and is not rewritten: choose a later day.",
                field="valid_from",
            )
        if row.pk:
            check_rate(row)
            keep(row, changed=form.changed_data)
            return self.succeed(self.cancel_url, f"The rate for {named(row)} is saved.")
        return self.put(row)


class EndFields(forms.Form):
    """When a rate ends."""

    on = forms.DateField(widget=DayInput(), label="Until", help_text="The first day without the rate.")


class EndRate(RateStep):
    """End a rate on a day."""

    form_class = EndFields
    purpose = "Calls from that day on find the next shorter prefix, then the tariff it looks further in."
    submit = "End the rate"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the rate of the address."""
        self.rate = find_rate(self)
        self.lead_back(self.rate.tariff)
        self.title = f"End the rate for {named(self.rate)}"
        return {}

    def save(self, form: Any) -> str:
        """End the rate and say what that means for calls already priced."""
        on = form.cleaned_data["on"]
        concerned = end_rate(self.rate, on=on, reseller=self.reseller)
        words = f"The rate for {named(self.rate)} ends on {day_words(on)}."
        if concerned:
            words += (
                f" {concerned:,} calls since then were priced by it; they keep their price until rated again."
            )
        return self.succeed(self.cancel_url, words)


def find_rate(page: Any) -> TariffRate:
    """Return the rate of the address if the person may know of its tariff; raises Http404."""
    row = TariffRate.objects.filter(pk=page.kwargs["pk"]).first()
    if row is None:
        raise Http404
    row.tariff = find_tariff(page.scope, row.tariff_id)
    return row


urls: list[URLPattern] = [
    path("tariffs/<int:pk>/rates/", RateList.as_view(), name="tariff-rates"),
    path("tariffs/<int:pk>/rates/add/", AddRate.as_view(), name="rate-add"),
    path("tariffs/rates/<int:pk>/", ChangeRate.as_view(), name="rate-change"),
    path("tariffs/rates/<int:pk>/end/", EndRate.as_view(), name="rate-end"),
]
