"""The pages of schedules, the outbox and the list of links."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from reports import sharing
from reports.models import MailDelivery, Run, Schedule, ScheduleTurn
from reports.registry import REPORTS
from reports.run import run
from resellerkpi.core.scope import enter
from tests.reports.bills import three_bills
from tests.reports.smtp import Box, smtp_server
from tests.reports.test_sharing import NOVEMBER, signed_in
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
PLAN = {
    "name": "Monday invoices",
    "period": "last_month",
    "formats": ["csv"],
    "columns": ["number", "customer_name", "currency", "gross"],
    "frequency": "weekly",
    "weekday": "0",
    "month_day": "1",
    "time": "07:30",
    "zone": "Europe/London",
    "recipients": "boss@alpha.example, bank@firm.example",
    "note": "Every <Monday>.",
    "send": "above",
    "total": "gross",
    "amount": "0.01",
}


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    """It is 5 December 2026."""
    with time_machine.travel(datetime(2026, 12, 5, 9, tzinfo=UTC), tick=True):
        yield


@pytest.fixture
def box(settings: Any) -> Iterator[Box]:
    with smtp_server(settings) as box:
        yield box


@pytest.fixture
def world(box: Box) -> World:
    world = make_world()
    three_bills(world.alpha)
    return world


@pytest.fixture
def made(world: World) -> Run:
    with enter(world.alpha.scope()):
        query = {**NOVEMBER, "customer": ["C001"]}
        return run(REPORTS.get("invoices"), query, now=timezone.now(), user=world.ana)


@pytest.fixture
def ana(world: World) -> Client:
    return signed_in(world.ana)


def scheduled(ana: Client, made: Run, **more: Any) -> Any:
    """Schedule a result."""
    return ana.post(f"/reports/runs/{made.pk}/schedule/", {**PLAN, **more})


def test_a_result_is_scheduled_with_its_own_query(world: World, ana: Client, made: Run) -> None:
    form = ana.get(f"/reports/runs/{made.pk}/schedule/").content.decode()
    assert "Cost (hidden by default)" in form
    assert "C001" in form
    answer = scheduled(ana, made)
    with enter(world.alpha.scope()):
        schedule = Schedule.objects.get()
    assert answer["Location"] == f"/reports/schedules/{schedule.pk}/"
    assert schedule.params == {"view": ["invoices"], "customer": ["C001"], "period": ["last_month"]}
    assert (schedule.owner_id, schedule.role, schedule.weekday) == (world.ana.pk, "owner", 0)
    page = ana.get(answer["Location"]).content.decode()
    for words in (
        "Every Monday at 07:30 (Europe/London)",
        "boss@alpha.example, bank@firm.example",
        "Only if the total of Gross is above 0.01",
        "Every &lt;Monday&gt;.",
        "Invoice, Customer, Currency, Gross",
        "It has not run yet.",
    ):
        assert words in page
    assert "Monday invoices" in ana.get("/reports/schedules/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"recipients": "nobody"}, "“nobody” is not an e-mail address."),
        ({"zone": "Mars/Olympus"}, "There is no time zone called “Mars/Olympus”."),
        ({"month_day": "32"}, "less than or equal to 31"),
        ({"amount": ""}, "Give the amount."),
        ({"total": ""}, "Choose the total to look at."),
        ({"columns": []}, "Columns: This field is required."),
        ({"period": "dates"}, "not one of the available choices"),
        ({"time": "25:00"}, "Enter a valid time."),
    ],
)
def test_what_cannot_be_scheduled_is_said_and_nothing_is_lost(
    world: World, ana: Client, made: Run, wrong: dict[str, Any], words: str
) -> None:
    answer = scheduled(ana, made, **wrong)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert "Every &lt;Monday&gt;." in answer.content.decode()
    with enter(world.alpha.scope()):
        assert Schedule.objects.count() == 0


def test_run_now_pause_change_start_again_and_delete(world: World, ana: Client, made: Run, box: Box) -> None:
    place = scheduled(ana, made)["Location"]
    assert ana.post(f"{place}run/")["Location"].startswith("/jobs/")
    assert [who for who, _ in box.mails] == ["boss@alpha.example", "bank@firm.example"]
    page = ana.get(place).content.decode()
    assert "2 of 2 mails went out." in page
    assert "bank@firm.example" in page
    ana.post(f"{place}pause/")
    assert "Somebody paused it" in ana.get(place).content.decode()
    with enter(world.alpha.scope()):
        before = Schedule.objects.get()
    answer = ana.post(f"{place}edit/", {**PLAN, "name": "Daily", "frequency": "daily", "send": "always"})
    assert answer["Location"] == place
    ana.post(f"{place}resume/")
    with enter(world.alpha.scope()):
        after = Schedule.objects.get()
    assert before.paused_at is not None
    assert (after.paused_at, after.name, after.total, after.amount) == (None, "Daily", "", None)
    assert after.next_run_at <= timezone.now() + timedelta(days=1, hours=1)
    asked = ana.get(f"{place}delete/").content.decode()
    assert "2 people get no more mails of it" in asked
    assert ana.post(f"{place}delete/")["Location"] == "/reports/schedules/"
    with enter(world.alpha.scope()):
        assert Schedule.objects.count() == ScheduleTurn.objects.count() == 0
        assert MailDelivery.objects.count() == 2
    assert "Nothing is scheduled yet." in ana.get("/reports/schedules/").content.decode()


def test_others_cannot_touch_it(world: World, ana: Client, made: Run) -> None:
    place = scheduled(ana, made)["Location"]
    for act in ("run", "pause", "resume", "delete", "edit"):
        assert signed_in(world.bo).post(f"{place}{act}/").status_code == 404
        assert signed_in(world.vic).post(f"{place}{act}/").status_code == 403
    with enter(world.alpha.scope()):
        assert Schedule.objects.get().paused_at is None
        assert ScheduleTurn.objects.count() == 0


def test_the_outbox_shows_each_mail_as_it_was_sent(world: World, ana: Client, made: Run, box: Box) -> None:
    box.refuse = {"gone@firm.example": "550 No such user"}
    given = {
        "to": "boss@alpha.example gone@firm.example",
        "formats": ["csv"],
        "columns": ["number", "invoice_date", "gross"],
    }
    ana.post(f"/reports/runs/{made.pk}/mail/", {**given, "note": "Hello <script>alert(1)</script>"})
    listed = ana.get("/reports/outbox/").content.decode()
    assert "gone@firm.example" in listed
    assert "The mail server refused the address: 550 No such user" in listed
    assert "gone@" not in ana.get("/reports/outbox/?state=sent").content.decode()
    with enter(world.alpha.scope()):
        sent = MailDelivery.objects.select_related("letter").get(recipient="boss@alpha.example")
    page = ana.get(f"/reports/outbox/{sent.pk}/").content.decode()
    assert "Alpha Telecom: Invoices: November 2026" in page
    assert sent.letter.files[0]["sha256"] in page
    body = ana.get(f"/reports/outbox/{sent.pk}/body")
    html = body.content.decode()
    assert "A-0001" in html
    assert "<script" not in html
    assert re.search(r'src="data:image/png;base64,[A-Za-z0-9+/=]{1000,}"', html)
    assert body["Content-Security-Policy"].startswith("default-src 'none';")
    assert body["X-Frame-Options"] == "SAMEORIGIN"
    assert signed_in(world.bo).get(f"/reports/outbox/{sent.pk}/body").status_code == 404


def test_the_list_of_links_tells_who_what_until_when_and_how_often(
    world: World, ana: Client, made: Run
) -> None:
    now = timezone.now()
    with enter(world.alpha.scope()):
        _, token = sharing.mint(made, now=now, label="The bank")
        ended, _ = sharing.mint(made, now=now - timedelta(days=3), days=1, label="The auditor")
        killed, _ = sharing.mint(made, now=now, label="The press")
        sharing.revoke(killed, now=now)
    for _ in range(2):
        Client().get(f"/view?id={token}")
    rows = ana.get("/reports/links/").context["table"].page.object_list
    found = {r.record["label"]: (r.record["state"], r.record["opened"]) for r in rows}
    assert found == {"The bank": ("open", 2), "The auditor": ("expired", 0), "The press": ("void", 0)}
    assert f"/reports/runs/{made.pk}/share/" in ana.get("/reports/links/").content.decode()
    assert "Alpha" not in signed_in(world.bo).get("/reports/links/").content.decode()
