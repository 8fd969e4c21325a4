"""Allowances in words: how much of what, for which calls, shared by whom, and what becomes of the rest."""

from decimal import Decimal

from billing.models import Bundle
from billing.rating.words import amount_words
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.columns import figure

GIGABYTE = 1024
#: Dialled prefixes that have a name of their own.
PLACES = {
    "44": "UK numbers",
    "441": "UK landlines",
    "442": "UK landlines",
    "443": "UK 03 numbers",
    "447": "UK mobiles",
    "448": "UK 08 numbers",
}
_NOUNS = {"seconds": ("minute", "minutes"), "calls": ("call", "calls"), "sms": ("text", "texts")}
_VERB = {"seconds": "calls", "calls": "calls", "sms": "texts", "data": "data", "money": "usage"}


def quantity_words(unit: str, amount: Decimal, currency: str = "") -> str:
    """Return an amount of a unit as people say it: 90 seconds are "1.5 minutes", 2,048 MB are "2 GB"."""
    if unit == Bundle.Unit.MONEY:
        return amount_words(amount, currency)
    if unit == Bundle.Unit.DATA:
        large = amount and amount % GIGABYTE == 0
        return f"{_plain(amount / GIGABYTE if large else amount)} {'GB' if large else 'MB'}"
    one, many = _NOUNS[unit]
    count = amount / 60 if unit == Bundle.Unit.SECONDS else amount
    return f"{_plain(count)} {one if count == 1 else many}"


def bundle_words(bundle: Bundle, currency: str) -> str:
    """Return what an allowance gives in one line, such as "2,000 minutes a month to UK mobiles, shared"."""
    parts = [f"{quantity_words(bundle.unit, bundle.amount, currency)} a month{_for_what(bundle)}"]
    parts.append("shared by all numbers" if bundle.shared else "for each number")
    if bundle.member_cap is not None and bundle.shared:
        parts.append(f"at most {quantity_words(bundle.unit, bundle.member_cap, currency)} per number")
    if bundle.rollover_months:
        months = "1 month" if bundle.rollover_months == 1 else f"{bundle.rollover_months} months"
        most = ""
        if bundle.rollover_cap is not None:
            most = f", at most {quantity_words(bundle.unit, bundle.rollover_cap, currency)}"
        parts.append(f"what is unused rolls over for {months}{most}")
    if bundle.prorate_first:
        parts.append("the first month by its days")
    if bundle.step > 1:
        size = f"{_plain(bundle.step)} s" if bundle.unit == Bundle.Unit.SECONDS else _plain(bundle.step)
        parts.append(f"drawn {size} at a time")
    return ", ".join(parts)


def dates_words(bundle: Bundle) -> str:
    """Return when an allowance holds, "" for always."""
    since = f"from {day_words(bundle.valid_from)}" if bundle.valid_from else ""
    until = f"until {day_words(bundle.valid_to)}" if bundle.valid_to else ""
    return " ".join(filter(None, (since, until)))


def _for_what(bundle: Bundle) -> str:
    """Return which usage an allowance serves, "" for any."""
    prefixes = [prefix.lstrip("+") for prefix in bundle.prefixes.replace(",", " ").replace(";", " ").split()]
    named = list(dict.fromkeys(PLACES[prefix] for prefix in prefixes if prefix in PLACES))
    others = [prefix for prefix in prefixes if prefix not in PLACES]
    if others:
        named.append(f"numbers beginning {_listed(others, 'or')}")
    where = f" to {_listed(named, 'and')}" if named else ""
    return f" of {bundle.call_class} {_VERB[bundle.unit]}{where}" if bundle.call_class else where


def _listed(names: list[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _plain(value: Decimal) -> str:
    """Return a number with as many decimals as it needs, at most two."""
    places = next((n for n in range(2) if value == round(value, n)), 2)
    return figure(value, places)
