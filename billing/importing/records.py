"""Blocks of a call file as tables of text, each row with its line number; rows that do not fit are set aside."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from billing.importing.layout import Layout
from billing.importing.peek import decoded, first_bytes, split, understand
from billing.importing.refused import FileRefused
from billing.importing.registry import Format
from billing.importing.sheet import SheetLines, is_workbook
from billing.importing.stream import SAMPLE, Readable, Text, blocks, unpacked


@dataclass(frozen=True)
class Reject:
    """A row that could not be read: its line, its text and why."""

    line: int
    raw: str
    reason: str


@dataclass
class Block:
    """Some rows of a file as text by column, their line numbers, and the rows that do not fit the columns.

    `position` is how many bytes of the file were read by then, `heading` the heading line, "" for none.
    """

    table: pa.Table
    lines: NDArray[np.int64]
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0
    heading: str = ""
    delimiter: str = ","

    def raw(self, index: int) -> str:
        """Return the text of a row as it would stand in a file."""
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow(
            [column[index].as_py() for column in self.table.columns]
        )
        return out.getvalue()


def read_records(path: Path, fmt: Format, *, limit: int, chunk_rows: int) -> Iterator[tuple[Layout, Block]]:
    """Yield the file's layout with each block of about `chunk_rows` rows; raises FileRefused for no call file."""
    if is_workbook(path):
        yield from _records(SheetLines(path, limit=limit), fmt, chunk_rows)
        return
    try:
        with unpacked(path, limit=limit) as (source, raw):
            text = Text(source, encoding=fmt.encoding, packed_size=path.stat().st_size, limit=limit)
            for layout, block in _records(text, fmt, chunk_rows):
                block.position = raw.tell()
                yield layout, block
    except zipfile.BadZipFile as broken:
        raise FileRefused(
            "The file is cut short or damaged: it could not be unpacked to its end."
        ) from broken


def _records(source: Readable, fmt: Format, chunk_rows: int) -> Iterator[tuple[Layout, Block]]:
    head = first_bytes(source)
    layout, first_line = understand(fmt, head)
    per_line = max(len(head) // max(head.count(b"\n"), 1), 16)
    line, heading = 1, ""
    found = False
    for content in blocks(_Joined(head, source), min(max(chunk_rows * per_line, SAMPLE), 256 << 20)):
        lines = content.count(b"\n") + (not content.endswith(b"\n"))
        skip = max(first_line - line, 0)
        body = content if not skip else _without_lines(content, skip)
        if skip:
            heading = decoded(content[: len(content) - len(body)]).strip()
        if body.strip():
            found = True
            block = _parse(body, fmt, layout, line + skip)
            block.heading, block.delimiter = heading, fmt.delimiter
            yield layout, block
        line += lines
    if not found:
        raise FileRefused("The file holds no calls.")


class _Joined:
    """A stream with what was read ahead put back in front."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self.head, self.rest = head, rest

    def read(self, size: int, /) -> bytes:
        """Return up to that many bytes."""
        if self.head:
            data, self.head = self.head[:size], self.head[size:]
            return data
        return self.rest.read(size)


def _without_lines(content: bytes, count: int) -> bytes:
    start = 0
    for _ in range(count):
        start = content.find(b"\n", start) + 1
        if start == 0:
            return b""
    return content[start:]


def _parse(content: bytes, fmt: Format, layout: Layout, first_line: int) -> Block:
    """Parse a block in one go when each line is one good row, else line by line."""
    rows = content.count(b"\n") + (not content.endswith(b"\n"))
    if b"\x00" not in content:
        try:
            table = _arrow(content, fmt, layout)
        except pa.ArrowInvalid:
            table = None
        if table is not None and table.num_rows == rows:
            return Block(table, np.arange(first_line, first_line + rows, dtype=np.int64))
    return _by_line(content, fmt, layout, first_line)


def _arrow(content: bytes, fmt: Format, layout: Layout) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(content),
        read_options=pacsv.ReadOptions(column_names=list(layout.names), block_size=4 << 20),
        parse_options=pacsv.ParseOptions(
            delimiter=fmt.delimiter, invalid_row_handler=lambda _: "skip", ignore_empty_lines=True
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in layout.names}, strings_can_be_null=False
        ),
    )


def _by_line(content: bytes, fmt: Format, layout: Layout, first_line: int) -> Block:
    width = len(layout.names)
    good: list[list[str]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    physical = decoded(content).split("\n")
    cut_short = not content.endswith(b"\n")
    for line, text in _logical(physical, first_line):
        if not text.strip():
            continue
        cells = split(text, fmt.delimiter)
        if len(cells) > width and not any(c.strip() for c in cells[width:]):
            cells = cells[:width]
        if "\x00" in text:
            rejects.append(
                Reject(line, text.replace("\x00", "\N{SYMBOL FOR NULL}"), "It holds NUL characters.")
            )
        elif len(cells) != width:
            if cut_short and len(cells) < width and line == first_line + len(physical) - 1:
                raise FileRefused(f"The file ends in the middle of line {line:,}: it looks cut short.")
            rejects.append(Reject(line, text, f"It has {len(cells)} fields instead of {width}."))
        else:
            good.append(cells)
            lines.append(line)
    columns = [pa.array([row[i] for row in good], pa.string()) for i in range(width)]
    table = pa.table(columns, names=list(layout.names))
    return Block(table, np.array(lines, dtype=np.int64), rejects)


def _logical(physical: list[str], first_line: int) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of each record; a record with an open quote goes on for up to 20 lines."""
    at = 0
    while at < len(physical):
        text, take = physical[at].removesuffix("\r"), 1
        if text.count('"') % 2:
            joined = text
            for more in range(1, min(20, len(physical) - at)):
                joined += "\n" + physical[at + more].removesuffix("\r")
                if joined.count('"') % 2 == 0:
                    text, take = joined, more + 1
                    break
        yield first_line + at, text
        at += take
