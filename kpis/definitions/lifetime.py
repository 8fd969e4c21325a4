"""How long customers stay and what they are worth over that time."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, cohort, derived, distribution, kpi
from kpis.measures import MEDIAN, MEDIAN_LIFE
from kpis.sources import BOOK, CUSTOMERS

LOST = "(r.was_active AND NOT r.active)"


@kpi(
    name="Stay of lost customers",
    family=Family.CUSTOMERS,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=3,
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


@kpi(
    name="Stay of active customers so far",
    family=Family.CUSTOMERS,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def customer_tenure() -> Shape:
    """Mean months from the first service to the close of the month, over active customers.

    A month is 30.4375 days. It is not over for any of them, so it says how old the book is, not how long customers
    stay.
    """
    return cohort(
        Part(CUSTOMERS, "CASE WHEN r.active THEN r.tenure_months ELSE 0 END"),
        Part(CUSTOMERS, "r.active::int"),
    )


@kpi(
    name="Median stay of active customers so far",
    family=Family.CUSTOMERS,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def customer_tenure_median() -> Shape:
    """The middle of the months from the first service to the close, over active customers; of two in the middle, the
    mean.
    """
    return distribution(Part(CUSTOMERS, "CASE WHEN r.active THEN r.tenure_months ELSE 0 END"), MEDIAN)


@kpi(
    name="Expected stay of a customer",
    family=Family.CUSTOMERS,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("segment",),
    sources="Kaplan-Meier",
)
def expected_life() -> Shape:
    """The stay that half of all customers reach, after Kaplan and Meier: customers who are still here count as far as
    they have come.

    Over everyone who had a service by the close, from the first service to the end of the last one or to the close.
    Fewer than 30 customers, or fewer than half of them expected to leave as far as can be seen: n/a.
    """
    return distribution(
        Part(CUSTOMERS, "CASE WHEN r.active THEN -r.tenure_months ELSE r.tenure_months END"), MEDIAN_LIFE
    )


def _yearly(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return 1 − (1 − churn of a month)¹² over 1, and the base of the month; no base, no rate."""
    ((lost, base),) = needed
    if not base or base <= 0:
        return Decimal(0), Decimal(0), Decimal(0)
    return 1 - (1 - lost / base) ** 12, Decimal(1), base


@kpi(
    name="Customer churn, a year of such months",
    family=Family.CUSTOMERS,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def churn_customer_yearly() -> Shape:
    """1 − (1 − customer churn of the month)¹²: what a year of such months would lose.

    Five per cent a month is 46 per cent a year.
    """
    return derived("movement", Need("churn_customer"), combine=_yearly)
