"""Supplies a month's call file end to end and compares with a bare COPY of the same stored rows.

The book: 20,000 numbers of 10,000 customers, a retail and a wholesale deck of 20,000 prefixes each. The bare COPY
goes into a table of the same columns, constraints, partition and indexes without row-level security.
"""

import csv
import json
import os
import resource
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import django
import numpy as np
from django.core.management import call_command
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from billing.importing.formats.uk_standard import HEADINGS
from billing.models import Carrier, CdrFile
from billing.pipeline import import_cdrs
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

CALLS = int(os.environ.get("BENCH_CALLS", "2000000"))
NUMBERS, CUSTOMERS, PREFIXES = 20_000, 10_000, 20_000
LIMIT = 2.0
MEMORY_LIMIT_MB = 1024
MONTH = date(2026, 10, 1)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)

BOOK = """
INSERT INTO billing_customer (reseller_id, code, name, client_type, legal_class, status, segment, tags, campaign, email,
    phone, address, postcode, vat_number, vat_rate, currency, payment_method, terms_days, billing_cycle, billing_day,
    minimum_invoice, on_hold, itemised_by_email, is_test, imported, created_at)
SELECT %(r)s, 'C' || n, 'Customer ' || n, 'client', '', 'active', '', '{}', '', '', '', '', '', '', 20, 'GBP',
    'transfer', 14, 'monthly', 1, 0, false, false, false, false, now() FROM generate_series(1, %(customers)s) n;
INSERT INTO billing_number (reseller_id, number, type, description, monthly_cost)
SELECT %(r)s, '+44113' || lpad(n::text, 7, '0'), 'geographic', '', 0 FROM generate_series(1, %(numbers)s) n;
INSERT INTO billing_numberassignment (reseller_id, number_id, customer_id, site, start_date)
SELECT %(r)s, number.id, customer.id, '', '2020-01-01' FROM billing_number number JOIN billing_customer customer
    ON customer.code = 'C' || (right(number.number, 7)::int %% %(customers)s + 1)
    AND customer.reseller_id = %(r)s WHERE number.reseller_id = %(r)s;
INSERT INTO billing_tariff (reseller_id, name, kind, currency, carrier_id, is_default, default_number_type, time_zone,
    holidays, places, rounding, band_rule, charge_unanswered, fee_inside_allowance, data_unit_mb, data_per_period)
SELECT %(r)s, kind, kind, 'GBP', CASE kind WHEN 'wholesale' THEN %(carrier)s END, kind = 'retail', '', 'Europe/London',
    'GB-ENG', 4, 'half_up', 'start', false, true, 1, false FROM unnest(ARRAY['retail', 'wholesale']) kind;
INSERT INTO billing_tariffrate (reseller_id, tariff_id, service, key_kind, key, destination, call_class, band, price,
    connection_fee, minimum_charge, initial_increment, next_increment, free_seconds, valid_from)
SELECT %(r)s, tariff.id, 'voice', 'prefix', (10000 + n)::text, 'Place ' || n %% 900, '', '', 0.01 + n %% 97 * 0.003,
    0.02, 0.01, 30, 6, 0, '2020-01-01' FROM generate_series(0, %(prefixes)s - 1) n, billing_tariff tariff
    WHERE tariff.reseller_id = %(r)s;
"""
COPY_TABLE = """
DROP TABLE IF EXISTS bench_call;
CREATE TABLE bench_call (LIKE billing_call INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id, started_at))
    PARTITION BY RANGE (started_at);
CREATE UNIQUE INDEX bench_call_once ON bench_call (reseller_id, dedupe_key, started_at);
CREATE INDEX bench_call_customer ON bench_call (reseller_id, customer_id, started_at);
CREATE TABLE bench_call_month PARTITION OF bench_call FOR VALUES FROM ('2026-09-01') TO ('2026-12-01');
"""


