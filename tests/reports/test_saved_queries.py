"""Saved queries: kept, found by whom they are for, opened as they were, changed and deleted by their owner."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client

from billing.models import Customer
from reports.models import Run, SavedQuery
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.scope import enter
from tests.reports.bills import three_bills
from tests.rules.test_access import client_of
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
QUERY = (
    "period=last_month&dealer=D1&group_by=month&group_by=dealer&compare=year&col=net&sort=-net&chart=dealers"
)


@pytest.fixture
def world() -> World:
    world = make_world()
    three_bills(world.alpha)
    return world


def save(client: Client, name: str, *, shared: bool = False, query: str = QUERY, status: int = 302) -> str:
    """Save a query and return the page's answer."""
    data = {"name": name, **({"is_shared": "on"} if shared else {})}
    answer = client.post(f"/reports/invoices/save/?{query}", data)
    assert answer.status_code == status, answer.content.decode()
    return str(answer.get("Location") or answer.content.decode())


def saved(world: World, name: str) -> SavedQuery:
    """Return the query of a name."""
    with enter(world.alpha.scope()):
        return SavedQuery.objects.get(name=name)


def test_a_query_is_kept_whole_and_opened_as_it_was(world: World) -> None:
    ana = client_of(world.ana)
    form = ana.get(f"/reports/invoices/save/?{QUERY}&output=web&send_to=a@b.example").content.decode()
    assert "last month, moving on with the calendar" in form
    assert "Compared with" in form
    back = save(ana, "Dealers by month")
    kept = saved(world, "Dealers by month")
    assert parse_qs(urlsplit(back).query) == parse_qs(QUERY)
    assert kept.params["group_by"] == ["month", "dealer"]
    assert kept.view == {"col": ["net"], "sort": ["-net"], "chart": ["dealers"]}
    opened = ana.get(f"/reports/queries/{kept.pk}/")
    assert parse_qs(urlsplit(opened["Location"]).query) == parse_qs(QUERY)
    assert saved(world, "Dealers by month").used_at is not None
    run = ana.get(f"{opened['Location']}&output=web")
    assert parse_qs(urlsplit(run["Location"]).query) == {
        "col": ["net"],
        "sort": ["-net"],
        "chart": ["dealers"],
    }
    with enter(world.alpha.scope()):
        assert Run.objects.get().params["group_by"] == ["month", "dealer"]
        assert AuditEvent.objects.filter(action="Report query saved").count() == 1


def test_the_catalogue_and_the_form_list_what_a_person_finds(world: World) -> None:
    ana, vic, dee = (client_of(user) for user in (world.ana, world.vic, world.dee))
    save(ana, "Ana alone")
    save(ana, "For all", shared=True)
    save(dee, "Of the dealer", shared=True, query="period=last_month")
    names = ("Ana alone", "For all", "Of the dealer")
    pages = {
        who: client.get("/reports/").content.decode()
        for who, client in (("ana", ana), ("vic", vic), ("dee", dee))
    }
    assert {who: [name for name in names if name in page] for who, page in pages.items()} == {
        "ana": ["Ana alone", "For all", "Of the dealer"],
        "vic": ["For all", "Of the dealer"],
        "dee": ["Of the dealer"],
    }
    assert "For all" in vic.get("/reports/invoices/").content.decode()
    assert "Ana alone" not in vic.get("/reports/invoices/").content.decode()
    assert vic.get(f"/reports/queries/{saved(world, 'Ana alone').pk}/").status_code == 404
    assert dee.get(f"/reports/queries/{saved(world, 'For all').pk}/").status_code == 404


def test_its_owner_alone_changes_and_deletes_it(world: World) -> None:
    ana, vic = client_of(world.ana), client_of(world.vic)
    save(ana, "For all", shared=True)
    pk = saved(world, "For all").pk
    for page in ("change", "delete"):
        assert vic.get(f"/reports/queries/{pk}/{page}/").status_code == 403
        assert vic.post(f"/reports/queries/{pk}/{page}/", {"name": "Mine now"}).status_code == 403
        assert client_of(world.bo).get(f"/reports/queries/{pk}/{page}/").status_code == 404
    assert ana.post(f"/reports/queries/{pk}/change/", {"name": "Ours"}).status_code == 302
    assert saved(world, "Ours").is_shared is False
    assert "Results made with it stay" in ana.get(f"/reports/queries/{pk}/delete/").content.decode()
    assert ana.post(f"/reports/queries/{pk}/delete/").status_code == 302
    with enter(world.alpha.scope()):
        assert SavedQuery.objects.count() == 0


def test_a_name_is_used_once_per_person_and_report(world: World) -> None:
    ana = client_of(world.ana)
    save(ana, "Twice")
    assert "You have a query called “Twice” for this report already." in save(ana, "Twice", status=422)
    save(client_of(world.vic), "Twice")
    with enter(world.alpha.scope()):
        assert SavedQuery.objects.count() == 2


def test_a_wrong_query_leads_back_to_its_form(world: World) -> None:
    answer = client_of(world.ana).get("/reports/invoices/save/?unpaid=lots")
    assert answer["Location"] == "/reports/invoices/?unpaid=lots&output=web"


def test_another_house_finds_nothing_of_it(world: World) -> None:
    save(client_of(world.ana), "For all", shared=True)
    with enter(world.beta.scope()), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM reports_savedquery")
        assert cursor.fetchone() == (0,)
        assert Customer.objects.exists()


def test_what_is_no_part_of_the_query_is_not_kept(world: World) -> None:
    save(client_of(world.ana), "Clean", query="period=last_month&foo=bar&nul=%00&sort=%00net&col=net")
    kept = saved(world, "Clean")
    assert (kept.params, kept.view) == ({"period": ["last_month"]}, {"col": ["net"]})
