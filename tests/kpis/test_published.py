"""Figures others have published, through our own shapes; cases of features the house does not have are listed."""

import json
import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.models import Customer, Feature, FeaturePrice, FeatureType
from kpis.compare import delta
from kpis.kpi import KPIS
from kpis.reading import live
from kpis.series import Point
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis.test_published_more import combined
from tests.kpis.worlds import NOW

D = Decimal
MONTH = date(2026, 4, 1)
#: Cases that movements between two closes answer: `test_published_units.py`.
MOVED = {
    "mrr_movement",
    "mrr_waterfall",
    "retention",
    "nrr",
    "grr",
    "expansion_share",
    "quick_ratio",
    "revenue_churn",
}
#: Cases that are not tests, each with the reason: docs/oracle-cases-kpis.md lists them for readers.
DIFFERENT = {
    "K017": "the cohort end it gives holds customers who came back",
    "K022": "adds revenue given per month, not services",
    "K024": "calls the cost itself the cost of winning a customer",
    "K054": "no new customers is n/a here, not 0",
    "K061": "no customers at the start is n/a here, not 0",
    "K067": "trials and past-due are not states of ours",
    "K073": "derives MRR from a yearly figure",
    "K087": "adds events up; we compare two closes",
    "K105": "derives revenue from a rate, not from services",
    "K106": "a yearly rate is counted on the year's own sets; a year of such months is another KPI",
    "K112": "a life of 1 ÷ churn is inside the lifetime value, not a figure of its own",
    "K115": "the peer adds tax to MRR",
}


def ratio(top: Any, bottom: Any) -> Decimal | None:
    """Divide as every KPI divides."""
    return Point(MONTH, "", "GBP", D(str(top)), D(str(bottom))).value


def mrr(*subscriptions: tuple[Any, str, int, Any], code: str = "h") -> Decimal:
    """Return the MRR of (price, interval, quantity, discount per cent) as the house computes it."""
    house = Reseller.objects.create(code=code, name="House")
    with enter(Scope.of(house.pk)) as scope:
        customer = Customer.objects.create(reseller=house, code="c", name="c")
        for i, (price, interval, quantity, discount) in enumerate(subscriptions):
            kind = FeatureType.objects.create(reseller=house, code=f"f{i}", name=f"f{i}", interval=interval)
            FeaturePrice.objects.create(
                reseller=house, feature_type=kind, price=D(str(price)), valid_from=date(2020, 1, 1)
            )
            Feature.objects.create(
                reseller=house, customer=customer, feature_type=kind, quantity=quantity,
                discount_percent=discount, start_date=date(2026, 4, 17),
            )  # fmt: skip
        (point,) = live([KPIS.get("mrr")], house, scope, [MONTH], NOW)["mrr"]
    return D(point.value or 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("subscriptions", "wanted"),
    [
        ([(100, "month", 100, 0), (600, "year", 50, 0)], "12500"),
        ([(1200, "year", 1, 0)], "100"),
        ([(2000, "year", 1, 0)], "166.67"),
        ([(120, "year", 1, 10)], "9"),
        ([(29, "month", 1, 0), (99, "month", 1, 0), (1200, "year", 1, 0)], "228"),
        ([(50, "month", 5, 0), (100, "month", 3, 0), (500, "year", 2, 0)], "633.33"),
        ([(10000, "year", 1, 0)], "833.33"),
        ([(100, "month", 1, 0), (100, "month", 1, 50)], "150"),
        ([(30, "quarter", 1, 0), (99, "once", 1, 0)], "10"),
    ],
)
def test_recurring_revenue_is_normalised_as_published(subscriptions: Any, wanted: str) -> None:
    assert mrr(*subscriptions).quantize(D("0.01"), ROUND_HALF_UP) == D(wanted)


@pytest.mark.parametrize(
    ("top", "bottom", "wanted"),
    [
        (12 - 1 - 1, 100, "0.1"),
        (50, 500, "0.1"),
        (15, 5, "3"),
        (1500, 5, "300"),
        (20000, 40, "500"),
        (25000, 50, "500"),
        (800, 2000, "0.4"),
        (2400, 8000, "0.3"),
        (1000 * 36, 1, "36000"),
    ],
)
def test_published_ratios(top: int, bottom: int, wanted: str) -> None:
    assert ratio(top, bottom) == D(wanted)


def test_nothing_to_divide_by_is_no_value() -> None:
    assert ratio(5, 0) is None
    assert ratio(5, -1) is None


def test_lifetime_value_is_revenue_times_months() -> None:
    shape = KPIS.get("clv").shape
    assert shape.combine is not None
    top, bottom, base = shape.combine([(D(1000 * 30), D(30)), (D(36 * 25), D(25))])
    assert bottom is not None
    assert (top / bottom, base) == (D(36000), D(25))
    assert shape.combine([(D(1000), D(1)), (D(0), D(0))])[1] == 0


def test_growth_is_against_the_month_before_and_never_from_nothing() -> None:
    shape = KPIS.get("arpu_growth").shape
    assert shape.combine is not None
    top, bottom, _ = shape.combine([(D(1560), D(1)), (D(1200), D(1))])
    assert bottom is not None
    assert top / bottom == D("0.3")
    assert shape.combine([(D(100), D(1)), (D(0), D(0))])[1] == 0


