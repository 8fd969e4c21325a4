"""Keeping what billing cannot know: the lines of one metric in one month, entered, changed and removed together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMonth

from billing.models import Observation
from billing.observed import METRICS, Metric
from kpis.kpi import KPIS, Kpi
from resellerkpi.core import audit
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months

_PLACE = ("reseller", "metric", "date", "dimension", "key", "currency")


@dataclass(frozen=True)
class Line:
    """A line of a metric; no currency is the reseller's own."""

    date: date
    dimension: str
    key: str
    currency: str
    value: Decimal


def lines_of(metric: Metric, month: date) -> QuerySet[Observation]:
    """Return a metric's lines of a month, in order."""
    end = add_months(month, 1)
    rows = Observation.objects.filter(metric=metric.slug, date__gte=month, date__lt=end)
    return rows.order_by("date", "dimension", "key", "currency", "pk")


@transaction.atomic
def keep_lines(
    reseller: Reseller, metric: Metric, month: date, lines: Sequence[Line], shown: Iterable[int]
) -> tuple[int, int]:
    """Keep the lines and remove those of the ids shown that are no longer among them; return how many of each."""
    wanted = {(x.date, x.dimension, x.key, x.currency) for x in lines}
    gone = [
        row.pk
        for row in lines_of(metric, month).filter(pk__in=list(shown))
        if (row.date, row.dimension, row.key, row.currency) not in wanted
    ]
    Observation.objects.filter(pk__in=gone).delete()
    Observation.objects.bulk_create(
        [
            Observation(
                reseller=reseller,
                metric=metric.slug,
                date=x.date,
                dimension=x.dimension,
                key=x.key,
                currency=x.currency,
                value=x.value,
            )
            for x in lines
        ],
        update_conflicts=True,
        unique_fields=_PLACE,
        update_fields=["value"],
    )
    audit.record(
        "observations.entered",
        metric.name,
        metric=metric.slug,
        month=f"{month:%Y-%m}",
        lines=len(lines),
        removed=len(gone),
    )
    return len(lines), len(gone)


def held(months: Sequence[date]) -> dict[tuple[str, date], int]:
    """Return how many lines each metric has in each of some months."""
    rows = Observation.objects.filter(date__gte=months[0], date__lt=add_months(months[-1], 1))
    counted = rows.annotate(month=TruncMonth("date")).values_list("metric", "month").annotate(Count("pk"))
    return {(metric, month): count for metric, month, count in counted.order_by()}


def used_by() -> dict[str, list[Kpi]]:
    """Return the KPIs that read each metric."""
    found: dict[str, list[Kpi]] = {metric.slug: [] for metric in METRICS}
    for kpi in KPIS:
        for slug in kpi.shape.observed:
            found[slug].append(kpi)
    return found
