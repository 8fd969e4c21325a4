"""Every report in every format: empty, one and many rows; web, CSV, XLSX, XLS and JSON show the same figures."""

import csv
import html
import io
import json
import random
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any, ClassVar

import openpyxl
import pytest
from django.db import InternalError, transaction
from django.test import RequestFactory
from python_calamine import CalamineWorkbook

import reports.render
from billing.models import Customer, ExchangeRate, Invoice
from reports.filters import ReportFilters
from reports.models import Export, Run
from reports.registry import REPORTS
from reports.render import FORMATS, Showing, export, total_as_json
from reports.report import Report
from reports.run import forget_expired, run
from reports.saved import save
from reports.web.table import frozen_table
from resellerkpi.core.access import Role
from resellerkpi.core.artifacts import path_of
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Percent
from resellerkpi.core.models import Artifact
from resellerkpi.core.scope import enter
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
YEAR = {"on_or_after": ["2026-01-01"], "before": ["2027-01-01"]}


@pytest.fixture
def world() -> World:
    return make_world()


NASTY = [
    '=HYPERLINK("http://x")',
    "+44 1632 960001",
    "0123",
    "@sum",
    "-1+1",
    "<b>&\x07",
    'Ünï — co, "Ltd"',
    "a\nb",
]


def fill(world: World, size: int) -> None:
    """Make so many invoices, by chance, to customers with names that files have trouble with."""
    chance = random.Random(size)
    with enter(world.alpha.scope()):
        for customer in Customer.objects.all():
            customer.name = chance.choice(NASTY)
            customer.save()
    kinds = ("recurring", "usage", "one_off")
    make_bills(
        world.alpha,
        *(
            Bill(
                f"A-{n:04}",
                world.alpha.customers[chance.randrange(3)],
                date(2026, 1, 1) + timedelta(days=chance.randrange(300)),
                [
                    (
                        chance.choice(kinds),
                        f"{chance.randint(1, 99999)}.{chance.randint(0, 99):02}",
                        "1.123456",
                    )
                    for _ in range(chance.randint(1, 3))
                ],
                currency=chance.choice(["GBP", "GBP", "EUR"]),
                paid="1.23",
            )
            for n in range(size)
        ),
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows above the footer."""
    with path.open(encoding="utf-8", newline="") as text:
        lines = list(csv.reader(text))
    head, *rows = lines
    rows = rows[: next((i for i, row in enumerate(rows) if not row), len(rows))]
    return [dict(zip(head, row, strict=True)) for row in rows]


def workbook(path: Path) -> Any:
    """Open a stored XLSX, which has no ending to its name."""
    return openpyxl.load_workbook(io.BytesIO(path.read_bytes()))


def same(shown: str, value: Any) -> bool:
    """Say whether a text of a CSV file means a value; an apostrophe disarms what could be a formula."""
    if isinstance(value, D | int | float) and not isinstance(value, bool):
        return D(shown) == D(str(value))
    return shown in ("" if value is None else str(value), f"'{value}")


def near(held: Any, cell: Any) -> bool:
    """Say whether a spreadsheet's cell holds a value: numbers as near as binary floats are, days as days."""
    if isinstance(cell, int | D):
        return abs(D(str(held)) - cell) <= abs(D(cell)) * D("1e-12") + D("1e-9")
    if isinstance(held, datetime) and not isinstance(cell, datetime):
        held = held.date()
    if isinstance(cell, str):
        return (held or "") == re.sub(r"[\x00-\x08]", "", cell)
    return (held or None) == cell


def on_the_page(showing: Showing) -> list[list[str]]:
    """Return the cells of the result's page as a reader sees them."""
    table = frozen_table(showing, RequestFactory().get("/?rows=250").GET)
    rows = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", str(cells), re.DOTALL) for cells in table.body)
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in rows]


QUERIES: dict[str, dict[str, list[str]]] = {
    "plain": {},
    "groups": {"group_by": ["month", "customer"]},
    "compared": {"group_by": ["dealer", "quarter"], "compare": ["year"]},
    "converted": {"currency": ["EUR"]},
}


def asking(report: Report, query: str) -> dict[str, list[str]]:
    """Return a query of a report; one that it does not offer is skipped by falling back to the plain one."""
    offered = {d.slug for d in report.dimensions}
    wanted = {
        k: [v for v in values if k != "group_by" or v in offered] for k, values in QUERIES[query].items()
    }
    fits = ("currency" not in wanted or report.billed) and ("group_by" not in wanted or wanted["group_by"])
    return YEAR | ({k: v for k, v in wanted.items() if v} if fits else {})


