"""Customers that need attention: newcomers who have not settled in, and those who quietly reduce."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, stock
from kpis.sources import BOOK, CUSTOMERS, FADING, Source

#: Fewer numbers than at the close before in two of the last three months, or a fifth fewer than three months ago.
_LESS = "((r.n0 < r.n1)::int + (r.n1 < r.n2)::int + (r.n2 < r.n3)::int >= 2 OR (r.n3 > 0 AND r.n0 * 5 <= r.n3 * 4))"
DECLINING = f"coalesce(r.active AND {_LESS}, false)"
#: The MRR of a customer beside its numbers at the last closes.
FADING_MONEY = Source(
    "fading_money",
    " ".join(
        [
            "(SELECT f.*, m.currency, m.mrr FROM",
            FADING.rows,
            "f JOIN movementfact m ON m.customer_id = f.customer_id AND m.month = f.month)",
        ]
    ),
    ("customerfact", "movementfact"),
    "r.currency",
    window=3,
)
#: Newcomers with what they have paid and called so far.
NEWCOMERS = Source(
    "newcomers",
    "(SELECT d.month, d.day, x.customer_id, coalesce(sum(e.settled), 0) AS settled, coalesce(sum(e.calls), 0) AS calls"
    " FROM {last 4} d JOIN customerfact x ON x.month = d.month AND x.active AND x.since > d.day - 90"
    " LEFT JOIN (SELECT customer_id, month, settled_cash AS settled, 0 AS calls FROM moneyfact"
    " UNION ALL SELECT customer_id, month, 0, calls FROM usagefact) e ON e.customer_id = x.customer_id"
    " AND e.month = d.at GROUP BY 1, 2, 3)",
    ("customerfact", "moneyfact", "usagefact"),
    window=3,
)


@kpi(
    name="Customers quietly reducing",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
    sources="SAFE",
    overview=True,
)
def declining_customers() -> Shape:
    """Active customers with fewer numbers than at the close before in two of the last three months, or a fifth fewer.

    A fifth fewer is measured against three months ago. Who left is not in it: see customers lost.
    """
    return stock(Part(FADING, f"({DECLINING})::int"))


@kpi(
    name="Recurring revenue of customers quietly reducing",
    family=Family.CUSTOMERS,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
)
def at_risk_mrr() -> Shape:
    """MRR, at the close, of the customers that are quietly reducing."""
    return stock(Part(FADING_MONEY, f"CASE WHEN {DECLINING} THEN r.mrr ELSE 0 END"))


@kpi(
    name="Customers in their first 90 days",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
)
def early_life() -> Shape:
    """Active customers whose first service began less than 90 days before the close."""
    return stock(Part(CUSTOMERS, "(r.active AND r.since > r.day - 90)::int"))


@kpi(
    name="New customers that need attention",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
    sources="SAFE",
)
def onboarding() -> Shape:
    """Active customers in their first 90 days that have not paid anything yet or have not made a call yet.

    Paid: cash allocated to their invoices in this month and the three before. Open tickets are not looked at.
    """
    return stock(Part(NEWCOMERS, "(r.settled <= 0 OR r.calls = 0)::int"))
