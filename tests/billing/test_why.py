"""Why a call costs what it does: the words, and the price worked out again equal to what the engine stored."""

from datetime import date
from fractions import Fraction
from random import Random

import pytest

from billing.models import Bundle, Call, NumberIdentity, Tariff, TariffRate, TimeBand
from billing.rating.bands import MONDAY_TO_FRIDAY, SATURDAY_SUNDAY
from billing.rating.redraw import redraw_allowances
from billing.rating.why import explain
from billing.rating.words import amount_words
from resellerkpi.core.scope import Scope, enter
from tests.billing.clerk import work_out
from tests.billing.rating_book import MB, at, chunk_of, money
from tests.billing.rating_world import World
from tests.billing.test_redraw import MARCH, surf, voice

MOBILE = {"dialled": "+447700900123"}


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


def why(world, **match):
    return explain(Call.objects.get(**match), world.reseller)


def test_a_call_is_explained_from_line_to_price(world):
    customer = world.customer()
    number = world.number("+442079460001", customer)
    NumberIdentity.objects.create(**world.own, number=number, identity="TRUNK1")
    base = world.tariff("Base", places=2)
    child = world.tariff("Gold", parent=base)
    world.rate(
        base,
        "447",
        "0.10",
        initial_increment=30,
        next_increment=6,
        connection_fee="0.015",
        destination="UK mobile",
    )
    world.assign(child, customer=customer)
    buy = world.tariff("Buy", kind="wholesale", carrier=world.carrier, places=3, rounding="up")
    world.rate(buy, "44", "0.0054", minimum_charge="0.001")
    cost = {"cost": money("0.007"), "has_cost": True, "cost_currency": "GBP", "surcharge": money("0.001")}
    world.supply(chunk_of({**voice(61, "2026-03-10T10:00", 1, "TRUNK1"), **MOBILE, **cost}))
    told = why(world)
    assert told.amount == Fraction(13, 100)
    assert told.retail == (
        "The file names the line “TRUNK1”, another name of number +442079460001.",
        "On 10 Mar 2026 it belonged to Customer C1 (C1), since 1 Jan 2026.",
        "Tariff Gold applies: the customer has it since 1 Jan 2026.",
        "It has no rate of its own for this call and inherits that of Base.",
        "Its rate is found by prefix 447, the longest that +447700900123 begins with (UK mobile), in force from"
        " 1 Jan 2026: 0.10 GBP a minute, first 30 s, then steps of 6 s, connection fee 0.015 GBP.",
        "61 s billed as 66 s: 30 then steps of 6.",
        "66 s at 0.10 GBP a minute make 0.11 GBP.",
        "With the connection fee of 0.015 GBP that is 0.125 GBP.",
        "Rounded half up to 2 decimal places: 0.13 GBP.",
        "Price: 0.13 GBP.",
    )
    assert told.wholesale == (
        "The supplier charges 0.007 GBP.",
        "0.001 GBP of that is a surcharge.",
        "Wholesale tariff Buy gives another figure to check by. Its rate is found by prefix 44, the longest that"
        " +447700900123 begins with, in force from 1 Jan 2026: 0.0054 GBP a minute, by the second, at least 0.001 GBP.",
        "61 s billed as 61 s: by the second.",
        "61 s at 0.0054 GBP a minute make 0.00549 GBP.",
        "Rounded up to 3 decimal places: 0.006 GBP.",
        "Expected cost: 0.006 GBP; the supplier charges 0.001 GBP more.",
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ({"identity_1": "U9"}, "No number of the book is known as “U9”."),
        (
            {"started_at": at("2025-12-01T10:00")},
            "Number U1 is in the book but belonged to nobody on 1 Dec 2025.",
        ),
        ({"identity_1": "U2"}, "Neither the number nor the customer has a tariff on 10 Mar 2026"),
        ({"dialled": "+99"}, "Tariff Retail has no rate for +99 in force on 10 Mar 2026"),
        ({"dialled": ""}, "The record names neither a number nor a charge code"),
        ({"answered": False}, "The call was not answered, so it is free."),
        ({"direction": "in"}, "The call came in, so the customer pays nothing for it."),
        ({"excluded": "internal"}, "The call stayed inside the customer's own system"),
    ],
)
def test_errors_and_free_calls_say_what_is_missing(world, call, sentence):
    customer = world.customer()
    world.number("U1", customer)
    world.number("U2", world.customer("C2"))
    tariff = world.tariff()
    world.rate(tariff, "44", "0.10")
    world.assign(tariff, customer=customer)
    world.supply(chunk_of({**voice(61, "2026-03-10T10:00", 1), **MOBILE, **call}))
    told = why(world)
    assert told.amount is None
    assert told.retail[-1].startswith(sentence)
    assert told.wholesale == (
        "The supplier's file names no cost.",
        "There is no wholesale rate to check it against.",
    )


