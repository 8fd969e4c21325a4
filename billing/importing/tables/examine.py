"""Checks a file line by line against the fields of its kind, without writing anything."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.db.models import Model

from billing.importing.refused import FileRefused
from billing.importing.tables.fields import Field, Reading
from billing.importing.tables.kind import Kind, Row, Work
from billing.importing.tables.mapping import Mapping, Source, sources, wanted_lines
from billing.importing.tables.reading import Cell, Line, Table
from billing.models import Carrier, Customer, Dealer, FeatureType, Number, Tariff
from resellerkpi.core.models import Reseller

REFERENCES: dict[str, tuple[type[Model], str]] = {
    "customer": (Customer, "code"),
    "dealer": (Dealer, "code"),
    "carrier": (Carrier, "code"),
    "number": (Number, "number"),
    "feature type": (FeatureType, "code"),
    "tariff": (Tariff, "name"),
}


@dataclass
class Examined:
    """A checked file: its rows, where its fields come from, and its problems (in `work`)."""

    kind: Kind
    table: Table
    sources: dict[str, Source]
    rows: list[Row]
    work: Work
    repeated: int = 0
    total: int = 0


def examine(
    kind: Kind,
    path: Path,
    mapping: Mapping,
    *,
    reseller: Reseller,
    today: date,
    most: int | None = None,
    name: str = "",
) -> Examined:
    """Read and check a file (or its first `most` lines), known to the user by `name` when that is not its path's.

    Raises FileRefused for what cannot be read at all.
    """
    mapping = mapping.with_country(reseller.country)
    table = mapping.read(path)
    if kind.reshape is not None:
        table = kind.reshape(table)
    found = sources(mapping, kind.fields, table)
    problem = kind.columns_problem(found) if kind.columns_problem is not None else ""
    if problem:
        raise FileRefused(problem)
    counting = wanted_lines(mapping, table, found)
    lines = counting[:most]
    if not lines:
        raise FileRefused("No line of the file counts: the mapping skips them all.")
    work = Work(reseller=reseller, today=today, file_name=name or path.name)
    rows = _rows(kind, lines, found, mapping, work, width=len(table.heads))
    rows, repeated = _once(rows, kind, work, mapping.once)
    _resolve(rows, kind.fields, work)
    if kind.check is not None:
        bad = work.problems.lines()
        kind.check([row for row in rows if row["line"] not in bad], work)
    return Examined(kind, table, found, rows, work, repeated, len(counting))


def _rows(
    kind: Kind, lines: Sequence[Line], found: Dict[str, Source], mapping: Mapping, work: Work, *, width: int
) -> list[Row]:
    readers = [
        _Reader(f, found[f.name], mapping.values.get(f.name, {}), mapping.reading)
        if f.name in found
        else None
        for f in kind.fields
    ]
    names = [f.name for f in kind.fields]
    rows: list[Row] = []
    for line in lines:
        if width and len(line.cells) > width and any(cell != "" for cell in line.cells[width:]):
            work.problems.add(line.number, "", f"The line has {len(line.cells)} cells, the headings {width}.")
        row: Row = {"line": line.number}
        for name, reader in zip(names, readers, strict=True):
            row[name] = None if reader is None else reader.read(line, work)
        rows.append(row)
    return rows


class _Reader:
    """Reads one field of each line; equal cells are read once."""

    def __init__(self, of: Field, source: Source, values: Dict[str, str], reading: Reading) -> None:
        self.field, self.source, self.values, self.reading = of, source, values, reading
        self.folded = {raw.casefold(): value for raw, value in values.items()}
        self.seen: dict[Cell, tuple[Any, str]] = {}

    def read(self, line: Line, work: Work) -> Any:
        """Return the value of the line's cell, None when it is empty; a bad one is noted."""
        cell = self.source.cell(line)
        if cell not in self.seen:
            self.seen[cell] = self._parse(cell)
        value, error = self.seen[cell]
        if error:
            work.problems.add(line.number, self.field.name, error)
        return value

    def _parse(self, cell: Cell) -> tuple[Any, str]:
        if self.values:
            raw = str(cell)
            cell = self.values.get(raw, self.folded.get(raw.casefold(), self.values.get("*", cell)))
        if cell == "":
            return None, f"{self.field.title} is missing." if self.field.required else ""
        try:
            return self.field.parse(cell, self.reading), ""
        except FileRefused:
            raise
        except ValueError as error:
            return None, str(error)


def _again(row: Row, kind: Kind, line: int) -> str:
    """Say which fields of a line an earlier one has, too."""
    *names, last = [kind.field(name).title.lower() for name in kind.key if row[name] not in (None, "")]
    if not names:
        return f"The same {last} is on line {line} already."
    return f"The same {', '.join(names)} and {last} are on line {line} already."


def _once(rows: list[Row], kind: Kind, work: Work, keep_first: bool) -> tuple[list[Row], int]:
    """Refuse lines whose key an earlier line has, or drop them where the mapping says once."""
    needed = [name for name in kind.key if kind.field(name).required]
    first: dict[tuple[Any, ...], int] = {}
    kept: list[Row] = []
    for row in rows:
        key = tuple(row[name] for name in kind.key)
        if any(row[name] is None for name in needed):
            kept.append(row)
            continue
        if kind.key and key in first:
            if not keep_first:
                work.refuse(row, kind.key[0], _again(row, kind, first[key]))
                kept.append(row)
            continue
        first[key] = row["line"]
        kept.append(row)
    return kept, len(rows) - len(kept)


def _resolve(rows: Sequence[Row], fields: Sequence[Field], work: Work) -> None:
    """Look each reference up, one query for each kind of reference, and refuse what does not exist."""
    for f in fields:
        if f.reference:
            codes = {row[f.name] for row in rows if row[f.name] is not None}
            known = work.ids.setdefault(f.reference, {})
            known |= _ids(f.reference, codes - known.keys())
            for row in rows:
                row[f"{f.name}_id"] = known.get(row[f.name])
                if row[f.name] is not None and row[f"{f.name}_id"] is None:
                    work.refuse(row, f.name, f"There is no {f.reference} “{row[f.name]}”.")


def _ids(reference: str, codes: set[str]) -> dict[str, int]:
    model, name = REFERENCES[reference]
    if not codes:
        return {}
    found = model._default_manager.filter(**{f"{name}__in": list(codes)})
    return dict(found.values_list(name, "pk"))
