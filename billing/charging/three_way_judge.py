"""The statements that judge a three-way match: the state of each service, what is to be said of it, since when."""

#: What is known of each service and month besides its facts: whose it is, who supplies it, whether bills are there.
KNOWN = """
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (root) root, id FROM match_feature ORDER BY root, start_date DESC, id DESC
), running AS MATERIALIZED (
    SELECT DISTINCT ON (root, month) root, month, id FROM match_piece ORDER BY root, month, start_date DESC, id DESC
), billed_to AS MATERIALIZED (
    SELECT cycle, max(period_end) AS reached FROM billing_billingrun
    WHERE reseller_id = %(reseller)s AND state IN ('billed', 'confirmed', 'sent') GROUP BY cycle
), known AS MATERIALIZED (
    SELECT fact.key, fact.month, fact.line_id, fact.apart, fact.root, feature.id AS feature_id, feature.feature_type_id,
        customer.id AS customer_id, coalesce(feature.number_id, fact.number_id) AS number_id,
        coalesce(fact.carrier_id, of_feature.carrier_id, of_number.carrier_id, feature.carrier_id) AS carrier_id,
        coalesce(feature.mark, '') AS mark, coalesce(feature.product, '') AS product,
        coalesce(customer.is_test, false) AS is_test, fact.days, fact.provided, fact.expected_price,
        CASE WHEN fact.expected_cost = 0 AND fact.days > 0 AND (feature.id IS NULL OR feature.rents)
            THEN round(coalesce(number.monthly_cost, 0) * fact.days / span.days, 6)
            ELSE fact.expected_cost END AS expected_cost,
        fact.billed, fact.waiting, fact.charged,
        fact.billed + fact.waiting AS asked, fact.billed_units, fact.supplied,
        fact.supplied_units, fact.has_credit, span.days AS month_days,
        coalesce(fact.currency, feature.currency, customer.currency, fact.cost_currency, '') AS currency,
        coalesce(fact.cost_currency, feature.currency, fact.currency, customer.currency, '') AS cost_currency,
        coalesce(billed_to.reached >= fact.month + make_interval(months => CASE feature.timing
            WHEN 'arrears' THEN feature.months ELSE 1 END), false) AS is_due
    FROM match_fact fact
    CROSS JOIN LATERAL (
        SELECT (fact.month + interval '1 month')::date - fact.month AS days
    ) span
    LEFT JOIN running ON running.root = fact.root AND running.month = fact.month
    LEFT JOIN newest ON newest.root = fact.root
    LEFT JOIN match_feature feature ON feature.id = coalesce(running.id, newest.id)
    LEFT JOIN billing_customer customer ON customer.id = coalesce(feature.customer_id, fact.customer_id)
        AND customer.reseller_id = %(reseller)s
    LEFT JOIN billing_number number ON number.id = coalesce(feature.number_id, fact.number_id)
        AND number.reseller_id = %(reseller)s
    LEFT JOIN billed_to ON billed_to.cycle = customer.billing_cycle
    LEFT JOIN match_supplier of_feature ON of_feature.root = fact.root AND of_feature.month = fact.month
    LEFT JOIN match_supplier of_number ON of_number.number_id = number.id AND of_number.month = fact.month
        AND (feature.id IS NULL OR feature.rents)
"""

#: The state of a service: which of the three there are (a credit note does not undo that what was provided is billed);
#: and what the supplier's bills say where it is not among them.
STATES = """
), stated AS MATERIALIZED (
    SELECT known.*, known.days > 0 AS p, known.supplied <> 0 AS s,
        known.asked <> 0 OR (known.days > 0 AND known.charged <> 0) AS b,
        CASE WHEN known.apart = 'open' THEN 'open' WHEN known.apart = 'ignored' THEN 'left'
            ELSE concat(CASE WHEN known.days > 0 THEN 'p' END,
                CASE WHEN known.asked <> 0 OR (known.days > 0 AND known.charged <> 0) THEN 'b' END,
                CASE WHEN known.supplied <> 0 THEN 's' END) END AS state,
        CASE WHEN known.supplied <> 0 THEN 'billed'
            WHEN known.carrier_id IS NULL OR (known.expected_cost = 0 AND known.root IS NOT NULL) THEN 'none'
            WHEN here.carrier_id IS NULL THEN 'missing'
            WHEN known.product <> '' AND listed.carrier_id IS NULL THEN 'unlisted'
            ELSE 'absent' END AS supplier
    FROM known
    LEFT JOIN match_here here ON here.carrier_id = known.carrier_id AND here.month = known.month
    LEFT JOIN match_listed listed ON listed.carrier_id = known.carrier_id AND listed.product = known.product
), found AS MATERIALIZED (
    SELECT stated.*, CASE
        WHEN state = 'open' THEN 'open'
        WHEN state = 'left' THEN 'left_out'
        WHEN is_test THEN 'own_use'
        WHEN p AND b AND s AND expected_cost > 0 AND cost_currency = currency AND supplied - expected_cost > 0.01
            THEN 'supplier_more'
        WHEN p AND b AND is_due AND billed_units < provided AND expected_price - charged > 0.01 THEN 'billed_fewer'
        WHEN p AND b AND s AND NOT has_credit AND supplied_units > provided THEN 'supplier_units'
        WHEN p AND b AND s AND cost_currency = currency AND charged < supplied THEN 'below_cost'
        WHEN p AND b AND s THEN 'agrees'
        WHEN p AND b THEN CASE supplier WHEN 'missing' THEN 'bill_missing' WHEN 'unlisted' THEN 'not_itemised'
            WHEN 'absent' THEN 'no_charge' ELSE 'no_supplier' END
        WHEN p AND root IS NULL THEN CASE WHEN s OR expected_cost > 0 THEN 'no_rental' ELSE 'nothing_due' END
        WHEN p AND expected_price = 0 AND NOT s THEN 'nothing_due'
        WHEN p AND mark <> '' AND expected_price > 0 THEN mark
        WHEN p AND NOT is_due THEN 'bill_waits'
        WHEN p THEN 'not_billed'
        WHEN b THEN 'billed_ended'
        ELSE 'still_charged' END AS finding
    FROM stated WHERE p OR b OR s
), judged AS (
    SELECT found.*, CASE
        WHEN finding IN ('supplier_more', 'billed_fewer', 'below_cost', 'marked_free', 'price_zero', 'not_billed',
            'no_rental', 'billed_ended', 'still_charged') THEN 'loss'
        WHEN finding IN ('supplier_units', 'no_charge', 'open') THEN 'check'
        WHEN finding IN ('bill_missing', 'bill_waits') THEN 'wait'
        ELSE 'fine' END AS attention,
        CASE WHEN finding IN ('supplier_more', 'below_cost', 'no_rental', 'still_charged', 'open')
                OR (finding = 'not_billed' AND expected_price = 0) THEN cost_currency
            ELSE currency END AS risk_currency,
        greatest(0, CASE finding
            WHEN 'supplier_more' THEN supplied - expected_cost
            WHEN 'billed_fewer' THEN expected_price - charged
            WHEN 'below_cost' THEN supplied - charged
            WHEN 'no_rental' THEN greatest(supplied, expected_cost)
            WHEN 'billed_ended' THEN CASE WHEN cost_currency = currency THEN greatest(asked, supplied) ELSE asked END
            WHEN 'still_charged' THEN supplied
            WHEN 'open' THEN supplied
            WHEN 'marked_free' THEN expected_price
            WHEN 'price_zero' THEN expected_price
            WHEN 'not_billed' THEN CASE WHEN expected_price > 0 THEN expected_price ELSE supplied END
            ELSE 0 END) AS at_risk
    FROM found
)
"""

