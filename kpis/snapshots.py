"""Snapshots: the parts of every KPI per month and dimension, kept up from what changed, rebuildable from nothing.

One refresh is one transaction under a lock of the reseller: it eats the noted changes, brings facts and snapshots up
to them and writes how far the snapshots reach. A crash leaves the state before. What changed is taken three ways:
- everybody's months from a day on are made anew;
- the months of a few customers: their facts are made anew, and what they gave before is taken off the sums and what
  they give now put on; only figures that are not such sums are made anew (`_narrow`);
- days of calls: the facts of calls of their months, and the figures that read them.
Nested loops and merge joins are off for it: where the database expects few rows (fresh facts, months told by an
expression) it would choose them for joins of hundreds of thousands of rows, and merge on the month alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.models import ChangedDay
from kpis.asked import Asked, Figure, Figures
from kpis.closing import close_due, read
from kpis.compute import alike, compute, items, sides
from kpis.facts import close_of, first_month, months_between, rebuild, refile
from kpis.facts_sql import FACTS, OF_CALLS
from kpis.kpi import KPIS, Kpi
from kpis.models import (
    Account,
    CallingFact,
    CustomerFact,
    DynamicsFact,
    FeatureFact,
    Fill,
    LineFact,
    MoneyFact,
    MovementFact,
    NumberFact,
    Snapshot,
    TrafficFact,
    UsageFact,
)
from kpis.options import Options
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day

__all__ = ["read", "refresh", "versions"]

LOCK = 7305
LONGEST = 120
MANY = 2000
FACT_MODELS = (
    *(CustomerFact, NumberFact, FeatureFact, MovementFact, MoneyFact, LineFact, DynamicsFact),
    *(UsageFact, TrafficFact, CallingFact),
)
#: Facts that follow from what clerks enter: a customer's change makes his anew.
OF_CUSTOMERS = tuple(name for name in FACTS if name not in OF_CALLS)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: months made anew or mended, rows of facts and of snapshots, months closed."""

    months: int
    facts: int
    snapshots: int
    closed: int = 0


@dataclass(frozen=True)
class Plan:
    """What has to be done: from which month everything, which customers since when, which months of calls.

    `refiled` are customers that may have come into the book or left it, so that their calls have to be counted too.
    """

    first: date
    wide: date | None
    customers: tuple[int, ...] = ()
    since: date | None = None
    refiled: tuple[int, ...] = ()
    called: tuple[date, ...] = ()


def versions(options: Options) -> str:
    """Return a hash of every KPI's version and fingerprint and of the settings: when it moves, all is made anew."""
    said = [f"{k.slug}:{k.version}:{k.fingerprint()}" for k in KPIS]
    return hashlib.sha256("\n".join([*said, options.text()]).encode()).hexdigest()


