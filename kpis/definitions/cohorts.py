"""Customers and their recurring revenue by the month they came: who is still there, and what they bring."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, cohort, kpi
from kpis.sources import ALWAYS, BOOK, Source

#: Every customer under the month its first service began, if it was there at the close of that month.
CUSTOMERS_SINCE = Source(
    "customers_since",
    "(SELECT d.month, d.day, x.customer_id, to_char(x.since, 'YYYY-MM') AS cohort, x.active FROM days d"
    " JOIN customerfact x ON x.month = d.month JOIN customerfact f ON f.customer_id = x.customer_id"
    " AND f.month = date_trunc('month', x.since)::date AND f.active WHERE d.asked)",
    ("customerfact",),
    own={"cohort": "r.cohort"},
    window=ALWAYS,
)
#: Every customer under the month of its first MRR: then and now.
REVENUE_SINCE = Source(
    "revenue_since",
    "(SELECT d.month, d.day, f.customer_id, f.currency, to_char(f.month, 'YYYY-MM') AS cohort, f.mrr AS mrr_then,"
    " coalesce(x.mrr, 0) AS mrr FROM days d JOIN movementfact f ON f.month <= d.month AND f.mrr > 0"
    " AND f.mrr_past = 0 AND NOT f.seen_before LEFT JOIN movementfact x ON x.month = d.month"
    " AND x.customer_id = f.customer_id AND x.currency = f.currency WHERE d.asked)",
    ("movementfact",),
    "r.currency",
    {"cohort": "r.cohort"},
    window=ALWAYS,
)
#: Customers with MRR at the close twelve months before: then and now.
YEAR_AGO = Source(
    "year_ago",
    "(SELECT d.month, d.day, f.customer_id, f.currency, f.mrr AS mrr_then, coalesce(x.mrr, 0) AS mrr FROM days d"
    " JOIN movementfact f ON f.month = (d.month - interval '12 months')::date AND f.mrr > 0"
    " LEFT JOIN movementfact x ON x.month = d.month AND x.customer_id = f.customer_id AND x.currency = f.currency"
    " WHERE d.asked)",
    ("movementfact",),
    "r.currency",
    window=12,
)
THEN = Part(YEAR_AGO, "r.mrr_then")


@kpi(
    name="Customers still here by the month they came",
    family=Family.CUSTOMERS,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("cohort",),
    sources="ChartMogul",
)
def cohort_retention_customers() -> Shape:
    """Customers of a month active at the close ÷ customers of that month; a customer is of the month in which its
    first service began.

    Of the total: all customers there ever were. Who joined and left within one month is in neither. A customer that
    comes back counts in its old month again.
    """
    return cohort(Part(CUSTOMERS_SINCE, "r.active::int"), Part(CUSTOMERS_SINCE, "1"))


@kpi(
    name="Recurring revenue still here by the month it came",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("cohort",),
    small_base=False,
    sources="ChartMogul",
)
def cohort_retention_mrr() -> Shape:
    """MRR at the close of the customers of a month ÷ their MRR at the close of that month; a customer is of the month
    at whose close it first had MRR.

    Above 100 % where those who stayed grew by more than was lost.
    """
    return cohort(Part(REVENUE_SINCE, "r.mrr"), Part(REVENUE_SINCE, "r.mrr_then"))


@kpi(
    name="Gross revenue retention of a year",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="SaaS Metrics Standards Board",
    published=("SaaS Metrics Standards Board: a quarter under 82 %, median 91 %, a quarter above 95 %",),
)
def grr_year() -> Shape:
    """MRR at the close of the customers that had some twelve months before, of each at most what it was then ÷ their
    MRR then.
    """
    return cohort(Part(YEAR_AGO, "least(r.mrr, r.mrr_then)"), THEN)


@kpi(
    name="Net revenue retention of a year",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="SaaS Metrics Standards Board",
)
def nrr_year() -> Shape:
    """MRR at the close of the customers that had some twelve months before ÷ their MRR then.

    A customer that left and came back within the year is in it with what it brings now.
    """
    return cohort(Part(YEAR_AGO, "r.mrr"), THEN)
