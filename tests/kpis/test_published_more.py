"""Published figures of debt, collection, concentration and inequality, through the house's own SQL and combinations."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from kpis.kpi import KPIS
from kpis.measures import GINI, HHI, Measure, top_share
from kpis.reading import live
from kpis.series import Point
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_refresh import account

D = Decimal
MONTH = date(2026, 4, 1)


def measured(measure: Measure, amounts: list[Any]) -> Decimal:
    """Return a measure of amounts as the database computes it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {measure.top}, {measure.bottom} FROM (SELECT x, c, sum(c) OVER (ORDER BY x DESC) AS upto,"
            " sum(c) OVER () AS n FROM (SELECT x, count(*)::int AS c FROM unnest(%s::numeric[]) x GROUP BY x) a) s",
            [[D(a) for a in amounts]],
        )
        top, bottom = cursor.fetchone()
    return D(top) / D(bottom)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("measure", "amounts", "wanted"),
    [
        (HHI, [30, 30, 20, 20], "2600"),
        (HHI, [10, 9, 12, 15, 12, 11, 15, 16], "1296"),
        (GINI, [10] * 8 + [160] * 2, "0.6"),
        (GINI, [7, 7, 7], "0"),
        (GINI, [0] * 9 + [1], "0.9"),
        (top_share(3), [2, 1, 1, 6 * 0.5, 3], "0.8"),
        (top_share(3), [1_500_000, 1_500_000, 1_000_000, *[600_000] * 10], "0.4"),
    ],
)
def test_published_spreads(measure: Measure, amounts: list[Any], wanted: str) -> None:
    assert measured(measure, amounts) == D(wanted)


def combined(slug: str, *parts: Any) -> Any:
    """Return a derived KPI of given parts."""
    shape = KPIS.get(slug).shape
    assert shape.combine is not None
    top, bottom, _ = shape.combine([(D(a), None if b is None else D(b)) for a, b in parts])
    return Point(MONTH, "", "GBP", top, bottom).value


def test_collection_effectiveness_as_published() -> None:
    money = [(100_000, None), (1_000_000, None), (120_000, None), (100_000, None)]
    assert combined("cei", *money) == D("0.98")
    guru = combined("cei_quarter", (6200, None), (10_890, None), (6340, None), (3590, None))
    assert round(guru * 100, 2) == D("55.93")
    assert combined("cei", (0, None), (0, None), (0, None), (0, None)) is None


def test_five_per_cent_a_month_is_forty_six_a_year() -> None:
    assert round(combined("churn_customer_yearly", (5, 100)) * 100, 2) == D("45.96")
    assert combined("churn_customer_yearly", (0, 0)) is None


@pytest.mark.parametrize(
    ("now", "before", "wanted"), [(1560, 1200, "0.3"), (7650, 8500, "-0.1"), (5, 0, None)]
)
def test_growth_as_published(now: int, before: int, wanted: str | None) -> None:
    found = combined("invoiced_growth", (now, None), (before, None))
    assert found == (None if wanted is None else D(wanted))


def test_days_counted_back_are_months_of_sales() -> None:
    sales = [(100, None), (200, None)] + [(0, None)] * 10
    assert combined("dso_count_back", (200, None), *sales) == D("30.4375") * D("1.5")
    assert combined("dso_count_back", (200, None), *[(0, None)] * 12) is None


def bill(day: date, gross: Any, terms: int = 30) -> dict[str, Any]:
    """Return an invoice of a world."""
    return {
        "date": day, "terms": terms, "currency": "GBP", "lines": [("recurring", "", D(gross))], "net": D(gross),
        "draft": False, "credit": None, "paid": [],
    }  # fmt: skip


def figures(accounts: list[dict[str, Any]], slugs: list[str], by: str = "") -> dict[str, Any]:
    """Return KPIs of a small book in April, by key."""
    house = Reseller.objects.create(code="p", name="Published")
    with enter(Scope.of(house.pk)) as scope:
        worlds.load({"customers": accounts, "spend": {}}, house)
        found = live([KPIS.get(s) for s in slugs], house, scope, [MONTH], worlds.NOW, by)
    return {slug: {p.key: p.value for p in points} for slug, points in found.items()}


@pytest.mark.django_db
def test_days_sales_outstanding_is_debt_over_sales_times_days() -> None:
    """18,000 ÷ 20,000 × 30 days = 27, of which 12,000 late: 18 days delinquent, 9 at best."""
    old = bill(date(2026, 2, 1), 12_000)
    book = [account("C0", invoices=[old, {**bill(date(2026, 4, 2), 20_000), "credit": None}])]
    book[0]["invoices"][1]["paid"] = [(3, "0.50", None), (4, "0.20", None)]
    found = figures(book, ["dso", "bpdso", "days_delinquent"])
    assert found == {"dso": {"": D(27)}, "bpdso": {"": D(9)}, "days_delinquent": {"": D(18)}}


@pytest.mark.django_db
def test_aged_debt_as_published_by_accountants() -> None:
    """Abercrombie, Bufford, Chesterton, Denver: 57,000, 46,000, 21,000, 11,000, together 135,000."""
    ages = {"days_1_30": 30, "days_31_60": 60, "days_61_90": 90, "days_over_90": 120}
    owed = [
        {"days_1_30": 10_000, "days_31_60": 5_000},
        {"days_31_60": 20_000, "days_61_90": 9_000},
        {"days_1_30": 47_000, "days_31_60": 21_000, "days_61_90": 12_000, "days_over_90": 3_000},
        {"days_over_90": 8_000},
    ]
    close = date(2026, 4, 30)
    people = [
        account(
            f"C{i}", invoices=[bill(close - timedelta(days=ages[age]), gross, 0) for age, gross in of.items()]
        )
        for i, of in enumerate(owed)
    ]
    found = figures(people, ["aged_debt"], "bucket")["aged_debt"]
    assert found == {"days_1_30": 57_000, "days_31_60": 46_000, "days_61_90": 21_000, "days_over_90": 11_000}
    assert sum(found.values()) == 135_000


@pytest.mark.django_db
def test_take_up_of_forty_per_cent() -> None:
    feature = ("rec", (date(2026, 1, 5), None), 1, None, 0, False)
    people = [account(f"C{i}", features=[feature] if i < 2 else []) for i in range(5)]
    assert figures(people, ["feature_take_up", "attach_rate_new"])["feature_take_up"] == {"": D("0.4")}
