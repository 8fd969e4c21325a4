"""Matches columns of calls: to a number, its customer on the day, a tariff, and the rate in force at the start.

A tariff is chosen in this order: the number's for the call's class, the number's, the customer's for the class,
the customer's, the default of carrier and number type. The class is that of the rate found without regard to
class, else of the wholesale rate. A rate is looked for in the tariff itself, then in its parents; within one
tariff first by charge code, then by the longest prefix valid on the day in the call's band.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.rating.bands import bands_at
from billing.rating.book import MAX_PARENTS, RatingBook, TariffRates
from billing.rating.calls import Calls, rows_by
from billing.rating.dated import NONE
from billing.rating.keys import CodeTable, Distinct, PrefixTable

if TYPE_CHECKING:
    import pandas as pd

Ints: TypeAlias = NDArray[np.int64]

IDENTITIES = ("identity_1", "identity_2", "identity_3")


@dataclass(frozen=True, slots=True)
class Lines:
    """Per call: position of its number and of the assignment in force (-1 for none), and which candidate it was."""

    number: Ints
    assignment: Ints
    candidate: Ints
    identities: tuple[Distinct, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Per call: the tariff chosen without regard to class, and whether it is the number's own."""

    tariff: Ints
    of_number: NDArray[np.bool_]


def match_lines(chunk: "pd.DataFrame", day: Ints, book: RatingBook) -> Lines:
    """Find each call's number among its candidates, in order: the first that is assigned on the day, else the
    first that is known.
    """
    size = len(day)
    number, assignment = np.full(size, NONE, dtype=np.int64), np.full(size, NONE, dtype=np.int64)
    candidate = np.full(size, NONE, dtype=np.int64)
    columns = tuple(Distinct.of(chunk[name]) for name in IDENTITIES)
    rows = np.arange(size)
    for order, column in enumerate(columns):
        known = [book.identities[text] for text in column.values]
        if max(known, default=NONE) == NONE:
            continue
        of_row = column.codes[rows]
        numbers = np.array(known, dtype=np.int64)
        active = book.assigned.find_by_group(of_row, numbers, day[rows])
        found = numbers[of_row]
        better = (found != NONE) & ((active != NONE) | (number[rows] == NONE))
        hit = rows[better]
        number[hit], assignment[hit], candidate[hit] = found[better], active[better], order
        rows = rows[active == NONE]
        if not len(rows):
            break
    return Lines(number, assignment, candidate, columns)


def choose_tariffs(lines: Lines, day: Ints, book: RatingBook) -> Choice:
    """Choose the tariff of each call that has a customer, without regard to class."""
    group = lines.assignment
    numbers, customers = book.assignment_number, book.assignment_customer
    classes = len(book.classes)
    tariff = book.by_number.find_by_group(group, numbers * classes, day)
    of_number = tariff != NONE
    tables = [(book.by_customer, customers * classes)]
    types = book.number_types[numbers] if len(numbers) else numbers
    for order, table in enumerate(book.defaults):
        tables.append((table, types if order % 2 == 0 else np.zeros_like(types)))
    for table, keys in tables:
        missing = tariff == NONE
        if not missing.any():
            break
        tariff = np.where(missing, table.find_by_group(group, keys, day), tariff)
    return Choice(tariff, of_number)


def choose_by_class(choice: Choice, call_class: Ints, lines: Lines, day: Ints, book: RatingBook) -> Ints:
    """Return the tariff of each call now that its class (position in the book's classes) is known."""
    rows = np.flatnonzero((call_class > 0) & (lines.assignment != NONE))
    tariff = choice.tariff.copy()
    if len(rows):
        at, classes, days = lines.assignment[rows], len(book.classes), day[rows]
        numbers = book.by_number.find(book.assignment_number[at] * classes + call_class[rows], days)
        customers = book.by_customer.find(book.assignment_customer[at] * classes + call_class[rows], days)
        customers = np.where(choice.of_number[rows], NONE, customers)
        special = np.where(numbers != NONE, numbers, customers)
        tariff[rows] = np.where(special != NONE, special, tariff[rows])
    return tariff


def find_rates(calls: Calls, tariff: Ints, book: RatingBook) -> Ints:
    """Return the position of each call's rate in its tariff or the nearest parent that has one."""
    found = np.full(len(calls), NONE, dtype=np.int64)
    level = np.where(calls.service == NONE, NONE, tariff)
    rows = np.flatnonzero(level != NONE)
    for _ in range(MAX_PARENTS):
        if not len(rows):
            break
        whole = len(rows) == len(calls)
        for key, group in rows_by(level[rows] * 3 + calls.service[rows]):
            chosen = rows[group]
            part = calls if whole and len(chosen) == len(calls) else calls.take(chosen)
            found[chosen] = _in_tariff(part, key // 3, key % 3, book)
        rows = rows[found[rows] == NONE]
        level[rows] = book.tariffs.parents[level[rows]]
        rows = rows[level[rows] != NONE]
    return found


def clock_bands(calls: Calls, tariff: int, book: RatingBook) -> Distinct:
    """Return the band of each call's start by the tariff's clock; "" where no band holds."""
    tariffs = book.tariffs
    bands = tariffs.bands[tariff]
    codes = bands_at(calls.started, tariffs.zones[tariff], bands, tariffs.holidays[tariff])
    return Distinct(codes + 1, ["", *(band.name for band in bands)])


def bands_of(calls: Calls, tariff: int, names: frozenset[str], book: RatingBook) -> Distinct:
    """Return the band that prices each call: the file's where the tariff has rates of it, else the clock's."""
    if not book.tariffs.bands[tariff]:
        return calls.band
    clock = clock_bands(calls, tariff, book)
    of_file = np.array([name in names for name in calls.band.values], dtype=bool)[calls.band.codes]
    codes = np.where(of_file, calls.band.codes + len(clock.values), clock.codes)
    return Distinct(codes, [*clock.values, *calls.band.values])


def _in_tariff(calls: Calls, tariff: int, service: int, book: RatingBook) -> Ints:
    """Return the position of each call's rate among the tariff's own rates for the service."""
    mine = book.of_tariff(tariff, service)
    found = np.full(len(calls), NONE, dtype=np.int64)
    if not len(mine.positions):
        return found
    epoch = np.searchsorted(mine.changes, calls.day, side="right")
    groups = epoch * 1
    names: list[str] = [""]
    if mine.bands:
        band = bands_of(calls, tariff, mine.bands, book)
        names = [name if name in mine.bands else "" for name in band.values]
        groups = epoch * len(names) + band.codes
    for key, rows in rows_by(groups):
        part = calls if len(rows) == len(calls) else calls.take(rows)
        found[rows] = _look_up(
            part, (tariff, service, key // len(names), names[key % len(names)]), mine, book
        )
    return found


def _look_up(calls: Calls, place: tuple[int, int, int, str], mine: TariffRates, book: RatingBook) -> Ints:
    """Look rates up by charge code first, then by prefix."""
    tariff, service, epoch, band = place
    prefixes = book.table(tariff, service, "prefix", epoch, band)
    assert isinstance(prefixes, PrefixTable)
    found = prefixes.find(calls.dialled)
    if mine.has_codes:
        codes = book.table(tariff, service, "code", epoch, band)
        assert isinstance(codes, CodeTable)
        by_code = codes.find(calls.code)
        found = np.where(by_code != NONE, by_code, found)
    return found
