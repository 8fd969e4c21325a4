"""Comparing tariffs: every price is what rating would charge, prefixes on one side only, two dates of one tariff."""

from datetime import date
from random import Random

import pytest

from billing.models import Tariff, TimeBand
from billing.rating.book import RatingBook
from billing.rating.compare import CHEAPER, DEARER, ONLY_LEFT, ONLY_RIGHT, OUTCOMES, SAME, Side, compare
from billing.rating.rate import rate_calls
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import at, chunk_of, money
from tests.billing.rating_world import World

MARCH = date(2026, 3, 10)
KEYS = ("", "1", "44", "447", "4477", "44843", "33", "3312", "+49", "12025550100123456789", "ABC")


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


def told(world, left, right, *, band="", seconds=180, days=(MARCH, MARCH)):
    found = compare(world.reseller, Side(left, days[0]), Side(right, days[1]), band=band, seconds=seconds)
    return {
        key: (OUTCOMES[int(found.outcome[n])], int(found.left[n]), int(found.right[n]))
        for n, key in enumerate(found.keys)
    }


def test_prefixes_are_dearer_cheaper_the_same_or_on_one_side_only(world):
    base = world.tariff("Base")
    world.rate(base, "44", "0.02")
    world.rate(base, "1", "0.01")
    world.rate(base, "33", "0.05")
    new = world.tariff("New")
    world.rate(new, "44", "0.03")
    world.rate(new, "447", "0.01")
    world.rate(new, "33", "0.05")
    world.rate(new, "61", "0.09", destination="Australia")
    assert told(world, base, new) == {
        "44": (DEARER, money("0.06"), money("0.09")),
        "447": (CHEAPER, money("0.06"), money("0.03")),  # Base prices it by 44
        "1": (ONLY_LEFT, money("0.03"), 0),
        "33": (SAME, money("0.15"), money("0.15")),
        "61": (ONLY_RIGHT, 0, money("0.27")),
    }
    found = compare(world.reseller, Side(base, MARCH), Side(new, MARCH), band="", seconds=60)
    assert found.counts() == {DEARER: 1, CHEAPER: 1, ONLY_LEFT: 1, ONLY_RIGHT: 1, SAME: 1}
    assert sorted(found.change().tolist()) == [money("-0.01"), 0, 0, 0, money("0.01")]


def test_a_tariff_is_compared_with_itself_on_another_day(world):
    tariff = world.tariff()
    world.rate(tariff, "44", "0.02", valid_to=MARCH)
    world.rate(tariff, "44", "0.03", valid_from=MARCH)
    world.rate(tariff, "1", "0.01", valid_to=MARCH)
    assert told(world, tariff, tariff, days=(date(2026, 3, 9), MARCH)) == {
        "44": (DEARER, money("0.06"), money("0.09")),
        "1": (ONLY_LEFT, money("0.03"), 0),
    }
    assert told(world, tariff, tariff) == {"44": (SAME, money("0.09"), money("0.09"))}


def test_inherited_rates_service_charges_and_charge_codes_count(world):
    base = world.tariff("Base", access_charge="0.05")
    world.rate(base, "44843", "0.13", is_service_charge=True)
    world.rate(base, "NAT", "0.02", key_kind="code")
    gold = world.tariff("Gold", parent=base, access_charge="0.10")
    assert told(world, base, gold) == {
        "44843": (DEARER, money("0.54"), money("0.69")),
        "NAT": (SAME, money("0.06"), money("0.06")),
    }


def test_a_tariff_without_rates_compares_to_nothing(world):
    assert told(world, world.tariff("A"), world.tariff("B")) == {}


@pytest.mark.parametrize("seed", range(12))
def test_each_price_is_what_rating_would_charge(world, seed):
    random = Random(seed)
    made: list[Tariff] = []
    for n in range(4):
        made.append(
            world.tariff(
                f"T{n}",
                parent=random.choice([None, *made]),
                places=random.choice([2, 4]),
                rounding=random.choice(Tariff.Rounding.values),
                access_charge=random.choice([None, "0.05", "0.1"]),
            )
        )
        TimeBand.objects.create(**world.own, tariff=made[-1], code="Day", weekdays=127)
    places = {
        (random.choice(made), random.choice(KEYS), random.choice(["", "", "Day", "Eve"])) for _ in range(40)
    }
    for n, (owner, key, held_in) in enumerate(sorted(places, key=lambda place: (place[0].pk, *place[1:]))):
        world.rate(
            owner,
            key,
            random.choice(["0.1", "0.0321", "2"]),
            band=held_in,
            connection_fee=random.choice(["0", "0.01"]),
            initial_increment=random.choice([1, 60]),
            minimum_charge=random.choice(["0", "0.2"]),
            maximum_charge=random.choice([None, "0.9"]),
            is_service_charge=random.random() < 0.3,
            valid_from=date(2025, 1, 1 + n % 28) if n % 2 else date(2026, 3, 1 + n % 28),
        )
    left, right = random.sample(made, 2)
    band = random.choice(["", "Day"])
    asked = told(world, left, right, band=band)
    assert asked
    for side, tariff in enumerate((left, right)):
        customer = world.customer(f"S{side}")
        world.number(f"U{side}", customer)
        world.assign(tariff, customer=customer)
        book = RatingBook.load(world.reseller, world.carrier, MARCH, MARCH)
        if not band:
            book.tariffs.bands[:] = [() for _ in book.tariffs.bands]
        calls = [
            {"identity_1": f"U{side}", "dialled": key, "started_at": at("2026-03-10T12:00"), "duration": 180}
            for key in asked
        ]
        frame = rate_calls(chunk_of(*calls), book)
        other = (ONLY_RIGHT, ONLY_LEFT)[side]
        expected = {
            key: (row.retail if row.state != "error" else None)
            for key, row in zip(asked, frame.itertuples(), strict=True)
            if key
        }
        found = {
            key: (None if outcome == other else prices[side])
            for key, (outcome, *prices) in asked.items()
            if key
        }
        assert found == expected
