"""Money: Decimal amounts with their currency, half-up rounding, remainders that lose no penny."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from babel.numbers import get_currency_precision


class CurrencyMismatch(ValueError):
    """Raised when amounts of two currencies are about to be added."""


@cache
def places(currency: str) -> int:
    """Return how many decimal places a currency's minor unit has (2 for GBP, 0 for JPY)."""
    return get_currency_precision(currency.upper())


def quantise(amount: Decimal, currency: str) -> Decimal:
    """Round an amount half-up to the currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-places(currency)), rounding=ROUND_HALF_UP)


def round_half_up(amount: Decimal, decimal_places: int) -> Decimal:
    """Round half-up to a number of decimal places."""
    return amount.quantize(Decimal(1).scaleb(-decimal_places), rounding=ROUND_HALF_UP)


def allocate(amount: Decimal, weights: Sequence[Decimal | int], currency: str) -> list[Decimal]:
    """Split an amount by weights without losing a penny: floor each share, spare pennies go to the first shares."""
    total = sum(Decimal(w) for w in weights)
    if total <= 0:
        raise ValueError("The weights to split by must add up to more than zero.")
    unit = Decimal(1).scaleb(-places(currency))
    whole = int((quantise(amount, currency) / unit).to_integral_exact())
    sign, whole = (-1, -whole) if whole < 0 else (1, whole)
    shares = [int(whole * Decimal(w) / total) for w in weights]
    spare = whole - sum(shares)
    position = 0
    while spare:
        if weights[position % len(shares)] > 0:
            shares[position % len(shares)] += 1
            spare -= 1
        position += 1
    return [sign * share * unit for share in shares]


def one_currency(currencies: Iterable[str]) -> str:
    """Return the only currency of the rows; raises CurrencyMismatch when there is more than one, "" for none."""
    found = sorted(set(currencies))
    if len(found) > 1:
        raise CurrencyMismatch(f"These amounts are in {' and '.join(found)} and cannot be added.")
    return found[0] if found else ""
