"""Every figure of the demo's dashboard, tiles, changes, bars and sentence, worked out again in plain Python."""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client

from kpis.kpi import KPIS, Kpi
from resellerkpi.core.models import Reseller, User
from resellerkpi.core.scope import Scope, enter
from tests.billing.conftest import DEMO_DAY
from tests.billing.naive_dashboard import Dashboard, ago

pytestmark = pytest.mark.slow
OCTOBER = date(2026, 10, 1)
D = Decimal


def rounded(value: D | int, places: int) -> str:
    """Return a figure half up with thousands and a true minus."""
    exact = D(value).quantize(D(1).scaleb(-places), ROUND_HALF_UP)
    return f"{exact:,}".replace("-", "−")


def said(kpi: Kpi, value: D | int | None) -> str:
    """Return a figure as its tile should say it."""
    if value is None:
        return "n/a"
    unit = kpi.unit.value
    if unit == "money":
        pounds = rounded(value, 0 if abs(D(value)) >= 10_000 else 2)
        return f"−£{pounds[1:]}" if pounds.startswith("−") else f"£{pounds}"
    if unit == "percent":
        return f"{rounded(value * 100, 1)} %"
    return {"count": rounded(value, 0), "ratio": rounded(value, 2), "days": f"{rounded(value, 1)} days"}[unit]


def tiles(page: str) -> dict[str, tuple[str, str]]:
    """Return value and change of each tile by the KPI it leads to."""
    found = {}
    for tile in re.findall(r'<article class="tile">(.*?)</article>', page, re.DOTALL):
        slug = re.search(r'href="/kpis/(\w+)/"', tile)
        value, change = (
            re.search(rf'<p class="tile-{name}">(.*?)</p>', tile, re.DOTALL) for name in ("value", "change")
        )
        assert slug
        assert value
        assert change
        words = [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", part[1])).replace("\N{NO-BREAK SPACE}", " ").split())
            for part in (value, change)
        ]
        found[slug[1]] = (words[0].removesuffix(" a month"), words[1])
    return found


def moved(kpi: Kpi, now: D | int | None, before: D | int | None) -> str:
    """Return how a tile's change should begin: points of a rate, else the amount."""
    if now is None or before is None:
        return ""
    step = D(now) - D(before)
    sign = "+" if step > 0 else ""
    arrow = "↑" if step > 0 else "↓" if step < 0 else "→"
    amount = f"{rounded(step * 100, 1)} pp" if kpi.unit.value == "percent" else said(kpi, step)
    return f"{arrow} {sign}{amount}"


@pytest.fixture(params=["harbour", "moorland"])
def house(request: pytest.FixtureRequest, built: dict[str, Any]) -> tuple[str, Dashboard]:
    """A reseller of the demo: its overview as the owner sees it, and its rows."""
    owner = User.objects.get(email=f"owner@{request.param}.example")
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    with time_machine.travel(
        datetime(DEMO_DAY.year, DEMO_DAY.month, DEMO_DAY.day, 12, tzinfo=UTC), tick=False
    ):
        page = client.get("/").content.decode()
    with enter(Scope.of(Reseller.objects.get(code=request.param).pk)):
        return page, Dashboard()


def test_every_tile_is_reproduced(house: tuple[str, Dashboard]) -> None:
    page, rows = house
    now, before = rows.figures(OCTOBER), rows.figures(ago(OCTOBER, 1))
    shown = tiles(page)
    assert set(shown) == {k.slug for k in KPIS if k.headline or k.overview} == set(now)
    wanted = {slug: said(KPIS.get(slug), value) for slug, value in now.items()}
    assert {slug: value for slug, (value, _) in shown.items()} == wanted
    changes = {slug: moved(KPIS.get(slug), value, before[slug]) for slug, value in now.items()}
    wrong = {s: (shown[s][1], begins) for s, begins in changes.items() if not shown[s][1].startswith(begins)}
    assert wrong == {}


def test_the_sentence_and_the_bars_are_reproduced(house: tuple[str, Dashboard]) -> None:
    page, rows = house
    step = rows.mrr(OCTOBER) - rows.mrr(ago(OCTOBER, 1))
    verb = "stayed the same" if step == 0 else f"{'rose' if step > 0 else 'fell'} by £{rounded(abs(step), 2)}"
    new, lost = len(rows.new(OCTOBER)), len(rows.lost(OCTOBER))
    words = [
        f"{n or 'no'} customer{'' if n == 1 else 's'} {what}" for n, what in ((new, "joined"), (lost, "left"))
    ]
    assert f"In October 2026 recurring revenue {verb}, {words[0]} and {words[1]}." in page
    ages: dict[str, D] = dict.fromkeys(
        ("Not due", "1–30 days", "31–60 days", "61–90 days", "91 days or more"), D(0)
    )
    for amount, late in rows.owed(OCTOBER):
        places = [bound for bound in (0, 30, 60, 90) if late > bound]
        ages[list(ages)[len(places)]] += amount
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    cells = [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in found]
    assert {label: cells[cells.index(label) + 2] for label in ages} == {
        k: rounded(v, 2) for k, v in ages.items()
    }
