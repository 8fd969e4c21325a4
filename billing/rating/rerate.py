"""Rates calls again that are not billed, after a repair or a change of price: what comes out differently is staged and
written by one UPDATE under a new batch, then the allowances of the customers it touched are drawn anew.

A preview takes the same path inside a savepoint that is rolled back, so that it cannot differ from the act.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from django.db import connection, transaction

from billing.models import Carrier, RatingBatch
from billing.models.locks import share_usage
from billing.rating.book import RatingBook
from billing.rating.calls import local_days
from billing.rating.dated import day_of
from billing.rating.rate import rate_calls
from billing.rating.redraw import redraw_allowances
from billing.rating.selection import RerateSelection, billed_calls, months_of, read_slice, slices
from billing.rating.stage import analyse, make_stage, mark_days, stage
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight, month_of

STAGE = "rerate_stage"
STAGED = {
    "id": "bigint",
    "started_at": "bigint",
    "customer_id": "bigint",
    "number_id": "bigint",
    "rate_id": "bigint",
    "cost_rate_id": "bigint",
    "billed_seconds": "integer",
    "access_charge": "bigint",
    "retail": "bigint",
    "expected_cost": "bigint",
    "billed_party": "text",
    "destination": "text",
    "call_class": "text",
    "currency": "text",
    "cost_currency": "text",
    "state": "text",
    "reason": "text",
}
_LINKS = ("customer_id", "number_id", "rate_id", "cost_rate_id")
_MATCH = (*_LINKS, "access_charge", "billed_party", "destination", "call_class", "currency", "cost_currency")
_PRICE = ("billed_seconds", "retail", "state", "reason")
_UPDATE = """
UPDATE billing_call call SET batch_id = %s, customer_id = stage.customer_id, number_id = stage.number_id,
    rate_id = stage.rate_id, cost_rate_id = stage.cost_rate_id, bundle_id = NULL, drawn = 0,
    billed_seconds = stage.billed_seconds, retail = stage.retail * 0.00000001,
    access_charge = nullif(stage.access_charge, 0) * 0.00000001,
    expected_cost = stage.expected_cost * 0.00000001, billed_party = stage.billed_party,
    destination = stage.destination, call_class = stage.call_class, currency = stage.currency,
    cost_currency = stage.cost_currency, state = stage.state, reason = stage.reason
FROM rerate_stage stage
WHERE call.id = stage.id AND call.started_at = to_timestamp(stage.started_at) AND call.reseller_id = %s
  AND call.started_at >= %s AND call.started_at < %s
"""
_TOTALS = """
SELECT customer_id, currency, sum(calls), sum(retail), sum(cost) FROM (
    SELECT customer_id, currency, count(*) AS calls, sum(retail) AS retail, 0 AS cost FROM billing_call
    WHERE reseller_id = %s AND started_at >= %s AND started_at < %s AND currency <> ''
      AND (customer_id = ANY(%s) OR customer_id IS NULL) GROUP BY 1, 2
    UNION ALL
    SELECT customer_id, cost_currency, 0, 0, sum(coalesce(cost, expected_cost)) FROM billing_call
    WHERE reseller_id = %s AND started_at >= %s AND started_at < %s AND cost_currency <> ''
      AND (customer_id = ANY(%s) OR customer_id IS NULL) GROUP BY 1, 2
) both_sides GROUP BY 1, 2
"""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Effect:
    """A customer's usage in a currency over the months touched, before and after; no customer is id 0."""

    customer_id: int
    currency: str
    old_retail: Decimal
    new_retail: Decimal
    old_cost: Decimal
    new_cost: Decimal

    @property
    def margin_change(self) -> Decimal:
        """Return by how much the margin moves."""
        return (self.new_retail - self.new_cost) - (self.old_retail - self.old_cost)


@dataclass(frozen=True, slots=True)
class RerateResult:
    """What rating again did, or would do: calls looked at, changed, left because billed; the effect by customer."""

    looked_at: int
    changed: int
    billed: int
    applied: bool
    effects: tuple[Effect, ...]
    first_day: date | None = None
    last_day: date | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "looked_at": self.looked_at,
            "changed": self.changed,
            "billed": self.billed,
            "applied": self.applied,
            "effects": [
                {
                    "customer_id": effect.customer_id,
                    "currency": effect.currency,
                    **{name: str(getattr(effect, name)) for name in ("old_retail", "new_retail")},
                    **{name: str(getattr(effect, name)) for name in ("old_cost", "new_cost")},
                }
                for effect in self.effects
            ],
        }


@dataclass
class _Work:
    """What a re-rating has met so far."""

    looked_at: int = 0
    changed: int = 0
    days: set[int] = field(default_factory=set)
    customers: set[int] = field(default_factory=set)


def rerate(
    reseller: Reseller,
    *,
    where: RerateSelection,
    apply: bool,
    now: datetime,
    progress: Progress | None = None,
) -> RerateResult:
    """Rate the selected calls again as the book stands now; without `apply` nothing is kept.

    Calls that an invoice covers stay as they are and are only counted.
    """
    share_usage(reseller.pk)
    with transaction.atomic():
        result = _rerate(reseller, where, apply, now, progress)
        if not apply:
            transaction.set_rollback(True)
    return result


