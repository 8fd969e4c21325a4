"""The work that benches time: loading a file, producing the bills of the month, and what is bare of either."""

from pathlib import Path
from typing import Any

from django.db import connection, connections

from bench.book import MONTH, NOW, Book
from bench.database import owner_sees
from bench.measure import watch
from billing.billrun.runs import check_run, prepare_run
from billing.bills import produce, summary, undo
from billing.models import BillingRun, Carrier
from billing.pipeline import import_cdrs, remove_cdrs
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import enter

#: The sums of the month's calls by customer, number, service and class, all of them asked for.
BARE = """
SELECT count(*), sum(calls), sum(seconds), sum(retail), sum(cost) FROM (
    SELECT customer_id, number_id, service, call_class, count(*) AS calls, sum(billed_seconds) AS seconds,
        sum(retail) AS retail, sum(cost) AS cost
    FROM billing_call
    WHERE reseller_id = %s AND started_at >= %s AND started_at < %s::date + interval '1 month'
        AND state IN ('rated', 'zero')
    GROUP BY customer_id, number_id, service, call_class
) sums
"""
#: A table of the same columns, checks, partitions and indexes, without row-level security.
COPY_TABLE = """
DROP TABLE IF EXISTS bench_call;
CREATE TABLE bench_call (LIKE billing_call INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id, started_at))
    PARTITION BY RANGE (started_at);
CREATE UNIQUE INDEX bench_call_once ON bench_call (reseller_id, started_at, dedupe_key);
CREATE INDEX bench_call_customer ON bench_call (reseller_id, customer_id, started_at);
CREATE TABLE bench_call_month PARTITION OF bench_call FOR VALUES FROM ('2026-09-01') TO ('2026-12-01');
"""


def supply(book: Book, path: Path, carrier: Carrier | None = None) -> tuple[float, dict[str, Any]]:
    """Load a file; return the seconds it took, its commit included, and what came of it."""
    with watch() as timed, enter(book.scope):
        result = import_cdrs(
            reseller=book.reseller,
            carrier=carrier or book.carriers[0],
            path=path,
            now=NOW,
            format_name="uk_standard",
        )
    return timed.seconds, result


def remove_files(book: Book) -> None:
    """Take the calls of loaded files out again."""
    with enter(book.scope):
        for carrier in book.carriers:
            for file in carrier.files.all():
                remove_cdrs(reseller=book.reseller, file=file)


def bare_copy(book: Book, folder: Path) -> float:
    """COPY the reseller's stored calls into a table of the same shape; return the seconds it took."""
    rows = folder / "rows.csv"
    with connections["owner"].cursor() as cursor, owner_sees(book.reseller):
        stored = f"SELECT * FROM billing_call WHERE reseller_id = {book.reseller.pk} ORDER BY id"
        with rows.open("wb") as out:
            cursor.cursor.copy_expert(f"COPY ({stored}) TO STDOUT", out)
        cursor.execute(COPY_TABLE)
        with watch() as timed, rows.open("rb") as content:
            cursor.cursor.copy_expert("COPY bench_call FROM STDIN", content, size=1 << 20)
        cursor.execute("DROP TABLE bench_call")
    rows.unlink()
    return timed.seconds


def bare_sums(book: Book) -> float:
    """Sum the month's calls; return the seconds it took."""
    with enter(book.scope), connection.cursor() as cursor, watch() as timed:
        cursor.execute(BARE, [book.reseller.pk, MONTH, MONTH])
        cursor.fetchall()
    return timed.seconds


def bill_run(book: Book) -> tuple[float, dict[str, Any]]:
    """Produce the month's bills; return the seconds it took, its commit included, and the run's totals."""
    with enter(book.scope):
        run = prepare_run(book.reseller, parse_month(f"{MONTH:%Y-%m}", book.reseller.zone))
        check_run(run.pk, accept="bench", now=NOW)
    with watch() as timed, enter(book.scope):
        produce(run.pk, now=NOW)
    with enter(book.scope):
        return timed.seconds, summary(BillingRun.objects.get(pk=run.pk))


def undo_run(book: Book) -> None:
    """Take the month's bills and its charges back, so that the next run has the same to do."""
    with enter(book.scope), connection.cursor() as cursor:
        undo(BillingRun.objects.get(reseller=book.reseller, period_start=MONTH).pk)
        cursor.execute(
            "DELETE FROM billing_charge WHERE reseller_id = %s AND bill_date >= %s", [book.reseller.pk, MONTH]
        )
