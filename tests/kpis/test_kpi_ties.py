"""KPIs tie with the ledger's own ageing, and a new one is a single declaration."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from billing.receivables.ageing import By, aged_debt
from kpis.facts import close_of
from kpis.kpi import KPIS, Family, Good, Kpi, Part, Rollup, Shape, Unit, kpi, stock
from kpis.reading import live
from kpis.sources import BOOK, CUSTOMERS, NUMBERS
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope
from tests.kpis import worlds
from tests.kpis.test_every_kpi import with_world
from tests.kpis.test_kpi_pages import _noon, alpha, someone  # noqa: F401  the frozen noon applies here too

pytestmark = pytest.mark.django_db
BUCKETS = ("not_due", "days_1_30", "days_31_60", "days_61_90", "days_over_90")


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_debt_by_age_is_the_ledgers(book: dict[str, Any]) -> None:
    """Test accounts apart, which KPIs leave out, both say the same on every close."""
    for account in book["customers"]:
        account["is_test"] = False

    def check(house: Reseller) -> None:
        kpis = [KPIS.get("aged_debt"), KPIS.get("outstanding")]
        found = live(kpis, house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW, "bucket")["aged_debt"]
        total = live(kpis, house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW)["outstanding"]
        ours = {(p.month, p.key, p.currency): p.value for p in found if p.value}
        theirs: dict[Any, Decimal] = {}
        for month in worlds.MONTHS:
            for line in aged_debt(close_of(month, worlds.LAST), by=By.NOTHING):
                cells = {(month, b, line.currency): getattr(line, b) for b in BUCKETS if getattr(line, b)}
                theirs |= cells
                outstanding = [p.value for p in total if (p.month, p.currency) == (month, line.currency)]
                assert outstanding in ([line.outstanding], []) or not line.outstanding
        assert ours == theirs

    with_world(book, check)


@pytest.fixture
def added() -> Iterator[Kpi]:
    """Declare a KPI as its own module would, and take it out again."""

    @kpi(
        name="Numbers per active customer",
        family=Family.NUMBERS,
        unit=Unit.RATIO,
        good=Good.UP,
        rollup=Rollup.RATIO,
        version=1,
        by=BOOK,
    )
    def numbers_per_active_customer() -> Shape:
        """Numbers under management ÷ active customers, on the last day of the month. No active customer: n/a."""
        return stock(Part(NUMBERS, "r.held"), Part(CUSTOMERS, "r.active::int"))

    yield numbers_per_active_customer
    KPIS.remove("numbers_per_active_customer")


def test_a_kpi_is_one_declaration(added: Kpi) -> None:
    client = someone(alpha(), Role.OWNER)
    rows = client.get(f"/kpis/{added.slug}.json?from=2026-04&to=2026-04&by=dealer").json()["rows"]
    assert [(r["key"], r["value"]) for r in rows] == [("D1", "1"), ("D2", "1")]
    assert "Numbers per active customer" in client.get(f"/kpis/{added.slug}/").content.decode()
    assert "Numbers per active customer" in client.get("/kpis/").content.decode()
