"""Customers that are lost on the day they gave notice, where a reseller counts so."""

from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from billing.models import CustomerEvent
from kpis.asked import Asked
from kpis.compute import compute
from kpis.kpi import KPIS
from kpis.models import KpiSettings, Snapshot
from kpis.options import Options
from kpis.snapshots import refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import oracle, worlds
from tests.kpis.test_every_kpi import cells, with_world
from tests.kpis.test_kpi_pages import account

pytestmark = pytest.mark.django_db
COUNTED = [
    KPIS.get(slug)
    for slug in (
        "customers_active", "customers_new", "customers_moved_in", "customers_reactivated", "customers_lost",
        "customers_net", "churn_customer", "tenure_lost",
    )
]  # fmt: skip
NAIVE = oracle.services


def until_notice(c: dict[str, Any]) -> list[tuple[date, date | None]]:
    """What makes a customer active: of what ends as it leaves, only the days before it gave notice."""
    left = [day for day, status in c["events"].items() if status == "ceased"]
    found = []
    for start, end in NAIVE(c):
        given = [
            day - worlds.NOTICE for day in left if end and end <= day and start < day - worlds.NOTICE < end
        ]
        found.append((start, min(given) if given else end))
    return found


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(worlds.world())
def test_by_notice_the_sets_are_those_of_books_that_ended_then(book: dict[str, Any]) -> None:
    def check(house: Reseller) -> None:
        KpiSettings.objects.create(reseller=house, churn_recognition="notice")
        asked = Asked.months(house.pk, worlds.MONTHS, worlds.LAST, options=Options.of(house))
        found = compute(COUNTED, asked)
        for declared in COUNTED:
            assert cells(found[declared.slug], "") == oracle.expected(declared.slug, book, ""), declared.slug

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "services", until_notice)
        with_world({**book, "settings": {}}, check)


def test_a_notice_entered_later_reaches_back_to_its_day() -> None:
    """Ann left on 1 May: by her notice of 9 March she is lost in March."""
    house = Reseller.objects.create(code="w", name="World")
    ann = account("ann", "", date(2025, 12, 5), date(2026, 5, 1)) | {"events": {date(2026, 5, 1): "ceased"}}
    with enter(Scope.of(house.pk)):
        KpiSettings.objects.create(reseller=house, churn_recognition="notice")
        worlds.load({"customers": [ann], "spend": {}}, house)
        CustomerEvent.objects.update(notice_date=None)
        refresh(house, now=worlds.NOW)
        lost = Snapshot.objects.filter(kpi="customers_lost", dimension="").values_list("month", "numerator")
        assert list(lost) == [(date(2026, 5, 1), 1)]
        CustomerEvent.objects.update(notice_date=date(2026, 3, 9))
        refresh(house, now=worlds.NOW)
        assert list(lost.all()) == [(date(2026, 3, 1), 1)]
        active = Snapshot.objects.filter(kpi="customers_active", dimension="").order_by("month")
        assert list(active.values_list("month", flat=True))[-1] == date(2026, 2, 1)
