"""Two frozen runs of one query, row by row: what came, what went, which cells moved. Knows files only, no database."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

from reports.frozen import Frozen
from resellerkpi.core.columns import SUM, Column, Number, Row

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
AT_ONCE = 1_000
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Cell:
    """A column's value in both runs; None where the row is not in one."""

    column: Column
    before: Any
    after: Any

    @property
    def difference(self) -> D | None:
        """After less before, nothing counting as 0; None for words and for two gaps."""
        if not isinstance(self.column, Number) or (self.before is None and self.after is None):
            return None
        return D(self.after or 0) - D(self.before or 0)


@dataclass(frozen=True)
class Entry:
    """A row that differs, as it is in the fresh run (in the old one when it went), with its cells that differ."""

    kind: str
    row: Row
    cells: Sequence[Cell]
    label: str


@dataclass(frozen=True)
class Rows:
    """Positions of the rows that differ: pairs of both runs, those of the fresh run alone, those of the old alone."""

    changed: Sequence[tuple[int, int]]
    added: Sequence[int]
    removed: Sequence[int]


class Comparing:
    """Compares an old run with a fresh one by the columns both have and the fields that tell a row from another."""

    def __init__(self, old: Frozen, new: Frozen, columns: Sequence[Column], keys: Sequence[str]) -> None:
        self.old, self.new, self.columns = old, new, columns
        names = [k for k in keys if any(c.name == k for c in columns)]
        self.keys = names or [c.name for c in columns if not isinstance(c, Number) and not c.parts]

    def key(self, row: Row) -> Key:
        """Return what tells a row from another: where a key leads to a page, that page's id."""
        found = ((row.get(f"{name}_id"), row.get(name)) for name in self.keys)
        return tuple(value if pk is None else pk for pk, value in found)

    def label(self, row: Row) -> str:
        """Return a row's keys as people read them."""
        return " · ".join(c.display(row) for c in self.columns if c.name in self.keys) or "The row"

    def _numbered(self, rows: Iterator[dict[str, Any]]) -> Iterator[tuple[Key, bytes, int]]:
        """Yield key, digest and position of each row; rows of one key are told apart by their order."""
        seen: dict[Key, int] = {}
        for at, row in enumerate(rows):
            key = self.key(row)
            nth = seen[key] = seen.get(key, -1) + 1
            values = repr([_plain(c.value(row)) for c in self.columns])
            yield (*key, nth), hashlib.blake2b(values.encode(), digest_size=16).digest(), at

    def rows(self) -> Rows:
        """Find the rows that differ, holding a key and a digest of each row but no row."""
        known = {key: (digest, at) for key, digest, at in self._numbered(self.old.rows())}
        changed, added = [], []
        for key, digest, at in self._numbered(self.new.rows()):
            before = known.pop(key, None)
            if before is None:
                added.append(at)
            elif before[0] != digest:
                changed.append((before[1], at))
        return Rows(changed, added, sorted(at for _, at in known.values()))

    def entries(self, rows: Rows) -> Iterator[list[Entry]]:
        """Yield the differing rows in pieces of AT_ONCE: changed, then added, then removed."""
        for pairs in _pieces(rows.changed):
            before = self.old.rows(order=[a for a, _ in pairs])
            after = self.new.rows(order=[b for _, b in pairs])
            yield [self._changed(a, b) for a, b in zip(before, after, strict=True)]
        for places in _pieces(rows.added):
            yield [self._alone(ADDED, row) for row in self.new.rows(order=places)]
        for places in _pieces(rows.removed):
            yield [self._alone(REMOVED, row) for row in self.old.rows(order=places)]

    def _changed(self, before: Row, after: Row) -> Entry:
        cells = [Cell(c, c.value(before), c.value(after)) for c in self.columns]
        moved = [cell for cell in cells if _plain(cell.before) != _plain(cell.after)]
        return Entry(CHANGED, after, moved, self.label(after))

    def _alone(self, kind: str, row: Row) -> Entry:
        summed = [c for c in self.columns if c.total == SUM]
        pairs = [(c, c.value(row)) for c in summed]
        cells = [Cell(c, None, v) if kind == ADDED else Cell(c, v, None) for c, v in pairs]
        return Entry(kind, row, [cell for cell in cells if cell.before or cell.after], self.label(row))


def _plain(value: Any) -> Any:
    """Return a value so that 1.0 and 1.00 are the same."""
    return format(value.normalize(), "f") if isinstance(value, D) else value


def _pieces(places: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(places), AT_ONCE):
        yield places[start : start + AT_ONCE]


def totals(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> list[dict[str, str]]:
    """Return each total of both runs side by side, as text, per currency; those that are the same too."""
    summed = [c for c in columns if c.total == SUM]
    fields = {c.currency for c in summed if hasattr(c, "currency") and not c.currency.startswith("=")}

    def by_currency(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        return {" ".join(str(row.get(field, "")) for field in sorted(fields)): row for row in rows}

    before, after, found = by_currency(old), by_currency(new), []
    for currency in sorted({*before, *after}):
        for column in summed:
            was, now = (D(str(rows.get(currency, {}).get(column.name) or 0)) for rows in (before, after))
            found.append({"currency": currency, "column": column.name} | _both(was, now))
    return found


def _both(before: D, after: D) -> dict[str, str]:
    return {
        "before": format(before, "f"),
        "after": format(after, "f"),
        "difference": format(after - before, "f"),
    }
