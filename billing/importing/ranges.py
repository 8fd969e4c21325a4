"""Dated rows of the book that an import adds to: compares half-open ranges with those already there."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.importing.tables.kind import Row, Work


@dataclass(frozen=True)
class Held:
    """A range in the book or of an earlier line: who holds the thing, from when up to (not including) when."""

    holder: Any
    start: date
    end: date | None

    def overlaps(self, start: date, end: date | None) -> bool:
        """Whether the range has a day in common with another."""
        return (self.end is None or start < self.end) and (end is None or self.start < end)

    def said(self) -> str:
        """Return the range in words."""
        return f"from {self.start}" + (f" until {self.end}" if self.end else "")


def check_ranges(
    rows: Sequence[Row],
    work: Work,
    *,
    thing: Callable[[Row], Hashable],
    holder: Callable[[Row], Any],
    book: Iterable[tuple[Hashable, Held]],
    field: str,
    sentence: str,
    same_holder_is_fine: bool = False,
) -> list[Row]:
    """Refuse rows that overlap the book or an earlier line, and return those that are new or end an open range.

    A row equal to a range in the book (same holder and start) is that range: it may end it, never move its end.
    `sentence` says the clash, with {holder} and {range}.
    """
    held: dict[Hashable, list[Held]] = defaultdict(list)
    for key, known in book:
        held[key].append(known)
    fresh: list[Row] = []
    for row in rows:
        start, end = row["start_date"], row["end_date"]
        there = held[thing(row)]
        same = next((h for h in there if h.holder == holder(row) and h.start == start), None)
        clash = next((h for h in there if h is not same and h.overlaps(start, end)), None)
        if clash is not None and same_holder_is_fine and clash.holder == holder(row):
            continue
        if clash is not None:
            work.refuse(row, field, sentence.format(holder=clash.holder, range=clash.said()))
        elif same is not None and same.end is not None and end not in (None, same.end):
            work.refuse(row, "end_date", f"It ended on {same.end} already; a past end is not moved.")
        elif same is None or (same.end is None and end is not None):
            if same is not None:
                there.remove(same)
            there.append(Held(holder(row), start, end))
            fresh.append(row)
    return fresh
