"""Customers whose calls no tariff would price, had they any."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.words import counted

SQL = """
WITH held AS (
    SELECT given.customer_id, given.number_id, number.type,
        least(coalesce(given.end_date, %(end)s), %(end)s) - 1 AS day
    FROM billing_numberassignment given
    JOIN billing_number number ON number.id = given.number_id AND number.reseller_id = %(reseller)s
        AND number.type <> 'broadband'
    WHERE given.reseller_id = %(reseller)s AND given.start_date < %(end)s
        AND (given.end_date IS NULL OR given.end_date > %(start)s)
)
SELECT customer.id, customer.code, customer.name, count(*) AS numbers
FROM held
JOIN billing_customer customer ON customer.id = held.customer_id AND customer.reseller_id = %(reseller)s
    AND NOT customer.is_test
WHERE NOT EXISTS (SELECT FROM billing_tariff tariff WHERE tariff.reseller_id = %(reseller)s AND tariff.is_default
        AND tariff.kind = 'retail' AND tariff.default_number_type IN ('', held.type)
        AND (tariff.superseded_on IS NULL OR tariff.superseded_on > held.day))
    AND NOT EXISTS (SELECT FROM billing_tariffassignment own WHERE own.reseller_id = %(reseller)s
        AND own.customer_id = held.customer_id AND own.start_date <= held.day
        AND (own.end_date IS NULL OR own.end_date > held.day))
    AND NOT EXISTS (SELECT FROM billing_tariffassignment own WHERE own.reseller_id = %(reseller)s
        AND own.number_id = held.number_id AND own.start_date <= held.day
        AND (own.end_date IS NULL OR own.end_date > held.day))
    AND NOT EXISTS (SELECT FROM billing_call call WHERE call.reseller_id = %(reseller)s
        AND call.customer_id = held.customer_id AND call.state = 'error' AND call.reason = 'no_tariff'
        AND call.started_at >= %(starts_at)s AND call.started_at < %(ends_at)s)
GROUP BY 1, 2, 3 ORDER BY 3, 1
"""


@check(
    slug="customers_without_tariff_or_calls",
    name="Customers without a tariff, no calls yet",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="customer-tariff",
)
def customers_without_tariff_or_calls(ask: Ask) -> Iterator[Found]:
    """Customers with numbers that neither a tariff of theirs nor a default one prices on the last day in the period."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=row.code,
            label=row.name,
            customer_id=row.id,
            period=ask.period.start,
            why=f"{counted(row.numbers, 'number')} would make calls that no tariff prices.",
            count=row.numbers,
            args=(row.id,),
        )
