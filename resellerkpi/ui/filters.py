"""Filters above lists: scoped choices, words, periods."""

from typing import Any

import django_filters
from django import forms
from django.db import models
from django.db.models import Q, QuerySet

from resellerkpi.core.periods import Period
from resellerkpi.ui.forms import PeriodField, ScopedChoiceField


class ScopedFilterSet(django_filters.FilterSet):
    """A filter set of the house; the request's reseller gives the zone of periods."""

    def get_form_class(self) -> Any:
        """Give period fields the reseller's zone."""
        form_class = super().get_form_class()
        reseller = getattr(self.request, "reseller", None)
        for field in form_class.base_fields.values():
            if isinstance(field, PeriodField) and reseller is not None:
                field.zone = reseller.zone
        return form_class

    def chips(self) -> list[tuple[str, str, str]]:
        """Return the filters in force as (parameter, label, value in words)."""
        found = []
        for name, field in self.form.fields.items():
            value = self.form.cleaned_data.get(name) if self.form.is_valid() else None
            if value in (None, "", []):
                continue
            label = self.filters[name].label or name.replace("_", " ").capitalize()
            found.append((name, label, _words(field, value)))
        return found


def _words(field: Any, value: Any) -> str:
    if isinstance(value, Period | models.Model):
        return str(value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    choices = dict(getattr(field, "choices", ()) or ())
    return str(choices.get(value, value))


class SearchFilter(django_filters.CharFilter):
    """Words found in any of some fields, whatever their case."""

    def __init__(self, *fields: str, label: str = "Search", **options: Any) -> None:
        self.fields = fields
        super().__init__(label=label, widget=forms.TextInput(attrs={"type": "search"}), **options)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Narrow to rows in which every word is found."""
        for word in str(value or "").replace("\x00", " ").split():
            found = Q()
            for field in self.fields:
                found |= Q(**{f"{field}__icontains": word})
            qs = qs.filter(found)
        return qs


class PeriodFilter(django_filters.Filter):
    """Rows of a period: by day, or by instant in the reseller's zone when `instant`."""

    field_class = PeriodField

    def __init__(
        self, field_name: str, *, instant: bool = False, label: str = "Period", **options: Any
    ) -> None:
        self.instant = instant
        super().__init__(field_name=field_name, label=label, **options)

    def filter(self, qs: QuerySet[Any], value: Period | None) -> QuerySet[Any]:
        """Narrow to the half-open range of the period."""
        if value is None:
            return qs
        first, end = (value.starts_at, value.ends_at) if self.instant else (value.start, value.end)
        return qs.filter(**{f"{self.field_name}__gte": first, f"{self.field_name}__lt": end})


class ScopedChoiceFilter(django_filters.Filter):
    """Rows that point to a chosen row of the scope."""

    field_class = ScopedChoiceField

    def __init__(self, model: type[models.Model], field_name: str, *, label: str, **options: Any) -> None:
        options.setdefault("empty_label", "Any")
        super().__init__(field_name=field_name, label=label, model=model, **options)


class OneOf(django_filters.ChoiceFilter):
    """Rows with one of a field's choices."""

    def __init__(self, field_name: str, choices: Any, *, label: str, **options: Any) -> None:
        options.setdefault("empty_label", "Any")
        super().__init__(field_name=field_name, label=label, choices=choices, **options)


class YesNoFilter(django_filters.ChoiceFilter):
    """Rows where a flag is on or off."""

    def __init__(self, field_name: str, *, label: str, **options: Any) -> None:
        choices = (("yes", "Yes"), ("no", "No"))
        super().__init__(field_name=field_name, label=label, choices=choices, empty_label="Any", **options)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Narrow by the flag."""
        return qs.filter(**{self.field_name: value == "yes"}) if value in ("yes", "no") else qs
