"""The calls, messages and sessions of a demo reseller, month by month, as columns; no money but the supplier's."""

from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.demo.catalogue import (
    DATA_WHOLESALE,
    DESTINATIONS,
    FOLLOWED,
    FOLLOWED_FACTOR,
    MOBILE,
    PBX,
    SMS_WHOLESALE,
    STALE,
    STALE_WHOLESALE,
    UNPRICED,
    Destination,
    bought_at,
)
from billing.demo.plan import CustomerPlan
from billing.demo.shape import Calendar
from billing.demo.store_catalogue import changed_price, deck_change, stale_since
from resellerkpi.core.periods import add_months

Ints: TypeAlias = NDArray[np.int64]

ALL = (*DESTINATIONS, UNPRICED)
INDEX = {destination.code: index for index, destination in enumerate(ALL)}
VOICE, SMS, DATA = 0, 1, 2
UNIT = 10_000  # suppliers' prices and costs are whole ten-thousandths of a pound
DAY = 86_400

WEEKDAY = (100, 106, 105, 102, 92, 24, 11)
HOUR = (1, 0, 0, 0, 1, 2, 8, 25, 70, 110, 118, 112, 84, 88, 108, 104, 96, 74, 40, 22, 14, 9, 5, 2)
SEASON = {1: 98, 7: 95, 8: 86, 11: 104, 12: 84}
MEDIAN_SECONDS, SPREAD, LONGEST = 95, 1.05, 7200


@dataclass
class Lines:
    """The lines calls are made on, as columns; days are ordinals, no end is the largest one."""

    number: list[str]
    carrier: Ints
    weight: Ints
    start: Ints
    end: Ints

    @classmethod
    def of(cls, plans: list[CustomerPlan]) -> "Lines":
        """Return the calling lines of all customers."""
        rows = [number for plan in plans for number in plan.numbers if number.weight]
        return cls(
            [row.number for row in rows],
            np.array([row.carrier for row in rows]),
            np.array([row.weight for row in rows]),
            np.array([row.start.toordinal() for row in rows]),
            np.array([(row.end or date.max).toordinal() for row in rows]),
        )


@dataclass
class Traffic:
    """Events as columns: index of the number in `numbers`, destination in ALL, local second of the month."""

    numbers: list[str]
    line: Ints
    carrier: Ints
    service: Ints
    destination: Ints
    at: Ints
    seconds: Ints
    kilobytes: Ints
    cost: Ints

    def __len__(self) -> int:
        return len(self.line)

    def only(self, mask: NDArray[np.bool_]) -> "Traffic":
        """Return the events of a mask in order of time."""
        rows = np.flatnonzero(mask)
        rows = rows[np.argsort(self.at[rows], kind="stable")]
        columns = [getattr(self, column.name)[rows] for column in fields(self)[1:]]
        return Traffic(self.numbers, *columns)

    def plus(self, other: "Traffic") -> "Traffic":
        """Return the events of both."""
        shifted = other.line + len(self.numbers)
        columns = [
            np.concatenate([getattr(self, c.name), shifted if c.name == "line" else getattr(other, c.name)])
            for c in fields(self)[1:]
        ]
        return Traffic([*self.numbers, *other.numbers], *columns)


