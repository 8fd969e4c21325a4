"""The leakage register rolls forward, its snapshots follow what is done to leaks, and its page tells the same."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.checks.acts import recover
from billing.models import Finding, FindingEvent
from kpis.kpi import KPIS
from kpis.models import Snapshot
from kpis.reading import live
from kpis.snapshots import refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.kpis import oracle_leaks, worlds, worlds_units
from tests.kpis.test_every_kpi import with_world

ROLLING = ("leaks_open", "leaks_found", "leaks_recovered", "leaks_closed")
account = {
    "code": "C0", "dealer": "D1", "client_type": "client", "segment": "", "campaign": "", "currency": "GBP",
    "status": "active", "imported": False, "is_test": False, "events": {}, "features": [], "invoices": [],
    "attempts": [], "numbers": [("N1", "mobile", (date(2025, 12, 10), None))],
}  # fmt: skip
books = st.lists(worlds_units.leaks, min_size=1, max_size=3).map(
    lambda leaks: {"customers": [account], "spend": {}, "units": {"leaks": leaks}}
)


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(books, st.sampled_from(["", "leak", "dealer"]))
def test_the_register_rolls_forward(book: dict[str, Any], dimension: str) -> None:
    """Open + found − got back − closed otherwise = open at the end, to the penny, by kind of leak too."""

    def check(house: Reseller) -> None:
        rolling = [KPIS.get(slug) for slug in ROLLING]
        found = live(rolling, house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW, dimension)
        value = {(s, p.key, p.currency, p.month): p.value or D(0) for s, ps in found.items() for p in ps}
        for key, currency, month in {(k, c, m) for _, k, c, m in value}:

            def at(slug: str, when: date = month, key: str = key, currency: str = currency) -> D:
                return value.get((slug, key, currency, when), D(0))

            moved = at("leaks_found") - at("leaks_recovered") - at("leaks_closed")
            assert at("leaks_open", add_months(month, -1)) + moved == at("leaks_open")
        stands = Finding.objects.filter(family="leakage").values_list("pk", "state", "open_money")
        for pk, state, open_money in stands:
            told = FindingEvent.objects.filter(finding=pk).aggregate(
                m=Sum("money_moved"), c=Sum("count_moved")
            )
            assert (told["m"], told["c"]) == (open_money, int(state == "open"))

    with_world(book, check)


def kept() -> list[Any]:
    names = ("kpi", "dimension", "key", "month", "currency", "numerator", "denominator")
    return list(Snapshot.objects.filter(kpi__in=oracle_leaks.SLUGS).order_by(*names).values_list(*names))


@pytest.mark.django_db
def test_snapshots_follow_what_is_done_to_a_leak() -> None:
    """Given figures that are kept, when money comes back of a leak of February in May, then only May moves."""
    house = Reseller.objects.create(code="w", name="World")
    with enter(Scope.of(house.pk)):
        steps = [(date(2026, 2, 3), "found", 50), (date(2026, 4, 9), "found", 80)]
        units = {"leaks": [(0, "GBP", steps)]}
        worlds.load({"customers": [account], "spend": {}, "units": units}, house)
        refresh(house, now=worlds.NOW)
        before = kept()
        recover(Finding.objects.get().pk, amount=D(70), words="x", now=worlds.NOW - timedelta(hours=1))
        refresh(house, now=worlds.NOW)
        after = kept()
        assert [row for row in after if row[3] < date(2026, 5, 1)] == [
            r for r in before if r[3] < date(2026, 5, 1)
        ]
        assert {(r[0], r[5]) for r in after if r[3] == date(2026, 5, 1) and not r[1]} == {
            ("leaks_recovered", D(70)),
            ("leaks_closed", D(10)),
        }
        refresh(house, now=worlds.NOW, full=True)
        assert kept() == after
