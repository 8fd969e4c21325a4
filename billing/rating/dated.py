"""Looks up values by key and day in columns: whose number, which tariff, over half-open ranges of days.

Days are counted from 1 January 1970; -1 stands for "nothing found" and for "no key".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

NONE = -1
FOREVER = 1_000_000
_SPAN = 1 << 21
_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date | None) -> int:
    """Return a day as a count from 1 January 1970; no day is the end of time."""
    return FOREVER if day is None else day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """Return the day of a day number."""
    return date.fromordinal(int(number) + _EPOCH)


@dataclass(frozen=True, slots=True)
class DatedTable:
    """Values (not negative) by key over ranges of days that do not overlap, sorted by key and first day."""

    marks: Ints
    keys: Ints
    ends: Ints
    values: Ints

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int]]) -> "DatedTable":
        """Build from rows (key, first day, end day, value); where rows overlap, the one that starts last holds."""
        table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 4)
        overlap = (table[1:, 0] == table[:-1, 0]) & (table[1:, 1] < table[:-1, 2])
        if overlap.any():
            wrong = set(table[1:, 0][overlap].tolist())
            clean = [row for row in table.tolist() if row[0] not in wrong]
            for key in wrong:
                clean += _cut([row for row in table.tolist() if row[0] == key])
            table = np.array(sorted(clean), dtype=np.int64).reshape(-1, 4)
        keys, starts, ends, values = (table[:, column].copy() for column in range(4))
        return cls(keys * _SPAN + starts, keys, ends, values)

    def find(self, key: Ints, day: Ints) -> Ints:
        """Return the value in force of each key on its day."""
        at = self._position(key, day)
        if not len(self.keys):
            return at
        return np.where((at >= 0) & (day < self.ends[at]), self.values[at], NONE)

    def find_by_group(self, group: Ints, key: Ints, day: Ints) -> Ints:
        """Return the value in force per row; `group` gives each row's position in `key`.

        Rows are looked up one by one only where the group's value changes between the first and last day.
        """
        if not len(group) or not len(self.keys) or not len(key):
            return np.full(len(group), NONE, dtype=np.int64)
        first, last = int(day.min()), int(day.max())
        low = self._position(key, np.full(len(key), first))
        high = self._position(key, np.full(len(key), last))
        end = np.where(low >= 0, self.ends[low], FOREVER)
        steady = (low == high) & ((end > last) | (end <= first))
        value = np.where((low >= 0) & (end > last), self.values[low], NONE)
        found = np.where(group >= 0, value[group], NONE)
        if not steady.all():
            rows = np.flatnonzero((group >= 0) & ~steady[group])
            found[rows] = self.find(key[group[rows]], day[rows])
        return found

    def _position(self, key: Ints, day: Ints) -> Ints:
        """Return the last range of the key that has begun on the day."""
        at = np.searchsorted(self.marks, key * _SPAN + day, side="right") - 1
        if not len(self.keys):
            return np.full(len(key), NONE, dtype=np.int64)
        return np.where((at >= 0) & (self.keys[at] == key) & (key >= 0), at, NONE)


def _cut(rows: list[list[int]]) -> list[list[int]]:
    """Cut overlapping ranges of one key into pieces that do not overlap."""
    edges = sorted({edge for row in rows for edge in row[1:3]})
    pieces = []
    for start, end in zip(edges, edges[1:], strict=False):
        holding = [row for row in rows if row[1] <= start < row[2]]
        if holding:
            pieces.append([rows[0][0], start, end, max(holding, key=lambda row: (row[1], row[3]))[3]])
    return pieces
