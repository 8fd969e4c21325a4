"""KPIs over quarters and years, out of months.

What flows adds up, both sides of a ratio by themselves; what is looked at on a day takes the close; sets are compared
anew, the close of the quarter with the close before it. What is made of others over a year takes the close, too; what
sets one month beside another sets the quarter beside the one before it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from kpis.asked import Asked, Cell, Figure, Figures
from kpis.compute import compute, observed_months
from kpis.facts import close_of, months_between
from kpis.kpi import KPIS, Kpi, Parts, Rollup
from kpis.reading import Reader
from kpis.series import ZERO, Point
from resellerkpi.core.periods import add_months, containing

#: How many months a period has; a month is what every figure is kept by.
LENGTHS = {"month": 1, "quarter": 3, "year": 12}
_OWN = ("movement", "cohort", "distribution")
#: Points by what they are of, and by key, currency and first month.
Made = dict[str, dict[tuple[str, str, date], Point]]
_KEPT = ("estimated", "lagged", "restated")


class Way(StrEnum):
    """How months make a longer period."""

    ADD = "add"
    CLOSE = "close"
    ANEW = "anew"
    BESIDE = "beside"


def way(kpi: Kpi) -> Way:
    """Return how a KPI's months make a quarter or a year."""
    if kpi.rollup is Rollup.SUM and kpi.shape.kind != "movement":
        return Way.ADD
    if kpi.shape.needs:
        beside = kpi.shape.kind == "flow" and all(
            n.months == 1 and n.ago in (0, 1, 12) for n in kpi.shape.needs
        )
        return Way.BESIDE if beside else Way.CLOSE
    if kpi.rollup is Rollup.LAST or kpi.shape.kind == "stock":
        return Way.CLOSE
    if kpi.rollup is Rollup.DISTINCT or kpi.shape.kind in _OWN:
        return Way.CLOSE if any(p.source.window for p in kpi.parts()) else Way.ANEW
    return Way.ADD


def starts(months: Sequence[date], per: str) -> list[date]:
    """Return the first days of the periods that these months lie in."""
    return sorted({_start(m, per) for m in months})


def points(
    kpi: Kpi, reader: Reader, months: Sequence[date], dimensions: Sequence[str], per: str
) -> dict[str, list[Point]]:
    """Return a KPI's points by dimension, one per period that the months lie in; `month` is its first month."""
    first = add_months(_start(min(months), per), -12 if way(kpi) is Way.BESIDE else 0)
    span = months_between(first, min(add_months(_start(max(months), per), LENGTHS[per] - 1), reader.today))
    found: dict[str, list[Point]] = {}
    wanted = starts(months, per)
    for dimension, of in _made(kpi, reader, span, dimensions, per).items():
        found[dimension] = sorted(
            (p for p in of if p.month in wanted), key=lambda p: (p.key, p.currency, p.month)
        )
    return found


