"""Figures of the steps of a review: read once for all of them, out of what is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.urls import reverse

from kpis.compare import Delta, delta
from kpis.kpi import KPIS, Good, Kpi, Unit
from kpis.labels import labels, order
from kpis.reading import Reader
from kpis.series import Point
from kpis.words import MARKS, changed, month, shown
from reports.reviewing.steps import AGAINST, KpiLine
from resellerkpi.core.periods import add_months
from resellerkpi.ui.tiles import Change

Points = Mapping[str, Mapping[str, Sequence[Point]]]
MEANINGS = {"watch": "plain"}
BACK = 13
MOST_KEYS = 12


@dataclass(frozen=True)
class Shown:
    """A figure on a step: of which KPI and month, as text, how it moved, where it leads, why it is not clear.

    `value` is exact; `key` is the value of a dimension, named by `label`. A hidden one is judged, and not shown to the
    reader's role.
    """

    kpi: str
    name: str
    month: date
    by: str
    key: str
    label: str
    currency: str
    value: Decimal | None
    text: str
    change: Change | None = None
    marks: tuple[str, ...] = ()
    wrong: str = ""
    is_hidden: bool = False
    is_open: bool = False

    @property
    def url(self) -> str:
        """The KPI's page."""
        return reverse("kpi", args=[self.kpi])

    @property
    def when(self) -> str:
        """The month in words, and whether it is still open."""
        return f"{month(self.month)} so far" if self.is_open else month(self.month)

    def kept(self) -> dict[str, Any]:
        """Return the figure as a signed week keeps it."""
        return {
            "kpi": self.kpi,
            "name": self.name,
            "month": self.month.isoformat(),
            "by": self.by,
            "key": self.key,
            "label": self.label,
            "currency": self.currency,
            "value": None if self.value is None else format(self.value, "f"),
            "text": self.text,
            "change": self.change.amount if self.change else "",
            "wrong": self.wrong,
        }


@dataclass
class Figures:
    """Reads the KPIs of some steps for the months of one review, all at once."""

    reader: Reader
    month: date
    lines: Sequence[KpiLine]
    more: Sequence[tuple[str, date]] = ()

    @property
    def is_kept(self) -> bool:
        """Whether figures are kept, so that reading them is cheap."""
        return self.reader.is_kept

    @cached_property
    def last(self) -> date:
        """The last full month seen from the review: the one before it."""
        return add_months(self.month, -1)

    @cached_property
    def kpis(self) -> dict[str, Kpi]:
        """The KPIs of the steps, whoever reads: a step is as clear for one role as for another."""
        wanted = {line.slug for line in self.lines} | {slug for slug, _ in self.more if slug in KPIS}
        return {slug: KPIS.get(slug) for slug in sorted(wanted)}

    @cached_property
    def visible(self) -> set[str]:
        """The slugs of those the reader's role may see."""
        return {k.slug for k in self.reader.visible(self.kpis.values())}

    @cached_property
    def points(self) -> Points:
        """Every point needed, by KPI and dimension."""
        if not self.is_kept:
            return {}
        months = {add_months(self.month, -n) for n in range(BACK + 1)} | {m for _, m in self.more}
        dimensions = ["", *sorted({line.by for line in self.lines} - {""})]
        return self.reader.points(list(self.kpis.values()), sorted(months), dimensions)

    @cached_property
    def names(self) -> dict[str, dict[str, str]]:
        """The names of the keys of each dimension."""
        keys: dict[str, set[str]] = {}
        for line in self.lines:
            found = self.points.get(line.slug, {}).get(line.by, ()) if line.by else ()
            keys.setdefault(line.by, set()).update(p.key for p in found)
        return {by: labels(by, found) for by, found in keys.items() if by}

    def at(self, slug: str, at: date, *, currency: str = "", by: str = "", key: str = "") -> Point | None:
        """Return the point of a month, of the currency named or else the reseller's own or the first."""
        found = [p for p in self.points.get(slug, {}).get(by, ()) if p.month == at and p.key == key]
        home = currency or self.reader.reseller.currency
        found.sort(key=lambda p: (p.currency != home, p.currency))
        return found[0] if found and (not currency or found[0].currency == currency) else None

    def of(self, line: KpiLine) -> list[Shown]:
        """Return the figures of a line: one for each currency, or one for each key of its dimension."""
        kpi = line.kpi
        at = self.month if line.of == "this" else self.last
        before = add_months(at, -12 if line.against == "year" else -1)
        points = self.points.get(line.slug, {}).get(line.by, ())
        earlier = {(p.key, p.currency): p for p in points if p.month == before}
        now = [p for p in points if p.month == at]
        if not line.by:
            return [self._shown(line, kpi, p, earlier.get((p.key, p.currency))) for p in now]
        there = {p.key for p in now if p.value or (p.key, p.currency) in earlier}
        place = {key: n for n, key in enumerate(order(line.by, there))}
        listed = sorted((p for p in now if p.key in there), key=lambda p: (place[p.key], p.currency))
        return [self._shown(line, kpi, p, earlier.get((p.key, p.currency))) for p in listed[:MOST_KEYS]]

    def _shown(self, line: KpiLine, kpi: Kpi, now: Point, before: Point | None) -> Shown:
        moved = delta(kpi, now, before)
        return Shown(
            kpi=kpi.slug,
            name=kpi.name,
            month=now.month,
            by=line.by,
            key=now.key,
            label=self.names.get(line.by, {}).get(now.key, "") if line.by else "",
            currency=now.currency,
            value=now.value,
            text=shown(kpi, now.value, now.currency),
            change=_change(kpi, moved, now, before),
            marks=tuple(_mark(kpi, m) for m in now.marks if m != "open"),
            wrong=broken(line, kpi, now, before, moved),
            is_open="open" in now.marks,
            is_hidden=kpi.slug not in self.visible,
        )


