"""Allowances of a month: what each package feature gives, to whom, over which days, in the order they are drawn.

Amounts are whole numbers in the unit's own grain: seconds, events, 1e-6 MB, 1e-8 of money.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

GRAINS = {"seconds": 1, "calls": 1, "sms": 1, "data": 10**6, "money": 10**8}
STORED_GRAIN = 10**6


class Allowance(NamedTuple):
    """A bundle of a feature that a customer has over days (end exclusive); number 0 serves all numbers."""

    bundle_id: int
    unit: str
    amount: Decimal
    step: Decimal
    call_class: str
    prefixes: str
    priority: int
    prorate_first: bool
    customer_id: int
    number_id: int
    quantity: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """What an allowance counts and which calls it serves; `step` is in the unit's grain."""

    id: int
    unit: str
    step: int
    call_class: str
    prefixes: tuple[str, ...]
    priority: int


@dataclass(frozen=True, slots=True)
class Pool:
    """One quantity to draw from in the month: whose, over which days, how much is left; ranks draw in turn."""

    customer_id: int
    number_id: int
    first: int
    end: int
    left: int
    rank: int = 0


def pools_of(
    allowances: Iterable[Allowance], first: int, end: int, used: Mapping[tuple[int, int, int], int]
) -> list[tuple[Bundle, list[Pool]]]:
    """Return the bundles of a month [first, end) in drawing order, each with its pools.

    Features of the same bundle, party and days are one pool. `used` holds what billed calls have drawn by
    (bundle, customer, number); it comes off the first pools.
    """
    bundles: dict[int, Bundle] = {}
    amounts: dict[tuple[int, int, int, int, int], int] = defaultdict(int)
    for row in allowances:
        start, stop = max(row.start, first), min(row.end, end)
        if start >= stop:
            continue
        bundles.setdefault(row.bundle_id, _bundle(row))
        key = (row.bundle_id, row.customer_id, row.number_id, start, stop)
        amounts[key] += _amount(row, first, end) * row.quantity
    parties: dict[tuple[int, int, int], list[Pool]] = defaultdict(list)
    for (bundle, customer, number, start, stop), amount in sorted(amounts.items()):
        mine = parties[bundle, customer, number]
        mine.append(Pool(customer, number, start, stop, amount, len(mine)))
    found: dict[int, list[Pool]] = defaultdict(list)
    for party, pools in parties.items():
        found[party[0]] += _less(pools, used.get(party, 0))
    order = sorted(bundles.values(), key=lambda bundle: (bundle.priority, bundle.id))
    return [(bundle, found[bundle.id]) for bundle in order]


def of_stored(value: int, unit: str) -> int:
    """Return an amount in the unit's grain from millionths."""
    return value * GRAINS[unit] // STORED_GRAIN


def _bundle(row: Allowance) -> Bundle:
    prefixes = row.prefixes.replace(",", " ").replace(";", " ").split()
    return Bundle(
        id=row.bundle_id,
        unit=row.unit,
        step=max(int(row.step * GRAINS[row.unit]), 1),
        call_class=row.call_class,
        prefixes=tuple(prefix.removeprefix("+") for prefix in prefixes),
        priority=row.priority,
    )


def _amount(row: Allowance, first: int, end: int) -> int:
    """Return the allowance of the month; its part by days, rounded down, where the first month is pro-rated."""
    whole = row.amount * GRAINS[row.unit]
    if row.prorate_first and first < row.start < end:
        whole = whole * (end - row.start) / (end - first)
    return int(whole.to_integral_value(ROUND_FLOOR))


def _less(pools: list[Pool], used: int) -> list[Pool]:
    """Take what is used up already off the first pools."""
    left = []
    for pool in pools:
        taken = min(pool.left, used)
        used -= taken
        left.append(replace(pool, left=pool.left - taken))
    return left