def refresh(reseller: Reseller, *, now: datetime, full: bool = False) -> Refreshed:
    """Bring a reseller's facts and snapshots up to now; `full` makes them all anew. Call inside its scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, reseller.pk])
    options, today = Options.of(reseller), local_day(now, reseller.zone)
    changes = _eat_changes(reseller.pk)
    first = first_month(reseller.pk)
    if first is None or first > today:
        _forget(reseller.pk)
        return Refreshed(0, 0, 0)
    first = max(first, add_months(today.replace(day=1), -LONGEST))
    plan = _plan(reseller, first, changes, today, options, full=full)
    work = _Work(reseller.pk, options, today, plan)
    _trim(reseller.pk, first)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off")
        cursor.execute("SET LOCAL work_mem = '64MB'")
        facts, rows = work.do()
        cursor.execute("SET LOCAL enable_nestloop = on; SET LOCAL enable_mergejoin = on")
    fill, made = Fill.objects.update_or_create(
        reseller=reseller,
        defaults={
            "first_month": first,
            "last_month": today.replace(day=1),
            "versions": versions(options),
            "as_of": now,
        },
    )
    if made or fill.since is None:
        Fill.objects.filter(pk=fill.pk).update(since=today)
    return Refreshed(work.months, facts, rows, len(close_due(reseller, options, now=now)))


def _plan(
    reseller: Reseller,
    first: date,
    changes: Sequence[tuple[int | None, date | None]],
    today: date,
    options: Options,
    *,
    full: bool,
) -> Plan:
    """Say what to do: the least that makes everything as if made from nothing."""
    fill = Fill.objects.filter(reseller=reseller).first()
    if full or fill is None or fill.versions != versions(options) or fill.first_month != first:
        return Plan(first, first)
    wide = [day or first for customer, day in changes if customer is None]
    if local_day(fill.as_of, reseller.zone) != today:
        wide.append(min(fill.last_month, today))
    own = {customer: first for customer, day in changes if customer is not None and day is None}
    for customer, day in changes:
        if customer is not None and day is not None:
            own[customer] = min(day, own.get(customer, day))
    since = min(own.values(), default=None)
    if since is not None and len(own) > MANY:
        wide, own, since = [*wide, since], {}, None
    start = max(first, min(wide).replace(day=1)) if wide else None
    days = ChangedDay.objects.filter(changed_at__gte=fill.as_of).values_list("day", flat=True)
    called = {day.replace(day=1) for day in days if first <= day <= today}
    begin = max(first, since.replace(day=1)) if since else None
    if begin and (begin > today or (start and begin >= start)):
        own, begin = {}, None
    late = tuple(sorted(m for m in called if start is None or m < start))
    refiled = tuple(sorted({customer for customer, day in changes if customer in own and day is None}))
    return Plan(first, start if start and start <= today else None, tuple(sorted(own)), begin, refiled, late)


@dataclass
class _Work:
    """A refresh at work."""

    reseller_id: int
    options: Options
    today: date
    plan: Plan
    months: int = 0

    def do(self) -> tuple[int, int]:
        """Do what the plan says; return the rows of facts and of snapshots written."""
        plan, facts, rows = self.plan, 0, 0
        if plan.called:
            facts += rebuild(self.reseller_id, self._days(plan.called), self.options, tables=OF_CALLS)
        if plan.since:
            facts, rows = self._narrow(self._until(plan.since), facts)
        if plan.called:
            rows += self._write([k for k in _made() if _reads_calls(k)], self._until(plan.called[0]))
        if plan.wide:
            months = months_between(plan.wide, self.today)
            refile(self.reseller_id, self.options)
            made = rebuild(self.reseller_id, self._days(months), self.options)
            _count(made)
            facts += made
            rows += self._write(_made(), months, everything=True)
            self.months += len(months)
        return facts, rows

    def _until(self, begin: date) -> list[date]:
        """Return the months from one up to where everything is made anew."""
        last = add_months(self.plan.wide, -1) if self.plan.wide else self.today
        return months_between(begin, last) if begin <= last else []

    def _days(self, months: Iterable[date]) -> tuple[date, ...]:
        return tuple(close_of(m, self.today) for m in months)

    def _narrow(self, months: list[date], facts: int) -> tuple[int, int]:
        """Mend the months of a few customers."""
        customers = _members(self.reseller_id, self.plan.customers, self.options)
        days = self._days(months)
        asked = Asked(self.reseller_id, days, options=self.options, customers=customers, from_store=True)
        sums = [k for k in _made() if _adds_up(k)]
        dimensions = {d for k in sums for d in k.by}
        others = [k for k in _made() if not _adds_up(k) and not _is_apart(k)]
        seen = [k for k in others if all(p.source.is_difference for p in k.parts())]
        before, made_of = compute(sums, asked, dimensions), items(seen, asked)
        refile(self.reseller_id, self.options, customers)
        facts += rebuild(self.reseller_id, days, self.options, customers=customers, tables=OF_CUSTOMERS)
        if self.plan.refiled:
            tables = ("usagefact", "callingfact")
            facts += rebuild(self.reseller_id, days, self.options, customers=self.plan.refiled, tables=tables)
        rows = _mend(self.reseller_id, sums, before, compute(sums, asked, dimensions))
        self.months += len(months)
        for moved, kpis in _by_moved(seen, made_of, items(seen, asked)).items():
            rows += self._write(kpis, moved)
        return facts, rows + self._write([k for k in others if k not in seen], months)

    def _write(self, kpis: Sequence[Kpi], months: Sequence[date], *, everything: bool = False) -> int:
        """Compute KPIs by every dimension and put the rows in the place of the old ones."""
        if not months or not kpis:
            return 0
        asked = Asked(self.reseller_id, self._days(months), options=self.options, from_store=True)
        figures = compute(kpis, asked, {d for k in kpis for d in k.by})
        given: dict[str, Any] = {
            "reseller": self.reseller_id,
            "months": list(months),
            "kpis": None if everything else [k.slug for k in kpis],
        }
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, given)
        return _insert(self.reseller_id, kpis, figures, "")


def _count(rows: int) -> None:
    """Let the database count fresh facts when there are many: without statistics it plans badly."""
    if rows > MANY:
        with connection.cursor() as cursor:
            cursor.execute("SELECT analyze_facts()")


def _made() -> list[Kpi]:
    """Return the KPIs that are kept: derived ones follow from others."""
    return [k for k in KPIS if not k.shape.needs]


def _adds_up(kpi: Kpi) -> bool:
    """Say whether a change of one customer is a difference in the KPI's parts: no other row can move with it."""
    if kpi.shape.measure or not all(p.source.is_difference for p in kpi.parts()):
        return False
    for dimension in ("", *kpi.by):
        parts = sides(kpi, dimension)
        if len(parts) == 2 and not (alike(parts) and (not dimension or parts[1].source.column(dimension))):
            return False
    return True


def _by_moved(
    kpis: Sequence[Kpi], before: Mapping[tuple[str, str], set[Any]], after: Mapping[tuple[str, str], set[Any]]
) -> dict[tuple[date, ...], list[Kpi]]:
    """Group KPIs by the months in which any item of theirs moved; none, and the KPI stays as it is."""
    moved = {at: {row[0] for row in before[at] ^ after[at]} for at in before}
    found: dict[tuple[date, ...], list[Kpi]] = defaultdict(list)
    for kpi in kpis:
        months = set().union(*(moved[p.source.name, p.value] for p in kpi.parts()))
        found[tuple(sorted(months))].append(kpi)
    return found


