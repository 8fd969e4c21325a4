"""How much of what could be collected was, and days outstanding on the average debt."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.definitions.collection import DAYS
from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, kpi, stock
from kpis.sources import BOOK, MONEY, Source, trailing

#: Half the debt of this close and of the one before, and the sales between them.
MEAN_DEBT = Source(
    "mean_debt",
    trailing(
        "moneyfact",
        2,
        "x.currency, (x.not_due + x.late_30 + x.late_60 + x.late_90 + x.late_more) / 2 AS owed,"
        " CASE WHEN x.month = d.month THEN x.gross - x.credited_gross ELSE 0 END AS sales",
    ),
    ("moneyfact",),
    "r.currency",
    window=1,
)
CURRENT = "r.not_due + CASE WHEN %(cei_current)s = 'days_60' THEN r.late_30 + r.late_60 ELSE 0 END"


@kpi(
    name="Days sales outstanding on the average debt",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def dso_average() -> Shape:
    """Mean of the debt at the close before and at the close × days of the month ÷ (invoiced with VAT less credit
    notes) of the month.

    It swings less than the simple form when bills are dated late in the month. Nothing invoiced: n/a.
    """
    return stock(Part(MEAN_DEBT, f"r.owed * {DAYS}"), Part(MEAN_DEBT, "r.sales"))


@kpi(
    name="Debt taken as current",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    settings=("cei_current",),
)
def debt_current() -> Shape:
    """Debt at the close that collection could not have brought yet: not due, or at most 60 days past due if so set."""
    return stock(Part(MONEY, CURRENT))


def _effectiveness(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return what was collected and what could have been: opening + sales − closing, − closing that is current."""
    (opening, _), (sales, _), (closing, _), (current, _) = needed
    return opening + sales - closing, opening + sales - current, opening + sales - current


@kpi(
    name="Collection effectiveness",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
    small_base=False,
    settings=("cei_current",),
    elsewhere=(
        ("YayPay, CreditGuru", "current debt is what is not past due, as here"),
        ("Gaviti", "current debt is what is up to 60 days past due: a setting here"),
    ),
    published=("YayPay: median of all industries about 85 %",),
)
def cei() -> Shape:
    """(Opening debt + invoiced − closing debt) ÷ (opening debt + invoiced − closing debt that is current), all with
    VAT.

    100 % is everything collected that was due. Current is debt not due yet, or by a setting at most 60 days past due.
    Credit notes count as collected.
    """
    return derived(
        "flow",
        Need("outstanding", ago=1),
        Need("total_invoiced_gross"),
        Need("outstanding"),
        Need("debt_current"),
        combine=_effectiveness,
    )


def _of_a_quarter(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return the same with a month's sales: those of three months ÷ 3."""
    opening, (sales, _), *rest = needed
    return _effectiveness([opening, (sales / 3, None), *rest])


@kpi(
    name="Collection effectiveness of three months",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    settings=("cei_current",),
)
def cei_quarter() -> Shape:
    """(Debt three closes before + a month's sales − closing debt) ÷ (the same − closing debt that is current), a
    month's sales being a third of what was invoiced with VAT in the three months.

    The form for several months, with monthly mean sales.
    """
    return derived(
        "flow",
        Need("outstanding", ago=3),
        Need("total_invoiced_gross", months=3),
        Need("outstanding"),
        Need("debt_current"),
        combine=_of_a_quarter,
    )
