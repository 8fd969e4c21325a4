"""Workbooks written row by row by xlsxwriter in constant memory: typed cells, texts that nothing runs as a formula."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

MOST_ROWS = 1_048_576
MOST_TEXT = 32_767
#: Before it the calendars of spreadsheets disagree.
FIRST_DAY = date(1900, 3, 1)
TEXT = "@"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_A_NAME = re.compile(r"[\[\]:*?/\\]")
#: Puts a value of one kind into a row and column.
Writer = Callable[[int, int, Any], Any]


@dataclass
class Book:
    """A workbook being written: sheets are added one by one, each row by row, then it is closed."""

    path: Path
    _book: Workbook = field(init=False)
    _names: set[str] = field(init=False, default_factory=set)
    _styles: dict[tuple[str, bool], Format] = field(init=False, default_factory=dict)

    def __enter__(self) -> "Book":
        """Open the file; its temporary parts stand beside it."""
        options = {"constant_memory": True, "tmpdir": str(self.path.parent), "use_zip64": True}
        self._book = Workbook(str(self.path), options)
        return self

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        """Write the file; after an error too, so that nothing temporary is left."""
        if not self._book.worksheets():
            self.sheet("Sheet", widths=())
        self._book.close()

    def style(self, number_format: str, *, bold: bool = False) -> Format:
        """Return a style, made when it is new."""
        key = (number_format, bold)
        if key not in self._styles:
            self._styles[key] = self._book.add_format({"num_format": number_format, "bold": bold})
        return self._styles[key]

    def sheet(self, title: str, *, widths: Sequence[int], frozen: bool = False) -> "Sheet":
        """Add a sheet; the first row of a `frozen` one stays in sight."""
        made = self._book.add_worksheet(self._free_name(title))
        for column, width in enumerate(widths):
            made.set_column(column, column, width)
        if frozen:
            made.freeze_panes(1, 0)
        return Sheet(made)

    def _free_name(self, title: str) -> str:
        plain = _NOT_XML.sub("", _NOT_A_NAME.sub(" ", title)).strip().strip("'")[:27] or "Sheet"
        found, n = plain, 1
        while found.casefold() in self._names:
            n += 1
            found = f"{plain} {n}"
        self._names.add(found.casefold())
        return found


@dataclass
class Sheet:
    """A sheet that rows are added to, from the top."""

    made: Worksheet
    at: int = 0

    def writer(self, style: Format) -> Writer:
        """Return what puts a value of any kind into a cell of a style; of None it puts nothing."""

        def write(row: int, column: int, value: Any) -> None:
            if value is None:
                return
            if isinstance(value, str):
                self.made.write_string(row, column, plain(value), style)
            elif isinstance(value, date):
                self._write_day(row, column, value, style)
            else:
                self.made.write_number(row, column, value, style)

        return write

    def numbers(self, style: Format) -> Writer:
        """Return what puts numbers, also exact ones that come as decimal text, into cells of a style."""

        def write(row: int, column: int, value: Any) -> None:
            if value is not None:
                exact = Decimal(value) if type(value) is str else value
                self.made.write_number(row, column, exact, style)

        return write

    def add(self, values: Iterable[Any], writers: Sequence[Writer]) -> None:
        """Add a row."""
        for column, (value, write) in enumerate(zip(values, writers, strict=True)):
            write(self.at, column, value)
        self.at += 1

    def _write_day(self, row: int, column: int, value: date, style: Format) -> None:
        day = value.date() if isinstance(value, datetime) else value
        if day < FIRST_DAY:
            self.made.write_string(row, column, value.isoformat(), style)
        else:
            self.made.write_datetime(row, column, value, style)


def plain(text: str) -> str:
    """Return a text as a cell can hold it: no control characters, no longer than it may be."""
    return _NOT_XML.sub("", text)[:MOST_TEXT] if text else text
