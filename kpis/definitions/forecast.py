"""What the open invoices will bring in the month to come, how sure that is, and how good the forecast was."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, flow, kpi, stock
from kpis.sources import BOOK, Source

#: Half the width of a range that nine of ten outcomes fall into, in standard deviations.
NINE_OF_TEN = Decimal("1.645")
#: First presentations by method and month of outcome: how many, paid, and regained by a later one within four weeks.
_TRIED = """tried AS MATERIALIZED (SELECT a.method, date_trunc('month', a.outcome_date)::date AS at, count(*) AS ended,
    count(*) FILTER (WHERE a.outcome = 'paid') AS paid,
    count(*) FILTER (WHERE a.outcome = 'failed' AND EXISTS (SELECT 1 FROM billing_paymentattempt b
        WHERE b.reseller_id = %(reseller)s AND b.invoice_id = a.invoice_id AND b.presentation > 1
        AND b.outcome = 'paid' AND b.outcome_date <= a.outcome_date + 28)) AS regained
    FROM billing_paymentattempt a JOIN account ON account.id = a.customer_id
    WHERE a.reseller_id = %(reseller)s AND a.presentation = 1 AND a.outcome IN ('paid', 'failed') GROUP BY 1, 2)"""
#: The payer curve: of invoices by month due, what cash could settle, had by the due date and 30 days after it.
_CURVE = """due AS (SELECT i.id, i.customer_id, date_trunc('month', i.due_date)::date AS at,
    i.gross - coalesce(sum(a.amount) FILTER (WHERE a.payment_id IS NULL), 0) AS owed,
    coalesce(sum(a.amount) FILTER (WHERE a.payment_id IS NOT NULL AND a.date <= i.due_date), 0) AS early,
    coalesce(sum(a.amount) FILTER (WHERE a.payment_id IS NOT NULL), 0) AS had
    FROM billing_invoice i JOIN account ON account.id = i.customer_id LEFT JOIN billing_allocation a
        ON a.reseller_id = %(reseller)s AND a.invoice_id = i.id AND a.date <= i.due_date + 30
        AND (a.ended_date IS NULL OR a.ended_date > i.due_date + 30)
    WHERE i.reseller_id = %(reseller)s AND i.state <> 'draft' AND i.gross > 0 GROUP BY i.id),
curve AS MATERIALIZED (SELECT c.payment_method AS method, x.at,
    sum(x.owed) AS owed, sum(x.early) AS early, sum(x.had) AS had
    FROM due x JOIN billing_customer c ON c.id = x.customer_id AND c.reseller_id = %(reseller)s GROUP BY 1, 2)"""
#: By close and method: the share collected of what is due in the month to come, and of what is past due.
_CHANCE = """chance AS MATERIALIZED (SELECT d.day, m.method, m.lag,
    least(1, CASE WHEN t.ended > 0 THEN round((t.paid + t.regained) / t.ended, 6)
        WHEN v.owed > 0 THEN round(v.had / v.owed, 6) ELSE 1 END) AS coming,
    least(1, CASE WHEN t.ended > t.paid THEN round(t.regained / (t.ended - t.paid), 6)
        WHEN t.ended > 0 THEN 1 WHEN v.owed > v.early THEN round((v.had - v.early) / (v.owed - v.early), 6)
        ELSE 1 END) AS late
    FROM days d CROSS JOIN (VALUES ('direct_debit', 3), ('card', 0), ('transfer', 0), ('cheque', 3), ('prepaid', 0))
        m (method, lag)
    LEFT JOIN LATERAL (SELECT sum(ended) AS ended, sum(paid) AS paid, sum(regained) AS regained FROM tried
        WHERE method = m.method AND at < d.month AND at >= d.month - interval '12 months') t ON true
    LEFT JOIN LATERAL (SELECT sum(owed) AS owed, sum(early) AS early, sum(had) AS had FROM curve
        WHERE method = m.method AND at < d.month - interval '1 month' AND at >= d.month - interval '13 months') v
        ON true WHERE d.asked)"""
#: Invoices that are open at a close and fall due, with the time a payment takes, by the end of the month after it.
_OPEN = """settled AS (SELECT invoice_id, sum(amount) AS amount, max(date) AS last_date, count(ended_date) AS ended
    FROM billing_allocation WHERE reseller_id = %(reseller)s GROUP BY 1),
