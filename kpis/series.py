"""A KPI as months people read: values divided last, gaps filled, marks set, derived KPIs combined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from kpis.asked import Cell, Figure, Figures
from kpis.facts import months_between
from kpis.kpi import KPIS, Kpi, Need, Parts, Shape, Unit
from resellerkpi.core.periods import add_months

ZERO = Decimal(0)
#: Marks of a month that is not over: today, or on the day asked for.
UNDERWAY = frozenset({"open", "so_far"})


@dataclass(frozen=True)
class Point:
    """A KPI in one month, for one key of a dimension and one currency; `value` is None when there is none.

    `kept` is what a restated figure was when its month was closed.
    """

    month: date
    key: str
    currency: str
    numerator: Decimal | None
    denominator: Decimal | None
    marks: tuple[str, ...] = ()
    kept: Decimal | None = None

    @property
    def value(self) -> Decimal | None:
        """The figure: a ratio of sums, None when the base is zero or less."""
        if self.numerator is None or self.denominator is None:
            return self.numerator
        return self.numerator / self.denominator if self.denominator > 0 else None

    @property
    def is_open(self) -> bool:
        """Whether its month was not over when it was looked at."""
        return not UNDERWAY.isdisjoint(self.marks)


@dataclass(frozen=True)
class Setting:
    """What marks and gaps need to know: the reseller's today and currency, and when each metric was observed.

    `frozen` holds the parts as they were when a month was closed, of the months in `closed`,
    each with the KPIs that were kept then. `as_of` says that today is a day gone by, asked for. `ago` holds the
    settings of how many months before metrics are read.
    """

    today: date
    currency: str
    observed: Mapping[str, set[date]]
    small_base: int = 20
    closed: Mapping[date, frozenset[str]] = field(default_factory=dict)
    frozen: Mapping[str, Figures] = field(default_factory=dict)
    as_of: bool = False
    ago: Mapping[str, int] = field(default_factory=dict)

    def is_observed(self, shape: Shape, metric: str, month: date) -> bool:
        """Say whether a metric was observed in the month a shape reads it in, for the month looked at."""
        before = self.ago.get(shape.ago.get(metric, ""), 0)
        return add_months(month, -before) in self.observed.get(metric, ())


def roots(kpis: Sequence[Kpi]) -> list[Kpi]:
    """Return the KPIs whose parts are needed: themselves, or what derived ones are made from."""
    found: dict[str, Kpi] = {}
    for kpi in kpis:
        for slug in [n.slug for n in kpi.shape.needs] or [kpi.slug]:
            found[slug] = KPIS.get(slug)
    return list(found.values())


def reach(kpis: Sequence[Kpi]) -> int:
    """Return how many months before the first one are needed."""
    return max((n.ago + n.months - 1 for kpi in kpis for n in kpi.shape.needs), default=0)


def series(
    kpi: Kpi, figures: Mapping[str, Figures], months: Sequence[date], setting: Setting, dimension: str = ""
) -> list[Point]:
    """Return a point per month for each key and currency found in the months, in order; at least one for the total."""
    found = _lines(kpi, figures, months, dimension)
    points: list[Point] = []
    for key, currency in found or ([("", _default(kpi, setting))] if not dimension else []):
        points += [_point(kpi, figures, Cell(dimension, key, month, currency), setting) for month in months]
    return points


def _default(kpi: Kpi, setting: Setting) -> str:
    return setting.currency if kpi.unit is Unit.MONEY else ""


def _lines(
    kpi: Kpi, figures: Mapping[str, Figures], months: Sequence[date], dimension: str
) -> list[tuple[str, str]]:
    """Return the (key, currency) pairs that occur; a derived KPI takes those of the first it needs."""
    slug, early = (kpi.shape.needs[0].slug, reach([kpi])) if kpi.shape.needs else (kpi.slug, 0)
    span = set(months_between(add_months(min(months), -early), max(months))) if months else set()
    cells = figures.get(slug, {})
    return sorted({(c.key, c.currency) for c in cells if c.dimension == dimension and c.month in span})


def _point(kpi: Kpi, figures: Mapping[str, Figures], cell: Cell, setting: Setting) -> Point:
    marks = _standing(kpi, cell.month, setting)
    if _is_unobserved(kpi, cell.month, setting):
        return Point(cell.month, cell.key, cell.currency, None, None, ("needs_data", *marks))
    top, bottom, base = _parts(kpi, figures, cell)
    if bottom is not None and bottom <= 0:
        marks = ("no_base" if bottom == 0 else "negative_base", *marks)
    elif kpi.small_base and base is not None and base < setting.small_base:
        marks = ("small_base", *marks)
    point = Point(cell.month, cell.key, cell.currency, top, bottom, marks)
    return _compared(kpi, point, cell, setting)


def _is_unobserved(kpi: Kpi, month: date, setting: Setting) -> bool:
    """Say whether something it reads was not observed in one of the months it looks at."""
    looked = [(kpi.shape, month, 1)] if not kpi.shape.needs else []
    for need in kpi.shape.needs:
        if not need.optional:
            looked.append((KPIS.get(need.slug).shape, add_months(month, -need.ago), need.months))
    return any(
        not setting.is_observed(shape, metric, at)
        for shape, last, months in looked
        for metric in shape.observed
        for at in months_between(add_months(last, 1 - months), last)
    )


def _parts(
    kpi: Kpi, figures: Mapping[str, Figures], cell: Cell
) -> tuple[Decimal, Decimal | None, Decimal | None]:
    """Return numerator, denominator and the base of the small-base mark."""
    if kpi.shape.combine:
        return kpi.shape.combine([_needed(figures, need, cell) for need in kpi.shape.needs])
    found = figures.get(kpi.slug, {}).get(cell, Figure(ZERO, ZERO if kpi.is_ratio else None))
    return found.top, found.bottom, found.bottom if found.base is None else found.base


def _compared(kpi: Kpi, point: Point, cell: Cell, setting: Setting) -> Point:
    """Mark a point of a closed month as restated when its figure is no longer what it was when the month closed."""
    if kpi.slug not in setting.closed.get(cell.month, ()):
        return point
    then = Point(cell.month, cell.key, cell.currency, *_parts(kpi, setting.frozen, cell)[:2])
    if then.value == point.value:
        return point
    return replace(point, marks=(*point.marks, "restated"), kept=then.value)


def _needed(figures: Mapping[str, Figures], need: Need, cell: Cell) -> Parts:
    """Sum another KPI's parts over the months needed; a count serves every currency."""
    top, bottom = ZERO, ZERO
    last = add_months(cell.month, -need.ago)
    cells = figures.get(need.slug, {})
    for month in months_between(add_months(last, 1 - need.months), last):
        parts = cells.get(cell._replace(month=month)) or cells.get(cell._replace(month=month, currency=""))
        if parts:
            top, bottom = top + parts.top, bottom + (parts.bottom or ZERO)
    return top, bottom


def _standing(kpi: Kpi, month: date, setting: Setting) -> tuple[str, ...]:
    """Return the marks that do not depend on the figure: an estimate, cost of months before, a month still open."""
    lagged = any(setting.ago.get(name) for name in kpi.shape.ago.values())
    own = (("estimated", kpi.estimate), ("lagged", lagged))
    return (*(mark for mark, holds in own if holds), *_open(month, setting))


def _open(month: date, setting: Setting) -> tuple[str, ...]:
    last = add_months(month, 1) - timedelta(days=1)
    if setting.as_of:
        return ("so_far",) if last > setting.today else ()
    return ("open",) if last >= setting.today else ()
