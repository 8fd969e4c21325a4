"""The What-if and Old tariffs reports: call by call in plain Python, and the what-if page's own totals."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Customer, Number, TariffAssignment
from billing.pipeline_prices import what_if
from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, run, start
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, current, enter
from tests.billing.rating_world import World
from tests.billing.whatif_world import Month, make_month, prints
from tests.world import House, make_user

NOW = datetime(2026, 4, 20, 9, 30, tzinfo=UTC)
MARCH = {"on_or_after": ["2026-03-01"], "before": ["2026-04-01"]}
Rows = list[dict[str, Any]]


@pytest.fixture
def month(db: None) -> Iterator[Month]:
    """Three customers with a month of calls, and one without any."""
    made = World.make()
    with enter(Scope.of(made.reseller.pk, role=Role.OWNER)):
        yield make_month(made.begin(), 4)


def asked(slug: str, **more: list[str]) -> tuple[Run, Rows]:
    """Run a report over March and return the run with its rows."""
    made = run(REPORTS.get(slug), MARCH | more, now=NOW)
    return made, list(Showing(made).rows())


def books() -> dict[str, str]:
    """Return a print of every table but those in which the runs themselves are kept."""
    return {name: value for name, value in prints().items() if name not in ("reports_run", "core_artifact")}


def by_hand(month: Month, proposal: str) -> dict[str, list[D]]:
    """Return calls, seconds, retail, proposed retail, cost and proposed cost of each customer, call by call."""
    found = {}
    for code in month.customers:
        places = month.by_hand(code, proposal).values()
        found[code] = [sum(column, D(0)) for column in zip(*places, strict=True)]
    return found


NAMES = ("calls", "seconds", "old_retail", "new_retail", "old_cost", "new_cost")


def test_customers_at_a_proposed_tariff_call_by_call(month: Month) -> None:
    before = books()
    made, rows = asked("what-if", proposed=["2027 prices"], instead_of=["Standard"])
    assert {r["code"]: [D(r[n]) for n in NAMES] for r in rows} == by_hand(month, "retail")
    assert [r["difference"] for r in rows] == sorted(
        (r["new_retail"] - r["old_retail"] for r in rows), reverse=True
    )
    assert [(t["name"], t["ok"]) for t in made.tie_outs] == [
        ("Retail as it was, against the page “What if”", True),
        ("Retail as it would be, against the page “What if”", True),
    ]
    asked_of_page = {"first": "2026-03-01", "end": "2026-04-01", "kind": "move", "as_of": "2026-04-20"}
    ids = {"tariff_id": month.proposed.pk, "instead_of": month.standard.pk}
    totals = what_if(month.world.reseller, asked_of_page | ids)["totals"]["GBP"]
    assert {n: D(made.totals[0][n]) for n in NAMES[2:]} == {n: D(totals[n]) for n in NAMES[2:]}
    named, all_moved = asked("what-if", proposed=["2027 prices"])
    assert named.totals == made.totals
    assert books() == before


def test_calls_bought_by_another_deck_and_prices_changed(month: Month) -> None:
    made, rows = asked("what-if", proposed=["Newer deck"], bought_from=[month.world.carrier.code])
    wanted = by_hand(month, "deck")
    assert {r["code"]: [D(r[n]) for n in NAMES] for r in rows} == wanted
    assert {r["code"]: r["difference"] for r in rows} == {code: s[5] - s[4] for code, s in wanted.items()}
    assert next(c["label"] for c in made.columns if c["name"] == "difference") == "Cost rises by"
    _, same = asked("what-if", proposed=["Standard"], percent=["0"])
    assert {r["code"]: r["difference"] for r in same} == dict.fromkeys(wanted, 0)
    _, dearer = asked("what-if", proposed=["Standard"], percent=["100"], customer=["C2"])
    assert [(r["code"], r["new_retail"]) for r in dearer] == [("C2", 2 * wanted["C2"][2])]


def test_destinations_groups_and_who_would_pay_more(month: Month) -> None:
    move = {"proposed": ["2027 prices"], "instead_of": ["Standard"]}
    _, places = asked("what-if", **move, show=["destinations"])
    wanted: dict[str, D] = {}
    for code in month.customers:
        for place, sums in month.by_hand(code, "retail").items():
            wanted[place] = wanted.get(place, D(0)) + sums[3]
    assert {r["destination"]: r["new_retail"] for r in places} == wanted
    Customer.objects.filter(code__in=["C1", "C2"]).update(segment="Large")
    _, grouped = asked("what-if", **move, group_by=["segment"])
    _, rows = asked("what-if", **move)
    large = [r for r in rows if r["code"] != "C3"]
    found = {r["by_segment"]: r for r in grouped}
    assert (found["Large"]["customers"], found["Large"]["new_retail"]) == (
        2,
        sum(r["new_retail"] for r in large),
    )
    _, more = asked("what-if", **move, who=["more"])
    assert [r["code"] for r in more] == [r["code"] for r in rows if r["difference"] > 0]
    _, under = asked("what-if", **move, who=["under"], floor=["100"])
    assert {r["code"] for r in under} == {r["code"] for r in rows if r["new_cost"] > 0}
    assert {r["flag"] for r in under} == {"Under 100 %"}


def test_what_is_not_asked_or_contradicts_itself_is_said(month: Month) -> None:
    made, rows = asked("what-if")
    assert rows == []
    assert [warns for _, text, warns in made.notes if text.startswith("Nothing is proposed")] == [True]
    for bad, words in (
        ({"proposed": ["Standard"], "instead_of": ["Standard"]}, "Choose another tariff"),
        ({"before": ["2026-03-20"]}, "whole months"),
        ({"zone": ["Asia/Tokyo"]}, "by the clock of"),
        ({"show": ["destinations"], "group_by": ["segment"]}, "not grouped"),
    ):
        with pytest.raises(BadQuery, match=words):
            asked("what-if", **bad)
    refused, _ = asked("what-if", proposed=["Newer deck"])
    assert [text for _, text, _ in refused.notes] == [
        "Say from which carrier the calls would be bought by that tariff."
    ]


def test_the_form_asks_for_the_tariff_first_and_no_page_waits(month: Month, client: Client) -> None:
    ana = make_user("ana@alpha.example", "Ana", House(month.world.reseller), Role.OWNER)
    client.force_login(ana)
    page = client.get(reverse("report", args=["what-if"])).content.decode()
    question, _, rest = page.partition("<legend>Filters</legend>")
    assert 'name="proposed"' in question
    assert 'name="floor"' in rest
    waiting = start(REPORTS.get("what-if"), MARCH, now=NOW)
    assert waiting.job is not None
    assert not waiting.is_ready


def put_on_old_tariffs(month: Month) -> None:
    """Supersede the standard tariff; the second customer's number and the third customer stand on others, too."""
    world = month.world
    month.standard.superseded_on, month.standard.successor = date(2026, 2, 1), month.proposed
    month.standard.save()
    bare = world.tariff("Bare", superseded_on=date(2026, 1, 10), parent=month.standard)
    TariffAssignment.objects.filter(customer=month.customers["C3"]).update(tariff=bare)
    number = Number.objects.get(number="NC2")
    TariffAssignment.objects.filter(customer=month.customers["C2"]).update(customer=None, number=number)


