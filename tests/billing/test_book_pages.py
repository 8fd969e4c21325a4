"""The import pages: upload, columns, preview, load; only with the capability and only the own upload."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from billing.importing.book import BOOK_KINDS
from billing.importing.decks.fields import DECK
from billing.models import Customer, Dealer, TariffRate
from billing.web import imports
from resellerkpi.core.models import Job, User
from resellerkpi.core.scope import enter
from tests.world import World, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> World:
    """The named world, with uploads in a folder of the test's own."""
    settings.VAR_DIR = tmp_path
    return make_world()


def client_of(user: User) -> Client:
    """Return a signed-in client."""
    client = Client()
    client.force_login(user)
    return client


def upload(client: Client, kind: str, text: str) -> str:
    """Upload a file and return the address of its columns."""
    answer = client.post(f"/import/{kind}/", {"file": SimpleUploadedFile("list.csv", text.encode())})
    assert answer.status_code == 302
    return str(answer["Location"])


def fields_of(page: Any, **changes: str) -> dict[str, str]:
    """Return what the page's form would send."""
    form = page.context["form"]
    return {b.name: "" if b.value() in (None, False) else str(b.value()) for b in form} | changes


def test_every_kind_has_a_page_and_templates(world: World) -> None:
    client = client_of(world.ana)
    assert client.get("/import/").status_code == 200
    for kind in (*BOOK_KINDS, DECK):
        assert client.get(f"/import/{kind.slug}/").status_code == 200
        for ending in ("csv", "xlsx"):
            answer = client.get(f"/import/{kind.slug}/template.{ending}")
            assert answer["Content-Disposition"] == f'attachment; filename="{kind.slug}.{ending}"'
    assert client.get("/import/cats/").status_code == 404
    assert client.get("/import/customers/template.exe").status_code == 404


def test_a_list_is_previewed_and_loaded(world: World) -> None:
    client = client_of(world.ana)
    at = upload(client, "dealers", "Agent;Dealer name;Phone\nEAST;=East & <b>Co</b>;+44 20 7946 0001\n")
    page = client.get(at)
    assert b"no problem found" in page.content
    assert b"=East &amp; &lt;b&gt;Co&lt;/b&gt;" in page.content
    done = client.post(at, fields_of(page, do="load"))
    assert done.status_code == 302
    with enter(world.alpha.scope()):
        assert Dealer.objects.get(code="EAST").name == "=East & <b>Co</b>"
    assert client.get(at).status_code == 404


def test_problems_are_shown_and_nothing_is_loaded(world: World) -> None:
    client = client_of(world.ana)
    at = upload(
        client, "customers", "code,name,dealer,active_from\nX1,Good,D1,2026-01-01\nX2,Bad,NOPE,2026-13-01\n"
    )
    page = client.get(at)
    assert "There is no dealer “NOPE”.".encode() in page.content
    assert "“2026-13-01” is not a date; write it as 2026-11-22.".encode() in page.content
    refused = client.post(at, fields_of(page, do="load"))
    assert refused.status_code == 422
    with enter(world.alpha.scope()):
        assert not Customer.objects.filter(code__startswith="X").exists()


def test_the_order_of_day_and_month_is_asked_for(world: World) -> None:
    client = client_of(world.ana)
    at = upload(client, "customers", "code,name,active_from\nX1,Good,04/03/2026\n")
    page = client.get(at)
    assert b"day/month or month/day" in page.content
    assert client.post(at, fields_of(page, do="load", dates="day")).status_code == 302
    with enter(world.alpha.scope()):
        assert str(Customer.objects.get(code="X1").events.get().date) == "2026-03-04"


def test_a_deck_shows_its_difference_before_it_is_loaded(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    client = client_of(world.ana)
    at = upload(client, "tariff", "Code,Destination,Rate\n49,Germany,0.02\n33,France,0.03\n")
    page = client.get(at)
    assert page.status_code == 200
    chosen = fields_of(page, tariff="Europe", wholesale="retail")
    checked = client.post(at, {**chosen, "do": "check"})
    assert b"2 new rates, 0 changed, 0 ended" in checked.content
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(at, {**chosen, "do": "load"}).status_code == 302
    with enter(world.alpha.scope()):
        assert not TariffRate.objects.filter(key="49").exists()
        compared = Job.objects.get(kind="tariff.compare")
    assert (compared.state, compared.result["new"]) == ("done", 2)
    assert b"Nothing is loaded yet" in client.get(compared.result_url).content
    with django_capture_on_commit_callbacks(execute=True):
        client.post(compared.result_url)
    with enter(world.alpha.scope()):
        assert TariffRate.objects.filter(tariff__name="Europe").count() == 2
    assert b"handed on to be loaded" in client.get(compared.result_url).content


def test_long_lists_go_by_a_job(
    world: World, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    client = client_of(world.ana)
    at = upload(client, "dealers", "code,name\nEAST,East\nWEST,West\n")
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post(at, fields_of(client.get(at), do="load"))
    assert done["Location"].startswith("/jobs/")
    with enter(world.alpha.scope()):
        assert Dealer.objects.filter(code__in=["EAST", "WEST"]).count() == 2


def test_an_upload_belongs_to_its_session(world: World) -> None:
    at = upload(client_of(world.ana), "dealers", "code,name\nEAST,East\n")
    assert client_of(world.ana).get(at).status_code == 404
    assert client_of(world.bo).get(at).status_code == 404
    assert client_of(world.vic).get("/import/").status_code == 403


def test_a_file_that_is_no_table_is_refused_at_once(world: World, tmp_path: Path) -> None:
    client = client_of(world.ana)
    for content in (b"", b"\x00\x01\x02binary", b"code,name\n"):
        answer = client.post("/import/dealers/", {"file": SimpleUploadedFile("list.csv", content)})
        assert answer.status_code == 422
    assert list((tmp_path / "uploads").iterdir()) == []
