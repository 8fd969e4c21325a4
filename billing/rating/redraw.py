"""Draws the allowances of customers anew, month by local month, over their calls that are not billed yet.

Calls that an invoice covers keep what they drew; it comes off the allowance. Drawing twice changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from django.db import connection

from billing.models.locks import share_usage
from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED
from billing.rating.book import SERVICES, RatingBook
from billing.rating.calls import Calls, local_days
from billing.rating.dated import NONE, day_number
from billing.rating.draws import Drawing, Usage, draw_month
from billing.rating.keys import Dialled, Distinct
from billing.rating.pools import STORED_GRAIN, Allowance, Bundle, Pool, of_stored, pools_of
from billing.rating.stage import analyse, make_stage, mark_days, read_columns, stage
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, month_of

DRAWS = 7306
BLOCK = 2_000
STAGE = "draw_stage"

_HAS_ALLOWANCES = (
    "SELECT EXISTS (SELECT 1 FROM billing_bundle WHERE reseller_id = %s)"
    " OR EXISTS (SELECT 1 FROM billing_tariff WHERE reseller_id = %s AND data_per_period)"
    " OR EXISTS (SELECT 1 FROM billing_call WHERE reseller_id = %s AND started_at >= %s AND started_at < %s"
    "            AND bundle_id IS NOT NULL)"
)
_CUSTOMERS = """
SELECT DISTINCT feature.customer_id FROM billing_feature feature
JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND (%s OR feature.customer_id = ANY(%s))
  AND feature.start_date < %s AND (feature.end_date IS NULL OR feature.end_date > %s)
UNION
SELECT DISTINCT call.customer_id FROM billing_call call
WHERE call.reseller_id = %s AND (%s OR call.customer_id = ANY(%s))
  AND call.started_at >= %s AND call.started_at < %s AND call.customer_id IS NOT NULL
  AND (call.bundle_id IS NOT NULL OR (call.service = 'data' AND call.rate_id IN (
      SELECT rate.id FROM billing_tariffrate rate JOIN billing_tariff tariff ON tariff.id = rate.tariff_id
      WHERE rate.reseller_id = %s AND tariff.data_per_period)))
ORDER BY 1
"""
_ALLOWANCES = """
SELECT bundle.id, bundle.unit, bundle.amount, bundle.step, bundle.call_class, bundle.prefixes, bundle.priority,
    bundle.prorate_first, feature.customer_id,
    CASE WHEN bundle.shared THEN 0 ELSE coalesce(feature.number_id, 0) END,
    feature.quantity, feature.start_date, feature.end_date
FROM billing_feature feature JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND feature.customer_id = ANY(%s)
  AND feature.start_date < %s AND (feature.end_date IS NULL OR feature.end_date > %s)
ORDER BY feature.start_date, feature.id, bundle.id
"""
_CALLS = f"""
WITH billed AS ({BILLED})
SELECT call.id, extract(epoch FROM call.started_at)::bigint, call.dedupe_key, call.customer_id,
    coalesce(call.number_id, 0), coalesce(call.rate_id, 0), coalesce(call.bundle_id, 0),
    call.service, call.dialled, call.charge_code, call.band, call.call_class, call.state,
    call.answered::int, call.duration, call.billed_seconds, (call.volume * 1000000)::bigint,
    (call.drawn * 1000000)::bigint, coalesce((call.access_charge * 100000000)::bigint, 0),
    (call.retail * 100000000)::bigint, ({UNBILLED})::int,
    coalesce(bundle.unit, '')
FROM billing_call call {JOIN_BILLED} LEFT JOIN billing_bundle bundle ON bundle.id = call.bundle_id
WHERE call.reseller_id = %s AND call.customer_id = ANY(%s) AND call.started_at >= %s AND call.started_at < %s
  AND call.state IN ('rated', 'zero') AND call.direction = 'out'
