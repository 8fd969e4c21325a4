"""Forms of the import pages, made from the fields of a kind and the headings of a file."""

from collections.abc import Sequence
from typing import Any

from django import forms

from billing.importing.tables.kind import Kind
from billing.importing.tables.mapping import Mapping, guess
from billing.models import Tariff
from resellerkpi.ui.forms import DayInput

COLUMN = "column_"
ORDERS = (
    ("", "As 2026-11-22, or real dates of a workbook"),
    ("day", "Day first: 22/11/2026"),
    ("month", "Month first: 11/22/2026"),
)
MARKS = ((".", "Point: 1,234.50"), (",", "Comma: 1.234,50"))


class UploadForm(forms.Form):
    """The file to load."""

    file = forms.FileField(label="File", help_text="CSV, XLSX or XLS, with the headings in the first line.")


class MappingForm(forms.Form):
    """Which column of the file is which field, and how dates and numbers are written."""

    dates = forms.ChoiceField(choices=ORDERS, required=False, label="Dates are written")
    decimal = forms.ChoiceField(choices=MARKS, label="Decimal mark", initial=".")
    once = forms.BooleanField(
        required=False, label="Take only the first line of each account, number or code"
    )

    def __init__(self, *args: Any, kind: Kind, heads: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind = kind
        guessed = guess(kind.fields, heads)
        offered = [
            ("", "Not in the file"),
            *((str(i), head or f"Column {i + 1}") for i, head in enumerate(heads)),
        ]
        for f in kind.fields:
            at = guessed.get(f.name)
            self.fields[COLUMN + f.name] = forms.ChoiceField(
                choices=offered,
                required=f.required,
                label=f.title,
                help_text=f.help,
                initial="" if at is None else str(at),
            )

    @property
    def columns(self) -> list[Any]:
        """The choices of columns, in the order of the kind's fields."""
        return [self[COLUMN + f.name] for f in self.kind.fields]

    @property
    def settings(self) -> list[Any]:
        """The other questions of the form."""
        return [bound for bound in self if not bound.name.startswith(COLUMN)]

    def mapping(self) -> dict[str, Any]:
        """Return what was chosen as a mapping's JSON."""
        values = self.cleaned_data if self.is_bound else {name: f.initial for name, f in self.fields.items()}
        columns = {f.name: values.get(COLUMN + f.name) for f in self.kind.fields}
        order = values.get("dates")
        return {
            "columns": {name: int(at) if at else None for name, at in columns.items()},
            "day_first": {"day": True, "month": False}.get(order or ""),
            "decimal": values.get("decimal") or ".",
            "once": bool(values.get("once")),
        }

    def options(self) -> dict[str, Any]:
        """Return what else was chosen, as plain values: nothing for lists of the book."""
        return {}

    def read(self) -> Mapping:
        """Return what was chosen as a mapping."""
        return Mapping.of(self.mapping())


class DeckForm(MappingForm):
    """A mapping of a rate deck with the tariff that it is for."""

    tariff = forms.CharField(max_length=120, label="Tariff", help_text="A new name makes a new tariff.")
    wholesale = forms.ChoiceField(choices=Tariff.Kind.choices, label="Kind of tariff")
    currency = forms.RegexField(r"^[A-Za-z]{3}$", required=False, help_text="Of a new tariff; else your own.")
    carrier = forms.CharField(
        max_length=40, required=False, help_text="Code of the carrier, for a wholesale tariff."
    )
    effective = forms.DateField(required=False, widget=DayInput(), label="Rates hold from",
                                help_text="Needed when the tariff has rates; they end on that day.")  # fmt: skip
    complete = forms.BooleanField(required=False, label="The deck is complete: rates it lacks end")
    accept_outliers = forms.BooleanField(required=False, label="Rates far out of range are right")

    def options(self) -> dict[str, Any]:
        """Return what was chosen about the tariff, as plain values."""
        data = self.cleaned_data
        return {
            "tariff": data["tariff"],
            "wholesale": data["wholesale"] == Tariff.Kind.WHOLESALE,
            "currency": data["currency"],
            "carrier": data["carrier"],
            "effective": data["effective"].isoformat() if data["effective"] else None,
            "complete": data["complete"],
            "accept_outliers": data["accept_outliers"],
        }
