"""Mailing a run over a real SMTP server: what arrives, to whom, what is refused, and never twice."""

import csv
import hashlib
import io
import re
import struct
from collections.abc import Iterator
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pytest
from django.test import Client

import reports.letters
from reports import mailing
from reports.charting import draw
from reports.jobs import send_mails
from reports.letters import HIDDEN_TOKEN
from reports.models import Letter, MailDelivery, Run, ShareLink
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import Task
from resellerkpi.core.models import Job
from resellerkpi.core.scope import Scope, enter
from resellerkpi.ui.charts import figure
from tests.reports.bills import NOW, three_bills
from tests.reports.smtp import Box, smtp_server
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
NOVEMBER = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}
NAMES = ["number", "customer_name", "currency", "invoice_date", "net", "gross"]
BROKE_OFF = "The mail server broke off while it took the mail: it may or may not have arrived."


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
        return run(REPORTS.get("invoices"), NOVEMBER, now=NOW, user=world.ana)


def ask(
    made: Run,
    *to: str,
    formats: tuple[str, ...] = ("csv", "xlsx"),
    note: str = "",
    names: list[str] = NAMES,
    user_id: int | None = None,
) -> Job:
    """Ask for mails; the eager worker has sent them when this returns."""
    with enter(Scope.of(made.reseller_id, user_id=user_id, why="test")):
        return mailing.ask(made, to=to, formats=formats, names=names, note=note, now=NOW)


def outcomes(made: Run) -> list[tuple[str, str, str]]:
    """Return the delivery log."""
    with enter(Scope.of(made.reseller_id, why="test")):
        return list(MailDelivery.objects.order_by("pk").values_list("recipient", "state", "error"))


def text_of(mail: EmailMessage) -> str:
    """Return a mail's plain text."""
    body: Any = mail.get_body(("plain",))
    return str(body.get_content()).replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    """Return a mail's HTML."""
    body: Any = mail.get_body(("related", "html"))
    html: Any = body.get_body(("html",)) if body.get_content_type() == "multipart/related" else body
    return str(html.get_content())


def files_of(mail: EmailMessage) -> dict[str, bytes]:
    """Return a mail's attached files by name."""
    return {part.get_filename(): part.get_content_bytes() for part in _attached(mail)}


def _attached(mail: EmailMessage) -> Iterator[Any]:
    for part in mail.walk():
        if part.get_content_disposition() == "attachment":
            part.get_content_bytes = lambda part=part: part.get_payload(decode=True)  # type: ignore[attr-defined]
            yield part


class Cells(HTMLParser):
    """The cells of every table of a mail, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Open a row or a cell."""
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """Close a cell."""
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Keep a cell's words."""
        if self.inside:
            self.rows[-1][-1] += data.strip()


def test_what_arrives_holds_the_figures_of_the_run(world: World, made: Run, box: Box) -> None:
    ask(made, "a@one.example", "b@two.example", note="Please check <b>these</b>.", user_id=world.ana.pk)
    assert [who for who, _ in box.mails] == ["a@one.example", "b@two.example"]
    mail = box.to("a@one.example")[0]
    assert (mail["Subject"], mail["To"]) == ("Alpha Telecom: Invoices: November 2026", "a@one.example")
    assert mail["From"] == "Alpha Telecom <billing@localhost>"
    assert (mail["Reply-To"], mail["Auto-Submitted"]) == ("ana@alpha.example", "auto-generated")
    text, html = text_of(mail), html_of(mail)
    with enter(world.alpha.scope()):
        showing = Showing(made, tuple(NAMES))
        rows = [
            [c.display(row) for c in reports.letters.table_columns(showing.columns)] for row in showing.rows()
        ]
    cells = Cells(html).rows
    heads = ["Invoice", "Date", "Customer", "Net", "Gross"]
    assert cells[cells.index(heads) + 1 : cells.index(heads) + 4] == rows
    assert rows[0] == ["A-0001", "1 Nov 2026", "Alpha Customer 1", "80.00", "96.00"]
    assert ["Currency", "GBP"] in cells
    assert ["Gross", "336.00"] in cells
    assert "Gross: 336.00\n" in text
    assert " | ".join(rows[2]) in text
    assert "1 more column in the files." in " ".join(html.split())
    assert "Agrees with the books: 3 of 3 totals tie out." in text
    assert "Please check <b>these</b>." in text
    assert "Please check &lt;b&gt;these&lt;/b&gt;." in html
    assert "Ana Alder sent you this report." in text
    assert f"/reports/runs/{made.pk}/" in text
    for hidden in ("Cost", "Margin", "40.12", "<style"):
        assert hidden not in text + html
    assert outcomes(made) == [("a@one.example", "sent", ""), ("b@two.example", "sent", "")]


