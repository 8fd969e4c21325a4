"""Turns amounts in one currency into another's, at the latest exchange rate up to a day."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing.models.reference import ExchangeRate


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
