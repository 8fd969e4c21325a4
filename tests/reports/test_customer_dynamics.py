"""Customer Dynamics: against the KPIs of whole months, a naive oracle for other intervals, and its own identities."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings

from billing.models import Charge, ExchangeRate, Feature, LedgerEntry, Payment
from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing, total_in_words
from reports.run import BadQuery, NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from resellerkpi.core.sheets import total_cells
from tests.kpis import oracle_more, worlds
from tests.kpis.test_every_kpi import with_world
from tests.reports.bills import NOW
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db
YEAR = {"on_or_after": ["2026-01-01"], "before": ["2027-01-01"]}
SETS = ("active", "overall", "every")
#: Column: KPI of the same figure in whole months.
KPI_OF = {
    "active_qty": "dynamics_active",
    "active_pos": "dynamics_active_positive",
    "active_neg": "dynamics_active_negative",
    "active_balance": "dynamics_active_balance",
    "overall_qty": "dynamics_overall",
    "overall_pos": "dynamics_overall_positive",
    "overall_neg": "dynamics_overall_negative",
    "every_qty": "dynamics_all",
    "every_pos": "dynamics_all_positive",
    "every_neg": "dynamics_all_negative",
    "refills": "dynamics_refills",
    "refilled": "dynamics_refilled",
    "payg": "dynamics_payg",
    "activations": "package_activations",
    "activated": "package_activated",
    "renewals": "package_renewals",
    "renewed": "package_renewed",
}
COUNTS = {"active_qty", "overall_qty", "every_qty", "refills", "activations", "renewals"}


@pytest.fixture
def world() -> World:
    return make_world()


def asked(now: Any = NOW, **params: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report in the scope in force and return the run with its rows."""
    made = run(REPORTS.get("customer-dynamics"), YEAR | params, now=now)
    return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def told(rows: list[dict[str, Any]], by: str, column: str) -> dict[Any, D]:
    """Return a column's figures that are not zero by group and currency; counts over all currencies."""
    found: dict[Any, D] = defaultdict(D)
    for row in rows:
        found[row[by], "" if column in COUNTS else row["currency"]] += row[column]
    return {key: value for key, value in found.items() if value}


def lasting(book: dict[str, Any]) -> None:
    """Make amounts of the ledger that never cancel each other: a balance of nought hides a customer from KPIs."""
    for c in book["customers"]:
        c["ledger"] = [(d, k, a + 1000 * 2**n) for n, (d, k, a) in enumerate(c["ledger"])]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_whole_months_are_the_kpis(book: dict[str, Any]) -> None:
    lasting(book)

    def check(house: Reseller) -> None:
        points = live(
            [KPIS.get(k) for k in KPI_OF.values()], house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW
        )
        with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
            _, rows = asked(worlds.NOW, duration=["1"])
        for column, slug in KPI_OF.items():
            kpi = {(p.month, p.currency): p.value for p in points[slug] if p.value}
            assert told(rows, "by_month", column) == kpi, column
        identities(rows)

    with_world(book, check)


def identities(rows: list[dict[str, Any]]) -> None:
    """Check what holds in every row."""
    for row in rows:
        for name in SETS:
            assert row[f"{name}_pos"] + row[f"{name}_neg"] == row[f"{name}_balance"]
            assert row[f"{name}_pos"] >= 0 >= row[f"{name}_neg"]
        assert row["every_qty"] >= row["overall_qty"] >= row["active_qty"]
        assert row["every_pos"] >= row["overall_pos"] >= row["active_pos"]


