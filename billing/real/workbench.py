"""A scratch place to take one real data set through the product's own commands, in a reseller made for it."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from resellerkpi.core.models import Reseller
from resellerkpi.core.planner import refresh_statistics
from resellerkpi.core.scope import Scope, enter

Say = Callable[[str], None]


class RealDataProblem(RuntimeError):
    """A real set that cannot be taken through: a file is not there, or a command refused it unexpectedly."""


@dataclass
class Workbench:
    """Where a set is worked on: the data folder, a folder for small input files, the day of ledger figures."""

    data: Path
    folder: Path
    as_of: date
    say: Say

    def source(self, *parts: str) -> Path:
        """Return the path of a real file; raises RealDataProblem when it is not there."""
        path = self.data.joinpath(*parts)
        if not path.is_file():
            raise RealDataProblem(f"There is no file {'/'.join(parts)} in the data folder.")
        return path

    def reseller(self, name: str, **fields: Any) -> Reseller:
        """Make a fresh reseller for a set; raises RealDataProblem when the database has it already."""
        code = f"real-{name}"
        if Reseller.objects.filter(code=code).exists():
            raise RealDataProblem(
                f"The database already holds the set “{name}”: real data needs an empty one."
            )
        return Reseller.objects.create(code=code, name=f"Real data: {name}", invoice_prefix="REAL-", **fields)

    def table(self, name: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> Path:
        """Write a small CSV that a command needs and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(list(heads))
            writer.writerows(rows)
        return path

    def mapping(self, name: str, mapping: dict[str, Any]) -> Path:
        """Write a mapping for a command and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(mapping, indent=1), encoding="utf-8")
        return path

    def command(self, reseller: Reseller, name: str, *words: object, **options: Any) -> dict[str, Any]:
        """Run a command of the product and return the object it prints; raises RealDataProblem when it fails."""
        out, err = io.StringIO(), io.StringIO()
        begun = time.perf_counter()
        try:
            call_command(name, *map(str, words), reseller=reseller.code, stdout=out, stderr=err, **options)
        except (CommandError, SystemExit) as failed:
            said = (
                str(failed)
                if isinstance(failed, CommandError)
                else err.getvalue().strip().rpartition("\n")[2]
            )
            raise RealDataProblem(f"{name} {_short(words)}: {said}") from failed
        if name == "import_cdrs":
            refresh_statistics()
        what = _short([*words, options.get("period", "")])
        self.say(f"{reseller.code}: {name} {what} ({time.perf_counter() - begun:.1f} s)")
        answer: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
        return answer


def _short(words: Iterable[object]) -> str:
    return " ".join(word.name if isinstance(word, Path) else str(word) for word in words if word)


@contextmanager
def inside(reseller: Reseller) -> Iterator[None]:
    """Open a transaction in the reseller's scope."""
    with enter(Scope.of(reseller.pk, why="command real")):
        yield


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with headings."""
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source))
