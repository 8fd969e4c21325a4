"""The statements of the three-way match; billing.charging.three_way says what they do.

Each makes a temporary table of a span of months, so that the database knows its size; what is spread over days is cut
at the ends of months so that the parts of an amount always add up to it.
"""


def _months(start: str, end: str) -> str:
    """Return the join that gives the months of a span in which days from `start` to before `end` fall."""
    return f"""CROSS JOIN LATERAL (
        SELECT step::date AS month, (step + interval '1 month')::date AS until
        FROM generate_series(date_trunc('month', greatest({start}, %(first)s::date)::timestamp),
            least({end}, %(end)s::date) - interval '1 day', interval '1 month') step
    ) span"""  # noqa: S608  joined of constants of this module; values are parameters


def _share(amount: str, start: str, end: str) -> str:
    """Return the part of an amount that falls into a month: by days, cut so that the months add up to it."""

    def reached(day: str) -> str:
        return f"round({amount} * ({day} - {start}) / ({end} - {start}), 6)"

    return f"{reached(f'least({end}, span.until)')} - {reached(f'greatest({start}, span.month)')}"


#: The days of a feature's month in which a price of the list holds.
_PRICED = (
    "(least(held.last, coalesce(price.valid_to, 'infinity'::date)) - greatest(held.first, price.valid_from))"
)

#: Every feature with the first of those it continues: the service, whatever became of its price and quantity.
FEATURES = """
CREATE TEMP TABLE match_feature ON COMMIT DROP AS
WITH RECURSIVE chain AS (
    SELECT id, id AS root FROM billing_feature WHERE reseller_id = %(reseller)s AND continues_id IS NULL
    UNION ALL
    SELECT feature.id, chain.root FROM chain
    JOIN billing_feature feature ON feature.continues_id = chain.id AND feature.reseller_id = %(reseller)s
)
SELECT feature.id, chain.root, feature.customer_id, feature.number_id, feature.feature_type_id, feature.quantity,
    feature.start_date, coalesce(feature.end_date, 'infinity'::date) AS end_date, nullif(feature.price, 0) AS price,
    feature.cost, feature.discount_percent,
    CASE WHEN feature.not_charged THEN 'marked_free' WHEN feature.price = 0 THEN 'price_zero' ELSE '' END AS mark,
    type.kind IN ('line', 'package') AS rents, type.kind = 'line' AS is_line, type.interval = 'once' AS is_once,
    CASE type.interval WHEN 'quarter' THEN 3 WHEN 'year' THEN 12 ELSE 1 END AS months,
    type.timing, type.currency, type.carrier_id, lower(type.carrier_product) AS product
FROM billing_feature feature
JOIN chain ON chain.id = feature.id
JOIN billing_featuretype type ON type.id = feature.feature_type_id AND type.reseller_id = %(reseller)s
WHERE feature.reseller_id = %(reseller)s
"""

#: What was provided of each feature in each month, by days; the list's price stands in for 0 and for “not charged”.
PIECES = f"""
CREATE TEMP TABLE match_piece ON COMMIT DROP AS
SELECT held.id, held.root, held.month, held.start_date, held.last - held.first AS days, held.quantity,
    coalesce(held.price * (held.last - held.first), sum(price.price * {_PRICED}), 0) * held.share
        * (1 - held.discount_percent / 100) AS expected_price,
    coalesce(held.cost * (held.last - held.first), sum(price.cost * {_PRICED}), 0) * held.share AS expected_cost
FROM (
    SELECT feature.*, span.month, greatest(feature.start_date, span.month) AS first,
        least(feature.end_date, span.until) AS last,
        feature.quantity::numeric / ((span.until - span.month) * feature.months) AS share
    FROM match_feature feature {_months("feature.start_date", "feature.end_date")}
    WHERE NOT feature.is_once AND feature.start_date < %(end)s AND feature.end_date > %(first)s
) held
LEFT JOIN billing_featureprice price ON price.reseller_id = %(reseller)s
    AND price.feature_type_id = held.feature_type_id AND price.valid_from < held.last
    AND (price.valid_to IS NULL OR price.valid_to > held.first)
GROUP BY held.id, held.root, held.month, held.start_date, held.first, held.last, held.quantity, held.price, held.cost,
    held.share, held.discount_percent
"""  # noqa: S608  joined of constants of this module; values are parameters

