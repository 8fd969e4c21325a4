"""Turns supplier costs in another currency into the invoice's, at the latest exchange rate up to a day."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from billing.models import ExchangeRate


def factors(pairs: Iterable[tuple[str, str]], on: date) -> Iterator[tuple[str, str, Decimal]]:
    """Yield (from, to, factor) for each pair of currencies; a pair without a rate is left out."""
    rates: dict[str, dict[str, Decimal]] = {}
    for source, target in pairs:
        if source in ("", target):
            yield source, target, Decimal(1)
            continue
        rates = rates or _latest(on)
        for base, known in rates.items():
            quotes = {base: Decimal(1), **known}
            if source in quotes and target in quotes:
                yield source, target, quotes[target] / quotes[source]
                break


def _latest(on: date) -> dict[str, dict[str, Decimal]]:
    """Return by base the latest rate of each currency up to a day."""
    found = (
        ExchangeRate.objects.filter(date__lte=on)
        .order_by("base", "currency", "-date")
        .distinct("base", "currency")
    )
    latest: dict[str, dict[str, Decimal]] = {}
    for base, currency, rate in found.values_list("base", "currency", "rate"):
        latest.setdefault(base, {})[currency] = rate
    return latest
