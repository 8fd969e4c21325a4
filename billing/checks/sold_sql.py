"""What calls of a period brought and cost by tariff, service and place, as SQL: free places or places that cost more.

Parameters: reseller, starts_at, ends_at, free. Calls out of an allowance, calls whose cost is not known and calls sold
in another currency than they were bought in are left out.
"""

SOLD = """
WITH sold AS (
    SELECT call.rate_id, call.currency, count(*) AS calls, sum(call.retail) AS retail,
        sum(coalesce(call.cost, call.expected_cost)) AS cost
    FROM billing_call call
    WHERE call.reseller_id = %(reseller)s AND call.started_at >= %(starts_at)s AND call.started_at < %(ends_at)s
        AND call.state IN ('rated', 'zero') AND call.reason = '' AND call.bundle_id IS NULL
        AND call.currency = call.cost_currency AND coalesce(call.cost, call.expected_cost) IS NOT NULL
    GROUP BY 1, 2
)
SELECT tariff.id, tariff.name AS tariff, coalesce(nullif(rate.destination, ''), rate.key) AS place, rate.service,
    sold.currency, sum(sold.calls)::bigint AS calls, sum(sold.retail) AS retail, sum(sold.cost) AS cost
FROM sold
JOIN billing_tariffrate rate ON rate.id = sold.rate_id AND rate.reseller_id = %(reseller)s
JOIN billing_tariff tariff ON tariff.id = rate.tariff_id AND tariff.reseller_id = %(reseller)s
WHERE (rate.price = 0 AND rate.connection_fee = 0 AND rate.minimum_charge = 0) = %(free)s
GROUP BY 1, 2, 3, 4, 5
HAVING sum(sold.cost) > CASE WHEN %(free)s THEN 0 ELSE sum(sold.retail) END
ORDER BY sum(sold.retail) - sum(sold.cost), 1, 3, 4, 5
"""
#: What is sold of a service, one of it.
NOUNS = {"voice": "call", "sms": "message", "data": "session"}
