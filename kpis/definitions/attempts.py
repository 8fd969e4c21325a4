"""Collections: whether they work the first time, what becomes of those that fail, what is taken back."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi
from kpis.sources import ALL_ATTEMPTS, ATTEMPT_MONEY, ATTEMPTS, BOOK, Source

#: First presentations that ended in the month before, with whether any presentation was paid by the close.
AFTER_ALL = Source(
    "after_all",
    "(SELECT d.month, d.day, a.customer_id, a.method, a.outcome, a.outcome = 'paid' OR EXISTS ("
    " SELECT 1 FROM billing_paymentattempt b WHERE b.reseller_id = %(reseller)s AND b.invoice_id = a.invoice_id"
    " AND b.presentation > 1 AND b.outcome = 'paid' AND b.outcome_date <= d.day) AS paid"
    " FROM days d JOIN billing_paymentattempt a ON a.reseller_id = %(reseller)s AND a.presentation = 1"
    " AND a.outcome IN ('paid', 'failed') AND {a.outcome_date} = (d.month - interval '1 month')::date"
    " {mine a.customer_id} WHERE d.asked)",
    own={"method": "r.method"},
)
#: Money received and money taken back in the month, each at its own date.
PAYMENTS = Source(
    "payments",
    "(SELECT d.month, d.day, p.customer_id, p.method, p.currency, x.received, x.reversed, x.times FROM days d"
    " JOIN billing_payment p ON p.reseller_id = %(reseller)s AND (p.received_date <= d.day) {mine p.customer_id}"
    " CROSS JOIN LATERAL (VALUES (p.received_date, p.amount, 0::numeric, 0), (p.reversed_date, 0, p.amount, 1))"
    " x (date, received, reversed, times) WHERE {x.date} = d.month AND x.date <= d.day AND d.asked)",
    (),
    "r.currency",
    {"method": "r.method"},
)
PAYMENT_COUNT = Source("payment_count", PAYMENTS.rows, (), "", PAYMENTS.own)


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
    elsewhere=(
        ("Kill Bill", "tries of a quarter of an hour against a fortnight before: an alert, no month"),
    ),
    published=(
        "GoCardless: about 97.1 % in the UK (2.9 % fail)",
        "SAFE: 97.3 %",
    ),
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


@kpi(
    name="Failed collections recovered",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("method", *BOOK),
)
def payment_recovery() -> Shape:
    """First presentations that failed in the month before and were paid at a later one by the close ÷ those that
    failed.

    Presentations belong together by their invoice.
    """
    return flow(
        Part(AFTER_ALL, "(r.outcome = 'failed' AND r.paid)::int"),
        Part(AFTER_ALL, "(r.outcome = 'failed')::int"),
    )


@kpi(
    name="Payment success after all tries",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("method", *BOOK),
    published=("SAFE: up to 99.5 % after further tries",),
)
def payment_eventual_success() -> Shape:
    """Collections first presented with an outcome in the month before that were paid by the close, at whatever try ÷
    all of them.
    """
    return flow(Part(AFTER_ALL, "r.paid::int"), Part(AFTER_ALL, "1"))


@kpi(
    name="Failed collections",
    family=Family.CASH,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("failure", "method", *BOOK),
    sources="GoCardless",
    published=("GoCardless: four of five failures are for lack of funds",),
)
def payment_failures() -> Shape:
    """Presentations of any number that failed in the month, by the reason the bank gave."""
    return flow(Part(ALL_ATTEMPTS, "(r.outcome = 'failed')::int"))


@kpi(
    name="Payments taken back",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("method", *BOOK),
)
def payments_reversed() -> Shape:
    """Σ payments reversed in the month, at the date of the reversal: chargebacks, indemnity claims, bounced cheques."""
    return flow(Part(PAYMENTS, "r.reversed"))


@kpi(
    name="Number of payments taken back",
    family=Family.CASH,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("method", *BOOK),
)
def payments_reversed_count() -> Shape:
    """Number of payments reversed in the month, at the date of the reversal."""
    return flow(Part(PAYMENT_COUNT, "r.times"))


@kpi(
    name="Share of payments taken back",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("method", *BOOK),
    small_base=False,
)
def reversal_rate() -> Shape:
    """Amount reversed in the month ÷ amount received in the month, each at its own date."""
    return flow(Part(PAYMENTS, "r.reversed"), Part(PAYMENTS, "r.received"))
