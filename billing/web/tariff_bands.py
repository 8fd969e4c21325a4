"""Time bands and markups of a tariff: a picture of the week, and adding, changing and removing them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404
from django.urls import URLPattern, path, reverse

from billing.book import keep
from billing.models import Tariff, TariffMarkup, TariffRate, TimeBand
from billing.rating import bands as clock
from billing.tariffs import MIDNIGHT, keep_band, remove
from billing.web.editing import BookForm
from billing.web.lookups import find_tariff
from resellerkpi.core.access import Capability
from resellerkpi.ui.forms import house_field
from resellerkpi.ui.panels import Action, HtmlPanel

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = 127
COLOURS = 6


def band_panel(tariff: Tariff, line: list[Tariff], actions: Sequence[Action] = ()) -> HtmlPanel:
    """Return the picture of the week; a tariff without bands has those of the nearest it looks further in."""
    rows = list(TimeBand.objects.filter(tariff__in=line).order_by("-priority", "pk"))
    owner = next((t for t in line if any(row.tariff_id == t.pk for row in rows)), tariff)
    bands = [row for row in rows if row.tariff_id == owner.pk]
    context: dict[str, Any] = {
        "bands": [band_words(row) for row in bands],
        "owner": owner if owner != tariff else None,
        "may_edit": bool(actions),
        "holidays": tariff.holidays,
        **week(bands),
    }
    return HtmlPanel("billing/_bands.html", context, "Time bands", actions=actions)


def week(rows: list[TimeBand]) -> dict[str, Any]:
    """Return the days of the week with the runs of each band, the codes with their colours, and the gaps in words."""
    bands = tuple(
        clock.TimeBand(
            row.code, row.weekdays, row.start_minute, row.end_minute, row.on_holidays, row.priority
        )
        for row in rows
    )
    codes = list(dict.fromkeys(band.name for band in bands))
    days, gaps = [], []
    for label, runs in zip((*DAYS, "Bank holiday"), clock.band_week(bands), strict=True):
        named = [(start, end, bands[at].name if at != clock.NO_BAND else "") for start, end, at in runs]
        gaps += [f"{label} {hours(start, end)}" for start, end, code in named if not code]
        days.append(
            {
                "label": label,
                "runs": [
                    {"x": start, "width": end - start, "colour": codes.index(code) % COLOURS + 1}
                    for start, end, code in named
                    if code
                ],
                "words": ", ".join(f"{code or 'no band'} {hours(start, end)}" for start, end, code in named),
            }
        )
    legend = [{"code": code, "colour": at % COLOURS + 1} for at, code in enumerate(codes)]
    return {"days": days if rows else [], "legend": legend, "gaps": gaps if rows else []}


def clock_words(minute: int) -> str:
    """Return a minute of the day as HH:MM; the last is 24:00."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def hours(start: int, end: int) -> str:
    """Return a span of minutes as 07:00–19:00."""
    return f"{clock_words(start)}–{clock_words(end)}"


def band_words(band: TimeBand) -> dict[str, Any]:
    """Return a time band in words."""
    days = [name for bit, name in enumerate(DAYS) if band.weekdays >> bit & 1]
    when = "Every day" if len(days) == len(DAYS) else ", ".join(days)
    if band.on_holidays:
        when = f"{when}, bank holidays" if when else "Bank holidays"
    return {
        "pk": band.pk,
        "code": band.code,
        "days": when,
        "hours": hours(band.start_minute, band.end_minute),
        "priority": band.priority,
    }


class ClockField(forms.CharField):
    """A time of day as HH:MM, 24:00 for the end of the day; cleans to the minute of the day."""

    def clean(self, value: Any) -> int:
        """Return the minute; raises a sentence."""
        hour, colon, minute = str(super().clean(value)).partition(":")
        if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit()):
            raise ValidationError("Write the time as 07:30.")
        total = int(hour[:3]) * 60 + int(minute[:3])
        if int(minute[:3]) > 59 or total > MIDNIGHT:
            raise ValidationError("The day ends at 24:00.")
        return total


