"""The web site and advertisements: visits, where they come from, clicks."""

from billing.observed import CLICKS, IMPRESSIONS, MARKETING_SPEND, UNIQUE_VISITORS, VISITS
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, entered, kpi
from kpis.sources import observations
from resellerkpi.core.access import Capability

VISITED = Part(observations(VISITS), "r.value")
CLICKED = Part(observations(CLICKS), "r.value")
SEEN = Part(observations(IMPRESSIONS), "r.value")
SPEND = Part(observations(MARKETING_SPEND), "r.value")


@kpi(
    name="Visits to the web site",
    family=Family.MARKETING,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("source", "campaign"),
    sources="reseller performance metrics",
)
def web_traffic() -> Shape:
    """Σ visits of the month, as entered or uploaded. A month without any line has no value, not 0.

    A visit is entered under its campaign or its source, not both; a campaign's visits count for its source.
    """
    return entered(VISITED)


@kpi(
    name="Different visitors of the web site",
    family=Family.MARKETING,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("source", "campaign"),
)
def unique_visitors() -> Shape:
    """Σ of the visitors entered for the month: who came on two days entered apart is counted twice."""
    return entered(Part(observations(UNIQUE_VISITORS), "r.value"))


@kpi(
    name="Share of visits by source",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=("source",),
)
def traffic_sources() -> Shape:
    """Visits of a source ÷ all visits of the month; the shares of all sources, and of none named, are 100 %."""
    return entered(VISITED, Part(observations(VISITS, whole=True), "r.value"))


@kpi(
    name="Impressions of advertisements",
    family=Family.MARKETING,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
)
def impressions() -> Shape:
    """Σ of how often advertisements were seen in the month, as entered or uploaded."""
    return entered(SEEN)


@kpi(
    name="Clicks on advertisements",
    family=Family.MARKETING,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
)
def clicks() -> Shape:
    """Σ of how often advertisements were clicked in the month, as entered or uploaded."""
    return entered(CLICKED)


@kpi(
    name="Click-through rate",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("campaign",),
)
def ctr() -> Shape:
    """Clicks ÷ impressions of the month: 5 of 1,000 are 0.5 %. No impressions: n/a."""
    return entered(CLICKED, SEEN)


@kpi(
    name="Cost per click",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
)
def cost_per_click() -> Shape:
    """Sales and marketing cost ÷ clicks of the month. By campaign it says what the advertisements cost; in total all
    marketing cost is in it.
    """
    return entered(SPEND, CLICKED)
