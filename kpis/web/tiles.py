"""KPIs as tiles: the last full month, its change, thirteen months as a line."""

from collections.abc import Sequence
from datetime import date

from django.urls import reverse

from kpis.compare import Delta, delta
from kpis.kpi import Kpi
from kpis.series import Point
from kpis.words import MARKS, MARKS_TOLD, changed, short, shown
from resellerkpi.ui.tiles import Change, Tile

MEANING = {"watch": "plain"}


def main_line(points: Sequence[Point], currency: str) -> list[Point]:
    """Return the points of one currency: the reseller's own when there, else the first."""
    codes = sorted({p.currency for p in points}, key=lambda c: (c != currency, c))
    return [p for p in points if p.currency == codes[0]] if codes else []


def current(points: Sequence[Point], began: date | None) -> int:
    """Return the position of the month to show: the last full one, or the open one of a book that began in it."""
    closed = [i for i, p in enumerate(points) if not p.is_open and (began is None or p.month >= began)]
    return closed[-1] if closed else len(points) - 1


def change(kpi: Kpi, now: Point, before: Point | None) -> Change | None:
    """Return the change on an earlier point as the tile shows it."""
    moved = delta(kpi, now, before)
    if moved is None or before is None:
        return None
    return Change(
        amount=changed(kpi, moved, now.currency),
        direction=_direction(moved),
        meaning=MEANING.get(moved.verdict, moved.verdict),
        against=f"on {before.month:%B}"
        if before.month.year == now.month.year
        else f"on {before.month:%B %Y}",
    )


def _direction(moved: Delta) -> str:
    return "flat" if moved.change == 0 else "up" if moved.change > 0 else "down"


def tile(kpi: Kpi, points: Sequence[Point], currency: str, began: date | None) -> Tile:
    """Return a KPI's tile; the whole of it leads to the KPI's page."""
    line = main_line(points, currency)
    at = current(line, began)
    now = line[at]
    before = line[at - 1] if at else None
    others = len({p.currency for p in points}) - 1
    return Tile(
        label=kpi.name,
        value=short(kpi, now.value, now.currency),
        unit="a month" if kpi.slug == "mrr" else "",
        change=change(kpi, now, before),
        series=[p.value for p in line[max(0, at - 12) : at + 1]],
        url=reverse("kpi", args=[kpi.slug]),
        definition=" ".join([kpi.summary, *(MARKS_TOLD[m] for m in now.marks if m != "needs_data")]),
        marks=[*words(kpi, now), *([f"{others} more currencies"] if others > 0 else [])],
    )


def words(kpi: Kpi, point: Point) -> list[str]:
    """Return a point's marks in words; a missing upload says what to upload."""
    return [kpi.needs_data if m == "needs_data" and kpi.needs_data else MARKS[m] for m in point.marks]


def at_month(points: Sequence[Point], month: date) -> Point | None:
    """Return the point of a month."""
    return next((p for p in points if p.month == month), None)


def sentence(moved: dict[str, list[Point]], kpis: dict[str, Kpi], currency: str, began: date | None) -> str:
    """Say in one sentence what changed in the last full month: recurring revenue, customers, average invoice."""
    line = main_line(moved.get("mrr", []), currency)
    if not line:
        return ""
    at = current(line, began)
    said = []
    step = delta(kpis["mrr"], line[at], line[at - 1] if at else None)
    if step:
        verb = "stayed the same" if step.change == 0 else "rose" if step.change > 0 else "fell"
        by = "" if step.change == 0 else f" by {shown(kpis['mrr'], abs(step.change), line[at].currency)}"
        said.append(f"recurring revenue {verb}{by}")
    for slug, word in (("customers_new", "joined"), ("customers_lost", "left")):
        point = at_month(moved.get(slug, []), line[at].month)
        if point and point.value is not None:
            count = int(point.value)
            said.append(f"{count or 'no'} customer{'' if count == 1 else 's'} {word}")
    if not said:
        return ""
    return (
        f"In {line[at].month:%B %Y} " + ", ".join(said[:-1]) + (" and " if said[:-1] else "") + said[-1] + "."
    )
