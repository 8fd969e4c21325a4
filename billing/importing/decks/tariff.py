"""The tariff a deck is for: found by its name, or made with the options given; its time bands."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from billing.importing.decks.fields import BANDS
from billing.importing.decks.options import DeckOptions
from billing.importing.decks.rates import Rate
from billing.importing.refused import FileRefused
from billing.importing.tables.mapping import Mapping
from billing.importing.tables.problems import BadMapping
from billing.models import Carrier, Tariff, TimeBand
from resellerkpi.core.models import Reseller

WEEKDAYS, WEEKEND = 0b0011111, 0b1100000
_TEXTS = ("rounding", "band_rule", "time_zone", "holidays", "default_number_type", "currency")
_FLAGS = ("charge_unanswered", "fee_inside_allowance", "data_per_period", "is_default")
_EXACT = ("data_unit_mb", "markup_percent")


def tariff_of(reseller: Reseller, given: Any, options: DeckOptions) -> Tariff:
    """Return the tariff of the name, made with the options given when there is none."""
    wanted = Tariff.Kind.WHOLESALE if options.wholesale else Tariff.Kind.RETAIL
    name = options.tariff.strip()
    if not 0 < len(name) <= 120:
        raise FileRefused("A tariff needs a name of up to 120 characters.")
    tariff = Tariff.objects.filter(name=name).first()
    if tariff is not None:
        if tariff.kind != wanted:
            raise FileRefused(f"“{name}” is a {tariff.kind} tariff, the deck is for a {wanted} one.")
        if options.currency and options.currency.upper() != tariff.currency:
            raise FileRefused(f"“{name}” is in {tariff.currency}, the deck in {options.currency.upper()}.")
        return tariff
    values = _tariff_options(given)
    currency = (options.currency or str(values.pop("currency", "")) or reseller.currency).upper()
    if len(currency) != 3 or not currency.isalpha():
        raise FileRefused(f"“{currency}” is not a currency code such as GBP.")
    values.pop("currency", None)
    carrier = Carrier.objects.filter(code=options.carrier).first() if options.carrier else None
    if options.carrier and carrier is None:
        raise FileRefused(f"There is no carrier “{options.carrier}”.")
    return Tariff.objects.create(
        reseller=reseller, name=name, kind=wanted, currency=currency, carrier=carrier, **values
    )


def _tariff_options(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadMapping('“tariff” is an object such as {"places": 4, "rounding": "half_up"}.')
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in _TEXTS:
            values[name] = str(value)
        elif name in _FLAGS and isinstance(value, bool):
            values[name] = value
        elif name in _EXACT:
            values[name] = _decimal(name, value)
        elif name == "places" and value in range(7):
            values[name] = value
        elif name == "parent":
            values["parent"] = Tariff.objects.filter(name=value).first()
            if values["parent"] is None:
                raise BadMapping(f"There is no tariff “{value}” to be the parent.")
        else:
            raise BadMapping(f"“tariff” cannot have {name} = {value!r}.")
    for name, choices in (("rounding", Tariff.Rounding), ("band_rule", Tariff.BandRule)):
        if name in values and values[name] not in choices.values:
            raise BadMapping(f"“{name}” is one of {', '.join(choices.values)}.")
    return values


def _decimal(name: str, value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise BadMapping(f"“{name}” is a number.") from None


def make_bands(tariff: Tariff, rates: Sequence[Rate], mapping: Mapping) -> None:
    """Give a tariff with day, evening and weekend prices the usual British hours of them, if it has no bands."""
    codes: Dict[str, str] = {**BANDS, **mapping.extra.get("bands", {})}
    used = {rate.band for rate in rates} - {""}
    if not used or not used <= set(codes.values()) or TimeBand.objects.filter(tariff=tariff).exists():
        return
    hours = [
        (codes["peak"], WEEKDAYS, 8 * 60, 18 * 60),
        (codes["off_peak"], WEEKDAYS, 0, 8 * 60),
        (codes["off_peak"], WEEKDAYS, 18 * 60, 24 * 60),
        (codes["weekend"], WEEKEND, 0, 24 * 60),
    ]
    TimeBand.objects.bulk_create(
        TimeBand(
            reseller_id=tariff.reseller_id,
            tariff=tariff,
            code=code,
            weekdays=days,
            start_minute=start,
            end_minute=end,
        )
        for code, days, start, end in hours
    )
