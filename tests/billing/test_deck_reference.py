"""Real rate decks go into tariffs, or are stopped with a question."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.importing.decks.deck import DeckOptions, DeckOutcome, import_deck
from billing.importing.tables.mapping import Mapping
from billing.models import Carrier, Tariff, TariffRate, TimeBand
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)


def load(house: Reseller, path: Path, mapping: dict[str, Any] | None = None, **options: Any) -> DeckOutcome:
    """Take a deck in."""
    return import_deck(
        path, reseller=house, mapping=Mapping.of(mapping or {}), options=DeckOptions(**options), today=TODAY
    )


@pytest.fixture
def house() -> Reseller:
    """A reseller."""
    return Reseller.objects.create(code="deck", name="Deck")


def test_the_astpp_deck_goes_in(house: Reseller, reference: Path) -> None:
    deck = reference / "data/rates/astpp_wholesale_az_2015_usd.csv"
    with enter(Scope.of(house.pk)):
        Carrier.objects.create(reseller=house, code="AZ", name="A to Z", currency="USD")
        options = {"tariff": "A-Z", "wholesale": True, "currency": "USD", "carrier": "AZ"}
        outcome = load(house, deck, **options)
        assert outcome.problems == ()
        assert (outcome.rows, outcome.loaded, outcome.collapsed) == (36206, 36205, 1)
        tariff = Tariff.objects.get()
        assert (tariff.currency, tariff.kind, tariff.carrier.code) == ("USD", "wholesale", "AZ")
        rate = TariffRate.objects.get(key="9375")
        assert (rate.price, rate.initial_increment, rate.next_increment) == (Decimal("0.2204"), 6, 6)
        assert (rate.destination, rate.valid_from) == ("Afghanistan Cellular-AT", date(1990, 1, 1))
        again = load(house, deck, **options).difference
        assert (again.new, again.changed, again.ended, again.unchanged) == (0, 0, 0, 36205)


def test_lost_decimal_points_stop_a_deck(house: Reseller, reference: Path) -> None:
    deck = reference / "data/rates/ivozprovider_pricesSample.csv"
    with enter(Scope.of(house.pk)):
        outcome = load(house, deck, tariff="Ivoz")
        assert (outcome.outliers, outcome.loaded) == (310, 0)
        assert outcome.problems[0].error.startswith(
            "310 rates jump out of the deck's range, such as 2339 for"
        )
        assert not Tariff.objects.exists()
        accepted = load(house, deck, tariff="Ivoz", accept_outliers=True)
        assert (accepted.loaded, TariffRate.objects.get(key="9377").price) == (4743, Decimal("0.273"))


def test_names_without_prefixes_are_refused(house: Reseller, reference: Path) -> None:
    with enter(Scope.of(house.pk)):
        outcome = load(house, reference / "data/rates/interconn_it_name_only_rates_eur.csv", tariff="Names")
        assert "neither prefixes nor charge codes" in outcome.problems[0].error
        assert not Tariff.objects.exists()


def test_the_uk_rate_card_has_codes_and_bands(house: Reseller, reference: Path) -> None:
    with enter(Scope.of(house.pk)):
        outcome = load(
            house, reference / "data/formats/gamma_ratecard_9col_sample.csv", tariff="Card", wholesale=True
        )
        assert outcome.problems == ()
        rate = TariffRate.objects.get(key="AFG")
        assert (rate.key_kind, rate.band, rate.price, rate.minimum_charge) == (
            "code", "", Decimal("0.4299"), Decimal("0.01"),
        )  # fmt: skip
        assert not TimeBand.objects.exists()


def test_the_rate_table_template_of_another_system(house: Reseller, reference: Path) -> None:
    deck = reference / "data/formats/neon_RateTableUploadSample.csv"
    with enter(Scope.of(house.pk)):
        assert "day/month or month/day" in load(house, deck, tariff="Neon").problems[0].error
        outcome = load(house, deck, {"day_first": True}, tariff="Neon")
        assert outcome.problems == ()
        rate = TariffRate.objects.get(key="913")
        assert (rate.valid_from, rate.connection_fee) == (date(2014, 12, 11), Decimal("0.05"))


def test_plans_with_a_price_for_each_service(house: Reseller, reference: Path) -> None:
    plans = reference / "data/customers/megaline/megaline_plans.csv"
    mapping = {
        "columns": {"prefix": {"value": "any"}, "destination": {"value": "Any"}},
        "prices": [
            {"price": "usd_per_minute", "service": "voice"},
            {"price": "usd_per_message", "service": "sms"},
            {"price": "usd_per_gb", "service": "data"},
        ],
        "only": {"plan_name": ["surf"]},
        "defaults": {"increments": "60/60"},
        "tariff": {"data_unit_mb": "1024", "data_per_period": True, "places": 2, "currency": "USD"},
    }
    with enter(Scope.of(house.pk)):
        outcome = load(house, plans, mapping, tariff="surf")
        assert outcome.problems == ()
        prices = dict(TariffRate.objects.values_list("service", "price"))
        assert prices == {"voice": Decimal("0.03"), "sms": Decimal("0.03"), "data": Decimal(10)}
        tariff = Tariff.objects.get(name="surf")
        assert (tariff.data_unit_mb, tariff.data_per_period, tariff.currency) == (Decimal(1024), True, "USD")
        assert TariffRate.objects.get(service="voice").initial_increment == 60


def test_lost_decimal_points_can_be_divided(house: Reseller, reference: Path) -> None:
    deck = reference / "data/rates/ivozprovider_pricesSample.csv"
    with enter(Scope.of(house.pk)):
        outcome = load(house, deck, tariff="Ivoz", divide_outliers=1000, accept_outliers=True)
        assert (outcome.problems, outcome.loaded) == ((), 4743)
        highest = TariffRate.objects.order_by("-price").first()
        assert highest is not None
        assert highest.price < 10


def test_a_deck_of_names_goes_by_the_names_of_another_deck(house: Reseller, reference: Path) -> None:
    names = reference / "data/rates/interconn_it_name_only_rates_eur.csv"
    with enter(Scope.of(house.pk)):
        assert load(house, reference / "data/rates/ivozprovider_pricesSample.csv", tariff="Ivoz",
                    accept_outliers=True).problems == ()  # fmt: skip
        asked = load(house, names, tariff="Names", names_like="Ivoz", currency="EUR")
        found = {name for name, _ in asked.unmatched}
        assert 0 < len(found) < 1070
        left_out = dict.fromkeys(found, "-")
        outcome = load(house, names, tariff="Names", names_like="Ivoz", currency="EUR", matches=left_out)
        assert outcome.problems == ()
        rate = TariffRate.objects.filter(tariff__name="Names", destination="Afghanistan").first()
        assert rate is not None
        assert (rate.price, rate.band) == (Decimal("0.31135104"), "")


def test_a_plan_and_its_destinations_in_two_files(house: Reseller, reference: Path) -> None:
    folder = reference / "data/rates/pbxware"
    places = {
        "columns": {"prefix": "code1", "prefix_to": "code2", "destination": ["route", "destination"],
                    "price": {"value": "0"}, "band": None, "service": None},
    }  # fmt: skip
    plan = {
        "columns": {"destination": ["route", "destination"], "price": "outbound", "increments": "billing",
                    "minimum_charge": "min_charge", "connection_fee": "connection_charge"},
        "values": {name: {"NULL": ""} for name in ("increments", "minimum_charge", "connection_fee")},
        "only": {"splan": ["1"]},
    }  # fmt: skip
    with enter(Scope.of(house.pk)):
        first = load(house, folder / "destinations.csv", places, tariff="Places", repeats="first")
        assert first.problems == ()
        asked = load(house, folder / "service_plans_routes.csv", plan, tariff="Plan", names_like="Places")
        matches = {name: "-" for name, _ in asked.unmatched}
        outcome = load(
            house,
            folder / "service_plans_routes.csv",
            plan,
            tariff="Plan",
            names_like="Places",
            matches=matches,
        )
        assert outcome.problems == ()
        assert "no column of prices" in load(house, folder / "minilcr.csv", tariff="Routes").problems[0].error
