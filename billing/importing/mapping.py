"""A layout that a user declares in JSON: checked, and turned into a `Format`."""

import codecs
from collections.abc import Mapping
from typing import Any

from billing.importing.refused import FileRefused
from billing.importing.registry import FIELDS, Candidates, Column, Format
from resellerkpi.core.periods import zone_names

CHOICES: dict[str, tuple[str, ...]] = {
    "service": ("voice", "sms", "data"),
    "direction": ("out", "in"),
    "duration_unit": ("seconds", "minutes", "hh:mm:ss"),
    "volume_unit": ("mb", "kb", "bytes", "gb"),
    "cost_unit": ("units", "pence"),
    "decimal": (".", ","),
}
TEXTS = ("delimiter", "encoding", "time_format", "zone", "dialled_default")
FLAGS = ("has_header", "day_first", "cost_negative")
IDENTITIES = 3


class MappingRefused(FileRefused):
    """Raised when a mapping says something that cannot be understood; the sentence names it."""


def format_of(spec: Any, *, name: str = "mapped") -> Format:
    """Turn a user's mapping into a format; raises MappingRefused with the first thing that is wrong."""
    if not isinstance(spec, dict):
        raise MappingRefused("A mapping is a JSON object with at least “columns”.")
    known = {"columns", "answered_values", *CHOICES, *TEXTS, *FLAGS}
    for key in spec:
        if key not in known:
            raise MappingRefused(f"A mapping has no setting “{key}”. Known: {', '.join(sorted(known))}.")
    columns, identities = _columns(spec.get("columns"))
    options: dict[str, Any] = {key: _choice(spec, key) for key in CHOICES if key in spec}
    options |= {key: _text(spec, key) for key in TEXTS if key in spec}
    answered = spec.get("answered_values", [])
    if not isinstance(answered, list) or not all(isinstance(word, str) for word in answered):
        raise MappingRefused("“answered_values” is a list of texts.")
    return Format(
        name=name,
        label="Mapped file",
        about="A file whose columns you name yourself.",
        columns=columns,
        identities=identities,
        key=columns.get("uid", ()),
        required=tuple(columns),
        surcharge_columns=columns.get("surcharge", ()),
        has_header=_flag(spec, "has_header", default=True),
        day_first=_flag(spec, "day_first", default=None),
        cost_sign=-1 if _flag(spec, "cost_negative", default=False) else 1,
        answered_values=tuple(word.upper() for word in answered),
        **options,
    )


def _columns(given: Any) -> tuple[dict[str, Candidates], tuple[Candidates, ...]]:
    if not isinstance(given, dict) or not given:
        raise MappingRefused("The mapping names no “columns”.")
    flat: dict[str, Any] = {**given}
    start = flat.get("started_at")
    if isinstance(start, Mapping):
        flat.pop("started_at")
        flat |= {f: c for f, c in start.items() if f in ("date", "time")}
    identities = flat.pop("identity", None)
    identities = identities if isinstance(identities, list) else [identities]
    if identities == [None] or not 1 <= len(identities) <= IDENTITIES:
        raise MappingRefused("“identity” names one to three columns that tell whose call it is.")
    for name in flat:
        if name not in FIELDS:
            raise MappingRefused(f"There is no field “{name}”. Known: identity, {', '.join(FIELDS)}.")
    if "started_at" not in flat and "date" not in flat:
        raise MappingRefused(
            "The mapping names no column for “started_at”: a file without dates cannot be placed in time."
        )
    return {f: (_column(c),) for f, c in flat.items()}, tuple((_column(c),) for c in identities)


def _column(given: Any) -> Column:
    if isinstance(given, str) and given.strip():
        return given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    raise MappingRefused(f"“{given}” is no column: give its heading, or its place counted from 0.")


def _choice(spec: dict[str, Any], key: str) -> str:
    if spec[key] not in CHOICES[key]:
        raise MappingRefused(f"“{key}” is one of {', '.join(CHOICES[key])}.")
    return str(spec[key])


def _text(spec: dict[str, Any], key: str) -> str:
    value = spec[key]
    if not isinstance(value, str):
        raise MappingRefused(f"“{key}” is a text.")
    if key == "delimiter" and len(value) != 1:
        raise MappingRefused("“delimiter” is one character.")
    if key == "zone" and value and value not in zone_names():
        raise MappingRefused(f"There is no time zone “{value}”.")
    if key == "encoding":
        try:
            codecs.lookup(value)
        except LookupError:
            raise MappingRefused(f"There is no encoding “{value}”.") from None
    return value


def _flag(spec: dict[str, Any], key: str, *, default: Any) -> Any:
    value = spec.get(key, default)
    if value is not default and not isinstance(value, bool):
        raise MappingRefused(f"“{key}” is true or false.")
    return value
