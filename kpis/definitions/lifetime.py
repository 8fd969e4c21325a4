"""How long customers stay and what they are worth over that time."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, cohort, derived, kpi
from kpis.sources import BOOK, CUSTOMERS

LOST = "(r.was_active AND NOT r.active)"


@kpi(
    name="Stay of lost customers",
    family=Family.CUSTOMERS,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
)
def tenure_lost() -> Shape:
    """Mean months from the first service to the end of the last one, over customers lost in the month.

    A month is 30.4375 days. Customers who are still here are not in it, so it understates how long customers stay.
    """
    return cohort(
        Part(CUSTOMERS, f"CASE WHEN {LOST} THEN r.tenure_months ELSE 0 END"), Part(CUSTOMERS, f"{LOST}::int")
    )


def _value(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return revenue × months, customers × customers lost, and the customers lost: the base not to be small."""
    (revenue, customers), (tenure, lost) = needed
    lost = lost or Decimal(0)
    return revenue * tenure, (customers or Decimal(0)) * lost, lost


@kpi(
    name="Customer lifetime value",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
    sources="BluSynergy (simple form)",
    headline=5,
)
def clv() -> Shape:
    """Mean monthly revenue per customer × mean months of stay of the customers lost, both over the last 12 months.

    Revenue per customer is service revenue ÷ average customers of those months. Fewer than 20 customers lost: small
    base. None lost: n/a, not 0 and not infinite.
    """
    return derived("cohort", Need("arpu", months=12), Need("tenure_lost", months=12), combine=_value)
