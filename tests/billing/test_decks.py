"""Rate decks: how their lines are read, what is a question, and how a tariff changes without rewriting its past."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.importing.decks.deck import DeckOptions, DeckOutcome, import_deck
from billing.importing.tables.mapping import Mapping
from billing.models import Tariff, TariffRate, TimeBand
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)
FIRST = date(1990, 1, 1)


class Decks:
    """Loads texts as decks of one tariff."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.house = Reseller.objects.create(code="alpha", name="Alpha")

    def load(self, text: str, mapping: dict[str, Any] | None = None, **options: Any) -> DeckOutcome:
        """Load a CSV text."""
        path = self.folder / "deck.csv"
        path.write_text(text, encoding="utf-8")
        chosen = DeckOptions(**{"tariff": "T", **options})
        return import_deck(
            path, reseller=self.house, mapping=Mapping.of(mapping or {}), options=chosen, today=TODAY
        )

    def good(
        self, text: str, mapping: dict[str, Any] | None = None, **options: Any
    ) -> tuple[int, int, int, int]:
        """Load a deck that is no question; return how many rates are new, changed, ended, unchanged."""
        outcome = self.load(text, mapping, **options)
        assert [p.as_dict() for p in outcome.problems] == []
        found = outcome.difference
        return found.new, found.changed, found.ended, found.unchanged

    def bad(
        self, text: str, mapping: dict[str, Any] | None = None, **options: Any
    ) -> list[tuple[int | None, str]]:
        """Load a deck that is refused; return lines and sentences, having made sure that nothing changed."""
        before = self.rates()
        outcome = self.load(text, mapping, **options)
        assert outcome.loaded == 0
        assert self.rates() == before
        return [(p.line, p.error) for p in outcome.problems]

    def rates(self) -> list[tuple[str, str, str, date, date | None]]:
        """Return key, band, price and dates of all rates."""
        rows = TariffRate.objects.order_by("key", "band", "valid_from")
        return [(r.key, r.band, f"{r.price.normalize():f}", r.valid_from, r.valid_to) for r in rows]


@pytest.fixture
def decks(tmp_path: Path) -> Iterator[Decks]:
    """An empty house in scope."""
    made = Decks(tmp_path)
    with enter(Scope.of(made.house.pk)):
        yield made


# Reading


def test_prefixes_in_every_spelling(decks: Decks) -> None:
    text = 'prefix,price\n"44, 4420;+4477",1\n^9375.*,2\n+1,3\nany,4\n'
    assert decks.good(text) == (6, 0, 0, 0)
    assert [row[0] for row in decks.rates()] == ["", "1", "44", "4420", "4477", "9375"]


@pytest.mark.parametrize("pattern", ["^(44|45).*", "44.+", "[1-9]", "4x", "^44$", "(a+)+"])
def test_patterns_are_never_compiled(decks: Decks, pattern: str) -> None:
    text = f'prefix,price\n"{pattern}",1\n'
    assert decks.bad(text) == [(2, f"“{pattern}” is not a prefix; only digits, +digits and ^digits.* are.")]


def test_national_prefixes_are_not_guessed(decks: Decks) -> None:
    assert "starts with 0" in decks.bad("prefix,price\n0207,1\n")[0][1]


@pytest.mark.parametrize(
    ("head", "cells", "expected"),
    [
        ("increments", "30/6", (30, 6)),
        ("increments", "60", (60, 60)),
        ("inc", "6", (6, 6)),
        ("Interval1,IntervalN", "60,1", (60, 1)),
        ("description", "x", (1, 1)),
    ],
)
def test_increments(decks: Decks, head: str, cells: str, expected: tuple[int, int]) -> None:
    decks.good(f"prefix,price,{head}\n44,1,{cells}\n")
    rate = TariffRate.objects.get()
    assert (rate.initial_increment, rate.next_increment) == expected


def test_decimal_commas_are_said(decks: Decks) -> None:
    text = "PREFIX;RATE\n44;0,0125\n"
    assert "Is its decimal mark “,”? Then say so." in decks.bad(text)[0][1]
    decks.good(text, {"decimal": ","})
    assert decks.rates()[0][2] == "0.0125"


