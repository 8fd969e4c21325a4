"""Snapshots: the parts of every KPI per month and dimension, kept up from what changed, rebuildable from nothing.

One refresh is one transaction under a lock of the reseller: it eats the noted changes, makes the facts and snapshots
of every month from the earliest change anew (a stock of today depends on a change of last year) and writes how far
the snapshots reach. A crash leaves the state before. Nested loops are off for it: right after a large import the
database has no statistics yet and would choose them for joins of hundreds of thousands of rows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from billing.models import ChangedDay
from kpis.compute import Asked, Cell, Figures, compute
from kpis.facts import close_of, first_month, months_between, rebuild
from kpis.kpi import KPIS, Kpi
from kpis.models import CustomerFact, FeatureFact, Fill, MoneyFact, NumberFact, Snapshot
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day

LOCK = 7305
LONGEST = 120


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: months made anew, rows of facts and of snapshots."""

    months: int
    facts: int
    snapshots: int


def versions() -> str:
    """Return a hash of every KPI's slug, version and fingerprint: when it moves, everything is made anew."""
    said = [f"{k.slug}:{k.version}:{k.fingerprint()}" for k in KPIS]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def refresh(reseller: Reseller, *, now: datetime, full: bool = False) -> Refreshed:
    """Bring a reseller's facts and snapshots up to now; `full` makes them all anew. Call inside its scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, reseller.pk])
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
    today = local_day(now, reseller.zone)
    changed = _eat_changes(reseller.pk)
    first = first_month(reseller.pk)
    if first is None or first > today:
        _forget(reseller.pk)
        return Refreshed(0, 0, 0)
    first = max(first, add_months(today.replace(day=1), -LONGEST))
    months = months_between(_start(reseller, first, changed, today, full=full), today)
    if not full and not changed and _is_fresh(reseller, first, today):
        return Refreshed(0, 0, 0)
    _trim(reseller.pk, first)
    days = tuple(close_of(m, today) for m in months)
    facts = rebuild(reseller.pk, days)
    rows = _write(reseller.pk, Asked(reseller.pk, days, from_store=True), months)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = on")
    Fill.objects.update_or_create(
        reseller=reseller,
        defaults={"first_month": first, "last_month": months[-1], "versions": versions(), "as_of": now},
    )
    return Refreshed(len(months), facts, rows)


def _start(reseller: Reseller, first: date, changed: list[date | None], today: date, *, full: bool) -> date:
    """Return the first month to make anew: the earliest change, the last month taken while open, or the very first."""
    fill = Fill.objects.filter(reseller=reseller).first()
    if full or fill is None or fill.versions != versions() or fill.first_month != first or None in changed:
        return first
    days = [day for day in changed if day is not None]
    days += ChangedDay.objects.filter(changed_at__gte=fill.as_of).values_list("day", flat=True)
    return max(first, min([fill.last_month, today, *days]).replace(day=1))


def _is_fresh(reseller: Reseller, first: date, today: date) -> bool:
    """Say whether the snapshots were taken today, by the declarations in force, and nothing changed since."""
    fill = Fill.objects.filter(reseller=reseller, first_month=first, versions=versions()).first()
    if fill is None or local_day(fill.as_of, reseller.zone) != today:
        return False
    return not ChangedDay.objects.filter(changed_at__gte=fill.as_of).exists()


def _eat_changes(reseller_id: int) -> list[date | None]:
    """Take the noted changes away and return their days; those not yet committed stay for the next refresh."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kpis_change WHERE reseller_id = %s RETURNING day", [reseller_id])
        return [day for (day,) in cursor.fetchall()]


def _forget(reseller_id: int) -> None:
    """Empty a reseller's snapshots: its book is empty."""
    for model in (Snapshot, CustomerFact, NumberFact, FeatureFact, MoneyFact, Fill):
        model.objects.filter(reseller_id=reseller_id).delete()


def _trim(reseller_id: int, first: date) -> None:
    """Drop what is held of months before the book's first one: its earliest rows were taken away."""
    for model in (Snapshot, CustomerFact, NumberFact, FeatureFact, MoneyFact):
        model.objects.filter(reseller_id=reseller_id, month__lt=first).delete()


def _write(reseller_id: int, asked: Asked, months: Sequence[date]) -> int:
    """Compute every KPI by every dimension and put the rows in the place of the old ones."""
    kpis = [k for k in KPIS if not k.shape.needs]
    figures = compute(kpis, asked, {d for k in kpis for d in k.by})
    given: dict[str, Any] = {"reseller": reseller_id, "first": months[0]}
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM kpis_snapshot WHERE reseller_id = %(reseller)s AND month >= %(first)s", given
        )
        columns = list(zip(*(_row(k, c, p) for k in kpis for c, p in figures[k.slug].items()), strict=True))
        if columns:
            cursor.execute(_INSERT, [reseller_id, *[list(column) for column in columns]])
        return len(columns[0]) if columns else 0


_INSERT = """
INSERT INTO kpis_snapshot
    (reseller_id, kpi, version, dimension, key, month, currency, numerator, denominator)
SELECT %s, * FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[], %s::date[], %s::text[], %s::numeric[],
    %s::numeric[])
"""


def _row(kpi: Kpi, cell: Cell, parts: tuple[object, object]) -> tuple[object, ...]:
    return (kpi.slug, kpi.version, cell.dimension, cell.key, cell.month, cell.currency, *parts)


def read(
    kpis: Iterable[Kpi], months: Sequence[date], dimensions: Iterable[str] = ("",)
) -> dict[str, Figures]:
    """Return the stored parts of KPIs in months, for the total and the dimensions asked; one query."""
    figures: dict[str, Figures] = {k.slug: {} for k in kpis}
    rows = Snapshot.objects.filter(
        kpi__in=list(figures), dimension__in=["", *dimensions], month__gte=min(months), month__lte=max(months)
    ).values_list("kpi", "dimension", "key", "month", "currency", "numerator", "denominator")
    for slug, dimension, key, month, currency, top, bottom in rows:
        figures[slug][Cell(dimension, key, month, currency)] = (top, bottom)
    return figures
