"""Frozen rows on disk: one Parquet file per run, typed, read page by page in any order.

Decimals are kept as text, exactly as they were; sorting and summing cast them to 38-digit decimals.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports.arrow import array, lists, plain, scalar
from resellerkpi.core.batches import Batch
from resellerkpi.core.columns import (
    BY_ROW,
    Column,
    Date,
    DateTime,
    Flag,
    Growth,
    Int,
    Minutes,
    Money,
    Number,
    Row,
)

GROUP_ROWS = 5_000
EXACT = pa.decimal128(38, 12)
INT, DAY, TRUTH, WORDS = pa.int64(), pa.date32(), pa.bool_(), pa.string()
AMOUNT = b"amount"
COUNT = "rows"


class Inexact(TypeError):
    """Raised when a report hands a binary float: a defect of the report."""


def fields_of(columns: Iterable[Column], zone: str) -> pa.Schema:
    """Return what a row of these columns keeps: values, parts of ratios, currencies, ids behind links."""
    found: dict[str, pa.Field] = {}
    for column in columns:
        for part in column.parts or ():
            found.setdefault(part, _amount(part))
        if not column.parts:
            found[column.name] = _field(column, zone)
        if isinstance(column, Money) and not column.currency.startswith("="):
            found.setdefault(column.currency, pa.field(column.currency, WORDS))
        if column.url:
            found.setdefault(f"{column.name}_id", pa.field(f"{column.name}_id", INT))
        if column.url == BY_ROW:
            found.setdefault(f"{column.name}_url", pa.field(f"{column.name}_url", WORDS))
    return pa.schema(list(found.values()))


def _amount(name: str) -> pa.Field:
    return pa.field(name, WORDS, metadata={AMOUNT: b"1"})


def _field(column: Column, zone: str) -> pa.Field:
    if isinstance(column, Int | Minutes):
        return pa.field(column.name, INT)
    if isinstance(column, Number):
        return _amount(column.name)
    kinds = ((Date, DAY), (Flag, TRUTH), (DateTime, pa.timestamp("us", tz=zone)))
    return pa.field(column.name, next((t for kind, t in kinds if isinstance(column, kind)), WORDS))


class Freezer:
    """Writes rows to a file in groups while they pass through."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema, self.count = schema, 0
        self._amounts = amounts_of(schema)
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Self:
        """Start writing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close the file."""
        self._writer.close()

    def passing(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield each row as it will be read back, after it was taken down."""
        held: list[dict[str, Any]] = []
        for row in rows:
            kept = {name: self._kept(name, row.get(name)) for name in self.schema.names}
            held.append(kept)
            self.count += 1
            if len(held) == GROUP_ROWS:
                self._write(held)
                held = []
            yield row
        if held or not self.count:
            self._write(held)

    def _kept(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, float):
            raise Inexact(f"“{name}” is a binary float; give a Decimal.")
        if name in self._amounts:
            return format(D(value), "f")
        return value

    def _write(self, rows: list[dict[str, Any]]) -> None:
        columns = [array([row[f.name] for row in rows], f.type) for f in self.schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self.schema), row_group_size=GROUP_ROWS)


def amounts_of(schema: pa.Schema) -> set[str]:
    """Return the names of the fields that are exact decimals."""
    return {field.name for field in schema if AMOUNT in (field.metadata or {})}


class Frozen:
    """The frozen rows of a run."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.schema: pa.Schema = self._file.schema_arrow
        self.count: int = self._file.metadata.num_rows

    @cached_property
    def _amounts(self) -> set[str]:
        return amounts_of(self.schema)

    def order(self, column: Column, *, descending: bool) -> Sequence[int]:
        """Return row positions sorted by a column, empty values last, equal ones as they were."""
        order = "descending" if descending else "ascending"
        return plain(pc.array_sort_indices(self._key(column).combine_chunks(), order=order))

    def _key(self, column: Column) -> Any:
        if column.parts:
            return self._ratio(column)
        if column.name in self._amounts:
            return self._exact(column.name)
        values = self._file.read(columns=[column.name]).column(0)
        return pc.utf8_lower(values) if values.type == WORDS else values

    def _ratio(self, column: Column) -> Any:
        """Return a ratio's values as good as sorting needs them."""
        zero, gap = scalar(0, pa.float64()), scalar(None, pa.float64())
        values = [pc.cast(self._exact(part), pa.float64()) for part in column.parts or ()]
        below = [pc.if_else(pc.equal(bottom, zero), gap, bottom) for bottom in values[1::2]]
        if isinstance(column, Growth):
            below = [pc.abs(bottom) for bottom in below]
        found = [pc.divide(top, bottom) for top, bottom in zip(values[::2], below, strict=True)]
        return found[0] if len(found) == 1 else pc.subtract(*found)

    def _exact(self, name: str) -> Any:
        return pc.cast(self._file.read(columns=[name]).column(0), EXACT)

    def rows(
        self, *, start: int = 0, stop: int | None = None, order: Sequence[int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows from `start` to `stop` of an order (as frozen when None), reading only their groups."""
        for table in self._tables(start, self.count if stop is None else min(stop, self.count), order):
            held = lists(table)
            for name in self._amounts:
                held[name] = [None if text is None else D(text) for text in held[name]]
            for row in zip(*held.values(), strict=True):
                yield dict(zip(held, row, strict=True))

    def batches(self, order: Sequence[int] | None = None) -> Iterator[Batch]:
        """Yield all rows of an order as batches; amounts are decimal text."""
        for table in self._tables(0, self.count, order):
            yield lists(table)

    def write_sorted(self, path: Path, order: Sequence[int]) -> None:
        """Write a copy in another order, so that a page of it lies together."""
        held = self._file.read()
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            for at in range(0, len(order), GROUP_ROWS):
                block = held.take(array(order[at : at + GROUP_ROWS], INT))
                writer.write_table(block, row_group_size=GROUP_ROWS)

    def _tables(self, start: int, stop: int, order: Sequence[int] | None) -> Iterator[pa.Table]:
        if order is not None:
            yield from self._picked(order[start:stop])
            return
        for group in range(start // GROUP_ROWS, -(-stop // GROUP_ROWS)):
            first = group * GROUP_ROWS
            table = self._file.read_row_group(group)
            yield table.slice(max(start - first, 0), stop - max(start, first))

    def _picked(self, wanted: Sequence[int]) -> Iterator[pa.Table]:
        groups = sorted({at // GROUP_ROWS for at in wanted})
        first = {group: index * GROUP_ROWS for index, group in enumerate(groups)}
        held = self._file.read_row_groups(groups)
        for at in range(0, len(wanted), GROUP_ROWS):
            places = [first[w // GROUP_ROWS] + w % GROUP_ROWS for w in wanted[at : at + GROUP_ROWS]]
            yield held.take(array(places, INT))

    def summed(self, by: Mapping[str, str], names: Sequence[str]) -> list[dict[str, Any]]:
        """Return exact sums by fields; a dated field falls into its grain ("month"…, "" as it is); COUNT counts."""
        table = self._file.read(columns=[name for name in (*by, *names) if name != COUNT])
        keys = zip(*(plain(_bucket(table.column(name), grain)) for name, grain in by.items()), strict=True)
        values = zip(*(self._summands(table, name) for name in names), strict=True)
        found: dict[tuple[Any, ...], list[Any]] = {}
        for key, amounts in zip(keys, values, strict=True):
            sums = found.setdefault(key, [0] * len(names))
            for place, amount in enumerate(amounts):
                sums[place] += amount
        return [
            {**dict(zip(by, key, strict=True)), **dict(zip(names, sums, strict=True))}
            for key, sums in found.items()
        ]

    def _summands(self, table: pa.Table, name: str) -> list[Any]:
        if name == COUNT:
            return [1] * table.num_rows
        kind = D if name in self._amounts else int
        return [kind(value or 0) for value in plain(table.column(name))]


def _bucket(values: Any, grain: str) -> Any:
    if pa.types.is_timestamp(values.type):
        values = pc.local_timestamp(values)
    elif not pa.types.is_date(values.type) or not grain:
        return values
    return pc.cast(pc.floor_temporal(values, unit=grain or "day"), DAY)
