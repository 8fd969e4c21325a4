"""Outstanding: against the ledger's own ageing on random books, as of any day, tied out with the ledger."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings

from billing.models import Allocation, Customer, ExchangeRate, Invoice, LedgerEntry, Payment
from billing.receivables.ageing import Basis, Bucket, By, aged_debt
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
from tests.kpis import worlds
from tests.kpis.test_every_kpi import with_world
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db
FIGURES = (*map(str, Bucket), "outstanding", "overdue", "disputed")


@pytest.fixture
def world() -> World:
    """Give a book with three invoices of 120.00, 96.00 paid of the first and 70.00 of the third settled."""
    made = make_world()
    three_bills(made.alpha)
    return made


def asked(**params: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report in the scope in force and return the run with its rows."""
    made = run(REPORTS.get("outstanding"), params, now=NOW)
    return Run.objects.get(pk=made.pk), list(Showing(made).rows())


@pytest.mark.parametrize(
    ("by", "basis"), [("customer", Basis.DUE), ("dealer", Basis.INVOICE), ("method", Basis.DUE)]
)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(book=worlds.world())
def test_it_is_the_ledgers_own_ageing(by: str, basis: Basis, book: dict[str, Any]) -> None:
    # given real customers only: test accounts are the ageing's, not the report's
    for account in book["customers"]:
        account["is_test"] = False

    def check(house: Reseller) -> None:
        points = live([KPIS.get("outstanding")], house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW)
        for month in worlds.MONTHS:
            day = close_of(month, worlds.LAST)
            with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
                _, rows = asked(on=[str(day)], group_by=[by], basis=[f"{basis}_date"])
            found: dict[Any, list[D]] = {}
            for row in rows:
                own = [row[name] for name in FIGURES] + [-row["on_account"], row["invoices"]]
                found[row[f"by_{by}"] or "", row["currency"]] = own
            lines = {}
            labels = dict(Customer.Method.choices)
            for line in aged_debt(day, basis=basis, by=By(by)):
                label = next((k for k, v in labels.items() if by == "method" and v == line.label), line.label)
                own = [getattr(line, name) for name in FIGURES] + [line.credit, line.count]
                lines["" if label == "No dealer" else label, line.currency] = own
            assert found == lines
            kpi = {p.currency: p.value for p in points["outstanding"] if p.month == month and p.value}
            total: dict[str, D] = defaultdict(D)
            for row in rows:
                total[row["currency"]] += row["outstanding"]
            assert {k: v for k, v in total.items() if v} == kpi

    with_world(book, check)


def test_a_customer_has_a_line_and_the_ages_add_up(world: World) -> None:
    with enter(world.alpha.scope()):
        made, rows = asked(on=["2026-11-22"])
    shown = [(r["by_account"], r["invoices"], r["not_due"], r["days_1_30"], r["outstanding"]) for r in rows]
    assert shown == [
        ("C001", 1, D("50.00"), D("0.00"), D("50.00")),
        ("C002", 1, D("0.00"), D("120.00"), D("120.00")),
    ]
    assert made.totals[0]["outstanding"] == "170.00"
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("170.00", "336.00", False)]


def test_it_ties_out_with_the_ledger() -> None:
    house = make_world().alpha
    bills = [
        Bill("A-0001", house.customers[0], date(2026, 9, 1)),
        Bill("A-0002", house.customers[1], date(2026, 11, 1)),
    ]
    make_bills(house, *bills)
    with enter(house.scope()):
        tied = [asked(on=[day])[0].tie_outs for day in ("2026-08-31", "2026-10-31", "2026-11-01")]
    assert [[(t["ours"], t["ledger"], t["ok"]) for t in one] for one in tied] == [
        [],
        [("120.00", "120.00", True)],
        [("240.00", "240.00", True)],
    ]


