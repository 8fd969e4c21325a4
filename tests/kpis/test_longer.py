"""Figures as of a day gone by and over quarters and years: the naive oracle says the same."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import Observation
from kpis import longer
from kpis.facts import first_month
from kpis.kpi import KPIS, Kpi
from kpis.longer import Way, way
from kpis.reading import Reader
from kpis.series import Point
from kpis.snapshots import refresh
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import (
    oracle,
    oracle_forecast,
    oracle_margin,
    oracle_more,
    oracle_observed,
    oracle_rules,
    oracle_stale,
    oracle_units,
    worlds,
)
from tests.kpis.test_backend import ask, key_for
from tests.kpis.test_every_kpi import BASE, with_world
from tests.kpis.test_kpi_pages import alpha, someone

pytestmark = pytest.mark.django_db


@pytest.fixture
def _noon() -> Any:
    cache.clear()
    with time_machine.travel(worlds.NOW, tick=False):
        yield


SLOW: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
    "phases": [Phase.explicit, Phase.generate],
}
#: All of the oracle: each of its modules knows the months and the last day.
ORACLES = (
    oracle, oracle_forecast, oracle_margin, oracle_more, oracle_observed, oracle_rules, oracle_stale, oracle_units,
)  # fmt: skip
#: KPIs whose sets are compared anew, that the oracle's simplest rules count on any two days.
SETS = (
    "customers_new", "customers_moved_in", "customers_reactivated", "customers_lost", "customers_net",
    "churn_customer", "numbers_added", "numbers_removed", "tenure_lost", "customers_billed",
)  # fmt: skip
Cells = dict[tuple[str, date, str], tuple[Decimal, Decimal | None]]


def told(points: list[Point]) -> Cells:
    """Return points as the oracle's cells, without zero rows."""
    found = {(p.key, p.month, p.currency): (p.numerator or Decimal(0), p.denominator) for p in points}
    return {cell: pair for cell, pair in found.items() if any(pair)}


@settings(max_examples=3, **SLOW)
@given(worlds.world(), st.dates(date(2026, 2, 1), date(2026, 5, 19)), st.booleans())
def test_figures_as_of_a_day_are_those_of_a_book_that_ended_then(
    book: dict[str, Any], day: date, kept: bool
) -> None:
    month = day.replace(day=1)

    def check(house: Reseller) -> None:
        if kept:
            refresh(house, now=worlds.NOW)
        found = Reader(house, Scope.of(house.pk), worlds.NOW, day=day).points(BASE, [month])
        for declared in BASE:
            points = found[declared.slug][""]
            if any("needs_data" in p.marks for p in points):
                continue
            wanted = oracle_rules.expected(declared.slug, book, "")
            assert told(points) == {c: p for c, p in wanted.items() if c[1] == month and any(p)}, (
                declared.slug
            )

    with pytest.MonkeyPatch.context() as patch:
        for module in ORACLES:
            patch.setattr(module, "LAST", day, raising=False)
            patch.setattr(module, "MONTHS", [m for m in worlds.MONTHS if m <= day], raising=False)
        with_world(book, check)


def added(slug: str, book: dict[str, Any], dimension: str, starts: dict[date, date]) -> Cells:
    """Add the oracle's months up, both sides by themselves."""
    sums: defaultdict[tuple[str, date, str], list[Decimal | None]] = defaultdict(lambda: [Decimal(0), None])
    for (key, month, currency), (top, bottom) in oracle_rules.expected(slug, book, dimension).items():
        if month not in starts:
            continue
        pair = sums[key, starts[month], currency]
        pair[0] = (pair[0] or Decimal(0)) + top
        pair[1] = pair[1] if bottom is None else (pair[1] or Decimal(0)) + bottom
    return {cell: (top or Decimal(0), bottom) for cell, (top, bottom) in sums.items() if top or bottom}


