"""Prices calls one at a time with fractions, from what a supplier's file says of them: the naive oracle of rating."""

import math
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from tests.billing.naive_book import NaiveBook, Row, holds, plain
from tests.oracles import (
    NaiveCall,
    NaivePiece,
    naive_band,
    naive_price,
    naive_round,
    naive_split_price,
)

UNIT = 10**8
ROUNDINGS = {"half_up": 0, "half_even": 1, "up": 2, "down": 3}
MILLION = 10**6


class Priced(SimpleNamespace):
    """What the oracle says of one call: customer, number, tariff, rate, class, price before allowances, why not."""


def rate_call(call: Row, book: NaiveBook) -> Priced:
    """Match and price one call; allowances come later, in call order."""
    day = book.day(call["started_at"])
    number = book.names.get(plain(call["billed_party"]))
    customer = book.customer_on(number, day) if number else None
    out = Priced(
        call=call, day=day, number=number, customer=customer, tariff=None, rate=None, cost_rate=None, call_class="",
        marked=False, retail=Fraction(0), billed=0, reason="", state="zero", expected=None, drawn=Fraction(0),
        bundle=None, covered=Fraction(0),
    )  # fmt: skip
    if call["state"] == "excluded":
        out.state, out.reason = "excluded", call["reason"]
        return out
    if call["direction"] != "out":
        out.reason = "inbound"
        return out
    bought = book.wholesale(call["carrier_id"], day)
    out.cost_rate = find_rate(call, bought, day, book) if bought else None
    if out.cost_rate:
        out.expected = price(call, out.cost_rate, bought, book)[1]
    if customer:
        out.tariff, out.rate = choose(out, day, book)
    named = out.rate or out.cost_rate
    out.call_class = named["call_class"] if named else ""
    finish(out, book)
    return out


def choose(out: Priced, day: date, book: NaiveBook) -> tuple[Row | None, Row | None]:
    """Return tariff and rate: the number's for the class, the number's, the customer's for the class, the customer's,
    the default; the class is that of the rate found without regard to class, else of the wholesale rate.
    """
    call = out.call
    numbers, customers = book.of_number[out.number], book.of_customer[out.customer]
    own, whose = book.assigned(numbers, "", day), book.assigned(customers, "", day)
    general = own or whose or book.default(call["carrier_id"], book.numbers[out.number]["type"], day)
    rate = find_rate(call, general, day, book) if general else None
    named = rate or out.cost_rate
    if named and named["call_class"]:
        special = book.assigned(numbers, named["call_class"], day)
        special = special or (None if own else book.assigned(customers, named["call_class"], day))
        if special:
            return special, find_rate(call, special, day, book)
    return general, rate


def finish(out: Priced, book: NaiveBook) -> None:
    """Say what the call costs before allowances, or why it cannot be priced, in the order of repair."""
    call = out.call
    if not call["answered"]:
        out.reason = "unanswered"
    elif not out.number:
        out.reason = "unknown_cli"
    elif not out.customer:
        out.reason = "inactive"
    elif not out.tariff:
        out.reason = "no_tariff"
    elif not out.rate and not mark_up(out, book):
        out.reason = "no_rate" if call["dialled"] or call["charge_code"] else "unknown_type"
    if out.reason not in ("", "unanswered"):
        out.state = "error"
        return
    if out.rate:
        out.billed, out.retail = price(call, out.rate, out.tariff, book)
    settle(out)


def settle(out: Priced) -> None:
    """A call that costs something or drew from an allowance is rated; any other is free."""
    out.state = "rated" if out.retail or out.drawn else "zero"
    out.reason = "" if out.state == "rated" else out.reason


