"""How well bills are made: what was not produced, what stands out, what had to be credited, how long it took."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi
from kpis.sources import BOOK, Source

#: Customers for whom a run made no invoice, by the date of the run's invoices.
LEFT_OUT = Source(
    "not_produced",
    "(SELECT d.month, d.day, p.customer_id, p.reason AS why FROM days d JOIN billing_billingrun b"
    " ON b.reseller_id = %(reseller)s AND {b.invoice_date} = d.month AND b.invoice_date <= d.day"
    " JOIN billing_notproduced p ON p.reseller_id = %(reseller)s AND p.run_id = b.id {mine p.customer_id}"
    " WHERE d.asked)",
    own={"why": "r.why"},
)
#: Net invoiced to a customer in the month against the three months before; only where each of them has an invoice.
COMPARED = Source(
    "compared",
    "(SELECT d.month, d.day, y.customer_id, y.currency, y.net, y.mean, y.spread FROM days d JOIN (SELECT x.month,"
    " x.customer_id, x.currency, x.net, count(*) OVER past AS months, avg(x.net) OVER past AS mean,"
    " CASE WHEN %(anomaly_population)s THEN stddev_pop(x.net) OVER past ELSE stddev_samp(x.net) OVER past END"
    " AS spread FROM moneyfact x WHERE x.invoices > 0 WINDOW past AS (PARTITION BY x.customer_id, x.currency"
    " ORDER BY x.month RANGE BETWEEN interval '3 months' PRECEDING AND interval '1 month' PRECEDING)) y"
    " ON y.month = d.month AND y.months = 3 WHERE d.asked)",
    ("moneyfact",),
    window=3,
)
ODD = (
    "(abs(r.net - r.mean) > r.spread AND abs(r.net - r.mean) >= %(anomaly_amount)s"
    " AND abs(r.net - r.mean) >= %(anomaly_percent)s * abs(r.mean) / 100)::int"
)
#: Invoices of the month before, and whether a credit note took something of them back within 30 days.
MENDED = Source(
    "mended",
    "(SELECT d.month, d.day, i.customer_id,"
    " coalesce(n.date <= i.invoice_date + 30 AND n.date <= d.day, false) AS mended"
    " FROM (SELECT month, day, (month - interval '1 month')::date AS since FROM days WHERE asked) d"
    " JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.state <> 'draft' AND NOT i.is_opening"
    " AND i.invoice_date < d.month AND i.invoice_date >= d.since {mine i.customer_id}"
    " LEFT JOIN (SELECT invoice_id, min(date) AS date FROM billing_creditnote WHERE reseller_id = %(reseller)s"
    " GROUP BY 1) n ON n.invoice_id = i.id)",
)
#: Bill runs sent in the month: days from the day their period was over.
SENT = Source(
    "runs_sent",
    "(SELECT d.month, d.day, b.sent - b.period_end AS waited FROM days d JOIN (SELECT period_end,"
    " (sent_at AT TIME ZONE %(zone)s)::date AS sent FROM billing_billingrun WHERE reseller_id = %(reseller)s"
    " AND sent_at IS NOT NULL) b ON {b.sent} = d.month AND b.sent <= d.day WHERE d.asked)",
    of_customers=False,
)


@kpi(
    name="Invoices not produced",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("why", *BOOK),
    sources="SAFE",
)
def invoices_not_produced() -> Shape:
    """Number of customers for whom a bill run of the month made no invoice: nothing to bill, under the minimum, on
    hold, in credit.
    """
    return flow(Part(LEFT_OUT, "1"))


@kpi(
    name="Invoices that stand out",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    settings=("anomaly_amount", "anomaly_percent", "anomaly_population"),
    sources="SAFE",
    elsewhere=(("SAFE", "the same three conditions against the mean of three months"),),
)
def invoice_anomalies() -> Shape:
    """Customers whose net invoiced in the month is off the mean of the three months before by more than the standard
    deviation of these, by an amount and by a part of the mean (settings: 100 and 15 per cent): all three.

    Per currency. Without an invoice in each of the three months a customer is new and not counted.
    """
    return flow(Part(COMPARED, ODD))


@kpi(
    name="Billing accuracy",
    family=Family.RUNS,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def billing_accuracy() -> Shape:
    """1 − invoices of the month before with a credit note within 30 days ÷ invoices of the month before.

    The month before, so that its invoices have had their 30 days, but for the last days of a long month.
    """
    return flow(Part(MENDED, "(NOT r.mended)::int"), Part(MENDED, "1"))


@kpi(
    name="Time to bill",
    family=Family.RUNS,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    sources="SAFE",
)
def bill_cycle_time() -> Shape:
    """Mean days from the end of the billed period to the day its invoices were sent, over runs sent in the month."""
    return flow(Part(SENT, "r.waited"), Part(SENT, "1"))
