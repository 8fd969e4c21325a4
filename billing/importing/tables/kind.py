"""A kind of import: its fields, its key, how its lines are checked as a whole and loaded all at once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

from billing.importing.tables.fields import Field
from billing.importing.tables.problems import Problems
from billing.importing.tables.reading import Table
from resellerkpi.core.models import Reseller

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """What a load did to the rows of its main table."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.new + other.new, self.changed + other.changed, self.unchanged + other.unchanged)


@dataclass
class Work:
    """What checking and loading share: whose book it is, the day it is, the problems so far, the references found.

    `ids` holds, for each kind of reference, the ids of the codes that the file names; `file_name` is how the user
    knows the file.
    """

    reseller: Reseller
    today: date
    file_name: str = ""
    problems: Problems = field(default_factory=Problems)
    ids: dict[str, dict[str, int]] = field(default_factory=dict)

    def refuse(self, row: Row, field_name: str, error: str) -> None:
        """Note a problem of a line."""
        self.problems.add(row["line"], field_name, error)


Check: TypeAlias = Callable[[list[Row], Work], None]
Load: TypeAlias = Callable[[list[Row], Work], Counts]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of import.

    A row maps field names to values; a cell left empty or a field without a column is None, a reference adds
    `<field>_id`, and `line` is the file's line. `key` names the fields that no two lines may share. `check` adds
    problems; `load` runs only when there are none and writes set by set (None: a higher layer loads the kind).
    `columns_problem` says what is wrong with the fields that have a column.
    `days` names the date fields whose days the KPIs must look at again.
    """

    slug: str
    title: str
    purpose: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    load: Load | None = None
    check: Check | None = None
    reshape: Callable[[Table], Table] | None = None
    columns_problem: Callable[[Collection[str]], str] | None = None
    days: tuple[str, ...] = ()
    order: int = 100

    def field(self, name: str) -> Field:
        """Return a field by name; raises LookupError."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise LookupError(f"There is no field “{name}”.")


def last_days(rows: Sequence[Row], work: Work, *, first: str, end: str, last: str = "last_day") -> None:
    """Set the exclusive `end` from the inclusive last day, and refuse ends that are not after the start."""
    for row in rows:
        if row.get(last) is not None:
            end_day = date.fromordinal(row[last].toordinal() + 1)
            if row.get(end) not in (None, end_day):
                work.refuse(row, last, "Give the last day or the end, not both with different meanings.")
                continue
            row[end] = end_day
        if row.get(end) is not None and row.get(first) is not None and row[end] <= row[first]:
            work.refuse(row, end, f"It ends ({row[end]}) before it starts ({row[first]}).")
