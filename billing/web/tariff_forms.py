"""Changing tariffs: details, a copy, marking one as superseded and moving who is on it."""

from functools import lru_cache
from typing import Any

import holidays
from babel import Locale
from django import forms
from django.urls import URLPattern, path, reverse

from billing.models import Number, Tariff
from billing.tariffs import copy_tariff, keep_tariff, still_on, supersede
from billing.web.editing import BookForm, RecordForm
from billing.web.lookups import TariffField, find_tariff
from billing.web.tariff_rates import short_decimals
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Code, Column, Date, Text
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.periods import zone_names
from resellerkpi.core.scope import current
from resellerkpi.ui.forms import DayInput, Gated, LongSelect, house_field
from resellerkpi.ui.panels import EmptyState, TablePanel

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
KINGDOM = (
    ("GB-ENG", "England"),
    ("GB-WLS", "Wales"),
    ("GB-SCT", "Scotland"),
    ("GB-NIR", "Northern Ireland"),
)
NUMBER_TYPES = [("", "Numbers of any type"), *Number.Type.choices]


@lru_cache(maxsize=1)
def regions() -> list[tuple[str, str]]:
    """Return whose bank holidays can be kept: none, the parts of the United Kingdom, then countries by name."""
    names = Locale("en", "GB").territories
    codes = holidays.list_supported_countries(include_aliases=False)
    countries = ((code, str(names.get(code, code))) for code in codes)
    return [("", "None"), *KINGDOM, *sorted(countries, key=lambda row: row[1])]


@lru_cache(maxsize=1)
def zones() -> list[tuple[str, str]]:
    """Return the time zones by name."""
    places = sorted(name for name in zone_names() if "/" in name and not name.startswith(("Etc/", "posix/")))
    return [(name, name.replace("_", " ")) for name in ("UTC", *places)]


class TariffFields(Gated, forms.ModelForm):
    """How a tariff prices."""

    needs = {
        "carrier": WHOLESALE,
        "kind": WHOLESALE,
        "markup_percent": Capability.VIEW_MARGIN,
        "access_charge": MONEY,
    }
    groups = (
        ("Tariff", ("name", "kind", "currency", "parent", "carrier")),
        ("Whose calls it prices by default", ("is_default", "default_number_type")),
        ("Clock", ("time_zone", "holidays", "band_rule")),
        ("Price of a call", ("places", "rounding", "charge_unanswered", "fee_inside_allowance")),
        ("Service numbers and calls without a rate", ("access_charge", "markup_percent")),
        ("Data", ("data_unit_mb", "data_per_period")),
    )
    parent = TariffField(required=False, label="Looks further in", empty_label="None")
    default_number_type = forms.ChoiceField(choices=NUMBER_TYPES, required=False, label="For which numbers")
    holidays = forms.ChoiceField(
        choices=regions, required=False, label="Bank holidays of", widget=LongSelect()
    )
    time_zone = forms.ChoiceField(choices=zones, label="Time zone", widget=LongSelect())

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
            "default_number_type",
            "time_zone",
            "holidays",
            "band_rule",
            "places",
            "rounding",
            "charge_unanswered",
            "fee_inside_allowance",
            "access_charge",
            "markup_percent",
            "data_unit_mb",
            "data_per_period",
        )
        labels = {
            "is_default": "Prices numbers and customers without a tariff",
            "places": "Decimal places",
            "band_rule": "A call that crosses a band",
            "charge_unanswered": "Unanswered calls pay the connection fee",
            "fee_inside_allowance": "Calls inside an allowance pay the connection fee",
            "access_charge": "Access charge (a minute)",
            "markup_percent": "Without a rate: cost plus (%)",
            "data_unit_mb": "Data unit (MB)",
            "data_per_period": "Data is summed per month, then rounded up",
        }
        help_texts = {
            "carrier": "A wholesale tariff: whose prices these are. A default retail tariff: for calls of this carrier"
            " only.",
            "access_charge": "Comes on top of service charges (UK 084, 087, 09, 118). Empty: that of the tariff it"
            " looks further in; 0 is none.",
            "markup_percent": "Empty: that of the tariff it looks further in, or none; then the call is an error.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not current().can(WHOLESALE):
            field: Any = self.fields["parent"]
            field.only = {"kind": Tariff.Kind.RETAIL}
        short_decimals(self)


class TariffForm(RecordForm):
    """Add or change a tariff."""

    model, form_class, what = Tariff, TariffFields, "a tariff"
    list_url, detail_url = "tariff-list", "tariff"

    def instance(self) -> Tariff:
        """Return the tariff of the address if the person may know of it; lead back to it, or to the list."""
        if "pk" not in self.kwargs:
            self.back = ("Tariffs", reverse("tariff-list"))
            return Tariff()
        row = find_tariff(self.scope, self.kwargs["pk"])
        self.back = (row.name, self.url_of(row))
        return row

    def save(self, form: Any) -> str:
        """Keep the tariff."""
        row = keep_tariff(form.save(commit=False), changed=form.changed_data)
        return self.succeed(self.url_of(row), f"{row} is saved.")


class TariffStep(BookForm):
    """A form about one tariff; leads back to it."""

    def form_kwargs(self) -> dict[str, Any]:
        """Find the tariff of the address."""
        self.tariff = find_tariff(self.scope, self.kwargs["pk"])
        self.cancel_url = reverse("tariff", args=[self.tariff.pk])
        self.back = (self.tariff.name, self.cancel_url)
        return {}


class CopyFields(Gated, forms.Form):
    """The name of a copy, from when, and by how much its prices change."""

    needs = {"percent": MONEY}
    name = forms.CharField(max_length=120, label="Name of the copy")
    first = forms.DateField(
        widget=DayInput(), label="Rates from", help_text="Rates that have ended by then are left out."
    )
    percent = forms.DecimalField(
        max_digits=7,
        decimal_places=2,
        required=False,
        min_value=-100,
        max_value=1000,
        label="Change of prices (%)",
        help_text="Such as 3.5 or -10. Prices are rounded to five places; service charges stay.",
    )


class CopyTariff(TariffStep):
    """Copy a tariff."""

    form_class = CopyFields
    submit = "Copy"
    purpose = "Its own rates, time bands and markups are copied; nobody is moved to the copy."

    def form_kwargs(self) -> dict[str, Any]:
        """Offer a name and today."""
        super().form_kwargs()
        self.title = f"Copy {self.tariff}"
        return {"initial": {"name": f"{self.tariff.name[:113]} (copy)", "first": self.today}}

    def save(self, form: Any) -> str:
        """Make the copy and lead to it."""
        data = {name: value for name, value in form.cleaned_data.items() if value is not None}
        copy = copy_tariff(self.tariff, **data)
        return self.succeed(reverse("tariff", args=[copy.pk]), f"{copy} is a copy of {self.tariff}.")


class SupersedeFields(forms.Form):
    """From when a tariff is old, and where those on it move."""

    on = forms.DateField(
        widget=DayInput(), required=False, label="From", help_text="Empty: the tariff is in use."
    )
    successor = TariffField(
        required=False,
        label="Move everybody on it to",
        empty_label="Nobody moves",
        help_text="For the same class of calls. Who does not move is still priced by the old tariff.",
    )
    only_named = forms.BooleanField(
        required=False,
        label="Nobody moves yet",
        help_text="Only name the tariff that replaces it, so that a report can say what each customer would pay.",
    )
    move_on = forms.DateField(
        widget=DayInput(),
        required=False,
        label="Moving on",
        help_text="The first day on the other tariff. Empty: the day from which this one is superseded.",
    )


MOVERS: tuple[Column, ...] = (
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="number", source="number__number", url="number"),
    Text(name="call_class", label="Class of calls"),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)


