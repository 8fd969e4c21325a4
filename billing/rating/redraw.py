"""Draws the allowances of customers anew, month by local month, over their calls that are not billed yet.

Calls that an invoice covers keep what they drew; it comes off the allowance. Drawing twice changes nothing. Where
allowances roll over, a month begins with what the month before carried out, as stored then: months that were never
drawn are drawn first, and later months follow when what a month carries out has changed.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from django.db import connection

from billing.models.locks import hold_draws, share_usage
from billing.rating.book import RatingBook
from billing.rating.carry import Lots
from billing.rating.dated import NONE, day_number
from billing.rating.draw_rows import Billed, Held, billed_draws, fetch, read_allowances, read_calls, usage_of
from billing.rating.draws import Drawing, Usage, draw_month
from billing.rating.months import BLOCK, Holders
from billing.rating.pools import Party, Plan, pools_of
from billing.rating.stage import analyse, make_stage, mark_days, stage
from billing.rating.use import keep_second_draws, keep_uses, lots_before, overflow_of, uses_of
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, month_of

STAGE = "draw_stage"

_HAS_ALLOWANCES = (
    "SELECT EXISTS (SELECT 1 FROM billing_bundle WHERE reseller_id = %s)"
    " OR EXISTS (SELECT 1 FROM billing_tariff WHERE reseller_id = %s AND data_per_period)"
    " OR EXISTS (SELECT 1 FROM billing_call WHERE reseller_id = %s AND started_at >= %s AND started_at < %s"
    "            AND bundle_id IS NOT NULL)"
)
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
    hold_draws(reseller.pk)
    holders = Holders(reseller)
    changed, moved = 0, set[int]()
    if holders.roll_over:
        for month, customers in holders.never_drawn_before(month_of(first, reseller.zone)):
            done, moved = _redraw_all(reseller, sorted(customers | moved), month, rolls=True)
            changed += done
    month = month_of(first, reseller.zone)
    while month.start <= last or moved:
        customers = moved
        if (
            month.start <= last
            and fetch(_HAS_ALLOWANCES, [*[reseller.pk] * 3, month.starts_at, month.ends_at])[0][0]
        ):
            customers = moved | holders.concerned(customer_ids, month)
        done, moved = _redraw_all(reseller, sorted(customers), month, rolls=holders.roll_over)
        changed += done
        month = month_of(month.end, reseller.zone)
        if month.start > last:
            moved = holders.drawn_from(moved, month)
    return changed


def _redraw_all(
    reseller: Reseller, customers: list[int], month: Period, *, rolls: bool
) -> tuple[int, set[int]]:
    """Draw a month of customers, a block at a time; return how many calls changed, and who carries over otherwise."""
    changed, moved = 0, set[int]()
    for start in range(0, len(customers), BLOCK):
        block = customers[start : start + BLOCK]
        done, others = _redraw(reseller, block, month, lots_before(block, month) if rolls else {})
        changed, moved = changed + done, moved | others
    return changed, moved


def _redraw(
    reseller: Reseller, customers: list[int], month: Period, lots: dict[Party, Lots]
) -> tuple[int, set[int]]:
    """Draw a month of some customers and write what changed."""
    held = read_calls(reseller, customers, month)
    billed, plan = _planned(reseller, customers, month, held, lots)
    drawing, over, changed = None, {}, 0
    if len(held):
        rate_ids = sorted(set(np.unique(held["rate_id"]).tolist()) - {0})
        book = RatingBook.prices(reseller, rate_ids, month.start, month.last_day)
        usage = usage_of(held, book)
        drawing = draw_month(usage, plan, book, billed.by_number)
        over = overflow_of(plan, held, usage, billed, drawing)
        changed = _write(reseller, held, drawing, usage, month)
    keep_second_draws(reseller, customers, month, held, billed, drawing)
    uses = uses_of(month, plan, lots, billed, drawing, over)
    return changed, keep_uses(reseller, customers, month.start, uses)


def draw_calls(
    reseller: Reseller,
    customers: list[int],
    month: Period,
    table: pa.Table,
    columns: dict[str, Any],
    book: RatingBook,
) -> Drawing:
    """Return what a month's calls come to with allowances drawn over those that are open; nothing is written."""
    held, lots = Held.of(table, columns), lots_before(customers, month)
    billed, plan = _planned(reseller, customers, month, held, lots)
    return draw_month(usage_of(held, book), plan, book, billed.by_number)


def _planned(
    reseller: Reseller, customers: list[int], month: Period, held: Held, lots: dict[Party, Lots]
) -> tuple[Billed, Plan]:
    """Return what billed calls drew, and the month's pools less that."""
    allowances = read_allowances(reseller, customers, month)
    billed = billed_draws(reseller, customers, month, held, allowances)
    carried = {party: sum(units for _, units in mine) for party, mine in lots.items()}
    return billed, pools_of(allowances, day_number(month.start), day_number(month.end), billed.used, carried)


def _write(reseller: Reseller, held: Held, drawing: Drawing, usage: Usage, month: Period) -> int:
    """Write the calls that come out differently; return how many."""
    rated = (drawing.retail != 0) | (drawing.drawn > 0)
    was_rated = np.array([state == "rated" for state in held.table["state"].to_pylist()], dtype=bool)
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
