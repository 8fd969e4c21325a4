"""Facts: rebuilt for stored month ends by INSERT ... SELECT, computed by the same SQL for any other day."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.db import connection

from kpis.facts_sql import ACCOUNT_COLUMNS, COLUMNS, FACTS, KEYS, preamble, written
from kpis.options import Options
from resellerkpi.core.periods import add_months

OF_RESELLER = "reseller_id = %(reseller)s"
OF_MONTHS = "reseller_id = %(reseller)s AND month = ANY(%(months)s::date[])"
IN_MONTHS = "month = ANY(%(months)s::date[])"
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
            insert = _insert(table, narrow=narrow, suspended=options.suspended)
            cursor.execute(insert, given)
            rows += cursor.rowcount
            if table == "customerfact":
                cursor.execute(_standing(narrow=narrow), given)
    return rows


def refile(reseller_id: int, options: Options, customers: Sequence[int] | None = None) -> None:
    """Take the keys of customers anew out of billing's tables: all of them, or those given."""
    only = ["AND", OF_CUSTOMERS] if customers is not None else []
    given = {**options.parameters(), "reseller": reseller_id, "days": [], "asked": []}
    given["customers"] = list(customers or ())
    with connection.cursor() as cursor:
        cursor.execute(" ".join(["DELETE FROM kpis_account WHERE", OF_RESELLER, *only]), given)
        into = ["INSERT INTO kpis_account (reseller_id, customer_id,", ACCOUNT_COLUMNS, ", statuses) WITH"]
        rows = [
            preamble(narrow=customers is not None),
            "SELECT %(reseller)s, id,",
            ACCOUNT_COLUMNS,
            ", '{}' FROM account",
        ]
        cursor.execute(" ".join([*into, *rows]), given)
        cursor.execute(_standing(narrow=customers is not None), given)


def _standing(*, narrow: bool) -> str:
    """Return the UPDATE that tells accounts the statuses of their holders, month by month without a gap."""
    only = ["AND", OF_CUSTOMERS] if narrow else []
    held = ["(SELECT customer_id, min(month) AS first, array_agg(status ORDER BY month) AS list FROM"]
    held += [
        "kpis_customerfact WHERE",
        OF_RESELLER,
        *only,
        "GROUP BY customer_id) s ON s.customer_id = a.holder",
    ]
    changed = "(a.statuses, a.statuses_from) IS DISTINCT FROM (coalesce(s.list, '{}'), s.first)"
    mine = ["(SELECT id, holder, statuses, statuses_from FROM kpis_account WHERE", OF_RESELLER, *only, ") a"]
    new = ["(SELECT a.id, coalesce(s.list, '{}') AS list, s.first FROM", *mine, "LEFT JOIN", *held]
    update = ["UPDATE kpis_account SET statuses = n.list, statuses_from = n.first FROM", *new]
    return " ".join([*update, "WHERE", changed, ") n WHERE kpis_account.id = n.id"])


def _delete(table: str, *, narrow: bool) -> str:
    only = ["AND", OF_CUSTOMERS] if narrow else []
    return " ".join(["DELETE FROM", f"kpis_{table}", "WHERE", OF_MONTHS, *only])


def _insert(table: str, *, narrow: bool, suspended: bool) -> str:
    """Return the INSERT of a fact, in the order of its key, so that the index grows at its end."""
    columns = COLUMNS[table]
    into = ["INSERT INTO", f"kpis_{table}", f"(reseller_id, {columns})", "WITH", preamble(narrow=narrow)]
    text = written(FACTS[table], narrow=narrow, suspended=suspended)
    rows = ["SELECT %(reseller)s,", columns, "FROM", f"({text}) facts"]
    return " ".join([*into, *rows, "ORDER BY", KEYS.get(table, "month")])


def _whose(reseller_id: int, days: Sequence[date], customers: Sequence[int]) -> dict[str, Any]:
    return {
        "reseller": reseller_id,
        "months": [d.replace(day=1) for d in days],
        "customers": list(customers),
    }


def set_aside(reseller_id: int, days: Sequence[date], customers: Sequence[int], names: Iterable[str]) -> None:
    """Copy what is stored of customers, so that it can still be read when it has been made anew: see `was`.

    Names are those of facts, and `account` for the keys.
    """
    given = _whose(reseller_id, days, customers)
    with connection.cursor() as cursor:
        for name in names:
            copy = ["CREATE TEMP TABLE", f"was_{name}", "ON COMMIT DROP AS", _held(name)]
            cursor.execute(" ".join([*copy, "AND", OF_CUSTOMERS]), given)