ORDER BY call.started_at, call.dedupe_key
"""  # noqa: S608 - fragments of our own
_READ = {
    "id": "bigint",
    "started_at": "bigint",
    "dedupe_key": "bigint",
    "customer_id": "bigint",
    "number_id": "bigint",
    "rate_id": "bigint",
    "bundle_id": "bigint",
    "service": "text",
    "dialled": "text",
    "charge_code": "text",
    "band": "text",
    "call_class": "text",
    "state": "text",
    "answered": "boolean",
    "duration": "bigint",
    "billed_seconds": "bigint",
    "volume": "bigint",
    "drawn": "bigint",
    "access_charge": "bigint",
    "retail": "bigint",
    "open": "boolean",
    "unit": "text",
}
_STAGED = {
    "id": "bigint",
    "started_at": "bigint",
    "bundle_id": "bigint",
    "billed_seconds": "integer",
    "drawn": "bigint",
    "retail": "bigint",
    "state": "text",
}
_UPDATE = """
UPDATE billing_call call SET bundle_id = stage.bundle_id, billed_seconds = stage.billed_seconds,
    drawn = stage.drawn * 0.000001, retail = stage.retail * 0.00000001, state = stage.state,
    reason = CASE WHEN stage.state = 'rated' THEN '' ELSE call.reason END
FROM draw_stage stage
WHERE call.id = stage.id AND call.started_at = to_timestamp(stage.started_at) AND call.reseller_id = %s
  AND call.started_at >= %s AND call.started_at < %s
"""


def redraw_allowances(reseller: Reseller, customer_ids: Sequence[int] | None, first: date, last: date) -> int:
    """Draw allowances anew over the months of the days from first to last, both included, for these customers
    (None: all); return how many calls changed.

    One transaction of a reseller draws at a time, so that two files cannot draw the same seconds.
    """
    share_usage(reseller.pk)
    _rows("SELECT pg_advisory_xact_lock(%s, %s)", [DRAWS, reseller.pk])
    changed = 0
    for month in _months(reseller, first, last):
        span = [month.starts_at, month.ends_at]
        if _rows(_HAS_ALLOWANCES, [reseller.pk] * 3 + span)[0][0]:
            customers = _customers(reseller, customer_ids, month)
            for start in range(0, len(customers), BLOCK):
                changed += _redraw(reseller, customers[start : start + BLOCK], month)
    return changed


def _months(reseller: Reseller, first: date, last: date) -> Iterator[Period]:
    month = month_of(first, reseller.zone)
    while month.start <= last:
        yield month
        month = month_of(month.end, reseller.zone)


def _customers(reseller: Reseller, customer_ids: Sequence[int] | None, month: Period) -> list[int]:
    """Return the customers whose calls of the month allowances may touch."""
    who = [customer_ids is None, list(customer_ids or ())]
    found = _rows(
        _CUSTOMERS,
        [
            *(reseller.pk, *who, month.end, month.start),
            *(reseller.pk, *who, month.starts_at, month.ends_at, reseller.pk),
        ],
    )
    return [row[0] for row in found]


def _redraw(reseller: Reseller, customers: list[int], month: Period) -> int:
    """Draw a month of some customers and write what changed."""
    table = read_columns(_CALLS, [reseller.pk, reseller.pk, customers, month.starts_at, month.ends_at], _READ)
    if not len(table):
        return 0
    held = {name: table[name].to_numpy() for name, kind in _READ.items() if kind != "text"}
    rate_ids = sorted(set(np.unique(held["rate_id"]).tolist()) - {0})
    book = RatingBook.prices(reseller, rate_ids, month.start, month.last_day)
    usage = usage_of(table, held, book)
    drawing = draw_month(usage, _bundles(reseller, customers, month, table, held), book)
    return _write(reseller, table, held, drawing, usage, month)


def draw_calls(
    reseller: Reseller,
    customers: list[int],
    month: Period,
    table: pa.Table,
    held: dict[str, Any],
    book: RatingBook,
) -> Drawing:
    """Return what a month's calls come to with allowances drawn over those that are open; nothing is written."""
    usage = usage_of(table, held, book)
    return draw_month(usage, _bundles(reseller, customers, month, table, held), book)


