"""The statements that produce a run's drafts; temporary tables of the transaction carry the work from one to the next.

The sums over calls read no temporary table, so that the database may share them between its processes.
"""

from billing.models.watermarks import BILLED, JOIN_BILLED

TABLES = ("account", "usage", "factor", "line", "rate", "total", "invoice")
#: A run adds up as many groups as it makes lines; with too little room the database writes them out in between.
ROOM = "SET LOCAL work_mem = '128MB'"
CLEAR = [f"DROP TABLE IF EXISTS run_{name}" for name in TABLES]

#: Customers of the cycle; a regular one's usage is billed exactly to the previous run's watermark.
ACCOUNTS = """
CREATE TEMP TABLE run_account ON COMMIT DROP AS
SELECT customer.id AS customer_id, customer.code, customer.currency, customer.vat_rate, customer.minimum_invoice,
    customer.on_hold, customer.status, customer.terms_days,
    (EXISTS (SELECT FROM billing_invoice invoice WHERE invoice.reseller_id = %(reseller)s
            AND invoice.run_id = %(previous)s AND invoice.customer_id = customer.id)
        OR EXISTS (SELECT FROM billing_notproduced skipped WHERE skipped.reseller_id = %(reseller)s
            AND skipped.run_id = %(previous)s AND skipped.customer_id = customer.id))
    AND NOT EXISTS (SELECT FROM billing_notproduced skipped WHERE skipped.reseller_id = %(reseller)s
        AND skipped.run_id = %(previous)s AND skipped.customer_id = customer.id
            AND (skipped.reason <> 'empty' OR skipped.currency <> ''))
        AND NOT coalesce(billed.usage_before > %(billed_before)s, false) AS regular,
    billed.customer_id IS NOT NULL AS billed
FROM billing_customer customer
LEFT JOIN LATERAL (
    SELECT invoice.customer_id, invoice.usage_before FROM billing_invoice invoice
    WHERE invoice.reseller_id = %(reseller)s AND invoice.customer_id = customer.id AND invoice.usage_before IS NOT NULL
    ORDER BY invoice.usage_before DESC LIMIT 1
) billed ON true
WHERE customer.reseller_id = %(reseller)s AND customer.billing_cycle = %(cycle)s AND NOT customer.is_test
    AND (%(customer)s::bigint IS NULL OR customer.id = %(customer)s)
"""

#: Regular customers, those never billed for usage, and the rest, whose watermarks must be looked at one by one.
MEMBERS = """
SELECT coalesce(array_agg(customer_id) FILTER (WHERE regular), '{}'),
    coalesce(array_agg(customer_id) FILTER (WHERE NOT regular AND NOT billed), '{}'),
    coalesce(array_agg(customer_id) FILTER (WHERE NOT regular AND billed), '{}')
FROM run_account
"""

#: The earliest call rated since the previous run; a batch that does not say counts as the beginning.
UNBILLED_SINCE = """
SELECT min(coalesce(first_call_at, timestamptz '1970-01-01 00:00+00')) FROM billing_ratingbatch
WHERE reseller_id = %(reseller)s AND id > %(billed_batch)s
"""

_SUMS = """
SELECT call.customer_id, call.currency, call.number_id, call.service, call.call_class, call.cost_currency,
    count(*) AS calls, sum(call.billed_seconds) AS seconds,
    sum(call.volume) FILTER (WHERE call.service = 'data') AS volume, sum(call.retail) AS retail,
    sum(coalesce(call.cost, call.expected_cost)) AS cost, min(call.started_at) AS first_at,
    max(call.started_at) AS last_at
FROM billing_call call
"""
_RATED = (
    "WHERE call.reseller_id = %(reseller)s AND call.state IN ('rated', 'zero') AND call.batch_id <= %(batch)s"
)
_GROUPS = " GROUP BY 1, 2, 3, 4, 5, 6"