def oracle(book: dict[str, Any], lines: list[tuple[date, date, date]]) -> Iterator[tuple[Any, str, str, D]]:
    """Yield (first day and client type, currency, column, amount) of a book, customer by customer."""
    for c in book["customers"]:
        if c["is_test"]:
            continue
        paid = [d for d, k, a, _ in c["charges"] if k in ("recurring", "one_off") and a > 0]
        paid += [d for _, d, retail, _ in c["calls"] if D(retail) > 0]
        for first, close, since in lines:
            place, money = (first, c["client_type"]), c["currency"]
            overall = any(d <= close for d in paid)
            active = any(since <= d <= close for d in paid)
            balance = sum(
                ((-a if k in ("invoice", "refund") else a) for d, k, a in c["ledger"] if d <= close), D(0)
            )
            for name, is_in in (("active", active), ("overall", overall)):
                yield place, "", f"{name}_qty", D(is_in)
                yield place, money, f"{name}_pos", max(balance, D(0)) * is_in
                yield place, money, f"{name}_neg", min(balance, D(0)) * is_in
            for _, currency, amount, start, end in oracle_more.all_payments(c):
                yield place, "", "refills", D(first <= start <= close)
                back = bool(end and first <= end <= close)
                yield place, currency, "refilled", amount * (first <= start <= close) - amount * back
            for _, day, retail, _ in c["calls"]:
                yield place, money, "payg", D(retail) * (first <= day <= close)
            for day, kind, amount, what in c["charges"]:
                if kind != "credit" and first <= day <= close and what:
                    yield place, "", {"activation": "activations", "renewal": "renewals"}[what], D(1)
                    yield place, money, {"activation": "activated", "renewal": "renewed"}[what], amount


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_any_interval_is_the_naive_sum(book: dict[str, Any]) -> None:
    # given lines clipped at both ends: 10 Feb to 28 Feb, March, 1 Apr to 20 Apr, two months of active duration
    edges = [date(2026, 2, 10), date(2026, 3, 1), date(2026, 4, 1), date(2026, 4, 21)]
    pairs = zip(edges, edges[1:], strict=False)
    lines = [(a, b - timedelta(days=1), add_months(b, -2)) for a, b in pairs]

    def check(house: Reseller) -> None:
        with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
            _, rows = asked(
                worlds.NOW,
                on_or_after=["2026-02-10"],
                before=["2026-04-21"],
                group_by=["month", "client_type"],
                duration=["2"],
            )
        expected: dict[str, dict[Any, D]] = defaultdict(lambda: defaultdict(D))
        for place, currency, column, amount in oracle(book, lines):
            expected[column][place[0].replace(day=1), place[1], currency] += amount
        for column in KPI_OF:
            if column.startswith("every") or column == "active_balance":
                continue
            found: dict[Any, D] = defaultdict(D)
            for row in rows:
                code = "" if column in COUNTS else row["currency"]
                found[row["by_month"], row["by_client_type"], code] += row[column]
            assert {k: v for k, v in found.items() if v} == {k: v for k, v in expected[column].items() if v}
        identities(rows)

    with_world(book, check)


def pay(world: World, n: int, amount: str, day: date, reversed_on: date | None = None) -> None:
    """Write a payment of a customer and its entries in the ledger."""
    own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[n], "currency": "GBP"}
    with enter(world.alpha.scope()):
        made = Payment.objects.create(
            **own, method="card", received_date=day, amount=D(amount), reversed_date=reversed_on
        )
        LedgerEntry.objects.create(
            **own, date=day, kind="payment", amount=-D(amount), source_key=f"p{made.pk}", payment=made
        )
        if reversed_on:
            LedgerEntry.objects.create(
                **own, date=reversed_on, kind="reversal", amount=D(amount), source_key=f"r{made.pk}"
            )


def package(world: World, n: int, start: date, end: date | None, months: list[date], fee: str = "0") -> None:
    """Give a customer the package: its activation, then a renewal in each month."""
    own = {"reseller": world.alpha.reseller, "customer": world.alpha.customers[n]}
    with enter(world.alpha.scope()):
        held = Feature.objects.create(**own, feature_type=world.alpha.package, start_date=start, end_date=end)
        for at, (day, amount, first) in enumerate(
            [(start, fee, True), *((m, "20.00", False) for m in months)]
        ):
            Charge.objects.create(
                **own,
                feature=held,
                kind="one_off" if first else "recurring",
                description="Package",
                source_key=f"feature:{held.pk}:{at}",
                service_start=day,
                service_end=day,
                bill_date=day,
                amount=D(amount),
                currency="GBP",
                is_activation=first,
                is_renewal=not first,
            )


