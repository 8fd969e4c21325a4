"""The page of roles and columns says what is so: each guarded column is seen by the roles it names and by no other."""

import pytest
from django.urls import get_resolver, reverse

from reports.registry import REPORTS
from reports.render import Showing
from reports.run import NotAllowed, run
from reports.web.roles import guarded, panels, places
from resellerkpi.core.access import CAPABILITIES, Capability, Role
from resellerkpi.core.scope import enter
from resellerkpi.ui.views import ListPage
from tests.reports.bills import NOW, three_bills
from tests.rules.test_access import client_of
from tests.world import World, make_user, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
STAFF = [Role.OWNER, Role.FINANCE, Role.SUPPORT, Role.VIEWER]


@pytest.fixture
def world() -> World:
    world = make_world()
    three_bills(world.alpha)
    return world


def rows(world: World, number: int) -> list[dict[str, object]]:
    """Return the rows of a table of the page."""
    with enter(world.alpha.scope()):
        return list(panels()[number].rows)  # type: ignore[attr-defined]


def test_what_a_role_may_do_is_what_it_is_let_do(world: World) -> None:
    told = {row["what"]: {role for role in Role if row[role.value]} for row in rows(world, 0)}
    assert told == {str(c.label): {r for r in Role if c in CAPABILITIES[r]} for c in Capability}


@pytest.mark.parametrize("role", [Role.OWNER, Role.FINANCE, Role.VIEWER, Role.DEALER])
def test_the_columns_of_a_result_are_those_told(world: World, role: Role) -> None:
    told = {(r["place"], r["column"]) for r in rows(world, 1) if not r[role.value]}
    every = {(g.place, g.column) for g in guarded()}
    for report in REPORTS:
        place, titles = f"Report: {report.name}", {c.title for c in report.columns}
        with enter(world.alpha.scope(role)):
            try:
                shown = {c.title for c in Showing(run(report, {}, now=NOW)).columns}
            except NotAllowed:
                assert report.needs not in CAPABILITIES[role]
                continue
        hidden = {column for at, column in told if at == place} & titles
        assert hidden & shown == set()
        if not report.dimensions or not report.default_groups:
            seen = {column for at, column in every - told if at == place} & titles
            assert seen - {c.title for c in report.columns if c.hidden} <= shown


@pytest.mark.parametrize("role", STAFF)
def test_the_columns_of_a_list_are_those_told(world: World, role: Role) -> None:
    person = make_user(f"{role}@alpha.example", "Pat", world.alpha, role)
    browser, checked = client_of(person), 0
    for pattern in get_resolver().url_patterns:
        for address in getattr(pattern, "url_patterns", []):
            page = getattr(address.callback, "view_class", None)
            if page is None or not issubclass(page, ListPage) or "<" in str(address.pattern):
                continue
            answer = browser.get(reverse(address.name))
            if answer.status_code != 200:
                continue
            place = page.__module__.rpartition(".")[2].replace("_", " ").capitalize()
            told = {r["column"] for r in rows(world, 1) if r["place"] == place and not r[role.value]}
            shown = {c.title for c in answer.context["all_columns"]}
            assert shown & told == set()
            guarded_here = {c.title for c in page.columns if c.needs}
            assert guarded_here - shown == guarded_here & told
            checked += 1
    assert checked > 5


def test_every_list_of_columns_is_found() -> None:
    found = {name for name, columns in places() if columns}
    assert {"Invoices", "Dealers", "Numbers", "Files", "Report: Invoices"} <= found


def test_the_page_is_for_who_manages_the_house(world: World) -> None:
    page = client_of(world.ana).get("/settings/roles/").content.decode()
    assert "Columns that not everybody sees" in page
    assert "See wholesale cost" in page
    assert 'href="/settings/roles/"' in client_of(world.ana).get("/reports/").content.decode()
    assert 'href="/settings/roles/"' not in client_of(world.vic).get("/reports/").content.decode()
    assert client_of(world.vic).get("/settings/roles/").status_code == 403
