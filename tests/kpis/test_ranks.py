"""Which product sold most in a month, and how many places it rose or fell since the month before."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import Observation
from kpis.kpi import KPIS
from kpis.ranks import Rank, ranks
from kpis.reading import Reader
from kpis.series import Point
from kpis.snapshots import refresh
from kpis.web.asked import Query
from kpis.web.kpi_rows import points_of, ranked
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import account, someone

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
#: Value of orders by product in March and April, "" without a product.
SOLD = {
    "Lines": (500, 200),
    "Broadband": (300, 900),
    "Handsets": (300, 200),
    "Routers": (0, 40),
    "Faxes": (20, 0),
    "": (900, 900),
}


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(worlds.NOW, tick=False):
        yield


@pytest.fixture
def house() -> Reseller:
    """A house with its orders of two months, in pounds, and one in euros."""
    made = Reseller.objects.create(code="rank", name="Rank")
    with enter(Scope.of(made.pk)):
        worlds.load({"customers": [account("ann", "", date(2026, 1, 5))], "spend": {}}, made)
        for month, at in ((MARCH, 0), (APRIL, 1)):
            for item, values in SOLD.items():
                if values[at]:
                    told: dict[str, Any] = {"dimension": "item", "key": item} if item else {}
                    Observation.objects.create(
                        reseller=made, metric="order_value", date=month, value=values[at], **told
                    )
        Observation.objects.create(
            reseller=made,
            metric="order_value",
            date=APRIL,
            value=1,
            dimension="item",
            key="Faxes",
            currency="EUR",
        )
        refresh(made, now=worlds.NOW)
    return made


@pytest.fixture
def client(house: Reseller) -> Client:
    """The owner's browser."""
    return someone(house, Role.OWNER)


def test_ranks_are_by_the_figure_and_ties_share_the_better_place() -> None:
    def at(month: date, **values: str) -> list[Point]:
        return [Point(month, key, "GBP", Decimal(v), None) for key, v in values.items()]

    found = ranks([*at(MARCH, a="5", b="9", c="5", d="1"), *at(APRIL, a="8", b="8", c="0", d="-2", e="3")])
    assert {key: found[key, "GBP", MARCH] for key in "abcd"} == {
        "a": Rank(2), "b": Rank(1), "c": Rank(2), "d": Rank(4),
    }  # fmt: skip
    assert {key: str(found[key, "GBP", APRIL]) for key in "abde"} == {
        "a": "1 (was 2)", "b": "1 (was 1)", "d": "4 (was 4)", "e": "3 (new)",
    }  # fmt: skip
    assert ("c", "GBP", APRIL) not in found
    assert [found[key, "GBP", APRIL].moved for key in "abde"] == [1, 0, 0, None]


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["sales_by_product", "order_value"])
def test_json_and_csv_say_each_products_rank_and_how_far_it_moved(client: Client, slug: str) -> None:
    tail = "?from=2026-04&to=2026-04&by=item"
    rows = client.get(f"/kpis/{slug}.json{tail}").json()["rows"]
    told = {(r["key"], r["currency"]): (r["rank"], r["rank_before"], r["moved"]) for r in rows}
    assert told == {
        ("", "GBP"): (None, None, None),
        ("Broadband", "GBP"): (1, 2, 1),
        ("Handsets", "GBP"): (2, 2, 0),
        ("Lines", "GBP"): (2, 1, -1),
        ("Routers", "GBP"): (4, None, None),
        ("Faxes", "EUR"): (1, None, None),
    }
    lines = list(csv.DictReader(io.StringIO(client.get(f"/kpis/{slug}.csv{tail}").content.decode())))
    lines_told = {
        (r["Product or service"], r["Currency"]): (
            r["Rank"],
            r["Rank in the month before"],
            r["Places risen"],
        )
        for r in lines
        if r["Product or service"] in SOLD
    }
    assert lines_told["Lines", "GBP"] == ("2", "1", "-1")
    assert lines_told["Routers", "GBP"] == ("4", "", "")


@pytest.mark.django_db
def test_the_page_says_what_a_rank_was(client: Client) -> None:
    page = client.get("/kpis/sales_by_product/?month=2026-04&by=item").content.decode()
    assert re.findall(r"\d \((?:was \d|new)\)", page) == ["1 (was 2)", "2 (was 2)", "2 (was 1)", "4 (new)"]
    assert "Rank (1 is the largest)" in page
    first = client.get("/kpis/sales_by_product.json?from=2026-03&to=2026-03&by=item").json()["rows"]
    assert {r["key"]: (r["rank"], r["moved"]) for r in first if r["key"]} == {
        "Lines": (1, None), "Broadband": (2, None), "Handsets": (2, None), "Faxes": (4, None),
    }  # fmt: skip
    plain = client.get("/kpis/sales_by_product.json?from=2026-04&to=2026-04").json()["rows"]
    assert all("rank" not in r for r in plain)


@pytest.mark.django_db
def test_ranks_take_no_query_more(house: Reseller) -> None:
    kpi, query = KPIS.get("sales_by_product"), Query([APRIL], "item", None)
    with enter(Scope.of(house.pk)):
        counts = []
        for read in (points_of, ranked):
            reader = Reader(house, Scope.of(house.pk), worlds.NOW)
            with CaptureQueriesContext(connection) as asked:
                read(kpi, query, reader)
            counts.append(len(asked))
    assert counts[0] == counts[1]
