"""Columns as data and back, so that a frozen run needs no definition of today."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from resellerkpi.core import columns as kinds
from resellerkpi.core.columns import Column

_CLASSES = {
    c.__name__: c
    for c in (
        kinds.Text,
        kinds.Words,
        kinds.Code,
        kinds.Choice,
        kinds.Flag,
        kinds.Int,
        kinds.Decimal,
        kinds.Money,
        kinds.Percent,
        kinds.Growth,
        kinds.Points,
        kinds.Minutes,
        kinds.Date,
        kinds.Bucket,
        kinds.DateTime,
    )
}


def pack(column: Column) -> dict[str, Any]:
    """Return a column as plain data."""
    data: dict[str, Any] = {"type": type(column).__name__}
    for field in fields(column):
        value = getattr(column, field.name)
        if value != field.default:
            data[field.name] = _plain(value)
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int) else str(value)


def unpack(data: Mapping[str, Any]) -> Column:
    """Return the column that `pack` was given."""
    options = {k: v for k, v in data.items() if k != "type"}
    if options.get("parts"):
        options["parts"] = tuple(options["parts"])
    if options.get("choices"):
        options["choices"] = tuple((value, label) for value, label in options["choices"])
    return _CLASSES[data["type"]](**options)


def unpack_all(packed: Iterable[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of a run."""
    return [unpack(data) for data in packed]