def moved(
    reseller_id: int, days: Sequence[date], customers: Sequence[int], names: Iterable[str]
) -> dict[tuple[str, date | None], frozenset[str]]:
    """Return which columns of what was set aside are different now, per month; all of them where a row came or went."""
    given = _whose(reseller_id, days, customers)
    found: dict[tuple[str, date | None], frozenset[str]] = {}
    with connection.cursor() as cursor:
        for name in names:
            columns = _columns(name).split(", ")
            keys = KEYS[name].split(", ")
            month = "coalesce(o.month, n.month)" if "month" in keys else "NULL::date"
            came = f"{ROW_CAME} THEN ARRAY[{', '.join(repr(c) for c in ('*', *columns))}]"
            steps = ", ".join(f"CASE WHEN o.{c} IS DISTINCT FROM n.{c} THEN '{c}' END" for c in columns)
            select = [
                f"SELECT {month}, CASE WHEN {came} ELSE ARRAY[{steps}] END AS step FROM",
                f"was_{name}",
                "o",
            ]
            joined = ["FULL JOIN (", _held(name), "AND", OF_CUSTOMERS, ") n ON"]
            on = " AND ".join(f"o.{key} = n.{key}" for key in keys)
            steps_of = [
                "SELECT s.at, array_agg(DISTINCT c.name) FROM (",
                *select,
                *joined,
                on,
                ") s (at, step)",
            ]
            of_each = "CROSS JOIN LATERAL unnest(s.step) c (name) WHERE c.name IS NOT NULL GROUP BY 1"
            cursor.execute(" ".join([*steps_of, of_each]), given)
            found |= {(name, at): frozenset(moved) for at, moved in cursor.fetchall()}
    return found


ROW_CAME = "o.customer_id IS NULL OR n.customer_id IS NULL"


def drop_aside(names: Iterable[str]) -> None:
    """Forget what was set aside."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP TABLE was_{name}")


def _columns(name: str) -> str:
    return COLUMNS.get(name, f"customer_id, {ACCOUNT_COLUMNS}")


def _held(name: str) -> str:
    """Return the SELECT of what is stored under a name."""
    where = OF_MONTHS if name in COLUMNS else OF_RESELLER
    return " ".join(["SELECT", _columns(name), "FROM", f"kpis_{name}", "WHERE", where])


def stored(tables: Iterable[str], *, narrow: bool = False, was: Collection[str] = ()) -> list[str]:
    """Return the common table expressions that read accounts and stored facts of the months asked for.

    Of the names in `was`, what was set aside is read, and of the months before those set aside what is kept.
    """
    mine = ["AND", OF_CUSTOMERS] if narrow else []
    aside = "was_" if "account" in was else "kpis_"
    of_reseller = "true" if "account" in was else OF_RESELLER
    account = "account AS (SELECT customer_id AS id,"
    kept = [] if "account" in was else [", statuses, statuses_from"]
    parts = [
        " ".join(
            [account, ACCOUNT_COLUMNS, *kept, "FROM", f"{aside}account", "WHERE", of_reseller, *mine, ")"]
        )
    ]
    for table in tables:
        only = mine if table != "trafficfact" else []
        kept = ["SELECT", COLUMNS[table], f"FROM kpis_{table} WHERE", OF_MONTHS, *only]
        if table in was:
            aside_rows = ["SELECT", COLUMNS[table], f"FROM was_{table} WHERE", IN_MONTHS, *only]
            kept = [*aside_rows, "UNION ALL", *kept, "AND month < %(was_from)s"]
        parts.append(" ".join([table, "AS (", *kept, ")"]))
    return parts


def computed(tables: Iterable[str], *, grain: str = "month", suspended: bool = True) -> list[str]:
    """Return the common table expressions that compute facts at the days asked for."""
    return [f"{table} AS ({written(FACTS[table], grain=grain, suspended=suspended)})" for table in tables]


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
    "changedday": "day",
}


def first_month(reseller_id: int) -> date | None:
    """Return the month of the first service, call, document, money or observation; None for an empty book."""
    earliest = [
        " ".join(["(SELECT min(", column, ") FROM", f"billing_{table}", "WHERE", OF_RESELLER, only, ")"])
        for table, column in FIRSTS.items()
        for only in ("AND state <> 'draft'" if table == "invoice" else "",)
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT least({', '.join(earliest)})", {"reseller": reseller_id})
        found: date | None = cursor.fetchone()[0]
    return found and found.replace(day=1)
