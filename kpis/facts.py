"""Facts: rebuilt for stored month ends by INSERT ... SELECT, computed by the same SQL for any other day."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.db import connection

from kpis.facts_sql import ACCOUNT_COLUMNS, COLUMNS, FACTS, preamble, written
from kpis.options import Options
from resellerkpi.core.periods import add_months

OF_RESELLER = "reseller_id = %(reseller)s"
OF_MONTHS = "reseller_id = %(reseller)s AND month = ANY(%(months)s::date[])"
OF_CUSTOMERS = "customer_id = ANY(%(customers)s::bigint[])"


def close_of(month: date, today: date) -> date:
    """Return the day a month's facts are taken: its last day, or today while the month is open."""
    return min(add_months(month.replace(day=1), 1) - timedelta(days=1), today)


def months_between(first: date, last: date) -> list[date]:
    """Return the first days of the months from one to another, both included."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [add_months(first.replace(day=1), i) for i in range(count)]


def rebuild(
    reseller_id: int,
    days: Sequence[date],
    options: Options,
    *,
    customers: Sequence[int] | None = None,
    tables: Iterable[str] = tuple(FACTS),
) -> int:
    """Make the stored facts of the months of these days anew; return how many rows they hold.

    With `customers` only theirs, of tables that are of customers.
    """
    narrow = customers is not None
    given: dict[str, Any] = {
        **options.parameters(),
        "reseller": reseller_id,
        "days": list(days),
        "asked": list(days),
        "months": [d.replace(day=1) for d in days],
        "customers": list(customers or ()),
    }
    rows = 0
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(_delete(table, narrow=narrow), given)
            cursor.execute(_insert(table, narrow=narrow), given)
            rows += cursor.rowcount
    return rows


def refile(reseller_id: int, options: Options, customers: Sequence[int] | None = None) -> None:
    """Take the keys of customers anew out of billing's tables: all of them, or those given."""
    only = ["AND", OF_CUSTOMERS] if customers is not None else []
    given = {**options.parameters(), "reseller": reseller_id, "days": [], "asked": []}
    given["customers"] = list(customers or ())
    with connection.cursor() as cursor:
        cursor.execute(" ".join(["DELETE FROM kpis_account WHERE", OF_RESELLER, *only]), given)
        into = ["INSERT INTO kpis_account (reseller_id, customer_id,", ACCOUNT_COLUMNS, ") WITH"]
        rows = [
            preamble(narrow=customers is not None),
            "SELECT %(reseller)s, id,",
            ACCOUNT_COLUMNS,
            "FROM account",
        ]
        cursor.execute(" ".join([*into, *rows]), given)


def _delete(table: str, *, narrow: bool) -> str:
    only = ["AND", OF_CUSTOMERS] if narrow else []
    return " ".join(["DELETE FROM", f"kpis_{table}", "WHERE", OF_MONTHS, *only])


def _insert(table: str, *, narrow: bool) -> str:
    columns = COLUMNS[table]
    into = ["INSERT INTO", f"kpis_{table}", f"(reseller_id, {columns})", "WITH", preamble(narrow=narrow)]
    return " ".join(
        [*into, "SELECT %(reseller)s,", columns, "FROM", f"({written(FACTS[table], narrow=narrow)}) facts"]
    )


def stored(tables: Iterable[str], *, narrow: bool = False) -> list[str]:
    """Return the common table expressions that read accounts and stored facts of the months asked for."""
    mine = ["AND", OF_CUSTOMERS] if narrow else []
    account = ["account AS (SELECT customer_id AS id,", ACCOUNT_COLUMNS, "FROM kpis_account"]
    found = [
        " ".join([table, "AS (SELECT", COLUMNS[table], "FROM", f"kpis_{table}", "WHERE", OF_MONTHS])
        for table in tables
    ]
    cut = ["", *mine, ")"]
    return [
        " ".join([*account, "WHERE", OF_RESELLER, *cut]),
        *[" ".join([text, *(cut if "trafficfact" not in text else [")"])]) for text in found],
    ]


def computed(tables: Iterable[str], *, grain: str = "month") -> list[str]:
    """Return the common table expressions that compute facts at the days asked for."""
    return [f"{table} AS ({written(FACTS[table], grain=grain)})" for table in tables]


FIRSTS = {
    "numberassignment": "start_date",
    "feature": "start_date",
    "invoice": "invoice_date",
    "creditnote": "date",
    "payment": "received_date",
    "paymentattempt": "outcome_date",
    "charge": "service_start",
    "ledgerentry": "date",
    "observation": "date",
}


def first_month(reseller_id: int) -> date | None:
    """Return the month of the first service, document, money or observation; None for an empty book."""
    earliest = [
        " ".join(["(SELECT min(", column, ") FROM", f"billing_{table}", "WHERE", OF_RESELLER, only, ")"])
        for table, column in FIRSTS.items()
        for only in ("AND state <> 'draft'" if table == "invoice" else "",)
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT least({', '.join(earliest)})", {"reseller": reseller_id})
        found: date | None = cursor.fetchone()[0]
    return found and found.replace(day=1)