def _is_apart(kpi: Kpi) -> bool:
    """Say whether nothing of the KPI follows from customers: observations, and calls whosever they are."""
    return all(p.source.metric or p.source.tables == ("trafficfact",) for p in kpi.parts())


def _reads_calls(kpi: Kpi) -> bool:
    return any(table in OF_CALLS for part in kpi.parts() for table in part.source.tables)


def _members(reseller_id: int, customers: Sequence[int], options: Options) -> tuple[int, ...]:
    """Return customers with everyone that is counted together with them, before or now."""
    if options.count_by != "group":
        return tuple(customers)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH now AS (SELECT c.id, coalesce(p.parent_id, c.parent_id, c.id) AS holder FROM billing_customer c"
            " LEFT JOIN billing_customer p ON p.id = c.parent_id WHERE c.reseller_id = %(r)s UNION"
            " SELECT customer_id, holder FROM kpis_account WHERE reseller_id = %(r)s)"
            " SELECT DISTINCT id FROM now WHERE holder IN (SELECT holder FROM now WHERE id = ANY(%(c)s::bigint[]))"
            " OR id IN (SELECT holder FROM now WHERE id = ANY(%(c)s::bigint[]))",
            {"r": reseller_id, "c": list(customers)},
        )
        return tuple(sorted({*customers, *(row[0] for row in cursor.fetchall())}))


def _mend(
    reseller_id: int, kpis: Sequence[Kpi], before: dict[str, Figures], after: dict[str, Figures]
) -> int:
    """Add to the snapshots what customers give now and take off what they gave before."""
    steps: dict[str, Figures] = {}
    for kpi in kpis:
        old, new = before[kpi.slug], after[kpi.slug]
        moved = {cell: _step(old.get(cell), new.get(cell)) for cell in {*old, *new}}
        steps[kpi.slug] = {cell: step for cell, step in moved.items() if step.top or step.bottom}
    months = [cell.month for cells in steps.values() for cell in cells]
    rows = _insert(reseller_id, kpis, steps, _ADD)
    if months:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM kpis_snapshot WHERE reseller_id = %s AND month BETWEEN %s AND %s AND kpi = ANY(%s)"
                " AND numerator = 0 AND coalesce(denominator, 0) = 0",
                [reseller_id, min(months), max(months), [k.slug for k in kpis]],
            )
    return rows


def _step(old: Figure | None, new: Figure | None) -> Figure:
    bottoms = [f.bottom for f in (old, new) if f is not None and f.bottom is not None]
    bottom = ((new.bottom if new else None) or ZERO) - ((old.bottom if old else None) or ZERO)
    return Figure((new.top if new else ZERO) - (old.top if old else ZERO), bottom if bottoms else None)


_DELETE = """
DELETE FROM kpis_snapshot WHERE reseller_id = %(reseller)s AND month = ANY(%(months)s::date[])
    AND (%(kpis)s::text[] IS NULL OR kpi = ANY(%(kpis)s::text[]))
"""
_INSERT = """
INSERT INTO kpis_snapshot
    (reseller_id, kpi, version, dimension, key, month, currency, numerator, denominator, base)
SELECT %s, * FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[], %s::date[], %s::text[], %s::numeric[],
    %s::numeric[], %s::numeric[])
"""
_ADD = """
ON CONFLICT (reseller_id, kpi, dimension, month, key, currency) DO UPDATE SET
    numerator = kpis_snapshot.numerator + excluded.numerator,
    denominator = kpis_snapshot.denominator + excluded.denominator
"""


def _insert(reseller_id: int, kpis: Sequence[Kpi], figures: dict[str, Figures], conflict: str) -> int:
    """Write figures as rows; return how many."""
    rows = [
        (k.slug, k.version, cell.dimension, cell.key, cell.month, cell.currency, *figure)
        for k in kpis
        for cell, figure in figures[k.slug].items()
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT + conflict, [reseller_id, *columns])
    return len(rows)


def _eat_changes(reseller_id: int) -> list[tuple[int | None, date | None]]:
    """Take the noted changes away and return whose and from when; those not yet committed stay for the next time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH eaten AS (DELETE FROM kpis_change WHERE reseller_id = %s RETURNING customer_id, day)"
            " SELECT customer_id, CASE WHEN bool_and(day IS NOT NULL) THEN min(day) END FROM eaten GROUP BY 1",
            [reseller_id],
        )
        return list(cursor.fetchall())


def _forget(reseller_id: int) -> None:
    """Empty a reseller's snapshots: its book is empty."""
    for model in (Snapshot, *FACT_MODELS, Account, Fill):
        model.objects.filter(reseller_id=reseller_id).delete()


def _trim(reseller_id: int, first: date) -> None:
    """Drop what is held of months before the book's first one: its earliest rows were taken away."""
    for model in (Snapshot, *FACT_MODELS):
        model.objects.filter(reseller_id=reseller_id, month__lt=first).delete()
