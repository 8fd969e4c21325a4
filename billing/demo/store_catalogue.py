"""Writes what a demo reseller sells and buys: carriers, tariffs with dated rates, feature types, allowances."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.demo.catalogue import (
    ALLOWANCE_TERMS,
    BUNDLES,
    CARRIERS,
    DATA_RETAIL,
    DATA_WHOLESALE,
    DESTINATIONS,
    FEATURES,
    FOLLOWED,
    FOLLOWED_FACTOR,
    GEO,
    MOB,
    MOBILE,
    SMS_RETAIL,
    SMS_WHOLESALE,
    STALE,
    STALE_FEATURE,
    STALE_FEATURE_COST,
    STALE_WHOLESALE,
    UNPRICED,
    WHOLESALER,
    Destination,
    FeaturePlan,
    bought_at,
    prices_at_rises,
)
from billing.demo.shape import Calendar
from billing.models import (
    Bundle,
    Carrier,
    FeatureImplication,
    FeaturePrice,
    FeatureType,
    Tariff,
    TariffRate,
    TimeBand,
)
from resellerkpi.core.models import Reseller

LONG_AGO = date(2015, 1, 1)
MB_IN_GB = 1024

#: What a minute to a service number costs on top of the called provider's charge, and where such numbers begin.
ACCESS_CHARGE = Decimal("0.05")
SERVICE_RANGES = ("4484", "4487", "449")
#: Own prices of the other retail tariffs for calls to UK lines and mobiles; the rest comes from Standard UK.
#: Nobody is on the new year's prices yet: they are there to ask what they would do.
OWN_PRICES = {
    "Business plan": {GEO: Decimal("0.0120"), MOB: Decimal("0.0450")},
    "Classic": {GEO: Decimal("0.0250"), MOB: Decimal("0.0950")},
    "Mobile UK": {GEO: Decimal("0.0300"), MOB: Decimal("0.0500")},
    "New year prices": {GEO: Decimal("0.0190"), MOB: Decimal("0.0690")},
}


@dataclass
class Catalogue:
    """What was written, to be referred to by the book."""

    carriers: list[Carrier]
    tariffs: dict[str, Tariff]
    types: dict[str, FeatureType]


def deck_change(calendar: Calendar) -> date:
    """Return the day of the wholesale deck change that retail followed."""
    return calendar.ago(9)


def stale_since(calendar: Calendar) -> date:
    """Return the day on which the wholesale price of the stale destination rose alone."""
    return calendar.ago(5)


def store_catalogue(reseller: Reseller, calendar: Calendar, *, has_leaks: bool) -> Catalogue:
    """Write everything that is sold and bought; where leaks are planted the cost of one feature rises alone."""
    carriers = Carrier.objects.bulk_create(
        Carrier(
            reseller=reseller,
            code=plan.code,
            name=plan.name,
            country=plan.country,
            required_for_run=index != MOBILE,
        )
        for index, plan in enumerate(CARRIERS)
    )
    tariffs = _tariffs(reseller, carriers, calendar)
    rates = [
        *_retail_rates(tariffs, calendar),
        *_mobile_rates(tariffs),
        *_wholesale_rates(carriers, tariffs, calendar),
    ]
    for rate in rates:
        rate.reseller = reseller
    TariffRate.objects.bulk_create(rates, batch_size=2000)
    return Catalogue(carriers, tariffs, _feature_types(reseller, carriers, calendar, has_leaks=has_leaks))


def _tariffs(reseller: Reseller, carriers: list[Carrier], calendar: Calendar) -> dict[str, Tariff]:
    made: dict[str, Tariff] = {}

    def add(name: str, **fields: object) -> None:
        made[name] = Tariff.objects.create(reseller=reseller, name=name, **fields)

    add("Standard UK", is_default=True, access_charge=ACCESS_CHARGE)
    standard = made["Standard UK"]
    add("Business plan", parent=standard)
    add("Classic", parent=standard, superseded_on=date(calendar.first.year - 2, 4, 1), successor=standard)
    add("New year prices", parent=standard)
    add(
        "Mobile UK",
        parent=standard,
        is_default=True,
        default_number_type="mobile",
        data_unit_mb=MB_IN_GB,
        data_per_period=True,
    )
    for carrier in carriers:
        name = f"{carrier.name} wholesale"
        add(name, kind=Tariff.Kind.WHOLESALE, carrier=carrier)
        _bands(reseller, made[name])
    return made


def _bands(reseller: Reseller, tariff: Tariff) -> None:
    """Give a wholesale tariff the three bands of the trade: day, evening, weekend."""
    weekdays, weekend = 0b0011111, 0b1100000
    rows = (
        ("1", weekdays, 8 * 60, 18 * 60, 2),
        ("2", weekdays, 0, 24 * 60, 1),
        ("3", weekend, 0, 24 * 60, 1),
    )
    TimeBand.objects.bulk_create(
        TimeBand(
            reseller=reseller,
            tariff=tariff,
            code=code,
            weekdays=days,
            start_minute=start,
            end_minute=end,
            priority=priority,
        )
        for code, days, start, end, priority in rows
    )


def _retail_rates(tariffs: dict[str, Tariff], calendar: Calendar) -> Iterator[TariffRate]:
    for destination in DESTINATIONS:
        change = deck_change(calendar) if destination.name in FOLLOWED else None
        is_service = destination.prefix.startswith(SERVICE_RANGES)
        price = destination.retail - ACCESS_CHARGE if is_service else destination.retail
        for rate in _dated(
            tariffs["Standard UK"], destination, destination.prefix, price, change, FOLLOWED_FACTOR
        ):
            rate.is_service_charge = is_service
            yield rate
    for name, prices in OWN_PRICES.items():
        for destination in DESTINATIONS:
            if destination.call_class in prices:
                price = prices[destination.call_class]
                if destination.code == "UK56":
                    price *= 2
                yield _rate(tariffs[name], destination, destination.prefix, price)


def _mobile_rates(tariffs: dict[str, Tariff]) -> Iterator[TariffRate]:
    tariff = tariffs["Mobile UK"]
    for service, name, price in (
        ("sms", "Text message", SMS_RETAIL),
        ("data", "Mobile data", DATA_RETAIL),
    ):
        yield TariffRate(
            tariff=tariff,
            service=service,
            key="",
            destination=name,
            call_class=name,
            price=price,
            valid_from=LONG_AGO,
        )


def _wholesale_rates(
    carriers: list[Carrier], tariffs: dict[str, Tariff], calendar: Calendar
) -> Iterator[TariffRate]:
    """Price every destination at each carrier; the wholesaler's deck goes by its charge codes."""
    for index, carrier in enumerate(carriers):
        tariff = tariffs[f"{carrier.name} wholesale"]
        for destination in (*DESTINATIONS, UNPRICED):
            key = destination.code if index == WHOLESALER else destination.prefix
            change, factor = None, Decimal(1)
            if destination.name in FOLLOWED:
                change, factor = deck_change(calendar), FOLLOWED_FACTOR
            if destination is STALE:
                change, factor = stale_since(calendar), STALE_WHOLESALE / STALE.wholesale
            for rate in _dated(tariff, destination, key, bought_at(destination, index), change, factor):
                rate.key_kind = "code" if index == WHOLESALER else "prefix"
                yield rate
        if index == MOBILE:
            for service, price in (("sms", SMS_WHOLESALE), ("data", DATA_WHOLESALE)):
                yield TariffRate(tariff=tariff, service=service, key="", price=price, valid_from=LONG_AGO)


