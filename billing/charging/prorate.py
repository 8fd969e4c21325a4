"""Cuts a recurring charge into its periods and pro-rates the part ones (3-engine section 3).

Days are calendar dates and ends are exclusive. Whole periods are split off first; only the stubs at the
service's start and end are pro-rated. The first boundary is the anchor day in the month of the service's
start, or one interval later if that day has passed; an anchor of 29 to 31 falls on the last day of shorter
months. A leading stub is divided by the interval that ends at the first boundary (the one a calendar interval
before it), any other part by the period that holds it.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

DAYS_OF_MONTH_30 = 30


class ProrateError(ValueError):
    """A recurring charge that cannot be cut into periods, with the reason for the user."""


class Interval(StrEnum):
    """How often a charge recurs."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Mode(StrEnum):
    """When a period is charged: once it has started, or once it has ended."""

    ADVANCE = "advance"
    ARREARS = "arrears"


class Method(StrEnum):
    """How a part period is counted: actual days, months of 30 days, or not at all (a part is charged as a
    whole).
    """

    ACTUAL = "actual"
    THIRTY = "30"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Service:
    """The days a service runs, its end exclusive and None while it is open, and the rhythm of its charge
    (anchor day: 1 to 31).
    """

    start: date
    end: date | None
    interval: Interval
    anchor_day: int

    def __post_init__(self) -> None:
        """Refuse anchor days that no month has, and ends before the start."""
        if not 1 <= self.anchor_day <= 31:
            raise ProrateError("The anchor day must be from 1 to 31.")
        if self.end is not None and self.end < self.start:
            raise ProrateError("The service ends before it starts.")


@dataclass(frozen=True, slots=True)
class Part:
    """The days charged of one period (end exclusive), and the days by which they are divided."""

    start: date
    end: date
    period_start: date
    period_end: date

    @property
    def whole(self) -> bool:
        """Say whether the part is its whole period."""
        return (self.start, self.end) == (self.period_start, self.period_end)


@dataclass(frozen=True, slots=True)
class PartCharge:
    """One charge: its days (end exclusive), its exact share of a period, and the rounded amount."""

    start: date
    end: date
    fraction: Fraction
    amount: Decimal


def prorate(
    *, amount: Decimal, service: Service, mode: Mode, method: Method, target: date, places: int = 2
) -> list[PartCharge]:
    """Return the charges due by the target date: in advance the periods begun by it, in arrears those
    ended by it; each rounded half-up.
    """
    charges = []
    for part in periods(service, until=target):
        if mode is Mode.ARREARS and part.end > target:
            break
        share = fraction(part, service.interval, method)
        charges.append(PartCharge(part.start, part.end, share, part_amount(amount, share, places)))
    return charges


def periods(service: Service, *, until: date) -> Iterator[Part]:
    """Yield the service's periods that start on or before `until`, in order, cut by its start and end."""
    first = first_boundary(service)
    if first > service.start:
        period_start, number = _step(first, service.interval, -1, first.day), 0
        begin, boundary = service.start, first
    else:
        period_start, number = first, 1
        begin, boundary = first, _step(first, service.interval, 1, service.anchor_day)
    while begin <= until and (service.end is None or begin < service.end):
        yield Part(
            begin, boundary if service.end is None else min(boundary, service.end), period_start, boundary
        )
        number += 1
        begin = period_start = boundary
        boundary = _step(first, service.interval, number, service.anchor_day)


def first_boundary(service: Service) -> date:
    """Return the first aligned day on or after the service's start; days and weeks run from the start
    itself.
    """
    if service.interval in (Interval.DAY, Interval.WEEK):
        return service.start
    aligned = _clamped(service.start.year, service.start.month, service.anchor_day)
    return aligned if aligned >= service.start else _step(aligned, service.interval, 1, service.anchor_day)


def fraction(part: Part, interval: Interval, method: Method = Method.ACTUAL) -> Fraction:
    """Return the exact share of a period that the part is: its days / the period's days, 1 for a whole
    period, never more than 1.
    """
    if part.whole or method is Method.NONE:
        return Fraction(1)
    if method is Method.THIRTY and interval in _MONTHS:
        whole = DAYS_OF_MONTH_30 * _MONTHS[interval]
        return Fraction(min(max(_days_of_30(part.start, part.end), 0), whole), whole)
    return Fraction((part.end - part.start).days, (part.period_end - part.period_start).days)


def part_amount(amount: Decimal, share: Fraction, places: int = 2) -> Decimal:
    """Return amount x share, worked out exactly and rounded half-up (away from zero) to the places of the
    currency.
    """
    numerator, denominator = amount.as_integer_ratio()
    numerator, denominator = numerator * share.numerator * 10**places, denominator * share.denominator
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return Decimal(rounded if numerator >= 0 else -rounded).scaleb(-places)


_MONTHS = {Interval.MONTH: 1, Interval.QUARTER: 3, Interval.YEAR: 12}
_DAYS = {Interval.DAY: 1, Interval.WEEK: 7}


def _step(origin: date, interval: Interval, count: int, day: int) -> date:
    """Return the day `count` intervals from the origin, on the given day of the month or the month's last."""
    if interval in _DAYS:
        ordinal = origin.toordinal() + _DAYS[interval] * count
        if not 1 <= ordinal <= date.max.toordinal():
            raise ProrateError("The dates of this charge are beyond the calendar.")
        return date.fromordinal(ordinal)
    months = origin.year * 12 + origin.month - 1 + _MONTHS[interval] * count
    if not 12 <= months < (MAXYEAR + 1) * 12:
        raise ProrateError("The dates of this charge are beyond the calendar.")
    return _clamped(months // 12, months % 12 + 1, day)


def _clamped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _days_of_30(start: date, end: date) -> int:
    """Count days as if every month had 30: the 31st is not counted, and February gains."""
    months = (end.year - start.year) * 12 + end.month - start.month
    return months * DAYS_OF_MONTH_30 + end.day - start.day
