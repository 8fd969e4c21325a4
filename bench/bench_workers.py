"""Two worker processes finish sooner than one: files of two carriers loaded, months of two resellers billed.

PostgreSQL works on the same cores and answers one worker with several processes where sums are shared out, so that two
workers on two cores cannot halve the time; the limit asks for a clear gain.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import Book, add_calls, make_book, write_file
from bench.database import fresh, settle
from bench.measure import CALLS, tell, watch
from bench.work import remove_files, undo_run

LIMIT = 0.9
ROUNDS = 3
THEN = ["then"]


def timed(*workers: list[str]) -> float:
    """Return the seconds that worker processes, ready beforehand, need for their work side by side."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for words in workers
    ]
    for worker in started:
        assert worker.stdout is not None
        worker.stdout.readline()
    with watch() as time:
        for worker in started:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.close()
        ends = [worker.wait() for worker in started]
    if any(ends):
        raise SystemExit("A worker of the bench failed.")
    return time.seconds


def one_and_two(pieces: tuple[list[str], list[str]], again: list[Book]) -> tuple[float, float]:
    """Return the median ratio of two workers' time to one's for two pieces of work, and the two workers' time."""
    ratios, times = [], []
    for _ in range(ROUNDS):
        both = []
        for workers in ([[*pieces[0], *THEN, *pieces[1]]], list(pieces)):
            both.append(timed(*workers))
            for book in again:
                (remove_files if pieces[0][0] == "supply" else undo_run)(book)
            settle()
        ratios.append(both[1] / both[0])
        times.append(both[1])
    return statistics.median(ratios), statistics.median(times)


def files(calls: int, folder: Path) -> dict[str, object]:
    """Load two files of so many calls each, one for each of two carriers, with one worker and with two."""
    fresh()
    book = make_book(carriers=2)
    paths = [write_file(folder / f"{n}.csv", calls, book=book, seed=n) for n in (1, 2)]
    one, two = (
        ["supply", str(book.reseller.pk), str(carrier.pk), str(path)]
        for carrier, path in zip(book.carriers, paths, strict=True)
    )
    ratio, seconds = one_and_two((one, two), [book])
    return tell("workers_supply", 2 * calls / seconds, "calls/s", ratio=ratio, limit=LIMIT, calls=2 * calls)


def runs(calls: int) -> dict[str, object]:
    """Bill a month of so many calls of each of two resellers, with one worker and with two."""
    fresh()
    books = [make_book(customers=5_000, prefixes=10), make_book(customers=5_000, prefixes=10)]
    for book in books:
        add_calls(book, calls)
    settle()
    one, two = (["bill", str(book.reseller.pk)] for book in books)
    ratio, seconds = one_and_two((one, two), books)
    return tell("workers_bill_run", 2 * calls / seconds, "calls/s", ratio=ratio, limit=LIMIT, calls=2 * calls)


def main() -> list[dict[str, object]]:
    """Print and return two lines: what a second worker saves for files and for bill runs."""
    with tempfile.TemporaryDirectory() as name:
        return [files(CALLS // 10, Path(name)), runs(CALLS // 4)]


if __name__ == "__main__":
    main()
