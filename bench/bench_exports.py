"""Files and pages of large frozen runs: XLSX of 200,000 rows, CSV of 1,000,000, a page of a run of a million.

The rows have twelve columns (codes, days, names, amounts, a ratio, counts), as the Invoices report has them. Each file
is made by a process of its own, whose greatest resident size is told beside its time; a page is read two hundred times
after ten to warm up, in its own order and sorted, and the 95th of a hundred counts.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.measure import tell, watch
from reports.frozen import Freezer, Frozen, fields_of
from resellerkpi.core.columns import SUM, Code, Column, Date, Int, Money, Percent, Text
from resellerkpi.core.sheets import Words, pour_csv, pour_xlsx

ROWS = {
    "xlsx": int(os.environ.get("BENCH_XLSX_ROWS", "200000")),
    "csv": int(os.environ.get("BENCH_CSV_ROWS", "1000000")),
}
SECONDS = {"xlsx": 60.0, "csv": 15.0}
MOST_MIB = 512
PAGE_LIMIT = 0.150
COLUMNS: list[Column] = [
    Code(name="number", label="Invoice"),
    Date(name="day", label="Date"),
    Date(name="due", label="Due"),
    Code(name="code", label="Account"),
    Text(name="name", label="Customer"),
    Code(name="currency", label="Currency"),
    Money(name="net", total=SUM),
    Money(name="vat", total=SUM),
    Money(name="gross", total=SUM),
    Percent(name="share", parts=("vat", "net")),
    Int(name="calls", total=SUM),
    Text(name="state"),
]


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of the bench."""
    first = date(2026, 1, 1)
    for n in range(count):
        net = Decimal(n % 99_991) / 100
        yield {
            "number": f"INV-{n:07}", "day": first + timedelta(n % 365), "due": first + timedelta(n % 365 + 14),
            "code": f"{n % 9_999:05}", "name": f"Customer {n % 9_999} & Sons", "currency": "GBP", "net": net,
            "vat": net / 5, "gross": net * 6 / 5, "calls": n % 997, "state": "Issued",
        }  # fmt: skip


def freeze(path: Path, count: int) -> None:
    """Freeze so many rows."""
    with Freezer(path, fields_of(COLUMNS, "Europe/London")) as freezer:
        for _ in freezer.passing(rows(count)):
            pass


def make(kind: str, source: Path, target: Path) -> None:
    """Make one file in this process and print its seconds and greatest resident size."""
    with watch() as timed:
        batches = Frozen(source).batches()
        if kind == "csv":
            with target.open("w", encoding="utf-8", newline="") as out:
                count = pour_csv(COLUMNS, batches, out)
        else:
            count = pour_xlsx(COLUMNS, batches, target, Words("Bench"))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": timed.seconds, "mib": most, "rows": count}))


def measured(kind: str, folder: Path) -> None:
    """Time a file made by a process of its own."""
    source = folder / f"{kind}.parquet"
    freeze(source, ROWS[kind])
    command = [sys.executable, "-m", "bench.bench_exports", kind, str(source), str(folder / f"file.{kind}")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    scale = {"xlsx": 200_000, "csv": 1_000_000}[kind] / found["rows"]
    speed, room = found["seconds"] * scale / SECONDS[kind], found["mib"] / MOST_MIB
    tell(
        f"export_{kind}",
        found["rows"] / found["seconds"],
        "rows/s",
        ratio=speed,
        limit=1.0,
        rows=found["rows"],
    )
    tell(f"export_{kind}_memory", found["mib"], "MiB", ratio=room, limit=1.0, rows=found["rows"])


def page(source: Path) -> None:
    """Time the reading of a page of fifty rows anywhere in a run, as frozen and out of the copy sorted by an amount."""
    for name, sort in (("page", None), ("page_sorted", COLUMNS[6])):
        taken, copy = [], source.with_suffix(".sorted")
        if sort:
            whole = Frozen(source)
            whole.write_sorted(copy, whole.order(sort, descending=True))
        for n in range(210):
            began = time.perf_counter()
            frozen = Frozen(copy if sort else source)
            start = (n * 7_919) % max(frozen.count - 50, 1)
            shown = list(frozen.rows(start=start, stop=start + 50))
            assert [[c.display(row) for c in COLUMNS] for row in shown]
            taken.append(time.perf_counter() - began)
        taken = sorted(taken[10:] or taken)
        slow = taken[int(len(taken) * 0.95)]
        tell(f"report_{name}", slow * 1000, "ms", ratio=slow / PAGE_LIMIT, limit=1.0, rows=frozen.count)


def main() -> None:
    """Measure files and pages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ROWS:
            measured(kind, folder)
        page(folder / "csv.parquet")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        make(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
