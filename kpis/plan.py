"""What a refresh has to do: the least that makes everything as if made from nothing, told by the noted changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from django.db import connection

from kpis.models import Fill
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day

#: More customers than this are everybody.
MANY = 2000
#: The table that says on which days calls changed: of it every month is noted, not only the first.
CALLED = "billing_changedday"


class Noted(NamedTuple):
    """Noted changes of one customer (None = everybody) in one table (empty = any): the first day they matter on."""

    customer: int | None
    day: date | None
    table: str


@dataclass(frozen=True)
class Plan:
    """From which month everything is made anew, and what before that: see `snapshots`.

    `customers` with the tables written to for them since a day; `refiled` are those that may have come into the book
    or left it, so that their calls have to be counted too. `swept` are tables written to for everybody since
    `swept_from`. `called` are months of calls.
    """

    first: date
    wide: date | None
    customers: tuple[int, ...] = ()
    since: date | None = None
    tables: frozenset[str] = frozenset()
    refiled: tuple[int, ...] = ()
    swept: frozenset[str] = frozenset()
    swept_from: date | None = None
    called: tuple[date, ...] = ()


def eat_changes(reseller_id: int) -> list[Noted]:
    """Take the noted changes away and return them; those not yet committed stay for the next time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH eaten AS (DELETE FROM kpis_change WHERE reseller_id = %s RETURNING customer_id, day, source)"
            " SELECT customer_id, CASE WHEN bool_and(day IS NOT NULL) THEN min(day) END, source FROM eaten"
            " GROUP BY customer_id, source, CASE WHEN source = %s THEN day END",
            [reseller_id, CALLED],
        )
        return [Noted(*row) for row in cursor.fetchall()]


def make_plan(
    reseller: Reseller, fill: Fill | None, first: date, changes: Sequence[Noted], today: date
) -> Plan:
    """Say what to do when the snapshots hold what `fill` says; without it, everything from the first month on."""
    if fill is None or fill.first_month != first:
        return Plan(first, first)
    wide = [n.day or first for n in changes if not n.table]
    if local_day(fill.as_of, reseller.zone) != today:
        wide.append(min(fill.last_month, today))
    start = _month(wide, first, today)
    own = [n for n in changes if n.table and n.customer is not None]
    everybody = [n for n in changes if n.table not in ("", CALLED) and n.customer is None]
    if len({n.customer for n in own}) > MANY:
        own, everybody = [], [*everybody, *own]
    since = min((n.day or first for n in own), default=None)
    begin = _month([since] if since else [], first, today)
    swept_from = _month([n.day or first for n in everybody], first, today)
    if begin is None or (start and begin >= start):
        own, begin = [], None
    if swept_from is None or (start and swept_from >= start):
        everybody, swept_from = [], None
    called = {n.day for n in changes if n.table == CALLED and n.day and first <= n.day <= today}
    return Plan(
        first,
        start,
        customers=tuple(sorted({n.customer for n in own if n.customer is not None})),
        since=begin,
        tables=frozenset(n.table for n in own),
        refiled=tuple(sorted({n.customer for n in own if n.customer is not None and n.day is None})),
        swept=frozenset(n.table for n in everybody),
        swept_from=swept_from,
        called=tuple(sorted(m for m in called if start is None or m < start)),
    )


def _month(days: Iterable[date], first: date, today: date) -> date | None:
    """Return the first month that days are in, None when there are none or all are still to come."""
    earliest = min(days, default=None)
    if earliest is None or earliest > today:
        return None
    return max(first, earliest.replace(day=1))
