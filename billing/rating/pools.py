"""Allowances of a month: what each package feature gives, to whom, over which days, in the order they are drawn.

Amounts are whole numbers in the unit's own grain: seconds, events, 1e-6 MB, 1e-8 of money (in steps of 1e-6, as calls
keep them).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple, TypeAlias

from billing.rating.dated import FOREVER

GRAINS = {"seconds": 1, "calls": 1, "sms": 1, "data": 10**6, "money": 10**8}
STORED_GRAIN = 10**6

#: Whose allowance: bundle, customer, number (0 for all numbers).
Party: TypeAlias = tuple[int, int, int]


class Allowance(NamedTuple):
    """A bundle of a feature that a customer has over days (end exclusive); number 0 serves all numbers.

    The bundle's own row holds from `valid_from` up to `valid_to`; a feature that `continues` another one the day that
    one ends goes on with its allowance.
    """

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
    member_cap: Decimal | None = None
    rollover_months: int = 0
    rollover_cap: Decimal | None = None
    valid_from: int = 0
    valid_to: int = FOREVER
    feature_id: int = 0
    continues_id: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """What an allowance counts and which calls it serves; `step` and the caps are in the unit's grain."""

    id: int
    unit: str
    step: int
    call_class: str
    prefixes: tuple[str, ...]
    priority: int
    valid_from: int = 0
    member_cap: int | None = None
    rollover_months: int = 0
    rollover_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """One quantity to draw from in the month: whose, over which days, how much is left; ranks draw in turn."""

    customer_id: int
    number_id: int
    first: int
    end: int
    left: int
    rank: int = 0


@dataclass(slots=True)
class Plan:
    """A month's bundles in drawing order with their pools, what each party is granted, and who has the package on
    the first day of the next month.
    """

    bundles: list[tuple[Bundle, list[Pool]]] = field(default_factory=list)
    granted: dict[Party, int] = field(default_factory=dict)
    goes_on: set[Party] = field(default_factory=set)


def pools_of(
    allowances: Iterable[Allowance],
    first: int,
    end: int,
    used: Mapping[Party, int],
    carried: Mapping[Party, int] | None = None,
) -> Plan:
    """Return the bundles of a month [first, end) in drawing order, each with its pools.

    Features of the same bundle, party and days are one pool; what was `carried` over is a pool before those. `used`
    holds what billed calls have drawn; it comes off the first pools.
    """
    plan = Plan()
    bundles: dict[int, Bundle] = {}
    amounts: dict[tuple[Party, int, int], int] = defaultdict(int)
    covered: dict[Party, tuple[int, int]] = {}
    for row in _pieces(allowances, first, end):
        party = (row.bundle_id, row.customer_id, row.number_id)
        bundles.setdefault(row.bundle_id, _bundle(row))
        if row.start <= end < row.end:
            plan.goes_on.add(party)
        start, stop = max(row.start, first), min(row.end, end)
        if start >= stop:
            continue
        held = covered.get(party, (start, stop))
        covered[party] = (min(held[0], start), max(held[1], stop))
        start, stop = max(start, row.valid_from), min(stop, row.valid_to)
        if start < stop and row.quantity:
            amount = _amount(row, first, end) * row.quantity
            amounts[party, start, stop] += amount
            plan.granted[party] = plan.granted.get(party, 0) + amount
    parties: dict[Party, list[Pool]] = defaultdict(list)
    for party, units in sorted((carried or {}).items()):
        if units and party in covered:
            parties[party].append(Pool(*party[1:], *covered[party], units))
    for (party, start, stop), amount in sorted(amounts.items()):
        mine = parties[party]
        mine.append(Pool(*party[1:], start, stop, amount, len(mine)))
    found: dict[int, list[Pool]] = defaultdict(list)
    for party, pools in parties.items():
        found[party[0]] += _less(pools, used.get(party, 0))
    order = sorted(bundles.values(), key=lambda bundle: (bundle.priority, bundle.valid_from, bundle.id))
    plan.bundles = [(bundle, found[bundle.id]) for bundle in order]
    return plan


def of_stored(value: int, unit: str) -> int:
    """Return an amount in the unit's grain from millionths."""
    return value * GRAINS[unit] // STORED_GRAIN


def to_stored(value: int, unit: str) -> int:
    """Return an amount in millionths from the unit's grain."""
    return value * STORED_GRAIN // GRAINS[unit]


def _pieces(allowances: Iterable[Allowance], first: int, end: int) -> Iterator[Allowance]:
    """Yield the allowances with features that continue each other made one.

    More of a package counts from its day as an allowance of its own; less of it counts from the next month.
    """
    chains: dict[tuple[int, int], list[Allowance]] = {}
    found: list[list[Allowance]] = []
    for row in sorted(allowances, key=lambda row: (row.start, row.feature_id, row.bundle_id)):
        chain = chains.get((row.bundle_id, row.continues_id)) if row.continues_id else None
        if chain is None or chain[-1].end != row.start or chain[-1].number_id != row.number_id:
            chain = []
            found.append(chain)
        chain.append(row)
        chains[row.bundle_id, row.feature_id] = chain
    for chain in found:
        most = 0
        for row in chain:
            if row.end <= first or row.start > end:
                continue
            yield row._replace(
                end=max(chain[-1].end, row.end) if row.start < end else row.end,
                quantity=max(row.quantity - most, 0),
            )
            most = max(most, row.quantity) if row.start < end else most


def _bundle(row: Allowance) -> Bundle:
    prefixes = row.prefixes.replace(",", " ").replace(";", " ").split()
    grain = GRAINS[row.unit]
    return Bundle(
        id=row.bundle_id,
        unit=row.unit,
        step=max(int(row.step * grain), 1),
        call_class=row.call_class,
        prefixes=tuple(prefix.removeprefix("+") for prefix in prefixes),
        priority=row.priority,
        valid_from=row.valid_from,
        member_cap=None if row.member_cap is None else int(row.member_cap * grain),
        rollover_months=row.rollover_months,
        rollover_cap=None if row.rollover_cap is None else int(row.rollover_cap * grain),
    )


def _amount(row: Allowance, first: int, end: int) -> int:
    """Return the allowance of the month; where it is pro-rated, its part by the days from the feature's or the
    allowance's first day up to the allowance's last, rounded down.
    """
    grain = GRAINS[row.unit]
    whole = row.amount * grain
    if row.prorate_first:
        days = min(row.valid_to, end) - max(row.start, row.valid_from, first)
        whole = whole * days / (end - first)
    smallest = max(grain // STORED_GRAIN, 1)
    return int((whole / smallest).to_integral_value(ROUND_FLOOR)) * smallest


def _less(pools: list[Pool], used: int) -> list[Pool]:
    """Take what is used up already off the first pools."""
    left = []
    for pool in pools:
        taken = min(pool.left, used)
        used -= taken
        left.append(replace(pool, left=pool.left - taken))
    return left
