"""The benches' book: customers with numbers, a line rental each, a retail and a wholesale deck; and months of calls."""

import csv
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection

from bench.database import MINE, settle
from billing.importing.formats.uk_standard import HEADINGS
from billing.models import Carrier, RatingBatch
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

MONTH = date(2026, 10, 1)
#: When the benches work: after the month.
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
_names = count(1)

PARTIES = """
INSERT INTO billing_customer (reseller_id, code, name, client_type, legal_class, status, segment, tags, campaign, email,
    phone, address, postcode, vat_number, vat_rate, currency, payment_method, terms_days, billing_cycle, billing_day,
    minimum_invoice, on_hold, itemised_by_email, is_test, imported, created_at)
SELECT %(r)s, 'C' || n, 'Customer ' || n, 'client', '', 'active', '', '{}', '', '', '', '', '', '', 20, 'GBP',
    'transfer', 14, 'monthly', 1, 0, false, false, false, false, now() FROM generate_series(1, %(customers)s) n;
INSERT INTO billing_number (reseller_id, number, type, description, monthly_cost)
SELECT %(r)s, '+44113' || lpad(n::text, 7, '0'), 'geographic', '', 0 FROM generate_series(1, %(customers)s * 2) n;
INSERT INTO billing_numberassignment (reseller_id, number_id, customer_id, site, start_date)
SELECT %(r)s, number.id, first.customer + (number.id - first.number) %% %(customers)s, '', '2020-01-01'
FROM billing_number number, (
    SELECT (SELECT min(id) FROM billing_customer WHERE reseller_id = %(r)s) AS customer,
        (SELECT min(id) FROM billing_number WHERE reseller_id = %(r)s) AS number
) first WHERE number.reseller_id = %(r)s;
"""
#: Lines begin on any day of the month and at fifty prices, so that their first charges differ.
FEATURES = """
INSERT INTO billing_featuretype (reseller_id, code, name, kind, per_number, currency, interval, timing, prorate,
    activation_fee, minimum_term_months, carrier_product, ladder, own_name, own_bill, own_support, is_available)
VALUES (%(r)s, 'LINE', 'Line rental', 'line', false, 'GBP', 'month', 'advance', 'actual', 0, 0, '', '', true, true,
    true, true);
INSERT INTO billing_feature (reseller_id, customer_id, feature_type_id, quantity, start_date, price, discount_percent,
    not_charged, reference)
SELECT %(r)s, customer.id, type.id, 2, %(month)s::date + (customer.id %% 28)::int, 12.50 + customer.id %% 50, 0, false,
    '' FROM billing_customer customer JOIN billing_featuretype type USING (reseller_id) WHERE reseller_id = %(r)s;
"""
TARIFFS = """
WITH made AS (
    INSERT INTO billing_tariff (reseller_id, name, kind, currency, carrier_id, is_default, default_number_type,
        time_zone, holidays, places, rounding, band_rule, charge_unanswered, fee_inside_allowance, data_unit_mb,
        data_per_period)
    SELECT %(r)s, kind || ' ' || %(carrier)s, kind, 'GBP', CASE kind WHEN 'wholesale' THEN %(carrier)s END,
        kind = 'retail', '', 'Europe/London', 'GB-ENG', 4, 'half_up', 'start', false, true, 1, false
    FROM unnest(ARRAY['retail', 'wholesale']) kind
    WHERE kind = 'wholesale' OR NOT EXISTS (SELECT FROM billing_tariff WHERE reseller_id = %(r)s AND is_default)
    RETURNING id
)
INSERT INTO billing_tariffrate (reseller_id, tariff_id, service, key_kind, key, destination, call_class, band, price,
    connection_fee, minimum_charge, initial_increment, next_increment, free_seconds, valid_from)
SELECT %(r)s, made.id, 'voice', 'prefix', (10000 + n)::text, 'Place ' || n %% 900, '', '', 0.01 + n %% 97 * 0.003,
    0.02, 0.01, 30, 6, 0, '2020-01-01' FROM generate_series(0, %(prefixes)s - 1) n, made;
"""
#: Rated calls of a month in four classes, evenly over numbers and time.
RATED = """
INSERT INTO billing_call (reseller_id, started_at, carrier_id, file_id, batch_id, dedupe_key, customer_id, number_id,
    line, duration, billed_seconds, service, state, billed_party, call_class, currency, cost_currency, retail, cost,
    rate_id)
SELECT %(r)s, %(month)s::date::timestamptz + n * interval '2400000 seconds' / %(calls)s, 0, 0, %(batch)s,
    (%(batch)s::bigint << 32) | n, first.customer + n %% %(customers)s, first.number + n %% (%(customers)s * 2), n,
    n %% 600, n %% 600, 'voice', 'rated', '+441130000000',
    (ARRAY['Landline', 'Mobile', 'Freephone', 'World'])[1 + n %% 7 / 2], 'GBP', 'GBP', 0.0123 + n %% 997 * 0.0007,
    0.004 + n %% 97 * 0.0003, first.rate + n %% %(prefixes)s
FROM generate_series(1, %(calls)s) n, (
    SELECT (SELECT min(id) FROM billing_customer WHERE reseller_id = %(r)s) AS customer,
        (SELECT min(id) FROM billing_number WHERE reseller_id = %(r)s) AS number,
        (SELECT min(rate.id) FROM billing_tariffrate rate JOIN billing_tariff tariff ON tariff.id = rate.tariff_id
            WHERE rate.reseller_id = %(r)s AND tariff.kind = 'retail') AS rate
) first
"""


