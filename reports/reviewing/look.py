"""How the steps of a week stand: their figures and reports, clear by themselves, done, or to be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from billing.models import CdrFile
from kpis.reading import Reader
from reports.filters import FREE, AsOfFilters
from reports.models import Evidence, ReviewAction, ReviewMark
from reports.registry import REPORTS
from reports.reviewing.days import Week
from reports.reviewing.defaults import STEPS
from reports.reviewing.figures import Figures, Shown, lines_of
from reports.reviewing.steps import ReportLine, Step, of_week, template
from reports.run import allowed
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, add_months, local_day
from resellerkpi.core.scope import Scope

CLEAR, LOOK, DONE = "clear", "look", "done"
#: How a step stands: value to (words, the mark's colour).
STATES = {CLEAR: ("Clear", "good"), LOOK: ("Needs a look", "attention"), DONE: ("Done", "good")}
NO_FIGURES = "The figures are not made yet; they are within ten minutes of a change."
BY_A_PERSON = "Somebody has to look at it."
HIDDEN = "A figure that your role does not see is not clear."


@dataclass(frozen=True)
class Link:
    """A report of a step: its name, its query, and whether the reader may run it."""

    slug: str
    name: str
    params: Mapping[str, Sequence[str]]


@dataclass
class StepLook:
    """One step of a week as it stands."""

    step: Step
    figures: list[Shown]
    links: list[Link]
    why: list[str]
    mark: ReviewMark | None
    actions: list[ReviewAction]

    @property
    def seen(self) -> list[Shown]:
        """The figures that the reader's role may see."""
        return [figure for figure in self.figures if not figure.is_hidden]

    @property
    def state(self) -> str:
        """Done by a person, clear by itself, or to be looked at."""
        if self.mark is not None and self.mark.done_at is not None:
            return DONE
        return LOOK if self.why else CLEAR

    @property
    def words(self) -> str:
        """The state in words."""
        return STATES[self.state][0]

    @property
    def colour(self) -> str:
        """The state's meaning."""
        return STATES[self.state][1]

    @property
    def minutes(self) -> int:
        """The minutes spent, 0 where nobody wrote any down."""
        return (self.mark.minutes if self.mark else None) or 0


@dataclass
class WeekLook:
    """One week as it stands."""

    week: Week
    steps: list[StepLook]
    figures: Figures

    @property
    def is_ready(self) -> bool:
        """Whether every step is clear or done, so that the week can be signed off."""
        return all(look.state != LOOK for look in self.steps)

    @property
    def open(self) -> int:
        """How many steps need a look."""
        return sum(look.state == LOOK for look in self.steps)

    @property
    def planned(self) -> int:
        """Minutes planned."""
        return sum(look.step.minutes for look in self.steps)

    @property
    def minutes(self) -> int:
        """Minutes spent."""
        return sum(look.minutes for look in self.steps)


def look_at(
    weeks: Sequence[Week],
    *,
    reseller: Reseller,
    scope: Scope,
    now: datetime,
    steps: Sequence[Step] | None = None,
) -> list[WeekLook]:
    """Return weeks of one month as they stand; as many queries for one step as for all."""
    month = weeks[0].month
    chosen = template(STEPS) if steps is None else steps
    of = {w.number: of_week(chosen, month.month, w.number) for w in weeks}
    actions = actions_of(month)
    reader = Reader(reseller, scope, now)
    lines = lines_of({s.slug: s for found in of.values() for s in found}.values())
    figures = Figures(reader, month, lines, [(a.kpi, add_months(month, -1)) for a in actions if a.kpi])
    marks = {
        (m.week, m.step): m
        for m in ReviewMark.objects.filter(month=month).select_related("assignee", "done_by")
    }
    files = (
        _files(weeks, reseller) if any(s.cadence == "file" for found in of.values() for s in found) else {}
    )
    looks = []
    for week in weeks:
        found = [
            StepLook(
                step,
                shown := [figure for line in step.kpis for figure in figures.of(line)],
                links_of(step, month, scope, local_day(now, reseller.zone)),
                _why(step, shown, figures, files.get(week.number, [])),
                marks.get((week.number, step.slug)),
                [a for a in actions if a.step == step.slug and week.number in (a.week, step.week)],
            )
            for step in of[week.number]
        ]
        looks.append(WeekLook(week, found, figures))
    return looks


def _why(step: Step, shown: Sequence[Shown], figures: Figures, files: Sequence[str]) -> list[str]:
    """Return why a step is not clear by itself; nothing when it is."""
    if not step.clears:
        return [BY_A_PERSON]
    if any(line.rule for line in step.kpis) and not figures.is_kept:
        return [NO_FIGURES]
    ruled = [HIDDEN if f.is_hidden else f.wrong for f in shown if f.wrong]
    return [*dict.fromkeys(ruled), *(files if step.cadence == "file" else [])]


def _files(weeks: Sequence[Week], reseller: Reseller) -> dict[int, list[str]]:
    """Return a sentence for each call file loaded in a week that holds calls without a price."""
    span = Period(weeks[0].begins, weeks[-1].due + timedelta(days=1), reseller.zone)
    rows = CdrFile.objects.filter(
        state=CdrFile.State.LOADED, unpriced__gt=0, loaded_at__gte=span.starts_at, loaded_at__lt=span.ends_at
    )
    found: dict[int, list[str]] = {}
    for name, loaded, unpriced in rows.order_by("loaded_at", "pk").values_list(
        "name", "loaded_at", "unpriced"
    ):
        day = local_day(loaded, reseller.zone)
        number = next((w.number for w in weeks if w.begins <= day <= w.due), 0)
        calls = "1 call" if unpriced == 1 else f"{unpriced:,} calls"
        found.setdefault(number, []).append(f"{name}: {calls} without a price.")
    return found


def links_of(step: Step, month: date, scope: Scope, today: date) -> list[Link]:
    """Return the reports of a step that the reader may run, with their queries for the month."""
    found = []
    for line in step.reports:
        if line.slug in REPORTS and allowed(REPORTS.get(line.slug), scope):
            found.append(Link(line.slug, REPORTS.get(line.slug).name, params_of(line, month, today)))
    return found


def params_of(line: ReportLine, month: date, today: date) -> dict[str, list[str]]:
    """Return a report's query for a review's month: days between two, or the close looked at."""
    params = {name: list(values) for name, values in line.params.items()}
    if issubclass(REPORTS.get(line.slug).Filters, AsOfFilters):
        close = add_months(month, 1) - timedelta(days=1)
        return {"on": [min(close, today).isoformat()], **params}
    first = {"this": month, "last": add_months(month, -1), "year": add_months(month, -12)}[line.span]
    before = add_months(month, 1) if line.span == "this" else month
    return {"period": [FREE], "on_or_after": [first.isoformat()], "before": [before.isoformat()], **params}


def actions_of(month: date) -> list[ReviewAction]:
    """Return the actions a review shows: those noted up to it and open, or closed in its month or later."""
    rows = ReviewAction.objects.filter(month__lte=month).select_related("who", "noted_by", "closed_by")
    return [a for a in rows.order_by("month", "pk") if a.closed_at is None or a.closed_at.date() >= month]


def evidence_of(signed: Any) -> dict[str, list[Evidence]]:
    """Return the runs a signed week kept, by step."""
    found: dict[str, list[Evidence]] = {}
    for row in Evidence.objects.filter(signed=signed).select_related("run").order_by("pk"):
        found.setdefault(row.step, []).append(row)
    return found
