"""Prices columns of calls by the rates found for them: voice, messages and data, by the rate's own tariff."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.rating.bands import split_at_bands
from billing.rating.book import DATA, SMS, VOICE, RatingBook
from billing.rating.calls import Calls, rows_by
from billing.rating.dated import NONE
from billing.rating.match import find_rates
from billing.rating.price import Rates, Terms, price_calls, price_events, price_pieces, price_volume
from billing.rating.rounding import Rounding, round_quotient

Ints: TypeAlias = NDArray[np.int64]

WHOLE_MARKUP = 10_000


@dataclass(frozen=True, slots=True)
class Amounts:
    """Per call: billed seconds and the price in 1e-8."""

    billed: Ints
    amount: Ints


def price_rows(calls: Calls, rate: Ints, book: RatingBook, covered: Ints | None = None) -> Amounts:
    """Price calls whose rate is known, less what allowances cover: seconds of voice, messages, 1e-6 MB of data.

    Data of a tariff that sums data over the period costs nothing here: its price is the period's.
    """
    out = Amounts(np.zeros(len(calls), dtype=np.int64), np.zeros(len(calls), dtype=np.int64))
    if covered is None:
        covered = np.zeros(len(calls), dtype=np.int64)
    for service, rows in rows_by(np.where(rate == NONE, NONE, calls.service)):
        if service == NONE:
            continue
        part = calls if len(rows) == len(calls) else calls.take(rows)
        priced = {VOICE: _voice, SMS: _messages, DATA: _data}[service](part, rate[rows], book, covered[rows])
        out.billed[rows], out.amount[rows] = priced.billed, priced.amount
    return out


def access_charges(tariff: Ints, rate: Ints, book: RatingBook) -> Ints | None:
    """Return what each call's own tariff adds to a minute of a service charge; None when the book has none.

    Calls of tariffs that split at bands have it whatever their first rate is: a later band's may be a service charge.
    """
    rates, tariffs = book.rates, book.tariffs
    if not rates.is_service_charge.any() or not tariffs.access.any():
        return None
    concerned = np.append(rates.is_service_charge | tariffs.split[rates.tariff], False)[rate]
    return np.where(concerned, np.append(tariffs.access, 0)[tariff], 0)


def markups_of(tariff: Ints, rate: Ints, book: RatingBook) -> Ints:
    """Return the markup of each call by its tariff and the class of a (wholesale) rate, NO_MARKUP where none is set."""
    return book.tariffs.markups[tariff, np.append(book.rates.markup_class, 0)[rate]]


def mark_up(cost: Ints, markup: Ints, tariff: Ints, book: RatingBook) -> Ints:
    """Return the price of calls without a rate: cost and the markup, rounded as the tariff rounds."""
    tariffs = book.tariffs
    factor = (markup + WHOLE_MARKUP).astype(object)
    places, rounding = tariffs.places[tariff], tariffs.rounding[tariff]
    return round_quotient(cost.astype(object) * factor, WHOLE_MARKUP, places, rounding).astype(np.int64)


def period_units(rate: Ints, book: RatingBook) -> Ints:
    """Return per call the unit (1e-6 MB) that its data is summed and rounded up to over the period; 0 if it is not."""
    tariff = book.rates.tariff[rate]
    return np.where(book.tariffs.per_period[tariff], book.tariffs.data_unit[tariff], 0)


def rates_of(rate: Ints, book: RatingBook, access: Ints | None = None) -> Rates:
    """Return the prices of each call's rate; a rate that is a service charge has the access charge added to it."""
    table = book.rates
    per_minute = table.price[rate]
    if access is not None:
        per_minute = per_minute + np.where(table.is_service_charge[rate], access, 0)
    return Rates(
        per_minute=per_minute,
        connection_fee=table.fee[rate],
        minimum_charge=table.minimum[rate],
        maximum_charge=table.maximum[rate],
        initial_increment=table.initial[rate],
        next_increment=table.next[rate],
        free_seconds=table.free[rate],
    )


def terms_of(rate: Ints, book: RatingBook) -> Terms:
    """Return how the tariff of each call's rate rounds and charges fees."""
    tariffs, tariff = book.tariffs, book.rates.tariff[rate]
    modes = np.unique(tariffs.rounding[np.unique(tariff)])
    return Terms(
        places=tariffs.places[tariff],
        rounding=Rounding(int(modes[0])) if len(modes) == 1 else tariffs.rounding[tariff],
        charge_unanswered=tariffs.charge_unanswered[tariff],
        fee_in_allowance=tariffs.fee_inside[tariff],
    )


