"""Draws allowances over a month's calls and prices what they leave (3-engine section 2), in memory.

Bundles draw in their priority, calls in the order of start and content key, never of a file. Seconds, calls,
messages and data draw before pricing; money draws last, on the price. A call that costs nothing draws nothing.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from billing.rating.allowances import NO_GROUP, cumulative_units, draw
from billing.rating.amounts import period_units, price_period_data, price_rows
from billing.rating.book import DATA, SMS, VOICE, RatingBook
from billing.rating.calls import Calls, rows_by
from billing.rating.dated import NONE
from billing.rating.pools import GRAINS, STORED_GRAIN, Bundle, Pool

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SERVED = {"seconds": VOICE, "calls": VOICE, "sms": SMS, "data": DATA}


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
class Drawing:
    """Per call: billed seconds, what allowances cover of it, the bundle that drew first and how much (millionths
    of its unit), and the price in 1e-8.
    """

    billed: Ints
    covered: Ints
    bundle: Ints
    drawn: Ints
    retail: Ints


def draw_month(usage: Usage, bundles: list[tuple[Bundle, list[Pool]]], book: RatingBook) -> Drawing:
    """Draw all bundles over the month's calls and price them."""
    base = price_rows(usage.calls, usage.rate, book)
    nothing = np.zeros(len(usage.calls), dtype=np.int64)
    out = Drawing(base.billed, nothing.copy(), nothing.copy(), nothing.copy(), nothing.copy())
    costs = (base.amount > 0) | _period_priced(usage, book)
    units: dict[int, str] = {0: ""}
    for bundle, pools in bundles:
        units[bundle.id] = bundle.unit
        if bundle.unit != "money":
            fits = _served(usage, bundle) & costs & usage.open & (usage.calls.service == SERVED[bundle.unit])
            _draw(usage, bundle, pools, fits, out, units)
    out.retail = np.where(usage.rate == NONE, usage.other, _prices(usage, out, base.amount, book))
    for bundle, pools in bundles:
        if bundle.unit == "money":
            _draw(usage, bundle, pools, _served(usage, bundle) & usage.open, out, units)
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
    usage: Usage, bundle: Bundle, pools: list[Pool], fits: Bools, out: Drawing, units: dict[int, str]
) -> None:
    """Draw one bundle, pools of one rank after the other."""
    for rank in range(1 + max((pool.rank for pool in pools), default=-1)):
        ranked = [pool for pool in pools if pool.rank == rank]
        for shared in (True, False):
            mine = [pool for pool in ranked if (pool.number_id == 0) == shared]
            if mine:
                party = usage.customer if shared else usage.number
                group = _group(usage, mine, party, fits, shared)
                _draw_pools(usage, bundle, mine, group, out, units)


def _group(usage: Usage, pools: list[Pool], party: Ints, fits: Bools, shared: bool) -> Ints:
    """Return each call's pool, NO_GROUP where it may not draw; `pools` gets into the order of its parties."""
    pools.sort(key=lambda pool: pool.customer_id if shared else pool.number_id)
    keys = np.array([pool.customer_id if shared else pool.number_id for pool in pools])
    at = np.minimum(np.searchsorted(keys, party), len(keys) - 1)
    customers = np.array([pool.customer_id for pool in pools])
    first, end = np.array([pool.first for pool in pools]), np.array([pool.end for pool in pools])
    day = usage.calls.day
    held = (keys[at] == party) & (customers[at] == usage.customer) & (day >= first[at]) & (day < end[at])
    return np.where(held & fits, at, NO_GROUP)


def _draw_pools(
    usage: Usage, bundle: Bundle, pools: list[Pool], group: Ints, out: Drawing, units: dict[int, str]
) -> None:
    need = _need(usage, bundle.unit, out)
    rows = np.flatnonzero((group != NO_GROUP) & (need > 0))
    rows = rows[np.argsort(group[rows], kind="stable")]
    allowance = np.array([pool.left for pool in pools], dtype=np.int64)
    taken = draw(group[rows], need[rows], allowance, bundle.step).covered
    rows, taken = rows[taken > 0], taken[taken > 0]
    if bundle.unit == "money":
        out.retail[rows] -= taken
    elif bundle.unit == "calls":
        out.covered[rows] = out.billed[rows]
    else:
        out.covered[rows] += taken
    drew = np.array([units[first] for first in out.bundle[rows].tolist()], dtype=object)
    same = (drew == "") | (drew == bundle.unit)
    out.drawn[rows] += np.where(same, taken * STORED_GRAIN // GRAINS[bundle.unit], 0)
    out.bundle[rows] = np.where(drew == "", bundle.id, out.bundle[rows])


def _need(usage: Usage, unit: str, out: Drawing) -> Ints:
    """Return what each call still needs, in the unit's grain."""
    if unit == "seconds":
        return out.billed - out.covered
    if unit == "calls":
        return (out.billed > out.covered).astype(np.int64)
    if unit == "sms":
        return usage.calls.answered.astype(np.int64) - out.covered
    return usage.calls.volume - out.covered if unit == "data" else out.retail


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
