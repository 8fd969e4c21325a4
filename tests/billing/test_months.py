"""Room for calls is made ahead, once, and no partition can be read but through the policy of the whole."""

from datetime import date

import pytest
from django.db import DatabaseError, connection, transaction

from billing.importing.months import make_room, months_from
from resellerkpi.core.jobs import TIMETABLE
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, make_customer, make_house, rate_batch

pytestmark = pytest.mark.django_db
PARTITIONS = """
SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_inherits JOIN pg_class ON oid = inhrelid
WHERE inhparent = 'billing_call'::regclass
"""


def partitions() -> dict[str, bool]:
    """Return the partitions and whether each is under row-level security, forced."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        return dict(cursor.fetchall())


def test_this_month_and_the_next_two_over_the_turn_of_the_year() -> None:
    assert months_from(date(2031, 12, 31)) == [date(2031, 12, 1), date(2032, 1, 1), date(2032, 2, 1)]


def test_room_is_made_once_and_every_night() -> None:
    before = set(partitions())
    assert make_room(date(2031, 12, 31)) == [date(2031, 12, 1), date(2032, 1, 1), date(2032, 2, 1)]
    assert make_room(date(2031, 12, 31)) == []
    assert make_room(date(2032, 1, 1)) == [date(2032, 3, 1)]
    made = {f"billing_call_{month}" for month in ("2031_12", "2032_01", "2032_02", "2032_03")}
    assert set(partitions()) - before == made
    assert TIMETABLE["usage.room"] == "20 1 * * *"


def test_no_partition_can_be_read_but_through_the_whole() -> None:
    house = make_house()
    with enter(Scope.of(house.pk)):
        make_room(date(2031, 12, 31))
        ann = make_customer(house, "ANN")
        rate_batch(house, a_call(ann, "2032-01-05 10:00", "1.00"), a_call(ann, "2033-07-05 10:00", "1.00"))
        found = partitions()
        assert {"billing_call_2032_01", "billing_call_2033_07"} <= set(found)
        for name, protected in found.items():
            assert protected
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                connection.cursor().execute(f"SELECT count(*) FROM {name}")
