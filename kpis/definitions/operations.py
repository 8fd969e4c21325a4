"""Operations: cost of running, deliveries, stock, returns."""

from collections.abc import Sequence
from decimal import Decimal

from billing.observed import (
    COST_OF_GOODS,
    DELIVERED_ON_TIME,
    DELIVERY_HOURS,
    OPERATING_COST,
    RETURNED,
    SHIPPED,
    STOCK_CLOSING,
    STOCK_OPENING,
)
from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, distribution, entered, kpi
from kpis.measures import MEDIAN
from kpis.sources import CUSTOMERS, MONEY, observations
from resellerkpi.core.access import Capability

SPENT = Part(observations(OPERATING_COST), "r.value")
DELIVERIES = observations(DELIVERY_HOURS)
DAYS = "round(r.value / 24, 6)"
SENT = Part(observations(SHIPPED), "r.value")
CATEGORY = ("category",)


@kpi(
    name="Operating cost",
    family=Family.OPERATIONS,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=CATEGORY,
    needs=Capability.VIEW_MARGIN,
    sources="reseller performance metrics",
)
def operational_costs() -> Shape:
    """Σ operating cost of the month by category, as entered or uploaded: salaries, rent, tools, vehicles."""
    return entered(SPENT)


@kpi(
    name="Operating cost per customer",
    family=Family.OPERATIONS,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=CATEGORY,
    needs=Capability.VIEW_MARGIN,
)
def operational_cost_per_customer() -> Shape:
    """Operating cost of the month ÷ active customers at its close."""
    return entered(SPENT, Part(CUSTOMERS, "r.active::int"))


@kpi(
    name="Operating cost of revenue",
    family=Family.OPERATIONS,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def opex_ratio() -> Shape:
    """Operating cost ÷ net invoiced less credit notes of the month, a currency by itself."""
    return entered(
        Part(observations(OPERATING_COST, whole=True), "r.value"), Part(MONEY, "r.net - r.credited_net")
    )


@kpi(
    name="Orders delivered",
    family=Family.OPERATIONS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
)
def orders_delivered() -> Shape:
    """Number of the orders delivered in the month: the lines with hours from order to delivery."""
    return entered(Part(DELIVERIES, "1"))


@kpi(
    name="Time from order to delivery",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    sources="reseller performance metrics",
)
def order_fulfilment_time() -> Shape:
    """Mean of (delivered − ordered) over the orders delivered in the month, in days of 24 hours: 120 hours are 5 days.

    Orders not delivered yet are not in it.
    """
    return entered(Part(DELIVERIES, DAYS), Part(DELIVERIES, "1"))


@kpi(
    name="Median time from order to delivery",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
)
def order_fulfilment_median() -> Shape:
    """The middle of (delivered − ordered) over the orders delivered in the month, in days of 24 hours; of two in the
    middle, the mean. An order delivered at once, in 0 hours, counts.
    """
    return distribution(Part(DELIVERIES, DAYS), MEDIAN)


@kpi(
    name="Orders delivered on time",
    family=Family.OPERATIONS,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
)
def delivered_on_time() -> Shape:
    """Orders that came by the day promised ÷ orders delivered in the month."""
    return entered(Part(observations(DELIVERED_ON_TIME), "r.value"), Part(DELIVERIES, "1"))


@kpi(
    name="Cost of goods sold",
    family=Family.OPERATIONS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    needs=Capability.VIEW_MARGIN,
)
def cost_of_goods_sold() -> Shape:
    """Σ of what the goods sold in the month had cost: handsets, routers, as entered or uploaded."""
    return entered(Part(observations(COST_OF_GOODS), "r.value"))


@kpi(
    name="Stock at the start of the month",
    family=Family.OPERATIONS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    needs=Capability.VIEW_MARGIN,
)
def stock_opening() -> Shape:
    """Value of the stock at the start of the month: the line of the first day entered."""
    return entered(Part(observations(STOCK_OPENING), "r.value"))


@kpi(
    name="Stock at the end of the month",
    family=Family.OPERATIONS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    needs=Capability.VIEW_MARGIN,
)
def stock_closing() -> Shape:
    """Value of the stock at the end of the month: the line of the last day entered."""
    return entered(Part(observations(STOCK_CLOSING), "r.value"))


def _turnover(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return twice the cost of goods sold, over opening and closing stock together."""
    (cost, _), (opening, _), (closing, _) = needed
    return 2 * cost, opening + closing, opening + closing


def _days(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return 365 times the mean stock, over the cost of goods sold."""
    (cost, _), (opening, _), (closing, _) = needed
    return 365 * (opening + closing) / 2, cost, cost


@kpi(
    name="Stock turnover in a year",
    family=Family.OPERATIONS,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
    sources="reseller performance metrics",
)
def inventory_turnover() -> Shape:
    """Cost of the goods sold in 12 months ÷ mean of the stock at their start and at their end.

    199 ÷ ((26.6 + 24.4) ÷ 2) is 7.8 times a year. Each of the months needs its cost; no stock: n/a.
    """
    return derived(
        "flow",
        Need("cost_of_goods_sold", months=12),
        Need("stock_opening", ago=11),
        Need("stock_closing"),
        combine=_turnover,
    )


@kpi(
    name="Days goods lie in stock",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def inventory_days() -> Shape:
    """365 ÷ stock turnover in a year: 429 ÷ ((56.5 + 44.9) ÷ 2) is 8.5 times, 43 days. Nothing sold: n/a."""
    return derived(
        "flow",
        Need("cost_of_goods_sold", months=12),
        Need("stock_opening", ago=11),
        Need("stock_closing"),
        combine=_days,
    )


@kpi(
    name="Units shipped",
    family=Family.OPERATIONS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("item",),
)
def units_shipped() -> Shape:
    """Σ units shipped in the month, as entered or uploaded; by product."""
    return entered(SENT)


@kpi(
    name="Return rate",
    family=Family.OPERATIONS,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("item",),
    sources="reseller performance metrics",
)
def return_rate() -> Shape:
    """Units that came back ÷ units shipped, both by the day they were shipped: 500 of 10,000 are 5 %.

    A month's rate still grows while its goods may be sent back.
    """
    return entered(Part(observations(RETURNED), "r.value"), SENT)
