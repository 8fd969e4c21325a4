"""Takes a file's calls out again, those that no invoice covers."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from billing.models import CdrFile, CdrReject
from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED

_REMOVE = f"""
WITH billed AS ({BILLED}), gone AS (
    SELECT call.id, call.started_at FROM billing_call call {JOIN_BILLED}
    WHERE call.reseller_id = %s AND call.file_id = %s AND call.id BETWEEN %s AND %s
      AND call.started_at BETWEEN %s AND %s AND {UNBILLED}
), removed AS (
    DELETE FROM billing_call call USING gone
    WHERE call.id = gone.id AND call.started_at = gone.started_at AND call.reseller_id = %s
    RETURNING call.started_at, call.customer_id
)
SELECT count(*), min(started_at), max(started_at), array_agg(DISTINCT customer_id), array_agg(DISTINCT day)
FROM (SELECT *, (started_at AT TIME ZONE %s)::date AS day FROM removed) shown
"""  # noqa: S608 - our own fragments


_DAYS = """
SELECT (started_at AT TIME ZONE %s)::date, count(*), sum(duration), coalesce(sum(cost), 0) FROM billing_call
WHERE reseller_id = %s AND file_id = %s AND id BETWEEN %s AND %s AND started_at BETWEEN %s AND %s GROUP BY 1
"""


@dataclass(frozen=True)
class Removed:
    """What became of a file's calls: how many went, how many an invoice holds, and whom and when it touches."""

    removed: int
    kept: int
    customers: tuple[int, ...]
    days: tuple[date, ...]


def remove_calls(file: CdrFile, *, zone: str) -> Removed:
    """Delete the calls of a file that no invoice covers, and the file when nothing of it is left.

    A file that stays keeps no error rows, and its content may be supplied again.
    """
    row: tuple[Any, ...] = (0, None, None, None, None)
    if file.first_call_id is not None:
        bounds = [file.first_call_id, file.last_call_id, file.first_call_at, file.last_call_at]
        with connection.cursor() as cursor:
            cursor.execute(
                _REMOVE, [file.reseller_id, file.reseller_id, file.pk, *bounds, file.reseller_id, zone]
            )
            row = cursor.fetchone()
    calls = file.rows - file.duplicates - file.rejects
    kept = calls - row[0]
    CdrReject.objects.filter(file=file).delete()
    if kept:
        file.days = _days(file, zone)
        file.sha256, file.duplicates, file.rejects = f"removed {file.pk}", 0, 0
        file.rows = file.rated + file.zero + file.excluded + file.unpriced
        file.save(update_fields=["sha256", "duplicates", "rejects", "rows", "days"])
    else:
        file.delete()
    customers = tuple(c for c in row[3] or () if c is not None)
    return Removed(removed=row[0], kept=kept, customers=customers, days=tuple(row[4] or ()))


def _days(file: CdrFile, zone: str) -> dict[str, list[int]]:
    """Return records, seconds and cost (in millionths) of each local day of the calls that are left."""
    bounds = [file.first_call_id, file.last_call_id, file.first_call_at, file.last_call_at]
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [zone, file.reseller_id, file.pk, *bounds])
        return {
            day.isoformat(): [records, seconds, int(cost * 10**6)]
            for day, records, seconds, cost in cursor.fetchall()
        }
