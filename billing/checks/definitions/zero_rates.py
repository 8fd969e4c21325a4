"""Lines and calls that are sold for nothing."""

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
    service.quantity, service.list_price,
    service.cost, service.currency
FROM service
JOIN billing_customer customer ON customer.id = service.customer_id AND customer.reseller_id = %(reseller)s
WHERE NOT service.not_charged AND service.is_priced AND service.price = 0
    AND (service.list_price > 0 OR service.cost > 0)
ORDER BY 4, 1
""",
    ]
)


@check(
    slug="zero_rates",
    name="Lines and calls at a price of 0",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="feature",
)
def zero_rates(ask: Ask) -> Iterator[Found]:
    """Features charged at 0 though the list asks for more or a carrier does, and places called at a rate of 0."""
    for row in select(SQL, ask.sql()):
        listed = bool(row.list_price)
        amount = row.list_price if listed else row.cost
        asks = "the list price is" if listed else "it costs"
        yield Found(
            subject=row.subject,
            label=f"{row.name}, {row.customer}",
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"{figure(row.quantity, 0)} × {row.name} at a price of 0; {asks}"
            f" {money(amount, row.currency)} a month.",
            money_per_month=amount,
            currency=row.currency,
            count=row.quantity,
            args=(row.id,),
        )
    for row in select(SOLD, ask.sql(free=True)):
        yield Found(
            subject=in_currency(ask, f"{row.place} {row.service} {row.tariff}"[:150], row.currency),
            label=f"{row.place}, {row.tariff}",
            period=ask.period.start,
            why=f"{counted(row.calls, NOUNS[row.service])} at a rate of 0 cost {money(row.cost, row.currency)}.",
            money_to_date=row.cost,
            currency=row.currency,
            count=row.calls,
            page="tariff-rates",
            args=(row.id,),
        )
