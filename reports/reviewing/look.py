"""How the steps of a week stand: their figures and reports, clear by themselves, done, or to be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count

from billing.models import CdrFile, Finding
from kpis.reading import Reader
from kpis.words import month as month_words
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
    every = {s.slug: s for found in of.values() for s in found}.values()
    actions = actions_of(month)
    moved = [(a.kpi, add_months(month, -1)) for a in actions if a.kpi]
    figures = Figures(Reader(reseller, scope, now), month, lines_of(every), moved)
    rows = ReviewMark.objects.filter(month=month).select_related("assignee", "done_by")
    seen = _Seen(
        figures,
        {(m.week, m.step): m for m in rows},
        _files(weeks, reseller) if any(s.cadence == "file" for s in every) else {},
        _findings() if any(s.check for s in every) else {},
        actions,
        scope,
        local_day(now, reseller.zone),
    )
    return [WeekLook(w, [seen.step(step, w) for step in of[w.number]], figures) for w in weeks]


@dataclass
class _Seen:
    """What the steps of a month's weeks are judged by, read once."""

    figures: Figures
    marks: Mapping[tuple[int, str], ReviewMark]
    files: Mapping[int, list[str]]
    findings: Mapping[str, int]
    actions: Sequence[ReviewAction]
    scope: Scope
    today: date

    def step(self, step: Step, week: Week) -> StepLook:
        """Return a step of a week as it stands."""
        figures = [figure for line in step.kpis for figure in self.figures.of(line)]
        files = self.files.get(week.number, []) if step.cadence == "file" else []
        return StepLook(
            step=step,
            figures=figures,
            links=links_of(step, week.month, self.scope, self.today),
            why=_why(
                step, figures, self.figures, [*self.ahead(step), *files, *found_open(step, self.findings)]
            ),
            mark=self.marks.get((week.number, step.slug)),
            actions=[a for a in self.actions if a.step == step.slug and week.number in (a.week, step.week)],
        )

    def ahead(self, step: Step) -> list[str]:
        """Return a sentence for each rule about a month that has not begun: it cannot be kept yet."""
        months = {"this": self.figures.month, "last": self.figures.last}
        lines = [line for line in step.kpis if line.rule and months[line.of] > self.today]
        return [
            f"{line.kpi.name}: there is no figure for {month_words(months[line.of])} yet." for line in lines
        ]


def _why(step: Step, shown: Sequence[Shown], figures: Figures, more: Sequence[str]) -> list[str]:
    """Return why a step is not clear by itself; nothing when it is."""
    if not step.clears:
        return [BY_A_PERSON]
    if any(line.rule for line in step.kpis) and not figures.is_kept:
        return [NO_FIGURES]
    ruled = [HIDDEN if f.is_hidden else f.wrong for f in shown if f.wrong]
    return [*dict.fromkeys(ruled), *more]


def _findings() -> dict[str, int]:
    """Return how many findings are open, by check and by family of checks."""
    rows = Finding.objects.filter(state=Finding.State.OPEN).values("check_slug", "family")
    found: dict[str, int] = {}
    for row in rows.annotate(n=Count("pk")).order_by():
        for name in (row["check_slug"], row["family"]):
            found[name] = found.get(name, 0) + row["n"]
    return found


def found_open(step: Step, findings: Mapping[str, int]) -> list[str]:
    """Return a sentence for the open findings of a step's check, none without any."""
    count = findings.get(step.check, 0) if step.check else 0
    return [f"{count:,} open finding{'' if count == 1 else 's'} to work through."] if count else []


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