def mark_up(out: Priced, book: NaiveBook) -> bool:
    """Price a call without a rate by a markup over its cost; say whether that can be done."""
    call, general = out.call, book.inherited(out.tariff, "markup_percent")
    of_class = [
        row["percent"]
        for tariff in book.line(out.tariff)
        for row in book.markups[tariff["id"]]
        if row["call_class"] == out.call_class
    ]
    percent = of_class[0] if of_class else general
    if percent is None:
        return False
    currency = out.tariff["currency"]
    cost = call["cost"] if call["cost_currency"] in ("", currency) else None
    if cost is None and out.cost_rate and book.tariffs[out.cost_rate["tariff_id"]]["currency"] == currency:
        cost = out.expected
    if cost is None:
        return False
    exact = Fraction(cost) * (1 + Fraction(percent) / 100)
    out.retail = naive_round(exact, out.tariff["places"], ROUNDINGS[out.tariff["rounding"]])
    out.billed = call["duration"] if call["service"] == "voice" else 0
    out.marked = True
    return True


def find_rate(
    call: Row, tariff: Row, day: date, book: NaiveBook, moment: datetime | None = None
) -> Row | None:
    """Return the rate: own table first, then each parent's; in one by charge code, then by the longest prefix.

    `moment` is when the priced part of the call began, if not the call itself.
    """
    for each in book.line(tariff):
        band = band_of(call, each, book, moment)
        found = in_table(call, each, band, day, book)
        if found:
            return found
    return None


def in_table(call: Row, tariff: Row, band: str, day: date, book: NaiveBook) -> Row | None:
    """Return the rate in one tariff; a rate of the band beats one of any band for the same key."""
    digits = call["dialled"].lstrip("+")
    keys = [("code", call["charge_code"])] if call["charge_code"] else []
    keys += [("prefix", digits[:size]) for size in range(len(digits), -1, -1)]
    for kind, key in keys:
        rows = [
            row
            for row in book.rates[tariff["id"], call["service"], kind, key]
            if holds(row, day, "valid_from", "valid_to") and row["band"] in ("", band)
        ]
        if rows:
            return max(rows, key=lambda row: (row["band"] != "", row["valid_from"]))
    return None


def band_of(call: Row, tariff: Row, book: NaiveBook, moment: datetime | None) -> str:
    """Return the band that prices a moment: the file's, if the tariff has rates of it, else the clock's."""
    if call["band"] in book.bands_of_file[tariff["id"], call["service"]] - {""}:
        return str(call["band"])
    owner = next((each for each in book.line(tariff) if book.bands[each["id"]]), None)
    return clock(tariff, owner, book, moment or call["started_at"]) if owner else str(call["band"])


def clock(tariff: Row, owner: Row, book: NaiveBook, moment: datetime) -> str:
    """Return the band of the tariff's clock at a moment."""
    bands = [
        SimpleNamespace(
            weekdays=row["weekdays"], start_minute=row["start_minute"], end_minute=row["end_minute"],
            holidays=row["on_holidays"], priority=row["priority"],
        )
        for row in book.bands[owner["id"]]
    ]  # fmt: skip
    zone = ZoneInfo(tariff["time_zone"])
    free = bank_holidays(tariff["holidays"], moment.astimezone(zone).year)
    at = naive_band(int(moment.timestamp()), zone, bands, free)
    return "" if at < 0 else str(book.bands[owner["id"]][at]["code"])


@cache
def bank_holidays(region: str, year: int) -> Any:
    """Return the bank holidays of GB-ENG or DE in a year."""
    country, _, part = region.partition("-")
    return set(holidays.country_holidays(country, subdiv=part or None, years=year)) if country else set()


def price(
    call: Row, rate: Row, chosen: Row, book: NaiveBook, covered: Fraction = Fraction(0)
) -> tuple[int, Fraction]:
    """Return billed seconds and price of a call at a rate, of which allowances cover some."""
    tariff = book.tariffs[rate["tariff_id"]]
    if call["service"] == "voice":
        return voice(call, rate, chosen, tariff, book, int(covered))
    if call["service"] == "sms":
        units, paid = int(call["answered"]), int(call["answered"]) - int(covered)
    elif tariff["data_per_period"]:
        return 0, Fraction(0)
    else:
        unit, volume = Fraction(tariff["data_unit_mb"]), Fraction(call["volume"])
        units, paid = math.ceil(volume / unit), math.ceil(max(volume - covered, Fraction(0)) / unit)
    return 0, price_units(units, paid, rate, tariff)


