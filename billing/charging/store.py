"""Writes charges in one go: COPY to a staging table, then one INSERT; a charge that is there stays as it is."""

import csv
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import NamedTuple

from django.db import connection


class Draft(NamedTuple):
    """A charge about to be written."""

    customer_id: int
    feature_id: int | None
    number_id: int | None
    kind: str
    description: str
    source_key: str
    service_start: date
    service_end: date
    bill_date: date
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    cost: Decimal
    currency: str
    vat_rate: Decimal | None = None
    is_activation: bool = False
    is_renewal: bool = False


COLUMNS = ", ".join(Draft._fields)


def store(reseller_id: int, drafts: Sequence[Draft]) -> int:
    """Write the charges that are not there yet, known by their source key; return how many."""
    if not drafts:
        return 0
    text = StringIO()
    csv.writer(text).writerows(drafts)
    text.seek(0)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS staged_charge")
        cursor.execute(
            f"CREATE TEMP TABLE staged_charge ON COMMIT DROP AS SELECT {COLUMNS} FROM billing_charge LIMIT 0"  # noqa: S608  our own column names
        )
        cursor.cursor.copy_expert(f"COPY staged_charge ({COLUMNS}) FROM STDIN (FORMAT csv)", text)
        cursor.execute(
            f"INSERT INTO billing_charge (reseller_id, created_at, {COLUMNS})"  # noqa: S608  our own column names
            f" SELECT %s, statement_timestamp(), {COLUMNS} FROM staged_charge ON CONFLICT DO NOTHING",
            [reseller_id],
        )
        return cursor.rowcount
