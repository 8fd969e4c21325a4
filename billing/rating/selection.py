"""Which calls to rate again, and reading them back as chunks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from django.db import connection

from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED
from billing.rating.stage import read_columns
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight

CHUNK = 250_000


#: The lists a selection may narrow by: the kind of their values, and the condition of each on a call.
_LISTS = {
    "file_ids": ("bigint[]", "call.file_id = ANY({})"),
    "customer_ids": ("bigint[]", "call.customer_id = ANY({})"),
    "number_ids": ("bigint[]", "call.number_id = ANY({})"),
    "identities": ("text[]", "call.billed_party = ANY({})"),
    "states": ("text[]", "call.state = ANY({})"),
    "reasons": ("text[]", "call.reason = ANY({})"),
    "prefixes": ("text[]", "EXISTS (SELECT 1 FROM unnest({}) start WHERE starts_with(call.dialled, start))"),
    "tariff_ids": (
        "bigint[]",
        "call.rate_id IN (SELECT id FROM billing_tariffrate WHERE tariff_id = ANY({0}))"
        " OR call.cost_rate_id IN (SELECT id FROM billing_tariffrate WHERE tariff_id = ANY({0}))"
        " OR call.customer_id IN (SELECT customer_id FROM billing_tariffassignment"
        " WHERE tariff_id = ANY({0}) AND customer_id IS NOT NULL)"
        " OR call.number_id IN (SELECT number_id FROM billing_tariffassignment"
        " WHERE tariff_id = ANY({0}) AND number_id IS NOT NULL)"
        " OR (call.reason IN ('no_tariff', 'no_rate') AND EXISTS (SELECT 1 FROM billing_tariff"
        " WHERE id = ANY({0}) AND is_default))"
        " OR (call.cost_rate_id IS NULL AND call.carrier_id IN (SELECT carrier_id FROM billing_tariff"
        " WHERE id = ANY({0}) AND kind = 'wholesale' AND carrier_id IS NOT NULL))",
    ),
}


@dataclass(frozen=True, kw_only=True)
class RerateSelection:
    """Calls of the local days from first to last, both included, narrowed by what is given (None: all).

    `tariff_ids` are calls that rates of these tariffs price or buy, and calls of customers and numbers on them;
    `prefixes` are what dialled numbers begin with, + included; `destination` is part of a destination's name.
    """

    first: date
    last: date
    file_ids: tuple[int, ...] | None = None
    customer_ids: tuple[int, ...] | None = None
    number_ids: tuple[int, ...] | None = None
    identities: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    reasons: tuple[str, ...] | None = None
    tariff_ids: tuple[int, ...] | None = None
    prefixes: tuple[str, ...] | None = None
    destination: str | None = None

    def as_params(self) -> dict[str, Any]:
        """Return the selection as JSON can hold it."""
        return {**asdict(self), "first": self.first.isoformat(), "last": self.last.isoformat()}

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> "RerateSelection":
        """Read a selection back from JSON."""
        chosen: dict[str, Any] = {
            name: None if params.get(name) is None else tuple(params[name]) for name in _LISTS
        }
        return cls(
            first=date.fromisoformat(params["first"]),
            last=date.fromisoformat(params["last"]),
            destination=params.get("destination"),
            **chosen,
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """Calls of one carrier between two instants: as many as are read at once."""

    carrier_id: int
    begin: datetime
    end: datetime
    first: date
    last: date


def _condition(kind: str, condition: str) -> str:
    """Return a list's condition, which a list not given meets; its value is asked for as often as it is named."""
    named = f"%s::{kind}"
    return f"({named} IS NULL OR {condition.format(named)})"


