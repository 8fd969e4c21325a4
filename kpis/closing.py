"""Closing a month: its figures are kept as they were, so that whatever changes later is seen as restated.

A month closes by itself when it is over for `close_after_days` days (setting), every bill run dated in it is confirmed,
and the house was already at work here when it ended; or by hand once it is over. It is never opened again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from billing.models import BillingRun, CdrFile
from kpis.asked import Cell, Figure, Figures
from kpis.kpi import KPIS, Kpi
from kpis.models import Change, Close, Fill, Frozen, Snapshot
from kpis.options import Options
from resellerkpi.core import audit
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day

#: States of a bill run that a month does not wait for.
FINISHED = [BillingRun.State.CONFIRMED, BillingRun.State.SENT]


class CannotClose(ValueError):
    """Raised when a month cannot be closed; worded for the user."""


def closed_months(months: Sequence[date]) -> dict[date, frozenset[str]]:
    """Return the closed ones of some months, each with the KPIs that were kept."""
    rows = Close.objects.filter(month__gte=min(months), month__lte=max(months)).values_list(
        "month", "settings"
    )
    return {month: frozenset(settings.get("kpis", {})) for month, settings in rows}


def read(
    kpis: Iterable[Kpi],
    months: Sequence[date],
    dimensions: Iterable[str] = ("",),
    *,
    model: type[Snapshot] | type[Frozen] = Snapshot,
) -> dict[str, Figures]:
    """Return the stored parts of KPIs in months, for the total and the dimensions asked; one query."""
    figures: dict[str, Figures] = {k.slug: {} for k in kpis}
    rows = model.objects.filter(
        kpi__in=list(figures), dimension__in=["", *dimensions], month__gte=min(months), month__lte=max(months)
    ).values_list("kpi", "dimension", "key", "month", "currency", "numerator", "denominator", "base")
    for slug, dimension, key, month, currency, *parts in rows:
        figures[slug][Cell(dimension, key, month, currency)] = Figure(*parts)
    return figures


def as_closed(
    figures: Mapping[str, Figures], kept: Mapping[str, Figures], closed: Iterable[date]
) -> dict[str, Figures]:
    """Return figures with those of closed months put back to what they were."""
    months = set(closed)
    return {
        slug: {cell: f for cell, f in cells.items() if cell.month not in months} | kept.get(slug, {})
        for slug, cells in figures.items()
    }


def close_due(reseller: Reseller, options: Options, *, now: datetime) -> list[date]:
    """Close the months that are due; return them. Call after a refresh, inside the reseller's scope."""
    fill = Fill.objects.filter(reseller=reseller).first()
    if fill is None or fill.since is None:
        return []
    today = local_day(now, reseller.zone)
    month, done = max(fill.first_month, fill.since.replace(day=1)), []
    known = set(Close.objects.filter(month__gte=month).values_list("month", flat=True))
    while add_months(month, 1) + timedelta(days=options.close_after_days) <= today:
        if month not in known and not _open_runs(month):
            close(reseller, month, options, now=now)
            done.append(month)
        month = add_months(month, 1)
    return done


def close(
    reseller: Reseller, month: date, options: Options, *, now: datetime, by_hand: bool = False
) -> Close:
    """Keep a month's figures as they are; raises CannotClose with a sentence.

    By hand only figures that are up to now are kept.
    """
    fill = Fill.objects.filter(reseller=reseller).first()
    if add_months(month, 1) > local_day(now, reseller.zone):
        raise CannotClose(f"{month:%B %Y} is not over yet.")
    if fill is None or not fill.first_month <= month <= fill.last_month:
        raise CannotClose(f"There are no figures of {month:%B %Y} to keep: refresh the KPIs first.")
    if Close.objects.filter(month=month).exists():
        raise CannotClose(f"{month:%B %Y} is already closed.")
    if by_hand and Change.objects.exists():
        raise CannotClose(
            "Something changed since the figures were taken; they are made anew within ten minutes. Close it then."
        )
    made = Close.objects.create(
        reseller=reseller,
        month=month,
        closed_at=now,
        by_hand=by_hand,
        as_of=fill.as_of,
        settings={"kpis": {k.slug: k.version for k in KPIS}, "counted": options.text()},
        completeness=completeness(month),
    )
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, {"reseller": reseller.pk, "month": month})
    if by_hand:
        audit.record("kpi_month.closed", f"{month:%B %Y}", as_of=fill.as_of)
    return made


_KEEP = """
INSERT INTO kpis_frozen
    (reseller_id, kpi, version, dimension, key, month, currency, numerator, denominator, base)
SELECT reseller_id, kpi, version, dimension, key, month, currency, numerator, denominator, base
FROM kpis_snapshot WHERE reseller_id = %(reseller)s AND month = %(month)s
"""


def _open_runs(month: date) -> bool:
    """Say whether a bill run dated in a month still waits to be confirmed."""
    dated = BillingRun.objects.filter(invoice_date__gte=month, invoice_date__lt=add_months(month, 1))
    return dated.exclude(state__in=FINISHED).exists()


def completeness(month: date) -> dict[str, Any]:
    """Return how complete a month's usage is: files loaded, carriers heard of, rows without a price."""
    files = CdrFile.objects.filter(
        state=CdrFile.State.LOADED,
        last_call_at__date__gte=month,
        first_call_at__date__lt=add_months(month, 1),
    ).values_list("carrier_id", "unpriced")
    rows = list(files)
    return {
        "files": len(rows),
        "carriers": len({carrier for carrier, _ in rows}),
        "unpriced": sum(unpriced for _, unpriced in rows),
    }