@pytest.mark.parametrize("slug", REPORTS.slugs())
@pytest.mark.parametrize(("size", "query"), [(0, "plain"), (1, "plain"), *((23, query) for query in QUERIES)])
def test_all_formats_show_the_same(world: World, slug: str, size: int, query: str) -> None:
    fill(world, size)
    with enter(world.alpha.scope()):
        if query == "converted":
            own = {"reseller": world.alpha.reseller, "base": "EUR", "currency": "GBP"}
            ExchangeRate.objects.create(**own, date=date(2026, 1, 9), rate=D("0.83"))
            ExchangeRate.objects.create(**own, date=date(2026, 6, 1), rate=D("0.87"))
        report = REPORTS.get(slug)
        plain = Showing(run(report, asking(report, query), now=NOW))
        showing = Showing(plain.run, sort=f"-{plain.columns[0].name}")
        columns, rows = showing.columns, list(showing.rows())
        files = {kind: path_of(export(showing, kind)) for kind in FORMATS}
        page = on_the_page(showing)
    heads, told = [c.title for c in columns], [[c.cell(row) for c in columns] for row in rows]
    assert len(rows) == showing.run.row_count
    assert slug != "invoices" or query in ("groups", "compared") or len(rows) == size
    assert page == [[c.display(row) for c in columns if not c.hidden] for row in rows[:250]]
    with files["csv"].open(encoding="utf-8", newline="") as text:
        head, *lines = list(csv.reader(text))
    assert head == heads
    assert all(same(*pair) for n, row in enumerate(told) for pair in zip(lines[n], row, strict=True))
    assert lines[len(rows)] == []
    assert_json(files["json"], showing, rows)
    sheet = list(workbook(files["xlsx"]).worksheets[0].iter_rows(values_only=True))
    for sheet_rows in (sheet, tally(files["xlsx"]), tally(files["xls"])):
        assert list(sheet_rows[0][: len(heads)]) == heads
        for n, row in enumerate(told, 1):
            assert all(near(*pair) for pair in zip(sheet_rows[n][: len(heads)], row, strict=True))
        totals = sheet_rows[len(rows) + 1 : len(rows) + 1 + len(showing.totals)]
        assert [row[0] for row in totals] == ["Total"] * len(showing.totals)
        below = [row[0] for row in sheet_rows[len(rows) + 1 + len(showing.totals) :]]
        assert below[-1] == f"Rows: {len(rows)}"


def tally(path: Path) -> list[list[Any]]:
    """Read a workbook's first sheet by another make of reader."""
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()


def assert_json(path: Path, showing: Showing, rows: list[dict[str, Any]]) -> None:
    """Check the JSON file of a showing."""
    data = json.loads(path.read_text())
    told = [{c.name: c.json(row) for c in showing.columns} for row in rows]
    assert data["rows"] == [
        {k: format(v, "f") if isinstance(v, D) else v for k, v in row.items()} for row in told
    ]
    assert (data["row_count"], data["sha256"]) == (len(rows), showing.run.sha256)
    assert data["totals"] == [total_as_json(showing.columns, t) for t in showing.totals]


