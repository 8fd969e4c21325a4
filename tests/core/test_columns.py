"""Columns and sheets: one declaration, the same figures everywhere."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from resellerkpi.core.access import Capability, Role, capabilities
from resellerkpi.core.batches import batched
from resellerkpi.core.columns import (
    SUM,
    Bucket,
    Choice,
    Code,
    Column,
    Date,
    DateTime,
    Decimal,
    Flag,
    Growth,
    Int,
    Minutes,
    Money,
    Percent,
    Points,
    Text,
    totals,
    visible,
)
from resellerkpi.core.sheets import Words, harmless, write_csv, write_json, write_xlsx
from resellerkpi.core.xls import TooWide, pour_xls

COLUMNS: list[Column] = [
    Text(name="name", help="Who"),
    Code(name="number"),
    Int(name="calls", total=SUM),
    Minutes(name="seconds", total=SUM),
    Money(name="retail", total=SUM),
    Money(name="cost", total=SUM, needs=Capability.VIEW_WHOLESALE),
    Percent(name="share", parts=("calls", "all")),
    Text(name="currency"),
    Date(name="day"),
    DateTime(name="at"),
    Flag(name="live"),
    Decimal(name="ratio", decimals=3),
    Choice(name="state", choices=[("a", "Active")]),
]
ROWS = [
    {
        "name": "=cmd()",
        "number": "+447700900123",
        "calls": 3,
        "all": 4,
        "seconds": 3725,
        "retail": D("1234.5"),
        "cost": D("-2"),
        "currency": "GBP",
        "day": date(2026, 11, 2),
        "at": datetime(2026, 11, 2, 9, 5, 7, tzinfo=UTC),
        "live": True,
        "ratio": D("0.5"),
        "state": "a",
    },
    {"name": "B", "number": "0123", "calls": 1, "all": 6, "seconds": 5, "retail": D(1), "currency": "EUR"},
]


def test_people_read_separators_units_and_a_true_minus() -> None:
    shown = {c.name: c.display(ROWS[0]) for c in COLUMNS}
    assert shown == {
        "name": "=cmd()",
        "number": "+447700900123",
        "calls": "3",
        "seconds": "1:02:05",
        "retail": "1,234.50",
        "cost": "\N{MINUS SIGN}2.00",
        "share": "75.0\N{NO-BREAK SPACE}%",
        "currency": "GBP",
        "day": "2 Nov 2026",
        "at": "2 Nov 2026 09:05:07",
        "live": "Yes",
        "ratio": "0.500",
        "state": "Active",
    }


def test_absent_values_are_a_dash_and_a_ratio_of_nothing_is_not_available() -> None:
    assert {c.display({}) for c in COLUMNS} == {"\N{EN DASH}", "n/a"}
    assert Percent(name="x", parts=("a", "b")).value({"a": 1, "b": 0}) is None


def test_totals_add_within_a_currency_and_divide_sums() -> None:
    euro, pound = totals(COLUMNS, ROWS)
    assert (euro["currency"], euro["retail"], euro["rows"]) == ("EUR", 1, 1)
    assert (pound["currency"], pound["retail"], pound["calls"]) == ("GBP", D("1234.5"), 3)
    together = totals([Int(name="calls", total=SUM), COLUMNS[6]], ROWS)[0]
    assert COLUMNS[6].value(together) == D(4) / D(10)


def test_redaction_drops_the_column() -> None:
    names = [c.name for c in visible(COLUMNS, capabilities(Role.DEALER))]
    assert "cost" not in names
    assert "retail" in names
    assert "cost" in [c.name for c in visible(COLUMNS, capabilities(Role.OWNER))]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+44 7700 900123", "+44 7700 900123"),
        ("+cmd|x", "'+cmd|x"),
        ("@SUM", "'@SUM"),
        ("-1", "'-1"),
        ("a", "a"),
    ],
)
def test_formulas_are_disarmed_and_phone_numbers_spared(text: str, safe: str) -> None:
    assert harmless(text) == safe


def test_csv_json_and_xlsx_carry_the_same_rows(tmp_path: Path) -> None:
    out = io.StringIO()
    assert write_csv(COLUMNS, ROWS, out, footer=["2 rows"]) == 2
    table = list(csv.reader(io.StringIO(out.getvalue())))
    assert table[1][:5] == ["'=cmd()", "+447700900123", "3", "62.08", "1234.5"]
    assert table[-1] == ["2 rows"]

    stream = io.StringIO()
    write_json(COLUMNS, ROWS, stream, report="x")
    data = json.loads(stream.getvalue())
    assert data["rows"][0]["retail"] == "1234.5"
    assert data["rows"][0]["day"] == "2026-11-02"
    assert data["rows"][1]["cost"] is None

    path = tmp_path / "a.xlsx"
    write_xlsx(COLUMNS, ROWS, path, title="A/B", totals=totals(COLUMNS, ROWS), about=[("Report", "x")])
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    first = [cell.value for cell in sheet[2]]
    assert first[:5] == ["=cmd()", "+447700900123", 3, 62.08, 1234.5]
    assert sheet["A2"].data_type == "s"
    assert first[9] == datetime(2026, 11, 2, 9, 5, 7)  # noqa: DTZ001  spreadsheets have no zones
    assert book["About"]["A1"].value == "Report"
    assert sheet.max_row == 5


def test_a_workbook_of_the_old_format_goes_on_in_the_next_sheet(tmp_path: Path) -> None:
    columns = [Code(name="number"), Int(name="n", total=SUM), Date(name="day")]
    rows = [{"number": f"+44{n:05}", "n": n, "day": date(2026, 1, 1)} for n in range(25)]
    path = tmp_path / "a.xls"
    words = Words("Calls: a/b", [{"n": 300}], ["Rows: 25"], [("Report", "Calls")])
    assert pour_xls(columns, batched(columns, rows, size=7), path, words, most=14) == 25
    book = CalamineWorkbook.from_path(str(path))
    assert book.sheet_names == ["Calls  a b", "Calls  a b 2", "Calls  a b 3", "About"]
    sheets = [book.get_sheet_by_name(name).to_python() for name in book.sheet_names[:3]]
    assert [sheet[0] for sheet in sheets] == [["Number", "N", "Day"]] * 3
    held = [row for sheet in sheets for row in sheet[1:] if str(row[0]).startswith("+44")]
    assert held == [[row["number"], row["n"], row["day"]] for row in rows]
    assert [row[:2] for row in sheets[2][-3:]] == [["Total", 300], ["", ""], ["Rows: 25", ""]]
    assert len(sheets[0]) <= 14


def test_a_workbook_too_wide_for_the_old_format_says_so(tmp_path: Path) -> None:
    columns = [Int(name=f"c{n}") for n in range(257)]
    with pytest.raises(TooWide, match="at most 256 columns; take XLSX"):
        pour_xls(columns, [], tmp_path / "a.xls", Words("Wide"))


@pytest.mark.parametrize(
    ("grain", "shown"),
    [
        ("year", "2026"),
        ("quarter", "Q4 2026"),
        ("month", "Oct 2026"),
        ("week", "Week of 5 Oct 2026"),
        ("day", "5 Oct 2026"),
    ],
)
def test_a_time_bucket_is_shown_by_its_name(grain: str, shown: str) -> None:
    column = Bucket(name="by_time", grain=grain)
    assert column.display({"by_time": date(2026, 10, 5)}) == shown
    assert column.display({}) == "\N{EN DASH}"


def test_averages_and_changes_come_from_their_parts() -> None:
    row = {
        "net": D(90),
        "count": 3,
        "net_before": D(50),
        "count_before": 2,
        "change": D(-60),
        "before": D(-40),
    }
    average = Money(name="average", parts=("net", "count"))
    points = Points(name="p", parts=("net", "count", "net_before", "count_before"), scale=1, decimals=2)
    assert (average.value(row), points.display(row)) == (D(30), "5.00")
    assert Growth(name="g", parts=("change", "before")).value(row) == D("-1.5")
    assert Growth(name="g", parts=("change", "before")).value({"change": D(1), "before": D(0)}) is None
