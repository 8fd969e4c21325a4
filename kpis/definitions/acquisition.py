"""What it costs to win a customer."""

from billing.observed import MARKETING_SPEND
from kpis.definitions.customers import NEW
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, entered, kpi
from kpis.sources import observations
from resellerkpi.core.access import Capability

SPEND = Part(observations(MARKETING_SPEND), "r.value")
#: What won the customers of a month, by a setting that of some months before.
WINNING = Part(observations(MARKETING_SPEND, ago="cac_lag_months"), "r.value")


@kpi(
    name="Sales and marketing cost",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=2,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
)
def marketing_spend() -> Shape:
    """Σ of the marketing_spend observations dated in the month: advertising, agencies, tools, share of salaries.

    Lines with a campaign and lines without one add up; a month without any line has no value, not 0.
    """
    return entered(SPEND)


@kpi(
    name="Cost of winning a customer",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=4,
    needs=Capability.VIEW_MARGIN,
    sources="BluSynergy, reseller performance metrics",
    headline=3,
    settings=("cac_lag_months",),
)
def cac() -> Shape:
    """Sales and marketing cost of the month ÷ new customers of the month.

    Where cost wins customers later, a setting takes that of up to 6 months before. Reactivated customers and customers
    moved in are not in the base. No new customer: n/a, the cost is shown. A month whose cost has no lines has no value,
    not 0.
    """
    return entered(WINNING, NEW)


@kpi(
    name="Cost of winning a customer per campaign",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=3,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
    sources="BluSynergy",
)
def cac_campaign() -> Shape:
    """Cost of a campaign in the month ÷ new customers of the month that came by that campaign.

    A customer belongs to the one campaign named on its account; cost without a campaign stands in its own row.
    """
    return entered(SPEND, NEW)
