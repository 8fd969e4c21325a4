"""The fraud watch's mail: the reasons, the calls attached, to who watches, once, shown in the outbox."""

import csv
import io
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing.models import ChangedDay, FraudAlert, SpendLimit
from billing.watch.act import set_watchers
from reports.models import MailDelivery
from reports.watching import claim
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.scope import enter
from tests.billing.money import a_call, rate_batch
from tests.reports.smtp import Box, smtp_server
from tests.reports.test_report_mail import files_of, text_of
from tests.rules.test_access import client_of
from tests.world import World, make_user, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def box(settings: Any) -> Iterator[Box]:
    with smtp_server(settings) as box:
        yield box


@pytest.fixture
def world(box: Box) -> World:
    """Alpha with a limit of 5 a day, passed today; Ana and Fin watch; Vic may see no calls, so he cannot."""
    world = make_world()
    fin = make_user("fin@alpha.example", "Fin Fox", world.alpha, Role.FINANCE)
    with enter(world.alpha.scope()):
        assert set_watchers([world.ana.pk, fin.pk, world.vic.pk, world.bo.pk, world.dee.pk]) == 2
        SpendLimit.objects.create(
            reseller=world.alpha.reseller, per="day", amount=D(5), start_date=date(2026, 1, 1)
        )
        spend(world, "6.25")
    return world


def spend(world: World, price: str) -> None:
    """Let Alpha's first customer make a call just now."""
    now = timezone.now()
    rate_batch(
        world.alpha.reseller,
        a_call(
            world.alpha.customers[0],
            f"{now:%Y-%m-%d %H:%M}",
            price,
            dialled="+5371234567",
            destination="Cuba",
        ),
    )
    day = now.astimezone(world.alpha.reseller.zone).date()
    ChangedDay.objects.update_or_create(reseller=world.alpha.reseller, day=day)


def watch(world: World) -> None:
    """Let the hourly job run; the eager worker has mailed when this returns."""
    with enter(world.alpha.scope()):
        enqueue("usage.watch", {}, title="Fraud watch")


def test_each_watcher_gets_one_mail_with_the_reason_and_the_calls(world: World, box: Box) -> None:
    watch(world)

    [mail] = box.to("ana@alpha.example")
    assert "Alpha Customer 1 has reached the limit for every customer for all usage on " in text_of(mail)
    assert "To stop" not in text_of(mail)
    [content] = files_of(mail).values()
    row, *_ = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (row["Dialled"], row["Destination"], row["Price"]) == ("+5371234567", "Cuba", "6.250000")
    assert len(box.to("fin@alpha.example")) == 1
    assert [len(box.to(who)) for who in ("vic@alpha.example", "bo@beta.example")] == [0, 0]

    with enter(world.alpha.scope()):
        spend(world, "3.00")
    watch(world)
    watch(world)
    assert len(box.to("ana@alpha.example")) == 1
    with enter(world.alpha.scope()):
        assert FraudAlert.objects.get().retail == D("9.25")
        states = MailDelivery.objects.order_by("recipient").values_list("recipient", "state")
        assert list(states) == [("ana@alpha.example", "sent"), ("fin@alpha.example", "sent")]

    client = client_of(world.ana)
    assert "Calls behind fraud warnings" in client.get("/reports/outbox/").content.decode()


def test_a_mail_that_found_no_server_goes_out_an_hour_later(world: World, box: Box, settings: Any) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    watch(world)
    with enter(world.alpha.scope()):
        assert set(MailDelivery.objects.values_list("state", flat=True)) == {"failed"}
    settings.EMAIL_PORT = port
    watch(world)
    assert len(box.to("ana@alpha.example")) == 1
    with enter(world.alpha.scope()):
        assert set(MailDelivery.objects.values_list("state", flat=True)) == {"sent"}


def test_two_workers_claim_a_warning_once(world: World) -> None:
    with enter(world.alpha.scope()):
        set_watchers([])
    watch(world)
    start, taken = threading.Barrier(2), []

    def work(request: str) -> None:
        try:
            start.wait(10)
            with enter(world.alpha.scope()):
                taken.append(len(claim(request, now=timezone.now() + timedelta(minutes=1))))
        finally:
            connection.close()

    requests = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")
    workers = [threading.Thread(target=work, args=(request,)) for request in requests]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(taken) == [0, 1]
