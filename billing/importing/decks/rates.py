"""Turns the lines of a deck into rates: one for each key and band, equal repeats once, unequal ones a question."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing.importing.decks.fields import PriceColumn
from billing.importing.tables.fields import Reading
from billing.importing.tables.kind import Kind, Row
from billing.importing.tables.problems import BadMapping, Problems
from billing.models import TariffRate

ENOUGH = 50
STEP = 20
FACTOR = 1000
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of the deck as it will stand in the tariff, from its line; `ends` means that it stops being valid."""

    service: str
    key_kind: str
    key: str
    band: str
    valid_from: date
    destination: str
    call_class: str
    price: Decimal
    connection_fee: Decimal
    minimum_charge: Decimal
    maximum_charge: Decimal | None
    initial_increment: int
    next_increment: int
    free_seconds: int
    line: int
    ends: bool = False

    @property
    def place(self) -> tuple[str, str, str, str, date]:
        """Where the rate stands: a tariff has one rate there."""
        return self.service, self.key_kind, self.key, self.band, self.valid_from

    @property
    def terms(self) -> tuple[Any, ...]:
        """What the rate says: all but its place and the destination's name."""
        return (self.call_class, self.price, self.connection_fee, self.minimum_charge, self.maximum_charge,
                self.initial_increment, self.next_increment, self.free_seconds, self.ends)  # fmt: skip


def defaults_of(kind: Kind, given: Any, reading: Reading) -> dict[str, Any]:
    """Read the defaults of a mapping as the fields read them."""
    if not isinstance(given, dict):
        raise BadMapping('“defaults” is an object such as {"increments": "60/60"}.')
    found = {}
    for name, value in given.items():
        try:
            found[name] = kind.field(name).parse(str(value), reading)
        except LookupError:
            raise BadMapping(f"“defaults” names no field of a deck: “{name}”.") from None
        except ValueError as error:
            raise BadMapping(f"“defaults”, {name}: {error}") from None
    return found


def rates_of(
    rows: Iterable[Row],
    prices: Sequence[PriceColumn],
    defaults: Mapping[str, Any],
    first_day: date,
    problems: Problems,
) -> tuple[list[Rate], int]:
    """Return the deck's rates and how many equal repeats were left out; unequal repeats become problems."""
    places: dict[tuple[Any, ...], Rate] = {}
    collapsed = 0
    for row in rows:
        filled = {name: defaults.get(name) if value is None else value for name, value in row.items()}
        for rate in _rates(filled, prices, first_day, problems):
            there = places.setdefault(rate.place, rate)
            if there is rate:
                continue
            if there.terms == rate.terms:
                collapsed += 1
            else:
                problems.add(rate.line, "prefix", f"“{rate.key}” is on line {there.line} too, at {_said(there)} "
                             f"instead of {_said(rate)}: which one counts?")  # fmt: skip
    return list(places.values()), collapsed


def _said(rate: Rate) -> str:
    return f"{rate.price.normalize():f} ({rate.initial_increment}/{rate.next_increment})"


def _rates(row: Row, prices: Sequence[PriceColumn], first_day: date, problems: Problems) -> list[Rate]:
    keys = _keys(row)
    if not keys:
        problems.add(row["line"], "prefix", "The line has neither a prefix nor a charge code.")
        return []
    ends = row["action"] == "end"
    found = []
    for column in prices:
        price = row.get(column.price)
        if price is None and not (ends and column is prices[0]):
            continue
        found.append(_rate(row, column, price or ZERO, first_day, ends))
    if not found:
        problems.add(row["line"], "price", "The line has no price.")
    return [replace(rate, key_kind=kind, key=key) for rate in _one_if_equal(found) for kind, key in keys]


def _keys(row: Row) -> list[tuple[str, str]]:
    if row["charge_code"]:
        return [(TariffRate.KeyKind.CODE.value, row["charge_code"])]
    return [(TariffRate.KeyKind.PREFIX.value, prefix) for prefix in row["prefix"] or ()]


def _rate(row: Row, column: PriceColumn, price: Decimal, first_day: date, ends: bool) -> Rate:
    first, following = row["initial_increment"], row["next_increment"]
    both = row["increments"] or (first or following or 1, following or first or 1)
    fee = row.get(column.fee)
    return Rate(
        service=column.service or row["service"] or TariffRate.Service.VOICE.value,
        key_kind="",
        key="",
        band=column.band or row["band"] or "",
        valid_from=row["effective_date"] or first_day,
        destination=row["destination"] or "",
        call_class=column.call_class or row["call_class"] or "",
        price=price,
        connection_fee=row["connection_fee"] or ZERO if fee is None else fee,
        minimum_charge=row["minimum_charge"] or ZERO,
        maximum_charge=row["maximum_charge"],
        initial_increment=first or both[0],
        next_increment=following or both[1],
        free_seconds=row["free_seconds"] or 0,
        line=row["line"],
        ends=ends,
    )


def _one_if_equal(rates: list[Rate]) -> list[Rate]:
    """Return one rate for any time where all three bands cost the same."""
    if len(rates) == 3 and len({(rate.service, rate.terms) for rate in rates}) == 1:
        return [replace(rates[0], band="")]
    return rates


def out_of_range(rates: Iterable[Rate]) -> list[Rate]:
    """Return the rates that jump out of their deck's range, as prices do that have lost their decimal point.

    In a deck of at least 50 priced rates: those above a step of 20 times between neighbouring prices over the
    median, and those over 1,000 times the median.
    """
    by_service: dict[str, list[Rate]] = defaultdict(list)
    for rate in rates:
        if rate.price > 0 and not rate.ends:
            by_service[rate.service].append(rate)
    found: list[Rate] = []
    for priced in by_service.values():
        if len(priced) >= ENOUGH:
            limit = _limit(sorted(rate.price for rate in priced))
            found += [rate for rate in priced if rate.price > limit]
    return sorted(found, key=lambda rate: rate.line)


def _limit(prices: list[Decimal]) -> Decimal:
    median = Decimal(statistics.median_low(prices))
    limit = median * FACTOR
    upper = [price for price in prices if price >= median]
    for price, following in zip(upper, upper[1:], strict=False):
        if following > price * STEP:
            return min(limit, price)
    return limit
