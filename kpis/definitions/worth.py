"""What a customer is worth over its time, against what it costs to win one; and what the book may be worth."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, kpi, stock
from kpis.sources import BOOK, CUSTOMERS, FEATURE_MONEY
from resellerkpi.core.access import Capability

ZERO = Decimal(0)
MARGIN = Capability.VIEW_MARGIN
Three = tuple[Decimal, Decimal, Decimal]
NONE: Three = (ZERO, ZERO, ZERO)
REVENUE = Need("arpu", months=12)
CHURN = (Need("churn_customer", months=12), Need("churn_least", months=12))
EARNED = Need("gross_margin_customer", months=12)


@kpi(
    name="Least churn counted",
    family=Family.CUSTOMERS,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    settings=("life_cap_months",),
)
def churn_least() -> Shape:
    """1 ÷ the longest life of a customer that is counted (setting), over the customers at the close before.

    What values over a customer's life divide by where churn is less than this.
    """
    return stock(
        Part(CUSTOMERS, "round(r.was_active::int / %(life_cap_months)s::numeric, 6)"),
        Part(CUSTOMERS, "r.was_active::int"),
    )


def _lifetime(needed: Sequence[Parts]) -> Three:
    """Return revenue per customer over churn, capped; nobody lost, no value. The lost must not be few."""
    (revenue, customers), (lost, base), (least, _) = needed[:3]
    if lost <= 0 or not base:
        return NONE
    return revenue * base, (customers or ZERO) * max(lost, least), lost


def _margin(needed: Sequence[Parts]) -> Three:
    """Return the same × gross profit over revenue."""
    top, bottom, lost = _lifetime(needed)
    profit, revenue = needed[3]
    return top * profit, bottom * max(revenue or ZERO, ZERO), lost


@kpi(
    name="Customer lifetime value by churn",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    settings=("life_cap_months",),
    sources="ChartMogul, Baremetrics, ProfitWell",
    elsewhere=(
        ("ChartMogul", "revenue per account ÷ churn of the month; 0 when nobody left"),
        ("Baremetrics", "revenue per user ÷ user churn"),
        ("ProfitWell", "revenue per user ÷ (1 − retention), smoothed"),
    ),
)
def clv_churn() -> Shape:
    """Mean monthly revenue per customer ÷ mean monthly customer churn, both over the last 12 months.

    A life is counted up to a number of months (setting). Nobody lost: n/a, not 0. Fewer than 20 lost: small base.
    """
    return derived("cohort", REVENUE, *CHURN, combine=_lifetime)


@kpi(
    name="Customer lifetime margin",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    needs=MARGIN,
    settings=("life_cap_months",),
)
def clv_margin() -> Shape:
    """Mean monthly revenue per customer × gross margin ÷ mean monthly customer churn, all over the last 12 months.

    A life is counted up to a number of months (setting). Nobody lost: n/a.
    """
    return derived("cohort", REVENUE, *CHURN, EARNED, combine=_margin)


def _payback(needed: Sequence[Parts]) -> Three:
    """Return cost per new customer over revenue per customer × margin."""
    (spend, new), (revenue, customers), (profit, whole) = needed
    top = spend * (customers or ZERO) * max(whole or ZERO, ZERO)
    return top, (new or ZERO) * revenue * profit, new or ZERO


@kpi(
    name="Months until a customer pays back",
    family=Family.MARKETING,
    unit=Unit.MONTHS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    needs=MARGIN,
)
def payback_months() -> Shape:
    """Cost of winning a customer in the month ÷ (monthly revenue per customer × gross margin, over the last 12 months).

    No margin, nothing is ever paid back: n/a.
    """
    return derived("cohort", Need("cac"), REVENUE, EARNED, combine=_payback)


def _against(needed: Sequence[Parts]) -> Three:
    """Return lifetime margin over cost per new customer; the lost must not be few."""
    spend, new = needed[0]
    top, bottom, lost = _margin(needed[1:])
    return top * (new or ZERO), bottom * spend, lost


@kpi(
    name="Lifetime margin to cost of winning a customer",
    family=Family.MARKETING,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    needs=MARGIN,
    settings=("life_cap_months",),
    published=("Usual aim: 3",),
)
def ltv_cac() -> Shape:
    """Customer lifetime margin ÷ cost of winning a customer in the month; three is the usual aim."""
    return derived("cohort", Need("cac"), REVENUE, *CHURN, EARNED, combine=_against)


@kpi(
    name="Illustrative value of the book",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    estimate=True,
    settings=("value_multiple",),
    sources="Datagate",
)
def indicative_value() -> Shape:
    """MRR at the close × a multiple of yours (setting): illustrative, no valuation."""
    return stock(Part(FEATURE_MONEY, "round(r.mrr * %(value_multiple)s, 6)"))
