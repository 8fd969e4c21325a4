"""The Line-count watch against plain Python over random numbers, against the KPIs, and its signals one by one."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Customer, Number, NumberAssignment
from kpis.kpi import KPIS
from kpis.reading import live
from kpis.snapshots import refresh
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, rate_batch
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
Held = list[tuple[str, date, date | None]]


@pytest.fixture
def world() -> World:
    return make_world()


def make_numbers(world: World, seed: int, people: int = 5) -> Held:
    """Give random customers random numbers over two years; return who had one from when to when."""
    chance = random.Random(seed)
    house, found = world.alpha, []
    own = {"reseller": house.reseller}
    with enter(house.scope()):
        NumberAssignment.objects.all().delete()
        for n in range(people):
            customer = Customer.objects.create(
                **own, code=f"R{n}", name=f"Random {n}", status="active", dealer=house.dealers[n % 2]
            )
            for m in range(6):
                start = date(2024, 11, 1) + timedelta(days=chance.randrange(740))
                end = start + timedelta(days=chance.randrange(5, 400)) if chance.random() < 0.7 else None
                number = Number.objects.create(**own, number=f"0555{seed}{n:02}{m}")
                NumberAssignment.objects.create(
                    **own, number=number, customer=customer, start_date=start, end_date=end
                )
                found.append((customer.code, start, end))
    return found


def asked(
    world: World, day: str = "", dealer: int | None = None, **more: list[str]
) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report as of a day (today when empty) and return the run with its rows."""
    role = Role.DEALER if dealer else Role.OWNER
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        made = run(REPORTS.get("line-count-watch"), {"on": [day], **more}, now=NOW)
        return made, list(Showing(made).rows())


def at(held: Held, who: str, day: date) -> int:
    """Count a customer's numbers at the end of a day."""
    return sum(code == who and start <= day and (end is None or end > day) for code, start, end in held)


def moves(held: Held, who: str, day: date, months: int) -> tuple[int, int]:
    """Count the numbers that a customer has at a close and had not at the one before, and the other way round."""
    added = removed = 0
    for n in range(months):
        first = add_months(day.replace(day=1), -n)
        close, past = min(add_months(first, 1) - timedelta(days=1), day), first - timedelta(days=1)
        for code, start, end in held:
            had = start <= past and (end is None or end > past)
            has = start <= close and (end is None or end > close)
            added += code == who and has and not had
            removed += code == who and had and not has
    return added, removed


@pytest.mark.parametrize("day", [date(2026, 11, 22), date(2026, 10, 31), date(2026, 9, 9)])
@pytest.mark.parametrize("kept", [False, True])
def test_numbers_are_counted_as_they_come_and_go(world: World, day: date, *, kept: bool) -> None:
    held = make_numbers(world, day.day)
    if kept:
        with enter(world.alpha.scope()):
            refresh(world.alpha.reseller, now=NOW)
    made, rows = asked(world, "" if day == date(2026, 11, 22) else day.isoformat())
    told = {r["code"]: r for r in rows if r["code"].startswith("R")}
    for who in {code for code, _, _ in held}:
        spans = [moves(held, who, day, span) for span in (3, 6, 12)]
        past = at(held, who, add_months(day.replace(day=1), -11) - timedelta(days=1))
        wanted = (at(held, who, day), past, *(n for span in spans for n in span))
        if not any(wanted):
            continue
        names = ("numbers", "numbers_past", *(f"{n}_{s}" for s in (3, 6, 12) for n in ("added", "removed")))
        assert tuple(told[who][n] for n in names) == wanted
        assert wanted[0] == past + spans[2][0] - spans[2][1]
    assert [(t["name"], t["ok"]) for t in made.tie_outs] == [("Numbers against the book", True)]


def test_signals_and_mrr_at_risk_are_those_of_the_kpis(world: World) -> None:
    make_numbers(world, 7, people=12)
    _, rows = asked(world)
    with enter(world.alpha.scope()):
        kpis = [
            KPIS.get(slug) for slug in ("declining_customers", "at_risk_mrr", "number_utilisation", "mrr")
        ]
        points = live(kpis, world.alpha.reseller, world.alpha.scope(), [date(2026, 11, 1)], NOW)
    figures = {
        slug: next(
            ((p.numerator or 0, p.denominator or 0) for p in found if p.currency in ("", "GBP")), (0, 0)
        )
        for slug, found in points.items()
    }
    reducing = [r for r in rows if "Quietly reducing" in r["signals"]]
    assert len(reducing) == figures["declining_customers"][0] > 0
    assert sum(r["at_risk"] for r in rows) == figures["at_risk_mrr"][0]
    assert sum(r["mrr"] for r in rows) == figures["mrr"][0]
    used, held = figures["number_utilisation"]
    assert sum(r["quiet"] for r in rows) == held - used
    _, grouped = asked(world, group_by=["dealer"])
    assert sum(r["reducing"] for r in grouped) == len(reducing)
    assert sum(r["customers"] for r in grouped) == len(rows)
    _, own = asked(world, dealer=world.alpha.dealers[0].pk, signal=["reducing"])
    assert [r["code"] for r in own] == [r["code"] for r in reducing if r["dealer"] == "Alpha Dealer 1"]


def test_silence_and_falling_usage_are_told_and_asked_for(world: World) -> None:
    house = world.alpha
    first, second, third = house.customers
    with enter(house.scope()):
        calls = [
            a_call(first, f"2026-{m:02}-05 10:00", "0.10", number_id=house.numbers[0].pk)
            for m in range(5, 11)
        ]
        calls += [
            a_call(second, f"2026-0{m}-05 10:00", "0.10", number_id=house.numbers[1].pk) for m in (5, 5, 6, 8)
        ]
        calls += [a_call(second, "2026-09-05 10:00", "0.10", number_id=house.numbers[1].pk)]
        rate_batch(house.reseller, *calls)
    _, rows = asked(world)
    told = {r["code"]: (r["signals"], r["quiet"], r["calls"], r["calls_past"]) for r in rows}
    assert told == {
        "C001": ("", 0, 3, 3),
        "C002": ("Usage falling", 0, 2, 3),
        "C003": ("Silent", 1, 0, 0),
    }
    _, silent = asked(world, signal=["silent"])
    assert [r["code"] for r in silent] == ["C003"]
    _, changed = asked(world, changed=["3"])
    assert changed == []


def test_queries_do_not_follow_rows(world: World) -> None:
    counts = []
    for size in (2, 20):
        make_numbers(world, size, people=0)
        with enter(world.alpha.scope()):
            for n in range(size):
                customer = Customer.objects.create(
                    reseller=world.alpha.reseller, code=f"Q{size}{n}", name=f"Q {n}", status="active"
                )
                number = Number.objects.create(reseller=world.alpha.reseller, number=f"0777{size}{n:02}")
                NumberAssignment.objects.create(
                    reseller=world.alpha.reseller,
                    number=number,
                    customer=customer,
                    start_date=date(2026, 1, 1),
                )
        with CaptureQueriesContext(connection) as seen:
            _, rows = asked(world, group_by=["customer"])
        assert len(rows) >= size
        counts.append(len(seen))
    assert counts[0] == counts[1]
