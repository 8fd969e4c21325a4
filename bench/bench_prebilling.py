"""Looks a month's bill run through for its pre-billing report and compares with the bare SQL aggregation of its calls.

The book and the calls are those of the bill run's bench; the two run in turn and the median of the ratios counts. A
second look at a run whose book and calls are as they were is compared with the same.
"""

import os
import statistics

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import MONTH, NOW, add_calls, make_book
from bench.database import fresh, settle
from bench.measure import CALLS, tell, watch
from bench.work import bare_sums
from billing.billrun.prebilling import look, look_if_changed
from billing.billrun.runs import prepare_run
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import enter

LIMIT = 5.0
AGAIN_LIMIT = 0.5
ROUNDS = 5


def main() -> dict[str, object]:
    """Print one line for a look and one for a look at what did not change; return the first."""
    fresh()
    book = make_book()
    add_calls(book, CALLS)
    settle()
    with enter(book.scope):
        run = prepare_run(book.reseller, parse_month(f"{MONTH:%Y-%m}", book.reseller.zone))
    bare_sums(book)
    bare, took, again = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        bare.append(bare_sums(book))
        with watch() as timed, enter(book.scope):
            look(run, now=NOW)
        took.append(timed.seconds)
        with watch() as timed, enter(book.scope):
            look_if_changed(run, now=NOW)
        again.append(timed.seconds)
    found = tell(
        "prebilling",
        CALLS / statistics.median(took),
        "calls/s",
        ratio=statistics.median(one / other for one, other in zip(took, bare, strict=True)),
        limit=LIMIT,
        calls=CALLS,
    )
    tell(
        "prebilling_unchanged",
        CALLS / statistics.median(again),
        "calls/s",
        ratio=statistics.median(one / other for one, other in zip(again, bare, strict=True)),
        limit=AGAIN_LIMIT,
        calls=CALLS,
    )
    return found


if __name__ == "__main__":
    main()
