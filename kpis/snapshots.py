"""Snapshots: the parts of every KPI per month and dimension, kept up from what changed, rebuildable from nothing.

One refresh is one transaction under a lock of the reseller: it eats the noted changes, brings facts and snapshots up
to them and writes how far the snapshots reach. A crash leaves the state before. What changed is taken four ways:
- everybody's months from a day on are made anew;
- tables written to for everybody since a day: the facts that follow from them and the figures that read those;
- the months of a few customers: the facts that follow from the tables written to are made anew and compared with what
  they were; of the figures that read what moved, what the customers gave before is taken off the sums and what they
  give now put on; those that are not such sums are made anew for the months that moved (`_narrow`);
- days of calls: the facts of calls of their months, and the figures that read them.
Nested loops and merge joins are off for it: where the database expects few rows (fresh facts, months told by an
expression) it would choose them for joins of hundreds of thousands of rows, and merge on the month alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from kpis.asked import Asked, Figure, Figures
from kpis.closing import close_due, read
from kpis.compute import alike, compute, sides
from kpis.facts import (
    close_of,
    drop_aside,
    first_month,
    months_between,
    moved,
    rebuild,
    refile,
    set_aside,
)
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
from kpis.plan import MANY, Plan, eat_changes, make_plan
from kpis.reach import ACCOUNTS, Moved, facts_of, follows, moves_accounts, reached
from kpis.sources import Source
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day

__all__ = ["read", "refresh", "versions"]

LOCK = 7305
#: How the database plans a refresh: no nested loops nor merges, see above; sums shared out among its processes, which
#: it would do for tables far larger than these, and not for what is read by the index.
PLANS = (
    "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;"
    " SET LOCAL work_mem = '64MB'; SET LOCAL default_statistics_target = 25;"
    " SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL min_parallel_index_scan_size = 0;"
    " SET LOCAL parallel_setup_cost = 50; SET LOCAL parallel_tuple_cost = 0.005"
)
LONGEST = 120
FACT_MODELS = (
    *(CustomerFact, NumberFact, FeatureFact, MovementFact, MoneyFact, LineFact, DynamicsFact),
    *(UsageFact, TrafficFact, CallingFact),
)
#: Facts that follow from what clerks enter: a customer's change makes his anew.
OF_CUSTOMERS = tuple(name for name in FACTS if name not in OF_CALLS)
#: Facts of a customer's calls: made anew when he comes into the book or leaves it.
HIS_CALLS = ("usagefact", "callingfact")
ZERO = Decimal(0)


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: months made anew or mended, rows of facts and of snapshots, months closed."""

    months: int
    facts: int
    snapshots: int
    closed: int = 0


def versions(options: Options) -> str:
    """Return a hash of every KPI's version and fingerprint and of the settings: when it moves, all is made anew."""
    said = [f"{k.slug}:{k.version}:{k.fingerprint}" for k in KPIS]
    return hashlib.sha256("\n".join([*said, options.text()]).encode()).hexdigest()


