"""The query of a report: a form whose parameters are the address, so that a bookmark reproduces it."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import DecimalField, F, Max, Min, QuerySet, Value
from django.db.models.functions import Round
from django.utils.datastructures import MultiValueDict

from reports import currency
from reports.comparing import STEPS, earlier
from reports.currency import Billed
from reports.fields import GroupsField
from reports.grouping import Dimension
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import PRESETS, Period, add_months, month_of, preset, zone_names
from resellerkpi.core.scope import current
from resellerkpi.ui.forms import DayInput

Params = Mapping[str, Sequence[str]]
FREE = "dates"
INTERVAL = ("period", "on_or_after", "before", "on", "zone")
MOST_COMPARED = 3_660
CONVERTED = "Converted at the European Central Bank's rate of each row's day."
NO_RATES = "Other currencies can be chosen once exchange rates are loaded (import a spreadsheet)."
COVERS = ("covers_from", "covers_to")
OPTIONS = ("group_by", "compare", "currency")
PERIODS = [
    *((name, name.replace("_", " ").capitalize()) for name in PRESETS),
    (FREE, "Between two days"),
]


def _known_zone(name: Any) -> None:
    if name not in zone_names():
        raise ValidationError(f"There is no time zone called “{name}”.")


@dataclass(frozen=True)
class Asks:
    """What a report lets people ask besides its own filters."""

    dimensions: Sequence[Dimension] = ()
    default_groups: Sequence[str] = ()
    compares_rows: bool = False
    billed: Billed | None = None

    @property
    def compares(self) -> bool:
        """Whether an earlier interval can stand beside the one asked for."""
        return self.compares_rows or bool(self.dimensions)

    @property
    def held(self) -> list[Dimension]:
        """The dimensions that the scope's holder may group by."""
        return [d for d in self.dimensions if d.needs is None or current().can(d.needs)]

    @property
    def usual_groups(self) -> list[str]:
        """The groups that hold when none is chosen: the defaults the role may use, else the first it may."""
        held = [d.slug for d in self.held]
        usual = [slug for slug in self.default_groups if slug in held]
        return usual or (held[:1] if self.default_groups else [])

    def fields(self) -> dict[str, forms.Field]:
        """Return the form fields of it, as the scope's holder may use them."""
        found: dict[str, forms.Field] = {}
        held = self.held
        if held:
            found["group_by"] = GroupsField(held)
        if self.compares:
            steps = [("", "Nothing"), *STEPS.items()]
            found["compare"] = forms.ChoiceField(required=False, label="Compare to", choices=steps)
        if self.billed:
            choices = currency.choices()
            told = CONVERTED if len(choices) > 1 else NO_RATES
            found["currency"] = forms.ChoiceField(
                required=False, label="Currency", choices=choices, help_text=told
            )
        return found


