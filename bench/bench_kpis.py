"""Makes the KPI snapshots of 24 months from nothing, and mends them after one changed day.

The book: 10,000 customers with two numbers, a line rental and, every third, a feature; an invoice with two lines each
month, paid by an attempt and a payment fourteen days later; the ledger beside it. The bare aggregation sums the same
invoices by customer and month, as the same role. One changed day is 400 payments of a day this month; then of a day
a year ago. A tenth of the customers, and so of the invoices, is made first: ten times as much costs at most eleven
times the time. Processor time is that of the database's processes that did the work, where the system tells it: on a
machine with other work it says more than the clock.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import django
from django.db import connection, connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.database import MINE, fresh
from bench.measure import tell, watch
from kpis.snapshots import refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", "10000"))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMITS = {"kpi_snapshots": 60.0, "kpi_changed_day": 5.0, "kpi_changed_day_last_year": 5.0}
GROWTH = 11.0

BOOK = """
SET LOCAL enable_nestloop = off;
INSERT INTO billing_customer (reseller_id, code, name, client_type, legal_class, status, segment, tags, campaign, email,
    phone, address, postcode, vat_number, vat_rate, currency, payment_method, terms_days, billing_cycle, billing_day,
    minimum_invoice, on_hold, itemised_by_email, is_test, imported, created_at)
SELECT %(r)s, 'C' || n, 'Customer ' || n, 'client', '', 'active', 'segment ' || n %% 5, '{}', '', '', '', '',
    (ARRAY['LS1 1AA', 'M1 1AA', 'SW1 1AA'])[1 + n %% 3], '', 20, 'GBP', 'direct_debit', 14, 'monthly', 1, 0, false,
    false, false, false, '2024-11-01' FROM generate_series(1, %(customers)s) n;
INSERT INTO billing_number (reseller_id, number, type, description, monthly_cost)
SELECT %(r)s, '+44113' || lpad(n::text, 7, '0'), 'geographic', '', 0 FROM generate_series(1, 2 * %(customers)s) n;
INSERT INTO billing_numberassignment (reseller_id, number_id, customer_id, site, start_date, end_date)
SELECT %(r)s, first.number + n, first.customer + n %% %(customers)s, '', date '2024-12-01' + (n %% 700)::int,
    CASE WHEN n %% 20 = 0 THEN date '2024-12-01' + (n %% 700)::int + 60 END
FROM generate_series(0, 2 * %(customers)s - 1) n, (SELECT min(c.id) AS customer, min(b.id) AS number
    FROM billing_customer c, billing_number b WHERE c.reseller_id = %(r)s AND b.reseller_id = %(r)s) first;
INSERT INTO billing_featuretype (reseller_id, code, name, kind, per_number, currency, interval, timing, prorate,
    activation_fee, minimum_term_months, carrier_product, ladder, own_name, own_bill, own_support, is_available)
SELECT %(r)s, x.code, x.code, x.kind, false, 'GBP', 'month', 'advance', 'actual', 0, 0, '', '', true, true, true, true
FROM (VALUES ('LINE', 'line'), ('REC', 'feature')) x (code, kind);
INSERT INTO billing_feature (reseller_id, customer_id, feature_type_id, quantity, start_date, price, discount_percent,
    not_charged, reference)
SELECT %(r)s, c.id, t.id, 2, date '2024-12-01' + (c.id %% 700)::int, 12.50, 0, false, ''
FROM billing_customer c JOIN billing_featuretype t USING (reseller_id)
WHERE reseller_id = %(r)s AND (t.code = 'LINE' OR c.id %% 3 = 0);
INSERT INTO billing_invoice (reseller_id, customer_id, number, is_opening, state, invoice_date, due_date, currency, net,
    vat, gross, cost, usage_batch, is_disputed)
SELECT %(r)s, c.id, 'I' || c.id || '-' || m, false, 'issued', d.day, d.day + 14, 'GBP', 40 + c.id %% 50, 0,
    40 + c.id %% 50, 0, 0, false
FROM billing_customer c CROSS JOIN generate_series(0, 23) m
CROSS JOIN LATERAL (SELECT (date '2024-12-01' + make_interval(months => m))::date AS day) d
WHERE c.reseller_id = %(r)s;
INSERT INTO billing_invoiceline (reseller_id, invoice_id, position, kind, description, site, service, call_class,
    quantity, calls, seconds, net, vat_rate, cost, feature_type_id)
SELECT %(r)s, i.id, x.position, x.kind, '', '', '', '', 1, 0, 0,
    CASE x.kind WHEN 'usage' THEN i.net - 25 ELSE 25 END, 0, 0, CASE x.kind WHEN 'recurring' THEN t.id END
FROM billing_invoice i CROSS JOIN (VALUES (0, 'recurring'), (1, 'usage')) x (position, kind)
JOIN billing_featuretype t ON t.reseller_id = %(r)s AND t.code = 'LINE' WHERE i.reseller_id = %(r)s;
INSERT INTO billing_payment (reseller_id, customer_id, method, received_date, amount, currency, reference, is_refill,
    reversal_code)
