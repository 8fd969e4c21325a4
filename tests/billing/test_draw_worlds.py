"""Random worlds of allowances, drawn call by call in plain Python and by the product: pools of changing days, caps per
number, roll-over over three months, calls billed in between, and files in any order.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating.book import RatingBook
from billing.rating.book_rows import BookRows
from billing.rating.calls import Calls
from billing.rating.carry import close_month
from billing.rating.dated import FOREVER
from billing.rating.draws import Usage, draw_month
from billing.rating.pools import Allowance, pools_of
from tests.billing.rating_book import chunk_of, day, rate, tariff

MONTHS = [
    (day("2026-03-01"), day("2026-04-01")),
    (day("2026-04-01"), day("2026-05-01")),
    (day("2026-05-01"), day("2026-06-01")),
]
BOOK = RatingBook.build(BookRows(tariffs=[tariff(1)], rates=[rate(1, 1, "", "0.60")]))
CUSTOMER = 7


@dataclass
class Pack:
    """A bundle and the days of the features that bring it: shared (number 0) or one for each of two numbers."""

    id: int
    amount: int
    step: int
    priority: int
    prefix: str
    shared: bool
    prorate: bool
    cap: int | None
    months: int
    carry_cap: int | None
    valid: tuple[int, int]
    features: list[tuple[int, int]]

    def rows(self):
        """Return the allowances as the product reads them."""
        numbers = (0,) if self.shared else (1, 2)
        cap = Decimal(self.cap) if self.cap is not None and self.shared else None
        carry = None if self.carry_cap is None else Decimal(self.carry_cap)
        first = (self.id, "seconds", Decimal(self.amount), Decimal(self.step), "", self.prefix, self.priority)
        return [
            Allowance(*first, self.prorate, CUSTOMER, number, 1, *dates, cap, self.months, carry, *self.valid)
            for number in numbers
            for dates in self.features
        ]


@dataclass
class Talk:
    """A call of a number, and what it drew: (bundle, seconds) in turn."""

    number: int
    day: int
    second: int
    seconds: int
    dialled: str
    billed: bool = False
    draws: list = field(default_factory=list)


@dataclass
class NaiveMonth:
    """What a naive month leaves: per party its granted, used and lots."""

    granted: dict
    used: dict
    lots: dict


def naive_pools(pack, first, end, lots, used):
    """Return the pools of each party as [left, first day, end day], carried units before granted ones."""
    found = {}
    granted = {}
    for number in (0,) if pack.shared else (1, 2):
        days = [(max(a, first), min(b, end)) for a, b in pack.features]
        days = [(a, b) for a, b in days if a < b]
        pools = []
        carried = sum(units for _, units in lots.get((pack.id, number), ()))
        if carried and days:
            pools.append([carried, min(a for a, _ in days), max(b for _, b in days)])
        own = defaultdict(int)
        for a, b in pack.features:
            start, stop = max(a, first, pack.valid[0]), min(b, end, pack.valid[1])
            if start < stop:
                amount = pack.amount
                if pack.prorate:
                    amount = amount * (min(pack.valid[1], end) - start) // (end - first)
                own[start, stop] += amount
                granted[pack.id, number] = granted.get((pack.id, number), 0) + amount
        pools += [[own[dates], *dates] for dates in sorted(own)]
        gone = used[pack.id, number]
        for pool in pools:
            taken = min(pool[0], gone)
            pool[0], gone = pool[0] - taken, gone - taken
        found[number] = pools
    return found, granted


def naive_month(talks, packs, month, lots):
    """Draw a month call by call."""
    first, end = MONTHS[month]
    used, by_number = defaultdict(int), defaultdict(int)
    shared = {pack.id: pack.shared for pack in packs}
    steps = {pack.id: pack.step for pack in packs}
    mine = sorted((t for t in talks if first <= t.day < end), key=lambda t: (t.day, t.second))
    for talk in mine:
        for pack, units in talk.draws if talk.billed else ():
            whole = math.ceil(units / steps[pack]) * steps[pack]
            used[pack, 0 if shared[pack] else talk.number] += whole
            by_number[pack, talk.number] += whole
    pools, granted = {}, {}
    for pack in packs:
        pools[pack.id], own = naive_pools(pack, first, end, lots, used)
        granted |= own
    order = sorted(packs, key=lambda p: (p.priority, p.valid[0], p.id))
    for talk in mine:
        if talk.billed:
            continue
        talk.draws, need = [], talk.seconds
        for pack in order:
            if not talk.dialled.startswith(pack.prefix):
                continue
            number = 0 if pack.shared else talk.number
            for pool in pools[pack.id].get(number, []):
                if not pool[1] <= talk.day < pool[2]:
                    continue
                steps_left = pool[0] // pack.step
                if pack.shared and pack.cap is not None:
                    steps_left = min(
                        steps_left, max(pack.cap - by_number[pack.id, talk.number], 0) // pack.step
                    )
                whole = min(steps_left, math.ceil(need / pack.step)) * pack.step
                pool[0] -= whole
                used[pack.id, number] += whole
                by_number[pack.id, talk.number] += whole
                if whole:
                    talk.draws.append((pack.id, min(need, whole)))
                    need -= min(need, whole)
    return NaiveMonth(granted, used, naive_lots(packs, month, end, lots, granted, used))


def naive_lots(packs, month, end, lots, granted, used):
    """Return what each party carries over, unit by unit: the oldest go first and lapse first."""
    left = {}
    for pack in packs:
        goes_on = any(a <= end < b for a, b in pack.features)
        for number in (0,) if pack.shared else (1, 2):
            party = pack.id, number
            units = [origin for origin, n in lots.get(party, ()) for _ in range(n)]
            units += [month] * granted.get(party, 0)
            units = units[used[party] :]
            kept = [origin for origin in units if goes_on and month + 1 - origin <= pack.months]
            if pack.carry_cap is not None:
                kept = kept[max(len(kept) - pack.carry_cap, 0) :]
            if kept:
                left[party] = tuple((origin, kept.count(origin)) for origin in sorted(set(kept)))
    return left


def ours(talks, packs, month, lots):
    """Draw a month as the product does; check that everything adds up; return the lots and each open call's draws."""
    first, end = MONTHS[month]
    mine = sorted((t for t in talks if first <= t.day < end), key=lambda t: (t.day, t.second))
    shared = {pack.id: pack.shared for pack in packs}
    steps = {pack.id: pack.step for pack in packs}
    used, by_number = defaultdict(int), defaultdict(int)
    for talk in mine:
        for pack, units in talk.draws if talk.billed else ():
            whole = -(-units // steps[pack]) * steps[pack]
            used[pack, CUSTOMER, 0 if shared[pack] else talk.number] += whole
            by_number[pack, CUSTOMER, talk.number] += whole
    carried = {(pack, CUSTOMER, number): sum(n for _, n in kept) for (pack, number), kept in lots.items()}
    plan = pools_of([row for pack in packs for row in pack.rows()], first, end, used, carried)
    if mine:
        drawing = draw_month(usage_of(mine), plan, BOOK, by_number)
        for party, units in drawing.used.items():
            used[party] += units
    left = {}
    for pack in packs:
        for number in (0,) if pack.shared else (1, 2):
            party = (pack.id, CUSTOMER, number)
            granted = plan.granted.get(party, 0)
            closing = close_month(
                month,
                lots.get((pack.id, number), ()),
                granted,
                used[party],
                months=pack.months if party in plan.goes_on else 0,
                cap=pack.carry_cap,
            )
            held = granted + carried.get(party, 0) + closing.overdrawn
            assert held == used[party] + closing.expired + closing.carried_out
            if closing.lots:
                left[pack.id, number] = closing.lots
    second = defaultdict(list)
    for take in drawing.second if mine else ():
        for row, units in zip(take.rows.tolist(), take.drawn.tolist(), strict=True):
            second[row].append((take.bundle, units // 10**6))
    draws = []
    for row, talk in enumerate(mine):
        if not talk.billed:
            units = int(drawing.drawn[row]) // 10**6 - sum(n for _, n in second[row])
            own = [(int(drawing.bundle[row]), units)] if units else []
            assert int(drawing.retail[row]) == (talk.seconds - int(drawing.covered[row])) * 10**6
            draws.append(_by_pack([*own, *second[row]]))
    return left, used, draws


def _by_pack(draws):
    found = defaultdict(int)
    for pack, units in draws:
        found[pack] += units
    return dict(found)


def usage_of(talks):
    """Return calls as the columns the product draws over."""
    chunk = chunk_of(
        *(
            {"duration": t.seconds, "dialled": t.dialled, "started_at": t.day * 86_400 + t.second}
            for t in talks
        )
    )
    calls = Calls.of(chunk, BOOK)
    calls.day[:] = [t.day for t in talks]
    return Usage(
        calls=calls,
        customer=np.full(len(talks), CUSTOMER),
        number=np.array([t.number for t in talks]),
        rate=np.zeros(len(talks), dtype=np.int64),
        call_class=[""] * len(talks),
        open=np.array([not t.billed for t in talks]),
        other=np.zeros(len(talks), dtype=np.int64),
        uncovered=calls.volume,
    )


FIRST, LAST = MONTHS[0][0], MONTHS[-1][1]
DAYS = st.integers(FIRST, LAST - 1)
SPAN = st.tuples(DAYS, st.integers(1, 70)).map(lambda d: (d[0], d[0] + d[1]))
FEATURES = st.one_of(
    st.just([(FIRST - 10, FOREVER)]),
    st.lists(SPAN, min_size=1, max_size=2),
    SPAN.map(lambda s: [(FIRST, s[1])]),
)
VALID = st.one_of(
    st.just((0, FOREVER)), SPAN, SPAN.map(lambda s: (0, s[1])), SPAN.map(lambda s: (s[0], FOREVER))
)


def packs_of(given: list[dict[str, Any]]) -> list[Pack]:
    """Number packages."""
    return [Pack(place, **each) for place, each in enumerate(given, 1)]


PACKS = st.lists(
    st.builds(
        dict,
        amount=st.integers(0, 300),
        step=st.sampled_from([1, 1, 7, 60]),
        priority=st.integers(0, 1),
        prefix=st.sampled_from(["", "", "44"]),
        shared=st.booleans(),
        prorate=st.booleans(),
        cap=st.one_of(st.none(), st.integers(1, 200)),
        months=st.integers(0, 3),
        carry_cap=st.one_of(st.none(), st.integers(1, 200)),
        valid=VALID,
        features=FEATURES,
    ),
    min_size=1,
    max_size=3,
).map(packs_of)
TALKS = st.lists(
    st.tuples(
        st.integers(1, 3), DAYS, st.integers(1, 200), st.sampled_from(["4420", "33"]), st.integers(0, 2)
    ),
    max_size=14,
).map(
    lambda rows: [
        (Talk(number, at, n, seconds, to), turn) for n, (number, at, seconds, to, turn) in enumerate(rows)
    ]
)


@settings(deadline=None, max_examples=150)
@given(PACKS, TALKS, st.randoms(use_true_random=False))
def test_every_world_is_drawn_as_call_by_call(packs, supplied, random):
    """Calls come in three turns; what the first turn drew is billed before the second, and so on."""
    held = []
    for turn in range(3):
        for talk in held:
            talk.billed = True
        held += [talk for talk, when in supplied if when == turn]
        lots, own_lots = {}, {}
        for month in range(3):
            random.shuffle(held)
            expected = naive_month(held, packs, month, lots)
            own_lots, used, draws = ours(held, packs, month, own_lots)
            first, end = MONTHS[month]
            order = sorted((t for t in held if first <= t.day < end), key=lambda t: (t.day, t.second))
            assert draws == [_by_pack(t.draws) for t in order if not t.billed]
            assert {p: n for p, n in expected.used.items() if n} == {
                (p[0], p[2]): n for p, n in used.items() if n
            }
            assert own_lots == expected.lots
            lots = expected.lots


def test_units_leave_oldest_first_and_lapse_after_their_months():
    closing = close_month(24_315, ((24_313, 10), (24_314, 20)), 100, 15, months=2, cap=None)
    assert closing.lots == ((24_314, 15), (24_315, 100))
    assert (closing.expired, closing.overdrawn, closing.carried_out) == (0, 0, 115)
    closing = close_month(24_315, ((24_313, 10), (24_314, 20)), 100, 0, months=1, cap=None)
    assert (closing.lots, closing.expired) == (((24_315, 100),), 30)
    closing = close_month(24_315, ((24_314, 20),), 100, 0, months=2, cap=110)
    assert (closing.lots, closing.expired) == (((24_314, 10), (24_315, 100)), 10)
    closing = close_month(24_315, (), 100, 130, months=2, cap=None)
    assert (closing.lots, closing.expired, closing.overdrawn) == ((), 0, 30)
