"""Form fields of the house: scoped choices, days, periods."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.utils import flatatt
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from resellerkpi.core.access import Capability
from resellerkpi.core.periods import BadPeriod, Period, add_months, month_of, parse_period
from resellerkpi.core.scope import current

BETWEEN = "between"
PRESET_LABELS = {
    "this_month": "This month",
    "last_month": "Last month",
    "last_3_months": "Last 3 months",
    "last_12_months": "Last 12 months",
    "this_year": "This year",
    "last_year": "Last year",
}


class Gated:
    """A form that drops the fields its reader may not see: `needs` names their capabilities."""

    needs: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, capability in self.needs.items():
            if not current().can(capability):
                self.fields.pop(name, None)  # type: ignore[attr-defined]


class DayInput(forms.DateInput):
    """A day, by the browser's own picker."""

    input_type = "date"

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%Y-%m-%d", **options)


class LongSelect(forms.Select):
    """A list of a hundred choices and more, written in one go; Django's own takes two templates for each choice."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Write the list with what is chosen in it."""
        chosen = set(self.format_value(value))
        mine = self.build_attrs(self.attrs, {**(attrs or {}), "name": name})
        options = "\n".join(
            f'<option value="{escape(str(code))}"{" selected" if str(code) in chosen else ""}>'
            f"{escape(str(label))}</option>"
            for code, label in self.choices
        )
        return format_html("<select{}>{}</select>", flatatt(mine), mark_safe(options))


class ScopedChoiceField(forms.ModelChoiceField):
    """A choice of rows of the scope in force; the rows are asked for when the form is used, never at import."""

    def __init__(
        self,
        model: type[models.Model],
        *,
        only: Mapping[str, Any] | None = None,
        order: str = "name",
        **options: Any,
    ) -> None:
        self.model, self.only, self.order = model, dict(only or {}), order
        options.setdefault("empty_label", "Choose…" if options.get("required", True) else "None")
        super().__init__(queryset=None, **options)  # type: ignore[arg-type]

    def _get_queryset(self) -> Any:
        return self.model.objects.filter(**self.only).order_by(self.order, "pk")  # type: ignore[attr-defined]

    def _set_queryset(self, queryset: Any) -> None:
        """Ignore what ModelChoiceField sets: the rows depend on the scope in force."""

    queryset = property(_get_queryset, _set_queryset)  # type: ignore[assignment]

    def __deepcopy__(self, memo: Any) -> "ScopedChoiceField":
        result: ScopedChoiceField = forms.Field.__deepcopy__(self, memo)  # type: ignore[assignment]
        result.widget.choices = result.choices  # type: ignore[attr-defined]
        return result


class ReferenceField(forms.CharField):
    """A row of the scope named by its code or number; cleans to the row."""

    def __init__(self, model: type[models.Model], *, by: str, what: str, **options: Any) -> None:
        self.model, self.by, self.what = model, by, what
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        """Return the row, None when left empty; raises a sentence when there is none."""
        text = super().clean(value)
        if not text:
            return None
        row = self.model.objects.filter(**{self.by: text}).first()  # type: ignore[attr-defined]
        if row is None:
            raise ValidationError(f"There is no {self.what} “{text}”.")
        return row


def limits(db_field: models.Field) -> dict[str, Any]:
    """Return the least and greatest value the table's own checks allow, so that the form says it in words."""
    places = getattr(db_field, "decimal_places", 0) or 0
    step, found = (Decimal(1).scaleb(-places) if places else 1), {}
    ends = {"gte": ("min_value", 0), "gt": ("min_value", 1), "lte": ("max_value", 0), "lt": ("max_value", -1)}
    checks = [c for c in db_field.model._meta.constraints if isinstance(c, models.CheckConstraint)]
    for lookup, value in (term for check in checks for term in _terms(check.condition)):
        name, _, how = lookup.partition("__")
        if name == db_field.name and how in ends and isinstance(value, int):
            end, steps = ends[how]
            found[end] = value + steps * step
    return found


def _terms(check: Any) -> Iterator[tuple[str, Any]]:
    """Yield the comparisons a row must pass one by one; "empty, or more than" counts as its comparison."""
    if isinstance(check, tuple):
        yield check
        return
    if not isinstance(check, models.Q) or check.negated:
        return
    parts = [c for c in check.children if not (isinstance(c, tuple) and c[0].endswith("__isnull"))]
    if check.connector == models.Q.AND or len(parts) == 1:
        for part in parts:
            yield from _terms(part)


def house_field(db_field: models.Field, **options: Any) -> Any:
    """Make the form field of a model field: scoped choices for links, the browser's picker for days."""
    if isinstance(db_field, models.ForeignKey):
        return ScopedChoiceField(
            db_field.remote_field.model,
            required=not db_field.blank,
            label=db_field.verbose_name.capitalize(),
            help_text=db_field.help_text,
        )
    if isinstance(db_field, models.IntegerField | models.DecimalField):
        options = limits(db_field) | options
    if isinstance(db_field, models.DateField) and not isinstance(db_field, models.DateTimeField):
        options["widget"] = DayInput()
    return db_field.formfield(**options)


class PeriodInput(forms.Select):
    """A list of presets and months; "Between two dates" shows two days beside it."""

    template_name = "ui/_period.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Read the choice; two dates become "first..end" (end exclusive)."""
        value = super().value_from_datadict(data, files, name)
        if value != BETWEEN:
            return value
        first, last = data.get(f"{name}_from", ""), data.get(f"{name}_to", "")
        try:
            return f"{first}..{date.fromisoformat(last) + timedelta(days=1)}"
        except (ValueError, OverflowError):
            return f"{first}..{last}" if first or last else ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Add the two days of a range to the template's context."""
        first, _, end = str(value or "").partition("..")
        context = super().get_context(name, BETWEEN if end else value, attrs)
        try:
            last = str(date.fromisoformat(end) - timedelta(days=1)) if end else ""
        except ValueError:
            last = end
        context["range"] = {"from": first if end else "", "to": last}
        return context


class PeriodField(forms.Field):
    """A period of local days: a preset, a month or two dates; cleans to a Period in the reseller's zone."""

    widget = PeriodInput

    def __init__(
        self, *, zone: Any = None, months: int = 13, any_label: str = "Any time", **options: Any
    ) -> None:
        self.zone, self.months, self.any_label = zone, months, any_label
        super().__init__(**options)

    def get_bound_field(self, form: Any, field_name: str) -> Any:
        """Fill the list with what is recent on the day the page is read."""
        today = timezone.now().astimezone(self.zone or Period.zone).date()
        month = month_of(today, self.zone or Period.zone).start
        recent = [add_months(month, -i) for i in range(self.months)]
        empty = [] if self.required else [("", self.any_label)]
        self.widget.choices = [
            *empty,
            *PRESET_LABELS.items(),
            *[(f"{m:%Y-%m}", f"{m:%B %Y}") for m in recent],
            (BETWEEN, "Between two dates"),
        ]
        return super().get_bound_field(form, field_name)

    def clean(self, value: Any) -> Period | None:
        """Return the period, None when left empty; raises the sentence of BadPeriod."""
        if not value:
            if self.required:
                raise ValidationError("Say which period.")
            return None
        zone = self.zone or Period.zone
        try:
            return parse_period(str(value), today=timezone.now().astimezone(zone).date(), zone=zone)
        except BadPeriod as bad:
            raise ValidationError(str(bad)) from None