#: The customer's side: recurring charges, their credits, and carriers' rentals that were passed on, by month.
BILLED = f"""
CREATE TEMP TABLE match_billed ON COMMIT DROP AS
WITH credited AS MATERIALIZED (
    SELECT invoice_line_id, sum(net) AS net FROM billing_creditnoteline
    WHERE reseller_id = %(reseller)s AND invoice_line_id IS NOT NULL GROUP BY 1
), charged AS (
    SELECT charge.feature_id, charge.number_id, charge.customer_id, charge.currency, charge.service_start,
        greatest(charge.service_end, charge.service_start + 1) AS service_end, charge.quantity, charge.amount,
        charge.amount - coalesce(credited.net, 0) AS net,
        coalesce(invoice.state <> 'draft', false) AS is_billed
    FROM billing_charge charge
    LEFT JOIN billing_carriercharge line ON line.charge_id = charge.id AND line.reseller_id = %(reseller)s
    LEFT JOIN billing_invoiceline made ON made.id = charge.invoice_line_id AND made.reseller_id = %(reseller)s
    LEFT JOIN billing_invoice invoice ON invoice.id = made.invoice_id
    LEFT JOIN credited ON credited.invoice_line_id = charge.invoice_line_id
    WHERE charge.reseller_id = %(reseller)s AND charge.service_start < %(end)s
        AND greatest(charge.service_end, charge.service_start + 1) > %(first)s
        AND (charge.kind = 'recurring' OR line.kind IN ('rental', 'credit')
            OR (charge.kind = 'credit' AND left(charge.source_key, 8) = 'feature:'))
)
SELECT feature.root, CASE WHEN feature.root IS NULL THEN charged.number_id END AS number_id, charged.customer_id,
    span.month, span.until, charged.currency,
    sum({_share("charged.net", "charged.service_start", "charged.service_end")})
        FILTER (WHERE charged.is_billed) AS billed,
    sum({_share("charged.net", "charged.service_start", "charged.service_end")})
        FILTER (WHERE NOT charged.is_billed) AS waiting,
    sum({_share("charged.amount", "charged.service_start", "charged.service_end")}) AS charged,
    sum(charged.quantity * sign(charged.amount) * (least(charged.service_end, span.until)
        - greatest(charged.service_start, span.month))) AS unit_days
FROM charged LEFT JOIN match_feature feature ON feature.id = charged.feature_id
{_months("charged.service_start", "charged.service_end")}
GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608  joined of constants of this module; values are parameters

#: The supplier's side: rentals and their credits by month; what is not allocated keeps its line.
SUPPLIED = f"""
CREATE TEMP TABLE match_supplied ON COMMIT DROP AS
SELECT CASE WHEN line.state <> 'allocated' THEN line.id END AS line_id,
    CASE WHEN line.state <> 'allocated' THEN line.state END AS apart, feature.root,
    CASE WHEN feature.root IS NULL THEN line.number_id END AS number_id, line.customer_id, span.month, span.until,
    bill.currency, min(bill.carrier_id) AS carrier_id,
    sum({_share("line.amount", "line.service_start", "line.service_end")}) AS supplied,
    coalesce(sum(line.quantity * (least(line.service_end, span.until) - greatest(line.service_start, span.month)))
        FILTER (WHERE line.kind = 'rental' AND line.amount > 0), 0) AS unit_days,
    bool_or(line.kind = 'credit' OR line.amount < 0) AS has_credit
FROM billing_carriercharge line
JOIN billing_carrierinvoice bill ON bill.id = line.invoice_id AND bill.reseller_id = %(reseller)s
LEFT JOIN match_feature feature ON feature.id = line.feature_id
{_months("line.service_start", "line.service_end")}
WHERE line.reseller_id = %(reseller)s AND line.kind IN ('rental', 'credit')
    AND line.service_start < %(end)s AND line.service_end > %(first)s
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608  joined of constants of this module; values are parameters

