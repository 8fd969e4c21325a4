"""Prices calls, events and data sessions with exact integers over numpy columns (formula: 3-engine section
2).

Money is int64 in units of 1e-8 of the currency. A price is held as a numerator over the rate's unit (60
seconds for voice) and rounded once per call, at the end. A batch that could leave int64 takes the same
formulas in Python integers, so a result never depends on the path.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.rating.rounding import DECIMALS, Rounding, round_quotient

NO_MAXIMUM = -1
SECONDS_PER_MINUTE = 60

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
# int64 on the fast path, Python integers of any size on the exact one; the formulas are the same for both.
Column: TypeAlias = NDArray[Any]

_LIMIT = 2**62
_INT64_MAX = 2**63 - 1


class PriceError(ValueError):
    """A price that cannot be worked out, with the reason for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What calls pay: a column or one value for each item; money in 10**-decimals of the currency, times
    in whole seconds.
    """

    per_minute: Column | int
    connection_fee: Column | int = 0
    minimum_charge: Column | int = 0
    maximum_charge: Column | int = NO_MAXIMUM
    initial_increment: Column | int = 1
    next_increment: Column | int = 1
    free_seconds: Column | int = 0
    decimals: int = DECIMALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a tariff rounds, and when its connection fee is due: a column or one value for each item."""

    places: Column | int = 4
    rounding: Column | Rounding = Rounding.HALF_UP
    charge_unanswered: Column | bool = False
    fee_in_allowance: Column | bool = True


@dataclass(frozen=True, slots=True)
class Priced:
    """The outcome per call: billed seconds, the part of them that was paid for, and the amount in 1e-8 of
    the currency.
    """

    billed_seconds: Column
    paid_seconds: Column
    amount: Column