def closing(slug: str, book: dict[str, Any], dimension: str, starts: dict[date, date]) -> Cells:
    """Take the oracle's last month of each period."""
    last = {start: max(m for m in starts if starts[m] == start) for start in starts.values()}
    found = oracle_rules.expected(slug, book, dimension).items()
    return {(key, starts[m], currency): pair for (key, m, currency), pair in found if m in last.values()}


def compared(slug: str, book: dict[str, Any], starts: dict[date, date]) -> Cells:
    """Compare the closes of whole periods: the oracle's rule, told that a period is a month."""
    ends = {start: max(oracle.close(m) for m in starts if starts[m] == start) for start in starts.values()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "MONTHS", sorted(ends))
        patch.setattr(oracle, "close", lambda start: ends[start])
        return oracle.expected(slug, book, "")


@settings(max_examples=4, **SLOW)
@given(worlds.world(), st.sampled_from(["quarter", "year"]))
def test_months_make_quarters_and_years_as_the_oracle_makes_them(book: dict[str, Any], per: str) -> None:
    def check(house: Reseller) -> None:
        begun = first_month(house.pk) or date.max
        starts = {m: longer._start(m, per) for m in worlds.MONTHS if m >= begun}
        refresh(house, now=worlds.NOW)
        reader = Reader(house, Scope.of(house.pk), worlds.NOW)
        for declared in [k for k in BASE if not k.shape.observed]:
            how, dimension = way(declared), "dealer" if "dealer" in declared.by else ""
            if how is Way.ANEW and declared.slug not in SETS:
                continue
            dimension = "" if how is Way.ANEW else dimension
            found = longer.points(declared, reader, worlds.MONTHS, [dimension], per)[dimension]
            if how is Way.ADD:
                wanted = added(declared.slug, book, dimension, starts)
            elif how is Way.CLOSE:
                wanted = closing(declared.slug, book, dimension, starts)
            else:
                wanted = compared(declared.slug, book, starts)
            assert told(found) == {c: p for c, p in wanted.items() if any(p)}, (declared.slug, how)

    with_world(book, check)


def test_a_year_loses_whom_it_lost_not_the_sum_of_its_rates() -> None:
    """Two of ten customers left in two months: a fifth of them in the quarter, on the ten it began with."""
    ends = {0: date(2026, 1, 9), 1: date(2026, 3, 2)}
    people = [
        {
            "code": f"C{n}", "dealer": "", "client_type": "client", "segment": "", "campaign": "", "currency": "GBP",
            "status": "active", "imported": False, "is_test": False, "events": {}, "features": [], "invoices": [],
            "attempts": [], "numbers": [(f"N{n}", "mobile", (date(2025, 12, 1), ends.get(n)))],
        }
        for n in range(10)
    ]  # fmt: skip

    def check(house: Reseller) -> None:
        reader = Reader(house, Scope.of(house.pk), worlds.NOW)
        churn = longer.points(KPIS.get("churn_customer"), reader, worlds.MONTHS, [""], "quarter")[""]
        first, second = churn
        assert first == Point(date(2026, 1, 1), "", "", Decimal(2), Decimal(10), ("small_base",))
        assert second == Point(date(2026, 4, 1), "", "", Decimal(0), Decimal(8), ("small_base", "open"))
        active = longer.points(KPIS.get("customers_active"), reader, worlds.MONTHS, [""], "quarter")[""]
        assert [p.value for p in active] == [8, 8]

    with_world({"customers": people, "spend": {}}, check)


def test_a_median_of_a_quarter_needs_each_of_its_months_as_a_mean_does() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        told = [(1, 0), (1, 4), (2, 6), (3, 30), (4, 2)]
        for place, (month, value) in enumerate(told):
            Observation.objects.create(
                reseller=made, metric="provisioning_days", date=date(2026, month, 5), value=value,
                dimension="order", key=f"A{place}",
            )  # fmt: skip
        refresh(made, now=worlds.NOW)
        reader = Reader(made, Scope.of(made.pk), worlds.NOW)
        median, mean = (
            longer.points(KPIS.get(slug), reader, worlds.MONTHS, [""], "quarter")[""]
            for slug in ("provisioning_median", "provisioning_time")
        )
    assert [p.value for p in median] == [5, None], "0, 4, 6 and 30 days; May lacks its lines"
    assert [p.value for p in mean] == [10, None]
    assert [p.marks for p in median] == [p.marks for p in mean] == [("small_base",), ("needs_data", "open")]


