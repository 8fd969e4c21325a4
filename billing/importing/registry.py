"""What a supplier's call file looks like, declared: one `Format` per layout, one file per format in formats/."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from resellerkpi.core.registry import Registry

#: A column is named by its heading (case, spaces and punctuation do not matter) or by its place, from 0.
Column = str | int
Candidates = tuple[Column, ...]

#: What a format may fill, besides the identities.
FIELDS = [
    "uid",
    "group_uid",
    "cli",
    "dialled",
    "started_at",
    "date",
    "time",
    "duration",
    "volume",
    "answered",
    "cost",
    "cost_currency",
    "surcharge",
    "charge_code",
    "destination",
    "band",
]


class Mask(Protocol):
    """A yes or no for each row."""

    def __and__(self, other: Any, /) -> Any:
        """Both."""

    def __or__(self, other: Any, /) -> Any:
        """Either."""

    def __invert__(self) -> Any:
        """Not."""


class Rows(Protocol):
    """The text of a block of rows, asked about by column; a column the file does not have is blank."""

    def matches(self, column: str, pattern: str) -> Mask:
        """Say of each row whether the column holds the pattern (RE2)."""

    def same(self, one: Any, other: Any) -> Mask:
        """Say of each row whether two columns (or texts) hold the same text."""

    def extract(self, column: str, pattern: str) -> Any:
        """Return for each row the pattern's group called `it`, blank where the pattern is not found."""

    def first_filled(self, *texts: Any) -> Any:
        """Return for each row the first text (or column's text) that is not blank."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A layout of call records: where each field stands, in which units, and which rows are not to be billed.

    `columns` gives each field its candidate columns, the first that the file has counts. `identities` are the
    candidates for the billed party in matching order; several columns of one identity stand in for each other.
    A file must have a start (`started_at`, or `date` with or without `time`), an identity and the `required` fields.
    `headings` name the columns of files without a heading line, by their number of columns. `key` names the columns
    that tell a call from any other (the start is always part of it); none: the whole row. A row whose key is blank
    is known by its whole content.
    """

    name: str
    label: str
    about: str
    columns: Mapping[str, Candidates]
    identities: tuple[Candidates, ...]
    required: tuple[str, ...] = ()
    key: tuple[Column, ...] = ()
    headings: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    has_header: bool | None = None
    header_lines: int = 1
    delimiter: str = ","
    encoding: str = "utf-8"
    service: str = "voice"
    direction: str = "out"
    time_format: str = ""
    day_first: bool | None = None
    zone: str = ""
    duration_unit: str = "seconds"
    volume_unit: str = "mb"
    cost_unit: str = "units"
    cost_sign: int = 1
    decimal: str = "."
    answered_values: tuple[str, ...] = ()
    dialled_default: str = ""
    nulls: tuple[str, ...] = ()
    surcharge_columns: Candidates = ()
    surcharge_where: tuple[str, str] | None = None
    dialled_from: Callable[[Rows], Any] | None = None
    direction_in: Callable[[Rows], Mask] | None = None
    excluded: Callable[[Rows], Iterable[tuple[Mask, str]]] | None = None
    sample: str = ""


FORMATS: Registry[Format] = Registry("call file format")
