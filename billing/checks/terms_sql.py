"""Whose contract ends between two days, and what may end with it, as SQL.

Parameters: those of the services, since and until (the days between which the term ends, `until` exclusive). A
customer's term is the latest of its contracts'; what is bound beyond `until` by a term of its own is left out.
"""

from billing.checks.services_sql import WITH_SERVICES

TERMS = "".join(
    [
        WITH_SERVICES,
        """, free AS (
    SELECT customer_id, currency, sum(price) AS price, count(*) AS services FROM service
    WHERE NOT not_charged AND price > 0 AND (end_date IS NULL OR end_date > %(end)s)
        AND (minimum_term_end IS NULL OR minimum_term_end < %(until)s)
    GROUP BY 1, 2
), term AS (
    SELECT customer.id, customer.code, customer.name,
        greatest(customer.contract_end, max(contract.minimum_term_end)) AS until
    FROM billing_customer customer
    LEFT JOIN billing_contract contract ON contract.customer_id = customer.id AND contract.reseller_id = %(reseller)s
    WHERE customer.reseller_id = %(reseller)s GROUP BY customer.id
)
SELECT term.id, term.code, term.name, term.until, free.currency, free.price, free.services
FROM term JOIN free ON free.customer_id = term.id
WHERE term.until >= %(since)s AND term.until < %(until)s ORDER BY 4, 3, 1, 5
""",
    ]
)
