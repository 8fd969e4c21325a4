"""The fraud watch against a plain aggregation of the same calls: a look after a changed day, all days anew."""

import os
import statistics
import time
from datetime import UTC, date, datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from django.db import connection

from bench.book import Book, add_calls, make_book
from bench.database import fresh, settle
from bench.measure import CALLS, tell
from billing.models import ChangedDay, WatchedDay
from billing.watch.alerts import look
from billing.watch.hours import keep_up
from resellerkpi.core.scope import enter

CUSTOMERS = 2_000
MONTHS = [date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)]
NOW = datetime(2026, 10, 31, 22, tzinfo=UTC)
ROUNDS = 5
#: What the hourly look may take of the plain aggregation of the calls it stands for, and what summing all days may.
LOOK, FIRST = 0.5, 3.0

PLAIN = """
SELECT count(*) FROM (
    SELECT customer_id, number_id, date_trunc('hour', started_at), destination, count(*), sum(duration), sum(retail),
        sum(cost)
    FROM billing_call WHERE reseller_id = %s GROUP BY 1, 2, 3, 4
) hours
"""


def plain(book: Book) -> float:
    """Sum the calls of all months by customer, number, hour and destination; return the seconds."""
    began = time.perf_counter()
    with enter(book.scope), connection.cursor() as cursor:
        cursor.execute(PLAIN, [book.reseller.pk])
    return time.perf_counter() - began


def from_nothing(book: Book) -> float:
    """Sum every day; return the seconds."""
    with enter(book.scope):
        WatchedDay.objects.all().delete()
        began = time.perf_counter()
        keep_up(book.reseller, today=NOW.date())
    return time.perf_counter() - began


def after_a_file(book: Book) -> float:
    """Look over the last days after one of them changed; return the seconds."""
    with enter(book.scope):
        ChangedDay.objects.get(day=NOW.date() - timedelta(days=1)).save()
    began = time.perf_counter()
    with enter(book.scope):
        look(book.reseller, now=NOW)
    return time.perf_counter() - began


def main() -> list[dict[str, object]]:
    """Print and return two lines."""
    calls = CALLS // 8
    fresh()
    book = make_book(customers=CUSTOMERS, prefixes=2_000)
    with enter(book.scope):
        days = [MONTHS[0] + timedelta(days=n) for n in range((NOW.date() - MONTHS[0]).days + 1)]
        ChangedDay.objects.bulk_create(
            [ChangedDay(reseller=book.reseller, day=day) for day in days], ignore_conflicts=True
        )
    for month in MONTHS:
        add_calls(book, calls // len(MONTHS), month)
    settle()
    first, looks = [], []
    for _ in range(ROUNDS):
        first.append(from_nothing(book) / plain(book))
        settle()
        looks.append(after_a_file(book) / plain(book))
    return [
        tell(
            "fraud_first",
            statistics.median(first),
            "",
            ratio=statistics.median(first),
            limit=FIRST,
            calls=calls,
        ),
        tell(
            "fraud_look",
            statistics.median(looks),
            "",
            ratio=statistics.median(looks),
            limit=LOOK,
            calls=calls,
        ),
    ]


if __name__ == "__main__":
    main()
