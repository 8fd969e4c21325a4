"""Published figures of sales, marketing, surveys, support and stock, entered as observations and read as KPIs."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Observation
from kpis.definitions.surveys import _margin
from kpis.kpi import KPIS
from kpis.models import KpiSettings
from kpis.reading import live
from kpis.series import Point
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.kpis.test_published_more import combined
from tests.kpis.worlds import NOW

D = Decimal
MONTH = date(2026, 4, 1)
Told = dict[Any, Any]


def points(told: Told, *slugs: str, by: str = "", scale: str = "1-5") -> dict[str, list[Point]]:
    """Enter lines, (metric, dimension, key, month): value or metric: value, and read KPIs of April."""
    house = Reseller.objects.create(code="o", name="Observed")
    with enter(Scope.of(house.pk)) as scope:
        KpiSettings.objects.create(reseller=house, csat_scale=scale)
        for name, value in told.items():
            metric, dimension, key, month = name if isinstance(name, tuple) else (name, "", "", MONTH)
            Observation.objects.create(
                reseller=house, metric=metric, date=month, dimension=dimension, key=key, value=D(str(value))
            )
        return live([KPIS.get(s) for s in slugs], house, scope, [MONTH], NOW, by)


def figure(slug: str, told: Told) -> Decimal | None:
    """Return one KPI of April."""
    return points(told, slug)[slug][0].value


def scored(metric: str, answers: dict[int, int]) -> Told:
    """Return answers by score."""
    return {(metric, "score", str(score), MONTH): count for score, count in answers.items()}


def of_orders(metric: str, *values: Any) -> Told:
    """Return a line for each of some orders, numbered."""
    return {(metric, "order", f"A{n}", MONTH): value for n, value in enumerate(values)}


def test_orders_without_lines_need_data_and_say_what_to_upload() -> None:
    told = KPIS.get("open_orders_age").needs_data
    assert "the days each order not delivered yet has been open, at the month's end" in told
    assert "a line for each order provisioned" in KPIS.get("provisioning_median").needs_data


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "told", "wanted"),
    [
        ("aov", {"order_value": 5000, "orders": 100}, "50"),
        ("aov", {"order_value": 1000, "orders": 23}, "43.478"),
        ("visit_conversion", {"visits": 1000, "orders": 15}, "0.015"),
        ("visit_conversion", {"visits": 1000, "orders": 25}, "0.025"),
        ("sales_conversion", {"leads": 40, "leads_won": 10}, "0.25"),
        ("quote_to_order", {"quotes": 20, "orders": 5}, "0.25"),
        ("win_rate", {"orders": 6, "deals_lost": 18}, "0.25"),
        ("sales_cycle", {"sales_cycle_days": 90, "orders": 4}, "22.5"),
        ("ctr", {"clicks": 5, "impressions": 1000}, "0.005"),
        ("csat", scored("csat_responses", {5: 42, 4: 32, 3: 10, 2: 9, 1: 14}), "0.692"),
        ("csat", scored("csat_responses", {5: 20, 4: 10, 1: 20}), "0.6"),
        ("csat_mean", scored("csat_responses", {5: 1, 4: 1, 3: 1}), "4"),
        ("nps", scored("nps_responses", {10: 20, 9: 10, 8: 50, 6: 15, 0: 5}), "10"),
        ("nps", scored("nps_responses", {6: 1}), "-100"),
        ("aht", {"handling_seconds": 668205 + 99153 + 198306, "support_contacts": 4311}, "224"),
        ("aht", {"handling_seconds": 100 + 150 + 200, "support_contacts": 3}, "150"),
        ("order_fulfilment_time", {("delivery_hours", "order", "A1", MONTH): 120}, "5"),
        ("order_fulfilment_time", {("delivery_hours", "order", "A1", MONTH): 17 * 24}, "17"),
        ("provisioning_time", of_orders("provisioning_days", 3, 6), "4.5"),
        ("provisioning_median", of_orders("provisioning_days", 2, 30, 4, 6), "5"),
        ("provisioning_median", of_orders("provisioning_days", 0, 0, 0, 4, 6), "0"),
        ("provisioning_median", of_orders("provisioning_days", 0, 3), "1.5"),
        ("order_fulfilment_median", of_orders("delivery_hours", 0, 24, 120), "1"),
        ("port_in_time", of_orders("port_in_days", 1, 7, "8.5"), "5.5"),
        ("port_in_median", of_orders("port_in_days", 1, 7, "8.5"), "7"),
        ("open_orders", of_orders("open_order_days", 4, 40, 0), "3"),
        ("open_orders", {"open_order_days": 0}, "0"),
        ("open_orders_age", of_orders("open_order_days", 4, 40, 1) | {"open_order_days": 9}, "15"),
        ("return_rate", {"units_returned": 500, "units_shipped": 10000}, "0.05"),
        ("return_rate", {"units_returned": 50, "units_shipped": 1000}, "0.05"),
    ],
)
def test_published_ratios(slug: str, told: Told, wanted: str) -> None:
    found = figure(slug, told)
    assert found is not None
    assert round(found, 3) == D(wanted)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scale", "satisfied", "mean"),
    [("1-5", (15, 40), (125, 40)), ("1-10", (45, 100), (625, 100))],
)
def test_satisfaction_on_either_scale(scale: str, satisfied: tuple[int, int], mean: tuple[int, int]) -> None:
    """Of 100 answers on ten scores 8, 9 and 10 are satisfied; on a scale of five the 60 above it are left out."""
    answers = {1: 5, 2: 10, 3: 10, 4: 5, 5: 10, 7: 15, 8: 20, 9: 15, 10: 10}
    found = points(scored("csat_responses", answers), "csat", "csat_mean", "csat_responses", scale=scale)
    parts = {slug: (p.numerator, p.denominator) for slug, (p,) in found.items()}
    wanted: dict[str, Any] = {"csat": satisfied, "csat_mean": mean, "csat_responses": (100, None)}
    assert parts == wanted


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cost", "opening", "closing", "turnover", "days"),
    [("199", "26.6", "24.4", "7.8", "46.8"), ("429", "56.5", "44.9", "8.5", "43.1")],
)
def test_published_stock_turnover(cost: str, opening: str, closing: str, turnover: str, days: str) -> None:
    start = add_months(MONTH, -11)
    told: Told = {
        ("cost_of_goods_sold", "", "", add_months(start, i)): D(cost) if i == 6 else 0 for i in range(12)
    }
    told |= {("stock_opening", "", "", start): opening, "stock_closing": closing}
    found = points(told, "inventory_turnover", "inventory_days")
    assert [round(found[s][0].value or 0, 1) for s in ("inventory_turnover", "inventory_days")] == [
        D(turnover),
        D(days),
    ]


@pytest.mark.django_db
def test_a_year_that_lacks_a_month_asks_for_data() -> None:
    told: Told = {("cost_of_goods_sold", "", "", add_months(MONTH, -i)): 5 for i in range(11)}
    told |= {("stock_opening", "", "", add_months(MONTH, -11)): 9, "stock_closing": 9}
    found = points(told, "inventory_turnover")["inventory_turnover"][0]
    assert (found.value, found.marks[0]) == (None, "needs_data")
    assert "what the goods sold had cost" in KPIS.get("inventory_turnover").needs_data


@pytest.mark.parametrize(
    ("gain", "cost", "wanted"), [(50_000, 10_000, 4), (20_000, 5_000, 3), (5, 0, None), (5, 10, "-0.5")]
)
def test_published_returns(gain: int, cost: int, wanted: Any) -> None:
    for slug in ("campaign_roi", "campaign_roi_revenue", "marketing_roi", "marketing_roi_revenue"):
        assert combined(slug, (cost, None), (gain, None)) == (None if wanted is None else D(wanted))


@pytest.mark.parametrize(
    ("now", "before", "wanted"), [(1560, 1200, "0.3"), (7650, 8500, "-0.1"), (5, 0, None)]
)
def test_growth_of_sales_as_published(now: int, before: int, wanted: str | None) -> None:
    """Of orders where both months have them, else of invoices less credit notes."""
    answer = None if wanted is None else D(wanted)
    bills = [(now + 10, None), (10, None), (before + 5, None), (5, None)]
    assert combined("sales_growth", *bills, (0, None), (700, None)) == answer
    if before:
        assert combined("sales_growth", *[(1, None)] * 4, (now, None), (before, None)) == answer


def test_sales_are_orders_or_else_invoices() -> None:
    assert combined("total_sales_revenue", (900, None), (100, None), (0, None)) == 800
    assert combined("total_sales_revenue", (900, None), (100, None), (500, None)) == 500


@pytest.mark.django_db
def test_shares_of_visits_are_all_of_them() -> None:
    told: Told = {
        ("visits", "source", k, MONTH): n for k, n in (("search", 30), ("direct", 50), ("mail", 19))
    }
    found = points(told | {"visits": 1}, "traffic_sources", by="source")["traffic_sources"]
    assert {p.key: p.value for p in found} == {
        "": D("0.01"),
        "search": D("0.3"),
        "direct": D("0.5"),
        "mail": D("0.19"),
    }


def test_the_margin_of_error_of_a_score() -> None:
    """30 % promoters and 20 % detractors of 100 answers: 1.96 √((0.5 − 0.01) ÷ 100) × 100 = 13.72."""
    top, bottom, base = _margin([(D(30), D(100)), (D(20), D(100))])
    assert bottom
    assert (round(top / bottom, 2), base) == (D("13.72"), D(100))
    assert combined("nps_margin", (0, 0), (0, 0)) is None
