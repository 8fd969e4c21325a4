"""Payments: each output, each filter, what a day after the report's day may not change, against sums in Python."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings

from billing.models import Allocation, Customer, ExchangeRate, Invoice, LedgerEntry, Payment
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
AUTUMN = {"on_or_after": ["2026-09-01"], "before": ["2026-12-01"]}


def pay(world: World, n: int, amount: str, day: date, **more: Any) -> Payment:
    """Write a payment and its entry in the ledger."""
    own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[n], "currency": "GBP"}
    made = Payment.objects.create(
        **own, **({"method": "card", "reference": f"P{amount}"} | more), received_date=day, amount=D(amount)
    )
    LedgerEntry.objects.create(
        **own, date=day, kind="payment", amount=-D(amount), source_key=f"p{made.pk}", payment=made
    )
    if made.reversed_date:
        LedgerEntry.objects.create(
            **own,
            date=made.reversed_date,
            kind="reversal",
            amount=D(amount),
            source_key=f"r{made.pk}",
            payment=made,
        )
    return made


@pytest.fixture
def world() -> World:
    """Give four payments: 100.00 of which 60.00 settles, 40.00 taken back, 25.00 taken back later, 10.00 loose."""
    made = make_world()
    bills = [Bill("A-0001", made.alpha.customers[0], date(2026, 9, 1))]
    make_bills(made.alpha, *bills)
    with enter(made.alpha.scope()):
        first = pay(made, 0, "100.00", date(2026, 9, 20))
        invoice = Invoice.objects.get(number="A-0001")
        own = {"reseller": made.alpha.reseller, "invoice": invoice}
        Allocation.objects.create(**own, payment=first, date=date(2026, 9, 20), amount=D("60.00"))
        returned = {"method": "direct_debit", "reversal_code": "0"}
        pay(made, 1, "40.00", date(2026, 10, 5), reversed_date=date(2026, 10, 8), **returned)
        pay(made, 0, "25.00", date(2026, 11, 10), reversed_date=date(2026, 11, 25), **returned)
        pay(made, 2, "10.00", date(2026, 11, 20))
        pay(made, 2, "99.00", date(2026, 11, 26))  # after the day of the report
    return made


def asked(now: datetime = NOW, **params: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report in the scope in force and return the run with its rows."""
    made = run(REPORTS.get("payments"), AUTUMN | params, now=now)
    return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def test_a_payment_has_a_line_with_what_became_of_it(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked()
        why = {c.name: c for c in Showing(made).columns}["reversal_code"]
    figures = ("amount", "allocated", "on_account", "reversed", "kept")
    assert [[r["reference"], *(str(r[name]) for name in figures)] for r in rows] == [
        ["P100.00", "100.00", "60.00", "40.00", "0.00", "100.00"],
        ["P40.00", "40.00", "0.00", "0.00", "40.00", "0.00"],
        ["P25.00", "25.00", "0.00", "25.00", "0.00", "25.00"],
        ["P10.00", "10.00", "0.00", "10.00", "0.00", "10.00"],
    ]
    assert [why.display(r) for r in rows[:2]] == ["\N{EN DASH}", "Refer to payer"]
    assert (made.totals[0]["rows"], made.totals[0]["amount"], made.totals[0]["kept"]) == (
        4,
        "175.00",
        "135.00",
    )
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("175.00", "175.00", True)]


def test_a_reversal_after_the_day_is_not_looked_at(world: World) -> None:
    with enter(world.alpha.scope()):
        found = {
            day: [r["reference"] for r in asked(datetime(2026, 11, day, 9, tzinfo=UTC), reversed=["yes"])[1]]
            for day in (24, 25)
        }
    assert found == {24: ["P40.00"], 25: ["P40.00", "P25.00"]}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"on_or_after": ["2026-10-05"], "before": ["2026-11-10"]}, ["P40.00"]),
        ({"reversed": ["no"]}, ["P100.00", "P25.00", "P10.00"]),
        ({"reversed_from": ["2026-10-09"]}, ["P25.00"]),
        ({"reversed_before": ["2026-10-09"]}, ["P40.00"]),
        ({"paid_by": ["direct_debit"]}, ["P40.00", "P25.00"]),
        ({"allocation": ["invoice"]}, ["P100.00"]),
        ({"allocation": ["prepayment"]}, ["P100.00", "P25.00", "P10.00"]),
        ({"invoice_from": ["2026-09-01"]}, ["P100.00"]),
        ({"invoice_before": ["2026-09-01"]}, []),
        ({"dealer": ["D1"]}, ["P100.00", "P25.00"]),
        ({"customer": ["C002"]}, ["P40.00"]),
    ],
)
def test_filters(world: World, params: dict[str, list[str]], found: list[str]) -> None:
    with enter(world.alpha.scope()):
        _, rows = asked(**params)
    assert [r["reference"] for r in rows] == found


