"""Ten times the calls cost at most eleven times the time: for loading a file and for the bill run of the same book."""

import os
import statistics
import tempfile
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import add_calls, make_book, write_file
from bench.database import fresh, settle
from bench.measure import CALLS, tell
from bench.work import bill_run, supply, undo_run

LIMIT = 11.0
ROUNDS = 3


def timed_supply(calls: int, folder: Path) -> float:
    """Return the seconds of loading a file of so many calls into a fresh database."""
    fresh()
    book = make_book()
    return supply(book, write_file(folder / "calls.csv", calls, book=book))[0]


def timed_runs(calls: int) -> float:
    """Return the median seconds of producing the bills of so many calls."""
    fresh()
    book = make_book()
    add_calls(book, calls)
    settle()
    times = []
    for _ in range(ROUNDS):
        times.append(bill_run(book)[0])
        undo_run(book)
        settle()
    return statistics.median(times)


def main() -> list[dict[str, object]]:
    """Print and return two lines: what ten times the calls cost, for import and for bill run."""
    few, many = CALLS // 10, CALLS
    lines = []
    with tempfile.TemporaryDirectory() as name:
        small = statistics.median(timed_supply(few, Path(name)) for _ in range(ROUNDS))
        large = timed_supply(many, Path(name))
    lines.append(tell("growth_supply", many / large, "calls/s", ratio=large / small, limit=LIMIT, calls=many))
    small, large = timed_runs(few), timed_runs(many)
    lines.append(
        tell("growth_bill_run", many / large, "calls/s", ratio=large / small, limit=LIMIT, calls=many)
    )
    return lines


if __name__ == "__main__":
    main()
