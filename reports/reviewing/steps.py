"""The steps of a review: what a step is made of, and a reseller's template, its edits over the defaults."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kpis.kpi import KPIS, Kpi, Unit
from kpis.registry import load
from kpis.words import shown
from reports.models import ReviewStep
from reports.registry import REPORTS
from reports.reviewing.checks import named

#: How often a step is done: value to words.
CADENCES = {
    "monthly": "Every month",
    "weekly": "Every week",
    "file": "After each call file",
    "quarterly": "Every quarter",
}
WEEKS = {
    1: "Post-billing review",
    2: "Customer health check",
    3: "Revenue opportunity scan",
    4: "Cash flow review",
}
#: When a KPI of a step is clear by itself: value to words.
RULES = {
    "": "Never by itself",
    "at_most": "at most",
    "at_least": "at least",
    "not_worse": "not worse by more than",
}
AGAINST = {"month": "the month before", "year": "the year before"}
OF = {"last": "Last full month", "this": "The month itself"}
SPANS = {"last": "Last full month", "this": "The month itself", "year": "Twelve months"}
HOUR = 60


@dataclass(frozen=True)
class KpiLine:
    """A KPI on a step: of which month, by which dimension, against what, and when it is clear by itself.

    `limit` is in the KPI's unit, per cent for rates; of `not_worse` it is per cent, percentage points for rates.
    """

    slug: str
    of: str = "last"
    by: str = ""
    against: str = "month"
    rule: str = ""
    limit: Decimal | None = None

    @property
    def kpi(self) -> Kpi:
        """The KPI."""
        return KPIS.get(self.slug)

    @property
    def least(self) -> Decimal:
        """The limit as the KPI's value is kept: a rate of 2 per cent is 0.02."""
        limit = self.limit or Decimal(0)
        return limit / 100 if self.kpi.unit is Unit.PERCENT else limit

    @property
    def words(self) -> str:
        """When it is clear, in words; "" for never by itself."""
        if not self.rule:
            return ""
        if self.rule == "not_worse" and not self.limit:
            return f"not worse than {AGAINST[self.against]}"
        if self.rule == "not_worse":
            unit = "percentage points" if self.kpi.unit is Unit.PERCENT else "%"
            limit = format((self.limit or Decimal(0)).normalize(), "f")
            return f"not worse than {AGAINST[self.against]} by more than {limit} {unit}"
        return f"{RULES[self.rule]} {shown(self.kpi, self.least)}"

    def kept(self) -> dict[str, Any]:
        """Return the line as it is kept."""
        limit = None if self.limit is None else format(self.limit, "f")
        return {
            "slug": self.slug,
            "of": self.of,
            "by": self.by,
            "against": self.against,
            "rule": self.rule,
            "limit": limit,
        }


@dataclass(frozen=True)
class ReportLine:
    """A report on a step: over which months, with what further parameters of its query."""

    slug: str
    span: str = "last"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        """Return the line as it is kept."""
        return {"slug": self.slug, "span": self.span, "params": {k: list(v) for k, v in self.params.items()}}


@dataclass(frozen=True)
class Step:
    """One thing to look at in a week; `check` names the check, or family of checks, with no open finding once clear."""

    slug: str
    week: int
    title: str
    help: str
    minutes: int = 0
    cadence: str = "monthly"
    kpis: tuple[KpiLine, ...] = ()
    reports: tuple[ReportLine, ...] = ()
    check: str = ""
    role: str = "finance"
    position: int = 100
    is_own: bool = False
    in_use: bool = True

    def comes(self, month: int, week: int) -> bool:
        """Say whether the step belongs to a week of a calendar month."""
        if self.cadence in ("weekly", "file"):
            return True
        return self.week == week and (self.cadence != "quarterly" or month in (1, 4, 7, 10))

    @property
    def clears(self) -> list[str]:
        """When it is clear by itself, in words; nothing for a step that a person has to look at."""
        found = [f"{line.kpi.name}: {line.words}" for line in self.kpis if line.rule]
        if self.check:
            found.append(f"{named(self.check)}: no open finding")
        if self.cadence == "file":
            found.append("no call without a price in the files of the week")
        return found


def template(defaults: Iterable[Step], *, all_of_them: bool = False) -> list[Step]:
    """Return the reseller's steps in order: the defaults, those it changed in their place, and its own."""
    load()
    edited = {row.slug: row for row in ReviewStep.objects.order_by("pk")}
    steps = {step.slug: step for step in defaults}
    merged = steps | {slug: _of(row, is_own=slug not in steps) for slug, row in edited.items()}
    found = [step for step in merged.values() if step.in_use or all_of_them]
    return sorted(found, key=lambda s: (s.week, s.position, s.slug))


def _of(row: ReviewStep, *, is_own: bool) -> Step:
    """Return a kept step; KPIs and reports that are not part of this release are left out."""
    return Step(
        slug=row.slug,
        week=row.week,
        title=row.title,
        help=row.help,
        minutes=row.minutes,
        cadence=row.cadence,
        kpis=tuple(
            KpiLine(**{**line, "limit": None if line["limit"] is None else Decimal(line["limit"])})
            for line in row.kpis
            if line["slug"] in KPIS
        ),
        reports=tuple(ReportLine(**line) for line in row.reports if line["slug"] in REPORTS),
        check=row.check_slug,
        role=row.role,
        position=row.position,
        is_own=is_own,
        in_use=row.in_use,
    )


def of_week(steps: Iterable[Step], month: int, week: int) -> list[Step]:
    """Return the steps of a week: those of the hour first, then those besides it."""
    found = [step for step in steps if step.comes(month, week)]
    return sorted(found, key=lambda s: (s.minutes == 0, s.position, s.slug))
