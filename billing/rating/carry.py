"""Roll-over: what a month leaves of an allowance, how much of it the next months may use, and what lapses.

Units leave an allowance oldest first, so a month's end follows from the lots it began with, what it granted and how
much was used; nothing older than that is read again.
"""

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

#: What is left of a month's grant: the month (years times twelve and months) and units.
Lots: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """A month's end: lots carried out, units that lapse, and units that were used beyond all there was."""

    lots: Lots
    expired: int
    overdrawn: int

    @property
    def carried_out(self) -> int:
        """Return the units the next month begins with."""
        return sum(units for _, units in self.lots)


def month_number(month: date) -> int:
    """Return a month as years times twelve and months."""
    return month.year * 12 + month.month - 1


def close_month(month: int, lots: Lots, granted: int, used: int, *, months: int, cap: int | None) -> Closing:
    """Close a month that began with `lots` (oldest first) and was granted units: take off what was used, oldest first.

    A grant may be used for so many `months` more, and no more than the cap is carried in all: the oldest lapse first.
    """
    left = []
    for origin, units in (*lots, (month, granted)):
        taken = min(units, used)
        used -= taken
        if units > taken:
            left.append((origin, units - taken))
    kept = []
    room = cap
    for origin, units in reversed(left):
        if month + 1 - origin > months:
            continue
        held = units if room is None else min(units, room)
        if room is not None:
            room -= held
        if held:
            kept.append((origin, held))
    carried = tuple(reversed(kept))
    expired = sum(units for _, units in left) - sum(units for _, units in carried)
    return Closing(carried, expired, used)
