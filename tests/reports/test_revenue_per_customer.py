"""Revenue per customer by slice and month: exact on a small world, and the KPI's own figures."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Customer, Feature
from kpis.kpi import KPIS
from kpis.labels import labels
from kpis.reading import live
from kpis.snapshots import refresh
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
SPAN = {"on_or_after": ["2026-09-01"], "before": ["2026-12-01"]}
MONTHS = [date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]
SLICES = {"segment": "Segment", "dealer": "Dealer", "client_type": "Client type", "tag": "Tag"}


@pytest.fixture
def world() -> World:
    """A world of two segments; a fourth customer comes in the middle of October."""
    made = make_world()
    first, second, _ = made.alpha.customers
    with enter(made.alpha.scope()):
        Customer.objects.filter(pk=first.pk).update(segment="Large", tags=["gold", "vip"])
        Customer.objects.filter(pk=second.pk).update(tags=["gold"])
        own = {"reseller": made.alpha.reseller}
        fourth = Customer.objects.create(
            **own, code="C004", name="Fourth", status="active", segment="Small business"
        )
        Feature.objects.create(
            **own, customer=fourth, feature_type=made.alpha.package, start_date=date(2026, 10, 15)
        )
        split = (("recurring", "50.00", "0"), ("usage", "25.50", "0"), ("one_off", "4.50", "0"))
        bills = [
            Bill("A-1", first, date(2026, 9, 1)),
            Bill("A-2", first, date(2026, 10, 1), split, credited="12.00"),
            Bill("A-3", second, date(2026, 10, 1), (("recurring", "10.00", "0"),)),
            Bill("A-4", first, date(2026, 11, 1)),
            Bill("A-5", fourth, date(2026, 11, 1), (("recurring", "30.00", "0"),)),
        ]
        make_bills(made.alpha, *bills)
    return made


def asked(world: World, *, dealer: int | None = None, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report over three months and return the run with its rows."""
    role = Role.DEALER if dealer else Role.OWNER
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        made = run(REPORTS.get("revenue-per-customer"), SPAN | more, now=NOW)
        return made, list(Showing(made).rows())


def test_revenue_is_divided_by_the_mean_of_both_closes(world: World) -> None:
    made, rows = asked(world)
    told = {(r["by_month"].month, r["by_segment"]): (r["revenue"], r["customers"]) for r in rows}
    base = {key: customers for key, (_, customers) in told.items()}
    assert {key: revenue for key, (revenue, _) in told.items() if revenue} == {
        (9, "Large"): D("100"),
        (10, "Large"): D("63.5"),
        (10, "Small business"): D("10"),
        (11, "Large"): D("100"),
        (11, "Small business"): D("30"),
    }
    assert [base[month, "Large"] for month in (9, 10, 11)] == [1, 1, 1]
    assert [base[month, "Small business"] for month in (9, 10, 11)] == [D(2), D("2.5"), D(3)]
    november = next(r for r in rows if (r["by_month"].month, r["by_segment"]) == (11, "Large"))
    assert november["overall"] == D("32.5")
    assert november["share"] == round(D("100") / D("130"), 6)
    assert [t["ok"] for t in made.tie_outs] == [True]


@pytest.mark.parametrize("slug", SLICES)
@pytest.mark.parametrize("kept", [False, True])
def test_the_report_is_the_kpi_of_the_same_month_and_slice(world: World, slug: str, *, kept: bool) -> None:
    house, kpi = world.alpha.reseller, KPIS.get("arpu")
    with enter(world.alpha.scope()):
        if kept:
            refresh(house, now=NOW)
        points = live([kpi], house, world.alpha.scope(), MONTHS, NOW, slug)["arpu"]
        names = labels(slug, {p.key for p in points})
    wanted = {
        (p.month, names[p.key], p.currency): (p.numerator, p.denominator)
        for p in points
        if p.numerator or p.denominator
    }
    _, rows = asked(world, group_by=["month", slug])
    assert len(wanted) > 2
    assert {
        (r["by_month"], r[f"by_{slug}"], r["currency"]): (r["revenue"], r["customers"]) for r in rows
    } == wanted


def test_a_quarter_divides_sums_and_filters_narrow_both_sides(world: World) -> None:
    _, rows = asked(world, group_by=["quarter"], customer=["C001"])
    assert [(r["by_quarter"], r["revenue"], r["customers"]) for r in rows] == [
        (date(2026, 7, 1), D("100"), D(1)),
        (date(2026, 10, 1), D("163.5"), D(2)),
    ]
    _, own = asked(world, group_by=["month"], dealer=world.alpha.dealers[0].pk)
    assert [r["revenue"] for r in own] == [D("100"), D("63.5"), D("100")]
    _, since = asked(world, group_by=["month", "segment"], compare=["month"])
    large = {r["by_month"].month: r for r in since if r["by_segment"] == "Large"}
    assert (large[11]["revenue"], large[11]["revenue_before"]) == (D("100"), D("63.5"))


def test_two_slices_are_refused_and_queries_do_not_follow_rows(world: World) -> None:
    with pytest.raises(BadQuery, match="one thing of customers"):
        asked(world, group_by=["segment", "dealer"])
    counts = []
    for size in (0, 30):
        with enter(world.alpha.scope()):
            for n in range(size):
                Customer.objects.create(
                    reseller=world.alpha.reseller,
                    code=f"N{n}",
                    name=f"New {n}",
                    status="active",
                    segment=f"S{n}",
                )
        with CaptureQueriesContext(connection) as seen:
            asked(world)
        counts.append(len(seen))
    assert counts[0] == counts[1]
