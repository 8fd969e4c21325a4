"""Direct Debit customers without a mandate."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.services_sql import WITH_SERVICES
from billing.checks.words import money
from resellerkpi.core.columns import day

SQL = "".join(
    [
        WITH_SERVICES,
        """
SELECT customer.id, customer.code, customer.name, customer.currency, coalesce(recurring.price, 0) AS price,
    coalesce(balance.open, 0) AS open, held.until
FROM billing_customer customer
LEFT JOIN (SELECT customer_id, currency, sum(price) AS price FROM service WHERE NOT not_charged GROUP BY 1, 2) recurring
    ON recurring.customer_id = customer.id AND recurring.currency = customer.currency
LEFT JOIN (SELECT customer_id, currency, sum(amount) AS open FROM billing_ledgerentry
    WHERE reseller_id = %(reseller)s GROUP BY 1, 2 HAVING sum(amount) > 0) balance
    ON balance.customer_id = customer.id AND balance.currency = customer.currency
LEFT JOIN (SELECT customer_id, max(end_date) AS until,
        bool_or(start_date <= %(collected)s AND coalesce(end_date > %(collected)s, true)) AS holds
    FROM billing_mandate WHERE reseller_id = %(reseller)s GROUP BY 1) held ON held.customer_id = customer.id
WHERE customer.reseller_id = %(reseller)s AND customer.payment_method = 'direct_debit' AND NOT customer.is_test
    AND (recurring.price > 0 OR balance.open > 0) AND NOT coalesce(held.holds, false)
ORDER BY 3, 1
""",
    ]
)


@check(
    slug="mandates_missing",
    name="Direct Debit customers without a mandate",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="customer-mandate",
)
def mandates_missing(ask: Ask) -> Iterator[Found]:
    """Customers who pay by Direct Debit, have something to pay and no mandate in force when the bills are collected."""
    for row in select(SQL, ask.sql(collected=max(ask.period.end, ask.today))):
        lapsed = f"The mandate ended on {day(row.until)}" if row.until else "There is no mandate"
        owed = f"; {money(row.open, row.currency)} is open" if row.open else ""
        yield Found(
            subject=row.code,
            label=row.name,
            customer_id=row.id,
            period=ask.period.start,
            why=f"{lapsed}: the bill of the period cannot be collected{owed}.",
            money_per_month=row.price,
            money_to_date=row.open,
            currency=row.currency,
            args=(row.id,),
        )
