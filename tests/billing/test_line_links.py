"""Lines of invoices name what exists and keep it, though the database does not look it up (ADR 0015)."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError

from billing.bills import bill
from billing.models import Feature, FeatureType, InvoiceLine, Number, NumberAssignment
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, day, make_customer, make_house, rate_batch

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
ORPHANS = """
SELECT count(*) FROM billing_invoiceline line
WHERE NOT EXISTS (SELECT FROM core_reseller reseller WHERE reseller.id = line.reseller_id)
    OR line.number_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM billing_number number WHERE (number.id, number.reseller_id) = (line.number_id, line.reseller_id))
    OR line.feature_type_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM billing_featuretype type
        WHERE (type.id, type.reseller_id) = (line.feature_type_id, line.reseller_id))
"""


def billed_house() -> tuple[Reseller, Number, FeatureType]:
    """Bill a customer for a call of a number and a feature on it."""
    house = make_house()
    with enter(Scope.of(house.pk)):
        ann = make_customer(house, "ANN")
        number = Number.objects.create(reseller=house, number="+441131000001")
        kind = FeatureType.objects.create(
            reseller=house, code="LINE", name="Line", kind="line", currency="GBP"
        )
        since = day("2026-05-01")
        NumberAssignment.objects.create(reseller=house, number=number, customer=ann, start_date=since)
        Feature.objects.create(
            reseller=house, customer=ann, feature_type=kind, number=number, start_date=since, price=D(10)
        )
        rate_batch(house, a_call(ann, "2026-05-05 10:00", "1.00", number=number))
        bill(house, parse_month("2026-05", house.zone), until="billed", now=NOW, scope=Scope.of(house.pk))
        Feature.objects.all().update(feature_type=other_type(house))
    return house, number, kind


def other_type(house: Reseller) -> FeatureType:
    """Make a feature type that no line names."""
    return FeatureType.objects.create(reseller=house, code="X", name="X", kind="line", currency="GBP")


def refused(statement: str, *values: int) -> bool:
    """Say whether the database refuses a statement."""
    with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return False
    return True


def test_lines_of_a_run_name_what_exists() -> None:
    house, number, kind = billed_house()
    with enter(Scope.of(house.pk)), connection.cursor() as cursor:
        named = InvoiceLine.objects.values_list("number", "feature_type").order_by("kind", "service_start")
        assert set(named) == {(number.pk, kind.pk), (number.pk, None)}
        cursor.execute(ORPHANS)
        assert cursor.fetchone() == (0,)
        InvoiceLine.objects.filter(kind="usage").update(number_id=10**12)
        cursor.execute(ORPHANS)
        assert cursor.fetchone() == (1,)


def test_what_a_line_names_cannot_be_deleted() -> None:
    house, number, kind = billed_house()
    with enter(Scope.of(house.pk)):
        for row in (number, kind):
            with pytest.raises(ProtectedError):
                row.delete()
        assert refused("DELETE FROM billing_featuretype WHERE id = %s", kind.pk)
        assert not refused("DELETE FROM billing_featuretype WHERE code = 'NONE'")
        assert refused("DELETE FROM billing_number WHERE id = %s", number.pk)
        InvoiceLine.objects.all().delete()
        assert not refused("DELETE FROM billing_featuretype WHERE id = %s", kind.pk)
