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


def draw_month(calls: list[Priced], customer: int, month: date, book: NaiveBook) -> None:
    """Draw and price the calls of one customer and local month, given in order of start and content key."""
    pools = pools_of(customer, month, book)
    summed: dict[int, Fraction] = defaultdict(Fraction)
    for out in calls:
        if out.state not in ("rated", "zero") or out.call["direction"] != "out":
            continue
        draws: list[tuple[Row, Fraction]] = []
        for pool in pools:
            if pool.bundle["unit"] != "money" and may_draw(out, pool, book):
                draw(out, pool, draws, need_of(out, pool.bundle["unit"]))
        if out.rate:
            reprice(out, summed, book)
        for pool in pools:
            if pool.bundle["unit"] == "money" and may_draw(out, pool, book):
                out.retail -= draw(out, pool, draws, out.retail)
        if draws:
            out.bundle = draws[0][0]["id"]
            out.drawn = sum((n for bundle, n in draws if bundle["unit"] == draws[0][0]["unit"]), Fraction(0))
        settle(out)


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
            pool.left += whole * feature["quantity"]
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


def draw(out: Priced, pool: Pool, draws: list[tuple[Row, Fraction]], need: Fraction) -> Fraction:
    """Take what the call needs from the pool, in whole steps, as far as it goes; return what of it is covered."""
    step = Fraction(pool.bundle["step"])
    used = min(need, pool.left)
    if step:
        used = min(math.ceil(need / step), math.floor(pool.left / step)) * step
    taken = min(used, need)
    if taken > 0:
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
