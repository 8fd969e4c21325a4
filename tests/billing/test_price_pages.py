"""Pages about prices as a clerk goes through them: pricing again, correcting bills, asking what if, loading a deck."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from billing.models import Call, Charge, InvoiceLine, TariffRate
from billing.pipeline import import_cdrs
from resellerkpi.core.models import AuditEvent, Job
from resellerkpi.core.scope import enter
from tests.billing.whatif_world import prints
from tests.rules.test_access import client_of
from tests.rules.worked_world import MAPPING, NOW, Worked, worked_world

pytestmark = pytest.mark.usefixtures("committed_db")
AUGUST = {"first": "2026-08-01", "last": "2026-08-31"}
SEPTEMBER = {"first": "2026-09-01", "last": "2026-09-30"}
#: What a job itself writes: its row, its result, a session.
OWN = {"core_job", "core_artifact", "django_session"}


@pytest.fixture
def ana(tmp_path: Path, settings: Any) -> tuple[Client, Worked]:
    """Ana's browser, and Alpha after a month's work."""
    settings.VAR_DIR = tmp_path
    world, alpha, _ = worked_world(tmp_path)
    return client_of(world.ana), alpha


def latest(alpha: Worked, kind: str) -> Job:
    """Return the newest job of a kind, done."""
    with enter(alpha.house.scope()):
        job = Job.objects.filter(kind=kind).latest("created_at")
    assert (job.state, job.error) == ("done", "")
    return job


def two_calls_more(alpha: Worked, folder: Path) -> None:
    """Load two calls of September, which is not billed: of one minute and of two."""
    path = folder / "september.csv"
    lines = [f"9{n},{alpha.number.number},+447700900001,2026-09-0{n} 10:00:00,{60 * n},0.01" for n in (1, 2)]
    path.write_text("\n".join(["id,from,to,start,seconds,cost", *lines, ""]))
    with enter(alpha.house.scope()):
        import_cdrs(
            reseller=alpha.house.reseller, carrier=alpha.house.carrier, path=path, now=NOW, mapping=MAPPING
        )


def dearer(alpha: Worked, price: str) -> None:
    """Find out that every retail price was wrong."""
    with enter(alpha.house.scope()):
        TariffRate.objects.filter(tariff=alpha.tariff).update(price=price)


def test_calls_are_previewed_then_priced_again(ana: tuple[Client, Worked], tmp_path: Path) -> None:
    browser, alpha = ana
    two_calls_more(alpha, tmp_path)
    dearer(alpha, "0.5")
    before = {table: mark for table, mark in prints().items() if table not in OWN}
    done = browser.post("/usage/price-again/", SEPTEMBER | {"place": "4477"})
    assert done["Location"].startswith("/jobs/")
    job = latest(alpha, "usage.preview")
    assert {table: mark for table, mark in prints().items() if table not in OWN} == before
    page = browser.get(job.result_url).content.decode()
    assert job.result["changed"] == 2
    assert "Price 2 calls again" in page
    assert "have changed since" not in page
    browser.post(job.result_url, {"do": "apply"})
    applied = latest(alpha, "usage.rerate")
    assert applied.result["changed"] == 2
    assert "Done: 2 calls were priced again." in browser.get(job.result_url).content.decode()
    with enter(alpha.house.scope()):
        assert sorted(Call.objects.filter(started_at__month=9).values_list("retail", flat=True)) == [
            Decimal("0.5"), Decimal(1),
        ]  # fmt: skip
        assert AuditEvent.objects.filter(action="usage.rerate").exists()


def test_a_preview_that_is_out_of_date_says_so_and_is_not_applied(
    ana: tuple[Client, Worked], tmp_path: Path
) -> None:
    browser, alpha = ana
    two_calls_more(alpha, tmp_path)
    dearer(alpha, "0.5")
    browser.post("/usage/price-again/", SEPTEMBER)
    job = latest(alpha, "usage.preview")
    dearer(alpha, "0.6")
    page = browser.get(job.result_url).content.decode()
    assert "have changed since this preview" in page
    assert "calls again</button>" not in page
    browser.post(job.result_url, {"do": "apply"})
    with enter(alpha.house.scope()):
        refused = Job.objects.filter(kind="usage.rerate").latest("created_at")
        assert (refused.state, refused.error[:25]) == ("failed", "Prices or calls have chan")
        assert not Call.objects.filter(retail__gt="0.49").exists()


def test_billed_calls_are_corrected_by_ticked_charges(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    dearer(alpha, "0.5")
    browser.post("/usage/price-again/", AUGUST)
    job = latest(alpha, "usage.preview")
    assert (job.result["changed"], job.result["billed"]) == (0, 2)
    page = browser.get(job.result_url)
    (row,) = page.context["corrections"]
    assert (row["right"], row["what"], row["calls"]) == (Decimal("1.50"), "Charge", 2)
    browser.post(job.result_url, {"do": "raise"})
    with enter(alpha.house.scope()):
        assert not Charge.objects.filter(source_key__startswith="rerate:").exists()
    dearer(alpha, "0.6")
    late = browser.post(job.result_url, {"do": "raise", "invoice": str(alpha.invoice.pk)}, follow=True)
    assert "look at a new one first" in late.content.decode()
    with enter(alpha.house.scope()):
        assert not Charge.objects.filter(source_key__startswith="rerate:").exists()
    dearer(alpha, "0.5")
    browser.post("/usage/price-again/", AUGUST)
    job = latest(alpha, "usage.preview")
    for _ in range(2):
        browser.post(job.result_url, {"do": "raise", "invoice": str(alpha.invoice.pk)})
    with enter(alpha.house.scope()):
        charge = Charge.objects.get(source_key__startswith="rerate:")
        assert (charge.amount, charge.kind) == (Decimal("1.50") - row["billed"], "one_off")
    assert "Put right" in browser.get(job.result_url).content.decode()


def test_a_bill_credited_by_hand_says_so_before_it_is_corrected(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    dearer(alpha, "0.5")
    browser.post("/usage/price-again/", AUGUST)
    job = latest(alpha, "usage.preview")
    page = browser.get(job.result_url)
    assert (page.context["corrections"][0]["credited"], page.context["some_credited"]) == (0, False)
    with enter(alpha.house.scope()):
        line = InvoiceLine.objects.filter(invoice=alpha.invoice, kind="usage", net__gt=0).latest("net")
    taken = {"line": str(line.pk), "amount": "0.01", "on": "2026-10-01", "reason": "goodwill"}
    assert browser.post(f"/billing/invoices/{alpha.invoice.pk}/credit/", taken).status_code == 302
    page = browser.get(job.result_url)
    assert page.context["corrections"][0]["credited"] == Decimal("0.01")
    assert "tick such a bill only if that credit was for something else" in page.content.decode()
    browser.post(job.result_url, {"do": "raise", "invoice": str(alpha.invoice.pk)})
    form = browser.get(f"/billing/invoices/{alpha.invoice.pk}/credit/").content.decode()
    assert "waits for a bill: crediting all takes it away" in form


def test_what_if_is_asked_answered_narrowed_and_taken_away(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    before = {table: mark for table, mark in prints().items() if table not in OWN}
    asked = {
        "period": "2026-08", "tariff": str(alpha.tariff.pk), "as_of": "2026-12-01", "places": "4", "floor": "20",
        "notice_days": "30", "percent_0": "100",
    }  # fmt: skip
    browser.post("/tariffs/what-if/?kind=change", asked)
    job = latest(alpha, "prices.what_if")
    assert {table: mark for table, mark in prints().items() if table not in OWN} == before
    page = browser.get(job.result_url)
    (row,) = [record.record for record in page.context["table"].page.object_list]
    assert row["new_retail"] == 2 * row["old_retail"] > 0
    assert "1 Nov 2026" in page.content.decode()
    assert "1 Dec 2026" in page.content.decode()
    assert browser.get(job.result_url, {"who": "less"}).context["table"].paginator.count == 0
    assert browser.get(job.result_url, {"by": "destination", "sort": "-calls"}).status_code == 200
    taken = list(csv.DictReader(io.StringIO(browser.get(job.result_url, {"as": "csv"}).content.decode())))
    assert [line["Customer"] for line in taken] == [alpha.customer.name]
    assert browser.get(job.result_url, {"as": "xlsx"}).content[:2] == b"PK"


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("move", {"customers": "NOPE"}, "There is no customer with account code"),
        ("move", {}, "Say which customers would move"),
        ("change", {"period": "2026-08-02..2026-09-01"}, "Choose whole months"),
        ("change", {}, "Say by how much prices change"),
        ("wholesale", {}, "This field is required"),
    ],
)
def test_questions_that_make_no_sense(
    ana: tuple[Client, Worked], kind: str, changes: dict[str, str], words: str
) -> None:
    browser, alpha = ana
    given = {"period": "2026-08", "tariff": str(alpha.tariff.pk), "as_of": "2026-12-01", "places": "4", "floor": "20",
             "notice_days": "30"}  # fmt: skip
    answer = browser.post(f"/tariffs/what-if/?kind={kind}", given | changes)
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_deck_asks_about_what_it_lacks_and_what_it_raises(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    with enter(alpha.house.scope()):
        held = TariffRate.objects.filter(tariff=alpha.tariff, key_kind="prefix", service="voice").exclude(
            key=""
        )
        rates = list(held.values_list("key", "price"))
        past = list(held.order_by("pk").values())
    assert len(rates) >= 1
    key, price = rates[0]
    text = f"prefix,destination,price\n{key},Dearer,{price * 2}\n".encode()
    start = browser.post("/import/tariff/", {"file": SimpleUploadedFile("deck.csv", text)})
    form = {b.name: "" if b.value() in (None, False) else str(b.value())
            for b in browser.get(start["Location"]).context["form"]}  # fmt: skip
    form |= {"tariff": alpha.tariff.name, "wholesale": "retail", "effective": "2027-01-01", "do": "load"}
    browser.post(start["Location"], form)
    job = latest(alpha, "tariff.compare")
    page = browser.get(job.result_url).content.decode()
    assert "Prices rise by 100.0 % on average." in page
    assert (job.result["changed"], job.result["new"]) == (1, 0)
    given = {"absent": "keep"} if job.result["absent"] else {}
    browser.post(job.result_url, given)
    with enter(alpha.house.scope()):
        assert not Job.objects.filter(kind="book.import").exists()
    browser.post(job.result_url, {**given, "agree": "yes"})
    assert latest(alpha, "book.import").result["changed"] == 1
    twice = browser.post(job.result_url, {**given, "agree": "yes"}, follow=True).content.decode()
    assert "This deck has been handed on to be loaded already." in twice
    with enter(alpha.house.scope()):
        assert Job.objects.filter(kind="book.import").count() == 1
    with enter(alpha.house.scope()):
        kept = TariffRate.objects.filter(pk__in=[row["id"] for row in past]).order_by("pk").values()
        assert [{**row, "valid_to": None} for row in kept] == [{**row, "valid_to": None} for row in past]
        assert TariffRate.objects.filter(tariff=alpha.tariff, valid_from="2027-01-01").count() == 1


def test_the_command_answers_the_same(ana: tuple[Client, Worked]) -> None:
    _, alpha = ana
    out = io.StringIO()
    call_command(
        "what_if",
        reseller="alpha",
        change=alpha.tariff.name,
        by=["100%"],
        months="2026-08",
        as_of=None,
        stdout=out,
    )
    found = json.loads(out.getvalue())
    (row,) = found["customers"]
    assert Decimal(row["new_retail"]) == 2 * Decimal(row["old_retail"])