def test_customers_on_old_tariffs_are_priced_by_what_replaces_them(month: Month) -> None:
    put_on_old_tariffs(month)
    before = books()
    made, rows = asked("old-tariffs")
    wanted = by_hand(month, "retail")
    told = {r["code"]: r for r in rows}
    assert {code: told[code]["tariff"] for code in told} == {"C1": "Standard", "C2": "Standard", "C3": "Bare"}
    for code in ("C1", "C2"):
        assert [D(told[code][n]) for n in NAMES] == wanted[code]
        assert (told[code]["successor"], told[code]["since"]) == ("2027 prices", date(2026, 2, 1))
    assert [told[code]["numbers"] for code in ("C1", "C2")] == [0, 1]
    assert (told["C3"]["successor"], told["C3"]["new_retail"]) == ("None named", None)
    assert told["C3"]["old_retail"] == wanted["C3"][2]
    assert [text for _, text, _ in made.notes][0].startswith("No successor is named for “Bare”")
    assert books() == before
    house = month.world.reseller
    points = live([KPIS.get("old_tariff_customers")], house, current(), [date(2026, 3, 1)], NOW)
    assert [p.numerator for p in points["old_tariff_customers"]] == [len(rows)]


def test_a_tariff_can_be_chosen_for_all_and_groups_count_customers(month: Month) -> None:
    put_on_old_tariffs(month)
    made, rows = asked("old-tariffs", priced_by=["2027 prices"])
    assert {r["successor"] for r in rows} == {"2027 prices"}
    assert [(label, warns) for label, _, warns in made.notes] == [("Calls", True)]
    assert {r["code"]: r["new_retail"] for r in rows} == {
        c: s[3] for c, s in by_hand(month, "retail").items()
    }
    _, grouped = asked("old-tariffs", priced_by=["2027 prices"], group_by=["tariff"])
    assert [(r["by_tariff"], r["customers"]) for r in grouped] == [("Bare", 1), ("Standard", 2)]
    assert sum(r["difference"] for r in grouped) == sum(r["difference"] for r in rows)
    _, own = asked("old-tariffs", old=["Bare"])
    assert [r["code"] for r in own] == ["C3"]
    counts = []
    for size in (0, 12):
        for n in range(size):
            customer = month.world.customer(f"Q{n}")
            month.world.number(f"NQ{n}", customer)
            month.world.assign(month.standard, customer=customer)
        with CaptureQueriesContext(connection) as seen:
            asked("old-tariffs")
        counts.append(len(seen))
    assert counts[0] == counts[1]
