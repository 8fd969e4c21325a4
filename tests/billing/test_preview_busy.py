"""What is asked for while a run is being made: a preview says so, taking a charge back waits."""

import psycopg2
import pytest
from django.db import OperationalError, connection, transaction

from billing.book_features import start_feature
from billing.charging.adjust import add_charge, remove_charge
from billing.models.locks import MONEY
from billing.preview import BusyNow, preview_bill
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house
from tests.billing.test_charging import make_type

pytestmark = pytest.mark.usefixtures("committed_db")


def somebody_else() -> "psycopg2.extensions.connection":
    """Connect as another worker."""
    about = connection.settings_dict
    where = {"dbname": about["NAME"], "host": about["HOST"], "port": about["PORT"]}
    return psycopg2.connect(**where, user=about["USER"], password=about["PASSWORD"])


def test_it_waits_little_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.preview.WAIT", "50ms")
    house = make_house("busy")
    with enter(Scope.of(house.pk)):
        ann = make_customer(house, "ANN")
        start_feature(customer=ann, feature_type=make_type(house), start=day("2026-01-01"))
    other = somebody_else()
    try:
        other.cursor().execute("SET lock_timeout = '5s'; LOCK TABLE billing_billingrun IN SHARE MODE")
        with enter(Scope.of(house.pk)), pytest.raises(BusyNow, match="right now"):
            preview_bill(ann, today=day("2026-03-20"))
    finally:
        other.close()


def test_a_charge_that_a_run_may_be_billing_is_not_taken_back_meanwhile() -> None:
    house = make_house("busy")
    with enter(Scope.of(house.pk)):
        visit = add_charge(
            make_customer(house, "ANN"), description="Visit", amount=D(9), on=day("2026-01-20")
        )
    other = somebody_else()
    try:
        other.cursor().execute("SELECT pg_advisory_xact_lock(%s, %s)", [MONEY, house.pk])
        with enter(Scope.of(house.pk)), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
                remove_charge(visit.pk)
    finally:
        other.close()
