"""Rows and columns to CSV, XLSX, XLS and JSON: typed cells, safe text, bounded memory.

Each writer takes batches (see `core.batches`); `write_csv` and its like take rows and make batches of them.
"""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from resellerkpi.core import xlsx
from resellerkpi.core.batches import TEXTS, Batch, Feed, batched, cells, kinds, size_of
from resellerkpi.core.columns import Column, Date, Money, Number, Row

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xls": "application/vnd.ms-excel",
    "json": "application/json",
}
RISKY = frozenset("=+-@\t\r")
PLAIN = {str, int, type(None)}
_PHONE = re.compile(r"\+\d[\d ]*$")


@dataclass(frozen=True)
class Words:
    """What stands around the rows of a workbook: its title, totals, lines below the rows, the About sheet."""

    title: str
    totals: Sequence[Row] = ()
    footer: Sequence[str] = ()
    about: Sequence[tuple[str, str]] = ()


def harmless(text: str) -> str:
    """Disarm a text that a spreadsheet would run as a formula; phone numbers keep their +."""
    if text[:1] in RISKY and not _PHONE.fullmatch(text):
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
    return pour_csv(columns, batched(columns, rows), out, footer)


def pour_csv(
    columns: Sequence[Column], batches: Iterable[Batch], out: TextIO, footer: Sequence[str] = ()
) -> int:
    """Write batches as CSV and return how many rows there were; footer lines follow a blank line."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(harmless, heads(columns)))
    count = 0
    for batch in batches:
        writer.writerows(zip(*(_csv_cells(c, cells(c, batch)) for c in columns), strict=True))
        count += size_of(batch)
    if footer:
        writer.writerow([])
        writer.writerows([harmless(line)] for line in footer)
    return count


def _csv_cells(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return a column's cells as the CSV writer takes them; an amount's decimal text is no word, so never a formula."""
    if isinstance(column, Number):
        return values if kinds(values) <= PLAIN else [_csv_cell(v) for v in values]
    if isinstance(column, Date):
        days = {v: v.isoformat() for v in set(values) if v is not None}
        return [days.get(v) for v in values]
    if kinds(values) <= TEXTS:
        return [harmless(v) if v and v[0] in RISKY else v for v in values]
    return [harmless(v) if type(v) is str else _csv_cell(v) for v in values]


def _csv_cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
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
    return pour_xlsx(columns, batched(columns, rows), path, Words(title, totals, (), about))


def pour_xlsx(columns: Sequence[Column], batches: Iterable[Batch], path: Path, words: Words) -> int:
    """Write batches as a workbook and return how many rows there were; more than a sheet holds go on in the next."""
    feed = Feed(batches)
    room = xlsx.MOST_ROWS - 2 - len(words.totals) - len(words.footer)
    widths = [max(10, min(40, len(column.title) + 4)) for column in columns]
    with xlsx.Book(path) as book:
        while True:
            sheet = book.sheet(words.title, widths=widths, frozen=True)
            _fill(book, sheet, columns, feed.take(room))
            if feed.is_empty:
                break
        _end(book, sheet, columns, words)
        about = book.sheet("About", widths=(28, 100))
        pair = [about.writer(book.style(xlsx.TEXT, bold=bold)) for bold in (True, False)]
        for line in about_sheet(columns, feed.count, words):
            about.add(line, pair)
    return feed.count


def _fill(book: xlsx.Book, sheet: xlsx.Sheet, columns: Sequence[Column], batches: Iterable[Batch]) -> None:
    """Write the headings and the rows of one sheet."""
    sheet.add(heads(columns), [sheet.writer(book.style(xlsx.TEXT, bold=True))] * len(columns))
    writers = [
        (sheet.numbers if isinstance(c, Number) else sheet.writer)(book.style(c.cell_format)) for c in columns
    ]
    for batch in batches:
        for row in zip(*(cells(c, batch) for c in columns), strict=True):
            sheet.add(row, writers)


def _end(book: xlsx.Book, sheet: xlsx.Sheet, columns: Sequence[Column], words: Words) -> None:
    """Write totals and footer below the last row."""
    strong = [sheet.writer(book.style(c.cell_format, bold=True)) for c in columns]
    for total in words.totals:
        sheet.add(total_cells(columns, total), strong)
    line = [sheet.writer(book.style(xlsx.TEXT))]
    for text in ("", *words.footer) if words.footer else ():
        sheet.add([text], line)


def total_cells(columns: Sequence[Column], total: Row) -> list[Any]:
    """Return a total row's cells, the first saying Total."""
    shown = [c.has_total or (c.name in total and not c.level) for c in columns]
    return [
        c.cell(total) if s else "Total" if n == 0 else None
        for n, (c, s) in enumerate(zip(columns, shown, strict=True))
    ]


def about_sheet(columns: Sequence[Column], count: int, words: Words) -> list[tuple[str, str]]:
    """Return what the About sheet says: the query, how many rows, what each column means."""
    return [*words.about, ("Rows", str(count)), *((c.title, c.help) for c in columns if c.help)]


def write_json(columns: Sequence[Column], rows: Iterable[Row], out: TextIO, **about: Any) -> int:
    """Write {about…, columns, rows} as JSON, row by row: money as strings, dates ISO; return the row count."""
    shown = [{"name": c.name, "title": c.title, "kind": c.kind, "help": c.help} for c in columns]
    head = json.dumps({**about, "columns": shown}, default=_plain, ensure_ascii=False)
    out.write(f'{head[:-1]}, "rows": [')
    count = 0
    for row in rows:
        line = json.dumps({c.name: _plain(c.json(row)) for c in columns}, default=_plain, ensure_ascii=False)
        out.write(f"{',' if count else ''}\n{line}")
        count += 1
    out.write("\n]}\n")
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value