_WHERE = " AND ".join(
    [
        "call.reseller_id = %s AND call.started_at >= %s AND call.started_at < %s",
        *(_condition(*each) for each in _LISTS.values()),
        "(%s::text IS NULL OR strpos(lower(call.destination), lower(%s)) > 0)",
    ]
)
_TIMES = {name: _condition(*each).count("%s") for name, each in _LISTS.items()}
_DAYS = f"""
SELECT call.carrier_id, (call.started_at AT TIME ZONE %s)::date, count(*) FROM billing_call call
WHERE {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - fragments of our own
_BILLED = f"""
WITH billed AS ({BILLED})
SELECT count(*) FROM billing_call call {JOIN_BILLED} WHERE {_WHERE} AND NOT {UNBILLED}
"""  # noqa: S608 - fragments of our own
#: Which invoices cover billed calls: of each, the first that does.
_INVOICES = f"""
WITH billed AS ({BILLED})
SELECT DISTINCT covering.id FROM billing_call call {JOIN_BILLED}
JOIN billing_customer customer ON customer.id = call.customer_id
CROSS JOIN LATERAL (
    SELECT invoice.id FROM billing_invoice invoice
    WHERE invoice.reseller_id = call.reseller_id AND invoice.customer_id = call.customer_id
      AND invoice.usage_before > call.started_at
      AND invoice.currency = coalesce(nullif(call.currency, ''), customer.currency)
      AND invoice.usage_batch >= call.batch_id
    ORDER BY invoice.usage_before, invoice.usage_batch, invoice.id LIMIT 1
) covering
WHERE {_WHERE} AND NOT {UNBILLED}
"""  # noqa: S608 - fragments of our own
#: What is read of each call: kind and expression. The destination counts as given where no rate of the call names it;
#: a call whose number was not known may also be known by its caller's number.
READ = {
    "id": ("bigint", "call.id"),
    "started_at": ("bigint", "extract(epoch FROM call.started_at)::bigint"),
    "file_id": ("bigint", "call.file_id"),
    "service": ("text", "call.service"),
    "direction": ("text", "call.direction"),
    "identity_1": ("text", "call.billed_party"),
    "identity_2": (
        "text",
        "CASE WHEN call.reason = 'unknown_cli' AND call.cli LIKE '+%%' THEN call.cli ELSE '' END",
    ),
    "identity_3": ("text", "''"),
    "dialled": ("text", "call.dialled"),
    "answered": ("boolean", "call.answered::int"),
    "duration": ("bigint", "call.duration"),
    "volume": ("bigint", "(call.volume * 1000000)::bigint"),
    "charge_code": ("text", "call.charge_code"),
    "band": ("text", "call.band"),
    "destination": (
        "text",
        "CASE WHEN call.destination IN (rate.destination, cost_rate.destination) THEN '' ELSE call.destination END",
    ),
    "cost": ("bigint", "coalesce((call.cost * 100000000)::bigint, 0)"),
    "has_cost": ("boolean", "(call.cost IS NOT NULL)::int"),
    "cost_currency": ("text", "CASE WHEN call.cost IS NULL THEN '' ELSE call.cost_currency END"),
    "excluded": ("text", "CASE WHEN call.state = 'excluded' THEN call.reason ELSE '' END"),
    "old_customer_id": ("bigint", "coalesce(call.customer_id, 0)"),
    "old_number_id": ("bigint", "coalesce(call.number_id, 0)"),
    "old_rate_id": ("bigint", "coalesce(call.rate_id, 0)"),
    "old_cost_rate_id": ("bigint", "coalesce(call.cost_rate_id, 0)"),
    "old_bundle_id": ("bigint", "coalesce(call.bundle_id, 0)"),
    "old_billed_seconds": ("bigint", "call.billed_seconds"),
    "old_access_charge": ("bigint", "coalesce((call.access_charge * 100000000)::bigint, 0)"),
    "old_retail": ("bigint", "(call.retail * 100000000)::bigint"),
    "old_expected_cost": ("bigint", "coalesce((call.expected_cost * 100000000)::bigint, 0)"),
    "old_has_expected": ("boolean", "(call.expected_cost IS NOT NULL)::int"),
    "old_billed_party": ("text", "call.billed_party"),
    "old_destination": ("text", "call.destination"),
    "old_call_class": ("text", "call.call_class"),
    "old_currency": ("text", "call.currency"),
    "old_cost_currency": ("text", "call.cost_currency"),
    "old_state": ("text", "call.state"),
    "old_reason": ("text", "call.reason"),
}
_CALLS = f"""
WITH billed AS ({BILLED})
SELECT {", ".join(expression for _, expression in READ.values())}
FROM billing_call call {JOIN_BILLED}
LEFT JOIN billing_tariffrate rate ON rate.id = call.rate_id
LEFT JOIN billing_tariffrate cost_rate ON cost_rate.id = call.cost_rate_id
WHERE {_WHERE} AND call.carrier_id = %s AND {UNBILLED}
"""  # noqa: S608 - fragments of our own


def slices(reseller: Reseller, where: RerateSelection) -> list[Slice]:
    """Cut the selection by carrier and days into slices of about CHUNK calls."""
    begin, end = _span(reseller, where)
    counted = _run(_DAYS, [reseller.time_zone, *_narrowing(reseller, where, begin, end)])
    found: list[list[Any]] = []
    for carrier, day, count in counted:
        if not found or found[-1][0] != carrier or found[-1][3] + count > CHUNK:
            found.append([carrier, day, day, 0])
        found[-1][2] = day
        found[-1][3] += count
    one = timedelta(days=1)
    return [
        Slice(carrier, midnight(first, reseller.zone), midnight(last + one, reseller.zone), first, last)
        for carrier, first, last, _ in found
    ]


def read_slice(reseller: Reseller, where: RerateSelection, part: Slice) -> pd.DataFrame:
    """Return the calls of a slice that no invoice covers as a chunk, with their present outcome as old_ columns."""
    table = read_columns(
        _CALLS,
        [reseller.pk, *_narrowing(reseller, where, part.begin, part.end), part.carrier_id],
        {name: kind for name, (kind, _) in READ.items()},
    )
    columns: dict[str, Any] = {}
    for name, (kind, _) in READ.items():
        column = table[name]
        if kind == "text":
            columns[name] = pd.array(column.combine_chunks(), dtype="str")
        else:
            values = column.to_numpy()
            columns[name] = values.astype(bool) if kind == "boolean" else values.astype(np.int64)
    return pd.DataFrame(columns)


def billing_invoices(reseller: Reseller, where: RerateSelection) -> list[int]:
    """Return the invoices, drafts too, that cover calls of a selection."""
    begin, end = _span(reseller, where)
    return sorted(row[0] for row in _run(_INVOICES, [reseller.pk, *_narrowing(reseller, where, begin, end)]))


def billed_calls(reseller: Reseller, where: RerateSelection) -> int:
    """Return how many calls of the selection an invoice covers already."""
    begin, end = _span(reseller, where)
    return int(_run(_BILLED, [reseller.pk, *_narrowing(reseller, where, begin, end)])[0][0])


def months_of(days: list[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last of the days in each run of calendar months that touch."""
    run: list[date] = []
    for day in sorted(days):
        if run and (day.year * 12 + day.month) - (run[-1].year * 12 + run[-1].month) > 1:
            yield run[0], run[-1]
            run = []
        run.append(day)
    if run:
        yield run[0], run[-1]


def _span(reseller: Reseller, where: RerateSelection) -> tuple[datetime, datetime]:
    return midnight(where.first, reseller.zone), midnight(where.last + timedelta(days=1), reseller.zone)


def _narrowing(reseller: Reseller, where: RerateSelection, begin: datetime, end: datetime) -> list[Any]:
    parameters: list[Any] = [reseller.pk, begin, end]
    for name, times in _TIMES.items():
        chosen = getattr(where, name)
        parameters += [None if chosen is None else list(chosen)] * times
    return [*parameters, where.destination, where.destination]


def _run(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