def _mark(kpi: Kpi, mark: str) -> str:
    return kpi.needs_data or MARKS[mark] if mark == "needs_data" else MARKS[mark]


def _change(kpi: Kpi, moved: Delta | None, now: Point, before: Point | None) -> Change | None:
    if moved is None or before is None:
        return None
    return Change(
        amount=changed(kpi, moved, now.currency),
        direction="flat" if moved.change == 0 else "up" if moved.change > 0 else "down",
        meaning=MEANINGS.get(moved.verdict, moved.verdict),
        against=f"on {month(before.month)}",
    )


def broken(line: KpiLine, kpi: Kpi, now: Point, before: Point | None, moved: Delta | None) -> str:
    """Return why a figure does not keep the line's rule, in words; "" when it does or there is no rule."""
    if not line.rule:
        return ""
    if now.value is None:
        return f"{kpi.name}: there is no figure for {month(now.month)}."
    text, least = shown(kpi, now.value, now.currency), line.least
    if line.rule == "at_most" and now.value > least:
        return f"{kpi.name}: {text}, {_over(kpi, least, now.currency, 'more')}."
    if line.rule == "at_least" and now.value < least:
        return f"{kpi.name}: {text}, {_over(kpi, least, now.currency, 'less')}."
    if line.rule == "not_worse" and is_worse(kpi, moved, before, line.limit or Decimal(0)):
        assert moved is not None
        return f"{kpi.name}: {text}, {changed(kpi, moved, now.currency)} on {AGAINST[line.against]}."
    return ""


def _over(kpi: Kpi, least: Decimal, currency: str, word: str) -> str:
    return (
        "and there should be none"
        if not least and word == "more"
        else f"{word} than {shown(kpi, least, currency)}"
    )


def is_worse(kpi: Kpi, moved: Delta | None, before: Point | None, limit: Decimal) -> bool:
    """Say whether a figure moved the wrong way by more than a limit: per cent, percentage points for rates.

    Of a KPI of which either way may be good, both ways are wrong. Whatever came of nothing is more than any limit.
    """
    if moved is None or before is None:
        return False
    wrong = moved.change if kpi.good is Good.DOWN else -moved.change
    wrong = abs(moved.change) if kpi.good is Good.WATCH else wrong
    if wrong <= 0:
        return False
    if kpi.unit is Unit.PERCENT:
        return wrong > limit
    return not moved.before or wrong / abs(moved.before) * 100 > limit


def lines_of(steps: Iterable[Any]) -> list[KpiLine]:
    """Return the KPI lines of some steps."""
    return [line for step in steps for line in step.kpis]