def billed_seconds(seconds: Column, rates: Rates) -> Column:
    """Return the seconds to bill: free seconds taken off, then the initial increment, then whole next
    increments (30/6: 61 s is 66 s).
    """
    if np.any(np.asarray(rates.next_increment) < 1):
        raise PriceError("The next increment must be at least 1 second.")
    net = np.maximum(seconds - rates.free_seconds, 0)
    beyond = np.maximum(net - rates.initial_increment, 0)
    blocks = -(-beyond // rates.next_increment)
    return np.where(net > 0, rates.initial_increment + blocks * rates.next_increment, 0)


def price_calls(
    *, answered: Column | bool, seconds: Ints, rates: Rates, terms: Terms, bundle_seconds: Column | int = 0
) -> Priced:
    """Price voice calls; `bundle_seconds` are the billed seconds already drawn from an allowance. All
    columns have one row per call.
    """
    billed = billed_seconds(seconds, rates)
    paid = billed - bundle_seconds
    if np.any(paid < 0):
        raise PriceError("An allowance covers more seconds than the call has.")
    chargeable = np.asarray(answered & (seconds > 0))
    fits = _fits(rates.per_minute, paid, SECONDS_PER_MINUTE, rates)
    if not fits:
        rates, paid = _widen(rates), paid.astype(object)
    paid = np.where(chargeable, paid, 0)
    amount = _settle(paid * rates.per_minute, SECONDS_PER_MINUTE, paid > 0, chargeable, rates, terms)
    return Priced(np.where(chargeable, billed, 0), _narrow(paid, rates), _narrow(amount, rates))


def price_pieces(
    *,
    answered: Column | bool,
    rates: Rates,
    terms: Terms,
    piece_call: Ints,
    piece_seconds: Ints,
    piece_rates: Rates,
    bundle_seconds: Column | int = 0,
) -> tuple[Priced, Column]:
    """Price calls cut at band boundaries with one rounding per call; return the calls, and the paid seconds
    of each piece.

    `piece_call` is the ascending row number of each piece's call, each call having at least one piece. Fee,
    minimum, maximum and free seconds come from `rates` (one row per call), rate and increments from
    `piece_rates`. An increment begun before a boundary is completed at its own price and the next piece loses
    those seconds; only the call's first increment is an initial one.
    """
    calls = int(piece_call[-1]) + 1 if len(piece_call) else 0
    starts = np.searchsorted(piece_call, np.arange(calls))
    billed = _bill_pieces(
        piece_call, starts, piece_seconds, np.broadcast_to(rates.free_seconds, calls), piece_rates
    )
    paid = _draw_pieces(billed, piece_call, starts, np.broadcast_to(bundle_seconds, calls))
    per_minute = np.broadcast_to(piece_rates.per_minute, len(paid))
    most = np.diff(starts, append=len(paid)).max(initial=1)
    if not _fits(per_minute, paid * most, SECONDS_PER_MINUTE, rates):
        rates, paid = _widen(rates), paid.astype(object)
    total, paid_total = _per_call(billed, starts), _per_call(paid, starts)
    chargeable = np.asarray(answered & (_per_call(piece_seconds, starts) > 0))
    numerator = np.where(chargeable, _per_call(paid * per_minute, starts), 0)
    amount = _settle(numerator, SECONDS_PER_MINUTE, paid_total > 0, chargeable, rates, terms)
    whole = Priced(
        np.where(chargeable, total, 0),
        _narrow(np.where(chargeable, paid_total, 0), rates),
        _narrow(amount, rates),
    )
    return whole, _narrow(np.where(np.broadcast_to(chargeable, calls)[piece_call], paid, 0), rates)


def price_events(
    *, units: Ints, each: Column | int, rates: Rates, terms: Terms, drawn: Column | int = 0
) -> Column:
    """Price events (an SMS, a call of a per-call tariff) or whole units of volume at `each` per unit, less
    the units drawn from an allowance.
    """
    return _price_units(units, drawn, each, 1, rates, terms)


def price_volume(
    *,
    volume: Ints,
    unit: int,
    block: int,
    each: Column | int,
    rates: Rates,
    terms: Terms,
    drawn: Column | int = 0,
) -> Column:
    """Price data sessions at `each` per `unit`, rounded up to whole blocks; volume, unit and block in
    millionths of a megabyte.

    `drawn` counts blocks already taken from an allowance. 1,024 MB to the gigabyte is unit = 1024 *
    1_000_000.
    """
    if unit < 1 or block < 1:
        raise PriceError("The unit and the block of a data tariff must be above zero.")
    common = int(np.gcd(unit, block))
    blocks = -(-volume // block)
    return _price_units(blocks, drawn, np.asarray(each) * (block // common), unit // common, rates, terms)


def _price_units(
    units: Column, drawn: Column | int, each: Column | int, denominator: int, rates: Rates, terms: Terms
) -> Column:
    paid = units - drawn
    if np.any(paid < 0):
        raise PriceError("An allowance covers more units than the event has.")
    if not _fits(each, paid, denominator, rates):
        rates, paid = _widen(rates), paid.astype(object)
    return _narrow(_settle(paid * each, denominator, paid > 0, np.asarray(units > 0), rates, terms), rates)


def _settle(
    numerator: Column, denominator: int, paying: Column, chargeable: Column, rates: Rates, terms: Terms
) -> Column:
    """Add the connection fee, apply the minimum, then the maximum, then round once; numerator /
    denominator is the price of the units paid.
    """
    fee_due = np.where(chargeable, paying | terms.fee_in_allowance, terms.charge_unanswered)
    price = numerator + np.where(fee_due, rates.connection_fee, 0) * denominator
    floor = np.where(
        paying & chargeable & (np.asarray(rates.minimum_charge) > 0),
        np.asarray(rates.minimum_charge) * denominator,
        price,
    )
    price = np.maximum(price, floor)
    maximum = np.asarray(rates.maximum_charge)
    price = np.where(maximum >= 0, np.minimum(price, maximum * denominator), price)
    return round_quotient(price, denominator, terms.places, terms.rounding, rates.decimals)


def _bill_pieces(piece_call: Ints, starts: Ints, seconds: Ints, free: Column, rates: Rates) -> Ints:
    """Return the billed seconds of each piece, carrying free seconds and completed increments into the
    next piece of the call.
    """
    skip = np.array(free, dtype=np.int64)
    begun = np.zeros(len(starts), dtype=bool)
    initial = np.broadcast_to(rates.initial_increment, len(seconds))
    step = np.broadcast_to(rates.next_increment, len(seconds))
    billed = np.zeros(len(seconds), dtype=np.int64)
    ends = np.append(starts[1:], len(piece_call))
    for ordinal in range(int((ends - starts).max(initial=0))):
        calls = np.flatnonzero(starts + ordinal < ends)
        rows = starts[calls] + ordinal
        net = np.maximum(seconds[rows] - skip[calls], 0)
        first = np.where(begun[calls], 0, initial[rows])
        one = Rates(per_minute=0, initial_increment=first, next_increment=step[rows])
        billed[rows] = billed_seconds(net, one)
        begun[calls] |= net > 0
        skip[calls] = np.maximum(skip[calls] - seconds[rows], 0) + np.maximum(billed[rows] - net, 0)
    return billed


def _draw_pieces(billed: Ints, piece_call: Ints, starts: Ints, bundle: Column) -> Column:
    """Return the seconds left to pay in each piece after the call's bundle seconds are taken from its
    first pieces.
    """
    running = np.cumsum(billed)
    opening = running[starts] - billed[starts] if len(starts) else running
    after = running - opening[piece_call]
    if np.any(_per_call(billed, starts) < bundle):
        raise PriceError("An allowance covers more seconds than the call has.")
    return np.clip(after - bundle[piece_call], 0, billed)


def _per_call(pieces: Column, starts: Ints) -> Column:
    return np.add.reduceat(pieces, starts) if len(starts) else pieces[:0]


def _largest(values: Column | int) -> int:
    column = np.asarray(values)
    return max(abs(int(column.max())), abs(int(column.min()))) if column.size else 0


def _fits(rate: Column | int, quantity: Column, denominator: int, rates: Rates) -> bool:
    """Say whether no step of the price can leave int64, judged by the largest values of the batch."""
    money = max(
        _largest(rates.connection_fee), _largest(rates.minimum_charge), _largest(rates.maximum_charge)
    )
    bound = _largest(rate) * _largest(quantity) + money * denominator
    return max(bound, 2 * denominator * 10**rates.decimals) < _LIMIT


def _widen(rates: Rates) -> Rates:
    """Return the rates as Python integers of any size."""
    return Rates(
        per_minute=np.asarray(rates.per_minute).astype(object),
        connection_fee=np.asarray(rates.connection_fee).astype(object),
        minimum_charge=np.asarray(rates.minimum_charge).astype(object),
        maximum_charge=np.asarray(rates.maximum_charge).astype(object),
        initial_increment=rates.initial_increment,
        next_increment=rates.next_increment,
        free_seconds=rates.free_seconds,
        decimals=rates.decimals,
    )


def _narrow(column: Column, rates: Rates) -> Column:
    """Return int64 again after the exact path, or refuse amounts beyond about 92 billion; units finer than
    1e-8 stay Python integers.
    """
    if column.dtype != object or rates.decimals != DECIMALS:
        return column
    if _largest(column) > _INT64_MAX:
        raise PriceError("A price is beyond 92 billion: check the rate and the duration.")
    return column.astype(np.int64)