KEEP = """
INSERT INTO billing_servicematch (reseller_id, month, key, customer_id, number_id, feature_id, feature_type_id,
    carrier_id, line_id, state, finding, attention, supplier, days, quantity, billed_quantity, supplied_quantity,
    expected_price, billed, waiting, currency, expected_cost, supplied, cost_currency, at_risk, risk_currency, since,
    months, to_date)
SELECT %(reseller)s, month, key, customer_id, number_id, feature_id, feature_type_id, carrier_id, line_id, state,
    finding, attention, supplier, days, round(provided::numeric / month_days, 6),
    round(billed_units / month_days, 6), round(supplied_units / month_days, 6), expected_price, billed, waiting,
    currency, expected_cost, supplied, cost_currency, at_risk, risk_currency, month, 1, at_risk
FROM judged
"""

JUDGE = KNOWN + STATES + KEEP

FORGET = "DELETE FROM billing_servicematch WHERE reseller_id = %(reseller)s AND month >= %(first)s AND month < %(end)s"

MATCHED = """
INSERT INTO billing_matchedmonth (reseller_id, month, matched_at)
SELECT %(reseller)s, step::date, %(now)s
FROM generate_series(%(first)s::date, %(end)s::date - interval '1 day', interval '1 month') step
ON CONFLICT (reseller_id, month) DO UPDATE SET matched_at = excluded.matched_at
"""

#: Months on end in one state; what the supplier's missing bill leaves open is taken as the months before it.
SINCE = """
WITH told AS (
    SELECT id, key, month, at_risk, risk_currency, days > 0 AS p, state LIKE '%%b%%' AS b,
        CASE WHEN supplier <> 'missing' THEN (supplied <> 0)::int END AS s, state IN ('open', 'left') AS apart,
        extract(year FROM month) * 12 + extract(month FROM month) AS number
    FROM billing_servicematch WHERE reseller_id = %(reseller)s
), broken AS (
    SELECT told.*, (number = lag(number) OVER one + 1 AND p = lag(p) OVER one AND b = lag(b) OVER one
        AND apart = lag(apart) OVER one) IS NOT TRUE AS breaks
    FROM told WINDOW one AS (PARTITION BY key ORDER BY month)
), run AS (
    SELECT broken.*, count(*) FILTER (WHERE breaks) OVER (PARTITION BY key ORDER BY month) AS island FROM broken
), carried AS (
    SELECT run.*, count(s) OVER (PARTITION BY key, island ORDER BY month) AS place FROM run
), settled AS (
    SELECT carried.*, max(s) OVER (PARTITION BY key, island, place) AS last_s FROM carried
), turned AS (
    SELECT settled.*, (last_s <> lag(last_s) OVER one) IS TRUE AS turns
    FROM settled WINDOW one AS (PARTITION BY key, island ORDER BY month)
), counted AS (
    SELECT turned.*, count(*) FILTER (WHERE turns) OVER (PARTITION BY key, island ORDER BY month) AS part FROM turned
), summed AS (
    SELECT id, min(month) OVER one AS since, row_number() OVER one AS months,
        sum(at_risk) OVER (PARTITION BY key, island, part, risk_currency ORDER BY month) AS to_date
    FROM counted WINDOW one AS (PARTITION BY key, island, part ORDER BY month)
)
UPDATE billing_servicematch kept SET since = summed.since, months = summed.months, to_date = summed.to_date
FROM summed
WHERE kept.id = summed.id AND kept.reseller_id = %(reseller)s
    AND (kept.since, kept.months, kept.to_date) IS DISTINCT FROM (summed.since, summed.months::int, summed.to_date)
"""
