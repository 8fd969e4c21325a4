"""The cost of winning customers taken from months before, where a reseller counts so."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal as D

import pytest
import time_machine
from django.urls import reverse

from billing.models import Observation
from kpis.kpi import KPIS
from kpis.models import KpiSettings
from kpis.options import Options
from kpis.reading import Reader, live
from kpis.series import Point
from kpis.snapshots import refresh
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import account, someone

pytestmark = pytest.mark.django_db
SLUGS = ("cac", "payback_months", "ltv_cac")


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(worlds.NOW, tick=False):
        yield


@pytest.fixture
def house() -> Reseller:
    """A house that spent 300 in January and 80 in March; two customers came in March, one in April."""
    made = Reseller.objects.create(code="lag", name="Lag")
    came = (date(2025, 12, 5), date(2026, 3, 3), date(2026, 3, 9), date(2026, 4, 20))
    people = [account(f"c{i}", "", day) for i, day in enumerate(came)]
    people.append(account("gone", "", date(2025, 12, 5), date(2026, 2, 10)))
    spend = {(date(2026, 1, 1), ""): D(300), (date(2026, 3, 1), ""): D(80)}
    with enter(Scope.of(made.pk)):
        worlds.load({"customers": people, "spend": spend}, made)
    return made


def points(made: Reseller) -> dict[str, dict[int, Point]]:
    """Return what the KPIs say by month, kept figures and live ones alike."""
    with enter(Scope.of(made.pk)):
        kpis = [KPIS.get(slug) for slug in SLUGS]
        now = live(kpis, made, Scope.of(made.pk), worlds.MONTHS, worlds.NOW)
        refresh(made, now=worlds.NOW)
        kept = Reader(made, Scope.of(made.pk), worlds.NOW).points(kpis, worlds.MONTHS)
        assert {slug: kept[slug][""] for slug in SLUGS} == now
    return {slug: {p.month.month: p for p in of} for slug, of in now.items()}


def test_cost_of_two_months_before_won_the_customers_of_this_one(house: Reseller) -> None:
    plain = points(house)
    assert [plain["cac"][m].value for m in (1, 3)] == [None, D(40)]
    assert "needs_data" in plain["cac"][4].marks
    with enter(Scope.of(house.pk)):
        KpiSettings.objects.create(reseller=house, cac_lag_months=2)
    moved = points(house)
    assert (moved["cac"][3].numerator, moved["cac"][3].denominator) == (D(300), D(2))
    assert (moved["cac"][5].numerator, moved["cac"][5].denominator) == (D(80), D(0))
    for slug in SLUGS:
        assert [m for m, p in moved[slug].items() if "needs_data" in p.marks] == [1, 2, 4]
        assert all("lagged" in p.marks for p in moved[slug].values())
    paid, was_paid = moved["payback_months"][3].numerator, plain["payback_months"][3].numerator
    assert paid is not None
    assert was_paid
    assert paid * 80 == was_paid * 300
    against, was_against = moved["ltv_cac"][3].denominator, plain["ltv_cac"][3].denominator
    assert against is not None
    assert was_against
    assert against * 80 == was_against * 300


def test_cost_entered_later_moves_the_month_whose_customers_it_won(house: Reseller) -> None:
    with enter(Scope.of(house.pk)):
        KpiSettings.objects.create(reseller=house, cac_lag_months=2)
    assert points(house)["cac"][4].value is None
    with enter(Scope.of(house.pk)):
        Observation.objects.create(
            reseller=house, metric="marketing_spend", date=date(2026, 2, 28), value=D(70)
        )
    assert points(house)["cac"][4].value == 70


def test_the_page_says_of_which_month_the_cost_is_and_where_to_enter_it(
    house: Reseller,
) -> None:
    client = someone(house, Role.OWNER)
    address = reverse("kpi-settings")
    form = {**Options().parameters(), "reactivation_window_days": ""}
    refused = client.post(address, {**form, "cac_lag_months": 7}).content.decode()
    assert "Ensure this value is less than or equal to 6." in refused
    assert client.post(address, {**form, "cac_lag_months": 2}).status_code == 302
    page = client.get("/kpis/cac/?month=2026-03").content.decode()
    assert "Sales and marketing cost of" in page
    assert "Jan 2026" in page
    assert "Cost of months before" in page
    with enter(Scope.of(house.pk)):
        Observation.objects.all().delete()
    empty = client.get("/kpis/cac/").content.decode()
    assert "/kpis/observations/marketing_spend/?month=2026-02" in empty
