"""Draws a customer's allowances over a month, call by call in order of start: the naive oracle of allowances."""

import math
from calendar import monthrange
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

from tests.billing.naive_book import NaiveBook, Row
from tests.billing.naive_calls import Priced, price, price_units, settle

SERVICES = {"seconds": "voice", "calls": "voice", "sms": "sms", "data": "data"}


class Pool:
    """One quantity to draw from: its bundle, whose, over which days, what is left."""

    def __init__(self, bundle: Row, number: int | None, first: date, end: date) -> None:
        self.bundle, self.number, self.first, self.end = bundle, number, first, end
        self.left = Fraction(0)
        self.granted = Fraction(0)


#: What is carried into a month, by bundle and number: (month granted, units), the oldest first.
Carried = dict[tuple[int, int | None], list[tuple[int, Fraction]]]


def draw_months(
    months: dict[date, list[Priced]], customer: int, first: date, last: date, book: NaiveBook
) -> None:
    """Draw a customer's months in turn from the first calls that were supplied on, carrying over what is unused."""
    carried: Carried = {}
    while first <= last:
        carried = draw_month(months.get(first, []), customer, first, book, carried)
        first += timedelta(days=monthrange(first.year, first.month)[1])


def draw_month(calls: list[Priced], customer: int, month: date, book: NaiveBook, carried: Carried) -> Carried:
    """Draw and price the calls of one customer and local month, given in order of start and content key; return what
    is carried into the next.
    """
    pools = with_carried(pools_of(customer, month, book), carried, customer, month, book)
    drawn: dict[tuple[int, int | None], Fraction] = defaultdict(Fraction)
    summed: dict[int, Fraction] = defaultdict(Fraction)
    for out in calls:
        if out.state not in ("rated", "zero") or out.call["direction"] != "out":
            continue
        draws: list[tuple[Row, Fraction]] = []
        for pool in pools:
            if pool.bundle["unit"] != "money" and may_draw(out, pool, book):
                draw(out, pool, draws, need_of(out, pool.bundle["unit"]), drawn)
        if out.rate:
            reprice(out, summed, book)
        for pool in pools:
            if pool.bundle["unit"] == "money" and may_draw(out, pool, book):
                out.retail -= draw(out, pool, draws, out.retail, drawn)
        if draws:
            out.bundle = draws[0][0]["id"]
            out.drawn = sum((n for bundle, n in draws if bundle["unit"] == draws[0][0]["unit"]), Fraction(0))
        settle(out)
    return left_over(pools, carried, customer, month, book)


def with_carried(
    pools: list[Pool], carried: Carried, customer: int, month: date, book: NaiveBook
) -> list[Pool]:
    """Return the pools with what is carried over before those of its bundle, over the days of the package."""
    end = month + timedelta(days=monthrange(month.year, month.month)[1])
    found = list(pools)
    for (bundle_id, number), lots in carried.items():
        at = next(
            n for n, pool in enumerate(found) if (pool.bundle["id"], pool.number) == (bundle_id, number)
        )
        mine = [
            f
            for f in book.features_of[customer]
            if f["feature_type_id"] == found[at].bundle["feature_type_id"]
        ]
        days = [(max(f["start_date"], month), min(f["end_date"] or end, end)) for f in mine]
        days = [(a, b) for a, b in days if a < b]
        pool = Pool(found[at].bundle, number, min(a for a, _ in days), max(b for _, b in days))
        pool.left = sum((units for _, units in lots), Fraction(0))
        found.insert(at, pool)
    return found


def left_over(pools: list[Pool], carried: Carried, customer: int, month: date, book: NaiveBook) -> Carried:
    """Return what the next month may use: the oldest units go first and lapse first."""
    end = month + timedelta(days=monthrange(month.year, month.month)[1])
    at, found = month.year * 12 + month.month, {}
    for key in dict.fromkeys((pool.bundle["id"], pool.number) for pool in pools):
        mine = [pool for pool in pools if (pool.bundle["id"], pool.number) == key]
        bundle = mine[0].bundle
        lots = [*carried.get(key, []), (at, sum((pool.granted for pool in mine), Fraction(0)))]
        room = sum((pool.left for pool in mine), Fraction(0))
        if bundle["rollover_cap"] is not None:
            room = min(room, Fraction(bundle["rollover_cap"]))
        kept: list[tuple[int, Fraction]] = []
        for origin, units in reversed(lots):
            if at + 1 - origin <= bundle["rollover_months"] and min(units, room) > 0:
                kept.insert(0, (origin, min(units, room)))
            room -= min(units, room)
        features = [
            f for f in book.features_of[customer] if f["feature_type_id"] == bundle["feature_type_id"]
        ]
        if kept and any(f["start_date"] <= end and (f["end_date"] or date.max) > end for f in features):
            found[key] = kept
    return found


