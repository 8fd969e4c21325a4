"""A KPI as flat rows under stable names, for the endpoints."""

from typing import Any

from kpis import longer
from kpis.kpi import Kpi, Unit
from kpis.labels import labels, order
from kpis.ranks import Ranks, ranks
from kpis.reading import Reader
from kpis.series import Point
from kpis.web.answers import Answer, amount, ratio
from kpis.web.asked import Query
from resellerkpi.core.periods import add_months


def names_of(kpi: Kpi, dimension: str) -> list[str]:
    """Return the names of the fields of a KPI's rows."""
    key = [dimension, f"{dimension}_name"] if dimension else []
    money = [f"{kpi.slug}_currency"] if kpi.unit is Unit.MONEY else []
    parts = [f"{kpi.slug}_numerator", f"{kpi.slug}_denominator"] if kpi.is_ratio else []
    return ["month", *key, *money, kpi.slug, *parts, f"{kpi.slug}_marks"]


def points_of(kpi: Kpi, query: Query, reader: Reader) -> list[Point]:
    """Return the points asked for: of months, or of longer periods."""
    if query.per == "month":
        return reader.points([kpi], query.months, [query.by])[kpi.slug][query.by]
    return longer.points(kpi, reader, query.months, [query.by], query.per)[query.by]


def ranked(kpi: Kpi, query: Query, reader: Reader) -> tuple[list[Point], Ranks]:
    """Return the points asked for with the ranks of their keys, which are of months and of a dimension only.

    The month before the first is read with the others; keys that have figures in that one alone are left out.
    """
    if not query.by or query.per != "month":
        return points_of(kpi, query, reader), {}
    first = query.months[0]
    wide = reader.points([kpi], [add_months(first, -1), *query.months], [query.by])[kpi.slug][query.by]
    held = {(p.key, p.currency) for p in wide if p.month >= first and not _is_nothing(p)}
    gone = {(p.key, p.currency) for p in wide if p.month < first and not _is_nothing(p)} - held
    return [p for p in wide if p.month >= first and (p.key, p.currency) not in gone], ranks(wide)


def _is_nothing(point: Point) -> bool:
    return point.numerator is not None and not point.numerator and not point.denominator


def kpi_answer(kpi: Kpi, query: Query, reader: Reader) -> Answer:
    """Return a KPI's rows: a month, a key and a currency each."""
    points = points_of(kpi, query, reader)
    known = labels(query.by, {p.key for p in points}) if query.by else {}
    place = {key: i for i, key in enumerate(order(query.by, known))} if query.by else {}
    points = sorted(points, key=lambda p: (p.month, place.get(p.key, 0), p.currency))
    rows = [_row(kpi, p, query.by, known) for p in points]
    about = [
        ("How it is counted", kpi.summary),
        ("Unit", kpi.unit.value),
        ("Version", str(kpi.version)),
        ("As of", reader.as_of.isoformat(timespec="seconds")),
        *([("Up to the end of", reader.day.isoformat())] if reader.day else []),
        *([("Per", query.per)] if query.per != "month" else []),
    ]
    return Answer(kpi.name, names_of(kpi, query.by), rows, about)


def _row(kpi: Kpi, point: Point, dimension: str, known: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"month": f"{point.month:%Y-%m}", f"{kpi.slug}_marks": " ".join(point.marks)}
    if dimension:
        row |= {dimension: point.key, f"{dimension}_name": known[point.key]}
    if kpi.unit is Unit.MONEY:
        row[f"{kpi.slug}_currency"] = point.currency
    value = point.value
    exact = amount if kpi.unit is Unit.MONEY else ratio
    row[kpi.slug] = None if value is None else exact(value)
    for name in ("numerator", "denominator"):
        part = getattr(point, name)
        row[f"{kpi.slug}_{name}"] = None if part is None else ratio(part)
    return row
