"""Forms of the pages that take call files: the file, and the columns of a layout of one's own."""

from collections.abc import Sequence
from typing import Any

from django import forms

from billing.importing.formats import FORMATS
from billing.models import Carrier, SourceMapping
from resellerkpi.ui.forms import ScopedChoiceField

OWN = "own"
SAVED = "saved-"
COLUMN = "column_"
ORDERS = (
    ("", "As the carrier's setting says"),
    ("day", "Day first: 22/11/2026"),
    ("month", "Month first: 11/22/2026"),
)
SERVICES = (("voice", "Calls"), ("sms", "Messages"), ("data", "Data"))
#: Field, its label, and headings by which it is guessed.
FIELDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("identity", "Whose call it is", ("account", "user_id", "customer", "ddi", "number", "msisdn")),
    ("identity_2", "Whose call it is, second try", ()),
    (
        "started_at",
        "Date, or date and time",
        ("started_at", "start", "calldate", "call_date", "date", "start_time"),
    ),
    ("time", "Time, when it has its own column", ("time", "call_time")),
    ("dialled", "Number dialled", ("dialled", "dst", "destination_number", "to", "called")),
    ("cli", "Caller", ("cli", "src", "from", "caller")),
    ("duration", "Duration", ("duration", "billsec", "seconds", "minutes")),
    ("volume", "Data volume", ("volume", "mb_used", "mb", "bytes")),
    ("answered", "Answered or not", ("disposition", "status", "answered")),
    ("cost", "Supplier's price", ("cost", "price", "charge", "salesprice")),
    ("charge_code", "Supplier's charge code", ("chargecode", "code")),
    ("band", "Time band", ("timeband", "band")),
    ("destination", "Destination in words", ("description", "destination")),
    ("uid", "The carrier's id of the call", ("id", "uniqueid", "uid", "recordid", "sid")),
)


def layouts() -> list[tuple[str, str]]:
    """Return the layouts a file may have: the known ones, those the reseller has saved, and one to be declared."""
    known = [(fmt.name, fmt.label) for fmt in FORMATS]
    saved = [(f"{SAVED}{row.pk}", row.name) for row in SourceMapping.objects.order_by("name")]
    return [*known, *saved, (OWN, "Another layout: say which column is which")]


class CallFileForm(forms.Form):
    """The file, who sent it and how it is laid out."""

    file = forms.FileField(label="Call file", help_text="CSV or text, also in a .gz or .zip, or XLSX.")
    carrier = ScopedChoiceField(Carrier, label="Carrier")
    layout = forms.ChoiceField(label="Layout", choices=())

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["layout"].choices = layouts()  # type: ignore[attr-defined]


class ColumnsForm(forms.Form):
    """Which column of a call file is which field, and in which units."""

    service = forms.ChoiceField(choices=SERVICES, label="What the file holds")
    has_header = forms.BooleanField(required=False, initial=True, label="The first line holds headings")
    dates = forms.ChoiceField(choices=ORDERS, required=False, label="Dates are written")
    duration_unit = forms.ChoiceField(
        choices=(("seconds", "Seconds"), ("minutes", "Minutes"), ("hh:mm:ss", "h:mm:ss")),
        label="Duration is in",
    )
    volume_unit = forms.ChoiceField(
        choices=(("mb", "MB"), ("kb", "KB"), ("bytes", "Bytes"), ("gb", "GB")), label="Data volume is in"
    )
    cost_unit = forms.ChoiceField(
        choices=(("units", "Pounds, euros…"), ("pence", "Pence, cents…")), label="Price is in"
    )
    decimal = forms.ChoiceField(choices=((".", "Point: 1.5"), (",", "Comma: 1,5")), label="Decimal mark")
    answered_values = forms.CharField(
        required=False,
        label="Words for answered",
        help_text="With commas between, such as ANSWERED. Empty: every call is.",
    )
    save_as = forms.CharField(required=False, max_length=60, label="Keep this layout as")

    def __init__(self, *args: Any, heads: Sequence[str], delimiter: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heads, self.delimiter = heads, delimiter
        offered = [("", "Not in the file")]
        offered += [(str(at), head.strip() or f"Column {at + 1}") for at, head in enumerate(heads)]
        plain = {
            "".join(ch for ch in head.lower() if ch.isalnum() or ch == "_"): at
            for at, head in enumerate(heads)
        }
        for name, label, aliases in FIELDS:
            guess = next((plain[alias] for alias in aliases if alias in plain), None)
            self.fields[COLUMN + name] = forms.ChoiceField(
                choices=offered,
                required=name in ("identity", "started_at"),
                label=label,
                initial="" if guess is None else str(guess),
            )

    @property
    def columns(self) -> list[Any]:
        """The choices of columns."""
        return [self[COLUMN + name] for name, _, _ in FIELDS]

    @property
    def settings(self) -> list[Any]:
        """The other questions of the form."""
        return [bound for bound in self if not bound.name.startswith(COLUMN)]

    def spec(self) -> dict[str, Any]:
        """Return what was chosen as a mapping (docs/formats.md)."""
        data = self.cleaned_data
        chosen: dict[str, Any] = {
            name: self._column(data[COLUMN + name]) for name, _, _ in FIELDS if data.get(COLUMN + name)
        }
        identities = [chosen.pop(name) for name in ("identity", "identity_2") if name in chosen]
        if "time" in chosen:
            chosen["started_at"] = {"date": chosen["started_at"], "time": chosen.pop("time")}
        spec = {
            name: data[name] for name in ("service", "duration_unit", "volume_unit", "cost_unit", "decimal")
        }
        spec |= {"delimiter": self.delimiter, "has_header": data["has_header"]}
        if data["dates"]:
            spec["day_first"] = data["dates"] == "day"
        words = [word.strip() for word in data["answered_values"].split(",") if word.strip()]
        return {**spec, "answered_values": words, "columns": {"identity": identities, **chosen}}

    def _column(self, place: str) -> str | int:
        """Name a column by its heading where that is enough, so that a kept layout survives another order."""
        heading = self.heads[int(place)].strip()
        unique = [head.strip().lower() for head in self.heads].count(heading.lower()) == 1
        return heading if self.cleaned_data["has_header"] and heading and unique else int(place)
