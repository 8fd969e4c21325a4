"""How fast money comes in: days sales outstanding, collection effectiveness, rates by age of the bill."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.definitions.cash import LATE, OWED
from kpis.kpi import (
    Family,
    Good,
    Need,
    Part,
    Parts,
    Rollup,
    Shape,
    Unit,
    derived,
    distribution,
    flow,
    kpi,
    stock,
)
from kpis.measures import MEDIAN
from kpis.sources import BOOK, MONEY, SETTLED, Source

MONTH = Decimal("30.4375")
#: Days of the month so far, the close included.
DAYS = "(r.day - r.month + 1)"
SALES = "(r.gross - r.credited_gross)"


@kpi(
    name="Days sales outstanding",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    overview=True,
    elsewhere=(
        ("Others", "the mean of the debt at the start and the close: see on the average debt"),
        ("Others", "counted back month by month: see counted back"),
    ),
    published=("CreditGuru: up to 1⅓ to 1½ times the payment terms is reasonable",),
)
def dso() -> Shape:
    """Outstanding at the close × days of the month ÷ (invoiced with VAT less credit notes) of the month.

    Both sides with VAT. Nothing invoiced: n/a. In an open month the days so far count.
    """
    return stock(Part(MONEY, f"{OWED} * {DAYS}"), Part(MONEY, SALES))


@kpi(
    name="Best possible days sales outstanding",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def bpdso() -> Shape:
    """Debt not due yet at the close × days of the month ÷ (invoiced with VAT less credit notes) of the month.

    What the days would be if nobody paid late.
    """
    return stock(Part(MONEY, f"r.not_due * {DAYS}"), Part(MONEY, SALES))


@kpi(
    name="Average days delinquent",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def days_delinquent() -> Shape:
    """Days sales outstanding − best possible days: debt past due × days of the month ÷ invoiced of the month."""
    return stock(Part(MONEY, f"{LATE} * {DAYS}"), Part(MONEY, SALES))


def _count_back(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return the days over 1: whole months of sales that the debt still covers, and the part of the next one."""
    (owed, _), *sales = needed
    days = Decimal(0)
    for invoiced, _ in sales:
        if owed <= 0 or invoiced <= 0:
            break
        days += MONTH * min(owed / invoiced, Decimal(1))
        owed -= min(owed, invoiced)
    return days, Decimal(int(any(invoiced for invoiced, _ in sales))), Decimal(0)


