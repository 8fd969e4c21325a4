"""Facts: rebuilt for stored month ends by INSERT ... SELECT, computed by the same SQL for any other day."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.db import connection

from kpis.facts_sql import COLUMNS, DAYS, FACTS
from resellerkpi.core.periods import add_months

OF_MONTHS = "reseller_id = %(reseller)s AND month = ANY(%(months)s::date[])"


def close_of(month: date, today: date) -> date:
    """Return the day a month's facts are taken: its last day, or today while the month is open."""
    return min(add_months(month.replace(day=1), 1) - timedelta(days=1), today)


def months_between(first: date, last: date) -> list[date]:
    """Return the first days of the months from one to another, both included."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [add_months(first.replace(day=1), i) for i in range(count)]


def rebuild(reseller_id: int, days: Sequence[date]) -> int:
    """Make the stored facts of the months of these days anew; return how many rows they hold."""
    given: dict[str, Any] = {
        "reseller": reseller_id,
        "days": list(days),
        "months": [d.replace(day=1) for d in days],
    }
    rows = 0
    with connection.cursor() as cursor:
        for table, text in FACTS.items():
            cursor.execute(_delete(table), given)
            cursor.execute(_insert(table, text), given)
            rows += cursor.rowcount
    return rows


def _delete(table: str) -> str:
    return " ".join(["DELETE FROM", f"kpis_{table}", "WHERE", OF_MONTHS])


def _insert(table: str, text: str) -> str:
    columns = COLUMNS[table]
    into = ["INSERT INTO", f"kpis_{table}", f"(reseller_id, {columns})"]
    return " ".join([*into, "WITH", DAYS, "SELECT %(reseller)s,", columns, "FROM", f"({text}) facts"])


def stored(tables: Iterable[str]) -> list[str]:
    """Return the common table expressions that read stored facts of the months asked for."""
    return [
        " ".join([table, "AS (SELECT", COLUMNS[table], "FROM", f"kpis_{table}", "WHERE", OF_MONTHS, ")"])
        for table in tables
    ]


def computed(tables: Iterable[str]) -> list[str]:
    """Return the common table expressions that compute facts at the days asked for."""
    return [f"{table} AS ({FACTS[table]})" for table in tables]


def first_month(reseller_id: int) -> date | None:
    """Return the month of the first service, document, money or observation; None for an empty book."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least((SELECT min(start_date) FROM billing_numberassignment WHERE reseller_id = %(r)s),"
            " (SELECT min(start_date) FROM billing_feature WHERE reseller_id = %(r)s),"
            " (SELECT min(invoice_date) FROM billing_invoice WHERE reseller_id = %(r)s AND state <> 'draft'),"
            " (SELECT min(date) FROM billing_creditnote WHERE reseller_id = %(r)s),"
            " (SELECT min(received_date) FROM billing_payment WHERE reseller_id = %(r)s),"
            " (SELECT min(outcome_date) FROM billing_paymentattempt WHERE reseller_id = %(r)s),"
            " (SELECT min(date) FROM billing_observation WHERE reseller_id = %(r)s))",
            {"r": reseller_id},
        )
        found: date | None = cursor.fetchone()[0]
    return found and found.replace(day=1)
