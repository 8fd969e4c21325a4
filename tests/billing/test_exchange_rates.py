"""Exchange rates of the European Central Bank: fetched, cut, loaded, shown with their age, and told when that fails."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal as D
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO, StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any
from zipfile import ZipFile

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from billing import ecb
from billing.jobs_rates import KIND, fetch_rates
from billing.models import ExchangeRate
from resellerkpi.core.jobs import JobRefused, Task
from resellerkpi.core.models import Job
from resellerkpi.core.scope import enter
from tests.reports.bills import Bill, make_bills
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
WIDE = """Date,USD,JPY,CYP,GBP,
2026-11-27,1.25,180.00,N/A,0.8,
2026-11-26,1.20,179.00,N/A,0.75,
2026-11-25,1.10,178.00,N/A,0.7,
2026-11-20,1.00,170.00,N/A,0.6,
"""


@pytest.fixture
def world() -> Iterator[World]:
    cache.clear()
    with time_machine.travel(NOW, tick=True):
        yield make_world()


def zipped(text: str) -> bytes:
    """Return a file as the bank zips it."""
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        archive.writestr("eurofxref-hist.csv", text)
    return out.getvalue()


@contextmanager
def bank(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve one answer on this machine and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/eurofxref-hist.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return what answers with a status and a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def work(world: World, settings: Any, url: str) -> dict[str, Any]:
    """Let a worker look for new rates at an address."""
    settings.ECB_RATES_URL, settings.ECB_RATES_TIMEOUT = url, 0.3
    return fetch_rates(Task("0", world.alpha.scope())) or {}


def known(world: World) -> dict[tuple[str, str], D]:
    """Return the rates by day and currency."""
    with enter(world.alpha.scope()):
        return {(str(r.date), r.currency): r.rate for r in ExchangeRate.objects.all()}


def test_a_worker_loads_what_is_new_and_corrects_what_was_corrected(world: World, settings: Any) -> None:
    make_bills(world.alpha, Bill("A-1", world.alpha.customers[0], date(2026, 12, 1)))
    with bank(says(200, zipped(WIDE))) as url:
        # from ten days before the first invoice, of 1 Dec; a currency that is no more has no rate
        assert work(world, settings, url) == {"off": False, "new": 9, "changed": 0}
    assert known(world)["2026-11-26", "GBP"] == D("0.75")
    assert {code for _, code in known(world)} == {"USD", "JPY", "GBP"}
    later = WIDE.replace("1.20,179", "1.21,179").replace("Date,", "Date,", 1)
    later = later.replace("2026-11-27,", "2026-11-30,1.30,181.00,N/A,0.81,\n2026-11-27,", 1)
    with bank(says(200, later.encode())) as url:
        assert work(world, settings, url) == {"off": False, "new": 3 + 3, "changed": 1}
    assert known(world)["2026-11-26", "USD"] == D("1.21")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(503, b""), "the server answered 503"),
        (says(200, b"<html>Welcome to the hotel</html>"), "This is not the European Central Bank's file"),
        (says(200, b"PK\x03\x04 but not really"), "The file of exchange rates is a broken archive."),
        (lambda handler: handler.close_connection and None, "could not be fetched: RemoteDisconnected."),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_loads_nothing(
    world: World, settings: Any, answer: Callable[[BaseHTTPRequestHandler], None], why: str
) -> None:
    with bank(answer) as url, pytest.raises(JobRefused) as refused:
        work(world, settings, url)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    assert known(world) == {}


def test_a_bank_that_does_not_answer_or_is_not_there_is_not_waited_for(world: World, settings: Any) -> None:
    done = Event()
    with bank(lambda handler: done.wait(5) and None) as url:
        with pytest.raises(
            JobRefused, match=r"no answer within 0\.3 seconds\. The rates that are loaded stay"
        ):
            work(world, settings, url)
        done.set()
    with pytest.raises(JobRefused, match="could not be fetched: Connection refused"):
        work(world, settings, url)
    with pytest.raises(JobRefused, match="is no web address"):
        work(world, settings, "ftp://bank.example/rates.zip")
    assert work(world, settings, "") == {"off": True, "new": 0, "changed": 0}


def test_the_command_loads_a_file_or_what_came_with_the_product(world: World, tmp_path: Path) -> None:
    path = tmp_path / "eurofxref-hist.csv"
    path.write_text(WIDE)

    def command(*words: str) -> Any:
        out = StringIO()
        call_command("exchange_rates", *words, "--reseller", "alpha", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue().splitlines()[-1])

    told = command(str(path), "--since", "2026-11-26")
    assert (told["since"], told["new"], told["unchanged"]) == ("2026-11-26", 6, 0)
    # from a week before the latest rate on
    told = command(str(path))
    assert (told["since"], told["new"], told["unchanged"]) == ("2026-11-20", 6, 6)
    told = command("--since", "2018-12-31")
    assert told["new"] > 10_000
    assert known(world)["2018-12-31", "GBP"] == D("0.89453")
    assert known(world)["2026-11-26", "GBP"] == D("0.75")
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        command(str(tmp_path / "none.csv"))
    path.write_text("number,amount\n1,2\n")
    with pytest.raises(CommandError, match="not the European Central Bank's file"):
        command(str(path))


def test_the_page_shows_what_is_in_force_and_how_old_it_is(world: World, client: Client) -> None:
    client.force_login(world.ana)
    assert "Fetch the European Central Bank" in client.get("/rates/").content.decode()
    with enter(world.alpha.scope()):
        ecb.load(WIDE.encode(), reseller=world.alpha.reseller, since=date(2026, 11, 1), today=NOW.date())
        Job.objects.create(
            reseller=world.alpha.reseller, kind=KIND, title="Fetch", state="failed", error="The bank is shut."
        )
    page = client.get("/rates/?on=2026-12-04")
    rows = page.context["panels"][1].rows
    shown = {r["code"]: (r["worth"], str(r["day"]), r["age"], r["state"]) for r in rows}
    assert shown["EUR"] == (D("0.8"), "2026-11-27", 7, "")
    assert shown["USD"] == (D("0.64"), "2026-11-27", 7, "")
    assert [r["code"] for r in rows] == ["EUR", "JPY", "USD"]
    assert "The bank is shut." in page.content.decode()
    old = client.get("/rates/?on=2026-12-05").context["panels"][1].rows
    assert {r["state"] for r in old} == {"More than 7 days old"}
    before = client.get("/rates/?on=2026-11-26").context["panels"][1].rows
    assert {r["code"]: r["worth"] for r in before}["EUR"] == D("0.75")
    assert client.get("/rates/?on=nonsense").status_code == 422
    assert "No exchange rate is known" in client.get("/rates/?on=1999-01-01").content.decode()
    assert client.post("/rates/fetch/").status_code == 302
    with enter(world.alpha.scope()):
        assert Job.objects.filter(kind=KIND, state="waiting").count() == 1