#: The unbilled calls of customers that share a watermark: all but `others`, or `customers`.
_SHARED = """
    AND call.started_at >= %(from)s AND call.started_at < %(before)s
    AND (call.started_at >= %(billed_before)s OR call.batch_id > %(billed_batch)s)
"""
BROAD = f"{_SUMS} {_RATED} AND call.customer_id <> ALL (%(others)s::bigint[]) {_SHARED} {_GROUPS}"
NARROW = f"{_SUMS} {_RATED} AND call.customer_id = ANY (%(customers)s::bigint[]) {_SHARED} {_GROUPS}"

#: The unbilled calls of customers that each have a watermark of their own. `since` keeps their billed past from being
#: read: nothing before it is unbilled unless money waits in a currency that no bill of theirs was made in.
_ASKED = """
WITH billed AS (
    SELECT marks.* FROM (@billed) marks WHERE marks.customer_id = ANY (%(customers)s::bigint[])
), waiting AS (
    SELECT DISTINCT skipped.customer_id FROM billing_notproduced skipped
    JOIN billing_customer customer ON customer.id = skipped.customer_id
    LEFT JOIN billed ON billed.customer_id = skipped.customer_id
        AND billed.currency = coalesce(nullif(skipped.currency, ''), customer.currency)
    WHERE skipped.reseller_id = %(reseller)s AND skipped.customer_id = ANY (%(customers)s::bigint[])
        AND (skipped.reason <> 'empty' OR skipped.currency <> '') AND billed.customer_id IS NULL
), mark AS (
    SELECT customer_id, min(usage_before) AS usage_before, min(usage_batch) AS usage_batch FROM billed GROUP BY 1
), late AS (
    SELECT mark.usage_batch, min(coalesce(batch.first_call_at, timestamptz '1970-01-01 00:00+00')) AS first_call_at
    FROM (SELECT DISTINCT usage_batch FROM mark) mark
    JOIN billing_ratingbatch batch ON batch.reseller_id = %(reseller)s AND batch.id > mark.usage_batch
    GROUP BY mark.usage_batch
), asked AS (
    SELECT customer_id, CASE WHEN mark.customer_id IS NULL OR waiting.customer_id IS NOT NULL
        THEN timestamptz '1970-01-01 00:00+00' ELSE least(mark.usage_before, late.first_call_at) END AS since
    FROM unnest(%(customers)s::bigint[]) customer_id
    LEFT JOIN mark USING (customer_id) LEFT JOIN waiting USING (customer_id)
    LEFT JOIN late ON late.usage_batch = mark.usage_batch
)
""".replace("@billed", BILLED.replace("%s", "%(reseller)s"))
EACH = f"""{_ASKED} {_SUMS}
JOIN asked ON asked.customer_id = call.customer_id AND call.started_at >= asked.since {JOIN_BILLED} {_RATED}
    AND (billed.customer_id IS NULL OR call.batch_id > billed.usage_batch OR call.started_at >= billed.usage_before)
    AND call.started_at < greatest(%(before)s, billed.usage_before) {_GROUPS}
"""

USAGE_TABLE = "CREATE TEMP TABLE run_usage ON COMMIT DROP AS "
MORE_USAGE = "INSERT INTO run_usage "

FACTOR_TABLE = (
    "CREATE TEMP TABLE run_factor (cost_currency text, currency text, factor numeric) ON COMMIT DROP"
)

PAIRS = """
SELECT DISTINCT used.cost_currency, coalesce(nullif(used.currency, ''), account.currency)
FROM run_usage used JOIN run_account account USING (customer_id) WHERE used.cost <> 0
"""