class DayBoxes(forms.CheckboxSelectMultiple):
    """The days of the week beside each other."""

    template_name = "billing/_days.html"


class BandFields(forms.Form):
    """A time band: on which days, from when to when."""

    groups = (
        ("Band", ("code",)),
        ("When", ("days", "on_holidays", "start", "end")),
        ("Where bands overlap", ("priority",)),
    )
    code = forms.CharField(
        max_length=12, label="Name", help_text="The name that rates carry, such as Day or Evening."
    )
    days = forms.MultipleChoiceField(
        choices=list(enumerate(DAYS)), required=False, widget=DayBoxes, label="Days"
    )
    on_holidays = forms.BooleanField(required=False, label="Also on bank holidays, whatever the day")
    start = ClockField(label="From", max_length=5, help_text="Such as 07:00.")
    end = ClockField(
        label="To",
        max_length=5,
        help_text="Such as 19:00; 24:00 is midnight. An earlier time passes midnight.",
    )
    priority = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=0,
        help_text="The higher one holds: give weekend and bank holidays a higher one than weekdays.",
    )


class TariffPart(BookForm):
    """A form about a part of a tariff; leads back to the tariff."""

    submit = "Save"

    def lead_back(self, tariff: Tariff) -> None:
        """Set the ways back to the tariff."""
        self.tariff = tariff
        self.cancel_url = reverse("tariff", args=[tariff.pk])
        self.back = (tariff.name, self.cancel_url)

    def part(self, model: type[TimeBand] | type[TariffMarkup]) -> Any:
        """Return the part of the address if the person may know of its tariff; raises Http404."""
        row = model.objects.filter(pk=self.kwargs["pk"]).first()
        if row is None:
            raise Http404
        row.tariff = find_tariff(self.scope, row.tariff_id)
        self.lead_back(row.tariff)
        return row


class AddBand(TariffPart):
    """Add a time band."""

    form_class = BandFields
    title = "Add a time band"
    purpose = "Calls already priced keep their price until they are rated again."
    submit = "Add the band"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the tariff of the address."""
        self.lead_back(find_tariff(self.scope, self.kwargs["pk"]))
        self.band = TimeBand(tariff=self.tariff)
        return {"initial": {"days": [str(day) for day in range(5)]}}

    def save(self, form: Any) -> str:
        """Keep the band."""
        data = form.cleaned_data
        self.band.code, self.band.on_holidays, self.band.priority = (
            data["code"],
            data["on_holidays"],
            data["priority"],
        )
        self.band.weekdays = sum(1 << int(day) for day in data["days"])
        keep_band(self.band, start=data["start"], end=data["end"])
        return self.succeed(self.cancel_url, f"Time band {self.band} is saved.")


class ChangeBand(AddBand):
    """Change a time band."""

    submit = "Save"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the band of the address."""
        self.band = self.part(TimeBand)
        self.title = f"Change time band {self.band}"
        start, end = clock_words(self.band.start_minute), clock_words(self.band.end_minute)
        days = [str(day) for day in range(7) if self.band.weekdays >> day & 1]
        kept = {"code": self.band.code, "on_holidays": self.band.on_holidays, "priority": self.band.priority}
        return {"initial": {**kept, "days": days, "start": start, "end": end}}

    def actions(self) -> Sequence[Action]:
        """Offer to remove it."""
        return (Action("Remove this band", reverse("band-remove", args=[self.band.pk])),)


class RemoveFields(forms.Form):
    """Nothing to fill in: the button confirms."""


