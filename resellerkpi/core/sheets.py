"""Rows and columns to CSV, XLSX and JSON: typed cells, safe text, bounded memory."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from resellerkpi.core.columns import Column, Money, Row

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
_PHONE = re.compile(r"\+\d[\d ]*$")
_BOLD = Font(bold=True)


def harmless(text: str) -> str:
    """Disarm a text that a spreadsheet would run as a formula; phone numbers keep their +."""
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _PHONE.fullmatch(text):
        return "'" + text
    return text


def heads(columns: Sequence[Column]) -> list[str]:
    """Return the headings, with the currency beside fixed-currency money."""
    return [
        f"{c.title} ({c.currency[1:]})" if isinstance(c, Money) and c.currency.startswith("=") else c.title
        for c in columns
    ]


def write_csv(columns: Sequence[Column], rows: Iterable[Row], out: TextIO, footer: Sequence[str] = ()) -> int:
    """Write rows as CSV and return how many; footer lines follow a blank line."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heads(columns))
    count = 0
    for row in rows:
        writer.writerow([_csv_cell(c.cell(row)) for c in columns])
        count += 1
    if footer:
        writer.writerow([])
        writer.writerows([harmless(line)] for line in footer)
    return count


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def write_xlsx(
    columns: Sequence[Column],
    rows: Iterable[Row],
    path: Path,
    *,
    title: str,
    totals: Sequence[Row] = (),
    about: Sequence[tuple[str, str]] = (),
) -> int:
    """Write a workbook (data sheet, totals below it, About sheet) in bounded memory; return the row count."""
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31])
    sheet.freeze_panes = "A2"
    for index, column in enumerate(columns):
        sheet.column_dimensions[_letter(index)].width = max(10, min(40, len(column.title) + 4))
    sheet.append([_text(sheet, head, bold=True) for head in heads(columns)])
    count = 0
    for row in rows:
        sheet.append([_cell(sheet, c, row) for c in columns])
        count += 1
    for total in totals:
        sheet.append(_total_cells(sheet, columns, total))
    notes: Any = book.create_sheet("About")
    notes.column_dimensions["A"].width, notes.column_dimensions["B"].width = 28, 100
    for name, text in [*about, ("Rows", str(count)), *[(c.title, c.help) for c in columns if c.help]]:
        notes.append([_text(notes, name, bold=True), _text(notes, text)])
    book.save(path)
    return count


def _total_cells(sheet: Any, columns: Sequence[Column], total: Row) -> list[Any]:
    cells: list[Any] = []
    for index, column in enumerate(columns):
        if column.total or column.name in total or column.parts:
            cells.append(_cell(sheet, column, total))
        else:
            cells.append(_text(sheet, "Total", bold=True) if index == 0 else None)
    return cells


def _cell(sheet: Any, column: Column, row: Row) -> Any:
    value = column.cell(row)
    if value is None:
        return None
    if isinstance(value, str):
        return _text(sheet, value)
    cell = WriteOnlyCell(sheet, value)
    cell.number_format = column.cell_format
    return cell


def _text(sheet: Any, value: str, *, bold: bool = False) -> Any:
    cell = WriteOnlyCell(sheet, re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", value))
    cell.data_type = "s"
    cell.number_format = "@"
    if bold:
        cell.font = _BOLD
    return cell


def _letter(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def write_json(columns: Sequence[Column], rows: Iterable[Row], out: TextIO, **about: Any) -> int:
    """Write {about…, columns, rows} as JSON: money as strings, dates ISO; return the row count."""
    data = [{c.name: _plain(c.json(row)) for c in columns} for row in rows]
    shown = [{"name": c.name, "title": c.title, "kind": c.kind, "help": c.help} for c in columns]
    json.dump({**about, "columns": shown, "rows": data}, out, default=_plain, ensure_ascii=False)
    return len(data)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value