def test_the_files_are_whole_and_their_hash_stands_in_the_mail(made: Run, box: Box) -> None:
    ask(made, "a@one.example")
    mail = box.to("a@one.example")[0]
    files = files_of(mail)
    assert list(files) == [
        "invoices-2026-11-01-to-2026-12-01.csv",
        "invoices-2026-11-01-to-2026-12-01.xlsx",
    ]
    for name, content in files.items():
        assert f"{name}: 3 rows, " in text_of(mail)
        assert f"SHA-256 {hashlib.sha256(content).hexdigest()}\n" in text_of(mail)
    table = list(csv.reader(io.StringIO(next(iter(files.values())).decode())))
    assert [row[0] for row in table[:4]] == ["Invoice", "A-0001", "A-0002", "A-0003"]
    assert sum(float(row[5]) for row in table[1:4]) == 336.0
    book = openpyxl.load_workbook(io.BytesIO(files["invoices-2026-11-01-to-2026-12-01.xlsx"]))
    assert [c.value for c in next(iter(book.worksheets[0].rows))][:2] == ["Invoice", "Date"]


def test_the_picture_plots_what_the_page_plots(world: World, made: Run, box: Box) -> None:
    ask(made, "a@one.example", formats=())
    mail = box.to("a@one.example")[0]
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [part["Content-ID"] for part in pictures] == ["<chart>"]
    png: bytes = pictures[0].get_payload(decode=True)  # type: ignore[assignment]
    assert struct.unpack(">II", png[16:24]) == (960, 480)
    with enter(world.alpha.scope()):
        showing = Showing(made, tuple(NAMES))
        preset = REPORTS.get("invoices").charts[0]
        drawing = draw(preset, showing.frozen, showing.columns, days=30)
        drawn = figure(drawing.chart, drawing.rows, drawing.columns)
    assert [(t["x"], t["y"]) for t in drawn["traces"]] == [
        (["2026-11-01", "2026-11-10"], ["216.00", "120.00"])
    ]
    alt = "Chart: Invoiced over time. 2026-11-01 216.00 GBP, 2026-11-10 120.00 GBP."
    assert f'alt="{alt}"' in html_of(mail)
    assert 'src="cid:chart"' in html_of(mail)
    assert alt in text_of(mail)


def test_running_the_job_again_sends_nothing_twice(made: Run, box: Box) -> None:
    job = ask(made, "a@one.example")
    task = Task(job_id=str(job.pk), stored_scope=Scope.of(made.reseller_id, role=Role.OWNER))
    send_mails(task, **job.params)
    assert len(box.mails) == 1


def test_an_address_that_is_refused_does_not_keep_the_others_from_theirs(made: Run, box: Box) -> None:
    box.refuse = {"a@one.example": "550 5.1.1 No such user here", "c@full.example": "452 4.2.2 Mailbox full"}
    ask(made, "a@one.example", "b@two.example", "c@full.example")
    assert outcomes(made) == [
        ("a@one.example", "refused", "The mail server refused the address: 550 5.1.1 No such user here"),
        ("b@two.example", "sent", ""),
        ("c@full.example", "failed", "The mail server refused the address: 452 4.2.2 Mailbox full"),
    ]
    assert [who for who, _ in box.mails] == ["b@two.example"]


