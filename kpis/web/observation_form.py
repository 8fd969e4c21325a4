"""The form of one metric in one month: a line per value, a few empty ones, and why a value is refused."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django import forms

from billing.models import Observation
from billing.observed import Metric, NotObserved, check_currency, check_day, check_value, place
from kpis.observing import Line
from kpis.words import DIMENSIONS
from resellerkpi.core.periods import add_months
from resellerkpi.ui.forms import DayInput

MOST = 60
EMPTY = 4
PARTS = ("date", "dimension", "key", "value", "currency")


class LinesForm(forms.Form):
    """The lines of a metric in a month; emptying a value removes its line."""

    def __init__(
        self,
        *args: Any,
        metric: Metric,
        month: date,
        today: date,
        home: str,
        rows: Sequence[Observation],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.metric, self.month, self.today, self.home = metric, month, today, home
        self.given: list[Line] = []
        self.there = sorted({row.key for row in rows if row.key})
        told = [_told(row) for row in rows]
        told += [{"date": month, **blank} for blank in _blanks(metric, rows)]
        self.count = min(max(len(told), self._posted()), MOST + EMPTY)
        for n in range(self.count):
            for name, field in self._fields().items():
                self.fields[f"{name}_{n}"] = field
                if n < len(told):
                    self.initial.setdefault(f"{name}_{n}", told[n].get(name, ""))

    def _posted(self) -> int:
        return sum(name.startswith("value_") for name in self.data) if self.is_bound else 0

    def _fields(self) -> dict[str, forms.Field]:
        m = self.metric
        found: dict[str, forms.Field] = {
            "id": forms.IntegerField(required=False, widget=forms.HiddenInput),
            "date": forms.DateField(required=False, widget=DayInput(), label="Day"),
        }
        if len(m.by) > 1:
            named = [("", "–"), *((d, DIMENSIONS.get(d, d.capitalize())) for d in m.by)]
            found["dimension"] = forms.ChoiceField(required=False, choices=named, label="Split by")
        if m.by:
            found["key"] = self._key()
        places = 0 if m.whole else 6
        found["value"] = forms.DecimalField(
            required=False,
            max_digits=18,
            decimal_places=places,
            label="Value",
            widget=forms.TextInput(attrs={"inputmode": "decimal", "size": 12}),
        )
        if m.has_currency:
            found["currency"] = forms.RegexField(
                "^[A-Z]{3}$",
                required=False,
                label="Currency",
                widget=forms.TextInput(attrs={"size": 4, "maxlength": 3, "placeholder": self.home}),
                error_messages={"invalid": "Write it like GBP."},
            )
        return found

    def _key(self) -> forms.Field:
        m = self.metric
        label = DIMENSIONS.get(m.by[0], m.by[0].capitalize()) if len(m.by) == 1 else "Which"
        fixed = m.keys.get(m.by[0]) if len(m.by) == 1 else None
        if fixed:
            others = [k for k in self.there if k not in fixed]
            return forms.ChoiceField(
                required=False, choices=[("", "–"), *((k, k) for k in (*fixed, *others))], label=label
            )
        return forms.CharField(required=False, max_length=80, label=label)

    def heads(self) -> list[str]:
        """Return the headings of the table."""
        return [str(self[f"{name}_0"].label) for name in PARTS if f"{name}_0" in self.fields]

    def rows(self) -> Iterator[tuple[Any, list[Any]]]:
        """Yield each line's hidden id and its fields."""
        for n in range(self.count):
            yield self[f"id_{n}"], [self[f"{name}_{n}"] for name in PARTS if f"{name}_{n}" in self.fields]

    def shown(self) -> list[int]:
        """Return the ids of the lines the form showed."""
        return [i for n in range(self.count) if (i := self.cleaned_data.get(f"id_{n}"))]

    def clean(self) -> dict[str, Any]:
        """Read the lines; each refused part says why."""
        cleaned = super().clean() or {}
        seen: set[tuple[Any, ...]] = set()
        for n in range(self.count):
            if cleaned.get(f"value_{n}") is None or any(f"{p}_{n}" in self.errors for p in PARTS):
                if cleaned.get(f"value_{n}") is None and cleaned.get(f"key_{n}") and self._is_new(n):
                    self.add_error(f"value_{n}", "Say how much.")
                continue
            try:
                line = self._line(n, cleaned)
            except NotObserved as refused:
                name = f"{refused.field}_{n}"
                self.add_error(name if name in self.fields else f"value_{n}", str(refused))
                continue
            at = (line.date, line.dimension, line.key, line.currency or self.home)
            if at in seen:
                self.add_error(f"value_{n}", "There is a line of this day and key above.")
            seen.add(at)
            self.given.append(line)
        return cleaned

    def _is_new(self, n: int) -> bool:
        """Say whether a line is neither there already nor a fixed key offered."""
        return not self.cleaned_data.get(f"id_{n}") and not self.metric.split

    def _line(self, n: int, cleaned: dict[str, Any]) -> Line:
        day = cleaned.get(f"date_{n}") or self.month
        if not self.month <= day < add_months(self.month, 1):
            raise NotObserved("date", f"This page holds the lines of {self.month:%B %Y}.")
        check_day(day, self.today)
        dimension, key = place(
            self.metric, cleaned.get(f"dimension_{n}") or "", (cleaned.get(f"key_{n}") or "").strip()
        )
        value, currency = cleaned[f"value_{n}"], cleaned.get(f"currency_{n}") or ""
        check_value(self.metric, value)
        check_currency(self.metric, currency)
        return Line(day, dimension, key, currency, value)


def _told(row: Observation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "date": row.date,
        "dimension": row.dimension,
        "key": row.key,
        "value": f"{row.value.normalize():f}",
        "currency": row.currency,
    }


def _blanks(metric: Metric, rows: Sequence[Observation]) -> list[dict[str, str]]:
    """Return empty lines: one for each fixed key that has none, else a few."""
    fixed = metric.keys.get(metric.by[0], ()) if metric.by else ()
    if fixed:
        there = {row.key for row in rows}
        return [{"key": key} for key in fixed if key not in there]
    return [{}] * (EMPTY if metric.by or not rows else 1)
