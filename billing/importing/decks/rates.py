"""Turns the lines of a deck into rates: one for each key and band, equal repeats once, unequal ones a question."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing.importing.decks.fields import PriceColumn
from billing.importing.decks.names import Names
from billing.importing.tables.fields import Reading
from billing.importing.tables.kind import Kind, Row
from billing.importing.tables.problems import BadMapping, Problems
from billing.models import TariffRate

ENOUGH = 50
STEP = 20
FACTOR = 1000
ZERO = Decimal(0)
#: For so many unknown names the nearest is looked for, at a look through every known name each.
SUGGESTED = 100


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


class Reader:
    """Turns the lines of a deck into rates; counts equal repeats that it leaves out, asks about unequal ones.

    With `names` the lines have no keys of their own: their destinations are looked up there.
    """

    def __init__(
        self,
        prices: Sequence[PriceColumn],
        defaults: Mapping[str, Any],
        first_day: date,
        problems: Problems,
        *,
        names: Names | None = None,
        repeats: str = "ask",
        bands: Mapping[str, str] | None = None,
    ) -> None:
        self.prices, self.defaults, self.first_day = prices, defaults, first_day
        self.problems, self.names, self.repeats, self.bands = problems, names, repeats, bands or {}
        self.places: dict[tuple[Any, ...], Rate] = {}
        self.unmatched: dict[str, str] = {}
        self.collapsed = 0

    def read(self, rows: Iterable[Row]) -> list[Rate]:
        """Return the deck's rates, one for each key and band."""
        for row in rows:
            filled = {
                name: self.defaults.get(name) if value is None else value for name, value in row.items()
            }
            filled["band"] = self.bands.get(filled["band"] or "", filled["band"])
            for rate in self._rates(filled):
                there = self.places.setdefault(rate.place, rate)
                if there is not rate:
                    self._repeated(there, rate)
        return list(self.places.values())

    def _repeated(self, there: Rate, rate: Rate) -> None:
        if there.terms == rate.terms or self.repeats != "ask":
            self.collapsed += 1
            if self.repeats == "last" or (self.repeats == "dearest" and rate.price > there.price):
                self.places[rate.place] = rate
            return
        self.problems.add(rate.line, "prefix", f"“{rate.key}” is on line {there.line} too, at {_said(there)} "
                          f"instead of {_said(rate)}: which one counts?")  # fmt: skip

    def _rates(self, row: Row) -> list[Rate]:
        try:
            keys = self._named(row) if self.names is not None else _keys(row)
        except NoRange as wrong:
            self.problems.add(row["line"], "prefix_to", str(wrong))
            return []
        if not keys:
            if keys is not None:
                self.problems.add(row["line"], "prefix", "The line has neither a prefix nor a charge code.")
            return []
        ends = row["action"] == "end"
        found = []
        for column in self.prices:
            price = row.get(column.price)
            if price is None and not (ends and column is self.prices[0]):
                continue
            found.append(_rate(row, column, price or ZERO, self.first_day, ends))
        if not found:
            self.problems.add(row["line"], "price", "The line has no price.")
        return [replace(rate, key_kind=kind, key=key) for rate in _one_if_equal(found) for kind, key in keys]

    def _named(self, row: Row) -> list[tuple[str, str]] | None:
        """Return the keys of the line's destination, None when there is nothing to load of it."""
        name = row["destination"] or ""
        found = self.names.find(name) if self.names is not None and name else None
        if found is None and self.names is not None and name not in self.unmatched:
            told = len(self.unmatched) < SUGGESTED
            self.unmatched[name] = self.names.nearest(name) if told else ""
            self.problems.add(row["line"], "destination", f"“{name}” is no destination of the tariff of the names: "
                              "say what it is, or leave it out.")  # fmt: skip
        return found or None


def _said(rate: Rate) -> str:
    return f"{rate.price.normalize():f} ({rate.initial_increment}/{rate.next_increment})"


def divided(rate: Rate, by: int) -> Rate:
    """Return a rate whose amounts were written so many times too large."""
    names = ("price", "connection_fee", "minimum_charge", "maximum_charge")
    amounts = {name: getattr(rate, name) for name in names}
    return replace(rate, **{name: amount / by for name, amount in amounts.items() if amount is not None})


def _keys(row: Row) -> list[tuple[str, str]]:
    if row["charge_code"]:
        return [(TariffRate.KeyKind.CODE.value, row["charge_code"])]
    found: Sequence[str] = row["prefix"] or ()
    last: Sequence[str] = row.get("prefix_to") or ()
    if last:
        if len(found) != 1 or len(last) != 1:
            raise NoRange("A range has one first and one last prefix: give several on lines of their own.")
        found = covering(found[0], last[0])
    return [(TariffRate.KeyKind.PREFIX.value, prefix) for prefix in found]


class NoRange(ValueError):
    """Two prefixes that are not the first and the last of a range, with the reason for the user."""


def covering(first: str, last: str) -> list[str]:
    """Return the fewest prefixes that cover a range of codes, both included: 9381 to 9399 is 9381, …, 9389, 939.

    Raises NoRange for ends of different length, and for a last one before the first.
    """
    if len(first) != len(last):
        raise NoRange(f"{first} to {last} is no range: both prefixes have the same number of digits.")
    if first > last:
        raise NoRange(f"{first} to {last} is no range: the last prefix comes before the first.")
    if first == last:
        return [first]
    low, high, width = int(first), int(last), len(first)
    found = []
    while low <= high:
        step = 1
        while low % (step * 10) == 0 and low + step * 10 - 1 <= high and step * 10 < 10**width:
            step *= 10
        found.append(f"{low:0{width}d}"[: width - len(str(step)) + 1])
        low += step
    return found


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
