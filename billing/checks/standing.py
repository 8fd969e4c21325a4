"""Money of things that stand uncharged: list prices by month, part months by days, from the first month ever billed."""

from collections.abc import Iterator
from typing import Any

from billing.checks.declare import Ask
from billing.checks.rows import select

#: The closed months from the first that recurring charges were billed for, or the one asked about alone, with its days.
MONTHS = """
SELECT at::date AS month, (at + interval '1 month')::date AS next,
    ((at + interval '1 month')::date - at::date)::numeric AS days
FROM generate_series((
    SELECT date_trunc('month', coalesce(min(l.service_start), min(run.period_start), %(start)s)::timestamp)
    FROM (SELECT id, period_start FROM billing_billingrun WHERE reseller_id = %(reseller)s
        AND state IN ('billed', 'confirmed', 'sent') ORDER BY period_start LIMIT 1) run
    LEFT JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.run_id = run.id
    LEFT JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.invoice_id = i.id AND l.kind = 'recurring'
), %(start)s::timestamp, interval '1 month') at
"""
#: How many months a feature type is charged for at once; one-off types have none and are left out by a join.
INTERVALS = "(VALUES ('month', 1), ('quarter', 3), ('year', 12)) every (name, months)"
#: What `{ITEMS}` holds (subject, customer, type, quantity, own price, from, to), with what it should have brought.
SQL = """
WITH months AS MATERIALIZED ({MONTHS}), items AS MATERIALIZED ({ITEMS}), priced AS (
    SELECT i.*, t.name AS type, t.currency, every.months,
        i.quantity * coalesce(i.price, last.price, now.price, 0) / every.months AS monthly
    FROM items i JOIN billing_featuretype t ON t.id = i.type_id AND t.reseller_id = %(reseller)s
    JOIN {INTERVALS} ON every.name = t.interval
    LEFT JOIN billing_featureprice last ON last.reseller_id = %(reseller)s AND last.feature_type_id = i.type_id
        AND last.valid_from <= %(start)s AND (last.valid_to IS NULL OR last.valid_to > %(start)s)
    LEFT JOIN billing_featureprice now ON now.reseller_id = %(reseller)s AND now.feature_type_id = i.type_id
        AND now.valid_from <= %(today)s AND (now.valid_to IS NULL OR now.valid_to > %(today)s)
), lost AS (
    SELECT i.id, sum(i.quantity * coalesce(i.price, p.price, 0) / i.months
        * (least(coalesce(i.until, m.next), m.next) - greatest(i.since, m.month)) / m.days) AS to_date,
        min(greatest(i.since, m.month)) AS began
    FROM priced i JOIN months m ON i.since < m.next AND (i.until IS NULL OR i.until > m.month)
    LEFT JOIN billing_featureprice p ON p.reseller_id = %(reseller)s AND p.feature_type_id = i.type_id
        AND p.valid_from <= m.month AND (p.valid_to IS NULL OR p.valid_to > m.month)
    GROUP BY i.id
)
SELECT i.subject, i.customer_id, i.number_id, i.type, i.currency, sum(i.quantity) FILTER (WHERE i.stands) AS quantity,
    min(coalesce(lost.began, i.since)) AS since, max(i.id) FILTER (WHERE i.stands) AS id,
    sum(i.monthly) FILTER (WHERE i.stands) AS monthly, coalesce(sum(lost.to_date), 0) AS to_date
FROM priced i LEFT JOIN lost ON lost.id = i.id
GROUP BY 1, 2, 3, 4, 5 HAVING coalesce(sum(i.monthly) FILTER (WHERE i.stands), 0) > 0 ORDER BY 1
""".replace("{MONTHS}", MONTHS).replace("{INTERVALS}", INTERVALS)
#: Features as items: those that stand are in service today; earlier ones of the same customer and type count to date.
FEATURES = """
SELECT f.id, c.code || ' ' || t.code AS subject, f.customer_id, NULL::bigint AS number_id, f.feature_type_id AS type_id,
    f.quantity::numeric AS quantity, {PRICE} AS price, f.start_date AS since, f.end_date AS until,
    f.start_date <= %(today)s AND (f.end_date IS NULL OR f.end_date > %(today)s) AS stands
FROM billing_feature f JOIN billing_customer c ON c.id = f.customer_id AND NOT c.is_test
JOIN billing_featuretype t ON t.id = f.feature_type_id
WHERE f.reseller_id = %(reseller)s AND {WHERE}
"""


def uncharged(ask: Ask, items: str) -> Iterator[Any]:
    """Yield what stands uncharged of items, by subject: money a month, to date, since when, how many."""
    yield from select(SQL.replace("{ITEMS}", items), ask.sql())


def features(where: str, *, price: str = "NULL::numeric") -> str:
    """Return features under a condition as items, at a price of their own or, where that is NULL, the list price."""
    return FEATURES.replace("{WHERE}", where).replace("{PRICE}", price)
