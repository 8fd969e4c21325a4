"""The scope: loud in Python, silent in the database."""

import pytest
from django.db import DatabaseError, connection, transaction

from billing.models import Customer
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, ScopeMissing, enter

pytestmark = pytest.mark.django_db


def two_houses() -> tuple[Reseller, Reseller]:
    """Make two resellers with one customer each."""
    houses = tuple(Reseller.objects.create(code=c, name=c.title()) for c in ("alpha", "beta"))
    for house in houses:
        with enter(Scope.of(house.pk)):
            Customer.objects.create(reseller=house, code="C1", name=f"{house.code} customer")
    return houses[0], houses[1]


def test_without_a_scope_tenant_rows_are_refused() -> None:
    with pytest.raises(ScopeMissing):
        Customer.objects.count()


def test_a_scope_shows_its_own_rows_only() -> None:
    alpha, beta = two_houses()
    with enter(Scope.of(alpha.pk)):
        assert list(Customer.objects.values_list("name", flat=True)) == ["alpha customer"]
    with enter(Scope.of(alpha.pk, beta.pk)):
        assert Customer.objects.count() == 2


def test_the_database_hides_rows_from_raw_sql() -> None:
    alpha, _ = two_houses()
    with enter(Scope.of(alpha.pk)), connection.cursor() as cursor:
        cursor.execute("SELECT name FROM billing_customer")
        assert cursor.fetchall() == [("alpha customer",)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing_customer")
        assert cursor.fetchone() == (0,)


def test_a_nested_scope_gives_the_outer_one_back() -> None:
    alpha, beta = two_houses()
    with enter(Scope.of(alpha.pk)):
        with enter(Scope.of(beta.pk)):
            assert Customer.objects.get().name == "beta customer"
        assert Customer.objects.get().name == "alpha customer"
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM billing_customer")
            assert cursor.fetchone() == (1,)


def test_a_row_cannot_be_written_into_another_house() -> None:
    alpha, beta = two_houses()
    with enter(Scope.of(alpha.pk)), pytest.raises(DatabaseError), transaction.atomic():
        Customer.objects.create(reseller=beta, code="X", name="intruder")


def test_leaving_a_broken_transaction_does_not_hide_what_broke_it() -> None:
    alpha, beta = two_houses()
    with enter(Scope.of(alpha.pk)):
        with enter(Scope.of(beta.pk)):
            transaction.set_rollback(True)
        transaction.set_rollback(False)
        assert Customer.objects.get().name == "alpha customer"