def _rerate(
    reseller: Reseller, where: RerateSelection, apply: bool, now: datetime, progress: Progress | None
) -> RerateResult:
    work = _Work()
    make_stage(STAGE, STAGED)
    parts = slices(reseller, where)
    for done, part in enumerate(parts):
        carrier = Carrier.objects.get(pk=part.carrier_id)
        book = RatingBook.load(reseller, carrier, part.first, part.last)
        _stage_changes(work, read_slice(reseller, where, part), book)
        if progress is not None:
            progress(done + 1, len(parts) + 1, f"{work.looked_at:,} calls looked at")
    billed = billed_calls(reseller, where)
    if not work.changed:
        return RerateResult(work.looked_at, 0, billed, apply, ())
    days = [day_of(day) for day in sorted(work.days)]
    months = [month_of(days[0], reseller.zone).starts_at, month_of(days[-1], reseller.zone).ends_at]
    before = _totals(reseller, months, work.customers)
    _write(reseller, days, now)
    for first, last in months_of(days):
        redraw_allowances(reseller, sorted(work.customers), first, last)
    mark_days(reseller, work.days)
    effects = _effects(before, _totals(reseller, months, work.customers))
    return RerateResult(work.looked_at, work.changed, billed, apply, effects, days[0], days[-1])


def _stage_changes(work: _Work, chunk: pd.DataFrame, book: RatingBook) -> None:
    """Rate a chunk and stage the calls that come out differently."""
    work.looked_at += len(chunk)
    if chunk.empty:
        return
    rated = rate_calls(chunk, book)
    changed = rated[differs(rated, book)]
    if changed.empty:
        return
    work.changed += len(changed)
    work.days.update(np.unique(local_days(changed["started_at"].to_numpy(), book)).tolist())
    for name in ("customer_id", "old_customer_id"):
        work.customers.update(set(np.unique(changed[name].to_numpy()).tolist()) - {0})
    columns: dict[str, Any] = {name: pa.Array.from_pandas(changed[name]) for name in STAGED}
    for name in _LINKS:
        columns[name] = pa.array(changed[name].to_numpy(), mask=changed[name].to_numpy() == 0)
    columns["expected_cost"] = pa.array(
        changed["expected_cost"].to_numpy(), mask=~changed["has_expected"].to_numpy(dtype=bool)
    )
    stage(STAGE, STAGED, columns)


def differs(rated: pd.DataFrame, book: RatingBook) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Say which calls come out differently; the price of what allowances draw from is theirs to compare."""
    match = _unlike(rated, _MATCH)
    price = _unlike(rated, _PRICE)
    summed = [int(r) for r in book.rates.ids[book.tariffs.per_period[book.rates.tariff]]]
    drawn = (rated["old_bundle_id"].to_numpy() != 0) | (
        (rated["service"] == "data").to_numpy(dtype=bool) & np.isin(rated["rate_id"].to_numpy(), summed)
    )
    cost = (rated["expected_cost"] != rated["old_expected_cost"]) | (
        rated["has_expected"] != rated["old_has_expected"]
    )
    return np.asarray(match | (price & ~drawn) | cost.to_numpy(dtype=bool))


def _unlike(rated: pd.DataFrame, names: Iterable[str]) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    unlike = np.zeros(len(rated), dtype=bool)
    for name in names:
        unlike |= (rated[name] != rated[f"old_{name}"]).to_numpy(dtype=bool)
    return unlike


def _write(reseller: Reseller, days: list[date], now: datetime) -> None:
    """Write the staged calls under a new batch."""
    begin = midnight(days[0], reseller.zone)
    end = midnight(days[-1] + timedelta(days=1), reseller.zone)
    batch = RatingBatch.objects.create(reseller=reseller, kind="rerate")
    analyse(STAGE)
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [batch.pk, reseller.pk, begin, end])
        batch.calls = cursor.rowcount
        cursor.execute(
            "SELECT to_timestamp(min(started_at)), to_timestamp(max(started_at)) FROM rerate_stage"
        )
        batch.first_call_at, batch.last_call_at = cursor.fetchone()
    batch.created_at = now
    batch.save(update_fields=["created_at", "calls", "first_call_at", "last_call_at"])


def _totals(
    reseller: Reseller, months: list[datetime], customers: set[int]
) -> dict[tuple[int, str], tuple[Decimal, Decimal]]:
    """Return retail and cost by customer and currency over the months."""
    span: list[Any] = [reseller.pk, *months, sorted(customers)]
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, span * 2)
        return {
            (customer or 0, currency): (retail, cost or Decimal(0))
            for customer, currency, _, retail, cost in cursor.fetchall()
        }


def _effects(
    before: dict[tuple[int, str], tuple[Decimal, Decimal]],
    after: dict[tuple[int, str], tuple[Decimal, Decimal]],
) -> tuple[Effect, ...]:
    nothing = (Decimal(0), Decimal(0))
    found = []
    for customer, currency in sorted({*before, *after}):
        old, new = before.get((customer, currency), nothing), after.get((customer, currency), nothing)
        if old != new:
            found.append(Effect(customer, currency, old[0], new[0], old[1], new[1]))
    return tuple(found)