def changed_price(price: Decimal, factor: Decimal) -> Decimal:
    """Return a price of a deck after a change, to the deck's four places."""
    return (price * factor).quantize(Decimal("0.0001"))


def _dated(
    tariff: Tariff,
    destination: Destination,
    key: str,
    price: Decimal,
    change: date | None,
    factor: Decimal,
) -> Iterator[TariffRate]:
    first = _rate(tariff, destination, key, price)
    first.valid_to = change
    yield first
    if change is not None:
        second = _rate(tariff, destination, key, changed_price(price, factor))
        second.valid_from = change
        yield second


def _rate(tariff: Tariff, destination: Destination, key: str, price: Decimal) -> TariffRate:
    fee = Decimal("0.01") if tariff.name == "Classic" else Decimal(0)
    return TariffRate(
        tariff=tariff,
        key=key,
        destination=destination.name,
        call_class=destination.call_class,
        price=price,
        connection_fee=fee,
        valid_from=LONG_AGO,
    )


#: Per cent of the rest of a term that leaving early costs.
LEAVING_EARLY = 75


def _feature_types(
    reseller: Reseller, carriers: list[Carrier], calendar: Calendar, *, has_leaks: bool
) -> dict[str, FeatureType]:
    types = FeatureType.objects.bulk_create(
        FeatureType(
            reseller=reseller,
            code=plan.code,
            name=plan.name,
            kind=plan.kind,
            per_number=plan.per_number,
            interval=plan.interval,
            timing=plan.timing,
            activation_fee=plan.activation,
            minimum_term_months=plan.term,
            termination_percent=LEAVING_EARLY if plan.term else 0,
            carrier=carriers[plan.carrier],
            carrier_product=f"{CARRIERS[plan.carrier].reference}-{plan.code}",
            ladder=plan.ladder,
            level=plan.level,
        )
        for plan in FEATURES
    )
    by_code = {row.code: row for row in types}
    prices = [
        row
        for plan in FEATURES
        for row in _list_prices(plan, by_code[plan.code], calendar, has_leaks=has_leaks)
    ]
    FeaturePrice.objects.bulk_create(prices)
    Bundle.objects.bulk_create(
        Bundle(
            reseller=reseller,
            feature_type=by_code[code],
            unit=unit,
            amount=amount,
            prefixes=prefixes,
            shared=code != "MOB",
            priority=priority,
            **ALLOWANCE_TERMS.get(code, {}),
        )
        for code, unit, amount, prefixes, priority in BUNDLES
    )
    FeatureImplication.objects.create(reseller=reseller, feature_type=by_code["CRM"], implied=by_code["REC"])
    return by_code


def _list_prices(
    plan: FeaturePlan, row: FeatureType, calendar: Calendar, *, has_leaks: bool
) -> Iterator[FeaturePrice]:
    """Yield dated list prices: a rise each April, but for the feature whose cost alone rises."""
    steps = [
        (day, *prices_at_rises(plan, rises)) for rises, day in enumerate([LONG_AGO, *calendar.price_rises])
    ]
    if has_leaks and plan.code == STALE_FEATURE:
        steps = [(LONG_AGO, plan.price, plan.cost), (calendar.ago(7), plan.price, STALE_FEATURE_COST)]
    ends = [*(day for day, _, _ in steps[1:]), None]
    for (day, price, cost), end in zip(steps, ends, strict=True):
        yield FeaturePrice(
            reseller_id=row.reseller_id,
            feature_type=row,
            price=price,
            cost=cost,
            valid_from=day,
            valid_to=end,
        )
