"""Service and access charges of calls: stored, drawn from allowances, rated again, explained; markups by class told."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.models import Call, Tariff, TariffMarkup
from billing.rating.redraw import redraw_allowances
from billing.rating.rerate import rerate
from billing.rating.selection import RerateSelection
from billing.rating.why import explain
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import at, chunk_of
from tests.billing.rating_world import World, calls

NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
MARCH = (date(2026, 3, 1), date(2026, 3, 31))
MONTH = RerateSelection(first=MARCH[0], last=MARCH[1])


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


@pytest.fixture
def gold(world):
    """A customer on Gold, which inherits the 0843 rate of Base and has an access charge of its own."""
    base = world.tariff("Base", access_charge="0.04")
    world.rate(base, "44843", "0.13", is_service_charge=True, connection_fee="0.01", destination="0843")
    made = world.tariff("Gold", parent=base, access_charge="0.05")
    customer = world.customer()
    world.number("U1", customer)
    world.assign(made, customer=customer)
    return made


def ring(world, *keys, seconds=120):
    world.supply(
        chunk_of(
            *(
                {
                    "identity_1": "U1",
                    "dialled": "+44843000001",
                    "duration": seconds,
                    "started_at": at(f"2026-03-{key:02d}T10:00"),
                    "dedupe_key": key,
                }
                for key in keys
            )
        )
    )


def test_the_call_page_shows_both_parts(world, gold):
    ring(world, 1)
    assert calls("retail", "access_charge") == [(Decimal("0.37"), Decimal("0.05"))]
    told = explain(Call.objects.get(), world.reseller)
    assert told.retail[2:] == (
        "Tariff Gold applies: the customer has it since 1 Jan 2026.",
        "It has no rate of its own for this call and inherits that of Base.",
        "Its rate is found by prefix 44843, the longest that +44843000001 begins with (0843), in force from"
        " 1 Jan 2026: service charge 0.13 GBP a minute, by the second, connection fee 0.01 GBP.",
        "The service charge of 0.13 GBP a minute is set by the called provider; to it comes 0.05 GBP a minute,"
        " the access charge of tariff Gold: 0.18 GBP a minute.",
        "120 s billed as 120 s: by the second.",
        "120 s at 0.18 GBP a minute make 0.36 GBP.",
        "With the connection fee of 0.01 GBP that is 0.37 GBP.",
        "Price: 0.37 GBP.",
    )
    assert told.amount == Fraction(37, 100)


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (
            None,
            "to it comes 0.04 GBP a minute, the access charge of tariff Gold, inherited from Base: 0.17 GBP a minute.",
        ),
        (Decimal(0), "; the customer's tariff adds no access charge to it."),
    ],
)
def test_an_inherited_access_charge_and_none_are_told(world, gold, access, sentence):
    Tariff.objects.filter(pk=gold.pk).update(access_charge=access)
    ring(world, 1)
    assert explain(Call.objects.get(), world.reseller).retail[5].endswith(sentence)


def test_minutes_over_the_allowance_pay_both_charges(world, gold):
    world.feature(world.package(seconds="150"), gold.assignments.get().customer)
    ring(world, 1, 2)
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("drawn", "retail", "access_charge") == [
        (120, Decimal("0.01"), Decimal("0.05")),  # only the connection fee
        (30, Decimal("0.28"), Decimal("0.05")),  # 90 s at 0.18, and the fee
    ]
    told = explain(Call.objects.get(dedupe_key=2), world.reseller)
    assert told.amount == Fraction(28, 100)


def test_rating_again_follows_the_access_charge_also_where_an_allowance_drew(world, gold):
    world.feature(world.package(seconds="150"), gold.assignments.get().customer)
    ring(world, 1, 2)
    redraw_allowances(world.reseller, None, *MARCH)
    Tariff.objects.filter(pk=gold.pk).update(access_charge="0.07")
    assert redraw_allowances(world.reseller, None, *MARCH) == 0  # the past keeps what it was rated with
    assert (
        "which was the access charge when the call was rated"
        in explain(Call.objects.get(dedupe_key=2), world.reseller).retail[5]
    )
    result = rerate(world.reseller, where=MONTH, apply=True, now=NOW)
    assert (result.looked_at, result.changed) == (2, 2)
    assert calls("drawn", "retail", "access_charge") == [
        (120, Decimal("0.01"), Decimal("0.07")),
        (30, Decimal("0.31"), Decimal("0.07")),
    ]
    assert rerate(world.reseller, where=MONTH, apply=True, now=NOW).changed == 0


def test_other_calls_hold_no_access_charge(world, gold):
    world.rate(gold, "44", "0.02")
    world.supply(chunk_of({"identity_1": "U1", "dialled": "+442012345678"}))
    assert calls("retail", "access_charge") == [(Decimal("0.02"), None)]


def test_the_markup_of_the_calls_class_is_told(world, gold):
    Tariff.objects.filter(name="Base").update(markup_percent="10")
    TariffMarkup.objects.create(**world.own, tariff=gold.parent, call_class="intl", percent="40")
    buy = world.tariff("Buy", kind="wholesale", carrier=world.carrier)
    world.rate(buy, "1", "0.05", call_class="intl")
    world.supply(chunk_of({"identity_1": "U1", "dialled": "+12025550100"}))
    told = explain(Call.objects.get(), world.reseller)
    assert told.retail[-2:] == (
        "It has no rate for +12025550100; its markup of 40 % for intl calls over the wholesale cost of 0.05 GBP"
        " makes 0.07 GBP.",
        "Price: 0.07 GBP.",
    )
    hidden = explain(Call.objects.get(), world.reseller, show_cost=False)
    assert hidden.retail[-2] == "It has no rate for +12025550100; its markup for intl calls makes 0.07 GBP."
