"""Draws allowances (seconds, events, data, money) in call order, and prices volume summed over a period
(3-engine section 2).

All columns are sorted by group (a customer's or a pool's bundle in one period), then the call's start, then
its id: `call_order` gives that order, so the result never depends on the order of the file. Units are the
caller's, whole numbers: seconds, messages, 1e-6 MB, 1e-8 money.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

NO_GROUP = -1

_LIMIT = 2**62


class AllowanceError(ValueError):
    """Columns that allowances cannot be drawn from."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Per call: units of it that the allowance covers, and units taken off the allowance (more, where it
    is drawn in whole steps).
    """

    covered: Ints
    used: Ints


def call_order(group: Ints, started: Ints, call: Ints) -> Ints:
    """Return the row numbers in the order in which allowances are drawn: by group, start and call id."""
    return np.lexsort((call, started, group))


def draw(group: Ints, need: Ints, allowance: Ints, step: int = 1) -> Drawn:
    """Draw each call's need from the allowance of its group until that is used up; the call that crosses the
    end is covered in part.

    `group` is ascending and indexes `allowance`; NO_GROUP covers nothing. With a step, calls take whole
    steps, and a remainder of the allowance smaller than a step is never drawn.
    """
    if step < 1:
        raise AllowanceError("The step of an allowance must be at least 1.")
    steps = -(-need // step)
    before = _before(group, steps)
    held = np.maximum(_of_group(allowance, group), 0) // step
    used = np.clip(held - before, 0, steps) * step
    return Drawn(np.minimum(used, need), used)


def cumulative_units(
    group: Ints, volume: Ints, unit: int, allowance: Ints | None = None, opening: Ints | None = None
) -> Ints:
    """Return the units to price per session when a group's volume is summed, less its allowance, then rounded
    up to whole units.

    Each session gets the units the sum reaches with it less those reached without it, so they add up to the
    period's figure. `opening` is the volume a group used earlier in the period.
    """
    if unit < 1:
        raise AllowanceError("The unit of a data tariff must be above zero.")
    before = _before(group, volume) + _of_group(opening, group) - _of_group(allowance, group)
    return _whole_units(before + volume, unit) - _whole_units(before, unit)


def _whole_units(volume: Ints, unit: int) -> Ints:
    return -(-np.maximum(volume, 0) // unit)


def _of_group(values: Ints | None, group: Ints) -> Ints:
    """Return the group's value on each row; 0 for rows of no group."""
    if values is None or not len(values):
        return np.zeros(len(group), dtype=np.int64)
    return np.where(group == NO_GROUP, 0, values[group])


def _before(group: Ints, amount: Ints) -> Ints:
    """Return what the earlier rows of the same group add up to."""
    if not len(group):
        return np.zeros(0, dtype=np.int64)
    if np.any(group[1:] < group[:-1]):
        raise AllowanceError("Calls must be in order of their allowance before it is drawn.")
    if int(amount.min()) < 0:
        raise AllowanceError("A call cannot draw less than nothing from an allowance.")
    if int(amount.max()) * len(amount) >= _LIMIT:
        raise AllowanceError("The usage of this period is too large to be added up exactly.")
    running = np.cumsum(amount) - amount
    first = np.append(True, group[1:] != group[:-1])
    return running - np.repeat(running[first], np.diff(np.append(np.flatnonzero(first), len(group))))