def test_a_rate_changes_by_points_and_an_amount_by_per_cent() -> None:
    churn, money = KPIS.get("churn_customer"), KPIS.get("mrr")
    before, now = Point(MONTH, "", "", D(15), D(1000)), Point(MONTH, "", "", D(25), D(1000))
    moved = delta(churn, now, before)
    assert moved is not None
    assert (moved.change, moved.growth, moved.verdict) == (D("1.000"), None, "bad")
    moved = delta(money, Point(MONTH, "", "GBP", D(228), None), Point(MONTH, "", "GBP", D(200), None))
    assert moved is not None
    assert (moved.growth, moved.verdict) == (D("0.14"), "good")
    moved = delta(money, Point(MONTH, "", "GBP", D(5), None), Point(MONTH, "", "GBP", D(0), None))
    assert moved is not None
    assert moved.growth is None


def cases(folder: Path) -> list[dict[str, Any]]:
    """Read the published cases."""
    found: list[dict[str, Any]] = json.loads((folder / "oracles" / "kpi_cases.json").read_text())
    return found


def simple(case: dict[str, Any]) -> tuple[Decimal | None, Decimal] | None:
    """Return (ours, theirs) for a ratio case of a metric we have."""
    given, wanted = case["inputs"], case["expected"]
    if case["metric"] in ("churn", "logo_churn"):
        top = given.get("lost", given.get("left"))
        bottom = given.get("start", given.get("opening", given.get("customers")))
        return ratio(top * 100, bottom), D(str(wanted.get("pct", wanted.get("churn_pct"))))
    if case["metric"] == "arpu":
        return ratio(given["mrr"], given["customers"]), D(str(wanted["arpu"]))
    if case["metric"] == "cac":
        return ratio(given["sm"], given["new"]), D(str(wanted["cac"]))
    if case["metric"] == "mrr_growth":
        return ratio((given["cur"] - given["prev"]) * 100, given["prev"]), D(str(wanted["pct"]))
    if case["metric"] == "dso":
        return ratio(given["ar"] * given["days"], given.get("revenue", given.get("sales"))), D(
            str(wanted["dso"])
        )
    return over_a_life(case)


def over_a_life(case: dict[str, Any]) -> tuple[Decimal | None, Decimal] | None:
    """Return (ours, theirs) for a case of lifetime value, of paying back, or of both."""
    given, wanted, number = case["inputs"], case["expected"], {k: D(str(v)) for k, v in case["inputs"].items()
                                                              if isinstance(v, int | float)}  # fmt: skip
    none = (D(0), D(1))
    if case["metric"] == "ltv" and "gm" in given:
        parts = [(number["arpa"], 1), (number["churn"], 1), none, (number["gm"], 1)]
        return combined("clv_margin", *parts), D(str(wanted["ltv"]))
    if case["metric"] == "ltv":
        parts = [(number["sales"], number["users"]), (number["churn_pct"], 100), none]
        return combined("clv_churn", *parts), D(str(wanted["ltv"]))
    if case["metric"] == "cac_payback":
        arpu = number.get("arpa", number.get("arpu"))
        return combined("payback_months", (number["cac"], 1), (arpu, 1), (number.get("gm", 1), 1)), D(
            str(wanted["months"])
        )
    if case["metric"] == "ltv_cac":
        cost = (number["sm"], number["new"]) if "sm" in given else (number["cac"], 1)
        worth = number["ltv"] if "ltv" in given else number["arpu"] * number["months"]
        return combined("ltv_cac", cost, (worth, 1), (1, 1), none, (1, 1)), D(str(wanted["ratio"]))
    return None


def of_services(case: dict[str, Any]) -> list[tuple[Decimal, Decimal]]:
    """Return (ours, theirs) for a case of MRR out of priced services."""
    given, wanted, code = case["inputs"], case["expected"], case["id"].lower()
    rows: list[Any] = [(price, interval, 1, 0) for price, interval in given.get("subs", [])]
    rows += [(price, "month", quantity, 0) for quantity, price in given.get("monthly", [])]
    annual = given.get("annual", [])
    rows += [(p, "year", n, 0) for n, p in (annual if isinstance(annual, list) else [[1, annual]])]
    items = given.get("items", [])
    rows += [(price - D(given["discount"]) / len(items), "month", 1, 0) for price in items]
    rows += [(price, "month", 1, 0) for price in (given["mrr"] if case["metric"] == "arr" else [])]
    found = mrr(*rows, code=code)
    return [(found * (12 if name == "arr" else 1), D(str(value))) for name, value in wanted.items()]


@pytest.mark.django_db
def test_the_published_cases_come_out(reference: Path) -> None:
    tried = 0
    for case in cases(reference):
        if case["id"] in DIFFERENT or case["metric"] in MOVED:
            continue
        pair = simple(case)
        if case["metric"] == "mrr_normalisation":
            tried += normalised(case)
            continue
        for ours, theirs in [pair] if pair else of_services(case):
            assert ours is not None, case["id"]
            assert abs(ours - theirs) <= D(case["tolerance"]), (case["id"], ours, theirs)
            tried += 1
    assert tried == 53


def test_the_cases_that_are_no_tests_are_listed() -> None:
    text = (Path(__file__).parents[2] / "docs" / "oracle-cases-kpis.md").read_text()
    assert set(re.findall(r"\bK\d{3}\b", text)) == set(DIFFERENT)


def normalised(case: dict[str, Any]) -> bool:
    """Compare one subscription's MRR to four places, for the intervals the house has."""
    intervals = {"MONTHLY": "month", "QUARTERLY": "quarter", "ANNUAL": "year", "NO_BILLING_PERIOD": "once"}
    interval = intervals.get(case["inputs"]["period"])
    if interval is None:
        return False
    found = mrr((case["inputs"]["price"], interval, 1, 0), code=case["id"].lower()).quantize(
        D("0.0001"), ROUND_HALF_UP
    )
    assert found == D(case["expected"]["mrr"]), case["id"]
    return True
