"""Stays, acquisition, average debt and compound growth as published; customers under each tag and package."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection

from kpis.compare import compound
from kpis.kpi import KPIS
from kpis.series import Point
from resellerkpi.core.access import Role
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import house, someone
from tests.kpis.test_kpi_refresh import account
from tests.kpis.test_published_more import MONTH, bill, figures

pytestmark = pytest.mark.django_db
D = Decimal
#: Weeks until children with leukaemia relapsed (Freireich and others, 1963); below zero: they had not.
TREATED = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


@pytest.mark.parametrize(
    ("stays", "wanted"),
    [
        (TREATED, 23),
        (PLACEBO, 8),
        ([5, 7, 9, 11], 7),
        ([5, -6, -7, -8], None),
        ([-5], None),
        ([3, -3, -4], None),
    ],
)
def test_the_median_stay_is_that_of_kaplan_and_meier(stays: list[int], wanted: int | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kpis_median_life(array_agg(x ORDER BY abs(x), x DESC), array_agg(c ORDER BY abs(x), x DESC))"
            " FROM (SELECT x, count(*)::int AS c FROM unnest(%s::numeric[]) x GROUP BY x) amounts",
            [stays],
        )
        assert cursor.fetchone()[0] == wanted


def test_a_stay_is_expected_only_of_thirty_customers() -> None:
    """Sixteen of thirty stayed exactly 40 days: half are gone after 40 days; of 29 customers nothing is said."""
    start = date(2026, 1, 10)
    spans = [(start, start + timedelta(days=40))] * 16 + [(start, None)] * 14
    people = [account(f"C{i}", numbers=[(f"N{i}-0", "mobile", span)]) for i, span in enumerate(spans)]
    assert figures(people, ["expected_life"])["expected_life"] == {"": round(40 / D("30.4375"), 6)}


def test_fewer_than_thirty_customers_are_not_enough() -> None:
    start = date(2026, 1, 10)
    people = [
        account(f"C{i}", numbers=[(f"N{i}-0", "mobile", (start, start + timedelta(days=40)))])
        for i in range(29)
    ]
    assert figures(people, ["expected_life"])["expected_life"] == {"": None}


def test_forty_new_for_two_hundred_are_an_acquisition_rate_of_twenty_per_cent() -> None:
    old, new = (date(2026, 1, 10), None), (date(2026, 4, 10), None)
    people = [account(f"C{i}", numbers=[(f"N{i}-0", "mobile", new if i < 4 else old)]) for i in range(24)]
    assert figures(people, ["acquisition_rate"])["acquisition_rate"] == {"": D("0.2")}


def test_days_outstanding_on_the_average_debt_as_published() -> None:
    """Debt of 16,000 before and 20,000 after is 18,000 on average; ÷ 20,000 invoiced × 30 days = 27."""
    april = bill(date(2026, 4, 2), 20_000)
    april["paid"] = [(3, "0.80", None)]
    people = [account("C0", invoices=[bill(date(2026, 2, 1), 16_000), april])]
    assert figures(people, ["dso_average"])["dso_average"] == {"": D(27)}


def test_a_customer_counts_under_each_of_its_tags_and_packages() -> None:
    plan = ("plan", (date(2026, 1, 5), None), 1, D(240), 0, False)
    people = [
        account("C0", tags=["gold", "old"], features=[plan]),
        account("C1", tags=["gold"]),
        account("C2", currency="EUR"),
    ]
    assert figures(people, ["customers_active"], "tag")["customers_active"] == {"gold": 2, "old": 1, "": 1}


def test_revenue_is_told_by_package() -> None:
    plan = ("plan", (date(2026, 1, 5), None), 1, D(240), 0, False)
    people = [account("C0", features=[plan], currency="EUR"), account("C1")]
    found = figures(people, ["customers_active", "mrr"], "package")
    assert found == {"customers_active": {"plan": 1, "": 1}, "mrr": {"plan": 20}}


def grown(slug: str, now: Any, before: Any, months: int) -> Decimal | None:
    """Return the compound growth from one value to another, to twelve places."""
    then, here = (Point(MONTH, "", "GBP", None if v is None else D(v), None) for v in (before, now))
    growth = compound(KPIS.get(slug), here, then, months)
    return None if growth is None else round(growth, 12)


def test_compound_growth_is_the_same_growth_every_month() -> None:
    assert grown("mrr", 133_100, 100_000, 3) == D("0.1")
    assert grown("customers_active", 50, 100, 1) == D("-0.5")
    assert grown("mrr", 5, 0, 3) is None
    assert grown("mrr", 5, None, 3) is None
    assert grown("churn_customer", 5, 4, 3) is None


def test_a_page_tells_compound_growth_and_that_tags_overlap() -> None:
    """Three customers came by January, in April one more: from 2 to 3 in three months is 14.5 % a month."""
    people = [account("C0", tags=["gold", "old"]), account("C1"), account("C2")]
    people[2]["numbers"] = [("N2-0", "mobile", (date(2026, 4, 3), None))]
    with time_machine.travel(worlds.NOW, tick=False):
        client = someone(house("tags", *people), Role.OWNER)
        page = client.get("/kpis/customers_active/?month=2026-04&by=tag").content.decode()
    assert "Compound growth over 3 months" in page
    assert "+14.5\N{NO-BREAK SPACE}% a month" in page
    assert "A customer counts under each of its tags, so the rows do not add up to the total." in page
