"""A workbook's first sheet as lines of CSV, so that it is read like any other call file."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from billing.importing.refused import FileRefused

#: A sheet is held in memory, so it may not unfold to more than this.
MAX_UNFOLDED = 300 * 1_048_576
BATCH = 5_000


def is_workbook(path: Path) -> bool:
    """Say whether a file is an XLSX workbook, by its content."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()


class SheetLines:
    """The first sheet of a workbook as a stream of CSV."""

    def __init__(self, path: Path, *, limit: int) -> None:
        if path.stat().st_size > limit:
            raise FileRefused(f"The file is larger than {limit // 1_048_576:,} MB.")
        with zipfile.ZipFile(path) as archive:
            if sum(m.file_size for m in archive.infolist()) > MAX_UNFOLDED:
                raise FileRefused("The workbook is too large to be opened; save the sheet as CSV.")
        try:
            self.rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).iter_rows()
        except (CalamineError, OSError) as broken:
            raise FileRefused("The workbook could not be opened.") from broken
        self.batches = self._batches()

    def read(self, size: int, /) -> bytes:
        """Return the next rows as CSV, none at the end."""
        return next(self.batches, b"")

    def _batches(self) -> Iterator[bytes]:
        batch: list[list[str]] = []
        for row in self.rows:
            batch.append([_cell(value) for value in row])
            if len(batch) == BATCH:
                yield _csv(batch)
                batch = []
        if batch:
            yield _csv(batch)


def _csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return str(value)