#: Who supplied a feature or number in a month, and whether that carrier's bill of the month is here.
SUPPLIERS = f"""
CREATE TEMP TABLE match_supplier ON COMMIT DROP AS
SELECT DISTINCT ON (feature.root, supply.number_id, span.month) feature.root, supply.number_id, span.month,
    supply.carrier_id
FROM billing_supply supply
LEFT JOIN match_feature feature ON feature.id = supply.feature_id
{_months("supply.start_date", "coalesce(supply.end_date, 'infinity'::date)")}
WHERE supply.reseller_id = %(reseller)s AND supply.start_date < %(end)s
    AND (supply.end_date IS NULL OR supply.end_date > %(first)s)
ORDER BY feature.root, supply.number_id, span.month, supply.start_date DESC, supply.id
"""  # noqa: S608  joined of constants of this module; values are parameters

HERE = f"""
CREATE TEMP TABLE match_here ON COMMIT DROP AS
SELECT bill.carrier_id, span.month FROM billing_carrierinvoice bill
{_months("bill.period_start", "bill.period_end")}
WHERE bill.reseller_id = %(reseller)s AND bill.period_start < %(end)s AND bill.period_end > %(first)s
UNION
SELECT bill.carrier_id, span.month FROM billing_carriercharge line
JOIN billing_carrierinvoice bill ON bill.id = line.invoice_id AND bill.reseller_id = %(reseller)s
{_months("line.service_start", "line.service_end")}
WHERE line.reseller_id = %(reseller)s AND line.kind = 'rental' AND line.service_start < %(end)s
    AND line.service_end > %(first)s
"""  # noqa: S608  joined of constants of this module; values are parameters

LISTED = """
CREATE TEMP TABLE match_listed ON COMMIT DROP AS
SELECT DISTINCT bill.carrier_id, lower(line.product) AS product FROM billing_carriercharge line
JOIN billing_carrierinvoice bill ON bill.id = line.invoice_id AND bill.reseller_id = %(reseller)s
WHERE line.reseller_id = %(reseller)s AND line.kind = 'rental'
"""

#: Numbers that customers had in a month, those somebody supplies or charges for.
HELD = f"""
CREATE TEMP TABLE match_held ON COMMIT DROP AS
SELECT held.number_id, held.customer_id, span.month, span.until,
    sum(least(coalesce(held.end_date, 'infinity'::date), span.until) - greatest(held.start_date, span.month)) AS days,
    min(held.start_date) AS start_date
FROM billing_numberassignment held
{_months("held.start_date", "coalesce(held.end_date, 'infinity'::date)")}
WHERE held.reseller_id = %(reseller)s AND held.start_date < %(end)s
    AND (held.end_date IS NULL OR held.end_date > %(first)s)
    AND held.number_id IN (
        SELECT number_id FROM match_supplier WHERE number_id IS NOT NULL
        UNION SELECT number_id FROM match_supplied WHERE number_id IS NOT NULL)
GROUP BY 1, 2, 3, 4
"""  # noqa: S608  joined of constants of this module; values are parameters

#: Which service stands for a number without a feature: what rents it then, else the number, else what rented it last.
NUMBERS = """
CREATE TEMP TABLE match_number ON COMMIT DROP AS
WITH rented AS MATERIALIZED (
    SELECT root, number_id, customer_id, min(start_date) AS start_date, max(end_date) AS end_date,
        bool_or(is_line) AS is_line
    FROM match_feature WHERE rents AND NOT is_once AND number_id IS NOT NULL GROUP BY 1, 2, 3
), asked AS MATERIALIZED (
    SELECT number_id, customer_id, month, until FROM match_held
    UNION SELECT number_id, customer_id, month, until FROM match_supplied
        WHERE number_id IS NOT NULL AND line_id IS NULL
    UNION SELECT number_id, customer_id, month, until FROM match_billed WHERE number_id IS NOT NULL
), paid AS MATERIALIZED (
    SELECT DISTINCT root, month FROM match_billed
    WHERE root IS NOT NULL AND charged <> 0
), choice AS (
    SELECT DISTINCT ON (asked.number_id, asked.customer_id, asked.month) asked.number_id, asked.customer_id,
        asked.month, rented.root,
        rented.start_date < asked.until AND rented.end_date > asked.month OR paid.root IS NOT NULL AS runs,
        rented.start_date < asked.until AS began
    FROM asked
    LEFT JOIN rented ON rented.number_id = asked.number_id
        AND (asked.customer_id IS NULL OR rented.customer_id = asked.customer_id)
    LEFT JOIN paid ON paid.root = rented.root AND paid.month = asked.month
    ORDER BY asked.number_id, asked.customer_id, asked.month,
        (rented.start_date < asked.until AND rented.end_date > asked.month) IS TRUE DESC, paid.root NULLS LAST,
        rented.is_line DESC NULLS LAST, (rented.start_date < asked.until) IS TRUE DESC, rented.start_date DESC,
        rented.root
)
SELECT choice.number_id, choice.customer_id, choice.month,
    CASE WHEN choice.runs OR (choice.began AND held.number_id IS NULL) THEN choice.root END AS root,
    choice.runs IS TRUE AS runs
FROM choice
LEFT JOIN match_held held ON held.number_id = choice.number_id AND held.customer_id = choice.customer_id
    AND held.month = choice.month
"""

