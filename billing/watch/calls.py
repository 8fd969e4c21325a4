"""The calls behind warnings."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection

from billing.models import FraudAlert
from billing.watch.hours import places_of, written
from resellerkpi.core.models import Reseller

#: Calls by the customer's index: the hours of unusual usage, or the days of a limit with what it covers.
CALLS = """
WITH asked AS ({asked}), cell AS (
    SELECT asked.id AS alert_id, hour.customer_id, hour.number_id, hour.destination, 'hour' AS covers,
        hour.day + make_interval(hours => hour.slot %% 24) AS at,
        (hour.day + make_interval(hours => hour.slot %% 24 - 2)) AT TIME ZONE %(zone)s AS starts,
        (hour.day + make_interval(hours => hour.slot %% 24 + 3)) AT TIME ZONE %(zone)s AS ends
    FROM asked CROSS JOIN LATERAL jsonb_to_recordset(asked.cells -> 'hours')
        AS hour (day date, slot int, customer_id bigint, number_id bigint, destination text)
    UNION ALL
    SELECT id, customer_id, NULL, cells ->> 'destination', cells ->> 'covers', NULL,
        (cells ->> 'first')::date::timestamp AT TIME ZONE %(zone)s,
        (cells ->> 'until')::date::timestamp AT TIME ZONE %(zone)s
    FROM asked WHERE cells -> 'first' IS NOT NULL
)
SELECT asked.id, asked.label, asked.mark, call.id, call.started_at, customer.code, customer.name, customer.id,
    call.billed_party, call.dialled, {destination}, call.duration, call.retail,
    CASE WHEN call.currency = '' THEN customer.currency ELSE call.currency END,
    coalesce(nullif(call.cost, 0), call.expected_cost, 0), call.cost_currency, call.state
FROM cell
JOIN asked ON asked.id = cell.alert_id
JOIN billing_call call ON call.reseller_id = %(reseller)s AND call.customer_id = cell.customer_id
 AND call.started_at >= cell.starts AND call.started_at < cell.ends
JOIN billing_customer customer ON customer.id = call.customer_id
WHERE {counted} AND CASE cell.covers
    WHEN 'hour' THEN coalesce(call.number_id, 0) = cell.number_id AND {destination} = cell.destination
        AND date_trunc('hour', call.started_at AT TIME ZONE %(zone)s) = cell.at
    WHEN 'all' THEN true
    WHEN 'destination' THEN lower({destination}) = lower(cell.destination)
    ELSE {kind} = cell.covers END
ORDER BY asked.id, call.started_at, call.id
LIMIT %(most)s
"""
KEPT = "SELECT * FROM billing_fraudalert WHERE reseller_id = %(reseller)s AND id = ANY (%(ids)s)"
GIVEN = """
SELECT 0::bigint AS id, '' AS label, '' AS mark, NULL::bigint AS customer_id,
    jsonb_build_object('hours', %(hours)s::jsonb) AS cells
"""
NAMES = (
    *("alert_id", "warning", "mark", "call_id", "started_at", "code", "customer", "customer_id", "number", "dialled"),
    *("destination", "seconds", "retail", "currency", "cost", "cost_currency", "state"),
)  # fmt: skip


def calls_of(
    reseller: Reseller, alerts: Iterable[FraudAlert], *, most: int = 100_000
) -> Iterator[dict[str, Any]]:
    """Yield the calls behind warnings, warning by warning in order of time, as they are priced now."""
    ids = [alert.pk for alert in alerts]
    if not ids:
        return
    yield from _rows(reseller, KEPT, {"ids": ids, "most": most})


def calls_in(
    reseller: Reseller, hours: Sequence[Mapping[str, Any]], *, most: int
) -> Iterator[dict[str, Any]]:
    """Yield the calls of flagged hours in order of time."""
    yield from _rows(reseller, GIVEN, {"hours": json.dumps(list(hours)), "most": most})


def _rows(reseller: Reseller, asked: str, more: dict[str, Any]) -> Iterator[dict[str, Any]]:
    about = {"reseller": reseller.pk, **more, **places_of(reseller)}
    with connection.cursor() as cursor:
        cursor.execute(written(CALLS).replace("{asked}", asked), about)
        for row in cursor:
            yield dict(zip(NAMES, row, strict=True))
