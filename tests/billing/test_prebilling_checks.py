"""The pre-billing checks against plain Python over random books, and on small ones by exact figures."""

from datetime import UTC, date, datetime

import pytest

from billing.checks.declare import Ask
from billing.checks.registry import of_family
from billing.models import Finding
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import make_house
from tests.billing.naive_prebilling import Naive
from tests.billing.prebilling_world import random_world

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 3, 9, tzinfo=UTC)
CHECKS = {c.slug: c for c in of_family(Finding.Family.PRE_BILLING)}
#: Checks of call files, which the random books have none of, and of habits, which have planted worlds of their own.
ELSEWHERE = {"missing_call_files", "missing_call_days", "unusual_usage"}


def test_every_check_finds_what_plain_python_finds_in_random_books() -> None:
    found_by = dict.fromkeys(CHECKS.keys() - ELSEWHERE, 0)
    for seed in range(3):
        house = make_house(f"house{seed}")
        with enter(Scope.of(house.pk)):
            random_world(house, seed)
            period = parse_month("2026-01", house.zone)
            naive = Naive(period, date(2026, 2, 3))
            for slug in found_by:
                check = CHECKS[slug]
                settings = {s.name: s.default for s in check.settings}
                found = list(check.find(Ask(house, NOW, date(2026, 2, 3), period, settings)))
                rows = [(x.subject, x.count, x.money_per_month, x.money_to_date, x.currency) for x in found]
                assert sorted(rows) == sorted(getattr(naive, slug)()), (slug, seed)
                assert all(x.label and x.why and x.period == period.start for x in found)
                found_by[slug] += len(found)
    assert [slug for slug, count in found_by.items() if not count] == []