def _start(month: date, per: str) -> date:
    return date(month.year, (month.month - 1) // LENGTHS[per] * LENGTHS[per] + 1, 1)


def _made(
    kpi: Kpi, reader: Reader, span: Sequence[date], dimensions: Sequence[str], per: str
) -> dict[str, list[Point]]:
    how = way(kpi)
    if how is Way.ANEW:
        return _anew(kpi, reader, span, dimensions, per)
    if how is Way.BESIDE:
        return _beside(kpi, reader, span, dimensions, per)
    by_month = reader.points([kpi], span, dimensions)[kpi.slug]
    join = _added if how is Way.ADD else _closing
    return {d: [join(kpi, reader, group, per) for group in _grouped(of, per)] for d, of in by_month.items()}


def _grouped(of: Iterable[Point], per: str) -> list[list[Point]]:
    groups: defaultdict[tuple[str, str, date], list[Point]] = defaultdict(list)
    for point in of:
        groups[point.key, point.currency, _start(point.month, per)].append(point)
    return list(groups.values())


def _closing(kpi: Kpi, reader: Reader, group: Sequence[Point], per: str) -> Point:
    last = max(group, key=lambda p: p.month)
    marks = tuple(m for m in last.marks if m not in ("open", "so_far"))
    start = _start(last.month, per)
    return replace(last, month=start, marks=(*marks, *_underway(reader, start, per)), kept=None)


def _added(kpi: Kpi, reader: Reader, group: Sequence[Point], per: str) -> Point:
    """Add months up; a month that lacks its data leaves the whole period without a figure."""
    one, start = group[0], _start(group[0].month, per)
    over = _underway(reader, start, per)
    kept = tuple(m for m in _KEPT if any(m in p.marks for p in group))
    if any("needs_data" in p.marks for p in group):
        return Point(start, one.key, one.currency, None, None, ("needs_data", *over))
    top = sum((p.numerator or ZERO for p in group), ZERO)
    if not kpi.is_ratio:
        return Point(start, one.key, one.currency, top, None, (*kept, *over))
    bottom = sum((p.denominator or ZERO for p in group), ZERO)
    marks = (*_based(kpi, reader, bottom, bottom), *kept, *over)
    return Point(start, one.key, one.currency, top, bottom, marks)


def _anew(
    kpi: Kpi, reader: Reader, span: Sequence[date], dimensions: Sequence[str], per: str
) -> dict[str, list[Point]]:
    figures = compute([kpi], _asked(reader, span, per), dimensions)[kpi.slug]
    at = dict.fromkeys(starts(span, per), False) | dict.fromkeys(_lacking(kpi, reader, span, per), True)
    return {d: _of(kpi, reader, figures, d, at, per) for d in dimensions}


def _lacking(kpi: Kpi, reader: Reader, span: Sequence[date], per: str) -> set[date]:
    """Return the periods of which a month lacks its data: as in sums of months, they have no figure."""
    observed = observed_months(reader.reseller.pk, kpi.shape.observed, until=reader.today)
    return {_start(m, per) for m in span if any(m not in observed[metric] for metric in kpi.shape.observed)}


def _of(
    kpi: Kpi, reader: Reader, figures: Figures, dimension: str, at: Mapping[date, bool], per: str
) -> list[Point]:
    """Return a point per line and period; of the periods some lack their data."""
    lines = sorted({(c.key, c.currency) for c in figures if c.dimension == dimension})
    found: list[Point] = []
    for key, currency in lines or ([("", "")] if not dimension else []):
        for start, lacks in at.items():
            if lacks:
                marks = ("needs_data", *_underway(reader, start, per))
                found.append(Point(start, key, currency, None, None, marks))
                continue
            nothing = Figure(ZERO, ZERO if kpi.is_ratio else None)
            f = figures.get(Cell(dimension, key, start, currency), nothing)
            marks = _based(kpi, reader, f.bottom, f.bottom if f.base is None else f.base)
            over = (*(("estimated",) if kpi.estimate else ()), *_underway(reader, start, per))
            found.append(Point(start, key, currency, f.top, f.bottom, (*marks, *over)))
    return found


def _asked(reader: Reader, span: Sequence[date], per: str) -> Asked:
    """Return what to ask for: the close of each period, whose facts are then those of the whole of it."""
    days = [close_of(add_months(s, LENGTHS[per] - 1), reader.today) for s in starts(span, per)]
    return Asked(
        reader.reseller.pk,
        tuple(days),
        options=reader.options,
        dealer_id=reader.scope.dealer_id,
        customer_id=reader.scope.customer_id,
        grain=per,
    )


def _beside(
    kpi: Kpi, reader: Reader, span: Sequence[date], dimensions: Sequence[str], per: str
) -> dict[str, list[Point]]:
    """Combine what a derived KPI needs, each part of this period, the one before or the one of a year before."""
    made: dict[str, Made] = {d: {} for d in dimensions}
    for slug in dict.fromkeys(n.slug for n in kpi.shape.needs):
        root = KPIS.get(slug)
        known = {d: d if d in root.by else "" for d in dimensions}
        of = _made(root, reader, span, list(dict.fromkeys(known.values())), per)
        for dimension, at in known.items():
            made[dimension][slug] = {(p.key, p.currency, p.month): p for p in of[at]}
    return {d: _combined(kpi, reader, span, made[d], per) for d in dimensions}


def _combined(kpi: Kpi, reader: Reader, span: Sequence[date], made: Made, per: str) -> list[Point]:
    ago = {0: 0, 1: LENGTHS[per], 12: 12}
    lines = sorted({(key, currency) for key, currency, _ in made[kpi.shape.needs[0].slug]})
    found: list[Point] = []
    for key, currency in lines:
        for start in starts(span, per):
            at = [
                (n, _at(made[n.slug], key, currency, add_months(start, -ago[n.ago]))) for n in kpi.shape.needs
            ]
            over = _underway(reader, start, per)
            if any(p and "needs_data" in p.marks and not n.optional for n, p in at):
                found.append(Point(start, key, currency, None, None, ("needs_data", *over)))
                continue
            assert kpi.shape.combine is not None
            top, bottom, base = kpi.shape.combine([_parts(p) for _, p in at])
            over = (*(("estimated",) if kpi.estimate else ()), *over)
            found.append(
                Point(start, key, currency, top, bottom, (*_based(kpi, reader, bottom, base), *over))
            )
    return found


def _at(made: dict[tuple[str, str, date], Point], key: str, currency: str, start: date) -> Point | None:
    return made.get((key, currency, start)) or made.get((key, "", start))


def _parts(point: Point | None) -> Parts:
    if point is None:
        return ZERO, ZERO
    return point.numerator or ZERO, point.denominator or ZERO


def _based(kpi: Kpi, reader: Reader, bottom: Decimal | None, base: Decimal | None) -> tuple[str, ...]:
    if bottom is not None and bottom <= 0:
        return ("no_base",) if bottom == 0 else ("negative_base",)
    small = kpi.small_base and kpi.is_ratio and base is not None and base < reader.options.small_base
    return ("small_base",) if small else ()


def _underway(reader: Reader, start: date, per: str) -> tuple[str, ...]:
    """Mark a period that is not over."""
    last = containing(start, per, reader.reseller.zone).last_day
    if reader.day:
        return ("so_far",) if last > reader.today else ()
    return ("open",) if last >= reader.today else ()
