"""A signed week as it was, and beside each figure what it is now where that is another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.urls import reverse

from kpis.kpi import KPIS
from kpis.reading import Reader
from kpis.words import month, shown
from reports.models import Evidence, SignedWeek
from reports.registry import REPORTS
from reports.reviewing.figures import Figures
from reports.reviewing.look import STATES, evidence_of
from reports.reviewing.steps import KpiLine
from reports.run import allowed
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope


@dataclass(frozen=True)
class KeptFigure:
    """A figure as it was signed; `now` is what it is today, "" where it is the same."""

    kpi: str
    name: str
    label: str
    when: str
    text: str
    change: str
    now: str

    @property
    def url(self) -> str:
        """The KPI's page, "" for one that is not part of this release."""
        return reverse("kpi", args=[self.kpi]) if self.kpi in KPIS else ""


@dataclass(frozen=True)
class KeptStep:
    """A step as it was signed, with the runs kept as evidence."""

    slug: str
    title: str
    state: str
    words: str
    colour: str
    why: Sequence[str]
    note: str
    minutes: int
    assignee: str
    done_by: str
    figures: Sequence[KeptFigure]
    runs: Sequence[Evidence]


def as_signed(signed: SignedWeek, *, reseller: Reseller, scope: Scope, now: datetime) -> list[KeptStep]:
    """Return the steps of a signed week; figures and runs that the role may not see are left out."""
    rows = [row for step in signed.shown for row in step["figures"] if row["kpi"] in KPIS]
    lines = [KpiLine(slug, by=by) for slug, by in dict.fromkeys((r["kpi"], r["by"]) for r in rows)]
    figures = Figures(Reader(reseller, scope, now), signed.month, lines)
    runs = evidence_of(signed)
    return [_step(step, figures, runs.get(step["slug"], []), scope) for step in signed.shown]


def _step(step: Mapping[str, Any], figures: Figures, runs: Sequence[Evidence], scope: Scope) -> KeptStep:
    words, colour = STATES[step["state"]]
    open_to = [row for row in step["figures"] if row["kpi"] not in KPIS or row["kpi"] in figures.visible]
    hidden = {row["wrong"] for row in step["figures"] if row["wrong"]} - {row["wrong"] for row in open_to}
    return KeptStep(
        slug=step["slug"],
        title=step["title"],
        state=step["state"],
        words=words,
        colour=colour,
        why=[why for why in step["why"] if why not in hidden],
        note=step["note"],
        minutes=step["minutes"],
        assignee=step["assignee"],
        done_by=step["done_by"],
        figures=[_figure(row, figures) for row in open_to],
        runs=[e for e in runs if e.run.report in REPORTS and allowed(REPORTS.get(e.run.report), scope)],
    )


def _figure(row: Mapping[str, Any], figures: Figures) -> KeptFigure:
    at = date.fromisoformat(row["month"])
    return KeptFigure(
        kpi=row["kpi"],
        name=row["name"],
        label=row["label"],
        when=month(at),
        text=row["text"],
        change=row["change"],
        now=_now(row, at, figures),
    )


def _now(row: Mapping[str, Any], at: date, figures: Figures) -> str:
    """Return what a figure is today, "" where it is the same or nothing is kept to tell by."""
    if row["kpi"] not in KPIS or not figures.is_kept:
        return ""
    point = figures.at(row["kpi"], at, currency=row["currency"], by=row["by"], key=row["key"])
    text = shown(KPIS.get(row["kpi"]), point.value if point else None, row["currency"])
    return "" if text == row["text"] else text
