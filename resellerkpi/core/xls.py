"""Workbooks in the old XLS format, by a library that nobody mends any more: it is used here and nowhere else.

A sheet holds 65,536 rows; what is more goes on in the next. Numbers become binary floats, as the format keeps them.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlwt

from resellerkpi.core.batches import Batch, Feed, cells, size_of
from resellerkpi.core.columns import Column, Number
from resellerkpi.core.sheets import Words, about_sheet, heads, total_cells

MOST_ROWS = 65_536
MOST_COLUMNS = 256
MOST_TEXT = 32_767
FIRST_DAY = date(1900, 3, 1)


class TooWide(ValueError):
    """Raised for more columns than the format has."""


def pour_xls(
    columns: Sequence[Column], batches: Iterable[Batch], path: Path, words: Words, *, most: int = MOST_ROWS
) -> int:
    """Write batches as a workbook of sheets of at most `most` rows each and return how many rows there were."""
    if len(columns) > MOST_COLUMNS:
        raise TooWide(f"An XLS file has at most {MOST_COLUMNS} columns; take XLSX instead.")
    book, feed, number = xlwt.Workbook(encoding="utf-8"), Feed(batches), 0
    room = most - 2 - len(words.totals) - len(words.footer)
    styles = [xlwt.easyxf(num_format_str=column.cell_format) for column in columns]
    while number == 0 or not feed.is_empty:
        number += 1
        sheet = _sheet(book, words.title if number == 1 else f"{words.title} {number}", columns)
        at = 1
        for batch in feed.take(room):
            _write(sheet, at, columns, styles, batch)
            at += size_of(batch)
            sheet.flush_row_data()
    _end(sheet, at, columns, words)
    notes = book.add_sheet("About")
    for place, (name, told) in enumerate(about_sheet(columns, feed.count, words)):
        notes.write(place, 0, name, _BOLD)
        notes.write(place, 1, told[:MOST_TEXT], _TEXT)
    notes.col(0).width, notes.col(1).width = 28 * 256, 100 * 256
    book.save(str(path))
    return feed.count


_BOLD = xlwt.easyxf("font: bold on", num_format_str="@")
_TEXT = xlwt.easyxf(num_format_str="@")


def _sheet(book: Any, title: str, columns: Sequence[Column]) -> Any:
    plain = "".join(" " if mark in "[]:*?/\\'" else mark for mark in title if mark.isprintable()).strip()
    sheet = book.add_sheet(plain[-31:] or "Sheet")
    sheet.set_panes_frozen(True)
    sheet.set_horz_split_pos(1)
    for place, head in enumerate(heads(columns)):
        sheet.write(0, place, head, _BOLD)
        sheet.col(place).width = 256 * max(10, min(40, len(head) + 4))
    return sheet


def _write(sheet: Any, first: int, columns: Sequence[Column], styles: Sequence[Any], batch: Batch) -> None:
    for place, (column, style) in enumerate(zip(columns, styles, strict=True)):
        for at, value in enumerate(cells(column, batch), first):
            _put(sheet, at, place, column, value, style)


def _put(sheet: Any, at: int, place: int, column: Column, value: Any, style: Any) -> None:
    if value is None:
        return
    if isinstance(column, Number):
        sheet.write(at, place, float(value), style)  # the format has nothing but binary floats
    elif isinstance(value, str) or (value.date() if isinstance(value, datetime) else value) < FIRST_DAY:
        sheet.write(at, place, str(value)[:MOST_TEXT], _TEXT)
    else:
        sheet.write(at, place, value, style)


def _end(sheet: Any, at: int, columns: Sequence[Column], words: Words) -> None:
    """Write totals and footer below the last row."""
    for total in words.totals:
        for place, (column, value) in enumerate(zip(columns, total_cells(columns, total), strict=True)):
            strong = xlwt.easyxf("font: bold on", num_format_str=column.cell_format)
            if isinstance(value, Decimal | int) or value is None:
                _put(sheet, at, place, column, value, strong)
            else:
                sheet.write(at, place, value, _BOLD)
        at += 1
    for place, line in enumerate(words.footer, at + 1):
        sheet.write(place, 0, line[:MOST_TEXT], _TEXT)