#: The three facts in one shape, each under the key of its service; then one row for each key and month.
FACTS = """
CREATE TEMP TABLE match_fact ON COMMIT DROP AS
WITH named AS (
    SELECT NULL::bigint AS line_id, NULL AS apart, piece.root, NULL::bigint AS number_id, NULL::bigint AS customer_id,
        piece.month, piece.days, piece.quantity * piece.days AS provided, piece.expected_price, piece.expected_cost,
        NULL::numeric AS billed, NULL::numeric AS waiting, NULL::numeric AS charged,
        NULL::numeric AS billed_units, NULL AS currency,
        NULL::numeric AS supplied, NULL::numeric AS supplied_units, NULL::boolean AS has_credit,
        NULL::text AS cost_currency, NULL::bigint AS carrier_id
    FROM match_piece piece
    UNION ALL
    SELECT NULL, NULL, NULL, held.number_id, held.customer_id, held.month, held.days, held.days, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM match_held held
    JOIN match_number number ON number.number_id = held.number_id AND number.customer_id = held.customer_id
        AND number.month = held.month AND number.root IS NULL
    UNION ALL
    SELECT NULL, NULL, coalesce(bill.root, number.root), bill.number_id, bill.customer_id, bill.month, NULL, NULL, NULL,
        NULL, bill.billed, bill.waiting, bill.charged, bill.unit_days, bill.currency, NULL, NULL, NULL, NULL, NULL
    FROM match_billed bill
    LEFT JOIN match_number number ON number.number_id = bill.number_id AND number.customer_id = bill.customer_id
        AND number.month = bill.month
    UNION ALL
    SELECT cost.line_id, cost.apart, coalesce(cost.root, number.root), cost.number_id, cost.customer_id, cost.month,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, cost.supplied, cost.unit_days, cost.has_credit,
        cost.currency, cost.carrier_id
    FROM match_supplied cost
    LEFT JOIN match_number number ON number.number_id = cost.number_id AND cost.line_id IS NULL
        AND number.customer_id IS NOT DISTINCT FROM cost.customer_id AND number.month = cost.month
), keyed AS (
    SELECT named.*, root.currency AS own_currency, CASE
        WHEN named.line_id IS NOT NULL THEN 'line:' || named.line_id
        WHEN named.root IS NOT NULL THEN 'feature:' || named.root
        WHEN named.number_id IS NOT NULL THEN 'number:' || named.number_id || ':' || coalesce(named.customer_id, 0)
        ELSE 'customer:' || coalesce(named.customer_id, 0) END AS key
    FROM named LEFT JOIN match_feature root ON root.id = named.root
), moneyed AS (
    SELECT keyed.*, min(keyed.cost_currency) OVER one AS first_cost_currency,
        coalesce(keyed.own_currency, min(keyed.currency) OVER one) AS first_currency
    FROM keyed WINDOW one AS (PARTITION BY keyed.key, keyed.month)
)
SELECT moneyed.key || CASE WHEN moneyed.currency <> moneyed.first_currency THEN ':' || moneyed.currency
        WHEN moneyed.cost_currency <> moneyed.first_cost_currency THEN ':' || moneyed.cost_currency ELSE '' END AS key,
    moneyed.month, min(moneyed.line_id) AS line_id, min(moneyed.apart) AS apart, min(moneyed.root) AS root,
    min(moneyed.number_id) AS number_id, min(moneyed.customer_id) AS customer_id,
    coalesce(sum(moneyed.days), 0) AS days, coalesce(sum(moneyed.provided), 0) AS provided,
    round(coalesce(sum(moneyed.expected_price), 0), 6) AS expected_price,
    round(coalesce(sum(moneyed.expected_cost), 0), 6) AS expected_cost,
    coalesce(sum(moneyed.billed), 0) AS billed, coalesce(sum(moneyed.waiting), 0) AS waiting,
    coalesce(sum(moneyed.charged), 0) AS charged,
    coalesce(sum(moneyed.billed_units), 0) AS billed_units, coalesce(min(moneyed.currency), min(moneyed.own_currency))
        AS currency,
    coalesce(sum(moneyed.supplied), 0) AS supplied, coalesce(sum(moneyed.supplied_units), 0) AS supplied_units,
    coalesce(bool_or(moneyed.has_credit), false) AS has_credit, min(moneyed.cost_currency) AS cost_currency,
    min(moneyed.carrier_id) AS carrier_id
FROM moneyed GROUP BY 1, 2
"""

