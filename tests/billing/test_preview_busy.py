"""A preview asked for while a run holds the tables."""

import psycopg2
import pytest
from django.db import connection

from billing.book_features import start_feature
from billing.preview import BusyNow, preview_bill
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import day, make_customer, make_house
from tests.billing.test_charging import make_type

pytestmark = pytest.mark.usefixtures("committed_db")


def test_it_waits_little_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.preview.WAIT", "50ms")
    house = make_house("busy")
    with enter(Scope.of(house.pk)):
        ann = make_customer(house, "ANN")
        start_feature(customer=ann, feature_type=make_type(house), start=day("2026-01-01"))
    about = connection.settings_dict
    where = {"dbname": about["NAME"], "host": about["HOST"], "port": about["PORT"]}
    other = psycopg2.connect(**where, user=about["USER"], password=about["PASSWORD"])
    try:
        other.cursor().execute("SET lock_timeout = '5s'; LOCK TABLE billing_billingrun IN SHARE MODE")
        with enter(Scope.of(house.pk)), pytest.raises(BusyNow, match="right now"):
            preview_bill(ann, today=day("2026-03-20"))
    finally:
        other.close()