@pytest.mark.parametrize("declared", [k for k in KPIS if way(k) is Way.BESIDE], ids=lambda k: k.slug)
def test_what_compares_months_compares_periods(declared: Kpi) -> None:
    assert {n.ago for n in declared.shape.needs} <= {0, 1, 12}
    assert {n.months for n in declared.shape.needs} == {1}


def test_a_quarter_grows_on_the_quarter_before() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        reader = Reader(made, Scope.of(made.pk), worlds.NOW)
        invoiced = longer.points(KPIS.get("total_invoiced"), reader, worlds.MONTHS, [""], "quarter")[""]
        growth = longer.points(KPIS.get("invoiced_growth"), reader, worlds.MONTHS, [""], "quarter")[""]
    (first, second) = [p.value or Decimal(0) for p in invoiced if p.currency == "GBP"]
    assert first > 0
    assert [p.value for p in growth if p.currency == "GBP"][-1] == (second - first) / first


@pytest.mark.parametrize("slug", ["total_invoiced", "customers_active", "churn_customer", "invoiced_growth"])
def test_a_dimension_of_longer_periods_takes_no_query_more(slug: str) -> None:
    made, kpi, counts = alpha(), KPIS.get(slug), []
    with enter(Scope.of(made.pk)):
        refresh(made, now=worlds.NOW)
        for dimensions in ([""], ["", "dealer"]):
            reader = Reader(made, Scope.of(made.pk), worlds.NOW)
            with CaptureQueriesContext(connection) as asked:
                found = longer.points(kpi, reader, worlds.MONTHS, dimensions, "quarter")
            assert set(found) == set(dimensions)
            counts.append(len(asked))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("on=soon", "“soon” is not a day; write it as 2026-10-15."),
        ("on=2026-05-21", "This day is still to come."),
        ("on=0001-01-01", "Ask for a day from 1990 on."),
        ("per=week", "“per” is month, quarter, year."),
    ],
)
@pytest.mark.usefixtures("_noon")
def test_a_day_or_period_that_makes_no_sense_is_said(asked: str, words: str) -> None:
    found = ask(key_for(alpha()), f"mrr/?{asked}")
    assert (found.status_code, found.json()) == (400, {"error": words})


@pytest.mark.usefixtures("_noon")
def test_endpoints_and_pages_answer_as_of_a_day_and_per_quarter() -> None:
    made = alpha()
    token, client = key_for(made), someone(made, Role.OWNER)
    for day, active in (("2026-04-19", 3), ("2026-04-20", 2), ("2026-02-05", 2)):
        (row,) = ask(token, f"customers_active/?on={day}").json()
        assert (row["month"], row["customers_active"]) == (day[:7], active), day
        assert row["customers_active_marks"] == "so_far"
        found = client.get(f"/kpis/customers_active.json?on={day}").json()
        assert (found["on"], found["rows"][-1]["value"]) == (day, active)
    rows = ask(token, "churn_customer/byMonth/?from=2026-02&per=quarter").json()
    assert [(r["month"], r["churn_customer_numerator"], r["churn_customer_denominator"]) for r in rows] == [
        ("2026-01", 0, 1),
        ("2026-04", 1, 3),
    ]
    page = client.get("/kpis/customers_active/?on=2026-04-19&by=dealer").content.decode()
    assert "At the end of 19 Apr 2026" in page
    assert "Customers behind it, Apr 2026" in page
    page = client.get("/kpis/churn_customer/?per=quarter").content.decode()
    assert "Q1 2026" in page
    assert "33.3" in page
    refused = client.get("/kpis/mrr/?on=2026-05-21")
    assert refused.status_code == 400
    assert "This day is still to come." in refused.content.decode()