def test_money_after_the_day_is_not_looked_at(world: World) -> None:
    # given a payment of 23 November that settles the second invoice, reversed on the 25th
    with enter(world.alpha.scope()):
        invoice = Invoice.objects.get(number="A-0002")
        own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[1], "currency": "GBP"}
        payment = Payment.objects.create(
            **own,
            method="card",
            received_date=date(2026, 11, 23),
            amount=D("150.00"),
            reversed_date=date(2026, 11, 25),
        )
        Allocation.objects.create(
            reseller=world.alpha.reseller,
            invoice=invoice,
            payment=payment,
            date=date(2026, 11, 23),
            ended_date=date(2026, 11, 25),
            amount=D("120.00"),
        )
        found = {}
        for day in ("2026-10-31", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"):
            rows = [r for r in asked(on=[day])[1] if r["by_account"] == "C002"]
            found[day] = [(r["outstanding"], r["on_account"], r["balance"]) for r in rows]
    owing, settled = [(D("120.00"), D("0.00"), D("120.00"))], [(D("0.00"), D("-30.00"), D("-30.00"))]
    assert found == {
        "2026-10-31": [],
        "2026-11-22": owing,
        "2026-11-23": settled,
        "2026-11-24": settled,
        "2026-11-25": owing,
    }


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["C001", "C002"]),
        ({"invoiced_by": ["2026-11-01"]}, ["C002"]),
        ({"due_by": ["2026-11-15"]}, ["C002"]),
        ({"due_by": ["2026-11-24"]}, ["C001", "C002"]),
        ({"disputed": ["only"]}, ["C001"]),
        ({"disputed": ["without"]}, ["C002"]),
        ({"terms": ["30"]}, []),
        ({"terms": ["14"], "dealer": ["D1"]}, ["C001"]),
        ({"method": ["cheque"]}, []),
    ],
)
def test_filters(world: World, params: dict[str, list[str]], found: list[str]) -> None:
    with enter(world.alpha.scope()):
        Invoice.objects.filter(number="A-0003").update(is_disputed=True)
        made, rows = asked(on=["2026-11-22"], **params)
    assert [r["by_account"] for r in rows] == found
    assert not (made.tie_outs and {"invoiced_by", "due_by", "disputed"} & set(params))


def test_debt_converts_at_the_rate_of_the_day(world: World) -> None:
    make_bills(world.alpha, Bill("A-0009", world.alpha.customers[1], date(2026, 11, 5), currency="EUR"))
    with enter(world.alpha.scope()):
        for day, rate in ((date(2026, 11, 5), "0.50"), (date(2026, 11, 20), "0.85")):
            ExchangeRate.objects.create(
                reseller=world.alpha.reseller, base="EUR", currency="GBP", date=day, rate=D(rate)
            )
        made, rows = asked(on=["2026-11-22"], currency=["GBP"])
    assert [(r["by_account"], r["outstanding"], r["invoices"]) for r in rows] == [
        ("C001", D("50.00"), 1),
        ("C002", D("222.00"), 2),
    ]
    assert rows[1]["fx_last"] == date(2026, 11, 20)
    assert made.tie_outs == []


def test_it_stays_in_its_scope_and_asks_no_more_for_more(world: World) -> None:
    with enter(
        Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=world.alpha.dealers[0].pk, why="test")
    ):
        made, own = asked(on=["2026-11-22"])
    assert [r["by_account"] for r in own] == ["C001"]
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()
    with enter(world.alpha.scope()), CaptureQueriesContext(connection) as few:
        asked(on=["2026-11-22"])
    bills = [
        Bill(f"A-1{n}", world.alpha.customers[n % 3], date(2026, 10, 1) + timedelta(days=n))
        for n in range(20)
    ]
    make_bills(world.alpha, *bills)
    with enter(world.alpha.scope()), CaptureQueriesContext(connection) as many:
        _, rows = asked(on=["2026-11-22"])
    assert len(many) == len(few)
    assert sum(r["invoices"] for r in rows) == 22
    assert CANARY not in str(rows)


def test_the_output_for_accounts_lists_open_documents_that_add_up_to_the_balances(world: World) -> None:
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[1], "currency": "GBP"}
        Payment.objects.create(
            **own, method="card", received_date=date(2026, 11, 20), amount=D("15.00"), reference="EARLY"
        )
        LedgerEntry.objects.create(
            **own, date=date(2026, 11, 20), kind="payment", amount=D("-15.00"), source_key="early"
        )
        whole, balances = asked()
        made, rows = asked(view=["accounts"])
        told = [(r["kind"], r["code"], r["document"], str(r["day"]), r["whole"], r["owed"]) for r in rows]
        assert told == [
            ("invoice", "C001", "A-0003", "2026-11-10", D("120.00"), D("50.00")),
            ("invoice", "C002", "A-0002", "2026-11-01", D("120.00"), D("120.00")),
            ("payment", "C002", "EARLY", "2026-11-20", D("-15.00"), D("-15.00")),
        ]
        assert sum(r["owed"] for r in rows) == sum(r["balance"] for r in balances)
        assert made.tie_outs == whole.tie_outs
        assert [t["ours"] for t in made.tie_outs] == ["155.00"]
        with pytest.raises(BadQuery, match="this output is a list"):
            asked(view=["accounts"], compare=["month"])
        with pytest.raises(BadQuery, match="this output is a list"):
            asked(view=["accounts"], group_by=["dealer"])
