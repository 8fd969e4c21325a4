"""MRR movements and cohort retention against plain Python over random services, and against the KPIs."""

import random
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from billing.models import Customer, Feature
from kpis.facts import months_between
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
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
SPAN = {"on_or_after": ["2026-01-01"], "before": ["2026-11-01"]}
MONTHS = months_between(date(2026, 1, 1), date(2026, 10, 1))
MOVES = ("new", "back", "more", "less", "gone")
Service = tuple[str, D, date, date | None]
Rows = list[dict[str, Any]]


@pytest.fixture
def world() -> World:
    return make_world()


def make_services(world: World, seed: int) -> list[Service]:
    """Put random services in the place of the world's, three of each of eight customers; return them."""
    chance = random.Random(seed)
    found: list[Service] = []
    house = world.alpha
    with enter(house.scope()):
        own = {"reseller": house.reseller}
        Feature.objects.all().delete()
        for n in range(8):
            customer = Customer.objects.create(
                **own, code=f"R{n}", name=f"Random {n}", status="active", dealer=house.dealers[n % 2]
            )
            for _ in range(3):
                start = date(2025, 12, 1) + timedelta(days=chance.randrange(280))
                end = start + timedelta(days=chance.randrange(20, 150)) if chance.random() < 0.6 else None
                price = D(chance.randrange(100, 5000)) / 100
                Feature.objects.create(
                    **own,
                    customer=customer,
                    feature_type=house.package,
                    start_date=start,
                    end_date=end,
                    price=price,
                )
                found.append((customer.code, price, start, end))
        refresh(house.reseller, now=NOW)
    return found


def mrr(services: list[Service], code: str, day: date) -> D:
    """Return a customer's MRR at the close of a day."""
    return sum(
        (p for who, p, start, end in services if who == code and start <= day and (end is None or end > day)),
        D(0),
    )


def close(month: date) -> date:
    """Return the last day of a month."""
    return add_months(month, 1) - timedelta(days=1)


def moved(services: list[Service], code: str, month: date) -> dict[str, D]:
    """Return what a customer's MRR did in a month, from its two closes and all before."""
    past = month - timedelta(days=1)
    was, now = mrr(services, code, past), mrr(services, code, close(month))
    earlier = (add_months(month, -n) - timedelta(days=1) for n in range(12))
    seen = any(mrr(services, code, day) for day in earlier)
    found = dict.fromkeys(MOVES, D(0))
    if was == 0:
        found["back" if seen else "new"] = now
    elif now == 0:
        found["gone"] = -was
    else:
        found["more" if now > was else "less"] = now - was
    return found


def asked(
    world: World, slug: str, role: Role = Role.OWNER, dealer: int | None = None, **more: list[str]
) -> tuple[Run, Rows]:
    """Run a report over the ten months and return the run with its rows."""
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        made = run(REPORTS.get(slug), SPAN | more, now=NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def test_movements_lead_from_opening_to_closing_as_the_services_do(world: World) -> None:
    services = make_services(world, seed=1)
    codes = sorted({s[0] for s in services})
    made, rows = asked(world, "mrr-movements")
    expected = {}
    for month in MONTHS:
        moves = [moved(services, code, month) for code in codes]
        expected[month] = (
            sum((mrr(services, code, month - timedelta(days=1)) for code in codes), D(0)),
            *(sum((m[name] for m in moves), D(0)) for name in MOVES),
            sum((mrr(services, code, close(month)) for code in codes), D(0)),
        )
    assert {r["by_month"]: tuple(r[n] for n in ("opening", *MOVES, "closing")) for r in rows} == expected
    assert all(r["opening"] + r["net"] == r["closing"] for r in rows)
    assert [(t["name"], t["ok"]) for t in made.tie_outs] == [
        ("Opening and movements against the closing", True),
        ("Closing against the features in force", True),
    ]
    assert D(made.tie_outs[0]["ours"]) == expected[MONTHS[-1]][-1]
    with enter(world.alpha.scope()):
        kpis = [
            KPIS.get(f"mrr_{name}") for name in ("new", "reactivation", "expansion", "contraction", "churn")
        ]
        points = live(kpis, world.alpha.reseller, world.alpha.scope(), MONTHS, NOW)
    for kpi, name in zip(kpis, MOVES, strict=True):
        figures = {p.month: p.value for p in points[kpi.slug] if p.value}
        assert figures == {r["by_month"]: abs(r[name]) for r in rows if r[name]}


def test_quarters_and_customers_open_and_close_at_their_own_ends(world: World) -> None:
    services = make_services(world, seed=2)
    _, rows = asked(world, "mrr-movements", group_by=["quarter", "customer"])
    for r in rows:
        first = r["by_quarter"]
        last = min(add_months(first, 2), MONTHS[-1])
        assert r["opening"] == mrr(services, r["by_account"], first - timedelta(days=1))
        assert r["closing"] == mrr(services, r["by_account"], close(last))
        assert r["opening"] + r["net"] == r["closing"]
    _, people = asked(world, "mrr-movements", group_by=["customer"])
    assert {r["by_account"]: r["closing"] for r in people} == {
        r["by_account"]: mrr(services, r["by_account"], close(MONTHS[-1])) for r in people
    }
    _, mine = asked(world, "mrr-movements", Role.DEALER, world.alpha.dealers[0].pk, group_by=["customer"])
    assert {r["by_account"] for r in mine} == {
        r["by_account"] for r in people if int(r["by_account"][1:]) % 2 == 0
    }


def joined(services: list[Service], code: str) -> date:
    """Return the month of a customer's first service."""
    return min(start for who, _, start, _ in services if who == code).replace(day=1)


def test_cohorts_are_followed_month_by_month_and_the_total_divides_sums(world: World) -> None:
    services = make_services(world, seed=3)
    with enter(world.alpha.scope()):
        Customer.objects.filter(code__startswith="C").update(is_test=True)
        refresh(world.alpha.reseller, now=NOW, full=True)
    made, rows = asked(world, "cohorts", months=["6"])
    came: dict[date, list[str]] = {}
    for code in {s[0] for s in services}:
        month = joined(services, code)
        if month in MONTHS and mrr(services, code, close(month)):
            came.setdefault(month, []).append(code)
    assert {r["cohort"]: r["size"] for r in rows} == {month: len(codes) for month, codes in came.items()}
    for r in rows:
        for after in range(1, 7):
            month = add_months(r["cohort"], after)
            left = sum(1 for code in came[r["cohort"]] if mrr(services, code, close(month)))
            told = (r[f"left_{after}"], r[f"of_{after}"])
            assert told == ((left, r["size"]) if month <= MONTHS[-1] else (None, None))
    total = made.totals[0]
    reached = [r for r in rows if add_months(r["cohort"], 3) <= MONTHS[-1]]
    assert (D(total["left_3"]), D(total["of_3"])) == (
        sum(r["left_3"] for r in reached),
        sum(r["size"] for r in reached),
    )
    _, quarters = asked(world, "cohorts", months=["6"], together=["quarter"])
    assert sum(r["size"] for r in quarters) == sum(r["size"] for r in rows)
    _, money = asked(world, "cohorts", what=["mrr"], months=["1"])
    assert sum(r["began"] for r in money) == sum(
        mrr(services, code, close(month)) for month, codes in came.items() for code in codes
    )
