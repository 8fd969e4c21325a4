"""How long orders take: provisioning, porting numbers in, and what is not delivered yet."""

from billing.observed import OPEN_ORDER_DAYS, PORT_IN_DAYS, PROVISIONING_DAYS
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, distribution, entered, kpi, stock
from kpis.measures import MEDIAN
from kpis.sources import observations

PROVISIONED = observations(PROVISIONING_DAYS)
PORTED = observations(PORT_IN_DAYS)
OPEN = observations(OPEN_ORDER_DAYS)
#: A line without an order says that none was open: it counts for nothing.
ORDERS = Part(OPEN, "(r.order <> '')::int")


@kpi(
    name="Provisioning time",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def provisioning_time() -> Shape:
    """Mean days from order to service working, over the orders provisioned in the month: 3 and 6 days are 4.5.

    Each line is one order, in the month in which its service worked. Orders still open are not in it.
    """
    return entered(Part(PROVISIONED, "r.value"), Part(PROVISIONED, "1"))


@kpi(
    name="Median provisioning time",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
)
def provisioning_median() -> Shape:
    """The middle of the days from order to service working, over the orders provisioned in the month.

    Of two in the middle, the mean. An order that took 0 days counts.
    """
    return distribution(Part(PROVISIONED, "r.value"), MEDIAN)


@kpi(
    name="Port-in time",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def port_in_time() -> Shape:
    """Mean days from the request to port to the number working here, over the ports completed in the month.

    Each line is one port, whatever the numbers in it. Ports refused or still open are not in it.
    """
    return entered(Part(PORTED, "r.value"), Part(PORTED, "1"))


@kpi(
    name="Median port-in time",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
)
def port_in_median() -> Shape:
    """The middle of the days from the request to port to the number working here, over the ports of the month.

    Of two in the middle, the mean. A port that took 0 days counts.
    """
    return distribution(Part(PORTED, "r.value"), MEDIAN)


@kpi(
    name="Orders not delivered yet",
    family=Family.OPERATIONS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
)
def open_orders() -> Shape:
    """Number of the orders not delivered on the last day of the month for which any are entered.

    A line of 0 without an order says that none was open.
    """
    return stock(ORDERS)


@kpi(
    name="Age of orders not delivered yet",
    family=Family.OPERATIONS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def open_orders_age() -> Shape:
    """Mean days the orders not delivered yet have been open, on the last day of the month for which any are entered.

    None open: n/a.
    """
    return stock(Part(OPEN, "CASE WHEN r.order <> '' THEN r.value ELSE 0 END"), ORDERS)
