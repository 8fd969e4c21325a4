"""Finds out which column of a file is which field of a format, or says why the file is not of that format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from billing.importing.refused import FileRefused
from billing.importing.registry import Candidates, Column, Format

DATE = re.compile(r"(?<![\d.])(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))(?![\d.])")
START = ("started_at", "date")


@dataclass(frozen=True)
class Layout:
    """The columns of one file: their unique names in order, where the data starts, and each field's column."""

    names: tuple[str, ...]
    first_line: int
    fields: dict[str, str]
    identities: tuple[tuple[str, ...], ...]
    by_heading: dict[str, str]

    def find(self, column: Column) -> str | None:
        """Return the name of a column given by heading or place, None when the file has no such column."""
        if isinstance(column, int):
            return self.names[column] if column < len(self.names) else None
        return self.by_heading.get(plain(column))


def plain(heading: str) -> str:
    """Reduce a heading to what counts: letters and digits, lower case."""
    return re.sub(r"[^a-z0-9+]", "", heading.lower())


def find_layout(fmt: Format, sample: Sequence[Sequence[str]]) -> Layout:
    """Match the first records of a file with a format; raises FileRefused with the reason when they do not fit."""
    first = sample[0]
    if fmt.has_header is not False:
        layout = _layout(fmt, first, first_line=fmt.header_lines + 1)
        if not _missing(fmt, layout):
            return layout
    if fmt.has_header is not True:
        names = fmt.headings.get(len(first)) or (
            tuple(map(str, range(len(first)))) if not fmt.headings else None
        )
        if names:
            layout = _layout(fmt, names, first_line=1)
            if not _missing(fmt, layout):
                return _layout(fmt, names, first_line=1 + _is_heading(layout, sample))
    if not any(DATE.search(cell) for row in sample for cell in row) and fmt.time_format != "epoch":
        raise FileRefused("This file holds no dates, so its calls cannot be placed in time.")
    raise FileRefused(_why_not(fmt, _layout(fmt, first, first_line=2), first))


def _layout(fmt: Format, headings: Sequence[str], *, first_line: int) -> Layout:
    names: list[str] = []
    by_heading: dict[str, str] = {}
    for place, heading in enumerate(headings):
        name = heading.strip() or f"column {place + 1}"
        name = name if name not in names else f"{name} #{place + 1}"
        names.append(name)
        by_heading.setdefault(plain(name), name)
    layout = Layout(tuple(names), first_line, {}, (), by_heading)
    fields = {field: found for field, c in fmt.columns.items() if (found := _first(layout, c)) is not None}
    given = (tuple(n for each in c if (n := layout.find(each)) is not None) for c in fmt.identities)
    identities = tuple(columns for columns in given if columns)
    return Layout(tuple(names), first_line, fields, identities, by_heading)


def _first(layout: Layout, candidates: Candidates) -> str | None:
    return next((n for c in candidates if (n := layout.find(c)) is not None), None)


def _missing(fmt: Format, layout: Layout) -> list[str]:
    missing = [field for field in fmt.required if field not in layout.fields]
    if not any(field in layout.fields for field in START):
        missing.append(next(field for field in START if field in fmt.columns))
    if not layout.identities:
        missing.append("identity")
    return list(dict.fromkeys(missing))


def _is_heading(layout: Layout, sample: Sequence[Sequence[str]]) -> bool:
    """Say whether the first line of a file read by place is a heading line under other names."""
    column = layout.names.index(layout.fields.get("started_at") or layout.fields["date"])
    cells = [row[column] for row in sample if column < len(row)]
    return not any(c.isdigit() for c in cells[0]) and any(c.isdigit() for cell in cells[1:] for c in cell)


def _why_not(fmt: Format, layout: Layout, first: Sequence[str]) -> str:
    wanted = []
    for field in _missing(fmt, layout):
        candidates = fmt.columns[field] if field != "identity" else fmt.identities[0]
        wanted.append(
            " or ".join(f"“{c}”" if isinstance(c, str) else f"number {c + 1}" for c in candidates[:2])
        )
    have = ", ".join(cell.strip()[:30] or "(blank)" for cell in first[:8]) + (", …" if len(first) > 8 else "")
    columns = f"{len(first)} column{'' if len(first) == 1 else 's'}"
    lacks = f"it has no column {', '.join(wanted)}"
    return f"This is not a file of the format “{fmt.label}”: {lacks}. It has {columns}: {have}."
