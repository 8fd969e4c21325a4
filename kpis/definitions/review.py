"""The monthly review itself: whether its weeks are done on time, and what time it takes."""

from billing.observed import REVIEW_MINUTES, REVIEW_WEEKS
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, entered, kpi
from kpis.sources import observations

WEEKS = observations(REVIEW_WEEKS)


@kpi(
    name="Review done on time",
    family=Family.OPERATIONS,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("week",),
    small_base=False,
    sources="SAFE",
)
def review_completed() -> Shape:
    """Weeks of the monthly review signed off by their due day ÷ weeks of it that are signed off or past that day.

    Four of four in a month is 100 %. A week signed late or never counts as not done; a week opened again counts as
    signed only once it is signed again.
    """
    return entered(Part(WEEKS, "r.value"), Part(WEEKS, "1"))


@kpi(
    name="Minutes spent on the review",
    family=Family.OPERATIONS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=("week",),
    sources="SAFE",
    published=("An hour a month: 15, 20, 15 and 10 minutes",),
)
def review_minutes() -> Shape:
    """Σ minutes written down on the steps of the month's weeks when they were signed off."""
    return entered(Part(observations(REVIEW_MINUTES), "r.value"))