standing AS (SELECT i.id, i.customer_id, i.currency, i.invoice_date, i.due_date, i.gross,
    CASE WHEN s.amount = i.gross AND s.ended = 0 THEN s.last_date END AS done
    FROM billing_invoice i LEFT JOIN settled s ON s.invoice_id = i.id
    WHERE i.reseller_id = %(reseller)s AND i.state <> 'draft' AND i.gross > 0 AND NOT i.is_disputed),
horizon AS (SELECT *, CASE WHEN day = (month + interval '1 month - 1 day')::date
    THEN (month + interval '2 months - 1 day')::date ELSE day + 30 END AS until,
    row_number() OVER (ORDER BY day) AS place FROM days),
balance AS (SELECT h.month, h.day, h.until, i.id, i.customer_id, i.currency, i.due_date,
    i.gross - coalesce(sum(a.amount), 0) AS amount
    FROM (SELECT i.*, generate_series({before i.invoice_date} + 1,
            coalesce({before i.done}, (SELECT max(place) FROM horizon))) AS place FROM standing i) i
    JOIN horizon h ON h.place = i.place AND h.asked AND i.due_date BETWEEN h.day - 90 AND h.until
    LEFT JOIN billing_allocation a ON a.reseller_id = %(reseller)s AND a.invoice_id = i.id AND a.date <= h.day
        AND (a.ended_date IS NULL OR a.ended_date > h.day)
    GROUP BY h.month, h.day, h.until, i.id, i.customer_id, i.currency, i.due_date, i.gross)"""
EXPECTED = Source(
    "expected_cash",
    " ".join(
        [
            "(WITH",
            ", ".join([_TRIED, _CURVE, _CHANCE, _OPEN]),
            "SELECT b.month, b.day, b.customer_id, b.currency, p.method, round(b.amount * p.chance, 6) AS expected,",
            "round(b.amount * b.amount * p.chance * (1 - p.chance), 6) AS variance FROM balance b",
            "JOIN billing_customer c ON c.id = b.customer_id AND c.reseller_id = %(reseller)s",
            "JOIN LATERAL (SELECT x.method, x.lag, CASE WHEN b.due_date < b.day THEN x.late ELSE x.coming END",
            "AS chance FROM chance x WHERE x.day = b.day AND x.method = c.payment_method) p ON true",
            "WHERE b.amount > 0 AND greatest(b.due_date, b.day) + p.lag <= b.until)",
        ]
    ),
    (),
    "r.currency",
    {"method": "r.method"},
    adds_up=False,
)
#: Cash allocated in the month to invoices dated before it, and what of such was taken back.
FROM_DEBT = Source(
    "from_debt",
    "(SELECT d.month, d.day, i.customer_id, i.currency, c.payment_method AS method, x.amount FROM days d"
    " JOIN (SELECT invoice_id, date, amount FROM billing_allocation"
    " WHERE reseller_id = %(reseller)s AND payment_id IS NOT NULL UNION ALL"
    " SELECT invoice_id, ended_date, -amount FROM billing_allocation"
    " WHERE reseller_id = %(reseller)s AND payment_id IS NOT NULL AND ended_date IS NOT NULL) x"
    " ON {x.date} = d.month AND x.date <= d.day"
    " JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.id = x.invoice_id AND i.state <> 'draft'"
    " AND i.invoice_date < d.month {mine i.customer_id}"
    " JOIN billing_customer c ON c.id = i.customer_id AND c.reseller_id = %(reseller)s WHERE d.asked)",
    (),
    "r.currency",
    {"method": "r.method"},
)
SPLITS = ("method", *BOOK)


@kpi(
    name="Cash expected in the month to come",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=2,
    by=SPLITS,
    estimate=True,
    sources="SAFE",
)
def cash_expected() -> Shape:
    """Σ open balance at the close × share collected by the customer's payment method, of invoices that fall due, with
    three days for a direct debit or a cheque to arrive, by the end of the month after; from an open month, in 30 days.

    The share of what is not past due is that of the first presentations of the twelve months before that were paid,
    at the first try or within four weeks of it; of what is past due it is the share of failed ones that were regained.
    Of a method nothing was presented by, it is what payers by it did: the share of the money that fell due in a year
    that cash had settled 30 days later, and of what was unpaid on its day. Without any history all of it is expected.
    Disputed invoices and those over 90 days past due are left out, and so is what is not invoiced yet.
    """
    return stock(Part(EXPECTED, "r.expected"))


@kpi(
    name="Uncertain item of the expected cash",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    small_base=False,
    estimate=True,
)
def cash_expected_item() -> Shape:
    """Σ balance² × share × (1 − share) ÷ Σ balance × share of the invoices that cash is expected of: the variance to
    the mean.

    Each invoice is paid or not, by itself. The larger this amount, the more hangs on a few large invoices.
    """
    return stock(Part(EXPECTED, "r.variance"), Part(EXPECTED, "r.expected"))


def _bound(sign: int, needed: Sequence[Parts]) -> tuple[Decimal, None, None]:
    """Return the expected cash less or more 1.645 standard deviations, never below nought."""
    (expected, _), (variance, _) = needed
    return max(expected + sign * NINE_OF_TEN * max(variance, Decimal(0)).sqrt(), Decimal(0)), None, None


def _low(needed: Sequence[Parts]) -> tuple[Decimal, None, None]:
    """Return the lower bound."""
    return _bound(-1, needed)


def _high(needed: Sequence[Parts]) -> tuple[Decimal, None, None]:
    """Return the upper bound."""
    return _bound(1, needed)


@kpi(
    name="Cash expected in the month to come: low",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=SPLITS,
    estimate=True,
)
def cash_expected_low() -> Shape:
    """Cash expected − 1.645 × √(Σ balance² × share × (1 − share)): in nine of ten months more comes than this and less
    than the high figure.

    Each invoice is paid whole or not at all, by itself: a binomial range. It knows nothing of a shock that hits many.
    """
    return derived("stock", Need("cash_expected"), Need("cash_expected_item"), combine=_low)


@kpi(
    name="Cash expected in the month to come: high",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=SPLITS,
    estimate=True,
)
def cash_expected_high() -> Shape:
    """Cash expected + 1.645 × √(Σ balance² × share × (1 − share)): the other end of the range of the low figure."""
    return derived("stock", Need("cash_expected"), Need("cash_expected_item"), combine=_high)


@kpi(
    name="Cash from earlier invoices",
    family=Family.CASH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=SPLITS,
)
def cash_from_debt() -> Shape:
    """Cash allocated in the month to invoices dated before it, less what of such was taken back in the month.

    What the cash expected at the close before is measured against.
    """
    return flow(Part(FROM_DEBT, "r.amount"))


def _mean_error(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, None]:
    """Return Σ of |came − expected| ÷ came over the months in which cash came, and how many they are."""
    half = len(needed) // 2
    pairs = [(came, expected) for (came, _), (expected, _) in zip(needed[half:], needed[:half], strict=True)]
    errors = [abs(came - expected) / came for came, expected in pairs if came > 0 and expected > 0]
    return sum(errors, Decimal(0)), Decimal(len(errors)), None


@kpi(
    name="Error of the cash forecast",
    family=Family.CASH,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    estimate=True,
)
def cash_forecast_error() -> Shape:
    """Mean over the last twelve months of |cash from earlier invoices − cash expected at the close before| ÷ cash from
    earlier invoices (MAPE).

    Months without cash, or without a forecast, are left out.
    """
    return derived(
        "flow",
        *[Need("cash_expected", ago=ago + 1) for ago in range(12)],
        *[Need("cash_from_debt", ago=ago) for ago in range(12)],
        combine=_mean_error,
    )
