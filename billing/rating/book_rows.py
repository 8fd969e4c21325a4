"""The rows a rating book is built from, and the few queries that read them.

Money is int in 1e-8, days are day numbers (count from 1970), volumes are in 1e-6 MB; 0 stands for "no id".
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from django.db import connection

from billing.rating.bands import TimeBand
from billing.rating.dated import day_number
from resellerkpi.core.models import Reseller


class NumberRow(NamedTuple):
    """A number: id, the text calls carry, its type."""

    id: int
    text: str
    type: str


class AssignmentRow(NamedTuple):
    """Whose number it is over days."""

    number_id: int
    customer_id: int
    start: int
    end: int


class ChoiceRow(NamedTuple):
    """Which tariff a number (or else a customer) has for a class over days; 0 is "not of one"."""

    number_id: int
    customer_id: int
    call_class: str
    tariff_id: int
    start: int
    end: int


class TariffRow(NamedTuple):
    """A tariff; markups in hundredths of a per cent (by class: class and markup), data unit in 1e-6 MB, access charge
    in 1e-8; None for not set.
    """

    id: int
    parent_id: int
    kind: str
    currency: str
    carrier_id: int
    is_default: bool
    number_type: str
    places: int
    rounding: str
    split: bool
    charge_unanswered: bool
    fee_inside: bool
    data_unit: int
    per_period: bool
    markup: int | None
    zone: str
    holidays: str
    superseded: int
    bands: tuple[TimeBand, ...] = ()
    access: int | None = None
    markups: tuple[tuple[str, int], ...] = ()


class RateRow(NamedTuple):
    """A rate of a tariff; money in 1e-8, maximum -1 for none."""

    id: int
    tariff_id: int
    service: str
    kind: str
    key: str
    band: str
    price: int
    fee: int
    minimum: int
    maximum: int
    initial: int
    next: int
    free: int
    start: int
    end: int
    destination: str
    call_class: str
    is_service_charge: bool = False


@dataclass(frozen=True, kw_only=True)
class BookRows:
    """Everything a book is built from, as plain rows."""

    zone: str = "Europe/London"
    country: str = "GB"
    carrier_id: int = 0
    numbers: Sequence[NumberRow] = ()
    identities: Sequence[tuple[str, int]] = ()
    assignments: Sequence[AssignmentRow] = ()
    choices: Sequence[ChoiceRow] = ()
    tariffs: Sequence[TariffRow] = ()
    rates: Sequence[RateRow] = ()


NUMBERS = "SELECT id, number, type FROM billing_number WHERE reseller_id = %s ORDER BY id"
IDENTITIES = "SELECT identity, number_id FROM billing_numberidentity WHERE reseller_id = %s ORDER BY id"
ASSIGNMENTS = (
    "SELECT number_id, customer_id, start_date, end_date FROM billing_numberassignment"
    " WHERE reseller_id = %s AND start_date <= %s AND (end_date IS NULL OR end_date > %s)"
)
CHOICES = (
    "SELECT coalesce(number_id, 0), coalesce(customer_id, 0), call_class, tariff_id, start_date, end_date"
    " FROM billing_tariffassignment"
    " WHERE reseller_id = %s AND start_date <= %s AND (end_date IS NULL OR end_date > %s)"
)
TARIFFS = (
    "SELECT id, coalesce(parent_id, 0), kind, currency, coalesce(carrier_id, 0), is_default,"
    " default_number_type, places, rounding, band_rule = 'split', charge_unanswered, fee_inside_allowance,"
    " (data_unit_mb * 1000000)::bigint, data_per_period, (markup_percent * 100)::bigint, time_zone, holidays,"
    " superseded_on, (access_charge * 100000000)::bigint FROM billing_tariff WHERE reseller_id = %s ORDER BY id"
)
BANDS = (
    "SELECT tariff_id, code, weekdays, start_minute, end_minute, on_holidays, priority FROM billing_timeband"
    " WHERE reseller_id = %s ORDER BY tariff_id, priority DESC, id"
)
MARKUPS = (
    "SELECT tariff_id, call_class, (percent * 100)::bigint FROM billing_tariffmarkup"
    " WHERE reseller_id = %s ORDER BY tariff_id, call_class"
)
RATES = (
    "SELECT id, tariff_id, service, key_kind, key, band, (price * 100000000)::bigint,"
    " (connection_fee * 100000000)::bigint, (minimum_charge * 100000000)::bigint,"
    " coalesce((maximum_charge * 100000000)::bigint, -1), initial_increment, next_increment, free_seconds,"
    " valid_from, valid_to, destination, call_class, is_service_charge FROM billing_tariffrate WHERE reseller_id = %s"
    " AND (tariff_id = ANY(%s) AND valid_from <= %s AND (valid_to IS NULL OR valid_to > %s) OR id = ANY(%s))"
)


def read_book(reseller: Reseller, carrier_id: int, first: date, last: date) -> BookRows:
    """Read numbers, assignments, tariffs and rates for calls of a carrier from the first to the last local day."""
    choices = [ChoiceRow._make((*row[:4], *_days(row))) for row in _rows(CHOICES, reseller.pk, last, first)]
    tariffs = read_tariffs(reseller)
    needed = {row.tariff_id for row in choices}
    needed |= {row.id for row in tariffs if row.is_default or row.carrier_id == carrier_id}
    return BookRows(
        zone=reseller.time_zone,
        country=reseller.country,
        carrier_id=carrier_id,
        numbers=[NumberRow(*row) for row in _rows(NUMBERS, reseller.pk)],
        identities=[(row[0], row[1]) for row in _rows(IDENTITIES, reseller.pk)],
        assignments=[
            AssignmentRow._make((*row[:2], *_days(row)))
            for row in _rows(ASSIGNMENTS, reseller.pk, last, first)
        ],
        choices=choices,
        tariffs=tariffs,
        rates=_rates(reseller.pk, with_parents(needed, tariffs), first, last, ()),
    )


def read_prices(reseller: Reseller, rate_ids: Collection[int], first: date, last: date) -> BookRows:
    """Read the rates named with their tariffs, for calls that already know their rate."""
    tariffs = read_tariffs(reseller)
    found = _rows(
        "SELECT DISTINCT tariff_id FROM billing_tariffrate WHERE reseller_id = %s AND id = ANY(%s)",
        reseller.pk,
        sorted(rate_ids),
    )
    banded = {row.id for row in tariffs if row.split}
    needed = with_parents({row[0] for row in found if row[0] in banded}, tariffs)
    return BookRows(
        zone=reseller.time_zone,
        tariffs=tariffs,
        rates=_rates(reseller.pk, needed, first, last, sorted(rate_ids)),
    )


def read_tariffs(reseller: Reseller) -> list[TariffRow]:
    """Read all tariffs of a reseller with their time bands and their markups by class."""
    bands: dict[int, list[TimeBand]] = defaultdict(list)
    for tariff, *band in _rows(BANDS, reseller.pk):
        bands[tariff].append(TimeBand(*band))
    markups: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for tariff, call_class, percent in _rows(MARKUPS, reseller.pk):
        markups[tariff].append((call_class, percent))
    return [
        TariffRow._make(
            (*row[:-2], day_number(row[-2]), tuple(bands[row[0]]), row[-1], tuple(markups[row[0]]))
        )
        for row in _rows(TARIFFS, reseller.pk)
    ]


def with_parents(tariff_ids: set[int], tariffs: Sequence[TariffRow]) -> list[int]:
    """Return the tariffs and all they inherit from."""
    parents = {row.id: row.parent_id for row in tariffs}
    found: set[int] = set()
    for start in tariff_ids:
        at = start
        while at and at not in found:
            found.add(at)
            at = parents.get(at, 0)
    return sorted(found)


def _rates(
    reseller_id: int, tariffs: list[int], first: date, last: date, rate_ids: Collection[int]
) -> list[RateRow]:
    rows = _rows(RATES, reseller_id, tariffs, last, first, list(rate_ids))
    return [RateRow._make((*row[:13], day_number(row[13]), day_number(row[14]), *row[15:])) for row in rows]


def _days(row: tuple[Any, ...]) -> tuple[int, int]:
    return day_number(row[-2]), day_number(row[-1])


def _rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(parameters))
        return cursor.fetchall()