#: A package without an activation fee is known to have begun by a charge of nothing, which no bill prints.
LINES = """
CREATE TEMP TABLE run_line ON COMMIT DROP AS
SELECT usage.customer_id, usage.currency, 'usage' AS kind, 4 AS rank,
    CASE usage.service WHEN 'voice' THEN 'Calls' WHEN 'sms' THEN 'Messages' ELSE 'Data' END
        || CASE WHEN usage.call_class = '' THEN '' ELSE ': ' || usage.call_class END AS description,
    usage.number_id, NULL::bigint AS feature_type_id, NULL::bigint AS charge_id, usage.service, usage.call_class,
    usage.first_day AS service_start, usage.last_day + 1 AS service_end, usage.quantity, usage.calls, usage.seconds,
    round(usage.retail, CASE WHEN usage.currency = ANY (%(whole)s) THEN 0 ELSE 2 END) AS net, usage.vat_rate,
    usage.cost, nextval(pg_get_serial_sequence('billing_invoiceline', 'id')) AS line_id
FROM (
    SELECT used.customer_id, coalesce(nullif(used.currency, ''), account.currency) AS currency, used.number_id,
        used.service, used.call_class, (min(used.first_at) AT TIME ZONE %(zone)s)::date AS first_day,
        (max(used.last_at) AT TIME ZONE %(zone)s)::date AS last_day, sum(used.calls) AS calls,
        sum(used.seconds) AS seconds, sum(used.retail) AS retail, coalesce(sum(used.cost * factor.factor), 0) AS cost,
        CASE used.service WHEN 'data' THEN sum(used.volume) ELSE sum(used.calls) END AS quantity, account.vat_rate
    FROM run_usage used
    JOIN run_account account USING (customer_id)
    LEFT JOIN run_factor factor ON factor.cost_currency = used.cost_currency
        AND factor.currency = coalesce(nullif(used.currency, ''), account.currency)
    GROUP BY 1, 2, 3, 4, 5, account.vat_rate
) usage
UNION ALL
SELECT charge.customer_id, charge.currency, charge.kind,
    CASE charge.kind WHEN 'recurring' THEN 0 WHEN 'credit' THEN 1 WHEN 'one_off' THEN 2 ELSE 3 END,
    charge.description, charge.number_id, feature.feature_type_id, charge.id, '', '', charge.service_start,
    charge.service_end, charge.quantity, 0, 0, charge.amount, coalesce(charge.vat_rate, account.vat_rate), charge.cost,
    nextval(pg_get_serial_sequence('billing_invoiceline', 'id'))
FROM billing_charge charge
JOIN run_account account ON account.customer_id = charge.customer_id
LEFT JOIN billing_feature feature ON feature.id = charge.feature_id
WHERE charge.reseller_id = %(reseller)s AND charge.invoice_line_id IS NULL AND charge.bill_date <= %(period_end)s
    AND NOT (charge.is_activation AND charge.amount = 0)
"""

#: One row per customer, currency and VAT rate: VAT is worked out on the sum of the lines.
RATES = """
CREATE TEMP TABLE run_rate ON COMMIT DROP AS
SELECT customer_id, currency, vat_rate, sum(net) AS net, sum(cost) AS cost, sum(abs(net)) AS moved,
    count(charge_id) AS charges,
    round(sum(net) * vat_rate / 100, CASE WHEN currency = ANY (%(whole)s) THEN 0 ELSE 2 END) AS vat
FROM run_line GROUP BY customer_id, currency, vat_rate
"""

#: One row per customer and currency with what it comes to and, if it is not to be billed, why.
TOTALS = """
CREATE TEMP TABLE run_total ON COMMIT DROP AS
SELECT sums.*, sums.net + sums.vat AS gross,
    CASE
        WHEN sums.charges = 0 AND sums.moved = 0 THEN 'empty'
        WHEN account.on_hold THEN 'hold'
        WHEN sums.net + sums.vat < 0 THEN 'credit'
        WHEN sums.currency = account.currency AND account.status <> 'ceased'
            AND sums.net < account.minimum_invoice THEN 'minimum'
    END AS reason
FROM (
    SELECT customer_id, currency, sum(net) AS net, sum(vat) AS vat, sum(cost) AS cost, sum(moved) AS moved,
        sum(charges) AS charges
    FROM run_rate GROUP BY customer_id, currency
) sums
JOIN run_account account USING (customer_id)
"""

INVOICE_TABLE = """
CREATE TEMP TABLE run_invoice (invoice_id bigint, customer_id bigint, currency text) ON COMMIT DROP
"""

