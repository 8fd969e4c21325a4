"""Draws allowances over a month's calls and prices what they leave (3-engine section 2), in memory.

Bundles draw in their priority, calls in the order of start and content key, never of a file. Seconds, calls,
messages and data draw before pricing; money draws last, on the price. A call that costs nothing draws nothing.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from billing.rating.allowances import NO_GROUP, Drawn, cumulative_units, draw
from billing.rating.amounts import period_units, price_period_data, price_rows
from billing.rating.book import DATA, SMS, VOICE, RatingBook
from billing.rating.calls import Calls, rows_by
from billing.rating.dated import NONE
from billing.rating.members import Members
from billing.rating.pools import GRAINS, STORED_GRAIN, Bundle, Party, Plan, Pool

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SERVED = {"seconds": VOICE, "calls": VOICE, "sms": SMS, "data": DATA}
UNITS = ("", "seconds", "calls", "sms", "data", "money")


@dataclass(frozen=True, slots=True)
class Usage:
    """A month's calls in drawing order: the calls, their parties, rates, classes, and what is still open.

    `other` is the price (1e-8) of calls without a rate. Calls that are not `open` are billed: they keep what they
    drew and only count towards the period's data by `uncovered` (1e-6 MB).
    """

    calls: Calls
    customer: Ints
    number: Ints
    rate: Ints
    call_class: list[str]
    open: Bools
    other: Ints
    uncovered: Ints


@dataclass(slots=True)
class Take:
    """What calls (rows) drew of one bundle: pool numbers (0 shared) and units in millionths."""

    bundle: int
    rows: Ints
    number: Ints
    drawn: Ints


@dataclass(slots=True)
class Drawing:
    """Per call: billed seconds, what allowances cover of it, the bundle that drew first, its unit and how much
    (millionths of it), the price in 1e-8, and the last party whose allowance might serve it.

    `used` and `spared` are units (in the grain) by party, `seconds` the draws of calls from further bundles.
    """

    billed: Ints
    covered: Ints
    bundle: Ints
    unit: Ints
    drawn: Ints
    retail: Ints
    last: Ints
    parties: list[Party] = field(default_factory=list)
    used: dict[Party, int] = field(default_factory=dict)
    spared: dict[Party, int] = field(default_factory=dict)
    second: list[Take] = field(default_factory=list)

    @classmethod
    def begin(cls, billed: Ints) -> "Drawing":
        """Return the state before anything is drawn."""
        covered, bundle, unit, drawn, retail = np.zeros((5, len(billed)), dtype=np.int64)
        return cls(billed, covered, bundle, unit, drawn, retail, np.full(len(billed), NONE, dtype=np.int64))


def draw_month(
    usage: Usage, plan: Plan, book: RatingBook, members: dict[Party, int] | None = None
) -> Drawing:
    """Draw all bundles over the month's calls and price them.

    `members` holds what billed calls of a number (the party's own) drew of capped bundles.
    """
    base = price_rows(usage.calls, usage.rate, book)
    out = Drawing.begin(base.billed)
    costs = (base.amount > 0) | _period_priced(usage, book)
    for bundle, pools in plan.bundles:
        if bundle.unit != "money" and pools:
            fits = _served(usage, bundle) & costs & (usage.calls.service == SERVED[bundle.unit])
            _draw(usage, bundle, pools, fits, out, members or {})
    out.retail = np.where(usage.rate == NONE, usage.other, _prices(usage, out, base.amount, book))
    for bundle, pools in plan.bundles:
        if bundle.unit == "money" and pools:
            fits = _served(usage, bundle) & (out.retail > 0)
            _draw(usage, bundle, pools, fits, out, members or {})
    return out


def _period_priced(usage: Usage, book: RatingBook) -> Bools:
    """Say which calls are data that costs money over the period."""
    if not len(book.rates.ids):
        return np.zeros(len(usage.calls), dtype=bool)
    rate = np.where(usage.calls.service == DATA, usage.rate, NONE)
    priced = (period_units(rate, book) > 0) & (book.rates.price[rate] > 0)
    return np.asarray((rate != NONE) & priced)


def _served(usage: Usage, bundle: Bundle) -> Bools:
    """Say which calls a bundle may serve by class and destination."""
    serves = np.ones(len(usage.calls), dtype=bool)
    if bundle.call_class:
        serves &= np.array([name == bundle.call_class for name in usage.call_class], dtype=bool)
    if bundle.prefixes:
        texts = pc.utf8_ltrim(usage.calls.dialled.texts, characters="+")
        hits = np.zeros(len(serves), dtype=bool)
        for prefix in bundle.prefixes:
            hits |= pc.starts_with(texts, pattern=prefix).to_numpy(zero_copy_only=False)
        serves &= hits
    return serves


def _draw(
    usage: Usage, bundle: Bundle, pools: list[Pool], fits: Bools, out: Drawing, billed: dict[Party, int]
) -> None:
    """Draw one bundle, pools of one rank after the other.

    Ranks go by the pools' first days. So whoever draws of a rank finds the ranks before it used up or ended for good,
    and rank after rank gives what call after call would, also where one number may only draw so much.
    """
    capped = bundle.member_cap is not None
    members = Members.of(usage.customer, usage.number, bundle, billed) if capped else None
    for rank in range(1 + max(pool.rank for pool in pools)):
        ranked = [pool for pool in pools if pool.rank == rank]
        for shared in (True, False):
            mine = [pool for pool in ranked if (pool.number_id == 0) == shared]
            if mine:
                group = _group(usage, mine, fits, shared)
                _draw_pools(usage, bundle, mine, group, out, members)


def _group(usage: Usage, pools: list[Pool], fits: Bools, shared: bool) -> Ints:
    """Return each call's pool, NO_GROUP where it may not draw; `pools` gets into the order of its parties."""
    owners = np.unique([pool.customer_id for pool in pools])
    numbers = np.unique([pool.number_id for pool in pools])

    def key(customer: Ints, number: Ints) -> tuple[Ints, Bools]:
        who = np.minimum(np.searchsorted(owners, customer), len(owners) - 1)
        line = np.minimum(np.searchsorted(numbers, number), len(numbers) - 1)
        found = owners[who] == customer
        return (who, found) if shared else (who * len(numbers) + line, found & (numbers[line] == number))

    def columns() -> tuple[Ints, Ints]:
        return np.array([pool.customer_id for pool in pools]), np.array([pool.number_id for pool in pools])

    order = np.argsort(key(*columns())[0], kind="stable")
    pools[:] = [pools[at] for at in order.tolist()]
    keys, _ = key(*columns())
    mine, found = key(usage.customer, usage.number)
    at = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
    first, end = np.array([pool.first for pool in pools]), np.array([pool.end for pool in pools])
    day = usage.calls.day
    held = found & (keys[at] == mine) & (day >= first[at]) & (day < end[at])
    return np.where(held & fits, at, NO_GROUP)


def _draw_pools(
    usage: Usage,
    bundle: Bundle,
    pools: list[Pool],
    group: Ints,
    out: Drawing,
    members: Members | None,
) -> None:
    served = np.flatnonzero(group != NO_GROUP)
    out.last[served] = len(out.parties) + group[served]
    out.parties += [(bundle.id, pool.customer_id, pool.number_id) for pool in pools]
    rows = served[usage.open[served]]
    need = _need(usage, bundle.unit, out, rows)
    rows, need = rows[need > 0], need[need > 0]
    asked = need if members is None else members.allowed(rows, need)
    order = np.argsort(group[rows], kind="stable")
    rows, need, asked = rows[order], need[order], asked[order]
    allowance = np.array([pool.left for pool in pools], dtype=np.int64)
    drawn = draw(group[rows], asked, allowance, bundle.step)
    if members is not None:
        drawn = Drawn(np.minimum(need, drawn.used), drawn.used)
        members.take(rows, drawn.used)
    _count(bundle, pools, group[rows], drawn, out)
    _cover(bundle, pools, rows, group[rows], drawn.covered, out)


def _count(bundle: Bundle, pools: list[Pool], group: Ints, drawn: Drawn, out: Drawing) -> None:
    """Add what was used of the pools to the parties' figures."""
    sums = np.zeros((2, len(pools)), dtype=np.int64)
    np.add.at(sums[0], group, drawn.used)
    np.add.at(sums[1], group, drawn.covered)
    for pool, used, spared in zip(pools, *sums.tolist(), strict=True):
        if used:
            party = (bundle.id, pool.customer_id, pool.number_id)
            out.used[party] = out.used.get(party, 0) + used
            out.spared[party] = out.spared.get(party, 0) + spared


def _cover(bundle: Bundle, pools: list[Pool], rows: Ints, group: Ints, taken: Ints, out: Drawing) -> None:
    """Note on the calls what was taken for them."""
    rows, group, taken = rows[taken > 0], group[taken > 0], taken[taken > 0]
    if bundle.unit == "money":
        out.retail[rows] -= taken
    elif bundle.unit == "calls":
        out.covered[rows] = out.billed[rows]
    else:
        out.covered[rows] += taken
    unit, units = UNITS.index(bundle.unit), in_millionths(taken, bundle.unit)
    fresh = out.bundle[rows] == 0
    out.bundle[rows[fresh]], out.unit[rows[fresh]] = bundle.id, unit
    out.drawn[rows] += np.where(out.unit[rows] == unit, units, 0)
    other = out.bundle[rows] != bundle.id
    if other.any():
        number = np.array([pool.number_id for pool in pools], dtype=np.int64)[group[other]]
        out.second.append(Take(bundle.id, rows[other], number, units[other]))


def in_millionths(amounts: Ints, unit: str) -> Ints:
    """Return amounts of a unit's grain in millionths of the unit."""
    grain = GRAINS[unit]
    return amounts * (STORED_GRAIN // grain) if grain <= STORED_GRAIN else amounts // (grain // STORED_GRAIN)


def _need(usage: Usage, unit: str, out: Drawing, rows: Ints) -> Ints:
    """Return what each of these calls still needs, in the unit's grain."""
    if unit == "seconds":
        return out.billed[rows] - out.covered[rows]
    if unit == "calls":
        return (out.billed[rows] > out.covered[rows]).astype(np.int64)
    if unit == "sms":
        return usage.calls.answered[rows].astype(np.int64) - out.covered[rows]
    return usage.calls.volume[rows] - out.covered[rows] if unit == "data" else out.retail[rows]


def _prices(usage: Usage, out: Drawing, base: Ints, book: RatingBook) -> Ints:
    """Price what the allowances leave; sum data over the period where the tariff does."""
    price = base.copy()
    covered = np.flatnonzero((out.covered > 0) & (usage.rate != NONE))
    if len(covered):
        part = usage.calls.take(covered)
        price[covered] = price_rows(part, usage.rate[covered], book, out.covered[covered]).amount
    if not len(book.rates.ids):
        return price
    data = (usage.calls.service == DATA) & (usage.rate != NONE)
    for unit, rows in rows_by(np.where(data, period_units(usage.rate, book), 0)):
        if unit:
            price[rows] = _period_prices(usage, out, rows, unit, book)
    return price


def _period_prices(usage: Usage, out: Drawing, rows: Ints, unit: int, book: RatingBook) -> Ints:
    """Price data by customer and rate: the sum less what is covered, up to whole units, in call order."""
    _, customer = np.unique(usage.customer[rows], return_inverse=True)
    _, group = np.unique(customer * (len(book.rates.ids) + 1) + usage.rate[rows], return_inverse=True)
    billed = ~usage.open[rows]
    opening = np.zeros(int(group.max()) + 1, dtype=np.int64)
    np.add.at(opening, group[billed], usage.uncovered[rows[billed]])
    volume = np.where(billed, 0, usage.calls.volume[rows] - out.covered[rows])
    order = np.argsort(group, kind="stable")
    units = np.zeros(len(rows), dtype=np.int64)
    units[order] = cumulative_units(group[order], volume[order], unit, opening=opening)
    return price_period_data(units, usage.rate[rows], book)
