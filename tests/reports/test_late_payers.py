"""Late payers: habits counted by hand, as of days, against the KPI on random books."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings

from billing.models import Allocation, Customer, Invoice, Payment
from kpis.facts import close_of
from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import oracle_more, worlds
from tests.kpis.test_every_kpi import with_world
from tests.reports.bills import NOW, Bill, make_bills
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db


def asked(**params: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report in the scope in force and return the run with its rows."""
    made = run(REPORTS.get("late-payers"), params, now=NOW)
    return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def settle(world: World, number: str, after: int) -> None:
    """Pay an invoice so many days after its date (it is due after 14)."""
    invoice = Invoice.objects.get(number=number)
    day = invoice.invoice_date + timedelta(days=after)
    own = {"reseller": world.alpha.reseller}
    payment = Payment.objects.create(
        **own,
        customer_id=invoice.customer_id,
        method="transfer",
        received_date=day,
        amount=invoice.gross,
        currency="GBP",
    )
    Allocation.objects.create(**own, invoice=invoice, payment=payment, date=day, amount=invoice.gross)


@pytest.fixture
def world() -> World:
    """Give the first customer six bills of which the last three came late, late, not; the second three paid in time."""
    made = make_world()
    first, second, _ = made.alpha.customers
    days = [date(2026, month, 1) for month in range(5, 11)]
    bills = [Bill(f"A-{n}", first, day) for n, day in enumerate(days)]
    make_bills(made.alpha, *bills, *(Bill(f"B-{n}", second, day) for n, day in enumerate(days[3:])))
    with enter(made.alpha.scope()):
        for number, after in (("A-0", 10), ("A-1", 12), ("A-2", 14), ("A-3", 20), ("A-4", 30)):
            settle(made, number, after)
        for n in range(3):
            settle(made, f"B-{n}", 14)
    return made


def test_a_habit_is_two_of_the_last_three(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(on=["2026-11-22"])
    assert [(r["code"], r["invoices"], r["late"], r["overdue"], r["oldest"]) for r in rows] == [
        ("C001", 3, 3, D("120.00"), 38)
    ]
    # then 20, 30 and 52 days so far, against 10, 12 and 14 before
    assert (rows[0]["days"], rows[0]["before"], rows[0]["trend"]) == (D(34), D(12), D(22))
    assert (rows[0]["method"], rows[0]["proposal"]) == ("transfer", "debit")
    assert made.totals[0]["overdue"] == "120.00"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"on": ["2026-10-15"]}, [("C001", 2)]),
        ({"on": ["2026-09-15"]}, []),
        ({"on": ["2026-10-01"]}, [("C001", 2)]),
        ({"on": ["2026-11-22"], "late": ["3"]}, [("C001", 3)]),
        ({"on": ["2026-09-15"], "late": ["1"]}, [("C001", 1)]),
        ({"on": ["2026-11-22"], "dealer": ["D2"]}, []),
    ],
)
def test_as_of_a_day(world: World, params: dict[str, list[str]], found: list[tuple[str, int]]) -> None:
    with enter(world.alpha.scope()):
        assert [(r["code"], r["late"]) for r in asked(**params)[1]] == found


@pytest.mark.parametrize(
    ("method", "terms", "proposal"),
    [
        ("cheque", 14, "Direct Debit instead"),
        ("direct_debit", 30, "Shorter terms, or paid in advance"),
        ("card", 14, "Paid in advance, or a deposit"),
        ("prepaid", 0, "Automatic refill"),
    ],
)
def test_a_proposal_follows_from_how_they_pay(world: World, method: str, terms: int, proposal: str) -> None:
    with enter(world.alpha.scope()):
        Customer.objects.update(payment_method=method, terms_days=terms)
        made, rows = asked(on=["2026-11-22"])
        column = {c.name: c for c in Showing(made).columns}["proposal"]
    assert column.display(rows[0]) == proposal


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_they_are_those_of_the_kpi_and_the_oracle(book: dict[str, Any]) -> None:
    def check(house: Reseller) -> None:
        points = live([KPIS.get("late_payers")], house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW)
        kpi = {p.month: p.value for p in points["late_payers"] if p.value}
        for month in worlds.MONTHS:
            with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
                _, rows = asked(on=[str(close_of(month, worlds.LAST))])
            people = {r["code"] for r in rows}
            real = [c for c in book["customers"] if not c["is_test"]]
            assert people == {c["code"] for c in real if oracle_more.often_late(c, month)}
            assert len(people) == kpi.get(month, 0)

    with_world(book, check)


def test_it_stays_in_its_scope_and_asks_no_more_for_more(world: World) -> None:
    dealer = world.alpha.dealers[1].pk
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=dealer, why="test")):
        _, own = asked(on=["2026-11-22"], late=["1"])
    assert own == []
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()
    with enter(world.alpha.scope()), pytest.raises(BadQuery, match="less than or equal to 3"):
        asked(late=["4"])
    with enter(world.alpha.scope()), CaptureQueriesContext(connection) as few:
        asked(on=["2026-11-22"])
    later = [Bill(f"D-{n}", world.alpha.customers[1 + n % 2], date(2026, 10, 2)) for n in range(8)]
    make_bills(world.alpha, *later)
    with enter(world.alpha.scope()), CaptureQueriesContext(connection) as many:
        _, rows = asked(on=["2026-11-22"])
    assert [r["code"] for r in rows] == ["C002", "C003", "C001"]
    assert len(many) == len(few)
    assert CANARY not in str(rows)