def test_allocations_name_the_invoice(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(view=["allocation"])
    assert [(r["reference"], r["invoice_number"], r["amount"], r["share"]) for r in rows] == [
        ("P100.00", "A-0001", D("100.00"), D("60.00"))
    ]
    assert made.tie_outs == []


def test_levels_are_groups(world: World) -> None:
    with enter(world.alpha.scope()):
        _, levels = asked(view=["customer"])
        _, types = asked(view=["customer_method"])
        _, chosen = asked(view=["customer"], group_by=["dealer"])
    assert [(r["by_account"], r["payments"], r["amount"]) for r in levels] == [
        ("C001", 2, D("125.00")),
        ("C002", 1, D("40.00")),
        ("C003", 1, D("10.00")),
    ]
    assert [(r["by_account"], r["by_method"], r["amount"]) for r in types][:2] == [
        ("C001", "card", D("100.00")),
        ("C001", "direct_debit", D("25.00")),
    ]
    assert [r["amount"] for r in chosen] == [D("125.00"), D("50.00")]


def test_the_accounts_output_books_receipts_and_reversals(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(view=["accounts"])
    assert [(r["entry"], r["code"], r["date"], r["net"]) for r in rows] == [
        ("receipt", "C001", date(2026, 9, 20), D("100.00")),
        ("receipt", "C002", date(2026, 10, 5), D("40.00")),
        ("receipt", "C001", date(2026, 11, 10), D("25.00")),
        ("receipt", "C003", date(2026, 11, 20), D("10.00")),
        ("reversal", "C002", date(2026, 10, 8), D("-40.00")),
    ]
    assert [(t["ours"], t["ok"]) for t in made.tie_outs] == [("135.00", True)]


@pytest.mark.parametrize("view", ["allocation", "accounts"])
def test_a_list_is_not_grouped(world: World, view: str) -> None:
    with enter(world.alpha.scope()), pytest.raises(BadQuery, match="this output is a list"):
        asked(view=[view], group_by=["month"])


@pytest.mark.parametrize("view", ["payments", "allocation", "customer", "accounts"])
def test_outputs_convert(world: World, view: str) -> None:
    with enter(world.alpha.scope()):
        ExchangeRate.objects.create(
            reseller=world.alpha.reseller, base="EUR", currency="GBP", date=date(2026, 8, 31), rate=D("0.80")
        )
        _, rows = asked(view=[view], currency=["EUR"], customer=["C001"], before=["2026-10-01"])
    name = "net" if view == "accounts" else "amount"
    assert [(r["currency"], r[name]) for r in rows] == [("EUR", D("125.00"))]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_months_are_the_naive_sums_and_the_kpis(book: dict[str, Any]) -> None:
    for account in book["customers"]:
        account["is_test"] = False
    limits = {"on_or_after": ["2026-01-01"], "before": ["2026-05-21"]}

    def check(house: Reseller) -> None:
        points = live([KPIS.get("dynamics_refills")], house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW)
        with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
            _, rows = asked(worlds.NOW, **limits, group_by=["month", "method"])
        expected: dict[Any, D] = {}
        for c in book["customers"]:
            for method, currency, amount, start, end in oracle_more.all_payments(c):
                if worlds.FIRST <= start <= worlds.LAST:
                    key = (start.replace(day=1), method, currency)
                    expected[key] = expected.get(key, D(0)) + amount * (not (end and end <= worlds.LAST))
        assert {(r["by_month"], r["by_method"], r["currency"]): r["kept"] for r in rows} == expected
        counted: dict[date, int] = {}
        for r in rows:
            counted[r["by_month"]] = counted.get(r["by_month"], 0) + r["payments"]
            assert r["amount"] == r["kept"] + r["reversed"]
            assert r["kept"] == r["allocated"] + r["on_account"]
        assert counted == {p.month: p.value for p in points["dynamics_refills"] if p.value}

    with_world(book, check)


def test_it_stays_in_its_scope_and_asks_no_more_for_more(world: World) -> None:
    dealer = world.alpha.dealers[0].pk
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=dealer, why="test")):
        _, own = asked()
    assert [r["reference"] for r in own] == ["P100.00", "P25.00"]
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()
    with enter(world.alpha.scope()):
        with CaptureQueriesContext(connection) as few:
            asked()
        for n in range(20):
            pay(world, n % 3, f"{n + 200}.00", date(2026, 11, 1))
        with CaptureQueriesContext(connection) as many:
            _, rows = asked()
        assert Customer.objects.count() == 3
    assert len(rows) == 24
    assert len(many) == len(few)
    assert CANARY not in str(rows)
