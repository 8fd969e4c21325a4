"""Services and calls that are sold for less than they cost."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from billing.checks.services_sql import WITH_SERVICES
from billing.checks.sold_sql import NOUNS, SOLD
from billing.checks.words import counted, money
from resellerkpi.core.columns import figure

SQL = "".join(
    [
        WITH_SERVICES,
        """
SELECT service.id, service.subject, service.name, service.customer_id, customer.name AS customer,
    service.quantity, service.price,
    service.cost, service.currency
FROM service
JOIN billing_customer customer ON customer.id = service.customer_id AND customer.reseller_id = %(reseller)s
WHERE NOT service.not_charged AND service.price > 0 AND service.price < service.cost
ORDER BY 4, 1
""",
    ]
)


@check(
    slug="negative_margins",
    name="Prices under their cost",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="feature",
)
def negative_margins(ask: Ask) -> Iterator[Found]:
    """Features sold for less than they cost, and places whose calls of the period brought less than they cost."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=row.subject,
            label=f"{row.name}, {row.customer}",
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"{figure(row.quantity, 0)} × {row.name} for {money(row.price, row.currency)} a month"
            f" costs {money(row.cost, row.currency)}.",
            money_per_month=row.cost - row.price,
            currency=row.currency,
            count=row.quantity,
            args=(row.id,),
        )
    for row in select(SOLD, ask.sql(free=False)):
        yield Found(
            subject=in_currency(ask, f"{row.place} {row.service} {row.tariff}"[:150], row.currency),
            label=f"{row.place}, {row.tariff}",
            period=ask.period.start,
            why=f"{counted(row.calls, NOUNS[row.service])} brought {money(row.retail, row.currency)} and cost"
            f" {money(row.cost, row.currency)}.",
            money_to_date=row.cost - row.retail,
            currency=row.currency,
            count=row.calls,
            page="tariff-rates",
            args=(row.id,),
        )