def month_sizes(calendar: Calendar, calls: int) -> list[tuple[date, int]]:
    """Share the calls out over the months: growth, seasons, and the part of the current month that is over."""
    months = [*calendar.months, calendar.current]
    weights = [
        SEASON.get(month.month, 100) * (100 + 2 * index) * (calendar_days(month, calendar))
        for index, month in enumerate(months)
    ]
    return [(month, calls * weight // sum(weights)) for month, weight in zip(months, weights, strict=True)]


def calendar_days(month: date, calendar: Calendar) -> int:
    """Return how many days of a month are over at the demo's day."""
    return (min(add_months(month, 1), calendar.today) - month).days


@dataclass(frozen=True)
class Month:
    """A month as calls see it: how many of its days are over, what a minute costs by carrier and destination."""

    first: date
    days: int
    prices: Ints

    @classmethod
    def of(cls, first: date, calendar: Calendar) -> "Month":
        """Return a month with the decks in force in it; decks change on the first of a month only."""
        prices = [[in_units(deck_price(d, carrier, first, calendar)) for d in ALL] for carrier in range(3)]
        return cls(first, calendar_days(first, calendar), np.array(prices))


def deck_price(destination: Destination, carrier: int, day: date, calendar: Calendar) -> Decimal:
    """Return what a carrier asks for a minute on a day."""
    price = bought_at(destination, carrier)
    if destination is STALE and day >= stale_since(calendar):
        return changed_price(price, STALE_WHOLESALE / STALE.wholesale)
    if destination.name in FOLLOWED and day >= deck_change(calendar):
        return changed_price(price, FOLLOWED_FACTOR)
    return price


def in_units(amount: Decimal) -> int:
    """Return an amount in whole ten-thousandths."""
    return int(amount * UNIT)


def ordinary(random: np.random.Generator, lines: Lines, month: Month, count: int) -> Traffic:
    """Return a month's ordinary events: who, when, where to, how long."""
    first = month.first.toordinal()
    served = np.minimum(lines.end, first + month.days) - np.maximum(lines.start, first)
    weight = lines.weight * np.maximum(served, 0)
    if not count or not weight.sum():
        return empty(lines.number)
    line = random.choice(len(weight), size=count * 2, p=weight / weight.sum())
    day = _days(random, month, len(line))
    fits = (lines.start[line] <= first + day) & (first + day < lines.end[line])
    line, day = line[fits][:count], day[fits][:count]
    kinds = random.choice(3, size=len(line), p=(0.5, 0.3, 0.2))
    service = np.where(lines.carrier[line] == MOBILE, kinds, VOICE)
    share = np.array([destination.share for destination in ALL])
    destination = random.choice(len(ALL), size=len(line), p=share / share.sum())
    destination = np.where(service == VOICE, destination, INDEX["UKM"])
    at = day * DAY + _seconds_of_day(random, len(line))
    return _events(random, month, lines.number, line, lines.carrier[line], service, destination, at)


def chosen(
    random: np.random.Generator, month: Month, numbers: list[str], carrier: int, code: str, count: int
) -> Traffic:
    """Return a few voice calls of given numbers to one destination."""
    if not numbers or not month.days:
        return empty(numbers)
    line = random.integers(0, len(numbers), count)
    at = _days(random, month, count) * DAY + _seconds_of_day(random, count)
    same = np.ones(count, dtype=np.int64)
    return _events(random, month, numbers, line, same * carrier, same * VOICE, same * INDEX[code], at)


def empty(numbers: list[str]) -> Traffic:
    """Return no events."""
    none = np.zeros(0, dtype=np.int64)
    return Traffic(numbers, *[none] * 8)


def _days(random: np.random.Generator, month: Month, count: int) -> Ints:
    weights = np.array([_day_weight(month.first + timedelta(days=day)) for day in range(month.days)])
    return random.choice(month.days, size=count, p=weights / weights.sum())


def _day_weight(day: date) -> int:
    return 8 if (day.month, day.day) in ((12, 25), (12, 26), (1, 1)) else WEEKDAY[day.weekday()]


def _seconds_of_day(random: np.random.Generator, count: int) -> Ints:
    weights = np.array(HOUR)
    hour = random.choice(24, size=count, p=weights / weights.sum())
    return hour * 3600 + random.integers(0, 3600, count)


def _events(
    random: np.random.Generator,
    month: Month,
    numbers: list[str],
    line: Ints,
    carrier: Ints,
    service: Ints,
    destination: Ints,
    at: Ints,
) -> Traffic:
    seconds = np.exp(random.normal(np.log(MEDIAN_SECONDS), SPREAD, len(line))).astype(np.int64)
    seconds = np.clip(seconds, 1, LONGEST)
    unanswered = (carrier == PBX) & (random.random(len(line)) < 0.14)
    seconds = np.where((service != VOICE) | unanswered, 0, seconds)
    kilobytes = np.exp(random.normal(np.log(60_000), 1.2, len(line))).astype(np.int64)
    kilobytes = np.where(service == DATA, np.clip(kilobytes, 20, 4_000_000), 0)
    cost = per_minute(seconds, month.prices[carrier, destination])
    cost = np.where(service == SMS, in_units(SMS_WHOLESALE), cost)
    megabytes = -(-kilobytes // 1024)
    cost = np.where(service == DATA, megabytes * in_units(DATA_WHOLESALE), cost)
    return Traffic(numbers, line, carrier, service, destination, at, seconds, kilobytes, cost)


def per_minute(seconds: Ints, price: Ints | int) -> Ints:
    """Return the price of calls by the second, rounded half-up to a unit."""
    return (2 * seconds * price + 60) // 120
