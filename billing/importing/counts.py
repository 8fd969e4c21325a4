"""Each file's calls by outcome, counted from the calls themselves: written to the file when they change."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

#: Counts the calls of files by the ids that bound them; a call that was rated again keeps its id.
_COUNT = """
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
_BY_REASON = """
SELECT state, reason, count(*), coalesce(sum(duration), 0) FROM billing_call
WHERE reseller_id = %s AND file_id = %s AND id BETWEEN %s AND %s AND started_at BETWEEN %s AND %s
GROUP BY state, reason ORDER BY state, reason
"""
_BY_CURRENCY = """
SELECT currency, sum(cost), sum(retail) FROM (
    SELECT cost_currency AS currency, cost, 0 AS retail FROM billing_call
    WHERE reseller_id = %s AND file_id = %s AND id BETWEEN %s AND %s AND started_at BETWEEN %s AND %s
      AND cost IS NOT NULL
    UNION ALL
    SELECT currency, 0, retail FROM billing_call
    WHERE reseller_id = %s AND file_id = %s AND id BETWEEN %s AND %s AND started_at BETWEEN %s AND %s
      AND currency <> ''
) both_sides GROUP BY currency ORDER BY currency
"""


def recount(reseller_id: int, file_ids: Sequence[int]) -> None:
    """Write the counts by outcome, seconds and money of files, from their calls as they are now."""
    if file_ids:
        _run(_COUNT, [reseller_id, list(file_ids), reseller_id], fetch=False)


def files_between(reseller_id: int, first: Any, end: Any) -> list[int]:
    """Return the files that hold calls started from `first` up to, not including, `end`."""
    return [int(row[0]) for row in _run(_TOUCHED, [reseller_id, end, first])]


def by_reason(file: Any) -> list[tuple[str, str, int, int]]:
    """Return (state, reason, calls, seconds) of a file's calls as they are now."""
    return [] if file.first_call_id is None else _run(_BY_REASON, _bounds(file))


def by_currency(file: Any) -> list[tuple[str, Any, Any]]:
    """Return (currency, reported cost, retail) of a file's calls as they are now."""
    return [] if file.first_call_id is None else _run(_BY_CURRENCY, _bounds(file) * 2)


def _bounds(file: Any) -> list[Any]:
    return [
        file.reseller_id,
        file.pk,
        file.first_call_id,
        file.last_call_id,
        file.first_call_at,
        file.last_call_at,
    ]


def _run(sql: str, values: list[Any], *, fetch: bool = True) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if fetch else []
