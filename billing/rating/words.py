"""Amounts, bands and increments in words."""

from decimal import Decimal
from fractions import Fraction

from billing.models import TariffRate
from resellerkpi.core.columns import figure
from resellerkpi.core.money import places

MOST = 8


def amount_words(value: Decimal | Fraction | int, currency: str) -> str:
    """Return an amount with its currency: at least the currency's places, more only where they say something.

    A fraction that never ends is cut at eight places and marked with “about”.
    """
    exact = Fraction(value)
    least = places(currency) if currency else 2
    shown = next((n for n in range(least, MOST + 1) if (exact * 10**n).denominator == 1), None)
    number = figure(Decimal(exact.numerator) / Decimal(exact.denominator), MOST if shown is None else shown)
    return f"{'about ' if shown is None else ''}{number} {currency}".strip()


def band_words(rate: TariffRate) -> str:
    """Return the band of a rate, "" for any."""
    return f", in band {rate.band}" if rate.band else ""


def increments_words(rate: TariffRate) -> str:
    """Return how a voice rate counts, "" when there is nothing to say."""
    currency = rate.tariff.currency
    parts = []
    if rate.service == TariffRate.Service.VOICE:
        if rate.initial_increment == rate.next_increment:
            size = rate.initial_increment
            parts.append("by the second" if size == 1 else f"in steps of {size} s")
        else:
            parts.append(f"first {rate.initial_increment} s, then steps of {rate.next_increment} s")
        if rate.free_seconds:
            parts.append(f"the first {rate.free_seconds} s free")
    if rate.connection_fee:
        parts.append(f"connection fee {amount_words(rate.connection_fee, currency)}")
    if rate.minimum_charge:
        parts.append(f"at least {amount_words(rate.minimum_charge, currency)}")
    if rate.maximum_charge is not None:
        parts.append(f"at most {amount_words(rate.maximum_charge, currency)}")
    return (", " + ", ".join(parts)) if parts else ""
