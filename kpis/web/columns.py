"""Points of a KPI as table rows and columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kpis.kpi import Kpi, Unit
from kpis.ranks import Rank
from kpis.series import Point
from kpis.words import DIMENSIONS, MARKS, month
from resellerkpi.core.columns import Bucket, Column, Date, Decimal, Int, Money, Percent, Row, Text


class Month(Date):
    """The first day of a month, shown as "Nov 2026"."""

    def display(self, row: Row) -> str:
        """Return "Nov 2026"."""
        return month(self.value(row))


class Figure(Text):
    """A figure already in words, with its unit."""

    align = "right"


def value_column(kpi: Kpi, name: str = "value", label: str = "") -> Column:
    """Return the column of a KPI's figure."""
    title = label or kpi.name
    if kpi.unit is Unit.MONEY:
        return Money(name=name, label=title)
    if kpi.unit is Unit.PERCENT:
        return Percent(name=name, label=title)
    if kpi.unit is Unit.COUNT:
        return Int(name=name, label=title)
    return Decimal(
        name=name, label=title, decimals=2, unit=kpi.unit.value if kpi.unit is not Unit.RATIO else ""
    )


def columns(kpi: Kpi, points: Sequence[Point], dimension: str, per: str = "month") -> list[Column]:
    """Return the columns of a KPI's points: month (or longer period), key, currency, figure, parts, marks."""
    found: list[Column] = [Bucket(name="month", label=per.capitalize(), grain=per)]
    if dimension:
        found.append(Text(name="label", label=DIMENSIONS[dimension]))
    if any(p.currency for p in points):
        found.append(Text(name="currency", label="Currency"))
    found.append(value_column(kpi))
    if kpi.is_ratio:
        found += [
            Decimal(name="numerator", label="Divided", decimals=_decimals(p.numerator for p in points)),
            Decimal(name="denominator", label="By", decimals=_decimals(p.denominator for p in points)),
        ]
    if per == "month" and any("restated" in p.marks for p in points):
        found.append(value_column(kpi, name="kept", label="When closed"))
    return [*found, Text(name="marks", label="Remarks")]


def with_rank(of: Sequence[Column], *, in_words: bool) -> list[Column]:
    """Return columns of a breakdown with each key's rank before the remarks: "1 (was 3)", or for files in numbers."""
    told: list[Column] = [Figure(name="rank_words", label="Rank (1 is the largest)")]
    if not in_words:
        told = [
            Int(name="rank", label="Rank"),
            Int(name="rank_before", label="Rank in the month before"),
            Int(name="moved", label="Places risen"),
        ]
    return [*of[:-1], *told, of[-1]]


def rank_cells(rank: Rank | None) -> dict[str, int | None]:
    """Return a rank for a row or JSON: the place, that of the month before, and how many places it rose."""
    if rank is None:
        return {"rank": None, "rank_before": None, "moved": None}
    return {"rank": rank.place, "rank_before": rank.before, "moved": rank.moved}


def _decimals(parts: Iterable[Any]) -> int:
    """Return 0 when every part is a whole number (a count), else 2."""
    return 0 if all(part is None or part == int(part) for part in parts) else 2


def row(point: Point, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a point as a table row."""
    return {
        "month": point.month,
        "key": point.key,
        "label": names.get(point.key, point.key),
        "currency": point.currency,
        "value": point.value,
        "numerator": point.numerator,
        "denominator": point.denominator,
        "kept": point.kept,
        "marks": ", ".join(MARKS[m] for m in point.marks),
    }
