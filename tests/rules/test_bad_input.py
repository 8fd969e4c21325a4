"""Nothing anybody types into an address or a form is answered by a defect."""

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.test import Client

from tests.rules.test_access import PAGES, address, client_of
from tests.rules.worked_world import Worked, worked_world
from tests.web.asked import Asked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("committed_db")]

#: What addresses of lists, KPIs and reports take, besides what a page is seen to read: all at once, or alone where a
#: bad one ends the reading.
TOGETHER = ("sort", "page", "rows", "col", "chart", "x", "y")
SINGLY = ("q", "as", "from", "to", "by", "month")
#: What stands on every page.
FRAME = {"csrfmiddlewaretoken", "next", "theme"}
NASTY = (
    "\x00",
    " ",
    "9" * 40,
    "-1",
    "NaN",
    "1e999999",
    "0000-00-00",
    "9999-12-31",
    "0001-01",
    "9999-12..9999-99",
    "-pk__reseller__code",
    "'\"<b>%s%%{{7*7}}\\ \u2028\u202e",
    "x" * 5000,
)
#: What a parameter is alone, and what a field is filled with while the others hold something usual.
ALONE = ("\x00", "9" * 40, "NaN", "9999-12-31")
USUAL = {"date": "2026-08-01", "number": "1", "email": "a@example.com", "month": "2026-08"}


class Fields(HTMLParser):
    """Reads the fields of a page's main form with what they hold, or something usual where they are empty."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.posted: dict[str, str] = {}
        self._select = ""
        self._posts = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a field; an option other than the empty one is a select's value."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._posts = given.get("method", "").lower() == "post"
        elif tag == "option" and self._select and given.get("value"):
            self._keep(self._select, given["value"])
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag in ("input", "textarea", "button") and given.get("name"):
            self._keep(given["name"], given.get("value") or USUAL.get(given.get("type", ""), "1"))

    def handle_endtag(self, tag: str) -> None:
        """Leave a form or a select."""
        if tag == "form":
            self._posts = False
        elif tag == "select":
            self._select = ""

    def _keep(self, name: str, value: str) -> None:
        if name not in FRAME:
            (self.posted if self._posts else self.found).setdefault(name, value)


def fields(client: Client, where: str) -> Fields:
    """Read the fields of a page."""
    reader = Fields()
    response = client.get(where)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        reader.feed(response.content.decode())
    return reader


def unread(shown: Iterable[str]) -> Iterator[str]:
    """Yield each name a page is seen to read, once, as long as there are more; where it reads all, what it shows."""
    done = {*FRAME, Asked.ALL}
    while more := sorted((Asked.read | {*(shown if Asked.ALL in Asked.read else ())}) - done):
        done.update(more)
        yield from more


def queries(shown: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield query strings: the house's own parameters, then each one alone that the page reads.

    One suffices for a page that reads none.
    """
    for value in NASTY:
        yield dict.fromkeys(TOGETHER, value)
        if not Asked.read:
            return
    for name in unread({*SINGLY, *shown}):
        if name not in TOGETHER:
            yield from ({name: value} for value in ALONE)


def contents(known: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield contents of a form: every field nasty, then each field that is read, alone among usual ones."""
    for value in NASTY if known else ():
        yield dict.fromkeys(known, value)
    for name in unread(known) if known else ():
        yield from ({**known, name: value} for value in ALONE)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Client, Worked]:
    world, alpha, _ = worked_world(tmp_path)
    client = client_of(world.ana)
    client.raise_request_exception = False
    monkeypatch.setattr("django.core.handlers.wsgi.QueryDict", Asked)
    monkeypatch.setattr("django.http.QueryDict", Asked)
    return client, alpha


def test_no_address_breaks_a_page(house: tuple[Client, Worked]) -> None:
    client, alpha = house
    broken, read = [], set()
    for name in PAGES:
        where = address(name, alpha)
        Asked.read.clear()
        for query in queries(fields(client, where).found):
            if client.get(where, query).status_code >= 500:
                broken.append((name, {k: v[:20] for k, v in query.items()}))
        read |= Asked.read
    assert broken == []
    assert {*SINGLY, *TOGETHER} <= read


def test_no_form_breaks_a_page(house: tuple[Client, Worked]) -> None:
    client, alpha = house
    broken = []
    for name in PAGES:
        where = address(name, alpha)
        known = fields(client, where).posted
        Asked.read.clear()
        for content in contents(known):
            if client.post(where, content).status_code >= 500:
                broken.append((name, {k: v[:20] for k, v in content.items()}))
    assert broken == []