def test_allowances_and_data_of_the_month_are_told(world):
    surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=90)
    data = {"service": "data", "volume": 8_000 * MB}
    world.supply(
        chunk_of(
            voice(61, "2026-03-01T10:00", 1),
            {**voice(0, "2026-03-02T10:00", 2), "service": "sms"},
            *({**voice(0, f"2026-03-{3 + n:02d}T10:00", 3 + n), **data} for n in range(3)),
        )
    )
    redraw_allowances(world.reseller, None, *MARCH)
    assert why(world, dedupe_key=1).retail[-5:] == (
        "61 s billed as 120 s: in steps of 60.",
        "90 s of it came out of the allowance of PACK.",
        "30 s at 0.03 USD a minute make 0.015 USD.",
        "Rounded half up to 2 decimal places: 0.02 USD.",
        "Price: 0.02 USD.",
    )
    assert why(world, dedupe_key=2).retail[-2:] == (
        "The message came out of the allowance of PACK.",
        "Price: 0.00 USD.",
    )
    assert why(world, dedupe_key=5).retail[-2:] == (
        "Data is summed over the month and rounded up to whole units of 1024 MB: with this session 8,640 MB are to be"
        " paid, before it 640 MB, so it adds 8 units.",
        "Price: 80.00 USD.",
    )
    assert all(explain(call, world.reseller).amount == Fraction(call.retail) for call in Call.objects.all())


def test_a_price_that_no_longer_follows_from_the_rate_is_said(world):
    surf(world)
    world.supply(chunk_of(voice(61, "2026-03-01T10:00", 1)))
    TariffRate.objects.filter(service="voice").update(price="0.05")
    assert (
        why(world).retail[-1]
        == "The call holds 0.06 USD; by the rate and allowances as they stand now it would be 0.10 USD."
    )


def test_markup_default_and_class_are_told(world):
    customer = world.customer()
    world.number("U1", customer)
    world.tariff("House", is_default=True, markup_percent="25")
    cost = {"cost": money("0.10"), "has_cost": True, "cost_currency": "GBP"}
    world.supply(chunk_of({**voice(61, "2026-03-10T10:00", 1), **MOBILE, **cost}))
    assert why(world).retail[-3:] == (
        "Tariff House applies: it is the default, because neither number nor customer has one of its own.",
        "It has no rate for +447700900123; its markup of 25 % over the wholesale cost of 0.10 GBP makes 0.125 GBP.",
        "Price: 0.125 GBP.",
    )


@pytest.mark.parametrize("rounding", Tariff.Rounding.values)
def test_every_price_of_the_engine_is_worked_out_again(world, rounding):
    random = Random(rounding)
    customer = world.customer()
    world.number("U1", customer)
    parent = world.tariff("Parent", places=3, rounding=rounding, band_rule="split", charge_unanswered=True)
    tariff = world.tariff(
        "Own", parent=parent, places=2, rounding=rounding, data_unit_mb="2.5", fee_inside_allowance=False
    )
    TimeBand.objects.create(
        **world.own, tariff=parent, code="Day", weekdays=MONDAY_TO_FRIDAY, start_minute=420, end_minute=1140
    )
    TimeBand.objects.create(**world.own, tariff=parent, code="WE", weekdays=SATURDAY_SUNDAY, priority=5)
    voice_rate = {"connection_fee": "0.0123", "initial_increment": 20, "next_increment": 7, "free_seconds": 5}
    world.rate(parent, "44", "0.0777", band="Day", minimum_charge="0.05", **voice_rate)
    world.rate(parent, "44", "0.0333", maximum_charge="0.4", **voice_rate)
    world.rate(parent, "4477", "0.9", band="WE")
    world.rate(tariff, "1", "0.0199", initial_increment=60, minimum_charge="0.03", connection_fee="0.011")
    world.rate(tariff, "UKN", "0.2", key_kind="code", band="2")
    world.rate(tariff, "", "0.0451", service="sms")
    world.rate(tariff, "", "0.0333", service="data", connection_fee="0.001")
    world.assign(tariff, customer=customer)
    pack = world.package(seconds="4000", calls="3", sms="5", data="40", money="0.5")
    Bundle.objects.filter(unit="calls").update(prefixes="1")
    Bundle.objects.filter(unit="seconds").update(prefixes="44", step="30")
    world.feature(pack, customer, start=date(2026, 3, 4))
    rows = [
        {
            **voice(
                random.randint(0, 4000),
                f"2026-03-{random.randint(1, 15):02d}T{random.randint(0, 23):02d}:50",
                n,
            ),
            "service": random.choice(["voice", "voice", "voice", "sms", "data"]),
            "dialled": random.choice(["+442012345678", "+447700900123", "+12025550123"]),
            "charge_code": random.choice(["", "", "UKN"]),
            "band": random.choice(["", "", "2"]),
            "volume": random.randint(0, 9) * MB + 1,
            "answered": random.random() < 0.9,
        }
        for n in range(120)
    ]
    world.supply(chunk_of(*rows))
    redraw_allowances(world.reseller, None, *MARCH)
    stored = {call.pk: call for call in Call.objects.select_related("reseller").exclude(rate_id=None)}
    assert len(stored) > 100
    assert len({call.rate_id for call in stored.values()}) == 7
    told = {pk: explain(call, world.reseller) for pk, call in stored.items() if call.state == "rated"}
    wrong = {pk: told[pk].retail for pk in told if told[pk].amount != Fraction(stored[pk].retail)}
    assert wrong == {}
    read = {pk: work_out(each.retail) for pk, each in told.items()}
    assert {pk: told[pk].retail for pk in told if read[pk] != told[pk].amount} == {}
    both = [pk for pk in told if any("money allowance" in sentence for sentence in told[pk].retail)]
    assert both


def test_amounts_in_words_show_what_matters():
    assert amount_words(Fraction(1, 8), "GBP") == "0.125 GBP"
    assert amount_words(Fraction(1, 3), "GBP") == "about 0.33333333 GBP"
    assert amount_words(1234567, "JPY") == "1,234,567 JPY"
    assert amount_words(Fraction(-5, 2), "GBP") == "−2.50 GBP"
