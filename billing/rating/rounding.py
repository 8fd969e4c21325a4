"""Rounds exact quotients of integers to decimal places: the one rounding that a call gets."""

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

DECIMALS = 8
Column: TypeAlias = NDArray[Any]


class Rounding(IntEnum):
    """How a call's price is rounded; half up takes a half away from zero, up goes towards +infinity, down
    towards -infinity.
    """

    HALF_UP = 0
    HALF_EVEN = 1
    UP = 2
    DOWN = 3


ROUNDINGS = {
    "half_up": Rounding.HALF_UP,
    "half_even": Rounding.HALF_EVEN,
    "up": Rounding.UP,
    "down": Rounding.DOWN,
}


class RoundingError(ValueError):
    """A number of places that prices cannot be rounded to."""


def round_quotient(
    numerator: Column,
    denominator: int,
    places: Column | int,
    mode: Column | Rounding,
    decimals: int = DECIMALS,
) -> Column:
    """Return numerator / denominator, both in units of 10**-decimals, rounded to `places` and still in
    those units.
    """
    if np.any(np.asarray(places) < 0) or np.any(np.asarray(places) > decimals):
        raise RoundingError(f"Prices are rounded to between 0 and {decimals} decimal places.")
    exact = numerator.dtype == object
    powers = np.array(
        [10 ** (decimals - n) for n in range(decimals + 1)], dtype=object if exact else np.int64
    )
    unit = powers[places]
    divisor = unit * denominator
    floor = numerator // divisor
    rest = numerator - floor * divisor
    return (floor + _carry(numerator, floor, rest, divisor, mode)) * unit


def _carry(
    numerator: Column, floor: Column, rest: Column, divisor: Column, mode: Column | Rounding
) -> Column:
    """Return 1 where the quotient goes up from its floor, 0 where it stays."""
    if isinstance(mode, Rounding):
        return _carry_by(mode, numerator, floor, rest, divisor).astype(np.int64)
    carry = np.zeros(len(numerator), dtype=np.int64)
    for each in Rounding:
        chosen = np.asarray(mode) == each
        if chosen.any():
            carry = np.where(chosen, _carry_by(each, numerator, floor, rest, divisor), carry)
    return carry


def _carry_by(mode: Rounding, numerator: Column, floor: Column, rest: Column, divisor: Column) -> Column:
    if mode == Rounding.DOWN:
        return np.zeros(rest.shape, dtype=bool)
    if mode == Rounding.UP:
        return np.asarray(rest > 0)
    twice = rest * 2
    tie_up = numerator >= 0 if mode == Rounding.HALF_UP else floor % 2 == 1
    return np.asarray((twice > divisor) | ((twice == divisor) & tie_up))
