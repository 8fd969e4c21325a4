"""Produces the bills of a month and compares with the bare SQL aggregation of the same calls.

The book: 10,000 customers with 20,000 numbers and a line rental each. The bare aggregation sums the same calls by
customer, number and class, as the same role, and stores nothing. The two run in turn; the median of the ratios counts.
"""

import os
import statistics
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import add_calls, make_book
from bench.database import fresh, settle
from bench.measure import CALLS, tell
from bench.work import bare_sums, bill_run, undo_run

LIMIT = 3.0
ROUNDS = 5


def main() -> dict[str, object]:
    """Print and return one line: calls billed per second, and the ratio to the bare aggregation."""
    fresh()
    book = make_book()
    add_calls(book, CALLS)
    settle()
    bare_sums(book)
    took, bare = list[float](), list[float]()
    totals: dict[str, Any] = {}
    for _ in range(ROUNDS):
        bare.append(bare_sums(book))
        seconds, totals = bill_run(book)
        took.append(seconds)
        undo_run(book)
        settle()
    return tell(
        "bill_run",
        CALLS / statistics.median(took),
        "calls/s",
        ratio=statistics.median(one / other for one, other in zip(took, bare, strict=True)),
        limit=LIMIT,
        bare_sums=round(CALLS / statistics.median(bare)),
        calls=CALLS,
        invoices=totals["invoices"],
        net=totals["net"],
    )


if __name__ == "__main__":
    main()
