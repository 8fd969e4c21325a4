"""Mailing a run: one mail per person with the files attached, logged, never twice."""

import io
import smtplib
from typing import Any

import openpyxl
import pytest
from django.core import mail
from django.test import Client

import reports.mailing
from reports import mailing
from reports.jobs import send_mails
from reports.models import MailDelivery, Run
from reports.registry import REPORTS
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import Task
from resellerkpi.core.mail import send
from resellerkpi.core.models import Job
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, three_bills
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
NOVEMBER = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}
NAMES = ["number", "customer_name", "net", "gross"]


@pytest.fixture
def world(settings: Any) -> World:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    world = make_world()
    three_bills(world.alpha)
    return world


@pytest.fixture
def made(world: World) -> Run:
    with enter(world.alpha.scope()):
        return run(REPORTS.get("invoices"), NOVEMBER, now=NOW, user=world.ana)


def ask(made: Run, *to: str, formats: tuple[str, ...] = ("csv", "xlsx"), note: str = "") -> Job:
    """Ask for mails; the eager worker has sent them when this returns."""
    with enter(Scope.of(made.reseller_id, why="test")):
        return mailing.ask(made, to=to, formats=formats, names=NAMES, note=note, now=NOW)


def outcomes(made: Run) -> list[tuple[str, str, str]]:
    """Return the delivery log."""
    with enter(Scope.of(made.reseller_id, why="test")):
        return list(MailDelivery.objects.order_by("pk").values_list("recipient", "state", "error"))


def test_everybody_gets_a_mail_of_their_own(made: Run) -> None:
    ask(made, "a@one.example", "b@two.example", note="Please check <b>these</b>.")
    assert [m.to for m in mail.outbox] == [["a@one.example"], ["b@two.example"]]
    sent: Any = mail.outbox[0]
    assert sent.subject == "Alpha Telecom: Invoices: November 2026"
    for text in (
        "A-0001",
        "Alpha Customer 1",
        "96.00",
        "Please check <b>these</b>.",
        f"/reports/runs/{made.pk}/",
    ):
        assert text in sent.body
    assert "Please check &lt;b&gt;these&lt;/b&gt;." in sent.alternatives[0][0]
    assert "Gross 336.00" in sent.body
    for hidden in ("Cost", "Margin", "Ana Alder", "40.12"):
        assert hidden not in sent.body + sent.alternatives[0][0]
    names = [name for name, _, _ in sent.attachments]
    assert names == ["invoices-2026-11-01-to-2026-12-01.csv", "invoices-2026-11-01-to-2026-12-01.xlsx"]
    book = openpyxl.load_workbook(io.BytesIO(sent.attachments[1][1]))
    assert [c.value for c in next(iter(book.worksheets[0].rows))] == ["Invoice", "Customer", "Net", "Gross"]
    assert outcomes(made) == [("a@one.example", "sent", ""), ("b@two.example", "sent", "")]


def test_running_the_job_again_sends_nothing_twice(made: Run) -> None:
    job = ask(made, "a@one.example")
    task = Task(job_id=str(job.pk), stored_scope=Scope.of(made.reseller_id, role=Role.OWNER))
    send_mails(task, **job.params)
    assert len(mail.outbox) == 1


def test_a_server_that_refuses_is_logged_and_the_others_get_theirs(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(template: str, **message: Any) -> None:
        if message["to"] == ["a@one.example"]:
            raise smtplib.SMTPRecipientsRefused({})
        send(template, **message)

    monkeypatch.setattr("reports.mailing.send", picky)
    ask(made, "a@one.example", "b@two.example")
    assert outcomes(made) == [
        ("a@one.example", "failed", "The mail server did not take it (SMTPRecipientsRefused)."),
        ("b@two.example", "sent", ""),
    ]


def test_files_too_large_for_a_mail_are_left_out_and_said_so(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports.mailing, "MOST_BYTES", 100)
    ask(made, "a@one.example")
    assert mail.outbox[0].attachments == []
    assert "The files are too large for a mail." in mail.outbox[0].body


def test_the_page_sends_to_several_addresses(world: World, made: Run) -> None:
    ana = Client()
    ana.force_login(world.ana, "django.contrib.auth.backends.ModelBackend")
    place = f"/reports/runs/{made.pk}/mail/"
    assert "Send by mail" in ana.get(place).content.decode()
    wrong = ana.post(place, {"to": "nobody", "columns": NAMES})
    assert wrong.status_code == 422
    assert "“nobody” is not an e-mail address." in wrong.content.decode()
    answer = ana.post(
        place, {"to": "a@one.example; B@two.example, a@one.example", "formats": ["csv"], "columns": NAMES}
    )
    assert answer["Location"].startswith("/jobs/")
    assert [m.to for m in mail.outbox] == [["a@one.example"], ["b@two.example"]]
    assert "b@two.example" in ana.get(f"/reports/runs/{made.pk}/").content.decode()


def test_addresses() -> None:
    assert mailing.addresses("a@x.example,  A@x.example;b@y.example") == ["a@x.example", "b@y.example"]
    for text in ("", "a@x.example\nBcc: c@z.example", " , "):
        with pytest.raises(mailing.BadAddresses):
            mailing.addresses(text)
