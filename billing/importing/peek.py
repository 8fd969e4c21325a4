"""The first lines of a call file: what a page shows of it, and by which its layout is understood."""

import csv
import zipfile
from pathlib import Path

from billing.importing.layout import Layout, find_layout
from billing.importing.refused import FileRefused
from billing.importing.registry import Format
from billing.importing.sheet import SheetLines, is_workbook
from billing.importing.stream import MAX_LINE, SAMPLE, TOO_LONG, Readable, Text, unpacked

LOOK_AT = 60
csv.field_size_limit(MAX_LINE)


def first_bytes(source: Readable) -> bytes:
    """Return the beginning of a stream, at least its first line."""
    head = b""
    while len(head) < SAMPLE or b"\n" not in head:
        data = source.read(SAMPLE)
        if not data:
            break
        head += data
        if len(head) > MAX_LINE and b"\n" not in head:
            raise FileRefused(TOO_LONG)
    return head


def understand(fmt: Format, head: bytes) -> tuple[Layout, int]:
    """Return the layout of a file and the line on which its data starts; raises FileRefused when it does not fit."""
    lines = _lines(head)
    blank = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    rows = [split(line, fmt.delimiter) for line in lines if line.strip()]
    if not rows:
        raise FileRefused("The file is empty.")
    layout = find_layout(fmt, rows)
    return layout, layout.first_line + blank


def first_rows(path: Path, delimiter: str, *, limit: int, encoding: str = "utf-8") -> list[list[str]]:
    """Return the first rows of a file, its heading line too, as cells; raises FileRefused when it is none."""
    return [split(line, delimiter) for line in _lines(_head_of(path, limit, encoding)) if line.strip()]


def layout_of(path: Path, fmt: Format, *, limit: int) -> Layout:
    """Return the layout of a file by its first lines; raises FileRefused when it is not of the format."""
    return understand(fmt, _head_of(path, limit, fmt.encoding))[0]


def _head_of(path: Path, limit: int, encoding: str) -> bytes:
    if is_workbook(path):
        return first_bytes(SheetLines(path, limit=limit))
    try:
        with unpacked(path, limit=limit) as (source, _):
            return first_bytes(Text(source, encoding=encoding, packed_size=path.stat().st_size, limit=limit))
    except zipfile.BadZipFile as broken:
        raise FileRefused(
            "The file is cut short or damaged: it could not be unpacked to its end."
        ) from broken


def _lines(head: bytes) -> list[str]:
    text = decoded(head)
    whole = text[: text.rfind("\n") + 1] or text
    return [line.removesuffix("\r") for line in whole.split("\n")[:LOOK_AT]]


def split(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; one that is no CSV is cut at its delimiters."""
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return line.split(delimiter)


def decoded(content: bytes) -> str:
    """Return UTF-8 as text; what is none is taken for Windows-1252."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
