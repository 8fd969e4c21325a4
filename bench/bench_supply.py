"""Supplies a month's call file end to end and compares with a bare COPY of the same stored rows.

A quarter of the calls three times (the median of the ratios), then all of them once, with the memory of that. The bare
COPY goes into a table of the same columns, checks, partitions and indexes without row-level security.
"""

import os
import resource
import statistics
import tempfile
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import make_book, write_file
from bench.database import fresh
from bench.measure import CALLS, tell
from bench.work import bare_copy, supply

LIMIT = 2.0
MEMORY_LIMIT_MIB = 1024
ROUNDS = 3


def measure(calls: int, folder: Path, rounds: int) -> dict[str, object]:
    """Supply so many calls, in a fresh database each time, and tell calls per second and the ratio to the COPY."""
    took, bare = list[float](), list[float]()
    result: dict[str, Any] = {}
    for _ in range(rounds):
        fresh()
        book = make_book()
        path = write_file(folder / "calls.csv", calls, book=book)
        seconds, result = supply(book, path)
        took.append(seconds)
        bare.append(statistics.median(bare_copy(book, folder) for _ in range(2)))
    ratio = statistics.median(one / other for one, other in zip(took, bare, strict=True))
    return tell(
        f"supply_{calls}",
        calls / statistics.median(took),
        "calls/s",
        ratio=ratio,
        limit=LIMIT,
        bare_copy=round(calls / statistics.median(bare)),
        rated=result["rated"],
    )


def main() -> list[dict[str, object]]:
    """Print and return three lines: a quarter, the whole, and the memory of the whole."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [measure(CALLS // 4, folder, ROUNDS), measure(CALLS, folder, 1)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines.append(tell("memory", memory, "MiB", ratio=memory / MEMORY_LIMIT_MIB, limit=1.0, calls=CALLS))
    return lines


if __name__ == "__main__":
    main()