def make_book() -> tuple[Reseller, Carrier]:
    """Write the book in SQL; return the reseller and its carrier."""
    reseller = Reseller.objects.create(code=f"bench-{os.getpid()}", name="Bench")
    with enter(Scope.of(reseller.pk, why="bench")), connections["default"].cursor() as cursor:
        carrier = Carrier.objects.create(reseller=reseller, code="C", name="Carrier")
        sizes = {"customers": CUSTOMERS, "numbers": NUMBERS, "prefixes": PREFIXES}
        cursor.execute(BOOK, {"r": reseller.pk, "carrier": carrier.pk, **sizes})
    return reseller, carrier


def write_file(path: Path, calls: int) -> None:
    """Write a UK Standard file of a month's calls."""
    random = np.random.default_rng(20261122)
    starts = np.sort(random.integers(0, 31 * 86_400, calls))
    lines = random.integers(1, NUMBERS + 1, calls)
    dialled = random.integers(0, PREFIXES, calls) * 100_000 + random.zipf(1.3, calls) % 100_000
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
            row[column["Call Date"]] = f"{1 + second // 86_400:02}/10/2026"
            row[column["Call Time"]] = (
                f"{second % 86_400 // 3600:02}:{second % 3600 // 60:02}:{second % 60:02}"
            )
            row[column["Duration"]] = str(seconds[n])
            row[column["Salesprice"]] = f"{int(seconds[n]) * 54 // 360 / 1000:.6f}"
            row[column["DDI"]] = row[column["Caller Line Identity"]] = line
            row[column["Record ID"]] = f"C{n:032X}"
            writer.writerow(row)


def supply(reseller: Reseller, carrier: Carrier, path: Path) -> tuple[float, dict[str, Any]]:
    """Load the file; return the seconds it took and what came of it."""
    begun = time.perf_counter()
    with enter(Scope.of(reseller.pk, why="bench")):
        result = import_cdrs(
            reseller=reseller, carrier=carrier, path=path, now=NOW, format_name="uk_standard"
        )
    return time.perf_counter() - begun, result


def bare_copy(reseller: Reseller, folder: Path) -> float:
    """COPY the stored rows into a table of the same shape; return the seconds it took."""
    rows = folder / "rows.csv"
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('rk.resellers', %s, false)", [f"{{{reseller.pk}}}"])
        with rows.open("wb") as out:
            cursor.cursor.copy_expert(
                f"COPY (SELECT * FROM billing_call WHERE reseller_id = {reseller.pk} ORDER BY id) TO STDOUT",
                out,
            )
        cursor.execute(COPY_TABLE)
        begun = time.perf_counter()
        with rows.open("rb") as content:
            cursor.cursor.copy_expert("COPY bench_call FROM STDIN", content, size=1 << 20)
        took = time.perf_counter() - begun
        cursor.execute("DROP TABLE bench_call")
    return took


def clean(reseller: Reseller) -> None:
    """Take the bench's rows out again."""
    with enter(Scope.of(reseller.pk, why="bench")), connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM billing_call WHERE reseller_id = %s", [reseller.pk])
        CdrFile.objects.all().delete()
        for table in ("tariffrate", "tariff", "numberassignment", "number", "customer", "carrier"):
            cursor.execute(f"DELETE FROM billing_{table} WHERE reseller_id = %s", [reseller.pk])


def main() -> dict[str, object]:
    """Print and return one line: calls supplied per second, and the ratio to the bare COPY."""
    call_command("setup_database", verbosity=0)
    reseller, carrier = make_book()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_file(folder / "calls.csv", CALLS)
        took, result = supply(reseller, carrier, folder / "calls.csv")
        copied = bare_copy(reseller, folder)
    clean(reseller)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ratio = round(took / copied, 2)
    line: dict[str, object] = {
        "name": "supply",
        "value": round(result["rows"] / took),
        "unit": "calls/s",
        "bare_copy": round(result["rows"] / copied),
        "rows": result["rows"],
        "rated": result["rated"],
        "memory_mb": memory,
        "ratio": ratio,
        "limit": LIMIT,
        "ok": ratio <= LIMIT and memory <= MEMORY_LIMIT_MB,
    }
    print(json.dumps(line))
    return line


if __name__ == "__main__":
    main()