@dataclass(frozen=True)
class Book:
    """A reseller of the benches with its carriers."""

    reseller: Reseller
    carriers: tuple[Carrier, ...]
    customers: int
    prefixes: int

    @property
    def scope(self) -> Scope:
        """The scope of its work."""
        return Scope.of(self.reseller.pk, why="bench")


def make_book(*, customers: int = 10_000, prefixes: int = 20_000, carriers: int = 1) -> Book:
    """Write a book in SQL; each customer has two numbers and each carrier a deck."""
    reseller = Reseller.objects.create(code=f"{MINE}{os.getpid()}-{next(_names)}", name="Bench")
    book = Book(reseller, (), customers, prefixes)
    sizes: dict[str, Any] = {"r": reseller.pk, "customers": customers, "prefixes": prefixes, "month": MONTH}
    with enter(book.scope), connection.cursor() as cursor:
        made = tuple(
            Carrier.objects.create(reseller=reseller, code=f"C{n}", name=f"Carrier {n}")
            for n in range(carriers)
        )
        cursor.execute(PARTIES, sizes)
        cursor.execute(FEATURES, sizes)
        for carrier in made:
            cursor.execute(TARIFFS, {**sizes, "carrier": carrier.pk})
    settle()
    return Book(reseller, made, customers, prefixes)


def add_calls(book: Book, calls: int, month: date = MONTH) -> None:
    """Store a month of rated calls in SQL."""
    with enter(book.scope), connection.cursor() as cursor:
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        batch = RatingBatch.objects.create(
            reseller=book.reseller, kind="bench", calls=calls, first_call_at=first
        )
        cursor.execute("SELECT make_call_partition(%s)", [month])
        sizes: dict[str, Any] = {"r": book.reseller.pk, "customers": book.customers, "month": month}
        sizes["prefixes"] = book.prefixes
        cursor.execute(RATED, {**sizes, "calls": calls, "batch": batch.pk})


def write_file(path: Path, calls: int, *, book: Book, seed: int = 20261122) -> Path:
    """Write a UK Standard file of a month's calls in order of time, and return its path."""
    random = np.random.default_rng(seed)
    starts = np.sort(random.integers(0, 31 * 86_400, calls))
    lines = random.integers(1, book.customers * 2 + 1, calls)
    dialled = random.integers(0, book.prefixes, calls) * 100_000 + random.zipf(1.3, calls) % 100_000
    seconds = np.where(random.random(calls) < 0.1, 0, random.exponential(150, calls)).astype(int)
    column = {name: place for place, name in enumerate(HEADINGS)}
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADINGS)
        row = [""] * len(HEADINGS)
        row[column["Call Type"]], row[column["Currency"]], row[column["Carrier"]] = "V", "GBP", "Gamma"
        for n in range(calls):
            second = int(starts[n])
            line = f"+44113{int(lines[n]):07}"
            row[column["Non-Charged Party"]] = f"+{10_000 * 100_000 + int(dialled[n])}"
            row[column["Call Date"]] = f"{1 + second // 86_400:02}/{MONTH:%m/%Y}"
            row[column["Call Time"]] = (
                f"{second % 86_400 // 3600:02}:{second % 3600 // 60:02}:{second % 60:02}"
            )
            row[column["Duration"]] = str(seconds[n])
            row[column["Salesprice"]] = f"{int(seconds[n]) * 54 // 360 / 1000:.6f}"
            row[column["DDI"]] = row[column["Caller Line Identity"]] = line
            row[column["Record ID"]] = f"{seed:X}{n:X}"
            writer.writerow(row)
    return path
