"""What is owed, how old it is, and whether collections work."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import ATTEMPT_MONEY, ATTEMPTS, BOOK, DEBT, MONEY


@kpi(
    name="Outstanding invoices",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
    sources="SAFE",
    overview=True,
)
def outstanding() -> Shape:
    """Σ (gross − what payments and credit notes had settled) of the invoices open on the last day of the month.

    Including VAT. A settlement counts from its date up to, not including, the day it was reversed, so the figure is as
    of that day whatever came later. Money not yet allocated to an invoice is not netted.
    """
    return stock(Part(MONEY, "r.not_due + r.late_30 + r.late_60 + r.late_90 + r.late_more"))


@kpi(
    name="Aged debt",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=("bucket", *BOOK),
    sources="SAFE",
    overview=True,
)
def aged_debt() -> Shape:
    """Open balance of invoices by days past the due date on the last day of the month.

    Buckets: not due, 1–30, 31–60, 61–90, 91+. The balance is aged, not the original amount; due today is not due yet.
    The buckets add up to outstanding.
    """
    return stock(Part(DEBT, "r.amount"))


@kpi(
    name="Share of debt past due",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
    small_base=False,
    overview=True,
)
def overdue_share() -> Shape:
    """Open balance past its due date ÷ outstanding, on the last day of the month. Nothing outstanding: n/a."""
    return stock(
        Part(MONEY, "r.late_30 + r.late_60 + r.late_90 + r.late_more"),
        Part(MONEY, "r.not_due + r.late_30 + r.late_60 + r.late_90 + r.late_more"),
    )


@kpi(
    name="Cash collected",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=2,
    by=BOOK,
    overview=True,
)
def cash_collected() -> Shape:
    """Σ payments received in the month − Σ payments reversed in the month, each at its own date."""
    return flow(Part(MONEY, "r.paid"))


@kpi(
    name="First-time payment success",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=("method", *BOOK),
    sources="SAFE",
    overview=True,
)
def payment_first_time_success() -> Shape:
    """First presentations paid ÷ first presentations that ended paid or failed, by the date of the outcome.

    Pending ones and those cancelled by us are on neither side. A later reversal does not restate it.
    """
    return flow(Part(ATTEMPTS, "(r.outcome = 'paid')::int"), Part(ATTEMPTS, "1"))


@kpi(
    name="First-time payment success by value",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=("method", *BOOK),
    small_base=False,
)
def payment_first_time_success_value() -> Shape:
    """Amount of first presentations paid ÷ amount of first presentations that ended paid or failed, by outcome date."""
    return flow(
        Part(ATTEMPT_MONEY, "CASE WHEN r.outcome = 'paid' THEN r.amount ELSE 0 END"),
        Part(ATTEMPT_MONEY, "r.amount"),
    )
