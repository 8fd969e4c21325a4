"""What a person may not read or do on a page that it may open."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from resellerkpi.core.models import Job, Membership, User
from resellerkpi.core.scope import enter
from tests.rules.test_access import client_of
from tests.rules.worked_world import worked_world
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def world() -> World:
    return make_world()


def stop(client: Client, world: World, owner: User | None) -> int:
    """Press Stop on somebody's job and return the answer's status."""
    with enter(world.alpha.scope()):
        job = Job.objects.create(reseller=world.alpha.reseller, kind="test", title="Load a file", owner=owner)
    return client.post(reverse("job", args=[job.pk])).status_code


def test_work_is_stopped_by_who_started_it_or_manages_the_house(world: World) -> None:
    assert stop(client_of(world.ana), world, world.vic) == 302
    assert stop(client_of(world.ana), world, None) == 302
    assert stop(client_of(world.vic), world, world.vic) == 302
    assert stop(client_of(world.vic), world, world.ana) == 403
    assert stop(client_of(world.vic), world, None) == 403
    assert stop(client_of(world.dee), world, world.ana) == 404


def test_markup_and_carrier_of_a_tariff_are_for_those_who_may_see_them(world: World) -> None:
    with enter(world.alpha.scope()):
        tariff = world.alpha.retail
        tariff.markup_percent, tariff.carrier = Decimal("37.5"), world.alpha.carrier
        tariff.save()
    shown = {
        who.email: client_of(who).get(reverse("tariff", args=[tariff.pk])).content.decode()
        for who in (world.ana, world.dee, world.vic)
    }
    secrets = ("37.5", "Alpha Carrier")
    found = {email: [s for s in secrets if s in page] for email, page in shown.items()}
    assert found == {"ana@alpha.example": [*secrets], "dee@alpha.example": [], "vic@alpha.example": []}


def test_nobody_enters_a_reseller_it_is_not_a_member_of(world: World) -> None:
    for who in (world.ana, world.dee):
        client = client_of(who)
        foreign = {"reseller": str(world.beta.reseller.pk)}
        assert client.post(reverse("switch-reseller"), foreign).status_code == 422
        who.current_reseller = world.beta.reseller
        who.save()
        assert client.get(reverse("customer", args=[world.beta.customers[0].pk])).status_code == 404
        assert client.get(reverse("customer", args=[world.alpha.customers[0].pk])).status_code == 200
    assert Membership.objects.filter(user=world.ana).count() == 1


@pytest.mark.parametrize(
    "away", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"]
)
def test_no_address_leads_out_of_the_house(world: World, away: str) -> None:
    client = Client()
    entered = client.post(
        f"{reverse('login')}?next={away}",
        {"username": world.ana.email, "password": "a long enough pass phrase", "next": away},
    )
    themed = client.post(reverse("theme"), {"theme": "dark", "next": away})
    for answer in (entered, themed):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/")
        assert "evil" not in answer["Location"]


def test_a_form_takes_no_row_of_another_house(world: World) -> None:
    client, customer = client_of(world.ana), world.alpha.customers[0]
    where = reverse("customer-edit", args=[customer.pk])
    foreign = {
        "reseller": world.beta.reseller.pk,
        "dealer": world.beta.dealers[0].pk,
        "parent": world.beta.customers[0].pk,
        "name": "Renamed",
        "code": customer.code,
    }
    assert client.post(where, foreign).status_code == 422
    with enter(world.alpha.scope()):
        customer.refresh_from_db()
    assert (customer.name, customer.reseller_id) == ("Alpha Customer 1", world.alpha.reseller.pk)


def test_who_supplied_a_call_is_for_those_who_keep_the_book(tmp_path: Path) -> None:
    world, alpha, _ = worked_world(tmp_path)
    where = reverse("call", args=[alpha.call.pk])
    shown = {who.email: client_of(who).get(where).content.decode() for who in (world.ana, world.dee)}
    found = {email: "Alpha Carrier" in page or "Alpha.csv" in page for email, page in shown.items()}
    assert found == {"ana@alpha.example": True, "dee@alpha.example": False}