def test_totals_and_about_stand_in_the_files(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        showing = Showing(run(REPORTS.get("invoices"), YEAR, now=NOW, user=world.ana))
        book = workbook(path_of(export(showing, "xlsx")))
        text = path_of(export(showing, "csv")).read_text()
        data = json.loads(path_of(export(showing, "json")).read_text())
    lines = [[cell.value for cell in row] for row in book.worksheets[0].rows]
    assert lines[4][0] == "Total"
    assert 280 in lines[4]
    assert [line[0] for line in lines[6:]] == [
        "Period: 1 Jan 2026 to 31 Dec 2026 (Europe/London)",
        "Layout: One line per invoice",
        "Rows: 3",
    ]
    about: dict[Any, Any] = dict(book["About"].iter_rows(values_only=True))
    assert about["Generated by"] == "Ana Alder (Owner)"
    assert about["Data cover"] == "1 Nov 2026 to 10 Nov 2026"
    assert about["Rows"] == "3"
    assert about["Net"] == "Sum of the lines before VAT."
    assert "Total: 3 rows in GBP; Net 280.00" in text
    assert data["totals"][0]["net"] == "280.00"
    assert {k for k, v in data["totals"][0].items() if not isinstance(v, str)} == {"rows"}
    assert data["totals"][0]["margin_percent"] == "0.428131"
    assert data["period"] == {"start": "2026-01-01", "end": "2027-01-01", "zone": "Europe/London"}


def test_a_file_is_made_once_and_sorts_as_displayed(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        frozen = run(REPORTS.get("invoices"), YEAR, now=NOW)
        first = export(Showing(frozen, sort="-unpaid"), "csv")
        assert export(Showing(frozen, sort="-unpaid"), "csv") == first
        assert export(Showing(frozen, sort="unpaid"), "csv") != first
        assert export(Showing(frozen, sort="nonsense"), "csv") == export(Showing(frozen), "csv")
        assert [r["Invoice"] for r in read_csv(path_of(first))] == ["A-0002", "A-0003", "A-0001"]


def test_a_large_run_is_sorted_once_into_a_copy_that_goes_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, 23)
    with enter(world.alpha.scope()):
        frozen = run(REPORTS.get("invoices"), YEAR, now=NOW)
        wanted = {sort: list(Showing(frozen, sort=sort).rows()) for sort in ("-net", "customer_name")}
        monkeypatch.setattr(reports.render, "SORTED_AT_ONCE", 5)
        for sort, rows in wanted.items():
            assert list(Showing(frozen, sort=sort).rows()) == rows
            assert list(Showing(frozen, sort=sort).rows(3, 8)) == rows[3:8]
        assert Export.objects.count() == 2
        list(Showing(frozen, sort="-net", names=("net",)).rows())
        assert Export.objects.count() == 2
        assert forget_expired(NOW + timedelta(days=31)) == 1
        assert Artifact.objects.count() == 0


def test_a_frozen_run_stays_when_the_data_change(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        frozen = run(REPORTS.get("invoices"), YEAR, now=NOW)
        before = list(Showing(frozen).rows())
        Customer.objects.update(name="Renamed")
        Invoice.objects.filter(state="issued").update(is_disputed=True)
        make_bills(world.alpha, Bill("A-0099", world.alpha.customers[0], date(2026, 11, 21)))
        assert list(Showing(Run.objects.get(pk=frozen.pk)).rows()) == before
        with pytest.raises(InternalError, match="never changes"), transaction.atomic():
            Run.objects.filter(pk=frozen.pk).update(row_count=4)
        again = run(REPORTS.get("invoices"), YEAR, now=NOW)
    assert again.row_count == 4
    assert again.sha256 != frozen.sha256


def test_the_same_data_freeze_to_the_same_hash(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        hashes = {run(REPORTS.get("invoices"), YEAR, now=NOW + timedelta(days=n)).sha256 for n in range(2)}
    assert len(hashes) == 1


def test_a_run_tells_who_asked_when_and_what_the_data_cover(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        made = run(REPORTS.get("invoices"), {"period": ["this_month"]}, now=NOW, user=world.ana)
    assert (made.title, made.by_name, made.role) == ("Invoices: November 2026", "Ana Alder", Role.OWNER)
    assert (made.data_from, made.data_to) == (date(2026, 11, 1), date(2026, 11, 10))
    assert (made.version, made.kept_until) == (1, NOW + timedelta(days=30))
    assert made.params == {"period": ["this_month"], "zone": ["Europe/London"], "view": ["invoices"]}


def test_runs_kept_no_longer_go_with_their_files(world: World) -> None:
    three_bills(world.alpha)
    with enter(world.alpha.scope()):
        old = run(REPORTS.get("invoices"), YEAR, now=NOW)
        export(Showing(old), "csv")
        assert Artifact.objects.count() == 2
        assert forget_expired(NOW + timedelta(days=30)) == 0
        assert forget_expired(NOW + timedelta(days=30, seconds=1)) == 1
        assert (Run.objects.count(), Export.objects.count(), Artifact.objects.count()) == (0, 0, 0)


@pytest.fixture
def customers_report() -> Iterator[Report]:
    """Add a report the way a file would: one class."""

    class CustomersOf(Report):
        """Customers by number of invoices."""

        slug: ClassVar[str] = "test-customers"
        name: ClassVar[str] = "Customers"
        columns = (
            Code(name="code", label="Account"),
            Int(name="invoices", total=SUM),
            Money(name="owed", currency="=GBP", total=SUM),
            Percent(name="share", parts=("invoices", "all")),
        )

        def rows(self, f: ReportFilters) -> list[dict[str, Any]]:
            """Return the rows."""
            codes = Customer.objects.order_by("code").values_list("code", flat=True)
            return [{"code": c, "invoices": n, "all": 4, "owed": D(n)} for n, c in enumerate(codes)]

    yield REPORTS.get("test-customers")
    REPORTS.remove("test-customers")


def test_adding_a_report_is_one_class(world: World, customers_report: Report) -> None:
    with enter(world.alpha.scope()):
        showing = Showing(run(customers_report, {}, now=NOW), sort="-invoices")
        assert [row["code"] for row in showing.rows()] == ["C003", "C002", "C001"]
        assert showing.totals == [{"rows": 3, "invoices": 3, "owed": D(3), "all": D(12)}]
        assert showing.columns[3].display(showing.totals[0]) == "25.0\N{NO-BREAK SPACE}%"
        assert read_csv(path_of(export(showing, "csv")))[0] == {
            "Account": "C003",
            "Invoices": "2",
            "Owed (GBP)": "2",
            "Share": "0.5",
        }


def test_every_report_says_what_it_is() -> None:
    for report in REPORTS:
        assert report.purpose
        assert report.name
        assert report.version >= 1
        names = [column.name for column in report.columns]
        assert len(names) == len(set(names))
        drawn: set[str] = {c for p in report.charts for c in (p.chart.x, *p.chart.y, p.chart.series) if c}
        assert drawn <= {*names, *(c.name for d in report.dimensions for c in d.columns)}
        columns: list[Column] = list(report.columns)
        ratios = {c.name for c in columns if c.parts and not isinstance(c, Money)}
        assert not ratios & {y for p in report.charts for y in p.chart.y}, (
            "a ratio cannot be summed in a chart"
        )
        assert all(c.needs for c in columns if c.name in ("cost", "margin", "markup"))


def test_the_report_of_the_docs_works_as_written(world: World) -> None:
    three_bills(world.alpha)
    text = (Path(__file__).parents[2] / "docs/reports-howto.md").read_text()
    exec(text.partition("```python\n")[2].partition("```")[0], {"__name__": "howto"})
    try:
        with enter(world.alpha.scope()):
            asked = YEAR | {"group_by": ["dealer"], "compare": ["year"]}
            showing = Showing(run(REPORTS.get("spending"), asked, now=NOW))
            average = {c.name: c for c in showing.columns}["average"]
            told = [(r["by_dealer"], r["invoices"], r["net"], average.display(r)) for r in showing.rows()]
            assert told == [
                ("Alpha Dealer 1", 2, D("180.00"), "90.00"),
                ("Alpha Dealer 2", 1, D("100.00"), "100.00"),
            ]
            assert average.display(showing.totals[0]) == "93.33"
            for kind in FORMATS:
                assert path_of(export(showing, kind)).stat().st_size > 500
            lines = read_csv(path_of(export(showing, "csv")))
            assert [line["Net change %"] for line in lines] == ["", ""]
            assert [line["Average before"] for line in lines] == ["", ""]
            ExchangeRate.objects.create(
                reseller=world.alpha.reseller,
                base="EUR",
                currency="GBP",
                date=date(2026, 10, 30),
                rate=D("0.5"),
            )
            euros = run(REPORTS.get("spending"), YEAR | {"currency": ["EUR"]}, now=NOW)
            assert [(t["currency"], t["net"]) for t in euros.totals] == [("EUR", "560.00")]
            kept = save(
                REPORTS.get("spending"),
                name="Euros",
                params=euros.params | {"sort": ["-net"]},
                is_shared=False,
                owner_id=world.ana.pk,
                now=NOW,
            )
            assert run(REPORTS.get("spending"), kept.params, now=NOW).sha256 == euros.sha256
            assert kept.view == {"sort": ["-net"]}
            plain = run(REPORTS.get("spending"), YEAR | {"customer": ["C002"]}, now=NOW)
            assert [row["by_account"] for row in Showing(plain).rows()] == ["C002"]
    finally:
        REPORTS.remove("spending")


def test_a_total_of_nothing_is_money_too(world: World) -> None:
    make_bills(world.alpha, Bill("A-0001", world.alpha.customers[0], date(2026, 11, 1)))
    with enter(world.alpha.scope()):
        total = run(REPORTS.get("invoices"), YEAR, now=NOW).totals[0]
    assert (total["paid"], total["credited"], total["rows"]) == ("0.00", "0.00", 1)
