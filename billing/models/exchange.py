"""Turns amounts in one currency into another's, at the latest exchange rate up to a day."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from billing.models.reference import ExchangeRate

#: A rate older than this is used and told.
OLD = timedelta(days=7)


class Quote(NamedTuple):
    """What one unit of a currency is worth in another, and the day of the older of the two rates used."""

    factor: Decimal
    day: date


def factors(pairs: Iterable[tuple[str, str]], on: date) -> Iterator[tuple[str, str, Decimal]]:
    """Yield (from, to, factor) for each pair of currencies; a pair without a rate is left out."""
    for source, target, quote in quotes(pairs, on):
        yield source, target, quote.factor


def quotes(pairs: Iterable[tuple[str, str]], on: date) -> Iterator[tuple[str, str, Quote]]:
    """Yield (from, to, quote) for each pair of currencies; a pair without a rate is left out."""
    rates: dict[str, dict[str, Quote]] = {}
    for source, target in pairs:
        if source in ("", target):
            yield source, target, Quote(Decimal(1), on)
            continue
        rates = rates or _latest(on)
        for base, known in rates.items():
            listed = {base: Quote(Decimal(1), date.max), **known}
            if source in listed and target in listed:
                one, other = listed[source], listed[target]
                yield source, target, Quote(other.factor / one.factor, min(one.day, other.day))
                break


def _latest(on: date) -> dict[str, dict[str, Quote]]:
    """Return by base the latest rate of each currency up to a day."""
    found = (
        ExchangeRate.objects.filter(date__lte=on)
        .order_by("base", "currency", "-date")
        .distinct("base", "currency")
    )
    latest: dict[str, dict[str, Quote]] = {}
    for base, currency, rate, day in found.values_list("base", "currency", "rate", "date"):
        latest.setdefault(base, {})[currency] = Quote(rate, day)
    return latest


def dated_quotes(wanted: Iterable[tuple[str, date]], target: str) -> dict[tuple[str, date], Quote | None]:
    """Return for each (currency, day) its quote in the target currency, None where a rate is not known by that day."""
    pairs = set(wanted)
    foreign = {source for source, _ in pairs if source != target}
    known = _history({*foreign, target}, max((day for _, day in pairs), default=date.min)) if foreign else {}
    return {
        (source, day): Quote(Decimal(1), day) if source == target else _quote(known, source, target, day)
        for source, day in pairs
    }


def _quote(known: dict[str, dict[str, list[Quote]]], source: str, target: str, day: date) -> Quote | None:
    for base, listed in known.items():
        one, other = (_upto(base, listed, code, day) for code in (source, target))
        if one and other:
            return Quote(other.factor / one.factor, min(one.day, other.day))
    return None


def _upto(base: str, listed: dict[str, list[Quote]], code: str, day: date) -> Quote | None:
    """Return the latest rate of a currency up to a day; a base is 1 at any time."""
    if code == base:
        return Quote(Decimal(1), date.max)
    history = listed.get(code, [])
    place = bisect_right(history, day, key=attrgetter("day"))
    return history[place - 1] if place else None


def _history(codes: set[str], until: date) -> dict[str, dict[str, list[Quote]]]:
    """Return by base the rates of currencies up to a day, oldest first."""
    rows = ExchangeRate.objects.filter(currency__in=codes, date__lte=until).order_by("base", "date")
    found: dict[str, dict[str, list[Quote]]] = {}
    for base, currency, rate, day in rows.values_list("base", "currency", "rate", "date"):
        found.setdefault(base, {}).setdefault(currency, []).append(Quote(rate, day))
    return found
