"""Advisory locks of a reseller, held to the end of the transaction."""

from django.db import connection

USAGE = 7303
MONEY = 7304
BOOK = 7305
DRAWS = 7306
FINDINGS = 7307
MATCH = 7308


def share_usage(reseller_id: int) -> None:
    """Taken by whatever rates calls: many may rate at once, none while bills are produced."""
    _run("SELECT pg_advisory_xact_lock_shared(%s, %s)", USAGE, reseller_id)


def hold_usage(reseller_id: int) -> None:
    """Taken to produce bills: no batch of calls with a lower id can then be committed afterwards."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", USAGE, reseller_id)


def hold_money(reseller_id: int) -> None:
    """Taken by whatever writes charges, payments, credit notes or allocations: one at a time."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", MONEY, reseller_id)


def hold_book(reseller_id: int) -> None:
    """Taken by whatever loads a list of the book or a deck: what one file was checked against then still holds."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", BOOK, reseller_id)


def hold_draws(reseller_id: int) -> None:
    """Taken by whatever draws from allowances, or takes one away: no two can draw the same seconds."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", DRAWS, reseller_id)


def hold_findings(reseller_id: int) -> None:
    """Taken by whatever writes findings of checks: two workers merge one after the other."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", FINDINGS, reseller_id)


def hold_match(reseller_id: int) -> None:
    """Taken to match months: two at once would keep the same month twice."""
    _run("SELECT pg_advisory_xact_lock(%s, %s)", MATCH, reseller_id)


def _run(sql: str, lock: int, reseller_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [lock, reseller_id])
