"""Reads CSV, XLSX and XLS files into typed cells with their line numbers; nothing is guessed silently."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from python_calamine import CalamineError, CalamineWorkbook

from billing.importing.refused import FileRefused

Cell: TypeAlias = str | Decimal | date
DELIMITERS = ",;\t|"
MOST_BYTES = 200 * 1024 * 1024
MOST_UNPACKED = 1024 * 1024 * 1024
EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True)
class Line:
    """One record of a file: the line it starts on and its cells."""

    number: int
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """A file's headings (empty when it has none) and records."""

    heads: list[str]
    lines: list[Line]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.heads) or max((len(line.cells) for line in self.lines), default=0)


def read_table(path: Path, *, delimiter: str = "", has_heads: bool = True, skip_lines: int = 0) -> Table:
    """Read a file; raises FileRefused for what is no table."""
    if not path.is_file():
        raise FileRefused(f"There is no file {path.name}.")
    if path.stat().st_size > MOST_BYTES:
        raise FileRefused(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB; split it.")
    content = path.read_bytes()
    records = _sheet(path, content) if content.startswith(EXCEL) else _csv(content, delimiter)
    lines = [line for line in records if any(cell != "" for cell in line.cells)]
    lines = [line for line in lines if line.number > skip_lines]
    if not lines:
        raise FileRefused("The file is empty.")
    if not has_heads:
        return Table([], lines)
    heads = [str(cell).strip() for cell in lines[0].cells]
    while heads and not heads[-1]:
        heads.pop()
    if len(lines) == 1:
        raise FileRefused("The file has headings but no lines below them.")
    return Table(heads, lines[1:])


def _csv(content: bytes, delimiter: str) -> Iterator[Line]:
    text = _decode(content)
    if not delimiter:
        delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    before = 0
    try:
        for cells in reader:
            yield Line(before + 1, [cell.strip() for cell in cells])
            before = reader.line_num
    except csv.Error as error:
        raise FileRefused(f"Line {reader.line_num} cannot be read as CSV ({error}).") from None


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\x00" in content:
        raise FileRefused("This is not a text file or workbook; save it as CSV or XLSX.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    outside = "".join(part for index, part in enumerate(first.split('"')) if index % 2 == 0)
    return max(DELIMITERS, key=lambda mark: (outside.count(mark), -DELIMITERS.index(mark)))


def _sheet(path: Path, content: bytes) -> Iterator[Line]:
    _refuse_bombs(content)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, IndexError, OSError):
        raise FileRefused(
            f"The workbook {path.name} cannot be opened; save it again as XLSX or CSV."
        ) from None
    for index, row in enumerate(rows):
        yield Line(index + 1, [_typed(cell) for cell in row])


def _refuse_bombs(content: bytes) -> None:
    if not content.startswith(EXCEL[0]):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise FileRefused("The workbook is damaged; save it again.") from None
    if unpacked > MOST_UNPACKED:
        raise FileRefused("The workbook is too large when unpacked; save it as CSV and split it.")


def _typed(cell: Any) -> Cell:
    """Return a workbook's cell as text, exact number or date; numbers as the 15 digits that Excel keeps."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return Decimal(cell) if isinstance(cell, int) else Decimal(f"{cell:.15g}")
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return cell
    if isinstance(cell, time | timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