PREPARE = tuple(
    (statement, f"ANALYZE {table}")
    for statement, table in (
        (FEATURES, "match_feature"), (PIECES, "match_piece"), (BILLED, "match_billed"), (SUPPLIED, "match_supplied"),
        (SUPPLIERS, "match_supplier"), (HERE, "match_here"), (LISTED, "match_listed"), (HELD, "match_held"),
        (NUMBERS, "match_number"), (FACTS, "match_fact"),
    )
)  # fmt: skip
CLEAR = """
DROP TABLE match_feature, match_piece, match_billed, match_supplied, match_supplier, match_here, match_listed,
    match_held, match_number, match_fact
"""

#: What the match must add up to, from the documents themselves.
BILLED_IN_BOOKS = f"""
SELECT invoice.currency, sum({_share("(line.net - coalesce(credited.net, 0))", "line.service_start", "line.last")})
FROM (
    SELECT id, invoice_id, kind, feature_type_id, net, service_start,
        greatest(service_end, service_start + 1) AS last
    FROM billing_invoiceline
    WHERE reseller_id = %(reseller)s AND service_start < %(end)s AND kind IN ('recurring', 'credit', 'carrier')
        AND greatest(service_end, service_start + 1) > %(first)s
) line
JOIN billing_invoice invoice ON invoice.id = line.invoice_id AND invoice.reseller_id = %(reseller)s
    AND invoice.state <> 'draft'
LEFT JOIN billing_charge charge ON charge.invoice_line_id = line.id AND charge.reseller_id = %(reseller)s
    AND line.kind <> 'recurring'
LEFT JOIN billing_carriercharge passed ON passed.charge_id = charge.id AND passed.reseller_id = %(reseller)s
LEFT JOIN (
    SELECT invoice_line_id, sum(net) AS net FROM billing_creditnoteline
    WHERE reseller_id = %(reseller)s AND invoice_line_id IS NOT NULL GROUP BY 1
) credited ON credited.invoice_line_id = line.id
{_months("line.service_start", "line.last")}
WHERE line.kind = 'recurring' OR passed.kind IN ('rental', 'credit')
    OR (line.kind = 'credit' AND line.feature_type_id IS NOT NULL AND passed.id IS NULL)
GROUP BY invoice.currency
"""  # noqa: S608  joined of constants of this module; values are parameters

SUPPLIED_IN_BOOKS = f"""
SELECT bill.currency, sum({_share("line.amount", "line.service_start", "line.service_end")})
FROM billing_carrierinvoice bill
JOIN billing_carriercharge line ON line.invoice_id = bill.id AND line.reseller_id = %(reseller)s
{_months("line.service_start", "line.service_end")}
WHERE bill.reseller_id = %(reseller)s AND line.kind IN ('rental', 'credit') AND line.service_start < %(end)s
    AND line.service_end > %(first)s
GROUP BY bill.currency
"""  # noqa: S608  joined of constants of this module; values are parameters
