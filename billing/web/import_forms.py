"""Forms of the import pages, made from the fields of a kind and the headings of a file."""

from collections.abc import Sequence
from typing import Any

from django import forms

from billing.importing.tables.kind import Kind
from billing.importing.tables.mapping import Mapping, guess
from billing.models import Tariff
from resellerkpi.ui.forms import DayInput, ScopedChoiceField

COLUMN = "column_"
ORDERS = (
    ("", "As 2026-11-22, or real dates of a workbook"),
    ("day", "Day first: 22/11/2026"),
    ("month", "Month first: 11/22/2026"),
)
NAME, MATCH = "unmatched_name_", "unmatched_match_"
DIVISORS = ((1, "The currency, such as pounds"), (100, "Hundredths, such as pence"), (1000, "Thousandths"),
            (10_000, "Ten-thousandths"), (100_000, "Hundred-thousandths"))  # fmt: skip
OUTLIERS = (("", "Stop and ask"), ("right", "They are right"), ("10", "Use them divided by 10"),
            ("100", "Use them divided by 100"), ("1000", "Use them divided by 1,000"),
            ("10000", "Use them divided by 10,000"))  # fmt: skip
REPEATED = (("", "Stop and ask"), ("first", "The first line counts"), ("last", "The last line counts"),
            ("dearest", "The dearest counts"))  # fmt: skip
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
    divide = forms.ChoiceField(choices=DIVISORS, required=False, initial=1, label="Prices are written in")
    outliers = forms.ChoiceField(
        choices=OUTLIERS, required=False, label="Prices far out of range",
        help_text="As they are when decimal points were lost. They are never loaded without an answer.",
    )  # fmt: skip
    repeats = forms.ChoiceField(
        choices=REPEATED, required=False, label="A prefix that is there twice at different prices"
    )
    names_like = ScopedChoiceField(
        Tariff, required=False, empty_label="The deck’s own tariff", label="Names are destinations of",
        help_text="For a deck without prefixes: the tariff in which its names are looked up.",
    )  # fmt: skip

    def options(self) -> dict[str, Any]:
        """Return what was chosen about the tariff, as plain values."""
        data = self.cleaned_data
        outliers = data["outliers"]
        return {
            "tariff": data["tariff"],
            "wholesale": data["wholesale"] == Tariff.Kind.WHOLESALE,
            "currency": data["currency"],
            "carrier": data["carrier"],
            "effective": data["effective"].isoformat() if data["effective"] else None,
            "accept_outliers": outliers == "right",
            "divide": int(data["divide"] or 1),
            "divide_outliers": int(outliers) if outliers.isdigit() else 1,
            "repeats": data["repeats"] or "ask",
            "names_like": data["names_like"].name if data["names_like"] else "",
            "matches": self.matches(),
        }

    def matches(self) -> dict[str, str]:
        """Return what names of the deck were said to be, by name."""
        found = {}
        for key in self.data:
            at = key.removeprefix(NAME)
            if at != key and str(self.data.get(MATCH + at, "")).strip():
                found[str(self.data[key])] = str(self.data[MATCH + at]).strip()
        return found

    @property
    def kept_matches(self) -> list[tuple[str, str]]:
        """The names matched so far, to be sent again."""
        return sorted(self.matches().items()) if self.is_bound else []
