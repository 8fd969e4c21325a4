"""Each file's calls by outcome: added up as they are loaded, counted again from the calls when they change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.models import CdrFile

#: Counts the calls of files by the ids that bound them; a call that was rated again keeps its id.
_RECOUNT = """
UPDATE billing_cdrfile file SET rated = live.rated, zero = live.zero, excluded = live.excluded,
    unpriced = live.unpriced, seconds = live.seconds, cost = live.cost, retail = live.retail,
    rows = live.rated + live.zero + live.excluded + live.unpriced + file.duplicates + file.rejects
FROM (
    SELECT wanted.id,
        count(call.id) FILTER (WHERE call.state = 'rated') AS rated,
        count(call.id) FILTER (WHERE call.state = 'zero') AS zero,
        count(call.id) FILTER (WHERE call.state = 'excluded') AS excluded,
        count(call.id) FILTER (WHERE call.state = 'error') AS unpriced,
        coalesce(sum(call.duration), 0) AS seconds,
        coalesce(sum(call.cost) FILTER (WHERE call.cost_currency = wanted.currency), 0) AS cost,
        coalesce(sum(call.retail) FILTER (WHERE call.currency = wanted.currency), 0) AS retail
    FROM billing_cdrfile wanted LEFT JOIN billing_call call
        ON call.id BETWEEN wanted.first_call_id AND wanted.last_call_id AND call.file_id = wanted.id
        AND call.started_at BETWEEN wanted.first_call_at AND wanted.last_call_at
        AND call.reseller_id = wanted.reseller_id
    WHERE wanted.reseller_id = %s AND wanted.id = ANY(%s) GROUP BY wanted.id
) live
WHERE file.id = live.id AND file.reseller_id = %s AND file.state = 'loaded'
"""
_TOUCHED = """
SELECT id FROM billing_cdrfile
WHERE reseller_id = %s AND state = 'loaded' AND first_call_at < %s AND last_call_at >= %s ORDER BY id
"""
_TALLY = """
SELECT state, reason, currency, cost_currency, count(*), sum(duration), coalesce(sum(cost), 0), sum(retail)
FROM billing_call
WHERE reseller_id = %s AND file_id = %s AND id BETWEEN %s AND %s AND started_at BETWEEN %s AND %s
GROUP BY state, reason, currency, cost_currency ORDER BY state, reason, currency, cost_currency
"""


@dataclass(frozen=True)
class Tally:
    """Calls of one outcome: how many, their seconds, reported cost and retail, each in its currency."""

    state: str
    reason: str
    currency: str
    cost_currency: str
    calls: int
    seconds: int
    cost: Decimal
    retail: Decimal


def tally(file: CdrFile) -> list[Tally]:
    """Count a file's calls by outcome and currency as they are now."""
    if file.first_call_id is None or file.first_call_at is None:
        return []
    bounds = [file.first_call_id, file.last_call_id, file.first_call_at, file.last_call_at]
    return [Tally(*row) for row in _run(_TALLY, [file.reseller_id, file.pk, *bounds])]


def added(tallies: Iterable[Tally]) -> list[Tally]:
    """Add up tallies of the same outcome and currencies."""
    sums: dict[tuple[str, str, str, str], Tally] = {}
    for each in tallies:
        key = (each.state, each.reason, each.currency, each.cost_currency)
        have = sums.get(key)
        sums[key] = (
            each
            if have is None
            else Tally(
                *key,
                have.calls + each.calls,
                have.seconds + each.seconds,
                have.cost + each.cost,
                have.retail + each.retail,
            )
        )
    return [sums[key] for key in sorted(sums)]


def write(file: CdrFile, tallies: Sequence[Tally]) -> None:
    """Set a file's counts, seconds and money to what its calls come to; the caller saves it."""

    def calls(state: str) -> int:
        return sum(each.calls for each in tallies if each.state == state)

    file.rated, file.zero = calls("rated"), calls("zero")
    file.excluded, file.unpriced = calls("excluded"), calls("error")
    file.seconds = sum(each.seconds for each in tallies)
    file.cost = sum((t.cost for t in tallies if t.cost_currency == file.currency), Decimal(0))
    file.retail = sum((t.retail for t in tallies if t.currency == file.currency), Decimal(0))


def by_currency(tallies: Iterable[Tally]) -> dict[str, tuple[Decimal, Decimal]]:
    """Return reported cost and retail by currency; a currency without either is left out."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for each in tallies:
        for currency, cost, retail in (
            (each.cost_currency, each.cost, Decimal(0)),
            (each.currency, Decimal(0), each.retail),
        ):
            if currency and (cost or retail):
                have = sums.get(currency, (Decimal(0), Decimal(0)))
                sums[currency] = (have[0] + cost, have[1] + retail)
    return dict(sorted(sums.items()))


def recount(reseller_id: int, file_ids: Sequence[int]) -> None:
    """Write the counts, seconds and money of loaded files from their calls as they are now."""
    if file_ids:
        with connection.cursor() as cursor:
            cursor.execute(_RECOUNT, [reseller_id, list(file_ids), reseller_id])


def files_between(reseller_id: int, first: datetime, end: datetime) -> list[int]:
    """Return the files that hold calls started from `first` up to, not including, `end`."""
    return [int(row[0]) for row in _run(_TOUCHED, [reseller_id, end, first])]


def _run(sql: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