class RemoveBand(TariffPart):
    """Remove a time band."""

    form_class = RemoveFields
    submit = "Remove the band"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the band and count the rates that hold only in it."""
        self.row = self.part(TimeBand)
        self.title = f"Remove time band {self.row}"
        others = (
            TimeBand.objects.filter(tariff=self.tariff, code=self.row.code).exclude(pk=self.row.pk).exists()
        )
        rates = 0 if others else TariffRate.objects.filter(tariff=self.tariff, band=self.row.code).count()
        self.danger = (
            f"{rates:,} rates hold only in this band and would never be found again."
            if rates
            else "Calls at that time are priced by another band, or by the rates of any time."
        )
        return {}

    def save(self, form: Any) -> str:
        """Remove the band."""
        remove(self.row)
        return self.succeed(self.cancel_url, f"Time band {self.row} is removed.")


class MarkupFields(forms.ModelForm):
    """A markup over cost for a class of calls."""

    class Meta:
        model = TariffMarkup
        formfield_callback = house_field
        fields = ("call_class", "percent")
        labels = {"call_class": "Class of calls", "percent": "Cost plus (%)"}
        help_texts = {"percent": "Below zero sells under cost."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = (
            TariffRate.objects.exclude(call_class="")
            .order_by("call_class")
            .values_list("call_class", flat=True)
        )
        names = list(known.distinct()[:20])
        self.fields["call_class"].help_text = "A call without a rate has the class of the carrier's rate." + (
            f" In use: {', '.join(names)}." if names else ""
        )


class AddMarkup(TariffPart):
    """Add a markup for a class."""

    capability = Capability.EDIT_BOOK
    form_class = MarkupFields
    title = "Add a markup"
    purpose = "Calls of this class without a rate cost the customer the supplier's price plus this."
    submit = "Add the markup"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the tariff of the address; markups are for those who may see them."""
        may_see_margin(self)
        self.lead_back(find_tariff(self.scope, self.kwargs["pk"]))
        return {"instance": TariffMarkup(tariff=self.tariff)}

    def save(self, form: Any) -> str:
        """Keep the markup."""
        row = keep(form.save(commit=False), changed=form.changed_data)
        return self.succeed(self.cancel_url, f"The markup for {row.call_class} calls is saved.")


class ChangeMarkup(AddMarkup):
    """Change a markup."""

    submit = "Save"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the markup of the address."""
        may_see_margin(self)
        self.row = self.part(TariffMarkup)
        self.title = f"Change the markup for {self.row.call_class} calls"
        return {"instance": self.row}

    def actions(self) -> Sequence[Action]:
        """Offer to remove it."""
        return (Action("Remove this markup", reverse("markup-remove", args=[self.row.pk])),)


class RemoveMarkup(TariffPart):
    """Remove a markup."""

    form_class = RemoveFields
    submit = "Remove the markup"
    danger = (
        "Calls of this class without a rate are priced by its general markup; without one they are errors."
    )

    def form_kwargs(self) -> dict[str, Any]:
        """Find the markup of the address."""
        may_see_margin(self)
        self.row = self.part(TariffMarkup)
        self.title = f"Remove the markup for {self.row.call_class} calls"
        return {}

    def save(self, form: Any) -> str:
        """Remove the markup."""
        remove(self.row)
        return self.succeed(self.cancel_url, f"The markup for {self.row.call_class} calls is removed.")


def may_see_margin(page: BookForm) -> None:
    """Hide what shows margins from those who may not see them; raises Http404."""
    if not page.scope.can(Capability.VIEW_MARGIN):
        raise Http404


urls: list[URLPattern] = [
    path("tariffs/<int:pk>/bands/add/", AddBand.as_view(), name="band-add"),
    path("tariffs/bands/<int:pk>/", ChangeBand.as_view(), name="band-edit"),
    path("tariffs/bands/<int:pk>/remove/", RemoveBand.as_view(), name="band-remove"),
    path("tariffs/<int:pk>/markups/add/", AddMarkup.as_view(), name="markup-add"),
    path("tariffs/markups/<int:pk>/", ChangeMarkup.as_view(), name="markup-edit"),
    path("tariffs/markups/<int:pk>/remove/", RemoveMarkup.as_view(), name="markup-remove"),
]
