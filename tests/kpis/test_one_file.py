"""A KPI is one file: put among the definitions, it is on every page and in every file without another word."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from kpis import definitions, registry
from kpis.dictionary import markdown, whole
from kpis.kpi import KPIS
from resellerkpi.core.access import Role
from tests.kpis import worlds
from tests.kpis.test_backend import ask, key_for
from tests.kpis.test_kpi_command import run
from tests.kpis.test_kpi_pages import alpha, someone

pytestmark = pytest.mark.django_db
FILE = '''
"""Numbers that are mobile."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, stock
from kpis.sources import BOOK, NUMBERS


@kpi(
    name="Share of mobile numbers", family=Family.NUMBERS, unit=Unit.PERCENT, good=Good.UP, rollup=Rollup.RATIO,
    version=1, by=BOOK, elsewhere=(("Nobody", "does not count it"),), overview=True,
)
def mobile_share() -> Shape:
    """Mobile numbers ÷ numbers under management, on the last day of the month.

    No number: n/a.
    """
    held = Part(NUMBERS, "r.held")
    return stock(Part(NUMBERS, "CASE WHEN r.number_type = 'mobile' THEN r.held ELSE 0 END"), held)
'''


@contextmanager
def among_definitions(folder: Path, text: str, slug: str) -> Iterator[None]:
    """A file among the definitions, as if it had been there from the start."""
    (folder / f"{slug}_of_a_test.py").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "__path__", [*definitions.__path__, str(folder)])
        cache.clear()
        registry.load()
        yield
        KPIS.remove(slug)
        cache.clear()


@pytest.fixture
def added(tmp_path: Path) -> Iterator[None]:
    """The file of the share of mobile numbers among the definitions."""
    with among_definitions(tmp_path, FILE, "mobile_share"):
        yield


def figures(client: Client, token: str) -> dict[str, Any]:
    """Return what each of the outputs says of March: three of three numbers."""
    asked = "?from=2026-03&to=2026-03"
    table = csv.DictReader(io.StringIO(client.get(f"/kpis/mobile_share.csv{asked}").content.decode()))
    (point,) = client.get(f"/kpis/mobile_share.json{asked}").json()["rows"]
    command = run("mobile_share", "--reseller", "alpha", "--from", "2026-03", "--to", "2026-03")["kpis"]
    (row,) = ask(token, f"mobile_share/{asked}").json()
    return {
        "csv": [(r["Month"], r["Share of mobile numbers"]) for r in table],
        "json": (point["value"], point["numerator"], point["denominator"]),
        "command": [r["value"] for r in command[0]["rows"]],
        "endpoint": (row["month"], row["mobile_share"], row["mobile_share_numerator"]),
        "by dealer": [
            (r["dealer"], r["mobile_share"]) for r in ask(token, f"mobile_share/byDealer/{asked}").json()
        ],
    }


@pytest.mark.usefixtures("added")
def test_one_file_makes_a_kpi_everywhere() -> None:
    with time_machine.travel(worlds.NOW, tick=False):
        made = alpha()
        client, token = someone(made, Role.OWNER), key_for(made)
        assert figures(client, token) == {
            "csv": [("2026-03-01", "1")],
            "json": ("1", "3", "3"),
            "command": ["1"],
            "endpoint": ("2026-03", 1, 3),
            "by dealer": [("D1", 1), ("D2", 1)],
        }
        name, formula = "Share of mobile numbers", "Mobile numbers ÷ numbers under management"
        for address in ("/", "/kpis/", "/kpis/mobile_share/", "/kpis/dictionary/"):
            page = client.get(address).content.decode()
            assert name in page, address
            assert formula in page, address
        assert "does not count it" in client.get("/kpis/dictionary/").content.decode()
        assert "100.0\N{NO-BREAK SPACE}%" in client.get("/kpis/mobile_share/").content.decode()
        told = {k["slug"]: k for k in run("--list")["kpis"]}["mobile_share"]
        assert (told["unit"], told["types"][:3]) == ("percent", ["summary", "byMonth", "byStatus"])
        assert "mobile_share" in {k["slug"] for k in client.get("/kpis/dictionary.json").json()["kpis"]}
        assert f"### {name}\n\n`mobile_share` · version 1\n\n{formula}" in markdown(whole())
        paths = Client().get("/backend/kpi/openapi.json").json()["paths"]
        assert {f"/backend/kpi/mobile_share/{t}/" for t in told["types"]} <= set(paths)
        assert {r["type"] for r in ask(token, "").json() if r["category"] == "mobile_share"} == set(
            told["types"]
        )


def test_the_example_of_the_docs_is_a_kpi_as_it_stands(tmp_path: Path) -> None:
    told = (Path(__file__).parents[2] / "docs" / "kpis-howto.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", told, re.DOTALL)[0]
    with time_machine.travel(worlds.NOW, tick=False):
        made = alpha()
        client, token = someone(made, Role.OWNER), key_for(made)
        with among_definitions(tmp_path, example, "numbers_per_active_customer"):
            (row,) = ask(token, "numbers_per_active_customer/?from=2026-04&to=2026-04").json()
            assert [row[f"numbers_per_active_customer{tail}"] for tail in ("", "_numerator", "_denominator")] == [
                1, 2, 2,
            ]  # fmt: skip
            page = client.get("/kpis/numbers_per_active_customer/?by=dealer").content.decode()
            assert "Numbers under management ÷ active customers, on the last day of the month." in page
