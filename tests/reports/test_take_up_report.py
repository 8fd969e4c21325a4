"""Feature take-up against plain Python over random services, and against the KPIs; who has not got a feature."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from billing.models import Customer, Feature, FeatureType, NumberAssignment
from kpis.kpi import KPIS
from kpis.reading import live
from kpis.snapshots import refresh
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
SPAN = {"on_or_after": ["2026-07-01"], "before": ["2026-11-01"]}
LAST = date(2026, 10, 31)
#: Customer, feature, quantity, first day, last day but one.
TAKEN = [
    ("R0", "REC", 2, date(2026, 1, 1), None),
    ("R0", "FAX", 1, date(2026, 9, 5), None),
    ("R1", "REC", 1, date(2026, 8, 1), None),
    ("R2", "REC", 4, date(2026, 1, 1), date(2026, 10, 15)),
    ("R3", "REC", 1, date(2026, 2, 1), None),
]
NUMBERS = {"R0": 1, "R1": 1, "R2": 1}


@pytest.fixture
def world() -> World:
    made = make_world()
    house = made.alpha
    with enter(house.scope()):
        own = {"reseller": house.reseller}
        Feature.objects.all().delete()
        NumberAssignment.objects.all().delete()
        kinds = {
            code: FeatureType.objects.create(**own, code=code, name=f"{code} feature")
            for code in ("REC", "FAX")
        }
        people = {
            f"R{n}": Customer.objects.create(
                **own, code=f"R{n}", name=f"Random {n}", status="active", dealer=house.dealers[n % 2]
            )
            for n in range(4)
        }
        for n, code in enumerate(NUMBERS):
            NumberAssignment.objects.create(
                **own, number=house.numbers[n], customer=people[code], start_date=date(2026, 1, 1)
            )
        for code, kind, quantity, start, end in TAKEN:
            service = {
                "feature_type": kinds[kind],
                "quantity": quantity,
                "start_date": start,
                "end_date": end,
            }
            Feature.objects.create(**own, customer=people[code], **service, price=D("3.50"), cost=D("1.00"))
        refresh(house.reseller, now=NOW)
    return made


def asked(
    world: World, role: Role = Role.OWNER, dealer: int | None = None, **more: list[str]
) -> list[dict[str, Any]]:
    """Run the report over four months and return its rows."""
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        return list(Showing(run(REPORTS.get("take-up"), SPAN | more, now=NOW)).rows())


def held(day: date) -> dict[str, dict[str, int]]:
    """Return who has how many of each feature on a day."""
    found: dict[str, dict[str, int]] = {"REC": {}, "FAX": {}}
    for code, kind, quantity, start, end in TAKEN:
        if start <= day and (end is None or end > day):
            found[kind][code] = found[kind].get(code, 0) + quantity
    return found


def test_take_up_is_of_those_who_have_the_feature_at_the_close(world: World) -> None:
    now, then = held(LAST), held(date(2026, 7, 1) - timedelta(days=1))
    active = {*NUMBERS, *(code for people in now.values() for code in people)}
    expected = {
        kind: (
            len(people),
            round(D(len(people)) / len(active), 6),
            round(D(len(people.keys() & NUMBERS.keys())) / len(NUMBERS), 6),
            sum(people.values()),
            sum(people.values()) - sum(then[kind].values()),
            D("3.50") * sum(people.values()),
            D("2.50") * sum(people.values()),
        )
        for kind, people in now.items()
    }
    names = ("customers", "adoption", "eligible", "quantity", "growth", "mrr", "margin")
    rows = asked(world)
    assert {r["feature_code"]: tuple(r[n] for n in names) for r in rows} == expected
    with enter(world.alpha.scope()):
        kpis = [KPIS.get("feature_take_up"), KPIS.get("feature_take_up_eligible")]
        points = live(kpis, world.alpha.reseller, world.alpha.scope(), [date(2026, 10, 1)], NOW, "feature")
    for kpi, name in zip(kpis, ("adoption", "eligible"), strict=True):
        figures = {p.key: p.value for p in points[kpi.slug] if p.key}
        for r in rows:
            value = figures[r["feature_code"]]
            assert value is not None
            assert round(value, 6) == r[name]


def test_who_has_a_number_but_not_the_feature_is_listed(world: World) -> None:
    assert [r["code"] for r in asked(world, missing=["REC"])] == ["R2"]
    assert [r["code"] for r in asked(world, missing=["FAX"])] == ["R1", "R2"]
    dealer = world.alpha.dealers[0].pk
    assert [r["code"] for r in asked(world, Role.DEALER, dealer, missing=["FAX"])] == ["R2"]
    assert "margin" not in asked(world, Role.DEALER, dealer)[0]
