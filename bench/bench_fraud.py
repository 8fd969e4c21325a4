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
from billing.watch.unusual import unusual
from resellerkpi.core.scope import enter

#: Few customers: every number calls enough to be looked at, which is the dearest case.
CUSTOMERS = 200
MONTHS = [date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)]
NOW = datetime(2026, 10, 31, 22, tzinfo=UTC)
ROUNDS = 5
#: What a look, the check of a month and summing all days may take of the plain aggregation of the same calls.
LOOK, MONTH, FIRST = 1.0, 3.0, 25.0

#: Every tenth call goes abroad, to twenty destinations.
ABROAD = """
UPDATE billing_call SET dialled = '+35312345678', destination = 'Abroad ' || id %% 20
WHERE reseller_id = %s AND line %% 10 = 0
"""
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


def before_billing(book: Book) -> float:
    """Look for what is unusual in the whole month, as before billing; return the seconds."""
    began = time.perf_counter()
    with enter(book.scope):
        unusual(book.reseller, first=MONTHS[-1], until=date(2026, 11, 1))
    return time.perf_counter() - began


def main() -> list[dict[str, object]]:
    """Print and return three lines."""
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
    with enter(book.scope), connection.cursor() as cursor:
        cursor.execute(ABROAD, [book.reseller.pk])
    settle()
    times = []
    for _ in range(ROUNDS):
        times.append((from_nothing(book) / plain(book), 0.0, 0.0))
        settle()
        times[-1] = (times[-1][0], after_a_file(book) / plain(book), before_billing(book) / plain(book))
    lines = []
    for place, (name, limit) in enumerate((("first", FIRST), ("look", LOOK), ("month", MONTH))):
        ratio = statistics.median(row[place] for row in times)
        lines.append(tell(f"fraud_{name}", ratio * 100, "%", ratio=ratio, limit=limit, calls=calls))
    return lines


if __name__ == "__main__":
    main()
