"""The query of a report: a form whose parameters are the address, so that a bookmark reproduces it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict

from resellerkpi.core.access import Capability
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import PRESETS, Period, add_months, month_of, preset
from resellerkpi.core.scope import current
from resellerkpi.ui.forms import DayInput

Params = Mapping[str, Sequence[str]]
FREE = "dates"
PERIODS = [
    *((name, name.replace("_", " ").capitalize()) for name in PRESETS),
    (FREE, "Between two days"),
]


def _known_zone(name: Any) -> None:
    if name not in available_timezones():
        raise ValidationError(f"There is no time zone called “{name}”.")


class ReportFilters(forms.Form):
    """Base of every report's filters: the interval (a preset or two days) and its time zone.

    The fields named in `needs` are offered only to people with that capability. `cleaned_data` holds what was asked,
    `period` the interval it means on the local day of `now`.
    """

    needs: ClassVar[Mapping[str, Capability]] = {}
    default_period: ClassVar[str] = "this_month"

    period = forms.ChoiceField(choices=PERIODS, required=False, label="Period")
    on_or_after = forms.DateField(required=False, label="On or after", widget=DayInput())
    before = forms.DateField(
        required=False, label="Before", widget=DayInput(), help_text="The first day left out."
    )
    zone = forms.CharField(required=False, label="Time zone", max_length=60, validators=[_known_zone])

    def __init__(self, params: Params, *, reseller: Reseller, now: datetime) -> None:
        self.reseller, self.now = reseller, now
        super().__init__(MultiValueDict({k: list(v) for k, v in params.items()}))
        for name, capability in self.needs.items():
            if not current().can(capability):
                del self.fields[name]
        for name, value in self.defaults().items():
            if name in self.fields and not any(self.data.getlist(name)):  # type: ignore[attr-defined]
                self.data.setlist(name, value)  # type: ignore[attr-defined]

    def defaults(self) -> dict[str, list[str]]:
        """Return what holds for parameters that are not given."""
        free = any(self.data.get(name) for name in ("on_or_after", "before"))
        return {"period": [FREE if free else self.default_period], "zone": [self.reseller.time_zone]}

    def clean(self) -> dict[str, Any]:
        """Refuse an interval that ends before it starts."""
        data = super().clean() or self.cleaned_data
        first, before = data.get("on_or_after"), data.get("before")
        if data.get("period") == FREE and first and before and before <= first:
            self.add_error("before", "The day in “Before” must come after the day in “On or after”.")
        return data

    @property
    def as_of(self) -> date:
        """The local day of the run."""
        return self.now.astimezone(ZoneInfo(self.cleaned_data["zone"])).date()

    @property
    def interval(self) -> Period:
        """The interval asked for; days named beside a preset are not used."""
        zone = ZoneInfo(self.cleaned_data["zone"])
        name = self.cleaned_data["period"]
        if name != FREE:
            return preset(name, today=self.as_of, zone=zone)
        first, before = self.cleaned_data["on_or_after"], self.cleaned_data["before"]
        if first is None:
            first = (before - timedelta(days=1) if before else self.as_of).replace(day=1)
        if before is None:
            before = add_months(month_of(max(first, self.as_of), zone).start, 1)
        return Period(first, before, zone)

    def params(self) -> dict[str, list[str]]:
        """Return the query as it was asked, without empty parameters, in the order of the form."""
        return {name: values for name, values in self._given() if values}

    def _given(self) -> Iterator[tuple[str, list[str]]]:
        free = self.data.get("period") == FREE
        for name in self.fields:
            values = [v for v in self.data.getlist(name) if v]  # type: ignore[attr-defined]
            if name in ("on_or_after", "before") and not free:
                continue
            yield name, values

    def words(self) -> list[tuple[str, str]]:
        """Return the filters in force as (label, value) people read; the interval comes first."""
        found = [("Period", f"{self.interval} ({self.cleaned_data['zone']})")]
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if name in ReportFilters.base_fields or value is None or value is False or value in ("", []):
                continue
            found.append((str(field.label or name), _in_words(field, value)))
        return found


def _in_words(field: forms.Field, value: Any) -> str:
    if value is True:
        return "Yes"
    if isinstance(value, date):
        return day(value)
    labels = (
        {str(k): str(v) for k, v in getattr(field, "choices", ())} if isinstance(value, str | list) else {}
    )
    many = value if isinstance(value, list) else [value]
    return ", ".join(labels.get(str(one), str(one)) for one in many)