def test_bands_of_a_rate_card(decks: Decks) -> None:
    text = (
        "ChargeCode,Description,Peak Per Minute,Off Peak Per Minute,Weekend Per Minute,Peak Call Set Up Charge,"
        "Off Peak Call Set Up Charge,Weekend Call Set Up Charge,Minimum Charge\n"
        "UKN,UK national,0.03,0.02,0.01,0.05,0,0,0.01\nUKF,Same,0.2,0.2,0.2,0,0,0,0.01\n"
    )
    assert decks.good(text) == (4, 0, 0, 0)
    assert [row[:3] for row in decks.rates()] == [
        ("UKF", "", "0.2"), ("UKN", "1", "0.03"), ("UKN", "2", "0.02"), ("UKN", "3", "0.01"),
    ]  # fmt: skip
    assert TariffRate.objects.get(band="1").connection_fee == Decimal("0.05")
    hours = TimeBand.objects.order_by("code", "start_minute").values_list(
        "code", "weekdays", "start_minute", "end_minute"
    )
    assert list(hours) == [("1", 31, 480, 1080), ("2", 31, 0, 480), ("2", 31, 1080, 1440), ("3", 96, 0, 1440)]


def test_options_and_defaults_of_a_new_tariff(decks: Decks) -> None:
    mapping = {
        "tariff": {"places": 3, "rounding": "up"},
        "defaults": {"increments": "60/60", "minimum_charge": "0.01"},
    }
    decks.good("prefix,price\n44,1\n", mapping, currency="eur", wholesale=True)
    tariff = Tariff.objects.get()
    assert (tariff.places, tariff.rounding, tariff.currency, tariff.kind) == (3, "up", "EUR", "wholesale")
    assert TariffRate.objects.get().minimum_charge == Decimal("0.01")
    assert decks.bad("prefix,price\n45,1\n") == [
        (None, "“T” is a wholesale tariff, the deck is for a retail one.")
    ]
    assert "currency" not in decks.bad("prefix,price\n45,1\n", {"tariff": {"cat": 1}}, tariff="U")[0][1]


# Questions


def test_equal_repeats_collapse_and_unequal_ones_are_a_question(decks: Decks) -> None:
    outcome = decks.load("prefix,price,name\n44,0.1,UK\n44,0.10,Britain\n45,0.2,DK\n")
    assert (outcome.rows, outcome.loaded, outcome.collapsed) == (3, 2, 1)
    assert decks.bad("prefix,price\n46,0.1\n46,0.2\n", effective=TODAY) == [
        (3, "“46” is on line 2 too, at 0.1 (1/1) instead of 0.2 (1/1): which one counts?"),
    ]


def test_lost_decimal_points_are_a_question(decks: Decks) -> None:
    rows = [f"{440000 + i},0.0{1 + i % 9}" for i in range(60)]
    text = "\n".join(["prefix,price", *rows, "871,9.50", "999,23", ""])
    assert decks.bad(text)[0][1].startswith(
        "2 rates jump out of the deck's range, such as 23 for 999 on line 63:"
    )
    calm = text.replace("871,9.50\n", "").replace("999,23\n", "")
    assert decks.good(calm)[0] == 60
    assert decks.load(text, accept_outliers=True, effective=TODAY).loaded == 62