def _voice(calls: Calls, rate: Ints, book: RatingBook, covered: Ints) -> Amounts:
    priced = price_calls(
        answered=calls.answered,
        seconds=calls.seconds,
        rates=rates_of(rate, book, calls.access),
        terms=terms_of(rate, book),
        bundle_seconds=_drawable(covered, calls),
    )
    out = Amounts(priced.billed_seconds, priced.amount)
    splitting = book.tariffs.split[book.rates.tariff[rate]] & calls.answered & calls.band.is_blank()
    if splitting.any():
        rows = np.flatnonzero(splitting)
        for tariff, group in rows_by(book.rates.tariff[rate[rows]]):
            _split(calls, rows[group], rate, tariff, book, covered, out)
    return out


def _drawable(covered: Ints, calls: Calls) -> Ints:
    return np.where(calls.answered, covered, 0)


def _split(
    calls: Calls, rows: Ints, rate: Ints, tariff: int, book: RatingBook, covered: Ints, out: Amounts
) -> None:
    """Price again the calls that cross a band's boundary, each piece at its own band's rate.

    A band without a rate keeps the price that the call began with.
    """
    tariffs = book.tariffs
    zone, bands, region = tariffs.zones[tariff], tariffs.bands[tariff], tariffs.holidays[tariff]
    if not bands:
        return
    pieces = split_at_bands(calls.started[rows], calls.seconds[rows], zone, bands, region)
    crossing = np.bincount(pieces.call, minlength=len(rows)) > 1
    if not crossing.any():
        return
    chosen = crossing[pieces.call]
    row = rows[pieces.call[chosen]]
    part = calls.take(row)
    part = replace(part, started=part.started + pieces.offset[chosen], seconds=pieces.seconds[chosen])
    piece_rate = find_rates(part, np.full(len(row), tariff, dtype=np.int64), book)
    piece_rate = np.where(piece_rate == NONE, rate[row], piece_rate)
    whole = rows[crossing]
    position = np.searchsorted(whole, row)
    priced, _ = price_pieces(
        answered=calls.answered[whole],
        rates=rates_of(rate[whole], book),
        terms=terms_of(rate[whole], book),
        piece_call=position,
        piece_seconds=part.seconds,
        piece_rates=rates_of(piece_rate, book, part.access),
        bundle_seconds=covered[whole],
    )
    out.billed[whole], out.amount[whole] = priced.billed_seconds, priced.amount


def _messages(calls: Calls, rate: Ints, book: RatingBook, covered: Ints) -> Amounts:
    amount = price_events(
        units=calls.answered.astype(np.int64),
        each=book.rates.price[rate],
        rates=rates_of(rate, book),
        terms=terms_of(rate, book),
        drawn=np.where(calls.answered, covered, 0),
    )
    return Amounts(np.zeros(len(calls), dtype=np.int64), amount)


def _data(calls: Calls, rate: Ints, book: RatingBook, covered: Ints) -> Amounts:
    amount = np.zeros(len(calls), dtype=np.int64)
    tariff = book.rates.tariff[rate]
    unit = np.where(book.tariffs.per_period[tariff], 0, book.tariffs.data_unit[tariff])
    for size, rows in rows_by(unit):
        if size:
            left = np.maximum(calls.volume[rows] - covered[rows], 0)
            units = -(-calls.volume[rows] // size)
            amount[rows] = price_volume(
                volume=calls.volume[rows],
                unit=size,
                block=size,
                each=book.rates.price[rate[rows]],
                rates=rates_of(rate[rows], book),
                terms=terms_of(rate[rows], book),
                drawn=units - -(-left // size),
            )
    return Amounts(np.zeros(len(calls), dtype=np.int64), amount)


def price_period_data(units: Ints, rate: Ints, book: RatingBook) -> Ints:
    """Price data summed over a period: the units that each session adds, at the rate's price per unit."""
    return price_events(
        units=units, each=book.rates.price[rate], rates=rates_of(rate, book), terms=terms_of(rate, book)
    )
