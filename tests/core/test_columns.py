"""Columns and sheets: one declaration, the same figures everywhere."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path

import openpyxl
import pytest

from resellerkpi.core.access import Capability, Role, capabilities
from resellerkpi.core.columns import (
    SUM,
    Choice,
    Code,
    Column,
    Date,
    DateTime,
    Decimal,
    Flag,
    Int,
    Minutes,
    Money,
    Percent,
    Text,
    totals,
    visible,
)
from resellerkpi.core.sheets import harmless, write_csv, write_json, write_xlsx

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
