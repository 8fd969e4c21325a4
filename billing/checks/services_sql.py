"""What customers have in a period and what it brings and costs a month, as SQL that the checks build on.

Parameters: reseller, start and end (the period's days, the end exclusive). A price is that of the latest day which the
service has in the period; yearly and quarterly prices count by the month, what is charged once does not count.
"""

#: One row per recurring feature in service during the period; `is_priced` tells a price of 0 from none at all, and
#: `subject` names it by account, feature type, number and start, those alike by their order.
SERVICES = """
SELECT feature.id, left(concat_ws(' ', customer.code, type.code, number.number, feature.start_date,
        nullif(row_number() OVER (PARTITION BY feature.customer_id, feature.feature_type_id, feature.number_id,
            feature.start_date ORDER BY feature.id), 1)), 160) AS subject,
    feature.customer_id, feature.number_id, feature.feature_type_id, type.name, type.currency,
    feature.quantity, feature.start_date, feature.end_date, feature.minimum_term_end, feature.not_charged,
    feature.price IS NOT NULL OR listed.price IS NOT NULL AS is_priced,
    round(coalesce(feature.price, listed.price, 0) * (100 - feature.discount_percent) / 100
        * feature.quantity / rhythm.months, 6) AS price,
    round(coalesce(listed.price, 0) * feature.quantity / rhythm.months, 6) AS list_price,
    round(coalesce(feature.cost, listed.cost, 0) * feature.quantity / rhythm.months, 6) AS cost
FROM billing_feature feature
JOIN billing_customer customer ON customer.id = feature.customer_id AND customer.reseller_id = %(reseller)s
    AND NOT customer.is_test
JOIN billing_featuretype type ON type.id = feature.feature_type_id AND type.reseller_id = %(reseller)s
JOIN (VALUES ('month', 1), ('quarter', 3), ('year', 12)) rhythm (interval, months) ON rhythm.interval = type.interval
LEFT JOIN billing_number number ON number.id = feature.number_id AND number.reseller_id = %(reseller)s
LEFT JOIN LATERAL (
    SELECT price.price, price.cost FROM billing_featureprice price
    WHERE price.reseller_id = %(reseller)s AND price.feature_type_id = feature.feature_type_id
        AND price.valid_from < least(feature.end_date, %(end)s)
        AND (price.valid_to IS NULL OR price.valid_to > greatest(feature.start_date, %(start)s))
    ORDER BY price.valid_from DESC LIMIT 1
) listed ON true
WHERE feature.reseller_id = %(reseller)s AND feature.start_date < %(end)s
    AND (feature.end_date IS NULL OR feature.end_date > %(start)s)
"""
WITH_SERVICES = f"WITH service AS ({SERVICES})"