INVOICES = """
WITH made AS (
    INSERT INTO billing_invoice (reseller_id, customer_id, run_id, is_opening, state, invoice_date, due_date,
        period_start, period_end, currency, net, vat, gross, cost, usage_before, usage_batch, is_disputed)
    SELECT %(reseller)s, total.customer_id, %(run)s, false, 'draft', %(invoice_date)s::date,
        coalesce(%(due_date)s::date, %(invoice_date)s::date + account.terms_days), %(period_start)s, %(period_end)s,
        total.currency, total.net, total.vat, total.gross, total.cost, greatest(%(before)s, billed.usage_before),
        greatest(%(batch)s, billed.usage_batch), false
    FROM run_total total
    JOIN run_account account USING (customer_id)
    LEFT JOIN LATERAL (
        SELECT invoice.usage_before, invoice.usage_batch FROM billing_invoice invoice
        WHERE invoice.reseller_id = %(reseller)s AND invoice.customer_id = total.customer_id
            AND invoice.currency = total.currency AND invoice.usage_before IS NOT NULL
        ORDER BY invoice.usage_before DESC, invoice.usage_batch DESC LIMIT 1
    ) billed ON true
    WHERE total.reason IS NULL
    ORDER BY account.code, total.currency
    RETURNING id, customer_id, currency
)
INSERT INTO run_invoice SELECT * FROM made
"""

LINE_ROWS = """
INSERT INTO billing_invoiceline (id, reseller_id, invoice_id, position, kind, description, site, number_id,
    feature_type_id, service, call_class, service_start, service_end, quantity, calls, seconds, net, vat_rate, cost)
SELECT line.line_id, %(reseller)s, invoice.invoice_id,
    row_number() OVER (PARTITION BY invoice.invoice_id
        ORDER BY line.rank, held.site NULLS FIRST, number.number NULLS FIRST, line.service_start, line.description,
            line.charge_id),
    line.kind, line.description, coalesce(held.site, ''), line.number_id, line.feature_type_id, line.service,
    line.call_class, line.service_start, line.service_end, line.quantity, line.calls, line.seconds, line.net,
    line.vat_rate, line.cost
FROM run_line line
JOIN run_invoice invoice USING (customer_id, currency)
LEFT JOIN billing_number number ON number.id = line.number_id
LEFT JOIN (
    SELECT DISTINCT ON (customer_id, number_id) customer_id, number_id, site FROM billing_numberassignment
    WHERE reseller_id = %(reseller)s AND start_date < %(period_end)s
    ORDER BY customer_id, number_id, start_date DESC
) held ON held.customer_id = line.customer_id AND held.number_id = line.number_id
"""

VAT_ROWS = """
INSERT INTO billing_invoicevat (reseller_id, invoice_id, rate, net, vat)
SELECT %(reseller)s, invoice.invoice_id, rate.vat_rate, rate.net, rate.vat
FROM run_rate rate JOIN run_invoice invoice USING (customer_id, currency)
"""

CHARGED = """
UPDATE billing_charge charge SET invoice_line_id = line.line_id
FROM run_line line JOIN run_invoice invoice USING (customer_id, currency)
WHERE line.charge_id = charge.id
"""

NOT_PRODUCED = """
INSERT INTO billing_notproduced (reseller_id, run_id, customer_id, reason, amount, currency)
SELECT %(reseller)s, %(run)s, customer_id, reason, net, currency FROM run_total WHERE reason IS NOT NULL
UNION ALL
SELECT %(reseller)s, %(run)s, customer_id, 'empty', 0, '' FROM run_account account
WHERE status IN ('active', 'suspended')
    AND NOT EXISTS (SELECT FROM run_total total WHERE total.customer_id = account.customer_id)
"""

BUILD = [
    LINES,
    "ANALYZE run_line (customer_id, currency, number_id, charge_id)",
    RATES,
    TOTALS,
    INVOICE_TABLE,
    INVOICES,
    "ANALYZE run_invoice",
    LINE_ROWS,
    VAT_ROWS,
    CHARGED,
    NOT_PRODUCED,
]