@kpi(
    name="Days sales outstanding, counted back",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def dso_count_back() -> Shape:
    """Months of sales with VAT, this one first, that add up to what is outstanding, × 30.4375 days; at most twelve
    months.

    It holds when bills differ from month to month. A month without sales ends the count.
    """
    return derived(
        "stock",
        Need("outstanding"),
        *[Need("total_invoiced_gross", ago=i) for i in range(12)],
        combine=_count_back,
    )


def _collected(months: int) -> Source:
    """Return the invoices of so many months ago with what cash had settled of them within 30 days a month."""
    return Source(
        f"collected_{months}",
        " ".join(
            [
                "(SELECT d.month, d.day, i.customer_id, i.currency, i.id, i.gross, coalesce(sum(a.amount), 0) AS cash",
                "FROM days d JOIN billing_invoice i",
                "ON i.reseller_id = %(reseller)s AND i.state <> 'draft' AND i.gross > 0",
                f"AND {{i.invoice_date}} = (d.month - interval '{months} months')::date {{mine i.customer_id}}",
                "LEFT JOIN billing_allocation a ON a.reseller_id = %(reseller)s AND a.invoice_id = i.id",
                "AND a.payment_id IS NOT NULL AND a.date <= least(d.day, i.invoice_date +",
                str(30 * months),
                ") AND (a.ended_date IS NULL OR a.ended_date > d.day) WHERE d.asked GROUP BY 1, 2, 3, 4, 5, 6)",
            ]
        ),
        (),
        "r.currency",
    )


@kpi(
    name="Collected within 30 days",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def collection_rate_30() -> Shape:
    """Cash allocated within 30 days to the invoices dated the month before ÷ their total with VAT.

    As it stands at the close; a reversed payment does not count.
    """
    return flow(Part(_collected(1), "r.cash"), Part(_collected(1), "r.gross"))


@kpi(
    name="Collected within 60 days",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def collection_rate_60() -> Shape:
    """Cash allocated within 60 days to the invoices dated two months before ÷ their total with VAT.

    As it stands at the close; a reversed payment does not count.
    """
    return flow(Part(_collected(2), "r.cash"), Part(_collected(2), "r.gross"))


@kpi(
    name="Collected within 90 days",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def collection_rate_90() -> Shape:
    """Cash allocated within 90 days to the invoices dated three months before ÷ their total with VAT.

    As it stands at the close; a reversed payment does not count.
    """
    return flow(Part(_collected(3), "r.cash"), Part(_collected(3), "r.gross"))


@kpi(
    name="Days paid after the due date",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def days_to_pay() -> Shape:
    """Mean of (day settled − due date) over the invoices that cash settled in the month; early is below zero.

    An invoice is settled on the day of the last allocation that brings it to zero, a payment among them.
    """
    return flow(Part(SETTLED, "r.late"), Part(SETTLED, "1"))


@kpi(
    name="Median days paid after the due date",
    family=Family.CASH,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
)
def days_to_pay_median() -> Shape:
    """The middle of (day settled − due date) over the invoices that cash settled in the month.

    Of two in the middle, the mean. One settled on its due date counts as 0, an early one below zero.
    """
    return distribution(Part(SETTLED, "r.late"), MEDIAN)


#: Customers by how many of their last three invoices due were paid late or are unpaid past their day. Of an invoice
#: from which nothing was taken back that is the same at every close after its due date: settled by then or not.
LATENESS = Source(
    "lateness",
    "(SELECT d.month, d.day, i.customer_id, count(*) FILTER (WHERE CASE WHEN i.taken_back = 0 THEN i.is_late ELSE ("
    " SELECT coalesce(sum(a.amount), 0) < i.gross OR max(a.date) > i.due_date FROM billing_allocation a"
    " WHERE a.reseller_id = %(reseller)s AND a.invoice_id = i.id AND a.date <= d.day"
    " AND (a.ended_date IS NULL OR a.ended_date > d.day)) END) AS late"
    " FROM days d JOIN (SELECT i.id, i.customer_id, i.gross, i.due_date, coalesce(s.taken_back, 0) AS taken_back,"
    " coalesce(s.amount < i.gross OR s.last_date > i.due_date, true) AS is_late,"
    " lead(i.due_date, 3) OVER (PARTITION BY i.customer_id ORDER BY i.due_date, i.id) AS third_after"
    " FROM billing_invoice i LEFT JOIN (SELECT invoice_id, sum(amount) AS amount, max(date) AS last_date,"
    " count(ended_date) AS taken_back FROM billing_allocation WHERE reseller_id = %(reseller)s {bill invoice_id}"
    " GROUP BY 1) s ON s.invoice_id = i.id"
    " WHERE i.reseller_id = %(reseller)s AND i.state <> 'draft' AND i.gross > 0 {mine i.customer_id}) i"
    " ON i.due_date < d.day AND i.due_date > d.day - 190 AND (i.third_after IS NULL OR i.third_after >= d.day)"
    " WHERE d.asked GROUP BY 1, 2, 3)",
)


@kpi(
    name="Customers that often pay late",
    family=Family.CASH,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
    sources="SAFE",
)
def late_payers() -> Shape:
    """Customers of whose last three invoices due two or more were settled after the due date, or are open past it.

    Invoices that fell due within 190 days before the close.
    """
    return stock(Part(LATENESS, "(r.late >= 2)::int"))