def test_a_rate_that_jumps_against_the_last_deck_is_a_question(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.0125\n")
    assert decks.bad("prefix,price\n44,1.25\n", effective=TODAY) == [
        (
            2,
            "“44” goes from 0.0125 to 1.25: has a decimal point been lost? Accept outliers if this is right.",
        ),
    ]
    assert decks.good("prefix,price\n44,1.25\n", effective=TODAY, accept_outliers=True) == (0, 1, 0, 0)


def test_decks_that_are_none(decks: Decks) -> None:
    assert "neither prefixes nor charge codes" in decks.bad("destination,price\nUK,1\n")[0][1]
    assert decks.bad("prefix,name\n44,UK\n") == [(None, "The deck has no column of prices.")]
    assert decks.bad("prefix,price\n44,\n,1\n") == [
        (2, "The line has no price."),
        (3, "The line has neither a prefix nor a charge code."),
    ]
    assert not Tariff.objects.exists()


# Changes over time


def test_a_new_price_ends_the_old_one(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.02\n45,0.03\n46,0.04\n")
    day = date(2026, 12, 1)
    assert decks.good("prefix,price\n44,0.025\n45,0.03\n47,0.05\n", effective=day) == (1, 1, 0, 1)
    assert decks.rates() == [
        ("44", "", "0.02", FIRST, day),
        ("44", "", "0.025", day, None),
        ("45", "", "0.03", FIRST, None),
        ("46", "", "0.04", FIRST, None),
        ("47", "", "0.05", day, None),
    ]
    assert decks.good("prefix,price\n44,0.025\n45,0.03\n47,0.05\n", effective=day) == (0, 0, 0, 3)


def test_a_complete_deck_ends_what_it_lacks(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.02\n45,0.03\n")
    assert decks.good("prefix,price\n44,0.02\n", effective=TODAY, complete=True) == (0, 0, 1, 1)
    assert decks.rates()[1] == ("45", "", "0.03", FIRST, TODAY)


def test_an_action_ends_a_rate(decks: Decks) -> None:
    decks.good("prefix,price,action\n44,0.02,I\n45,0.03,A\n")
    assert decks.good("prefix,price,action\n44,,D\n", effective=TODAY) == (0, 0, 1, 0)
    assert decks.rates()[0] == ("44", "", "0.02", FIRST, TODAY)


def test_a_price_in_bands_replaces_one_for_any_time(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.02\n")
    assert decks.good("prefix,price,band\n44,0.03,DAY\n44,0.01,EVE\n", effective=TODAY) == (2, 0, 1, 0)
    assert decks.rates()[0] == ("44", "", "0.02", FIRST, TODAY)


def test_the_past_is_never_rewritten(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.02\n", effective=date(2026, 1, 1))
    assert "say from which day the deck holds" in decks.bad("prefix,price\n44,0.03\n")[0][1]
    assert decks.bad("prefix,price\n44,0.03\n", effective=date(2026, 1, 1)) == [
        (2, "“44” already starts on 2026-01-01 at 0.02; a rate is never rewritten: choose a later day."),
    ]
    assert decks.good("prefix,price\n44,0.03\n", effective=date(2025, 1, 1)) == (1, 0, 0, 0)
    assert decks.rates()[0] == ("44", "", "0.03", date(2025, 1, 1), date(2026, 1, 1))


def test_days_of_their_own(decks: Decks) -> None:
    text = "prefix,price,effective date\n44,0.02,2026-01-01\n44,0.03,2026-06-01\n"
    assert decks.good(text) == (1, 1, 0, 0)
    assert decks.good(text) == (0, 0, 0, 2)
    assert decks.rates()[0] == ("44", "", "0.02", date(2026, 1, 1), date(2026, 6, 1))


def test_a_dry_run_writes_nothing(decks: Decks) -> None:
    outcome = decks.load("prefix,price\n44,0.02\n", dry_run=True)
    assert (outcome.difference.new, outcome.problems, Tariff.objects.count()) == (1, (), 0)


# Questions answered


def test_prices_in_pence_are_divided(decks: Decks) -> None:
    decks.good("prefix,price,connection fee,minimum\n44,1.25,5,1\n", divide=100)
    rate = TariffRate.objects.get()
    assert (rate.price, rate.connection_fee, rate.minimum_charge) == (
        Decimal("0.0125"), Decimal("0.05"), Decimal("0.01"),
    )  # fmt: skip


def test_lost_decimal_points_are_divided_where_they_are(decks: Decks) -> None:
    rows = [f"{440000 + i},0.0{1 + i % 9}" for i in range(60)]
    text = "\n".join(["prefix,price", *rows, "871,950", "999,2300", ""])
    assert decks.bad(text, divide_outliers=10)[0][1].startswith("2 rates jump out")
    decks.good(text, divide_outliers=10_000)
    prices = {row[0]: row[2] for row in decks.rates()}
    assert (prices["871"], prices["999"], prices["440000"]) == ("0.095", "0.23", "0.01")


@pytest.mark.parametrize(("repeats", "price"), [("first", "0.2"), ("last", "0.1"), ("dearest", "0.3")])
def test_unequal_repeats_by_rule(decks: Decks, repeats: str, price: str) -> None:
    outcome = decks.load("prefix,price\n46,0.2\n46,0.3\n46,0.1\n", repeats=repeats)
    assert (outcome.rows, outcome.loaded, outcome.collapsed) == (3, 1, 2)
    assert decks.rates()[0][2] == price


def test_ranges_of_prefixes(decks: Decks) -> None:
    decks.good("code1,code2,rate\n9381,9399,0.2\n930,930,0.1\n100,199,0.5\n370,,0.4\n")
    assert [row[0] for row in decks.rates()] == ["1", "370", "930", *(f"938{n}" for n in range(1, 10)), "939"]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("938,9399", "938 to 9399 is no range: both prefixes have the same number of digits."),
        ("9399,9381", "9399 to 9381 is no range: the last prefix comes before the first."),
        (
            '"9381;9382",9399',
            "A range has one first and one last prefix: give several on lines of their own.",
        ),
    ],
)
def test_a_range_that_is_none_is_a_question(decks: Decks, ends: str, said: str) -> None:
    assert decks.bad(f"code1,code2,rate\n1,,0.1\n{ends},0.2\n") == [(3, said)]


def test_names_are_looked_up_in_a_tariff_that_has_prefixes(decks: Decks) -> None:
    decks.good(
        "prefix,destination,price\n355,Albania,0.1\n35567,Albania - Mobile,0.2\n35568,Albania - Mobile,0.2\n"
    )
    mobile = '"Albania, mobile",0.3,peak\n"Albania, mobile",0.2,off_peak\n'
    names = f"traffic_direction,rate,time_slot\nALBANIA,0.15,flat\n{mobile}"
    assert "say which tariff’s destinations" in decks.bad(names, tariff="New")[0][1]
    decks.good(names, tariff="New", names_like="T")
    rows = TariffRate.objects.filter(tariff__name="New").order_by("key", "band")
    assert [(r.key, r.band, r.price) for r in rows] == [
        ("355", "", Decimal("0.15")),
        ("35567", "1", Decimal("0.3")), ("35567", "2", Decimal("0.2")),
        ("35568", "1", Decimal("0.3")), ("35568", "2", Decimal("0.2")),
    ]  # fmt: skip
    assert TimeBand.objects.filter(tariff__name="New").count() == 4


def test_the_nearest_name_is_looked_for_so_often_and_no_more(decks: Decks) -> None:
    decks.good("prefix,destination,price\n355,Albania,0.1\n")
    unknown = "".join(f"Albania{n:03d},0.15\n" for n in range(130))
    outcome = decks.load(f"destination,rate\n{unknown}", tariff="New", names_like="T")
    assert [nearest for _, nearest in outcome.unmatched] == ["Albania"] * 100 + [""] * 30


def test_names_that_are_not_found_are_matched_by_hand(decks: Decks) -> None:
    decks.good("prefix,destination,price\n355,Albania,0.1\n35567,Albania mobile,0.2\n")
    text = "destination,rate\nAlbanien,0.15\nMoon,9\nKosovo,0.4\nAlbania mobile,0.3\n"
    outcome = decks.load(text, tariff="New", names_like="T")
    assert outcome.unmatched == (("Albanien", "Albania"), ("Kosovo", ""), ("Moon", ""))
    assert [p.line for p in outcome.problems] == [2, 3, 4]
    decks.good(
        text,
        tariff="New",
        names_like="T",
        matches={"Albanien": "Albania", "Moon": "-", "Kosovo": "383, 38344"},
    )
    rows = TariffRate.objects.filter(tariff__name="New").order_by("key")
    assert [(r.key, str(r.price.normalize())) for r in rows] == [
        ("355", "0.15"), ("35567", "0.3"), ("383", "0.4"), ("38344", "0.4"),
    ]  # fmt: skip


def test_a_guarded_deck_asks_before_large_effects(decks: Decks) -> None:
    decks.good("prefix,price\n44,0.02\n45,0.03\n46,0.04\n47,0.04\n")
    text, options = "prefix,price\n44,0.03\n45,0.03\n46,0.04\n", {"effective": TODAY, "guarded": True}
    asked = [error for _, error in decks.bad(text, **options)]
    assert asked == [
        "The deck lacks 1 prices of the tariff: say whether they end.",
        "It raises prices by 16.7 % on average. Tick that this is right to load it.",
    ]
    ends = decks.bad(text, **options, absent="end")
    assert [error for _, error in ends] == [
        "It ends 1 of the tariff’s 4 prices (25 %). Tick that this is right to load it.",
        "It raises prices by 16.7 % on average. Tick that this is right to load it.",
    ]
    assert decks.good(text, **options, absent="end", accept_effect=True) == (0, 1, 1, 2)


def test_past_rates_stay_byte_for_byte(decks: Decks) -> None:
    decks.good("prefix,price,destination\n44,0.02,UK\n45,0.03,DK\n", effective=date(2026, 1, 1))
    before = {row["id"]: row for row in TariffRate.objects.values()}
    decks.good("prefix,price\n44,0.03\n", effective=TODAY, absent="end")
    after = {row["id"]: row for row in TariffRate.objects.filter(pk__in=before).values()}
    assert {pk: {**row, "valid_to": None} for pk, row in after.items()} == before
    assert {row["key"]: row["valid_to"] for row in after.values()} == {"44": TODAY, "45": TODAY}


def test_a_service_charge_stays_one_at_its_new_price(decks: Decks) -> None:
    decks.good("prefix,price\n4484,0.05\n44,0.01\n")
    TariffRate.objects.filter(key="4484").update(is_service_charge=True)
    decks.good("prefix,price\n4484,0.06\n44,0.02\n", effective=TODAY)
    rows = TariffRate.objects.filter(valid_from=TODAY).order_by("key")
    assert [(row.key, row.is_service_charge) for row in rows] == [("44", False), ("4484", True)]
