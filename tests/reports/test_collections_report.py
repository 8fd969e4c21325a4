"""Collections: rates from counts, reasons decoded, against a naive oracle and the KPI of first-time success."""

from collections import defaultdict
from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings

from billing.models import Payment, PaymentAttempt
from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_every_kpi import with_world
from tests.reports.bills import NOW
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db
YEAR = {"on_or_after": ["2026-01-01"], "before": ["2027-01-01"]}
PERCENT = "\N{NO-BREAK SPACE}%"


def attempt(world: World, n: int, day: date, outcome: str, amount: str = "10.00", **more: Any) -> None:
    """Write a presentation with its outcome; a paid one becomes a payment."""
    own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[n], "currency": "GBP"}
    method = more.pop("method", "direct_debit")
    payment = None
    if outcome == "paid":
        payment = Payment.objects.create(**own, method=method, received_date=day, amount=D(amount))
    PaymentAttempt.objects.create(
        **own,
        payment=payment,
        method=method,
        submitted_date=day,
        outcome=outcome,
        outcome_date=None if outcome == "pending" else day,
        amount=D(amount),
        **more,
    )


@pytest.fixture
def world() -> World:
    """Give October three first presentations, two paid, one failed and paid at the second; November one failed."""
    made = make_world()
    with enter(made.alpha.scope()):
        attempt(made, 0, date(2026, 10, 2), "paid", "30.00")
        attempt(made, 1, date(2026, 10, 2), "paid", "20.00", method="card")
        attempt(made, 2, date(2026, 10, 3), "failed", "50.00", reason_code="0")
        attempt(made, 2, date(2026, 10, 12), "paid", "50.00", presentation=2)
        attempt(made, 0, date(2026, 11, 2), "failed", "15.00", reason_code="B")
        attempt(made, 1, date(2026, 11, 3), "cancelled", "5.00")
        attempt(made, 1, date(2026, 11, 4), "pending", "6.00")
        attempt(made, 1, date(2026, 11, 23), "failed", "7.00", reason_code="0")
    return made


def asked(now: Any = NOW, **params: list[str]) -> tuple[Run, list[dict[str, Any]], dict[str, Any]]:
    """Run the report in the scope in force and return the run with its rows and columns."""
    made = run(REPORTS.get("collections"), YEAR | params, now=now)
    showing = Showing(made)
    return Run.objects.get(pk=made.pk), list(showing.rows()), {c.name: c for c in showing.columns}


def test_first_time_success_by_month_and_method(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows, columns = asked()
    shown = [
        (
            r["by_month"].month,
            r["by_method"],
            columns["first_success"].display(r),
            columns["success"].display(r),
        )
        for r in rows
    ]
    assert shown == [
        (10, "card", f"100.0{PERCENT}", f"100.0{PERCENT}"),
        (10, "direct_debit", f"50.0{PERCENT}", f"66.7{PERCENT}"),
        (11, "direct_debit", f"0.0{PERCENT}", f"0.0{PERCENT}"),
    ]
    total = made.totals[0]
    assert (total["first_paid"], total["first_tries"], total["cancelled"]) == (2, 4, 1)
    assert (total["collected"], total["returned"], total["presented"]) == ("100.00", "65.00", "165.00")
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("100.00", "100.00", True)]


def test_reasons_are_decoded_with_what_to_do(world: World) -> None:
    with enter(world.alpha.scope()):
        _, rows, columns = asked(group_by=["reason"], outcome=["failed"])
    assert [(r["by_reason"], columns["by_meaning"].display(r), r["failed"]) for r in rows] == [
        ("0", "Refer to payer", 1),
        ("B", "Account closed", 1),
    ]
    assert columns["by_action"].display(rows[0]) == (
        "Present it again when the payer expects it; tell the payer first."
    )


def test_an_outcome_after_the_day_is_not_looked_at(world: World) -> None:
    with enter(world.alpha.scope()):
        before = asked(NOW.replace(day=22))[1][-1]["failed"]
        after = asked(NOW.replace(day=23))[1][-1]["failed"]
    assert (before, after) == (1, 2)


@pytest.mark.parametrize(
    ("params", "tries"),
    [
        ({}, [("1", 4), ("2", 1)]),
        ({"collected_by": ["card"]}, [("1", 1)]),
        ({"outcome": ["failed"]}, [("1", 2)]),
        ({"reason": ["B"]}, [("1", 1)]),
        ({"attempt": ["2"]}, [("2", 1)]),
        ({"dealer": ["D1"]}, [("1", 2)]),
    ],
)
def test_filters_and_tries(world: World, params: dict[str, list[str]], tries: list[tuple[str, int]]) -> None:
    with enter(world.alpha.scope()):
        _, rows, _ = asked(group_by=["attempt"], **params)
    assert [(r["by_attempt"], r["tries"]) for r in rows] == tries


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_months_are_the_naive_counts_and_the_kpi(book: dict[str, Any]) -> None:
    def check(house: Reseller) -> None:
        points = live(
            [KPIS.get("payment_first_time_success")], house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW
        )
        with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
            _, rows, _ = asked(worlds.NOW, group_by=["month"])
        expected: dict[Any, dict[str, D]] = defaultdict(lambda: defaultdict(D))
        for c in book["customers"]:
            for day, outcome, _, amount, presentation in c["attempts"]:
                if c["is_test"] or outcome == "pending" or not worlds.FIRST <= day <= worlds.LAST:
                    continue
                row = expected[day.replace(day=1), c["currency"]]
                ended = outcome in ("paid", "failed")
                row["tries"] += ended
                row["first_tries"] += ended and presentation == 1
                row["first_paid"] += outcome == "paid" and presentation == 1
                row["collected"] += amount * (outcome == "paid")
                row["returned"] += amount * (outcome == "failed")
        found = {(r["by_month"], r["currency"]): r for r in rows}
        assert set(found) == set(expected)
        for key, figures in expected.items():
            assert {name: found[key][name] for name in figures} == figures
        kpi = {
            p.month: (p.numerator, p.denominator)
            for p in points["payment_first_time_success"]
            if p.denominator
        }
        ours: dict[date, tuple[D, D]] = {}
        for r in rows:
            paid, tries = ours.get(r["by_month"], (D(0), D(0)))
            ours[r["by_month"]] = (paid + r["first_paid"], tries + r["first_tries"])
        assert {month: pair for month, pair in ours.items() if pair[1]} == kpi

    with_world(book, check)


def test_it_stays_in_its_scope_and_asks_no_more_for_more(world: World) -> None:
    dealer = world.alpha.dealers[0].pk
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=dealer, why="test")):
        _, own, _ = asked(group_by=["customer"])
    assert [r["by_account"] for r in own] == ["C001"]
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()
    with enter(world.alpha.scope()):
        with CaptureQueriesContext(connection) as few:
            asked(group_by=["day", "customer"])
        for n in range(20):
            attempt(world, n % 3, date(2026, 9, 1 + n), "paid")
        with CaptureQueriesContext(connection) as many:
            _, rows, _ = asked(group_by=["day", "customer"])
    assert len(many) == len(few)
    assert sum(r["tries"] for r in rows) == 25
    assert CANARY not in str(rows)