def pools_of(customer: int, month: date, book: NaiveBook) -> list[Pool]:
    """Return the customer's pools of a month, by the bundles' priority; features of one bundle and days are one."""
    end = month + timedelta(days=monthrange(month.year, month.month)[1])
    pools: dict[tuple[int, int, int | None, date, date], Pool] = {}
    for feature in book.features_of[customer]:
        first, stop = max(feature["start_date"], month), min(feature["end_date"] or end, end)
        if first >= stop:
            continue
        for bundle in book.bundles_of[feature["feature_type_id"]]:
            number = None if bundle["shared"] else feature["number_id"]
            key = (bundle["priority"], bundle["id"], number, first, stop)
            pool = pools.setdefault(key, Pool(bundle, number, first, stop))
            whole = Fraction(bundle["amount"])
            if bundle["prorate_first"] and month < feature["start_date"] < end:
                grain = 10**6 if bundle["unit"] == "data" else 10**8 if bundle["unit"] == "money" else 1
                part = whole * (end - feature["start_date"]).days / (end - month).days
                whole = Fraction(math.floor(part * grain), grain)
            pool.granted += whole * feature["quantity"]
            pool.left = pool.granted
    return [pools[key] for key in sorted(pools, key=lambda key: (*key[:2], key[2] or 0, *key[3:]))]


def may_draw(out: Priced, pool: Pool, book: NaiveBook) -> bool:
    """Say whether a pool serves a call: its number, days, class, destination, and that the call costs something."""
    bundle, call = pool.bundle, out.call
    if pool.number not in (None, out.number) or not pool.first <= out.day < pool.end:
        return False
    if bundle["unit"] != "money" and (SERVICES[bundle["unit"]] != call["service"] or not costs(out, book)):
        return False
    if bundle["call_class"] and bundle["call_class"] != out.call_class:
        return False
    prefixes = [prefix.lstrip("+") for prefix in bundle["prefixes"].replace(",", " ").split()]
    return not prefixes or call["dialled"].lstrip("+").startswith(tuple(prefixes))


def costs(out: Priced, book: NaiveBook) -> bool:
    """Say whether a call would cost something without allowances."""
    if out.rate is None:
        return False
    if out.call["service"] == "data" and book.tariffs[out.rate["tariff_id"]]["data_per_period"]:
        return bool(out.rate["price"] > 0)
    return price(out.call, out.rate, out.tariff, book)[1] > 0


def need_of(out: Priced, unit: str) -> Fraction:
    """Return what of the call is not covered yet, in the unit."""
    if unit == "seconds":
        return out.billed - out.covered
    if unit == "calls":
        return Fraction(out.billed > out.covered)
    return Fraction(out.call["answered"] if unit == "sms" else out.call["volume"]) - out.covered


def draw(
    out: Priced,
    pool: Pool,
    draws: list[tuple[Row, Fraction]],
    need: Fraction,
    drawn: dict[tuple[int, int | None], Fraction],
) -> Fraction:
    """Take what the call needs from the pool, in whole steps, as far as it and the cap of its number go; return what
    of it is covered.
    """
    step, left, member = Fraction(pool.bundle["step"]), pool.left, (pool.bundle["id"], out.number)
    if pool.bundle["shared"] and pool.bundle["member_cap"] is not None:
        left = min(left, max(Fraction(pool.bundle["member_cap"]) - drawn[member], Fraction(0)))
    used = min(need, left)
    if step:
        used = min(math.ceil(need / step), math.floor(left / step)) * step
    taken = min(used, need)
    if taken > 0:
        drawn[member] += used
        pool.left -= used
        draws.append((pool.bundle, taken))
        if pool.bundle["unit"] == "calls":
            out.covered = Fraction(out.billed)
        elif pool.bundle["unit"] != "money":
            out.covered += taken
    return taken


def reprice(out: Priced, summed: dict[int, Fraction], book: NaiveBook) -> None:
    """Price what the allowances leave; data of some tariffs by the units it adds to the month's sum at its rate."""
    rate, call = out.rate, out.call
    tariff = book.tariffs[rate["tariff_id"]]
    if call["service"] != "data" or not tariff["data_per_period"]:
        out.retail = price(call, rate, out.tariff, book, out.covered)[1]
        return
    unit, before = Fraction(tariff["data_unit_mb"]), summed[rate["id"]]
    after = before + Fraction(call["volume"]) - out.covered
    summed[rate["id"]] = after
    added = math.ceil(after / unit) - math.ceil(before / unit)
    out.retail = price_units(added, added, rate, tariff)
