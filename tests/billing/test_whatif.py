"""What a month would have cost: exact to the last digit against call-by-call Python, and nothing is written."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing.models import Call, Tariff, TariffAssignment, TariffRate
from billing.pipeline_decks import compare_deck
from billing.rating import held
from billing.rating.overlay import Change, Overlay, proposed_tariff, rates_on
from billing.rating.whatif import FIGURES, Answer, Question, amounts, ask
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_world import World
from tests.billing.whatif_world import PRICES, Month, make_month, prints

DAY = date(2027, 1, 1)
PERIOD = Period(date(2026, 3, 1), date(2026, 4, 1), ZoneInfo("Europe/London"))


@pytest.fixture
def world(db: None) -> Iterator[World]:
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


@pytest.fixture(params=range(3))
def month(request: pytest.FixtureRequest, world: World) -> Month:
    return make_month(world, request.param)


def moved(month: Month, *codes: str) -> Question:
    """Ask what customers would pay by the proposed tariff."""
    ids = [month.customers[code].pk for code in codes]
    rates = proposed_tariff(month.world.reseller, month.proposed.pk, DAY)
    overlay = Overlay(rates=rates, customers=dict.fromkeys(ids, month.proposed.pk))
    return Question(period=PERIOD, overlay=overlay, customers=ids)


def bought(month: Month) -> Question:
    """Ask what the month would cost by the newer deck."""
    carrier = month.world.carrier.pk
    rates = rates_on(month.world.reseller, [month.newer.pk], DAY)
    overlay = Overlay(rates=rates, bought={carrier: month.newer.pk})
    return Question(period=PERIOD, overlay=overlay, carriers=[carrier], buying=True)


def table(answer: Answer, of: str = "by_destination") -> dict[object, list[Decimal]]:
    """Return the figures of an answer by its key, all in pounds."""
    rows = getattr(answer, of)
    assert {currency for _, currency in rows} <= {"GBP"}
    return {
        key: [Decimal(value) for value in amounts(figures).values()] for (key, _), figures in rows.items()
    }


def together(parts: list[dict[str, list[Decimal]]]) -> dict[str, list[Decimal]]:
    """Add tables up."""
    found: dict[str, list[Decimal]] = {}
    for part in parts:
        for key, figures in part.items():
            found[key] = [a + b for a, b in zip(found.get(key, [Decimal(0)] * 6), figures, strict=True)]
    return found


def test_a_proposed_tariff_agrees_with_each_call_priced_by_hand(month: Month) -> None:
    before = prints()
    answer = ask(month.world.reseller, moved(month, "C1", "C2"))
    naive = [month.by_hand(code, "retail") for code in ("C1", "C2")]
    assert table(answer) == together(naive)
    expected = {
        month.customers[code].pk: [sum(column) for column in zip(*rows.values(), strict=True)]
        for code, rows in zip(("C1", "C2"), naive, strict=True)
    }
    assert table(answer, "by_customer") == expected
    lost = [call for call in month.calls if call[0] != "C3" and call[1] == "33" and call[3]]
    assert (answer.unpriced, answer.stale) == (len(lost), 0)
    assert prints() == before


def test_the_users_of_a_tariff_are_those_that_move_and_the_default_goes_along(month: Month) -> None:
    rates = proposed_tariff(month.world.reseller, month.proposed.pk, DAY)
    overlay = Overlay(rates=rates, moved={month.standard.pk: month.proposed.pk})
    TariffAssignment.objects.filter(customer=month.customers["C3"]).delete()
    Tariff.objects.filter(pk=month.standard.pk).update(is_default=True)
    answer = ask(month.world.reseller, Question(period=PERIOD, overlay=overlay))
    assert table(answer) == together([month.by_hand(code, "retail") for code in ("C1", "C2", "C3")])


def test_a_proposed_deck_moves_the_cost_and_nothing_else(month: Month) -> None:
    before = prints()
    answer = ask(month.world.reseller, bought(month))
    assert table(answer) == together([month.by_hand(code, "deck") for code in ("C1", "C2", "C3")])
    assert answer.uncovered == 0
    assert prints() == before


def test_blocks_of_customers_change_nothing(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [
        ask(month.world.reseller, question(month))
        for question in (bought, lambda m: moved(m, "C1", "C2", "C3"))
    ]
    monkeypatch.setattr(held, "CHUNK", 1)
    assert [
        ask(month.world.reseller, question(month))
        for question in (bought, lambda m: moved(m, "C1", "C2", "C3"))
    ] == whole


def test_a_rise_of_a_tariffs_own_prices(world: World) -> None:
    month = make_month(world, 7)
    changes = [Change(match="447", percent=Decimal("25")), Change(match="France mobile", price=Decimal("0.22")),
               Change(match="33", percent=Decimal(0)), Change(percent=Decimal("-16.6667"))]  # fmt: skip
    rates = proposed_tariff(world.reseller, month.standard.pk, DAY, changes, places=3)
    prices = {rate.key: Decimal(rate.price) / 10**8 for rate in rates[month.standard.pk]}
    assert prices == {
        "44": Decimal("0.025"), "447": Decimal("0.15"), "33": Decimal("0.2"), "332": Decimal("0.22"),
    }  # fmt: skip


def test_a_change_of_what_is_inherited_stands_in_the_tariff(world: World) -> None:
    parent = world.tariff("Parent")
    child = world.tariff("Child", parent=parent)
    world.rate(parent, "44", "0.03")
    world.rate(parent, "33", "0.20")
    world.rate(child, "33", "0.18")
    rates = proposed_tariff(world.reseller, child.pk, DAY, [Change(match="447", percent=Decimal(10))])
    own = {rate.key: (rate.price, rate.id < 0) for rate in rates[child.pk]}
    assert own == {"33": (18_000_000, False), "447": (3_300_000, True)}
    assert {rate.key: rate.price for rate in rates[parent.pk]} == {"44": 3_000_000, "33": 20_000_000}


def test_prices_that_begin_later_count_as_of_the_day_asked(world: World) -> None:
    month = make_month(world, 3)
    TariffRate.objects.filter(tariff=month.proposed).update(valid_from=date(2026, 12, 1))
    later = ask(world.reseller, moved(month, "C2"))
    assert table(later) == month.by_hand("C2", "retail")
    rates = proposed_tariff(world.reseller, month.proposed.pk, date(2026, 11, 30))
    early = Overlay(rates=rates, customers={month.customers["C2"].pk: month.proposed.pk})
    answer = ask(world.reseller, Question(period=PERIOD, overlay=early, customers=[month.customers["C2"].pk]))
    answered = Call.objects.filter(customer=month.customers["C2"], answered=True).count()
    assert answer.unpriced == answered
    assert {row["new_retail"] for row in map(amounts, answer.by_customer.values())} == {Decimal(0)}


def test_what_a_deck_lacks_keeps_its_cost_and_is_counted(world: World) -> None:
    month = make_month(world, 4)
    TariffRate.objects.filter(tariff=month.newer, key__startswith="33").delete()
    answer = ask(world.reseller, bought(month))
    gone = [call for call in month.calls if call[1].startswith("33")]
    assert answer.uncovered == len(gone) > 0
    france = amounts(answer.by_destination["France", "GBP"])
    assert france["old_cost"] == france["new_cost"] > 0


def test_calls_the_book_would_price_anew_already_are_counted(world: World) -> None:
    month = make_month(world, 5)
    TariffRate.objects.filter(tariff=month.standard, key="44").update(price="0.04")
    answer = ask(world.reseller, moved(month, "C2"))
    stale = [c for c in month.calls if (c[0], c[1], c[3]) == ("C2", "44", True) and c[2]]
    assert answer.stale == len(stale) > 0


def test_a_decks_effect_on_last_month_is_that_of_each_call(world: World, tmp_path: Path) -> None:
    month = make_month(world, 6)
    path = tmp_path / "deck.csv"
    lines = [f"{key},{prices[3]}" for key, prices in PRICES.items() if prices[3] is not None]
    path.write_text("\n".join(["prefix,price", *lines, ""]))
    options = {"tariff": "Deck", "wholesale": True, "effective": "2026-06-01", "absent": "end"}
    before = prints()
    found = compare_deck(world.reseller, path, mapping={}, options=options, today=date(2026, 4, 20))
    assert prints() == before
    assert (found["changed"], found["absent"], found["new"], found["day"]) == (3, 1, 0, "2026-06-01")
    assert {line["key"]: line["kind"] for line in found["lines"]} == {
        "44": "changed", "447": "changed", "33": "changed", "332": "absent",
    }  # fmt: skip
    by_hand = together([month.by_hand(code, "deck") for code in month.customers])
    shown = {
        row["destination"]: (Decimal(row["old_cost"]), Decimal(row["new_cost"]))
        for row in found["effect"]["destinations"]
    }
    assert shown == {name: (row[4], row[5]) for name, row in by_hand.items() if row[4] != row[5]}
    total = [sum(column) for column in zip(*by_hand.values(), strict=True)]
    sums = found["effect"]["totals"]["GBP"]
    assert [Decimal(str(sums[name])) for name in FIGURES] == total
