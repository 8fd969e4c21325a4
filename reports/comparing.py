"""Comparing a query with an earlier interval: the rows of both joined by their keys, with what changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from resellerkpi.core.columns import SUM, Bucket, Column, Growth, Percent, Points, Row
from resellerkpi.core.periods import Period, add_months, containing

STEPS = {
    "previous": "The previous interval",
    "day": "A day earlier",
    "week": "A week earlier",
    "month": "A month earlier",
    "year": "A year earlier",
}
MONTHS = {"month": 1, "year": 12}
DAYS = {"day": 1, "week": 7}
Key = tuple[Any, ...]


def earlier(period: Period, step: str) -> Period:
    """Return the interval compared with: whole months stay whole months, whatever their length."""
    if step == "previous":
        return period.previous()
    if step in DAYS:
        back = timedelta(days=DAYS[step])
        return Period(period.start - back, period.end - back, period.zone)
    months = MONTHS[step]
    start = add_months(period.start, -months)
    end = add_months(period.end, -months)
    # 31 Mar to 1 Apr a month earlier would be 28 Feb to 1 Mar, 29 to 31 Mar nothing: a day at least is kept.
    return Period(start, max(end, start + timedelta(days=1)), period.zone)


def measures(columns: Sequence[Column], names: Sequence[str] = ()) -> list[Column]:
    """Return the columns that are compared: those named, else every total, level and ratio."""
    return [c for c in columns if (c.name in names if names else c.total == SUM or c.level or c.parts)]


def with_changes(columns: Sequence[Column], compared: Sequence[Column]) -> list[Column]:
    """Put before, change and change in per cent behind each column compared."""
    found: list[Column] = []
    names = {c.name for c in compared}
    for column in columns:
        if column.name not in names:
            found.append(column)
            continue
        head = replace(column, group=column.group or column.title)
        found += [head, *_changes(head)]
    return found


def _changes(c: Column) -> list[Column]:
    parts = tuple(f"{part}_before" for part in c.parts) if c.parts else None
    before = replace(
        c,
        name=f"{c.name}_before",
        label=f"{c.title} before",
        help=f"{c.title} in the interval compared with.",
        parts=parts,
        url="",
    )
    if c.parts:
        scale, unit = (100, " (points)") if isinstance(c, Percent) else (1, "")
        points = Points(
            name=f"{c.name}_change",
            label=f"{c.title} change{unit}",
            parts=(*c.parts, *(parts or ())),
            decimals=getattr(c, "decimals", None) or 2,
            scale=scale,
            help=f"{c.title} less {c.title} before.",
            needs=c.needs,
            group=c.group,
        )
        return [before, points]
    change = replace(
        before, name=f"{c.name}_change", label=f"{c.title} change", help=f"{c.title} less {c.title} before."
    )
    growth = Growth(
        name=f"{c.name}_growth",
        label=f"{c.title} change %",
        parts=(change.name, before.name),
        help="The change divided by the figure before.",
        level=c.level,
        needs=c.needs,
        group=c.group,
    )
    return [before, change, growth]


class Join:
    """Joins the rows of an interval with those of an earlier one; `drop` is not said of what was there before only.

    A level of a bucket that begins after `today` is not known yet: it has not fallen to nothing.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        compared: Sequence[Column],
        keys: Sequence[str],
        drop: Sequence[str] = (),
        *,
        today: date,
    ) -> None:
        self.today = today
        self.drop = {name for name in drop if name not in keys}
        self.buckets = {c.name: c.grain for c in columns if isinstance(c, Bucket) and c.name in keys}
        self.keys = list(keys)
        self.fields = list(
            dict.fromkeys(name for c in compared for name in (c.parts if c.parts else (c.name,)))
        )
        self.changed = [c.name for c in compared if not c.parts]
        self.levels = [c.name for c in compared if c.level and not c.parts]

    def rows(self, now: Iterable[Row], before: Iterable[Row], to: Period, since: Period) -> Iterator[Row]:
        """Yield each row with its figures before and the change; then what was there before only."""
        held = self._held(before, to, since)
        for row in now:
            yield self._joined(row, row, held.pop(self._key(row), {}))
        for row in held.values():
            own = {k: v for k, v in row.items() if k not in self.fields and k not in self.drop}
            ahead = any(row[name] is not None and row[name] > self.today for name in self.buckets)
            unknown = dict.fromkeys((f"{name}_change" for name in self.levels), None) if ahead else {}
            yield {**self._joined(own, {}, row), **unknown}

    def _held(self, before: Iterable[Row], to: Period, since: Period) -> dict[Key, Row]:
        """Return the earlier rows by key; their buckets are moved to those of the interval, as far as it has them."""
        held: dict[Key, Row] = {}
        moves = {name: moved(grain, to, since) for name, grain in self.buckets.items()}
        for row in before:
            found = dict(row) | {n: move.get(row[n], row[n]) for n, move in moves.items()}
            if self._key(found) in held:
                found = dict(row)
            held[self._key(found)] = found
        return held

    def _key(self, row: Row) -> Key:
        return tuple(row.get(name) for name in self.keys)

    def _joined(self, row: Row, now: Row, before: Row) -> Row:
        changes = {f"{n}_change": (now.get(n) or 0) - (before.get(n) or 0) for n in self.changed}
        return {**row, **{f"{n}_before": before.get(n) for n in self.fields}, **changes}


def moved(grain: str, to: Period, since: Period) -> Mapping[date, date]:
    """Return which bucket of an earlier interval stands beside which of the later: days by date, others in turn.

    A day that the later interval has not (31 Oct beside November) is left out and stays what it was.
    """
    if grain != "day":
        pairs = zip(_firsts(grain, since), _firsts(grain, to), strict=False)
        return dict(pairs)
    months = (to.start.year - since.start.year) * 12 + to.start.month - since.start.month
    by_month = add_months(since.start, months) == to.start
    found: dict[date, date] = {}
    for bucket in since.buckets("day"):
        step = (to.start - since.start).days
        target = bucket.start + timedelta(days=step)
        if by_month:
            target = add_months(bucket.start, months)
            if target.day != bucket.start.day:
                continue
        if to.start <= target < to.end:
            found[bucket.start] = target
    return found


def _firsts(grain: str, period: Period) -> list[date]:
    """Return the first days of the buckets a period touches, as a truncated date has them."""
    return [containing(b.start, grain, period.zone).start for b in period.buckets(grain)]
