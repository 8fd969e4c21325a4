"""Dated tariffs and rates beside those before them, as SQL: where one ends before the next begins, and where two hold.

Parameters: reseller, start, end. Rates are looked at from three months before the period to one after it; what lies
further apart is no gap but an end and a new beginning.
"""

#: Tariffs given to customers and numbers, each with the day up to which those given before it for its class reach.
ASSIGNED = """
WITH span AS (
    SELECT given.customer_id, given.number_id, given.call_class, given.start_date AS begins,
        coalesce(given.end_date, 'infinity') AS ends, max(coalesce(given.end_date, 'infinity')) OVER earlier AS reached
    FROM billing_tariffassignment given WHERE given.reseller_id = %(reseller)s
    WINDOW earlier AS (PARTITION BY given.customer_id, given.number_id, given.call_class
        ORDER BY given.start_date, given.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), named AS (
    SELECT span.*, customer.code, customer.name FROM span
    JOIN billing_customer customer ON customer.id = span.customer_id AND customer.reseller_id = %(reseller)s
    UNION ALL
    SELECT span.*, number.number, number.number FROM span
    JOIN billing_number number ON number.id = span.number_id AND number.reseller_id = %(reseller)s
)
"""
#: Rates of a key and band, each with the day up to which those before it reach.
RATED = """
WITH span AS (
    SELECT rate.tariff_id, coalesce(nullif(rate.destination, ''), rate.key) AS place, rate.valid_from AS begins,
        coalesce(rate.valid_to, 'infinity') AS ends, max(coalesce(rate.valid_to, 'infinity')) OVER earlier AS reached
    FROM billing_tariffrate rate
    WHERE rate.reseller_id = %(reseller)s AND rate.valid_from < %(end)s::date + 31
        AND (rate.valid_to IS NULL OR rate.valid_to > %(start)s::date - 92)
    WINDOW earlier AS (PARTITION BY rate.tariff_id, rate.service, rate.key_kind, rate.key, rate.band
        ORDER BY rate.valid_from ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
"""
GAP = "span.reached < span.begins AND span.reached < %(end)s AND span.begins > %(start)s"
OVERLAP = (
    "span.reached > span.begins AND span.begins < %(end)s AND least(span.reached, span.ends) > %(start)s"
)
RATE_SUMS = """
SELECT tariff.id, tariff.name, count(*) AS rates, min(span.place) AS place
FROM span JOIN billing_tariff tariff ON tariff.id = span.tariff_id AND tariff.reseller_id = %(reseller)s
WHERE """
OF_TARIFF = " GROUP BY 1, 2 ORDER BY 2, 1"
