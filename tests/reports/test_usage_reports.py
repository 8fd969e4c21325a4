"""The Usage summary and Margin of calls against sums in plain Python, the call files and the KPIs."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Call, Carrier, CdrFile, Customer, ExchangeRate
from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.columns import Minutes
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, rate_batch
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
LONDON = ZoneInfo("Europe/London")
TWO_MONTHS = {"on_or_after": ["2026-03-01"], "before": ["2026-05-01"]}
Rows = list[dict[str, Any]]


@pytest.fixture
def world() -> World:
    return make_world()


def make_calls(world: World, seed: int, count: int = 60) -> list[Call]:
    """Make random calls around the two months, across the change of the clocks; some cost euros."""
    chance = random.Random(seed)
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller}
        euro = Carrier.objects.create(**own, code="EURO", name="Euro Carrier", currency="EUR")
        Customer.objects.filter(code="C003").update(is_test=True)
        calls = [_call(world, chance, euro) for _ in range(count)]
        rate_batch(world.alpha.reseller, *calls)
        days: dict[str, list[int]] = {}
        for call in calls:
            of_day = days.setdefault(call.started_at.astimezone(LONDON).date().isoformat(), [0, 0, 0])
            of_day[0] += 1
        starts = [call.started_at for call in calls]
        file = {"carrier": euro, "format": "x", "name": "x", "size": 1, "sha256": "x", "state": "loaded"}
        sums = {"rows": count, "rated": count, "first_call_at": min(starts), "last_call_at": max(starts)}
        CdrFile.objects.create(**own, **file, **sums, days=days)
    return calls


def _call(world: World, chance: random.Random, euro: Carrier) -> Call:
    at = datetime(2026, 2, 25, tzinfo=UTC) + timedelta(minutes=chance.randrange(70 * 24 * 60))
    state = chance.choice(["rated", "rated", "rated", "zero", "error", "excluded"])
    retail = D(chance.randrange(1, 500)) / 1000 if state == "rated" else D(0)
    carrier = chance.choice([world.alpha.carrier, euro])
    assert carrier is not None
    reported = D(chance.randrange(0, 300)) / 1000
    abroad = carrier == euro and chance.random() < 0.7
    seconds = chance.randrange(0, 400)
    return a_call(
        world.alpha.customers[chance.randrange(3)],
        f"{at:%Y-%m-%d %H:%M:%S}",
        str(retail),
        state=state,
        reason="no_rate" if state == "error" else "",
        carrier_id=carrier.pk,
        call_class=chance.choice(["UK", "International", ""]),
        answered=seconds > 0,
        duration=seconds,
        billed_seconds=-(-seconds // 60) * 60 if state == "rated" else 0,
        currency="GBP" if state in ("rated", "zero") else "",
        cost=reported if chance.random() < 0.6 else None,
        expected_cost=D(chance.randrange(0, 300)) / 1000 if chance.random() < 0.8 else None,
        cost_currency="EUR" if abroad else "GBP",
    )


def asked(
    world: World, slug: str, role: Role = Role.OWNER, dealer: int | None = None, **more: list[str]
) -> tuple[Run, Rows]:
    """Run a report over the two months and return the run with its rows."""
    scope = Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)
    with enter(scope):
        made = run(REPORTS.get(slug), TWO_MONTHS | more, now=NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def inside(call: Call) -> bool:
    """Say whether a call started in the two months by the clock in London."""
    return date(2026, 3, 1) <= call.started_at.astimezone(LONDON).date() < date(2026, 5, 1)


def cost_of(call: Call) -> D:
    """Return what a call costs: reported, else expected, else nothing."""
    return next((D(c) for c in (call.cost, call.expected_cost) if c is not None), D(0))


def by_hand(calls: list[Call], key: Callable[[Call], Any]) -> dict[Any, dict[str, Any]]:
    """Return the sums of calls by key and currency, one by one; each cost under its own currency."""
    found: dict[Any, dict[str, Any]] = {}
    zero = {"n": 0, "answered": 0, "seconds": 0, "billed": 0, "retail": D(0), "cost": D(0)}
    for call in calls:
        sums = found.setdefault((key(call), "GBP"), dict(zero))
        sums["n"] += 1
        sums["answered"] += call.answered
        sums["seconds"] += call.duration if call.answered else 0
        sums["billed"] += call.billed_seconds
        sums["retail"] += call.retail
        cost = cost_of(call)
        if call.cost_currency == "GBP" or cost:
            found.setdefault((key(call), call.cost_currency), dict(zero))["cost"] += cost
    return found


GROUPS: dict[str, tuple[str, Callable[[Call], Any]]] = {
    "month": ("by_month", lambda c: c.started_at.astimezone(LONDON).date().replace(day=1)),
    "hour": ("by_hour", lambda c: f"{c.started_at.astimezone(LONDON):%H}:00"),
    "class": ("by_class", lambda c: c.call_class),
    "customer": ("by_account", lambda c: c.customer.code),
    "state": ("by_state", lambda c: c.state),
}


@pytest.mark.parametrize("group", GROUPS)
def test_the_usage_summary_sums_calls_as_they_are(world: World, group: str) -> None:
    calls = [c for c in make_calls(world, seed=len(group)) if inside(c)]
    field, key = GROUPS[group]
    made, rows = asked(world, "usage", group_by=[group])
    told = {
        (r[field], r["currency"]): (
            *(r[n] for n in ("attempts", "answered", "seconds", "billed", "retail", "cost")),
            r["margin"],
        )
        for r in rows
        if r["attempts"] or r["cost"]
    }
    assert told == {
        k: (*s.values(), s["retail"] - s["cost"])
        for k, s in by_hand(calls, key).items()
        if s["n"] or s["cost"]
    }
    assert [(t["name"], t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [
        ("Records against the call files", str(len(calls)), str(len(calls)), True)
    ]


def test_margin_is_that_of_the_kpis_and_of_the_calls(world: World) -> None:
    calls = [
        c
        for c in make_calls(world, seed=5, count=90)
        if inside(c) and c.state in ("rated", "zero") and c.customer != world.alpha.customers[2]
    ]
    with enter(world.alpha.scope()):
        names = {c.pk: c.code for c in Carrier.objects.all()}
    made, rows = asked(world, "margin", group_by=["month", "carrier"])
    by_name = {"Alpha Carrier": "CARR", "Euro Carrier": "EURO"}
    told = {(r["by_month"], by_name[r["by_carrier"]], r["currency"]): r for r in rows}
    expected = by_hand(
        calls, lambda c: (c.started_at.astimezone(LONDON).date().replace(day=1), names[c.carrier_id])
    )
    assert {k: (r["calls"], r["retail"], r["cost"]) for k, r in told.items() if r["calls"] or r["cost"]} == {
        (*k, currency): (s["n"], s["retail"], s["cost"])
        for (k, currency), s in expected.items()
        if s["n"] or s["cost"]
    }
    for name, value in (("reported", lambda c: c.cost), ("expected", lambda c: c.expected_cost)):
        sums = sum((r[name] for r in rows), D(0))
        assert sums == sum((value(c) or D(0) for c in calls), D(0))
    losing = [c for c in calls if c.cost_currency == "GBP" and cost_of(c) > c.retail]
    assert sum(r["losing"] for r in rows) == len(losing)
    assert sum(r["lost"] for r in rows) == sum(cost_of(c) - c.retail for c in losing)
    _, below = asked(world, "margin", group_by=["customer"], below=["on"])
    assert sum(r["calls"] for r in below) == len(losing)
    with enter(world.alpha.scope()):
        house, months = world.alpha.reseller, [date(2026, 3, 1), date(2026, 4, 1)]
        kpi = KPIS.get("gross_margin_supplier")
        points = live([kpi], house, world.alpha.scope(), months, NOW, "carrier")[kpi.slug]
    figures = {
        (p.month, p.key, p.currency): (p.numerator, p.denominator)
        for p in points
        if p.numerator or p.denominator
    }
    assert figures == {k: (r["margin"], r["retail"]) for k, r in told.items() if r["margin"] or r["retail"]}
    assert made.row_count == len(rows)


def test_costs_of_two_currencies_are_converted_each_at_its_rate(world: World) -> None:
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller}
        euro = Carrier.objects.create(**own, code="EURO", name="Euro Carrier", currency="EUR")
        first = world.alpha.customers[0]
        euros = {"carrier_id": euro.pk, "cost_currency": "EUR"}
        rate_batch(
            world.alpha.reseller,
            a_call(first, "2026-03-02 10:00", "1.00", cost=D("0.50"), cost_currency="GBP"),
            a_call(first, "2026-03-03 10:00", "2.00", cost=D("1.00"), **euros),
        )
        ExchangeRate.objects.create(**own, base="EUR", currency="GBP", date=date(2026, 3, 2), rate=D("0.80"))
    _, billed = asked(world, "margin", group_by=["customer"])
    assert [(r["currency"], r["retail"], r["cost"], r["margin"]) for r in billed] == [
        ("GBP", D("3.00"), D("0.50"), D("2.50")),
        ("EUR", D(0), D("1.00"), D("-1.00")),
    ]
    made, rows = asked(world, "margin", group_by=["customer"], currency=["GBP"])
    assert [(r["currency"], r["retail"], r["cost"], r["margin"], r["fx_mark"]) for r in rows] == [
        ("GBP", D("3.00"), D("1.30"), D("1.70"), "")
    ]
    assert made.notes == [["Exchange rates", "European Central Bank, 2 Mar 2026", False]]


def test_a_dealer_sees_its_own_calls_without_cost_and_a_viewer_none(world: World) -> None:
    calls = make_calls(world, seed=3)
    first = [c for c in calls if inside(c) and c.customer == world.alpha.customers[0]]
    made, rows = asked(world, "usage", Role.DEALER, world.alpha.dealers[0].pk, group_by=["customer"])
    assert [(r["by_account"], r["attempts"]) for r in rows if r["attempts"]] == [("C001", len(first))]
    names = {c["name"] for c in made.columns}
    assert "retail" in names
    assert not names & {"cost", "margin", "margin_percent", "by_carrier"}
    assert made.tie_outs == []
    with pytest.raises(NotAllowed):
        asked(world, "usage", Role.VIEWER)
    with pytest.raises(NotAllowed):
        asked(world, "margin", Role.DEALER, world.alpha.dealers[0].pk)


def test_the_number_of_queries_does_not_follow_the_rows(world: World) -> None:
    make_calls(world, seed=1, count=5)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as seen:
            asked(world, "margin", group_by=["day", "customer", "class"])
        counts.append(len(seen))
        with enter(world.alpha.scope()):
            more = [
                a_call(c, f"2026-03-{n:02} 09:00", "1") for c in world.alpha.customers for n in range(1, 29)
            ]
            rate_batch(world.alpha.reseller, *more)
    assert counts[0] == counts[1]


def test_a_fall_of_minutes_is_shown_with_its_sign() -> None:
    assert Minutes(name="x").display({"x": -91}) == "\N{MINUS SIGN}0:01:31"
    assert Minutes(name="x").display({"x": 3_600}) == "1:00:00"
