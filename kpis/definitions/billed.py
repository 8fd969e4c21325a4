"""Customers that were billed: how many, and what each brought."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi
from kpis.sources import BOOK, MONEY, Source

#: Customers once each, whatever currencies they are billed in.
BILLED = Source(
    "billed",
    "(SELECT x.month, x.day, x.customer_id, max((x.average_invoices > 0)::int) AS billed FROM moneyfact x"
    " GROUP BY 1, 2, 3)",
    ("moneyfact",),
)


@kpi(
    name="Customers billed",
    family=Family.INVOICES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
)
def customers_billed() -> Shape:
    """Customers with at least one invoice above zero dated in the month that was not wholly credited in it.

    Active customers have a service; these were billed. Who is active and not billed is worth a look.
    """
    return flow(Part(BILLED, "r.billed"))


@kpi(
    name="Revenue per billed customer",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def arpc_billed() -> Shape:
    """What average invoice value divides ÷ customers with at least one such invoice in the month.

    It differs from the average invoice when customers get more than one.
    """
    return flow(Part(MONEY, "r.average_net"), Part(MONEY, "(r.average_invoices > 0)::int"))