def test_reversed_refills_lower_the_total_not_the_number(world: World) -> None:
    pay(world, 0, "50.00", date(2026, 9, 5), date(2026, 10, 2))
    pay(world, 0, "30.00", date(2026, 10, 7))
    with enter(world.alpha.scope()):
        made, rows = asked()
        average = {c.name: c for c in Showing(made).columns}["refill_average"]
    shown = {r["by_month"].month: (r["refills"], r["refilled"], average.display(r)) for r in rows}
    assert shown[9] == (1, D("50.00"), "50.00")
    assert shown[10] == (1, D("-20.00"), "\N{MINUS SIGN}20.00")
    assert shown[8] == (0, D(0), "\N{EN DASH}")
    assert [(t["name"], t["ours"], t["ok"]) for t in made.tie_outs] == [
        ("Balance refill against the ledger", "30.00", True)
    ]
    assert (made.data_from, made.data_to) == (date(2026, 9, 5), date(2026, 10, 7))


def test_a_closed_system_renews_at_least_as_often_as_it_activates(world: World) -> None:
    package(world, 0, date(2026, 8, 3), None, [date(2026, 8, 3), date(2026, 9, 1)], "5.00")
    package(world, 1, date(2026, 9, 9), date(2026, 9, 30), [date(2026, 9, 9)])
    with enter(world.alpha.scope()):
        made, rows = asked(duration=["1"])
    figures = {
        r["by_month"].month: [r[c] for c in ("activations", "activated", "renewals", "renewed")] for r in rows
    }
    assert figures[8] == [1, D("5.00"), 1, D("20.00")]
    assert figures[9] == [1, D("0.00"), 2, D("40.00")]
    assert [(r["by_month"].month, r["active_qty"]) for r in rows if r["active_qty"]] == [(8, 1), (9, 2)]
    assert {r["overall_qty"] for r in rows if r["by_month"].month >= 9} == {2}
    total = made.totals[0]
    assert total["renewals"] >= total["activations"] == 2
    assert "active_qty" not in total


def test_a_package_filters_and_groups(world: World) -> None:
    package(world, 0, date(2026, 8, 3), None, [date(2026, 8, 3), date(2026, 9, 1)], "5.00")
    package(world, 1, date(2026, 9, 9), date(2026, 9, 30), [date(2026, 9, 9)])
    pay(world, 0, "10.00", date(2026, 9, 5))
    pay(world, 2, "99.00", date(2026, 9, 5))
    kind = world.alpha.package
    assert kind is not None
    with enter(world.alpha.scope()):
        Feature.objects.filter(start_date__lt=date(2026, 8, 1)).update(end_date=date(2026, 2, 1))
    autumn = {"on_or_after": ["2026-09-01"], "before": ["2026-11-01"]}
    with enter(world.alpha.scope()):
        _, narrowed = asked(**autumn, package=[kind.code])
        _, grouped = asked(**autumn, group_by=["month", "package"])
    # then only the holder at each line's end counts; the other's package ended on 30 September
    assert [r["every_qty"] for r in narrowed] == [1, 1]
    assert narrowed[0]["refilled"] == D("10.00")
    named = {(r["by_month"].month, r["by_package"]): r for r in grouped}
    assert named[9, kind.name]["every_qty"] == 1
    assert named[9, kind.name]["renewals"] == 2
    assert named[9, ""]["every_qty"] == 2
    assert "refilled" not in grouped[0]


