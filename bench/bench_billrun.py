"""Produces the bills of a month and compares with the bare SQL aggregation of the same calls.

The book: 10,000 customers with 20,000 numbers and a line rental each, 2,000,000 calls of one month in four classes.
The bare aggregation sums the same calls by customer, number and class, as the same role, and stores nothing.
"""

import json
import os
import time
from datetime import UTC, datetime

import django
from django.core.management import call_command
from django.db import connection, connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from billing.billrun.runs import check_run, prepare_run
from billing.bills import produce, summary
from billing.models import BillingRun, RatingBatch
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter

CALLS = int(os.environ.get("BENCH_CALLS", "2000000"))
CUSTOMERS, NUMBERS = 10_000, 20_000
LIMIT = 3.0
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)

BOOK = """
INSERT INTO billing_customer (reseller_id, code, name, client_type, legal_class, status, segment, tags, campaign, email,
    phone, address, postcode, vat_number, vat_rate, currency, payment_method, terms_days, billing_cycle, billing_day,
    minimum_invoice, on_hold, itemised_by_email, is_test, imported, created_at)
SELECT %(r)s, 'C' || n, 'Customer ' || n, 'client', '', 'active', '', '{}', '', '', '', '', '', '', 20, 'GBP',
    'transfer', 14, 'monthly', 1, 0, false, false, false, false, now() FROM generate_series(1, %(customers)s) n;
INSERT INTO billing_number (reseller_id, number, type, description, monthly_cost)
SELECT %(r)s, '+44113' || lpad(n::text, 7, '0'), 'geographic', '', 0 FROM generate_series(1, %(numbers)s) n;
INSERT INTO billing_featuretype (reseller_id, code, name, kind, per_number, currency, interval, timing, prorate,
    activation_fee, minimum_term_months, carrier_product, ladder, own_name, own_bill, own_support, is_available)
VALUES (%(r)s, 'LINE', 'Line rental', 'line', false, 'GBP', 'month', 'advance', 'actual', 0, 0, '', '', true, true,
    true, true);
INSERT INTO billing_feature (reseller_id, customer_id, feature_type_id, quantity, start_date, price, discount_percent,
    not_charged, reference)
SELECT %(r)s, customer.id, type.id, 2, '2026-10-01', 12.50, 0, false, ''
FROM billing_customer customer JOIN billing_featuretype type USING (reseller_id) WHERE reseller_id = %(r)s;
SELECT make_call_partition('2026-10-01');
INSERT INTO billing_call (reseller_id, started_at, carrier_id, file_id, batch_id, dedupe_key, customer_id, number_id,
    line, duration, billed_seconds, service, state, billed_party, call_class, currency, cost_currency, retail, cost)
SELECT %(r)s, timestamptz '2026-10-01 00:00+00' + n * interval '2600000 seconds' / %(calls)s, 0, 0, %(batch)s,
    %(r)s::bigint << 32 | n, first.customer + n %% %(customers)s, first.number + n %% %(numbers)s, n, n %% 600,
    n %% 600, 'voice', 'rated', '+441130000000', (ARRAY['Landline', 'Mobile', 'Freephone', 'World'])[1 + n %% 7 / 2],
    'GBP', 'GBP', 0.0123 + n %% 997 * 0.0007, 0.004 + n %% 97 * 0.0003
FROM generate_series(1, %(calls)s) n,
    (SELECT min(customer.id) AS customer, min(number.id) AS number FROM billing_customer customer,
        billing_number number WHERE customer.reseller_id = %(r)s AND number.reseller_id = %(r)s) first;
"""

BARE = """
SELECT customer_id, number_id, service, call_class, count(*), sum(billed_seconds), sum(retail), sum(cost)
FROM billing_call
WHERE reseller_id = %s AND started_at >= '2026-10-01 00:00+01' AND started_at < '2026-11-01 00:00+00'
    AND state IN ('rated', 'zero')
GROUP BY customer_id, number_id, service, call_class
"""
TABLES = (
    *("charge", "invoicevat", "invoiceline", "notproduced", "invoice", "billingrun", "call", "feature"),
    *("featuretype", "number", "customer", "ratingbatch"),
)


def make_book() -> Reseller:
    """Write book and calls in SQL, and let the database know their sizes."""
    reseller = Reseller.objects.create(code=f"bench-{os.getpid()}", name="Bench")
    with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor:
        first = datetime(2026, 10, 1, tzinfo=UTC)
        batch = RatingBatch.objects.create(reseller=reseller, kind="bench", calls=CALLS, first_call_at=first)
        sizes = {
            "r": reseller.pk,
            "batch": batch.pk,
            "customers": CUSTOMERS,
            "numbers": NUMBERS,
            "calls": CALLS,
        }
        cursor.execute(BOOK, sizes)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return reseller


def timed_bare(reseller: Reseller) -> float:
    """Return the seconds of the bare aggregation, the better of two."""
    times = []
    for _ in range(2):
        with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor:
            begun = time.perf_counter()
            cursor.execute(f"SELECT count(*) FROM ({BARE}) bare", [reseller.pk])
            times.append(time.perf_counter() - begun)
    return min(times)


def timed_run(reseller: Reseller) -> tuple[float, dict[str, object]]:
    """Produce the month's bills; return the seconds with the commit, and the run's totals."""
    scope = Scope.of(reseller.pk, why="bench")
    with enter(scope):
        run = check_run(prepare_run(reseller, parse_month("2026-10", reseller.zone)).pk, now=NOW)
    begun = time.perf_counter()
    with enter(scope):
        produce(run.pk, now=NOW)
    took = time.perf_counter() - begun
    with enter(scope):
        return took, summary(BillingRun.objects.get(pk=run.pk))


def clean(reseller: Reseller) -> None:
    """Take the bench's rows out again."""
    with enter(Scope.of(reseller.pk, why="bench")), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('rk.undo', 'on', true)")
        cursor.execute(
            "UPDATE billing_charge SET invoice_line_id = NULL WHERE reseller_id = %s", [reseller.pk]
        )
        for table in TABLES:
            cursor.execute(f"DELETE FROM billing_{table} WHERE reseller_id = %s", [reseller.pk])


def main() -> dict[str, object]:
    """Print and return one line: calls billed per second, and the ratio to the bare aggregation."""
    call_command("setup_database", verbosity=0)
    reseller = make_book()
    bare = timed_bare(reseller)
    took, totals = timed_run(reseller)
    if not os.environ.get("BENCH_KEEP"):
        clean(reseller)
    ratio = round(took / bare, 2)
    line: dict[str, object] = {
        "name": "bill_run",
        "value": round(CALLS / took),
        "unit": "calls/s",
        "bare_seconds": round(bare, 2),
        "seconds": round(took, 2),
        "calls": CALLS,
        "invoices": totals["invoices"],
        "net": totals["net"],
        "ratio": ratio,
        "limit": LIMIT,
        "ok": ratio <= LIMIT,
    }
    print(json.dumps(line))
    return line


if __name__ == "__main__":
    main()
