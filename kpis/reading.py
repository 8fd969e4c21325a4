"""Where figures come from: snapshots for a whole reseller, facts for a dealer, billing's tables for the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from kpis.asked import Asked, Figures
from kpis.closing import as_closed, closed_months, read
from kpis.compute import compute, observed_months
from kpis.facts import close_of, months_between
from kpis.kpi import Kpi
from kpis.models import Fill, Frozen
from kpis.options import Options
from kpis.series import Point, Setting, reach, roots, series
from kpis.snapshots import versions
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import BadPeriod, add_months, local_day
from resellerkpi.core.scope import Scope

FIRST_YEAR = 1990


@dataclass
class Reader:
    """Reads KPIs for one reseller as one scope may see them; remembers how far the snapshots reach.

    With a `day` gone by, figures are as of the end of that day: its month is computed up to it, months before are kept.
    """

    reseller: Reseller
    scope: Scope
    now: datetime
    always_live: bool = False
    day: date | None = None
    options: Options = field(init=False)
    _fill: Fill | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.options = Options.of(self.reseller)
        if not self.always_live:
            self._fill = Fill.objects.filter(reseller=self.reseller, versions=versions(self.options)).first()

    @property
    def today(self) -> date:
        """The reseller's local day, or the day asked for."""
        today = local_day(self.now, self.reseller.zone)
        return min(self.day, today) if self.day else today

    @property
    def as_of(self) -> datetime:
        """When the figures were taken."""
        return self._fill.as_of if self._fill else self.now

    @property
    def began(self) -> date | None:
        """The first month the snapshots hold, None when there are none."""
        return self._fill.first_month if self._fill else None

    @property
    def is_kept(self) -> bool:
        """Whether figures are kept up to this month as they are counted now, so that reading them is cheap."""
        return self._fill is not None and self._fill.last_month >= self.today.replace(day=1)

    @property
    def is_part(self) -> bool:
        """Whether the scope sees some customers only."""
        return bool(self.scope.dealer_id or self.scope.customer_id)

    def visible(self, kpis: Iterable[Kpi]) -> list[Kpi]:
        """Return the KPIs the scope may see: by capability, and for a dealer only those of customers."""
        return [
            k
            for k in kpis
            if (k.needs is None or self.scope.can(k.needs))
            and (not self.is_part or all(root.of_customers for root in roots([k])))
        ]

    def last_months(self, count: int) -> list[date]:
        """Return the last months up to the open one."""
        return months_between(add_months(self.today.replace(day=1), 1 - count), self.today)

    def points(
        self, kpis: Sequence[Kpi], months: Sequence[date], dimensions: Sequence[str] = ("",)
    ) -> dict[str, dict[str, list[Point]]]:
        """Return for each KPI and dimension asked the points of every key, currency and month."""
        months = [m for m in months if m <= self.today]
        if not months or not kpis:
            return {k.slug: {d: [] for d in dimensions} for k in kpis}
        figures = self._figures(kpis, months, dimensions)
        setting = self._setting(kpis, months, dimensions, figures)
        return {
            k.slug: {d: series(k, figures, months, setting, d) for d in dimensions if not d or d in k.by}
            for k in kpis
        }

    def _setting(
        self,
        kpis: Sequence[Kpi],
        months: Sequence[date],
        dimensions: Sequence[str],
        figures: dict[str, Figures],
    ) -> Setting:
        """Return what marks and gaps need; figures of part of the book were never frozen."""
        metrics = {m for k in kpis for m in k.shape.observed}
        observed = observed_months(self.reseller.pk, metrics, until=self.today)
        span = months_between(add_months(min(months), -reach(kpis)), max(months))
        if self.day:
            span = [m for m in span if close_of(m, self.today) == close_of(m, date.max)]
        closed = {} if self._fill is None or self.is_part or not span else closed_months(span)
        then: dict[str, Figures] = {}
        if closed:
            kept = read(roots(kpis), sorted(closed), dimensions, model=Frozen)
            then = as_closed(figures, kept, closed)
        plain = (self.today, self.reseller.currency, observed, self.options.small_base, closed, then)
        ago = {name: getattr(self.options, name) for k in kpis for name in k.shape.ago.values()}
        return Setting(*plain, as_of=self.day is not None, ago=ago)

    def _figures(
        self, kpis: Sequence[Kpi], months: Sequence[date], dimensions: Sequence[str]
    ) -> dict[str, Figures]:
        early = add_months(min(months), -reach(kpis))
        span = months_between(early, max(months))
        needed, last = roots(kpis), self.today.replace(day=1)
        if self.day is None or last not in span:
            return self._held(needed, span, dimensions)
        found = {s: dict(of) for s, of in compute(needed, self.closes_of([last]), dimensions).items()}
        before = [m for m in span if m < last]
        for slug, figures in (self._held(needed, before, dimensions) if before else {}).items():
            found[slug] |= figures
        return found

    def _held(
        self, needed: Sequence[Kpi], span: Sequence[date], dimensions: Sequence[str]
    ) -> dict[str, Figures]:
        """Return figures of whole months: kept where they are, else computed."""
        if self._fill and not self.is_part and self._fill.last_month >= max(span):
            return read(needed, span, dimensions)
        return compute(needed, self.closes_of(span), dimensions)

    def closes_of(self, months: Sequence[date]) -> Asked:
        """Return what to ask for to get figures of these months out of facts, stored where they reach."""
        reaches = self._fill is not None and self._fill.last_month >= max(months)
        return Asked.months(
            self.reseller.pk,
            months,
            self.today,
            options=self.options,
            dealer_id=self.scope.dealer_id,
            customer_id=self.scope.customer_id,
            from_store=reaches and not (self.day and max(months) >= self.today.replace(day=1)),
        )


def read_day(text: str, today: date) -> date | None:
    """Read the day figures are asked as of, None for today; raises BadPeriod with a sentence."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise BadPeriod(f"“{text}” is not a day; write it as 2026-10-15.") from None
    if day > today:
        raise BadPeriod("This day is still to come.")
    if day.year < FIRST_YEAR:
        raise BadPeriod(f"Ask for a day from {FIRST_YEAR} on.")
    return day if day < today else None


def live(
    kpis: Sequence[Kpi],
    reseller: Reseller,
    scope: Scope,
    months: Sequence[date],
    now: datetime,
    by: str = "",
    *,
    day: date | None = None,
) -> dict[str, list[Point]]:
    """Return KPIs computed from billing's tables now, nothing stored: the total, or the rows of one dimension."""
    reader = Reader(reseller, scope, now, always_live=True, day=day)
    found = reader.points(kpis, months, [by])
    return {slug: points.get(by, []) for slug, points in found.items()}