def test_amounts_convert_at_the_rate_of_their_own_day(world: World) -> None:
    pay(world, 0, "85.00", date(2026, 9, 5))
    pay(world, 0, "80.00", date(2026, 9, 20))
    with enter(world.alpha.scope()):
        for day, rate in ((date(2026, 9, 4), "0.85"), (date(2026, 9, 18), "0.80")):
            ExchangeRate.objects.create(
                reseller=world.alpha.reseller, base="EUR", currency="GBP", date=day, rate=D(rate)
            )
        made, rows = asked(on_or_after=["2026-09-01"], before=["2026-10-01"], currency=["EUR"])
    assert [(r["currency"], r["refilled"]) for r in rows] == [("EUR", D("200.00"))]
    assert rows[0]["every_pos"] == D("206.25")
    assert rows[0]["fx_last"] == date(2026, 9, 18)
    assert made.tie_outs == []


@pytest.mark.parametrize(("value", "words"), [("0", "greater than or equal to 1"), ("x", "whole number")])
def test_an_active_duration_of_nought_is_refused(world: World, value: str, words: str) -> None:
    with enter(world.alpha.scope()), pytest.raises(BadQuery, match=words):
        asked(duration=[value])


def test_it_stays_in_its_scope_and_asks_no_more_for_more(world: World) -> None:
    pay(world, 0, "10.00", date(2026, 9, 5))
    pay(world, 1, "20.00", date(2026, 9, 5))
    with enter(
        Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=world.alpha.dealers[0].pk, why="test")
    ):
        _, own = asked(group_by=["customer"])
    assert [(r["by_account"], r["refilled"]) for r in own] == [("C001", D("10.00"))]
    with enter(world.alpha.scope(Role.SUPPORT)), pytest.raises(NotAllowed):
        asked()
    with enter(world.alpha.scope()):
        with CaptureQueriesContext(connection) as few:
            _, rows = asked(group_by=["month"])
        with CaptureQueriesContext(connection) as many:
            _, more = asked(group_by=["day", "customer"])
    assert CANARY not in str(more)
    assert len(more) > len(rows)
    assert len(many) == len(few)


def test_levels_of_several_months_have_no_total_and_no_change_of_it(world: World) -> None:
    pay(world, 0, "10.00", date(2026, 9, 5))
    pay(world, 1, "30.00", date(2026, 10, 5))
    two = {"on_or_after": ["2026-09-01"], "before": ["2026-11-01"], "duration": ["1"]}
    with enter(world.alpha.scope()):
        made, rows = asked(**two, compare=["previous"])
        showing = Showing(made)
        total = next(t for t in showing.totals if t["currency"] == "GBP")
    columns = {c.name: c for c in showing.columns}
    # a row still says how its level moved
    september = next(r for r in rows if r["by_month"] == date(2026, 9, 1) and r["currency"] == "GBP")
    assert (september["every_pos"], september["every_pos_before"]) == (D("10.00"), D(0))
    # the months' balances are not added up, nor is their change; what flowed in them is
    told_of = dict(zip(columns, total_cells(showing.columns, total), strict=True))
    silent = [f"every_pos{end}" for end in ("", "_before", "_change", "_growth")]
    assert [told_of[name] for name in silent] == [None] * 4
    assert not {*silent} & {*total}
    assert (told_of["refilled"], told_of["refilled_change"]) == (D("40.00"), D("40.00"))
    assert "positive" not in total_in_words(showing.columns, total).lower()


def test_clients_active_in_an_open_quarter_or_year_are_those_of_its_open_month(world: World) -> None:
    package(world, 0, date(2026, 1, 1), None, [date(2026, 11, 5)])
    with enter(world.alpha.scope()):
        told_of = {}
        for grain in ("month", "quarter", "year"):
            _, rows = asked(group_by=[grain], duration=["1"])
            told_of[grain] = [r["active_qty"] for r in rows if r["currency"] == "GBP"][-1]
    assert told_of == {"month": 1, "quarter": 1, "year": 1}