def test_a_server_that_is_down_or_hangs_up_is_told_apart(made: Run, box: Box, settings: Any) -> None:
    box.hang_up_on = {"connect"}
    ask(made, "a@one.example")
    box.hang_up_on = {"."}
    ask(made, "b@two.example")
    box.hang_up_on = set()
    settings.EMAIL_PORT = 1
    ask(made, "c@three.example")
    found = outcomes(made)
    assert [(who, state) for who, state, _ in found] == [
        ("a@one.example", "failed"),
        ("b@two.example", "unsure"),
        ("c@three.example", "failed"),
    ]
    assert found[1][2] == BROKE_OFF
    assert found[2][2] == "No mail server answers (Connection refused)."
    assert box.mails == []


def test_only_what_was_surely_not_sent_is_tried_again(made: Run, box: Box, settings: Any) -> None:
    with enter(Scope.of(made.reseller_id, why="test")):
        for address, state in (
            ("a@x.example", "failed"),
            ("b@x.example", "refused"),
            ("c@x.example", "sending"),
            ("d@x.example", "sent"),
        ):
            mailing.write_down(made, request=str(made.pk), to=[address], formats=[], now=NOW)
            MailDelivery.objects.filter(recipient=address).update(state=state)
        mailing.try_again(str(made.pk), now=NOW)
        states = dict(MailDelivery.objects.values_list("recipient", "state"))
    assert states == {
        "a@x.example": "pending",
        "b@x.example": "refused",
        "c@x.example": "unsure",
        "d@x.example": "sent",
    }


def test_files_too_large_for_a_mail_become_a_link_for_whoever_gets_it(
    made: Run, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports.letters, "MOST_BYTES", 100)
    ask(made, "a@one.example")
    mail = box.to("a@one.example")[0]
    assert files_of(mail) == {}
    assert "They are too large for a mail" in html_of(mail)
    found = re.search(r"http://[^/]+(/view\?id=\S+)", text_of(mail))
    assert found
    page = Client().get(found[1]).content.decode()
    assert "A-0001" in page
    assert "40.12" not in page
    with enter(Scope.of(made.reseller_id, why="test")):
        link, letter = ShareLink.objects.get(), Letter.objects.get()
    assert set(link.columns) == set(NAMES)
    token = found[1].partition("=")[2]
    assert token not in letter.text + letter.html
    assert HIDDEN_TOKEN in letter.text


def test_a_colleague_gets_no_column_that_the_role_hides(world: World, made: Run, box: Box) -> None:
    ask(made, "vic@alpha.example", "accountant@firm.example", names=[*NAMES, "cost"], formats=("csv",))
    vic, accountant = (next(iter(files_of(m).values())).decode() for _, m in box.mails)
    assert vic.splitlines()[0] == "Invoice,Date,Customer,Currency,Net,Gross"
    assert accountant.splitlines()[0] == "Invoice,Date,Customer,Currency,Net,Gross,Cost"
    assert "40.12" not in html_of(box.to("vic@alpha.example")[0])
    with enter(world.alpha.scope()):
        assert [len(letter.columns) for letter in Letter.objects.order_by("pk")] == [6, 7]


def test_the_page_sends_to_several_addresses(world: World, made: Run, box: Box) -> None:
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
    assert [who for who, _ in box.mails] == ["a@one.example", "b@two.example"]
    assert "b@two.example" in ana.get(f"/reports/runs/{made.pk}/").content.decode()


def test_addresses() -> None:
    assert mailing.addresses("a@x.example,  A@x.example;b@y.example") == ["a@x.example", "b@y.example"]
    for text in ("", "a@x.example\nBcc: c@z.example", " , "):
        with pytest.raises(mailing.BadAddresses):
            mailing.addresses(text)