def usage_of(table: pa.Table, held: dict[str, Any], book: RatingBook) -> Usage:
    """Return the month's calls as drawing needs them."""
    place = {rate: at for at, rate in enumerate(book.rates.ids.tolist())}
    ids, position = np.unique(held["rate_id"], return_inverse=True)
    rates = np.array([place.get(rate, NONE) for rate in ids.tolist()], dtype=np.int64)
    service = Distinct.of(table["service"])
    calls = Calls(
        started=held["started_at"],
        day=local_days(held["started_at"], book),
        seconds=held["duration"],
        volume=held["volume"],
        service=np.array([SERVICES.index(name) for name in service.values], dtype=np.int64)[service.codes],
        answered=held["answered"] == 1,
        dialled=Dialled.of(table["dialled"]),
        code=Distinct.of(table["charge_code"]),
        band=Distinct.of(table["band"]),
        access=held["access_charge"],
    )
    unit = Distinct.of(table["unit"])
    is_money = np.array([name == "money" for name in unit.values], dtype=bool)[unit.codes]
    is_data = np.array([name == "data" for name in unit.values], dtype=bool)[unit.codes]
    return Usage(
        calls=calls,
        customer=held["customer_id"],
        number=held["number_id"],
        rate=rates[position],
        call_class=table["call_class"].to_pylist(),
        open=held["open"] == 1,
        other=held["retail"] + np.where(is_money, held["drawn"] * 100, 0),
        uncovered=held["volume"] - np.where(is_data, held["drawn"], 0),
    )


def _bundles(
    reseller: Reseller, customers: list[int], month: Period, table: pa.Table, held: dict[str, Any]
) -> list[tuple[Bundle, list[Pool]]]:
    """Return the month's bundles and pools, less what billed calls have drawn."""
    rows = _rows(_ALLOWANCES, [reseller.pk, customers, month.end, month.start])
    allowances = [Allowance._make((*row[:11], day_number(row[11]), day_number(row[12]))) for row in rows]
    shared = {(row.bundle_id, row.customer_id) for row in allowances if not row.number_id}
    steps = {row.bundle_id: int(row.step * STORED_GRAIN) for row in allowances}
    used: dict[tuple[int, int, int], int] = defaultdict(int)
    billed = np.flatnonzero((held["open"] == 0) & (held["bundle_id"] > 0))
    units = table["unit"].take(pa.array(billed)).to_pylist()
    for row, unit in zip(billed.tolist(), units, strict=True):
        bundle, customer = int(held["bundle_id"][row]), int(held["customer_id"][row])
        number = 0 if (bundle, customer) in shared else int(held["number_id"][row])
        step = max(of_stored(steps.get(bundle, 0), unit), 1)
        drawn = of_stored(int(held["drawn"][row]), unit)
        used[bundle, customer, number] += -(-drawn // step) * step
    return pools_of(allowances, day_number(month.start), day_number(month.end), used)


def _write(
    reseller: Reseller, table: pa.Table, held: dict[str, Any], drawing: Drawing, usage: Usage, month: Period
) -> int:
    """Write the calls that come out differently; return how many."""
    rated = (drawing.retail != 0) | (drawing.drawn > 0)
    was_rated = np.array([state == "rated" for state in table["state"].to_pylist()], dtype=bool)
    billed = np.where(usage.rate == NONE, held["billed_seconds"], drawing.billed)
    different = (
        (drawing.retail != held["retail"])
        | (drawing.drawn != held["drawn"])
        | (drawing.bundle != held["bundle_id"])
        | (billed != held["billed_seconds"])
        | (rated != was_rated)
    )
    rows = np.flatnonzero(different & usage.open)
    if not len(rows):
        return 0
    bundle = drawing.bundle[rows]
    columns = {
        "id": held["id"][rows],
        "started_at": held["started_at"][rows],
        "bundle_id": pa.array(bundle, mask=bundle == 0),
        "billed_seconds": billed[rows],
        "drawn": drawing.drawn[rows],
        "retail": drawing.retail[rows],
        "state": pa.array(["zero", "rated"]).take(pa.array(rated[rows].astype(np.int64))),
    }
    make_stage(STAGE, _STAGED)
    stage(STAGE, _STAGED, columns)
    analyse(STAGE)
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [reseller.pk, month.starts_at, month.ends_at])
        changed = int(cursor.rowcount)
    mark_days(reseller, np.unique(usage.calls.day[rows]).tolist())
    return changed


def _rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