class SupersedeTariff(TariffStep):
    """Mark a tariff as superseded, and move who is on it."""

    form_class = SupersedeFields
    template = "billing/tariff_supersede.html"
    submit = "Save"
    purpose = "An old tariff is marked wherever it is named; as a default it stops on that day."

    def form_kwargs(self) -> dict[str, Any]:
        """Show the day it has, else today."""
        super().form_kwargs()
        self.title = f"Mark {self.tariff} as superseded"
        since = self.tariff.superseded_on
        named = {"successor": self.tariff.successor_id, "only_named": self.tariff.successor_id is not None}
        return {"initial": {"on": since or self.today, "move_on": self.today if since else None, **named}}

    def get_context(self) -> dict[str, Any]:
        """List who is on it today."""
        empty = EmptyState("No customer or number is on this tariff today.")
        panel = TablePanel("On it today", MOVERS, still_on(self.tariff, self.today), limit=100, empty=empty)
        return {"panels": [panel]}

    def save(self, form: Any) -> str:
        """Keep the day and move who is to move."""
        on, successor = form.cleaned_data["on"], form.cleaned_data["successor"]
        moves = not form.cleaned_data["only_named"]
        moved = supersede(
            self.tariff, on=on, successor=successor, move_on=form.cleaned_data["move_on"], moves=moves
        )
        words = f"{self.tariff} is superseded from {day_words(on)}." if on else f"{self.tariff} is in use."
        if successor is not None and not moves:
            words += f" {successor} is named as what replaces it; nobody moved."
        elif successor is not None:
            words += f" {moved:,} moved to {successor}." if moved else " Nobody was on it."
        return self.succeed(self.cancel_url, words)


urls: list[URLPattern] = [
    path("tariffs/add/", TariffForm.as_view(), name="tariff-add"),
    path("tariffs/<int:pk>/edit/", TariffForm.as_view(), name="tariff-edit"),
    path("tariffs/<int:pk>/copy/", CopyTariff.as_view(), name="tariff-copy"),
    path("tariffs/<int:pk>/supersede/", SupersedeTariff.as_view(), name="tariff-supersede"),
]
