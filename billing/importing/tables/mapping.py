"""How a file's columns become fields: by heading or alias, or by a mapping that the user writes as JSON."""

import json
import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from billing.importing.refused import FileRefused
from billing.importing.tables.fields import Field, Reading
from billing.importing.tables.problems import BadMapping
from billing.importing.tables.reading import Cell, Line, Table, read_table

KEYS = {
    "columns", "date_format", "time_format", "day_first", "decimal", "delimiter", "values", "skip", "only", "once",
    "has_header", "skip_lines", "prices", "tariff", "defaults", "bands", "complete",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a field's cells come from: columns by position (joined with a space) or one constant."""

    positions: tuple[int, ...] = ()
    constant: str | None = None

    def cell(self, line: Line) -> Cell:
        """Return the field's cell of a line."""
        if self.constant is not None:
            return self.constant
        if len(self.positions) == 1:
            return line.cells[self.positions[0]] if self.positions[0] < len(line.cells) else ""
        parts = [line.cells[at] for at in self.positions if at < len(line.cells)]
        return " ".join(str(part) for part in parts if part != "")


@dataclass(frozen=True)
class Mapping:
    """A mapping as written: named columns, how values read, which lines count."""

    columns: Dict[str, Any] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    values: Dict[str, Dict[str, str]] = field(default_factory=dict)
    skip: Dict[str, Sequence[str]] = field(default_factory=dict)
    only: Dict[str, Sequence[str]] = field(default_factory=dict)
    once: bool = False
    has_header: bool = True
    skip_lines: int = 0
    delimiter: str = ""
    extra: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any) -> Self:
        """Build a mapping from its JSON object; raises BadMapping."""
        if not isinstance(data, dict):
            raise BadMapping('A mapping is a JSON object such as {"columns": {"code": "Account"}}.')
        for key in data:
            if key not in KEYS:
                raise BadMapping(f"A mapping has no entry “{key}”; it may have {', '.join(sorted(KEYS))}.")
        for key in ("columns", "values", "skip", "only"):
            if not isinstance(data.get(key, {}), dict):
                raise BadMapping(f"“{key}” of a mapping is an object.")
        return cls(
            columns=data.get("columns", {}),
            reading=Reading.of(data),
            values={
                name: {str(k): str(v) for k, v in of.items()} for name, of in data.get("values", {}).items()
            },
            skip={name: _list(of) for name, of in data.get("skip", {}).items()},
            only={name: _list(of) for name, of in data.get("only", {}).items()},
            once=bool(data.get("once", False)),
            has_header=bool(data.get("has_header", True)),
            skip_lines=int(data.get("skip_lines", 0)),
            delimiter=str(data.get("delimiter", "")),
            extra={k: data[k] for k in ("prices", "tariff", "defaults", "bands", "complete") if k in data},
        )

    @classmethod
    def from_file(cls, path: Path | None) -> Self:
        """Read a mapping file; no path is the empty mapping."""
        if path is None:
            return cls()
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8-sig")))
        except OSError:
            raise BadMapping(f"There is no mapping file {path.name}.") from None
        except (ValueError, AttributeError) as error:
            if isinstance(error, FileRefused):
                raise
            raise BadMapping(f"The mapping {path.name} is not JSON ({error}).") from None

    def with_country(self, country: str) -> Self:
        """Return the mapping reading national phone numbers as a country's."""
        return replace(self, reading=replace(self.reading, country=country))

    def read(self, path: Path) -> Table:
        """Read a file as the mapping says."""
        return read_table(
            path, delimiter=self.delimiter, has_heads=self.has_header, skip_lines=self.skip_lines
        )


def sources(mapping: Mapping, fields: Sequence[Field], table: Table) -> dict[str, Source]:
    """Return where each field comes from: first the mapping, then headings by name, label and alias.

    Raises FileRefused when a required field has no column.
    """
    known = {f.name for f in fields}
    for name in (*mapping.columns, *mapping.values):
        if name not in known:
            raise BadMapping(f"There is no field “{name}”; the fields are {', '.join(sorted(known))}.")
    found = {name: source_of(wanted, table) for name, wanted in mapping.columns.items() if wanted is not None}
    if table.heads:
        taken = {at for source in found.values() for at in source.positions}
        for name, at in guess(fields, table.heads).items():
            if name not in mapping.columns and at not in taken:
                found[name] = Source((at,))
    missing = [f for f in fields if f.required and f.name not in found]
    if missing:
        names = ", ".join(f"“{f.title}”" for f in missing)
        heads = ", ".join(head for head in table.heads if head) or "numbered only"
        raise FileRefused(f"The file has no column for {names}. Its columns are: {heads}.")
    return found


def guess(fields: Sequence[Field], heads: Sequence[str]) -> dict[str, int]:
    """Match headings to fields, ignoring case and punctuation; each heading serves one field."""
    at_head: dict[str, int] = {}
    for at, head in enumerate(heads):
        at_head.setdefault(plain(head), at)
    found: dict[str, int] = {}
    for names in zip(*[_padded(f, fields) for f in fields], strict=True):
        for f, name in zip(fields, names, strict=True):
            at_name = at_head.get(plain(name)) if name else None
            if at_name is not None and f.name not in found and at_name not in found.values():
                found[f.name] = at_name
    return found


def _padded(f: Field, fields: Sequence[Field]) -> list[str]:
    longest = max(len(other.names) for other in fields)
    return [*f.names, *[""] * (longest - len(f.names))]


def source_of(wanted: Any, table: Table) -> Source:
    """Return the columns that an entry of a mapping names: a heading, a place from 0, a list of them, a constant."""
    if isinstance(wanted, dict) and set(wanted) == {"value"}:
        return Source(constant=str(wanted["value"]))
    if isinstance(wanted, list):
        return Source(tuple(at for part in wanted for at in source_of(part, table).positions))
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not 0 <= wanted < table.width:
            raise BadMapping(f"There is no column {wanted}; the file has {table.width}, counted from 0.")
        return Source((wanted,))
    if isinstance(wanted, str):
        heads = [plain(head) for head in table.heads]
        if wanted in table.heads:
            return Source((table.heads.index(wanted),))
        if plain(wanted) in heads:
            return Source((heads.index(plain(wanted)),))
        raise BadMapping(
            f"The file has no column “{wanted}”; it has {', '.join(table.heads) or 'no headings'}."
        )
    raise BadMapping(f"{wanted!r} names no column.")


def wanted_lines(mapping: Mapping, table: Table, found: Dict[str, Source]) -> list[Line]:
    """Return the lines that count: those that `only` names and `skip` does not."""
    lines = table.lines
    for rules, keep in ((mapping.only, True), (mapping.skip, False)):
        for name, values in rules.items():
            source = found[name] if name in found else source_of(name, table)
            lines = [line for line in lines if (str(source.cell(line)) in values) is keep]
    return lines


def plain(head: str) -> str:
    """Return a heading without case and punctuation."""
    return re.sub(r"[^a-z0-9%]", "", head.casefold())


def _list(values: Any) -> list[str]:
    return [str(v) for v in values] if isinstance(values, list) else [str(values)]
