"""What is wrong with a file: the whole of it, or single lines; each in one sentence for the user."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from billing.importing.refused import FileRefused


class BadMapping(FileRefused):
    """Raised when a mapping does not say what it should."""


@dataclass(frozen=True)
class Problem:
    """One sentence about one line (None: the whole file) and, where it has one, its field."""

    line: int | None
    field: str
    error: str

    def as_dict(self) -> dict[str, Any]:
        """Return the problem for JSON."""
        return {"line": self.line, "field": self.field, "error": self.error}


@dataclass
class Problems:
    """The problems found so far, in the order of the file's lines."""

    _found: list[Problem] = field(default_factory=list)

    def add(self, line: int | None, field_name: str, error: str) -> None:
        """Note a problem."""
        self._found.append(Problem(line, field_name, error))

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self._found, key=lambda p: p.line or 0))

    def __len__(self) -> int:
        return len(self._found)

    def lines(self) -> set[int | None]:
        """Return the lines that have a problem."""
        return {problem.line for problem in self._found}
