"""Why customers leave and stay: the question by mail answered once without signing in, and the page of reasons."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Customer, CustomerEvent
from kpis import stay
from kpis.models import StayAnswer
from kpis.web.why import group_of
from resellerkpi.core.scope import enter
from tests.rules.test_access import client_of
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def world() -> World:
    made = make_world()
    with enter(made.alpha.scope()):
        Customer.objects.filter(pk=made.alpha.customers[0].pk).update(email="ann@example.com")
    return made


def asked(world: World) -> str:
    """Ask the first customer by mail and return the path of its link."""
    address = reverse("customer-stay", args=[world.alpha.customers[0].pk])
    assert client_of(world.ana).post(address, {"how": "mail"}).status_code == 302
    (sent,) = mail.outbox
    assert sent.to == ["ann@example.com"]
    found = re.search(r"https?://\S+?(/answer\?id=\S+)", str(sent.body))
    assert found
    return found[1]


def kept(world: World) -> list[tuple[str, str]]:
    """Return the answers of the house."""
    with enter(world.alpha.scope()):
        return list(StayAnswer.objects.exclude(reason="").values_list("reason", "words"))


def test_a_customer_answers_once_without_signing_in(world: World) -> None:
    link, stranger = asked(world), Client()
    page = stranger.get(link)
    assert "What keeps you most?" in page.content.decode()
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "no-store, private")
    assert stranger.post(link, {"reason": "dearest"}).status_code == 422
    assert kept(world) == []
    thanks = stranger.post(link, {"reason": "people", "words": "Jo <knows> us"})
    assert "Thank you" in thanks.content.decode()
    stranger.post(link, {"reason": "price", "words": "No"})
    assert "Thank you" in stranger.get(link).content.decode()
    assert kept(world) == [("people", "Jo <knows> us")]
    shown = client_of(world.ana).get(reverse("why-leave")).content.decode()
    month = f"{timezone.now():%Y-%m}"
    shown = client_of(world.ana).get(reverse("why-leave"), {"from": month, "to": month}).content.decode()
    assert "Jo &lt;knows&gt; us" in shown


def test_only_a_hash_is_kept_and_a_wrong_or_old_link_opens_nothing(world: World) -> None:
    link = asked(world)
    token = link.partition("id=")[2]
    with enter(world.alpha.scope()):
        row = StayAnswer.objects.get()
        assert row.token_hash == stay.hash_of(token)
    closed = Client().get("/answer?id=" + token[:-1])
    assert (closed.status_code, Client().get("/answer").content) == (404, closed.content)
    with enter(world.alpha.scope()):
        StayAnswer.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().post(link, {"reason": "price"}).content == closed.content
    assert kept(world) == []


def test_guessing_is_stopped(world: World) -> None:
    link = asked(world)
    for _ in range(30):
        Client().get("/answer?id=guess")
    assert Client().get(link).status_code == 404
    cache.clear()
    assert Client().get(link).status_code == 200


def test_staff_write_down_what_they_hear(world: World) -> None:
    browser, customer = client_of(world.ana), world.alpha.customers[0]
    address = reverse("customer-stay", args=[customer.pk])
    assert "Say what keeps them most." in browser.post(address, {"how": "told"}).content.decode()
    assert browser.post(address, {"how": "told", "reason": "price", "words": "Cheap"}).status_code == 302
    assert kept(world) == [("price", "Cheap")]
    asked(world)
    again = browser.post(address, {"how": "mail"})
    assert "asked already" in again.content.decode()
    none = reverse("customer-stay", args=[world.alpha.customers[1].pk])
    with enter(world.alpha.scope()):
        Customer.objects.filter(pk=world.alpha.customers[1].pk).update(email="")
    assert "has no e-mail address" in browser.post(none, {"how": "mail"}).content.decode()


def test_who_left_and_why(world: World) -> None:
    customer = world.alpha.customers[0]
    with enter(world.alpha.scope()):
        CustomerEvent.objects.create(
            reseller=world.alpha.reseller, customer=customer, date=timezone.now().date(), status="ceased",
            reason="competitor", words="Cheaper lines", competitor="Northern Dial",
        )  # fmt: skip
    month = f"{timezone.now():%Y-%m}"
    for who, found in ((world.ana, True), (world.bo, False)):
        page = client_of(who).get(reverse("why-leave"), {"from": month, "to": month}).content.decode()
        assert ("Northern Dial" in page, "Cheaper lines" in page) == (found, found)


@pytest.mark.parametrize(
    ("reason", "group"),
    [("price", "Voluntary"), ("port_out", "Ported out"), ("non_payment", "Involuntary"),
     ("ceased_trading", "Involuntary"), ("", "Not said"), ("unknown", "Not said")],
)  # fmt: skip
def test_kinds_of_reasons(reason: str, group: str) -> None:
    assert group_of(reason) == group