class ReportFilters(forms.Form):
    """Base of every report's filters: the interval (a preset or two days) and its time zone.

    The fields named in `needs` are offered only to people with that capability; those in `always` stand in the form
    without being chosen first. `cleaned_data` holds what was asked, `interval` what it means on the local day of `now`.
    What the report declares (dimensions, comparisons, currencies) becomes fields behind its own.
    """

    needs: ClassVar[Mapping[str, Capability]] = {}
    default_period: ClassVar[str] = "this_month"
    asks: ClassVar[Asks] = Asks()
    when_label: ClassVar[str] = "Period"
    without: ClassVar[Sequence[str]] = ()
    always: ClassVar[Sequence[str]] = ()
    moved_to: Period | None = None

    period = forms.ChoiceField(choices=PERIODS, required=False, label="Period")
    on_or_after = forms.DateField(required=False, label="On or after", widget=DayInput())
    before = forms.DateField(
        required=False, label="Before", widget=DayInput(), help_text="The first day left out."
    )
    zone = forms.CharField(required=False, label="Time zone", max_length=60, validators=[_known_zone])

    def __init__(self, params: Params, *, reseller: Reseller, now: datetime) -> None:
        self.reseller, self.now = reseller, now
        super().__init__(MultiValueDict({k: list(v) for k, v in params.items()}))
        for name in self.without:
            del self.fields[name]
        self.fields.update(self.asks.fields())
        for name, capability in self.needs.items():
            if not current().can(capability):
                del self.fields[name]
        for name, value in self.defaults().items():
            if name in self.fields and not any(self.data.getlist(name)):  # type: ignore[attr-defined]
                self.data.setlist(name, value)  # type: ignore[attr-defined]

    def defaults(self) -> dict[str, list[str]]:
        """Return what holds for parameters that are not given."""
        free = any(self.data.get(name) for name in ("on_or_after", "before"))
        return {
            "period": [FREE if free else self.default_period],
            "zone": [self.reseller.time_zone],
            "group_by": self.asks.usual_groups,
        }

    def clean(self) -> dict[str, Any]:
        """Refuse an interval that ends before it starts."""
        data = super().clean() or self.cleaned_data
        first, before = data.get("on_or_after"), data.get("before")
        if data.get("period") == FREE and first and before and before <= first:
            self.add_error("before", "The day in “Before” must come after the day in “On or after”.")
        if data.get("compare") and not (data.get("group_by") or self.asks.compares_rows):
            self.add_error("compare", "Choose what to group by, so that there is something to compare.")
        elif data.get("compare") and not self.errors:
            self._check_comparison()
        return data

    def _check_comparison(self) -> None:
        """Refuse what has nothing before it in the calendar, and intervals nobody compares."""
        try:
            since = self.compared_with
        except (OverflowError, ValueError):
            self.add_error("compare", "The calendar has nothing that long before this interval.")
            return
        if since is not None and since.days > MOST_COMPARED:
            self.add_error("compare", "Choose an interval of at most ten years to compare.")

    @property
    def as_of(self) -> date:
        """The local day of the run."""
        return self.now.astimezone(self.tz).date()

    @property
    def interval(self) -> Period:
        """The interval asked for; days named beside a preset are not used."""
        if self.moved_to is not None:
            return self.moved_to
        name = self.cleaned_data["period"]
        if name != FREE:
            return preset(name, today=self.as_of, zone=self.tz)
        first, before = self.cleaned_data["on_or_after"], self.cleaned_data["before"]
        if first is None:
            first = (before - timedelta(days=1) if before else self.as_of).replace(day=1)
        if before is None:
            before = add_months(month_of(max(first, self.as_of), self.tz).start, 1)
        return Period(first, before, self.tz)

    @property
    def tz(self) -> ZoneInfo:
        """The time zone of the query."""
        return ZoneInfo(self.cleaned_data["zone"])

    @property
    def groups(self) -> list[Dimension]:
        """The dimensions to group by, in their order; empty for the report's own rows."""
        by_slug = {d.slug: d for d in self.asks.dimensions}
        return [by_slug[slug] for slug in self.cleaned_data.get("group_by") or ()]

    @property
    def compared_with(self) -> Period | None:
        """The earlier interval to compare with, None for no comparison."""
        step = self.cleaned_data.get("compare")
        return earlier(self.interval, step) if step else None

    def shifted(self) -> "ReportFilters":
        """Return the same query over the interval it is compared with; what was worked out for this one is left."""
        found = copy(self)
        for name in [n for n in vars(found) if isinstance(getattr(type(found), n, None), cached_property)]:
            del vars(found)[name]
        found.moved_to = self.compared_with
        return found

    @property
    def to_currency(self) -> str:
        """The currency that amounts are converted to, "" for as billed."""
        return str(self.cleaned_data.get("currency") or "")

    def priced(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Annotate rows with the rates that `money` needs; as billed they stay as they are."""
        billed = self.asks.billed
        return (
            currency.with_rates(rows, billed, self.to_currency, self.tz)
            if self.to_currency and billed
            else rows
        )

    def money(self, path: str, *, places: int = 2) -> Any:
        """Return a row's amount as an expression: as billed, or converted and rounded to `places`."""
        if not self.to_currency:
            return F(path)
        field = DecimalField(max_digits=38, decimal_places=places)
        return Round(F(path) * F("fx_rate"), precision=places, output_field=field)

    @property
    def money_currency(self) -> Any:
        """The currency of a row's amounts as an expression: its own, or the one they are converted to."""
        return (
            Value(self.to_currency)
            if self.to_currency
            else F(self.asks.billed.currency if self.asks.billed else "currency")
        )

    @property
    def rate_fields(self) -> tuple[str, ...]:
        """The fields of a row's rate that its `.values()` must name; none as billed."""
        return ("fx_from", "fx_rate", "fx_date", "fx_is_old") if self.to_currency else ()

    def grouped(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return rows as `.values()` of the chosen groups and, where the report bills, `currency`; annotate sums next.

        Groups come in order; amounts of two currencies fall into two groups.
        """
        named = {n: e for d in self.groups for n, e in d.expressions(self.tz).items()}
        found = rows.order_by().values(**named) if named else rows.order_by().values(by_all=Value(""))
        if self.asks.billed:
            found = found.annotate(currency=self.money_currency)
        if self.to_currency:
            found = found.annotate(**currency.told())
        found = found.annotate(**self._covered())
        return found.order_by(*named, *(["currency"] if self.asks.billed else []))

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
        return [(label, value) for _, label, value in self.told()]

    def _covered(self) -> dict[str, Any]:
        """Return the aggregates that tell which days a group's rows cover, where rows have a day."""
        by_day = next((d for d in self.asks.dimensions if d.grain == "day"), None)
        days = list(by_day.expressions(self.tz).values()) if by_day else []
        return {COVERS[0]: Min(days[0]), COVERS[1]: Max(days[0])} if days else {}

    def may_go(self, name: str) -> str:
        """Return the field's name if leaving it out changes the query, "" for what holds anyway."""
        usual = self.defaults().get(name, [])
        return name if name and self.data.getlist(name) != usual else ""  # type: ignore[attr-defined]

    def told(self) -> list[tuple[str, str, str]]:
        """Return the filters in force as (field, label, value); the interval comes first, its field is ""."""
        found = [("", self.when_label, f"{self.interval} ({self.cleaned_data['zone']})")]
        if self.compared_with is not None:
            days = f"{self.compared_with.days:,} day{'s' * (self.compared_with.days != 1)}"
            found.append(("compare", "Compared with", f"{self.compared_with} ({days})"))
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if name in (*INTERVAL, "compare") or value is None or value is False or value in ("", []):
                continue
            found.append((name, str(field.label or name), _in_words(field, value)))
        return found


class AsOfFilters(ReportFilters):
    """Base of the filters of a report that looks at one day: `as_of` is that day, `interval` holds it alone."""

    when_label: ClassVar[str] = "As of"

    without = ("period", "on_or_after", "before")

    on = forms.DateField(
        required=False, label="As of", widget=DayInput(), help_text="At the end of that day; empty is today."
    )

    field_order = ("on", "zone")

    def clean_on(self) -> date | None:
        """Refuse a day beyond what anybody looks at."""
        on: date | None = self.cleaned_data["on"]
        if on is not None and not 1990 <= on.year <= 2199:
            raise ValidationError("Choose a day of the years 1990 to 2199.")
        return on

    def defaults(self) -> dict[str, list[str]]:
        """Return what holds for parameters that are not given: the day stays open, so that a bookmark moves on."""
        return {k: v for k, v in super().defaults().items() if k != "period"}

    @property
    def as_of(self) -> date:
        """The day looked at."""
        if self.moved_to is not None:
            return self.moved_to.start
        return self.cleaned_data["on"] or super().as_of

    @property
    def interval(self) -> Period:
        """The day looked at."""
        return self.moved_to or Period(self.as_of, self.as_of + timedelta(days=1), self.tz)


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
