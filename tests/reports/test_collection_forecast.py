"""Collections, forecast and actual: by hand, and the KPIs' own figures by month and method."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from kpis.kpi import KPIS
from kpis.reading import live
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_refresh import account
from tests.kpis.test_published_more import bill

pytestmark = pytest.mark.django_db
SPAN = {"on_or_after": ["2026-01-01"], "before": ["2026-06-01"]}
Rows = list[dict[str, Any]]


@pytest.fixture
def house() -> Reseller:
    """A cheque of 100.00 due on 20 April of which 60.00 came on the 25th, and payers by transfer and direct debit."""
    cheque = bill(date(2026, 3, 21), 100) | {"paid": [(35, "0.60", None)]}
    old = bill(date(2026, 1, 1), 200, terms=40) | {"paid": [(10, "0.50", None), (50, "0.30", 60)]}
    later = bill(date(2026, 2, 20), 90) | {"paid": [(20, "1.00", None)]}
    tries = [
        (date(2026, 2, d), "failed" if d == 4 else "paid", "direct_debit", D(9), 1) for d in (1, 2, 3, 4)
    ]
    people = [
        account("C0", payment_method="cheque", invoices=[cheque]),
        account("C1", invoices=[old, later]),
        account(
            "C2",
            payment_method="direct_debit",
            invoices=[bill(date(2026, 3, 2), 80) | {"paid": [(33, "1.00", None)]}],
            attempts=tries,
        ),
    ]
    house = Reseller.objects.create(code="w", name="World")
    with enter(Scope.of(house.pk)):
        worlds.load({"customers": people, "spend": {}}, house)
    return house


def asked(house: Reseller, **more: list[str]) -> tuple[Run, Rows]:
    """Run the report over the first months of the year and return the run with its rows."""
    with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
        made = run(REPORTS.get("collections-forecast"), SPAN | more, now=worlds.NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def test_a_month_and_method_by_hand(house: Reseller) -> None:
    made, rows = asked(house)
    april = {r["by_method"]: r for r in rows if r["by_month"] == date(2026, 4, 1)}
    # nothing is known of cheques, so that all of it is expected, for sure; 60 came of 100
    cheque = {name: april["cheque"][name] for name in ("expected", "low", "high", "came", "difference")}
    assert cheque == {
        "expected": D(100), "low": D(100), "high": D(100), "came": D(60), "difference": D(-40),
    }  # fmt: skip
    with enter(Scope.of(house.pk, role=Role.OWNER, why="test")):
        columns = {c.name: c for c in Showing(made).columns}
    assert columns["error"].display(april["cheque"]) == "66.7\N{NO-BREAK SPACE}%"
    assert columns["bias"].display(april["cheque"]) == "\N{MINUS SIGN}66.7\N{NO-BREAK SPACE}%"
    # three of four first tries were paid: 60 of 80 expected, give or take 1.645 x root(80² x 0.75 x 0.25)
    assert (april["direct_debit"]["expected"], april["direct_debit"]["came"]) == (D(60), D(80))
    assert (april["direct_debit"]["low"], april["direct_debit"]["high"]) == (D("3.02"), D("116.98"))
    # May is not over
    assert {r["by_month"] for r in rows} <= {date(2026, n, 1) for n in (1, 2, 3, 4)}
    assert [n[0] for n in made.notes] == ["Left out"]
    assert [t["ok"] for t in made.tie_outs] == [True]
    total = made.totals[0]
    assert D(total["missed"]) == sum(abs(r["difference"]) for r in rows) > abs(D(total["difference"]))
    assert (total["inside"], total["forecasts"]) == (str(sum(r["inside"] for r in rows)), str(len(rows)))


def test_figures_are_the_kpis_of_each_month_and_method(house: Reseller) -> None:
    months = [date(2025, 12, 1), *worlds.MONTHS]
    for by in ("method", ""):
        _, rows = asked(house, group_by=["month", *([by] if by else [])])
        kpis = [KPIS.get("cash_expected"), KPIS.get("cash_from_debt")]
        with enter(Scope.of(house.pk)) as scope:
            points = live(kpis, house, scope, months, worlds.NOW, by)
        hoped = {(p.key, add_months(p.month, 1)): p.value for p in points["cash_expected"] if p.value}
        came = {(p.key, p.month): p.value for p in points["cash_from_debt"] if p.value}
        for row in rows:
            place = (row.get("by_method") or "", row["by_month"])
            assert row["expected"] == (hoped.pop(place, D(0)) or D(0)).quantize(D("0.01"))
            assert row["came"] == (came.pop(place, D(0)) or D(0))
        over = date(2026, 5, 1)
        assert [place for place in (*hoped, *came) if place[1] < over] == []


def test_a_quarter_adds_its_months_up_and_keeps_their_errors(house: Reseller) -> None:
    _, months = asked(house, group_by=["month"])
    _, quarters = asked(house, group_by=["quarter"])
    first = [r for r in months if r["by_month"] < date(2026, 4, 1)]
    (row,) = [r for r in quarters if r["by_quarter"] == date(2026, 1, 1)]
    for name in ("expected", "came", "difference", "missed", "inside", "forecasts"):
        assert row[name] == sum(r[name] for r in first), name
    empty, rows = asked(house, on_or_after=["2030-01-01"], before=["2030-02-01"])
    assert (rows, empty.totals) == ([], empty.totals)