def price_units(units: int, paid: int, rate: Row, tariff: Row) -> Fraction:
    """Return the price of messages or units of data, of which some are paid for; a unit is priced as a minute."""
    call = one(
        rate, tariff, answered=units > 0, seconds=60 * units, bundle=60 * (units - paid), initial=60, next=60
    )
    return Fraction(naive_price(call)[1], UNIT)


def voice(
    call: Row, rate: Row, chosen: Row, tariff: Row, book: NaiveBook, covered: int
) -> tuple[int, Fraction]:
    """Return billed seconds and price of a voice call, cut at its bands where the tariff says so."""
    per_minute = minute_price(rate, chosen, book)
    whole = one(
        rate, tariff, answered=call["answered"], seconds=call["duration"], bundle=covered, rate_=per_minute,
        initial=rate["initial_increment"], next=rate["next_increment"], free=rate["free_seconds"],
    )  # fmt: skip
    if tariff["band_rule"] == "split" and not call["band"] and call["answered"] and call["duration"]:
        pieces = cut(call, rate, chosen, tariff, book)
        if len(pieces) > 1:
            billed = sum(naive_split_price(NaiveCall(**{**vars_of(whole), "bundle": 0}), pieces)[0])
            return billed, Fraction(naive_split_price(whole, pieces)[1], UNIT)
    billed, amount = naive_price(whole)
    return billed, Fraction(amount, UNIT)


def one(rate: Row, tariff: Row, *, rate_: Fraction | None = None, **fields: Any) -> NaiveCall:
    """Return a call with the fee, limits and rounding of its rate and tariff."""
    money = {name: int(Fraction(rate[f"{name}_charge"] or 0) * UNIT) for name in ("minimum", "maximum")}
    if rate["maximum_charge"] is None:
        money["maximum"] = -1
    return NaiveCall(
        rate=int((Fraction(rate["price"]) if rate_ is None else rate_) * UNIT),
        fee=int(Fraction(rate["connection_fee"]) * UNIT),
        places=tariff["places"],
        rounding=ROUNDINGS[tariff["rounding"]],
        charge_unanswered=tariff["charge_unanswered"],
        fee_in_allowance=tariff["fee_inside_allowance"],
        **money,
        **fields,
    )


def vars_of(call: NaiveCall) -> dict[str, Any]:
    """Return the fields of a call."""
    return {name: getattr(call, name) for name in call.__dataclass_fields__}


def minute_price(rate: Row, chosen: Row, book: NaiveBook) -> Fraction:
    """Return the price of a minute: a service charge has the access charge of the customer's tariff on top."""
    sold = rate["is_service_charge"] and chosen["kind"] == "retail"
    access = book.inherited(chosen, "access_charge") if sold else None
    return Fraction(rate["price"]) + Fraction(access or 0)


def cut(call: Row, rate: Row, chosen: Row, tariff: Row, book: NaiveBook) -> list[NaivePiece]:
    """Cut a call where its band changes, looking at each minute; a band without a rate keeps the first price."""
    start, end = call["started_at"], call["started_at"] + timedelta(seconds=call["duration"])
    marks, at = [start], start.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    while at < end:
        marks.append(at)
        at += timedelta(minutes=1)
    owner = next((each for each in book.line(tariff) if book.bands[each["id"]]), None)
    names = [clock(tariff, owner, book, mark) if owner else "" for mark in marks]
    edges = [n for n in range(len(marks)) if n == 0 or names[n] != names[n - 1]]
    pieces = []
    for n, edge in enumerate(edges):
        until = marks[edges[n + 1]] if n + 1 < len(edges) else end
        priced = find_rate(call, tariff, book.day(start), book, marks[edge]) or rate
        seconds = int((until - marks[edge]).total_seconds())
        amount = int(minute_price(priced, chosen, book) * UNIT)
        pieces.append(NaivePiece(seconds, amount, priced["initial_increment"], priced["next_increment"]))
    return pieces
