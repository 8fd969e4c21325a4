"""Prices that stayed when their cost rose: of feature types, and of destinations."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, check
from billing.checks.rows import in_currency, select
from billing.checks.standing import INTERVALS, MONTHS
from resellerkpi.core.columns import day, figure

#: List prices in runs without a rise of the price; a rise is the cost over that at the run's beginning.
TYPES = """
WITH months AS MATERIALIZED ({MONTHS}), stepped AS (
    SELECT p.*, CASE WHEN p.price > lag(p.price) OVER w THEN 1 ELSE 0 END AS risen FROM billing_featureprice p
    WHERE p.reseller_id = %(reseller)s AND p.valid_from <= %(today)s
    WINDOW w AS (PARTITION BY p.feature_type_id ORDER BY p.valid_from)
), runs AS (
    SELECT *, sum(risen) OVER (PARTITION BY feature_type_id ORDER BY valid_from) AS run FROM stepped
), rises AS (
    SELECT feature_type_id, valid_from, valid_to, price, cost,
        cost - first_value(cost) OVER (PARTITION BY feature_type_id, run ORDER BY valid_from) AS rise,
        first_value(cost) OVER (PARTITION BY feature_type_id, run ORDER BY valid_from) AS before,
        run = max(run) OVER (PARTITION BY feature_type_id) AS latest
    FROM runs
), stale AS (
    SELECT * FROM rises WHERE latest AND before > 0 AND rise > 0 AND feature_type_id IN (SELECT feature_type_id
        FROM rises WHERE rise > 0 AND before > 0 AND (valid_to IS NULL OR valid_to > %(today)s))
), used AS (
    SELECT f.* FROM billing_feature f JOIN billing_customer c ON c.id = f.customer_id AND NOT c.is_test
    WHERE f.reseller_id = %(reseller)s AND f.cost IS NULL AND f.feature_type_id IN (SELECT feature_type_id FROM stale)
), lost AS (
    SELECT s.feature_type_id, m.month, sum(s.rise * f.quantity * greatest(0, least(coalesce(f.end_date, m.next),
        coalesce(s.valid_to, m.next), m.next) - greatest(f.start_date, s.valid_from, m.month)) / m.days) AS amount
    FROM stale s JOIN used f ON f.feature_type_id = s.feature_type_id JOIN months m ON s.valid_from < m.next
        AND (s.valid_to IS NULL OR s.valid_to > m.month) AND f.start_date < m.next
        AND (f.end_date IS NULL OR f.end_date > m.month)
    GROUP BY 1, 2
), now AS (
    SELECT f.feature_type_id, sum(f.quantity) AS quantity FROM used f
    WHERE f.start_date <= %(today)s AND (f.end_date IS NULL OR f.end_date > %(today)s) GROUP BY 1
)
SELECT t.id, t.code, t.name, t.currency, began.since, cur.rise, cur.price, now.quantity,
    coalesce(sum(l.amount), 0) / every.months AS to_date,
    coalesce(sum(l.amount) FILTER (WHERE l.month = %(start)s), cur.rise * now.quantity) / every.months AS monthly
