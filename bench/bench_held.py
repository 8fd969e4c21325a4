"""Sixty months of calls, bills and charges held do not slow this month's file and bill run.

Two resellers of the same size work in turn in one database: one holds sixty months, the other none.
"""

import os
import statistics
import tempfile
from datetime import date
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from django.db import connection

from bench.book import MONTH, Book, add_calls, make_book, write_file
from bench.database import fresh, settle
from bench.measure import CALLS, tell
from bench.work import bill_run, remove_files, supply, undo_run
from resellerkpi.core.scope import enter

MONTHS = 60
CUSTOMERS = 1_000
LIMIT = 1.15
ROUNDS = 5

#: A month's confirmed run: an invoice of two lines for each customer, its line rental charged and billed.
BILLED = """
WITH run AS (
    INSERT INTO billing_billingrun (reseller_id, name, cycle, period_start, period_end, invoice_date, message, state,
        accepted_errors, usage_batch, created_at)
    SELECT %(r)s, %(month)s::date::text, 'monthly', %(month)s::date, %(next)s::date, %(next)s::date, '', 'confirmed',
        '', (SELECT max(id) FROM billing_ratingbatch WHERE reseller_id = %(r)s), now()
    RETURNING id, usage_batch
), invoice AS (
    INSERT INTO billing_invoice (reseller_id, customer_id, run_id, number, is_opening, state, invoice_date, due_date,
        period_start, period_end, currency, net, vat, gross, cost, usage_before, usage_batch, is_disputed)
    SELECT %(r)s, customer.id, run.id, %(month)s::date || customer.code, false, 'issued', %(next)s::date,
        %(next)s::date, %(month)s::date, %(next)s::date, 'GBP', 20, 4, 24, 5,
        %(next)s::date::timestamp AT TIME ZONE %(zone)s, run.usage_batch, false
    FROM billing_customer customer, run WHERE customer.reseller_id = %(r)s
    RETURNING id, customer_id
), line AS (
    INSERT INTO billing_invoiceline (reseller_id, invoice_id, position, kind, description, site, service, call_class,
        service_start, service_end, quantity, calls, seconds, net, vat_rate, cost)
    SELECT %(r)s, invoice.id, place, CASE place WHEN 1 THEN 'recurring' ELSE 'usage' END, 'Line', '', '', '',
        %(month)s::date, %(next)s::date, 1, 0, 0, 10, 20, 2 FROM invoice, generate_series(1, 2) place
    RETURNING id, invoice_id, position
)
INSERT INTO billing_charge (reseller_id, customer_id, feature_id, kind, description, source_key, service_start,
    service_end, bill_date, quantity, unit_price, amount, cost, currency, is_activation, is_renewal, invoice_line_id,
    created_at)
SELECT %(r)s, invoice.customer_id, feature.id, 'recurring', 'Line',
    'feature:' || feature.id || ':charge:' || %(month)s::date || ':' || %(next)s::date || ':0', %(month)s::date,
    %(next)s::date, %(month)s::date, 2, 5, 10, 2, 'GBP', false, false, line.id, now()
FROM invoice JOIN line ON line.invoice_id = invoice.id AND line.position = 1
    JOIN billing_feature feature ON feature.customer_id = invoice.customer_id AND feature.reseller_id = %(r)s
"""


def hold(book: Book, calls: int) -> None:
    """Give a reseller sixty months of calls before this one, each of them billed."""
    months = [date(year, month, 1) for year in range(2021, 2027) for month in range(1, 13)]
    past = [month for month in months if month < MONTH][-MONTHS:]
    with enter(book.scope), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_feature SET start_date = %s WHERE reseller_id = %s", [past[0], book.reseller.pk]
        )
    for month, after in zip(past, [*past[1:], MONTH], strict=True):
        add_calls(book, calls, month)
        with enter(book.scope), connection.cursor() as cursor:
            cursor.execute(
                BILLED,
                {
                    "r": book.reseller.pk,
                    "month": month,
                    "next": after,
                    "zone": book.reseller.time_zone,
                },
            )


def month_of_work(book: Book, path: Path) -> tuple[float, float]:
    """Load this month's file, produce its bills, and take both back; return the seconds of either."""
    loaded, _ = supply(book, path)
    billed, _ = bill_run(book)
    undo_run(book)
    remove_files(book)
    settle()
    return loaded, billed


def main() -> list[dict[str, object]]:
    """Print and return two lines: this month's file and this month's bills with sixty months held, against none."""
    calls = CALLS // 40
    fresh()
    none, held = (make_book(customers=CUSTOMERS, prefixes=2_000) for _ in range(2))
    hold(held, calls)
    settle()
    times = []
    with tempfile.TemporaryDirectory() as name:
        paths = [write_file(Path(name) / f"{n}.csv", calls, book=none, seed=n) for n in (1, 2)]
        month_of_work(none, paths[0])
        for _ in range(ROUNDS):
            times.append((*month_of_work(held, paths[0]), *month_of_work(none, paths[1])))
    lines = []
    for place, name in enumerate(("held_supply", "held_bill_run")):
        ratio = statistics.median(row[place] / row[place + 2] for row in times)
        speed = calls / statistics.median(row[place] for row in times)
        lines.append(tell(name, speed, "calls/s", ratio=ratio, limit=LIMIT, calls=calls, months=MONTHS))
    return lines


if __name__ == "__main__":
    main()
