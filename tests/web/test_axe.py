"""Every page, as people with a keyboard, a screen reader, a dark room or a small telephone meet it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.rules.test_access import PAGES, address
from tests.rules.worked_world import NOW, Worked, worked_world
from tests.web.browser import Visitor, Watch
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
DOWNLOADS = {
    "kpi-json",
    "kpi-csv",
    "kpi-dictionary-json",
    "cdr-file-errors",
    "invoice-lines",
    "import-template",
    "observation-template",
    "run-export",
    "comparison-export",
    "outbox-body",  # a mail, locked away from every script; seen in its frame on the page outbox-mail
}
#: Pages of their own kind beside the table's: a search that finds something, a filtered list, a list with nothing.
BESIDE = ("/search/?q=Alpha", "/customers/?q=nobody", "/login/", "/no-such-page/")
#: Assets are for the rule about sounds that play by themselves: there are none, and styles are fetched again for it.
RULES = {"resultTypes": ["violations"], "preload": False}
SCRIPT = Axe().axe_script
#: The page scrolls sideways: the widest of what sticks out, for the message.
STICKS_OUT = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return "";
  const out = [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".table-wrap, .rail"));
  return `${root.scrollWidth} px: ` + out.slice(0, 3).map((e) => `${e.tagName}.${e.className}`).join(", ");
}"""


def violations(page: Page) -> Iterator[str]:
    """Yield each rule a page breaks with the first elements that break it; axe is in the page already."""
    for broken in page.evaluate("async (rules) => (await axe.run(document, rules)).violations", RULES):
        at = "; ".join(f"{node['target'][0]} {node['failureSummary']}" for node in broken["nodes"][:3])
        yield f"{broken['id']} ({len(broken['nodes'])}): {at}"


def look(page: Page) -> Iterator[str]:
    """Yield what is wrong with a page, wide and light then narrow and dark; colours do not depend on width."""
    page.evaluate(SCRIPT)
    for size, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        width = size["width"]
        yield from (f"{width} {scheme} {found}" for found in violations(page))
        sideways = still(page)
        if sideways:
            yield f"{width} scrolls sideways: {sideways}"


def still(page: Page) -> str:
    """Return what sticks out of a page once its charts have taken their size, "" for nothing."""
    for _ in range(20):
        out = str(page.evaluate(STICKS_OUT))
        if not out:
            return ""
        page.wait_for_timeout(100)
    return out


def looks(page: Page, addresses: list[str]) -> dict[str, list[str]]:
    """Look at each address; return what is wrong, by address."""
    found: dict[str, list[str]] = {}
    for at in addresses:
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        page.emulate_media(color_scheme="light")
        page.goto(at, wait_until="load")
        wrong = list(look(page))
        if wrong:
            found[at] = wrong
    return found


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[tuple[World, Worked]]:
    """The named world and Alpha's things, an hour after a month's work."""
    with time_machine.travel(NOW + timedelta(hours=1), tick=True):
        people, alpha, _ = worked_world(tmp_path)
        yield people, alpha


@pytest.mark.parametrize("half", [0, 1])
def test_no_page_shuts_anybody_out(
    world: tuple[World, Worked], visitor: Visitor, watch: Watch, half: int
) -> None:
    people, alpha = world
    watch.expected.add("/no-such-page/")
    pages = [
        address(name, alpha)
        for name, (_, _, status) in PAGES.items()
        if status == 200 and name not in DOWNLOADS
    ]
    assert looks(visitor(people.ana), [*pages, *BESIDE][half::2]) == {}


def test_the_doors_are_open_to_everybody(world: tuple[World, Worked], visitor: Visitor, watch: Watch) -> None:
    watch.expected.add("id=wrong")
    stranger = visitor()
    assert looks(stranger, ["/login/", "/view?id=wrong", f"/view?id={world[1].token}"]) == {}
    stranger.get_by_role("heading", name="Invoices").wait_for()
