"""Customers whose calls no tariff prices."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from billing.checks.words import at_least, counted

SQL = """
SELECT customer.id, customer.code, customer.name, call.cost_currency AS currency, count(*) AS calls,
    sum(coalesce(call.cost, call.expected_cost, 0)) AS cost
FROM billing_call call
JOIN billing_customer customer ON customer.id = call.customer_id AND customer.reseller_id = %(reseller)s
    AND NOT customer.is_test
WHERE call.reseller_id = %(reseller)s AND call.state = 'error' AND call.reason = 'no_tariff'
    AND call.started_at >= %(starts_at)s AND call.started_at < %(ends_at)s
GROUP BY 1, 2, 3, 4 ORDER BY 3, 1, 4
"""


@check(
    slug="customers_without_tariff",
    name="Customers with calls and without a tariff",
    family=Family.PRE_BILLING,
    level=Level.ERROR,
    page="customer-tariff",
)
def customers_without_tariff(ask: Ask) -> Iterator[Found]:
    """Customers with calls in the period that neither a tariff of theirs nor a default one prices."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            customer_id=row.id,
            period=ask.period.start,
            why=f"{counted(row.calls, 'call')} could not be priced for want of a tariff"
            f"{at_least(row.cost, row.currency)}.",
            money_to_date=row.cost,
            currency=row.currency,
            count=row.calls,
            args=(row.id,),
        )
