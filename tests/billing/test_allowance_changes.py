"""Changes of allowances by two people at once: the second is told, nothing is given twice."""

from decimal import Decimal

import pytest
from django.db import connection

from billing.allowances import change_allowance, end_allowance, remove_allowance
from billing.book import BookRefused
from billing.models import Bundle, FeatureType
from billing.models.locks import DRAWS
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import day, make_house

pytestmark = pytest.mark.django_db


def test_what_was_read_before_a_change_does_not_give_the_allowance_twice() -> None:
    house = make_house()
    with enter(Scope.of(house.pk)):
        kind = FeatureType.objects.create(reseller=house, code="P", name="Package", kind="package")
        first = Bundle.objects.create(reseller=house, feature_type=kind, unit="seconds", amount=Decimal(60))
        stale = Bundle.objects.get()
        terms = {"unit": "seconds", "amount": Decimal(90)}
        change_allowance(first, terms, start=day("2026-02-01"))
        with pytest.raises(BookRefused, match="ends on 1 Feb 2026"):
            change_allowance(stale, terms, start=day("2026-02-01"))
        assert Bundle.objects.count() == 2
        second = Bundle.objects.get(valid_to=None)
        remove_allowance(Bundle.objects.get(pk=second.pk))
        with pytest.raises(BookRefused, match="removed meanwhile"):
            end_allowance(second, on=day("2026-03-01"))


def test_an_allowance_is_not_removed_while_calls_draw_from_it() -> None:
    house = make_house()
    with enter(Scope.of(house.pk)):
        kind = FeatureType.objects.create(reseller=house, code="P", name="Package", kind="package")
        remove_allowance(Bundle.objects.create(reseller=house, feature_type=kind, unit="seconds", amount=60))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND classid = %s AND objid = %s",
            [DRAWS, house.pk],
        )
        assert cursor.fetchall() == [("ExclusiveLock",)]
