"""Mandates: the list puts first whom nothing can be collected from; one is recorded, another follows, one ends."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from billing.models import Customer, Mandate, PaymentAttempt
from billing.web.mandates import with_mandates
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.scope import enter
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)


@pytest.fixture
def world() -> World:
    """Alpha, all of whose three customers pay by Direct Debit."""
    made = make_world()
    with enter(made.alpha.scope()):
        Customer.objects.update(payment_method="direct_debit")
    return made


def tried(customer: Customer, day: date, outcome: str, reason: str = "") -> None:
    """Present a bill."""
    PaymentAttempt.objects.create(
        reseller=customer.reseller, customer=customer, method="direct_debit", submitted_date=day,
        outcome=outcome, outcome_date=None if outcome == "pending" else day, reason_code=reason, amount=D(9),
        currency="GBP",
    )  # fmt: skip


def test_who_cannot_be_collected_from_comes_first_with_the_last_collection(world: World) -> None:
    one, two, three = world.alpha.customers[:3]
    own: dict[str, Any] = {"reseller": world.alpha.reseller}
    with enter(world.alpha.scope()):
        Mandate.objects.create(**own, customer=one, reference="M1", start_date=date(2025, 1, 1))
        for reference, start, end in (("M2", 2024, TODAY), ("M0", 2023, date(2024, 1, 1))):
            first = date(start, 1, 1)
            Mandate.objects.create(**own, customer=two, reference=reference, start_date=first, end_date=end)
        tried(one, date(2026, 11, 2), "failed", "0")
        tried(one, date(2026, 10, 2), "paid")
        tried(one, TODAY - timedelta(days=365), "failed", "1")
        rows = with_mandates(TODAY).order_by("urgency", "name")
        names = (
            "code",
            "mandate_state",
            "mandate_reference",
            "last_submitted",
            "last_outcome",
            "last_reason",
            "failed",
        )
        assert list(rows.values_list(*names)) == [
            (three.code, "none", None, None, None, None, 0),
            (two.code, "ended", "M2", None, None, None, 0),
            (one.code, "held", "M1", date(2026, 11, 2), "failed", "0", 1),
        ]
        Customer.objects.filter(pk=three.pk).update(payment_method="transfer")
        assert [row.code for row in with_mandates(TODAY).order_by("urgency")] == [two.code, one.code]


def test_the_list_leads_each_reader_to_where_he_may_go(client: Client, world: World) -> None:
    one = world.alpha.customers[0]
    for person, name in ((world.ana, "customer-mandate"), (world.vic, "customer"), (world.dee, "customer")):
        client.force_login(person, "django.contrib.auth.backends.ModelBackend")
        where = reverse(name, args=[one.pk])
        assert f'href="{where}"' in client.get(reverse("mandate-list")).content.decode()
        assert client.get(where).status_code == 200


@time_machine.travel("2026-11-22 12:00Z", tick=False)
def test_a_mandate_is_recorded_followed_by_another_and_ended(client: Client, world: World) -> None:
    client.force_login(world.ana, "django.contrib.auth.backends.ModelBackend")
    one, two = world.alpha.customers[:2]
    form, end = (reverse(name, args=[one.pk]) for name in ("customer-mandate", "customer-mandate-end"))
    assert "None, so nothing can be collected." in client.get(form).content.decode()
    assert "has no mandate in force" in client.post(end, {"on": "2026-11-22"}).content.decode()

    def opened() -> dict[str, Any]:
        return {"on": "2026-11-30", "mandate": client.get(end).context["form"].initial["mandate"]}

    assert client.post(form, {"reference": "M1", "start": "2026-01-05"}).status_code == 302
    page = client.get(reverse("customer", args=[one.pk])).content.decode()
    assert "M1, since 5 Jan 2026" in page
    early = client.post(form, {"reference": "M2", "start": "2026-01-05"}).content.decode()
    assert "Mandate M1 began on 5 Jan 2026: a new one begins later." in early
    stale = opened()
    assert client.post(form, {"reference": "M2", "start": "2026-11-01"}).status_code == 302
    assert "Mandate M2 was recorded since you opened this page." in client.post(end, stale).content.decode()
    assert client.post(form, {"reference": "M3", "start": "2026-12-01"}).status_code == 302
    assert "M2, since 1 Nov 2026 until 1 Dec 2026" in client.get(form).content.decode()
    taken = client.post(
        reverse("customer-mandate", args=[two.pk]), {"reference": "M1", "start": "2026-11-01"}
    )
    assert f"Mandate M1 is recorded already, for {one.name}." in taken.content.decode()
    assert client.post(end, opened()).status_code == 302
    with enter(world.alpha.scope()):
        held = Mandate.objects.order_by("start_date").values_list("reference", "start_date", "end_date")
        assert list(held) == [
            ("M1", date(2026, 1, 5), date(2026, 11, 1)),
            ("M2", date(2026, 11, 1), date(2026, 11, 30)),
            ("M3", date(2026, 12, 1), None),
        ]
        said = AuditEvent.objects.filter(action__startswith="mandate.").order_by("pk")
        assert [event.action for event in said] == ["mandate.recorded"] * 3 + ["mandate.ended"]
    listed = client.get(reverse("mandate-list"), {"q": "M2"}).content.decode()
    assert (one.name in listed, two.name in listed) == (True, False)