FROM billing_featuretype t JOIN {INTERVALS} ON every.name = t.interval
JOIN (SELECT feature_type_id, min(valid_from) AS since FROM stale GROUP BY 1) began ON began.feature_type_id = t.id
JOIN stale cur ON cur.feature_type_id = t.id AND (cur.valid_to IS NULL OR cur.valid_to > %(today)s)
JOIN now ON now.feature_type_id = t.id LEFT JOIN lost l ON l.feature_type_id = t.id
WHERE t.reseller_id = %(reseller)s
GROUP BY t.id, t.code, t.name, t.currency, began.since, cur.rise, cur.price, now.quantity, every.months ORDER BY t.code
""".replace("{MONTHS}", MONTHS).replace("{INTERVALS}", INTERVALS)
#: Calls at a wholesale rate dearer than the one in force when the retail rate began (else the first known).
DESTINATIONS = """
WITH raised AS MATERIALIZED (
    SELECT w.* FROM billing_tariffrate w JOIN billing_tariff t ON t.id = w.tariff_id AND t.kind = 'wholesale'
    WHERE w.reseller_id = %(reseller)s AND w.valid_from <= %(today)s AND EXISTS (
        SELECT FROM billing_tariffrate b WHERE b.reseller_id = %(reseller)s AND b.tariff_id = w.tariff_id
            AND b.service = w.service AND b.key_kind = w.key_kind AND b.key = w.key AND b.band = w.band
            AND b.valid_from < w.valid_from AND b.price < w.price)
), pairs AS (
    SELECT c.destination, c.cost_currency AS currency, c.rate_id, c.cost_rate_id, count(*) AS calls,
        min(c.started_at) AS first, max(c.started_at) AS last, sum(coalesce(c.cost, c.expected_cost)) AS cost,
        sum(coalesce(c.cost, c.expected_cost)) FILTER (WHERE c.started_at >= %(starts_at)s
            AND c.started_at < %(ends_at)s) AS monthly
    FROM billing_call c WHERE c.reseller_id = %(reseller)s AND c.state = 'rated' AND c.bundle_id IS NULL
        AND c.cost_rate_id IN (SELECT id FROM raised)
        AND c.started_at >= (SELECT min(valid_from) FROM raised)::timestamp AT TIME ZONE %(zone)s
    GROUP BY 1, 2, 3, 4
    HAVING sum(coalesce(c.cost, c.expected_cost)) <= sum(c.retail) OR bool_or(c.currency <> c.cost_currency)
)
SELECT p.destination, p.currency, sum(p.calls) AS calls, min(w.valid_from) AS rose, min(r.tariff_id) AS tariff_id,
    date_trunc('month', min(p.first) AT TIME ZONE %(zone)s)::date AS since,
    sum(p.cost * (w.price - before.price) / w.price) AS to_date,
    coalesce(sum(p.monthly * (w.price - before.price) / w.price), 0) AS monthly
FROM pairs p JOIN raised w ON w.id = p.cost_rate_id
JOIN billing_tariffrate r ON r.id = p.rate_id AND r.reseller_id = %(reseller)s AND r.valid_from < w.valid_from
CROSS JOIN LATERAL (
    SELECT b.price FROM billing_tariffrate b WHERE b.reseller_id = %(reseller)s AND b.tariff_id = w.tariff_id
        AND b.service = w.service AND b.key_kind = w.key_kind AND b.key = w.key AND b.band = w.band
        AND b.valid_from < w.valid_from
    ORDER BY CASE WHEN b.valid_from <= r.valid_from THEN b.valid_from END DESC NULLS LAST, b.valid_from LIMIT 1
) before
WHERE before.price < w.price GROUP BY 1, 2
HAVING bool_or((r.valid_to IS NULL OR r.valid_to > %(today)s) AND (w.valid_to IS NULL OR w.valid_to > %(today)s)
    AND p.last >= %(starts_at)s - interval '2 months') ORDER BY 1, 2
"""


@check(slug="stale_pricing", name="Stale prices", family=Family.LEAKAGE, page="feature-type")
def stale_pricing(ask: Ask) -> Iterator[Found]:
    """Feature types and destinations whose cost rose since their price last did: the rise on all that was sold since.

    A rise of a feature type is over its cost when its list price last rose, on what was in service, part months by
    days. A rise of a destination is over its wholesale price when the retail rate began, on each priced call outside
    allowances; where a destination sells below cost, that check has the money.
    """
    for row in select(TYPES, ask.sql()):
        rise = f"{figure(row.rise, 2)} {row.currency}"
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            period=row.since.replace(day=1),
            why=f"The supplier's price of {row.name} rose by {rise} on {day(row.since)}; ours stayed.",
            money_per_month=row.monthly,
            money_to_date=row.to_date,
            currency=row.currency,
            count=row.quantity,
            args=(row.id,),
        )
    for row in select(DESTINATIONS, ask.sql()):
        yield Found(
            subject=in_currency(ask, row.destination, row.currency),
            label=row.destination,
            period=row.since,
            why=f"The wholesale price rose on {day(row.rose)} and ours stayed; the rise on each call since.",
            money_per_month=row.monthly,
            money_to_date=row.to_date,
            currency=row.currency,
            count=row.calls,
            page="tariff-rates",
            args=(row.tariff_id,),
        )
