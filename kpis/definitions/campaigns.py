"""What campaigns bring in: revenue and gross profit of the customers they won, and what that is of their cost."""

from collections.abc import Sequence
from decimal import Decimal

from billing.observed import MARKETING_SPEND
from kpis.definitions.customers import NEW
from kpis.kpi import (
    Family,
    Good,
    Need,
    Part,
    Parts,
    Rollup,
    Shape,
    Unit,
    derived,
    entered,
    flow,
    kpi,
    movement,
)
from kpis.sources import FIRST_INVOICES, LINES, observations
from resellerkpi.core.access import Capability

YEAR = 12


@kpi(
    name="Revenue of customers won by campaigns",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
)
def campaign_revenue() -> Shape:
    """Σ net of the invoice lines of the month, less credit notes, of customers whose account names a campaign.

    A customer belongs to the one campaign named on its account, however long ago it was won.
    """
    return flow(Part(LINES, "CASE WHEN c.campaign <> '' THEN r.net ELSE 0 END"))


@kpi(
    name="Gross profit of customers won by campaigns",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
)
def campaign_profit() -> Shape:
    """Σ (net − cost) of the invoice lines of the month, less credit notes, of customers whose account names a campaign.

    The cost is the one kept with each line: wholesale rentals and calls, and what resold goods cost.
    """
    return flow(Part(LINES, "CASE WHEN c.campaign <> '' THEN r.net - r.cost ELSE 0 END"))


@kpi(
    name="Cost of campaigns",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
)
def campaign_spend() -> Shape:
    """Σ of the marketing cost of the month that names a campaign; cost of no campaign is left out."""
    return entered(Part(observations(MARKETING_SPEND), "CASE WHEN r.campaign <> '' THEN r.value ELSE 0 END"))


@kpi(
    name="Customers won, by campaign",
    family=Family.MARKETING,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
    sources="BluSynergy",
)
def accounts_won() -> Shape:
    """New customers of the month by the campaign named on their account; those of no campaign stand in their own row.

    Who came back and who was moved in is not counted.
    """
    return movement(NEW)


@kpi(
    name="Customers billed for the first time",
    family=Family.SALES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("campaign",),
)
def first_invoices() -> Shape:
    """Number of customers whose first invoice is dated in the month; drafts do not count.

    It is the end of the funnel: visits, leads, quotes, orders, first invoice.
    """
    return flow(Part(FIRST_INVOICES, "1"))


def _return(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return what came in less the cost, over the cost."""
    (cost, _), (gain, _) = needed
    return gain - cost, cost, cost


@kpi(
    name="Return on campaigns",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("campaign",),
    small_base=False,
    needs=Capability.VIEW_MARGIN,
    sources="BluSynergy, reseller performance metrics",
    elsewhere=(
        ("Shopify, Attributy", "revenue instead of gross profit: see return on campaigns, by revenue"),
    ),
)
def campaign_roi() -> Shape:
    """(Gross profit of the customers won by campaigns − cost of campaigns) ÷ cost of campaigns, over 12 months.

    Profit of 50,000 for a cost of 10,000 is 400 %. Every one of the 12 months needs its cost; enter 0 for a month
    without. A campaign without cost in them: n/a.
    """
    return derived(
        "flow", Need("campaign_spend", months=YEAR), Need("campaign_profit", months=YEAR), combine=_return
    )


@kpi(
    name="Return on campaigns, by revenue",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("campaign",),
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def campaign_roi_revenue() -> Shape:
    """(Revenue of the customers won by campaigns − cost of campaigns) ÷ cost of campaigns, over 12 months.

    Many quote this form; it flatters, because what the services cost is not in it.
    """
    return derived(
        "flow", Need("campaign_spend", months=YEAR), Need("campaign_revenue", months=YEAR), combine=_return
    )


@kpi(
    name="Return on marketing",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
    sources="reseller performance metrics",
)
def marketing_roi() -> Shape:
    """(Gross profit of the customers won by campaigns − all sales and marketing cost) ÷ that cost, over 12 months.

    Cost of no campaign is in it too. Profit of 20,000 for a cost of 5,000 is 300 %.
    """
    return derived(
        "flow", Need("marketing_spend", months=YEAR), Need("campaign_profit", months=YEAR), combine=_return
    )


@kpi(
    name="Return on marketing, by revenue",
    family=Family.MARKETING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def marketing_roi_revenue() -> Shape:
    """(Revenue of the customers won by campaigns − all sales and marketing cost) ÷ that cost, over 12 months."""
    return derived(
        "flow", Need("marketing_spend", months=YEAR), Need("campaign_revenue", months=YEAR), combine=_return
    )
