"""Mandates recorded by two people at once: one after the other, and each is told of what the other did."""

from threading import Event, Thread
from time import sleep

import pytest
from django.db import connection

from billing.book import BookRefused
from billing.receivables.mandates import MandateRefused, record_mandate
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import day, make_customer, make_house


@pytest.mark.parametrize(
    ("whose", "reference", "told"),
    [
        ("C1", "M2", "M1 began on 1 Mar 2026"),
        ("C2", "M1", "A mandate with this reference is recorded already."),
    ],
)
def test_two_people_who_record_mandates_at_once_take_turns(
    committed_db: None, whose: str, reference: str, told: str
) -> None:
    """Given a mandate that is not committed yet, whoever records another waits for it, and is told of it."""
    house, recorded = make_house(), Event()
    with enter(Scope.of(house.pk)):
        customers = {code: make_customer(house, code) for code in ("C1", "C2")}

    def first() -> None:
        with enter(Scope.of(house.pk)):
            record_mandate(customer=customers["C1"], reference="M1", start=day("2026-03-01"))
            recorded.set()
            sleep(0.3)
        connection.close()

    thread = Thread(target=first)
    thread.start()
    assert recorded.wait(10)
    with enter(Scope.of(house.pk)), pytest.raises((MandateRefused, BookRefused), match=told):
        record_mandate(customer=customers[whose], reference=reference, start=day("2026-03-01"))
    thread.join()
