"""Numbers under management."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, distribution, flow, kpi, movement, stock
from kpis.measures import MEDIAN
from kpis.sources import BOOK, CUSTOMERS, NUMBERS, Source

SPLITS = ("number_type", *BOOK)
#: Numbers customers have at the close, with the carrier that supplies them on that day.
SUPPLIED = Source(
    "supplied_numbers",
    "(SELECT d.month, d.day, a.customer_id, coalesce(v.code, '') AS carrier FROM days d"
    " JOIN billing_numberassignment a ON a.reseller_id = %(reseller)s AND a.start_date <= d.day"
    " AND (a.end_date IS NULL OR a.end_date > d.day) {mine a.customer_id}"
    " LEFT JOIN billing_supply s ON s.reseller_id = %(reseller)s AND s.number_id = a.number_id"
    " AND s.start_date <= d.day AND (s.end_date IS NULL OR s.end_date > d.day)"
    " LEFT JOIN billing_carrier v ON v.id = s.carrier_id AND v.reseller_id = %(reseller)s WHERE d.asked)",
    own={"carrier": "r.carrier"},
)


@kpi(
    name="Numbers under management",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=3,
    by=(*SPLITS, "carrier"),
    sources="SAFE",
    overview=True,
)
def numbers_total() -> Shape:
    """Numbers assigned to a customer on the last day of the month.

    Numbers in stock, assigned to nobody, do not count. A number's carrier is the one that supplies it on that day.
    """
    return stock(Part(NUMBERS, "r.held", by={"carrier": Part(SUPPLIED, "1")}))


@kpi(
    name="Numbers added",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_added() -> Shape:
    """Numbers a customer has at the close of the month and did not have at the close before.

    Open + added − removed = close. A number that moves from one customer to another is removed
    from the first and added to the second.
    """
    return movement(Part(NUMBERS, "r.added"))


@kpi(
    name="Numbers removed",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_removed() -> Shape:
    """Numbers a customer had at the close before and does not have at the close of the month."""
    return movement(Part(NUMBERS, "r.removed"))


@kpi(
    name="Numbers per customer",
    family=Family.NUMBERS,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=3,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_per_customer() -> Shape:
    """Numbers under management ÷ customers with at least one number, on the last day of the month.

    By type of number, the base is the customers with a number of that type.
    """
    having = Part(CUSTOMERS, "(r.numbers > 0)::int", by={"number_type": Part(NUMBERS, "(r.held > 0)::int")})
    return stock(Part(NUMBERS, "r.held"), having)


@kpi(
    name="Net change in numbers",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=SPLITS,
    sources="SAFE",
)
def numbers_net() -> Shape:
    """Numbers added − numbers removed in the month: close − open."""
    return movement(Part(NUMBERS, "r.added - r.removed"))


@kpi(
    name="Number churn",
    family=Family.NUMBERS,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def number_churn() -> Shape:
    """Numbers removed in the month ÷ numbers held at its start."""
    return movement(Part(NUMBERS, "r.removed"), Part(NUMBERS, "r.held - r.added + r.removed"))


@kpi(
    name="Numbers per customer, all customers",
    family=Family.NUMBERS,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def numbers_per_customer_all() -> Shape:
    """Numbers under management ÷ all active customers, with and without numbers, on the last day of the month."""
    return stock(Part(NUMBERS, "r.held"), Part(CUSTOMERS, "r.active::int"))


@kpi(
    name="Median numbers of a customer",
    family=Family.NUMBERS,
    unit=Unit.RATIO,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def numbers_per_customer_median() -> Shape:
    """The middle count of numbers over customers with at least one, on the last day of the month."""
    return distribution(Part(NUMBERS, "r.held"), MEDIAN)


#: Numbers held at the close with whether one of their calls is younger than 90 days.
USED = Source(
    "used",
    "(SELECT d.month, d.day, a.customer_id, n.type AS number_type, coalesce(u.last_day > d.day - 90, false) AS used"
    " FROM days d JOIN billing_numberassignment a ON a.reseller_id = %(reseller)s AND a.start_date <= d.day"
    " AND (a.end_date IS NULL OR a.end_date > d.day) {mine a.customer_id}"
    " JOIN billing_number n ON n.id = a.number_id AND n.reseller_id = %(reseller)s"
    " LEFT JOIN (SELECT e.day, x.number_id, x.customer_id, max(x.last_day) AS last_day FROM {last 4} e"
    " JOIN callingfact x ON x.month = e.at GROUP BY 1, 2, 3) u"
    " ON u.day = d.day AND u.number_id = a.number_id AND u.customer_id = a.customer_id WHERE d.asked)",
    ("callingfact",),
    own={"number_type": "r.number_type"},
    window=3,
)
#: Days for which numbers were assigned in the month so far.
HELD_DAYS = Source(
    "held_days",
    "(SELECT d.month, d.day, a.customer_id, n.type AS number_type,"
    " least(d.day + 1, coalesce(a.end_date, d.day + 1)) - greatest(d.month, a.start_date) AS days"
    " FROM days d JOIN billing_numberassignment a ON a.reseller_id = %(reseller)s AND a.start_date <= d.day"
    " AND (a.end_date IS NULL OR a.end_date > d.month) {mine a.customer_id}"
    " JOIN billing_number n ON n.id = a.number_id AND n.reseller_id = %(reseller)s WHERE d.asked)",
    own={"number_type": "r.number_type"},
)
#: Numbers of the book that nobody had at the close.
STOCK = Source(
    "number_stock",
    "(SELECT d.month, d.day, n.type AS number_type FROM days d JOIN billing_number n ON n.reseller_id = %(reseller)s"
    " WHERE d.asked AND NOT EXISTS (SELECT 1 FROM billing_numberassignment a WHERE a.reseller_id = %(reseller)s"
    " AND a.number_id = n.id AND a.start_date <= d.day AND (a.end_date IS NULL OR a.end_date > d.day)))",
    own={"number_type": "r.number_type"},
    of_customers=False,
)


@kpi(
    name="Numbers in use",
    family=Family.NUMBERS,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def number_utilisation() -> Shape:
    """Numbers with a call in the 90 days before the close ÷ numbers under management.

    The call must have been the customer's who holds the number. Idle numbers are a risk of churn, or a cost to
    cancel.
    """
    return stock(Part(USED, "r.used::int"), Part(USED, "1"))


@kpi(
    name="Number days",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=SPLITS,
)
def number_days() -> Shape:
    """Σ days of the month on which each number was assigned to a customer: what a price per day would be charged on."""
    return flow(Part(HELD_DAYS, "r.days"))


@kpi(
    name="Numbers in stock",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=("number_type",),
)
def numbers_unassigned() -> Shape:
    """Numbers of the book that no customer has on the last day of the month.

    The book does not say since when it has a number: every number in it today counts.
    """
    return stock(Part(STOCK, "1"))
