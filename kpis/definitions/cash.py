"""What is owed, how old it is, and whether collections work."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, listed, stock
from kpis.sources import BOOK, DEBT, MONEY

OWED = "(r.not_due + r.late_30 + r.late_60 + r.late_90 + r.late_more)"
LATE = "(r.late_30 + r.late_60 + r.late_90 + r.late_more)"


@kpi(
    name="Outstanding invoices",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=4,
    by=(*BOOK, "tag"),
    sources="SAFE",
    overview=True,
)
def outstanding() -> Shape:
    """Σ (gross − what payments and credit notes had settled) of the invoices open on the last day of the month.

    Including VAT. A settlement counts from its date up to, not including, the day it was reversed, so the figure is as
    of that day whatever came later. Money not yet allocated to an invoice is not netted.
    """
    return stock(listed(Part(MONEY, OWED), "tag"))


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
    settings=("ageing_basis",),
    elsewhere=(
        ("Kill Bill", "the whole amount from the day the invoice was made, whatever was paid since"),
        ("Many ledgers", "from the invoice date: a setting here"),
    ),
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
    version=3,
    by=BOOK,
    small_base=False,
    overview=True,
)
def overdue_share() -> Shape:
    """Open balance past its due date ÷ outstanding, on the last day of the month. Nothing outstanding: n/a."""
    return stock(
        Part(MONEY, LATE),
        Part(MONEY, OWED),
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
    name="Share of debt over 90 days",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def overdue_90_share() -> Shape:
    """Open balance more than 90 days past its due date ÷ outstanding, on the last day of the month."""
    return stock(Part(MONEY, "r.late_more"), Part(MONEY, OWED))


@kpi(
    name="Debt not due yet",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
)
def debt_not_due() -> Shape:
    """Open balance of invoices whose due date has not passed on the last day of the month; due today is not due yet."""
    return stock(Part(MONEY, "r.not_due"))


@kpi(
    name="Disputed debt",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
)
def debt_disputed() -> Shape:
    """Open balance, at the close, of invoices that are marked as disputed today."""
    return stock(Part(MONEY, "r.disputed"))


@kpi(
    name="Money on account",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
)
def on_account() -> Shape:
    """Payments received and not reversed, less what of them was allocated to invoices, on the last day of the month.

    It is not netted into what is outstanding.
    """
    return stock(Part(MONEY, "r.on_account"))


@kpi(
    name="Provision for bad debt",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("bucket", *BOOK),
    estimate=True,
    settings=("loss_not_due", "loss_30", "loss_60", "loss_90", "loss_more"),
)
def bad_debt_provision() -> Shape:
    """Σ open balance of each age × the loss expected of it (setting, in per cent), on the last day of the month."""
    return stock(
        Part(
            DEBT,
            "round(r.amount * CASE r.bucket WHEN 'not_due' THEN %(loss_not_due)s WHEN 'days_1_30' THEN %(loss_30)s"
            " WHEN 'days_31_60' THEN %(loss_60)s WHEN 'days_61_90' THEN %(loss_90)s ELSE %(loss_more)s END / 100, 6)",
        )
    )


@kpi(
    name="Cash allocated to invoices",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def cash_allocated() -> Shape:
    """Σ payments allocated to invoices in the month − allocations ended by a reversal in it.

    Outstanding at the start + total invoiced with VAT − cash allocated − credit allocated = outstanding at the
    close. An allocation older than its invoice counts from the invoice.
    """
    return flow(Part(MONEY, "r.settled_cash"))


@kpi(
    name="Credit notes allocated to invoices",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def credit_allocated() -> Shape:
    """Σ credit notes allocated to invoices in the month, each from its own date or that of its invoice."""
    return flow(Part(MONEY, "r.settled_credit"))


@kpi(
    name="Refunds",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def refunds() -> Shape:
    """Σ refunds paid to customers in the month. They are cash, never revenue."""
    return flow(Part(MONEY, "r.refunded"))


@kpi(
    name="Written off",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def write_offs() -> Shape:
    """Σ debt written off in the month. It lowers what is outstanding, never revenue."""
    return flow(Part(MONEY, "r.written_off"))
