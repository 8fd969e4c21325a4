"""Sales: leads, quotes, orders and what they are worth."""

from collections.abc import Sequence
from decimal import Decimal

from billing.observed import (
    CYCLE_DAYS,
    DEALS_LOST,
    LEADS,
    LEADS_WON,
    MARKETING_SPEND,
    ORDER_VALUE,
    ORDERS,
    PIPELINE,
    QUOTES,
    VISITS,
)
from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, entered, kpi
from kpis.sources import observations
from resellerkpi.core.access import Capability

COME_BY = ("source", "campaign")
SOLD = ("item", "source", "campaign")
VALUE = Part(observations(ORDER_VALUE), "r.value")
WON = Part(observations(ORDERS), "r.value")
ASKED = Part(observations(LEADS), "r.value")
QUOTED = Part(observations(QUOTES), "r.value")


@kpi(
    name="Leads",
    family=Family.SALES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=COME_BY,
)
def leads() -> Shape:
    """Σ of the people who asked for an offer, by the day they asked, as entered or uploaded."""
    return entered(ASKED)


@kpi(
    name="Cost per lead",
    family=Family.MARKETING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("campaign",),
    needs=Capability.VIEW_MARGIN,
)
def cost_per_lead() -> Shape:
    """Sales and marketing cost ÷ leads of the month. No lead: n/a."""
    return entered(Part(observations(MARKETING_SPEND), "r.value"), ASKED)


@kpi(
    name="Quotes sent",
    family=Family.SALES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=COME_BY,
)
def quotes() -> Shape:
    """Σ of the quotes sent in the month, as entered or uploaded."""
    return entered(QUOTED)


@kpi(
    name="Orders won",
    family=Family.SALES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=SOLD,
)
def orders() -> Shape:
    """Σ of the orders won in the month, as entered or uploaded; by product, source or campaign where lines name one."""
    return entered(WON)


@kpi(
    name="Deals lost",
    family=Family.SALES,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=COME_BY,
)
def deals_lost() -> Shape:
    """Σ of the offers turned down in the month, as entered or uploaded."""
    return entered(Part(observations(DEALS_LOST), "r.value"))


@kpi(
    name="Value of orders won",
    family=Family.SALES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=SOLD,
)
def order_value() -> Shape:
    """Σ value of the orders won in the month, without VAT, as entered or uploaded."""
    return entered(VALUE)


@kpi(
    name="Share of sales by product",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=("item",),
    small_base=False,
    sources="reseller performance metrics",
)
def sales_by_product() -> Shape:
    """Value of the orders of a product ÷ value of all orders of the month; with lines that name no product, 100 %.

    The values themselves and the number of orders stand under “Value of orders won” and “Orders won”.
    """
    return entered(VALUE, Part(observations(ORDER_VALUE, whole=True), "r.value"))


def _sales(needed: Sequence[Parts]) -> tuple[Decimal, Decimal | None, Decimal | None]:
    """Return the value of orders, else what was invoiced less credit notes."""
    (invoiced, _), (credited, _), (orders_won, _) = needed
    return orders_won or invoiced - credited, None, None


@kpi(
    name="Total sales revenue",
    family=Family.SALES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    sources="reseller performance metrics",
)
def total_sales_revenue() -> Shape:
    """Σ value of the orders won in the month; in a month without any, net invoiced less credit notes.

    Invoices hold one-off charges too. Without VAT, a currency by itself.
    """
    return derived(
        "flow",
        Need("total_invoiced"),
        Need("credit_notes"),
        Need("order_value", optional=True),
        combine=_sales,
    )


def _growth(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return sales less those before, over those before: of orders when both months have them, else of invoices."""
    invoiced, credited, invoiced_before, credited_before, won, won_before = (top for top, _ in needed)
    now, before = invoiced - credited, invoiced_before - credited_before
    if won and won_before:
        now, before = won, won_before
    return now - before, before, before


@kpi(
    name="Growth of sales",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    sources="reseller performance metrics",
)
def sales_growth() -> Shape:
    """(Sales of the month − sales of the month before) ÷ sales of the month before: 1,200 to 1,560 is 30 %.

    Value of orders where both months have them, else net invoiced less credit notes. Nothing before: n/a.
    """
    return derived(
        "flow",
        Need("total_invoiced"),
        Need("credit_notes"),
        Need("total_invoiced", ago=1),
        Need("credit_notes", ago=1),
        Need("order_value", optional=True),
        Need("order_value", ago=1, optional=True),
        combine=_growth,
    )


@kpi(
    name="Average order value",
    family=Family.SALES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SOLD,
    sources="reseller performance metrics",
)
def aov() -> Shape:
    """Value of the orders won ÷ orders won: 5,000 ÷ 100 is 50.

    Orders of another currency than your own name it on their line, so that each average has its own base.
    """
    return entered(VALUE, Part(observations(ORDERS, per_currency=True), "r.value"))


@kpi(
    name="Leads that buy",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=COME_BY,
    sources="reseller performance metrics",
)
def sales_conversion() -> Shape:
    """Leads won ÷ leads, both by the day the lead came in, so that a month's rate still grows as its leads decide."""
    return entered(Part(observations(LEADS_WON), "r.value"), ASKED)


@kpi(
    name="Visits that end in an order",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=COME_BY,
    sources="reseller performance metrics",
)
def visit_conversion() -> Shape:
    """Orders won ÷ visits of the same month: of 1,000 visits 1.5 % are 15 orders."""
    return entered(WON, Part(observations(VISITS), "r.value"))


def _won(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return orders won, over won and lost together."""
    (won, _), (lost, _) = needed
    return won, won + lost, won + lost


@kpi(
    name="Win rate",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=COME_BY,
)
def win_rate() -> Shape:
    """Orders won ÷ (orders won + deals lost) of the month: of what was decided, what was won."""
    return derived("flow", Need("orders"), Need("deals_lost"), combine=_won)


@kpi(
    name="Orders per quote",
    family=Family.SALES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=COME_BY,
)
def quote_to_order() -> Shape:
    """Orders won ÷ quotes sent in the month. It may exceed 100 % when orders follow quotes of months before."""
    return entered(WON, QUOTED)


@kpi(
    name="Sales cycle",
    family=Family.SALES,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=COME_BY,
)
def sales_cycle() -> Shape:
    """Mean days from first contact to order: the days entered, added, ÷ orders won of the month."""
    return entered(Part(observations(CYCLE_DAYS), "r.value"), WON)


@kpi(
    name="Value of open offers",
    family=Family.SALES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=("stage",),
)
def pipeline_value() -> Shape:
    """Σ value of the offers open on the last day of the month for which any are entered, by stage."""
    return entered(Part(observations(PIPELINE), "r.value"))
