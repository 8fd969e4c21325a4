"""How each month stands: open, over, waiting for something, or closed; and what changed in it since it was closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from billing.models import BillingRun, CdrFile
from kpis.closing import FINISHED
from kpis.facts import months_between
from kpis.kpi import Kpi
from kpis.models import Close, Fill
from kpis.options import Options
from kpis.reading import Reader
from kpis.series import Point
from resellerkpi.core.columns import day
from resellerkpi.core.periods import add_months

#: So many months are listed even when they are not closed.
LISTED = 25


@dataclass(frozen=True)
class Standing:
    """A month: its close when it is closed, why it is not, how complete its usage is."""

    month: date
    close: Close | None
    why: str
    is_over: bool
    completeness: dict[str, Any]

    @property
    def state(self) -> str:
        """Closed, open, or over."""
        if self.close:
            return "Closed"
        return "Not closed" if self.is_over else "Still open"


def standings(fill: Fill, options: Options, today: date) -> list[Standing]:
    """Return the months figures are kept of, the latest first; a handful of queries whatever their number.

    Of those long over only the closed ones.
    """
    closed = {c.month: c for c in Close.objects.filter(month__gte=fill.first_month)}
    last = min(fill.last_month, today.replace(day=1))
    months = [
        m
        for m in months_between(fill.first_month, last)[::-1]
        if m in closed or m > add_months(last, -LISTED)
    ]
    waiting = set(
        BillingRun.objects.filter(invoice_date__gte=fill.first_month)
        .exclude(state__in=FINISHED)
        .values_list("invoice_date", flat=True)
    )
    waiting = {d.replace(day=1) for d in waiting}
    held = usage_held([m for m in months if m not in closed])
    return [
        Standing(
            month,
            closed.get(month),
            "" if month in closed else _why(month, month in waiting, fill, options, today),
            month < today.replace(day=1),
            closed[month].completeness if month in closed else held[month],
        )
        for month in months
    ]


def not_kept(month: date, today: date) -> Standing:
    """Return how a month stands of which no figures are kept."""
    nothing = {"files": 0, "carriers": 0, "unpriced": 0}
    return Standing(month, None, "No figures of it are kept", month < today.replace(day=1), nothing)


def _why(month: date, is_waiting: bool, fill: Fill, options: Options, today: date) -> str:
    """Say why a month is not closed, and what closes it."""
    due = add_months(month, 1) + timedelta(days=options.close_after_days)
    if add_months(month, 1) <= today and (fill.since is None or month < fill.since.replace(day=1)):
        return "Over before figures were kept"
    if is_waiting:
        return "Waits for a bill run to be confirmed"
    return f"Closes by itself on {day(due)}" if today < due else "Closes when the figures are made next"


def usage_held(months: Sequence[date]) -> dict[date, dict[str, int]]:
    """Return how complete the usage of months is: files loaded, carriers heard of, rows without a price."""
    held: dict[date, dict[str, Any]] = {m: {"files": 0, "carriers": set(), "unpriced": 0} for m in months}
    if months:
        files = CdrFile.objects.filter(
            state=CdrFile.State.LOADED, last_call_at__date__gte=min(months), first_call_at__isnull=False
        )
        for first, last, carrier, unpriced in files.values_list(
            "first_call_at__date", "last_call_at__date", "carrier_id", "unpriced"
        ):
            for month in months_between(first, last):
                if month in held:
                    held[month]["files"] += 1
                    held[month]["carriers"].add(carrier)
                    held[month]["unpriced"] += unpriced
    return {m: {**found, "carriers": len(found["carriers"])} for m, found in held.items()}


def restated(
    reader: Reader, kpis: Sequence[Kpi], months: Sequence[date]
) -> dict[date, list[tuple[Kpi, Point]]]:
    """Return for each closed month the KPIs whose figure is another today, with the point that says both."""
    found: dict[date, list[tuple[Kpi, Point]]] = {m: [] for m in months}
    points = reader.points(kpis, sorted(months))
    for kpi in kpis:
        for point in points[kpi.slug][""]:
            if point.month in found and "restated" in point.marks:
                found[point.month].append((kpi, point))
    return found