SELECT %(r)s, customer_id, 'direct_debit', due_date + (id %% 3)::int * 7, gross, 'GBP', number, false, ''
FROM billing_invoice WHERE reseller_id = %(r)s AND id %% 25 > 0 AND due_date < '2026-11-20';
INSERT INTO billing_allocation (reseller_id, invoice_id, payment_id, date, amount)
SELECT %(r)s, i.id, p.id, p.received_date, p.amount FROM billing_payment p
JOIN billing_invoice i ON i.number = p.reference
WHERE p.reseller_id = %(r)s AND i.reseller_id = %(r)s;
INSERT INTO billing_paymentattempt (reseller_id, customer_id, invoice_id, method, presentation, submitted_date,
    outcome_date, outcome, reason_code, amount, currency)
SELECT %(r)s, customer_id, id, 'direct_debit', 1, due_date, due_date + 3,
    CASE WHEN id %% 25 = 0 THEN 'failed' ELSE 'paid' END, '', gross, 'GBP'
FROM billing_invoice WHERE reseller_id = %(r)s AND due_date < '2026-11-15';
INSERT INTO billing_ledgerentry (reseller_id, customer_id, date, kind, amount, currency, source_key)
SELECT %(r)s, customer_id, invoice_date, 'invoice', gross, 'GBP', 'i' || id FROM billing_invoice
WHERE reseller_id = %(r)s
UNION ALL
SELECT %(r)s, customer_id, received_date, 'payment', -amount, 'GBP', 'p' || id FROM billing_payment
WHERE reseller_id = %(r)s;
"""

BARE = """
SELECT customer_id, date_trunc('month', invoice_date), count(*), sum(net), sum(gross) FROM billing_invoice
WHERE reseller_id = %s GROUP BY 1, 2
"""
PAID = """
INSERT INTO billing_payment (reseller_id, customer_id, method, received_date, amount, currency, reference, is_refill,
    reversal_code)
SELECT reseller_id, id, 'card', %(day)s, 10, 'GBP', '', false, '' FROM billing_customer WHERE reseller_id = %(r)s
ORDER BY id LIMIT 400
"""


@dataclass(frozen=True)
class Took:
    """What a refresh took: seconds with the commit, seconds of the database's processors, rows of snapshots."""

    seconds: float
    processor: float | None
    rows: int


def make_book(customers: int) -> Reseller:
    """Write a book into a fresh database, without statistics and so without nested loops; let it know its size."""
    fresh()
    reseller = Reseller.objects.create(code=f"{MINE}{os.getpid()}", name="Bench")
    with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor:
        cursor.execute(BOOK, {"r": reseller.pk, "customers": customers})
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return reseller


def processor() -> float | None:
    """Return the processor seconds of our database process and of those that worked for it and ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    try:
        own = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        parent = Path(f"/proc/{own[1]}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return sum(int(ticks) for ticks in (*own[11:13], *parent[13:15])) / os.sysconf("SC_CLK_TCK")


def timed(reseller: Reseller, *, full: bool = False) -> Took:
    """Refresh, and say what it took."""
    before = processor()
    with watch() as took, enter(Scope.of(reseller.pk, why="bench")):
        done = refresh(reseller, now=NOW, full=full)
    after = processor()
    worked = None if before is None or after is None else round(after - before, 2)
    return Took(took.seconds, worked, done.snapshots)


def timed_bare(reseller: Reseller) -> float:
    """Return the seconds of the bare aggregation, the better of two."""
    times = []
    for _ in range(2):
        with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor, watch() as took:
            cursor.execute(f"SELECT count(*) FROM ({BARE}) bare", [reseller.pk])
        times.append(took.seconds)
    return min(times)


def pay(reseller: Reseller, day: date) -> None:
    """Write 400 payments of one day."""
    with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor:
        cursor.execute(PAID, {"r": reseller.pk, "day": day})


def report(name: str, took: Took, bare: float) -> None:
    """Print one line: seconds against the limit, and the ratio to the bare aggregation."""
    line = {
        "name": name,
        "value": round(took.seconds, 2),
        "unit": "s",
        "ratio": round(took.seconds / bare, 1),
        "limit": LIMITS[name],
        "ok": took.seconds <= LIMITS[name],
        "bare_seconds": round(bare, 3),
        "processor_seconds": took.processor,
        "customers": CUSTOMERS,
        "snapshots": took.rows,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Print a line for making everything, for a changed day of this month, for one of last year, and for growth."""
    few = timed(make_book(CUSTOMERS // 10), full=True)
    reseller = make_book(CUSTOMERS)
    bare = timed_bare(reseller)
    whole = timed(reseller, full=True)
    report("kpi_snapshots", whole, bare)
    for name, day in (
        ("kpi_changed_day", date(2026, 11, 20)),
        ("kpi_changed_day_last_year", date(2025, 11, 20)),
    ):
        pay(reseller, day)
        report(name, timed(reseller), bare)
    ratio = whole.seconds / few.seconds
    tell(
        "growth_snapshots",
        CUSTOMERS / whole.seconds,
        "customers/s",
        ratio=ratio,
        limit=GROWTH,
        customers=CUSTOMERS,
    )


if __name__ == "__main__":
    main()
