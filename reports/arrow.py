"""Arrow arrays from Python values and back without pandas, which Arrow's own short cuts load into every web process."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def array(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """Return values (None for a gap) as an array of a kind: they go through text, which Arrow reads exactly."""
    builder = pa.lib.StringBuilder()
    builder.append_values([_text(value) for value in values])
    made = builder.finish()
    return made if kind == pa.string() else pc.cast(made, kind)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return one value as Arrow computes with it."""
    return array([value], kind)[0]


def plain(values: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return an array's values as Python's: days by way of their text, of which there are few, instants one by one."""
    if pa.types.is_timestamp(values.type):
        return [value.as_py() for value in values]
    if pa.types.is_date(values.type):
        texts = pc.cast(values, pa.string()).to_pylist()
        days = {text: date.fromisoformat(text) for text in set(texts) if text is not None}
        return [days.get(text) for text in texts]
    return values.to_pylist()


def lists(table: pa.Table) -> dict[str, list[Any]]:
    """Return a table's columns as lists."""
    return {name: plain(column) for name, column in zip(table.column_names, table.columns, strict=True)}
