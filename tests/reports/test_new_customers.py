"""New customers: who joined, what came first, what is missing, as of days."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import (
    Customer,
    CustomerEvent,
    Feature,
    Mandate,
    NumberAssignment,
    Payment,
    TariffAssignment,
)
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db


def newcomer(world: World, code: str, joined: date | None, **more: Any) -> Customer:
    """Add a customer that is active from a day; without one it is a prospect."""
    own = {"reseller": world.alpha.reseller}
    made = Customer.objects.create(
        **own,
        **({"email": "a@b.example", "dealer": world.alpha.dealers[0]} | more),
        code=code,
        name=f"New {code}",
    )
    if joined:
        CustomerEvent.objects.create(**own, customer=made, date=joined, status=Customer.Status.ACTIVE)
    return made


@pytest.fixture
def world() -> World:
    """Give one with everything since 5 September, one of 1 October without, a prospect, and an old one."""
    made = make_world()
    own = {"reseller": made.alpha.reseller}
    with enter(made.alpha.scope()):
        whole = newcomer(made, "N001", date(2026, 9, 20), payment_method="direct_debit")
        newcomer(made, "N002", date(2026, 10, 1), payment_method="direct_debit", email="")
        newcomer(made, "N003", None)
        newcomer(made, "N004", date(2026, 8, 22))
        number = made.alpha.numbers[0]
        NumberAssignment.objects.filter(number=number).update(end_date=date(2026, 9, 5))
        NumberAssignment.objects.create(**own, customer=whole, number=number, start_date=date(2026, 9, 5))
        TariffAssignment.objects.create(
            **own, customer=whole, tariff=made.alpha.retail, start_date=date(2026, 9, 5)
        )
        Mandate.objects.create(**own, customer=whole, reference="M1", start_date=date(2026, 9, 6))
        Payment.objects.create(
            **own, customer=whole, method="card", received_date=date(2026, 10, 3), amount=D(5), currency="GBP"
        )
    make_bills(made.alpha, Bill("A-0001", whole, date(2026, 10, 1)), Bill("A-0002", whole, date(2026, 11, 1)))
    return made


def asked(now: datetime = NOW, **params: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report in the scope in force and return the run with its rows."""
    made = run(REPORTS.get("new-customers"), params, now=now)
    return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def test_who_joined_and_what_is_missing(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(on=["2026-11-22"])
    assert [(r["code"], r["joined"], r["mandate"], r["missing"]) for r in rows] == [
        (
            "N002",
            date(2026, 10, 1),
            "none",
            "E-mail address, number, tariff, Direct Debit mandate, first call, first invoice, first payment",
        ),
        ("N001", date(2026, 9, 5), "held", "First call"),
    ]
    firsts = ("numbers", "first_invoice", "first_amount", "currency", "first_payment")
    assert [rows[1][name] for name in firsts] == [1, date(2026, 10, 1), D("120.00"), "GBP", date(2026, 10, 3)]
    assert (made.data_from, made.data_to) == (date(2026, 9, 5), date(2026, 10, 1))


@pytest.mark.parametrize(
    ("day", "first", "mandate", "paid"),
    [
        ("2026-09-05", None, "none", None),
        ("2026-09-30", None, "held", None),
        ("2026-10-01", date(2026, 10, 1), "held", None),
        ("2026-10-03", date(2026, 10, 1), "held", date(2026, 10, 3)),
    ],
)
def test_what_comes_after_the_day_is_not_looked_at(
    world: World, day: str, first: date | None, mandate: str, paid: date | None
) -> None:
    with enter(world.alpha.scope()):
        _, rows = asked(on=[day], customer=["N001"])
    assert [(r["first_invoice"], r["mandate"], r["first_payment"]) for r in rows] == [(first, mandate, paid)]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"months": ["3"]}, ["N002", "N001"]),
        ({"months": ["4"]}, ["N002", "N001", "N004"]),
        ({"months": ["1"]}, []),
        ({"months": ["2"]}, ["N002"]),
        ({"on": ["2026-09-30"]}, ["N001", "N004"]),
        ({"on": ["2026-11-21"]}, ["N002", "N001", "N004"]),
        ({"method": ["direct_debit"], "months": ["4"]}, ["N002", "N001"]),
    ],
)
def test_filters(world: World, params: dict[str, list[str]], found: list[str]) -> None:
    with enter(world.alpha.scope()):
        assert [r["code"] for r in asked(**{"on": ["2026-11-22"]} | params)[1]] == found


def test_only_those_where_something_is_missing(world: World) -> None:
    with enter(world.alpha.scope()):
        Feature.objects.all().delete()
        _, rows = asked(on=["2026-11-22"], only_missing=["on"], customer=["N002"])
        assert [r["code"] for r in rows] == ["N002"]
        with pytest.raises(BadQuery, match="without groups"):
            asked(only_missing=["on"], group_by=["month"])


def test_groups_count_how_far_they_came(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(on=["2026-11-22"], group_by=["month"])
    names = ("customers", "numbers", "called", "invoiced", "paid")
    assert [(r["by_month"].month, *(r[name] for name in names)) for r in rows] == [
        (9, 1, 1, 0, 1, 1),
        (10, 1, 0, 0, 0, 0),
    ]
    assert made.totals[0]["customers"] == 2


def test_the_account_manager_is_for_those_who_see_people(world: World) -> None:
    dealer = world.alpha.dealers[0].pk
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=dealer, why="test")):
        _, own = asked(on=["2026-11-22"])
    assert [r["code"] for r in own] == ["N002", "N001"]
    assert "manager" not in own[0]
    other = world.alpha.dealers[1].pk
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=other, why="test")):
        assert asked(on=["2026-11-22"])[1] == []
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()


def test_queries_do_not_grow_with_rows(world: World) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with enter(world.alpha.scope()):
        with CaptureQueriesContext(connection) as few:
            asked(now)
        for n in range(12):
            newcomer(world, f"X{n:03}", date(2026, 11, 1 + n))
        with CaptureQueriesContext(connection) as many:
            _, rows = asked(now)
    assert len(rows) == 14
    assert len(many) == len(few)
    assert CANARY not in str(rows)