def refresh(reseller: Reseller, *, now: datetime, full: bool = False) -> Refreshed:
    """Bring a reseller's facts and snapshots up to now; `full` makes them all anew. Call inside its scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, reseller.pk])
    options, today = Options.of(reseller), local_day(now, reseller.zone)
    changes = eat_changes(reseller.pk)
    first = first_month(reseller.pk)
    if first is None or first > today:
        _forget(reseller.pk)
        return Refreshed(0, 0, 0)
    first = max(first, add_months(today.replace(day=1), -LONGEST))
    counted = versions(options)
    fill = None if full else Fill.objects.filter(reseller=reseller, versions=counted).first()
    work = _Work(reseller.pk, options, today, make_plan(reseller, fill, first, changes, today))
    _trim(reseller.pk, first)
    with connection.cursor() as cursor:
        cursor.execute(PLANS)
        facts, rows = work.do()
        cursor.execute("SET LOCAL enable_nestloop = on; SET LOCAL enable_mergejoin = on")
    fill, made = Fill.objects.update_or_create(
        reseller=reseller,
        defaults={
            "first_month": first,
            "last_month": today.replace(day=1),
            "versions": counted,
            "as_of": now,
        },
    )
    if made or fill.since is None:
        Fill.objects.filter(pk=fill.pk).update(since=today)
    return Refreshed(work.months, facts, rows, len(close_due(reseller, options, now=now)))


@dataclass
class _Work:
    """A refresh at work."""

    reseller_id: int
    options: Options
    today: date
    plan: Plan
    months: int = 0
    facts: int = 0

    def do(self) -> tuple[int, int]:
        """Do what the plan says; return the rows of facts and of snapshots written."""
        plan, rows = self.plan, 0
        if plan.called:
            self._rebuild(plan.called, OF_CALLS)
        if plan.since:
            rows += self._narrow(self._until(plan.since))
        if plan.called:
            rows += self._write([k for k in _made() if _reads_calls(k)], self._until(plan.called[0]))
        if plan.swept_from:
            rows += self._sweep(plan.swept, self._until(plan.swept_from))
        if plan.wide:
            months = months_between(plan.wide, self.today)
            refile(self.reseller_id, self.options)
            self._rebuild(months, tuple(FACTS))
            rows += self._write(_made(), months, everything=True)
            self.months += len(months)
        return self.facts, rows

    def _until(self, begin: date) -> list[date]:
        """Return the months from one up to where everything is made anew."""
        last = add_months(self.plan.wide, -1) if self.plan.wide else self.today
        return months_between(begin, last) if begin <= last else []

    def _days(self, months: Iterable[date]) -> tuple[date, ...]:
        return tuple(close_of(m, self.today) for m in months)

    def _rebuild(self, months: Iterable[date], tables: Iterable[str]) -> None:
        """Make facts of everybody's months anew, and let the database count them when there are many."""
        made = rebuild(self.reseller_id, self._days(months), self.options, tables=tables)
        if made > MANY:
            with connection.cursor() as cursor:
                cursor.execute("SELECT analyze_facts()")
        self.facts += made

    def _sweep(self, tables: frozenset[str], months: list[date]) -> int:
        """Make anew what follows from tables written to for everybody."""
        if moves_accounts(tables):
            refile(self.reseller_id, self.options)
        kept = self.options.suspended
        self._rebuild(months, facts_of(tables, suspended=kept))
        self.months += len(months)
        return self._write([k for k in _made() if follows(k, tables, suspended=kept)], months)

    def _narrow(self, months: list[date]) -> int:
        """Mend the months of a few customers."""
        customers = _members(self.reseller_id, self.plan.customers, self.options)
        days, tables = self._days(months), self.plan.tables
        asked = Asked(self.reseller_id, days, options=self.options, customers=customers, from_store=True)
        facts, calls = (
            facts_of(tables, OF_CUSTOMERS, suspended=self.options.suspended),
            HIS_CALLS if self.plan.refiled else (),
        )
        aside = [*facts, *calls, *([ACCOUNTS] if moves_accounts(tables) else [])]
        set_aside(self.reseller_id, days, customers, aside)
        if ACCOUNTS in aside:
            refile(self.reseller_id, self.options, customers)
        self.facts += rebuild(self.reseller_id, days, self.options, customers=customers, tables=facts)
        who = self.plan.refiled
        self.facts += rebuild(self.reseller_id, days, self.options, customers=who, tables=calls)
        steps = moved(self.reseller_id, days, customers, aside)
        rows = self._settle(asked, steps, replace(asked, was=frozenset(aside), was_from=min(months)))
        drop_aside(aside)
        self.months += len(months)
        return rows

    def _settle(self, asked: Asked, steps: Moved, was: Asked) -> int:
        """Bring the figures up to facts that moved: by the difference where they are sums, else made anew."""
        span = [day.replace(day=1) for day in asked.days]
        anew: dict[tuple[date, ...], list[Kpi]] = defaultdict(list)
        sums, sums_in = [], set[date]()
        for kpi in _made():
            back, kept = _months_back(asked), self.options.suspended
            months = reached(kpi, self.plan.tables, steps, span, back, suspended=kept)
            if months and _adds_up(kpi):
                sums.append(kpi)
                sums_in |= months
            elif months:
                anew[tuple(sorted(months))].append(kpi)
        days, dimensions = self._days(sorted(sums_in)), {d for k in sums for d in k.by}
        before = compute(sums, replace(was, days=days), dimensions)
        rows = _mend(self.reseller_id, sums, before, compute(sums, replace(asked, days=days), dimensions))
        return rows + sum(self._write(kpis, months) for months, kpis in anew.items())

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


def _months_back(asked: Asked) -> Callable[[Source], int]:
    """Return what tells how many months back a source reads."""
    return lambda source: asked.window(source.window)


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


def _forget(reseller_id: int) -> None:
    """Empty a reseller's snapshots: its book is empty."""
    for model in (Snapshot, *FACT_MODELS, Account, Fill):
        model.objects.filter(reseller_id=reseller_id).delete()


def _trim(reseller_id: int, first: date) -> None:
    """Drop what is held of months before the book's first one: its earliest rows were taken away."""
    for model in (Snapshot, *FACT_MODELS):
        model.objects.filter(reseller_id=reseller_id, month__lt=first).delete()
