"""Form fields for reports' filters: codes instead of ids in the address, rows of the scope only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.db import models
from django.db.models import CharField, Func

from billing.models import Customer
from reports.grouping import Dimension
from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership
from resellerkpi.core.scope import current

ANY = ("", "Any")


class SeveralField(forms.MultipleChoiceField):
    """Several of a list; values may also come separated by commas, as commands write them."""

    def to_python(self, value: Any) -> list[str]:
        """Return the values; a text that is no value itself is split at commas."""
        return list(dict.fromkeys(part for text in super().to_python(value) for part in self._parts(text)))

    def _parts(self, text: str) -> Iterator[str]:
        yield from (
            [text] if self.valid_value(text) else [part.strip() for part in text.split(",") if part.strip()]
        )


class SelectsInput(forms.Widget):
    """Several lists of the same choices, one below the other: the order of what is chosen counts."""

    template_name = "reports/_selects.html"

    def __init__(self, choices: Sequence[tuple[str, str]] = (), places: int = 3) -> None:
        super().__init__()
        self.choices, self.places = list(choices), places

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return what is chosen, in order."""
        return [value for value in data.getlist(name) if value]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Give the template one list per place, each with its choice."""
        context = super().get_context(name, value, attrs)
        chosen = [*(value or []), *[""] * self.places][: max(self.places, len(value or []))]
        context["places"] = [{"chosen": slug, "number": n} for n, slug in enumerate(chosen, 1)]
        context["choices"] = self.choices
        return context


class GroupsField(SeveralField):
    """What to group by: several dimensions, the first first."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        choices = [(d.slug, d.label) for d in dimensions]
        widget = SelectsInput(choices, places=min(3, len(choices)))
        super().__init__(required=False, label="Group by", choices=choices, widget=widget)


class CodesField(SeveralField):
    """Several rows of the scope, named by their codes."""

    def __init__(
        self, model: type[models.Model], *, only: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        def found() -> list[tuple[str, str]]:
            rows = model.objects.filter(**(only or {})).order_by("name", "code").values_list("code", "name")  # type: ignore[attr-defined]
            return [(code, f"{name} ({code})") for code, name in rows]

        super().__init__(choices=found, **options)


class WordsField(forms.ChoiceField):
    """One of the words that rows of the scope use in a field."""

    def __init__(self, model: type[models.Model], field: str, **options: Any) -> None:
        def found() -> list[tuple[str, str]]:
            words = model.objects.order_by(field).values_list(field, flat=True).distinct()  # type: ignore[attr-defined]
            return [ANY, *((word, word.replace("_", " ").capitalize()) for word in words if word)]

        super().__init__(choices=found, **options)


class TagField(SeveralField):
    """Some of the tags that customers of the scope have."""

    def __init__(self, **options: Any) -> None:
        def found() -> list[tuple[str, str]]:
            tags = Customer.objects.annotate(tag=Func("tags", function="unnest", output_field=CharField()))
            return [(tag, tag) for tag in tags.order_by("tag").values_list("tag", flat=True).distinct()]

        super().__init__(choices=found, **options)


class PersonField(forms.ChoiceField):
    """One of the people who work for the scope's reseller; cleans to the user's id."""

    def __init__(self, **options: Any) -> None:
        def found() -> list[tuple[str, str]]:
            outside = (Role.CUSTOMER, Role.DEALER)
            rows = Membership.objects.filter(reseller_id__in=current().reseller_ids).exclude(role__in=outside)
            people = rows.order_by("user__name").values_list("user_id", "user__name", "user__email")
            return [ANY, *((str(pk), name or email) for pk, name, email in people)]

        super().__init__(choices=found, **options)
