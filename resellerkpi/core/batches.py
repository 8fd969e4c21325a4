"""Rows column by column: files of a million rows are written so, a call per column and batch, not per cell.

A batch maps field names to lists of the same length. Exact amounts may stand in it as decimal text, as frozen rows
keep them: a file has no need of the number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from itertools import islice
from typing import Any

from resellerkpi.core.columns import Column, Date, Money, Number, Row

Batch = Mapping[str, Sequence[Any]]
SIZE = 2_000
#: What gives a value back as it stands in the row; anything else is asked cell by cell.
AS_IS = (Column.cell, Number.cell, Date.cell)
TEXTS = {str, type(None)}


def batched(columns: Sequence[Column], rows: Iterable[Row], size: int = SIZE) -> Iterator[Batch]:
    """Yield rows as batches of the fields these columns read."""
    names = fields_read(columns)
    iterator = iter(rows)
    while held := list(islice(iterator, size)):
        yield {name: [row.get(name) for row in held] for name in names}


def fields_read(columns: Iterable[Column]) -> list[str]:
    """Return the fields of a row that columns read."""
    found: dict[str, None] = {}
    for column in columns:
        found |= dict.fromkeys([column.name, *(column.parts or ())])
        if isinstance(column, Money):
            found[column.currency] = None
    return list(found)


def size_of(batch: Batch) -> int:
    """Return how many rows a batch has."""
    return len(next(iter(batch.values()), ()))


def cells(column: Column, batch: Batch) -> Sequence[Any]:
    """Return a column's cells as its `cell` makes them; a plain number may come as decimal text."""
    if column.parts is None and type(column).cell in AS_IS:
        values = batch.get(column.name) or [None] * size_of(batch)
        if isinstance(column, Number | Date) or kinds(values) <= TEXTS:
            return values
        return [None if value is None else str(value) for value in values]
    if column.parts and type(column).value is Column.value and type(column).cell is Number.cell:
        pairs = zip(*(_numbers(batch[part]) for part in column.parts), strict=True)
        return [None if top is None or not bottom else D(top) / bottom for top, bottom in pairs]
    names = [name for name in fields_read([column]) if name in batch]
    numbers = set(column.parts or ())
    lists = [_numbers(batch[name]) if name in numbers else batch[name] for name in names]
    return [column.cell(dict(zip(names, row, strict=True))) for row in zip(*lists, strict=True)]


def kinds(values: Iterable[Any]) -> set[type]:
    """Return the types among values."""
    return set(map(type, values))


def _numbers(values: Sequence[Any]) -> list[Any]:
    return [D(value) if type(value) is str else value for value in values]


class Feed:
    """Batches taken a sheet at a time."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._source = iter(batches)
        self._held: Batch | None = next(self._source, None)
        self.count = 0

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        return self._held is None

    def take(self, most: int) -> Iterator[Batch]:
        """Yield batches of `most` rows together; the rest waits for the next sheet."""
        while most and self._held is not None:
            batch, size = self._held, size_of(self._held)
            if size > most:
                self._held = {name: values[most:] for name, values in batch.items()}
                batch, size = {name: values[:most] for name, values in batch.items()}, most
            else:
                self._held = next(self._source, None)
            most -= size
            self.count += size
            yield batch
