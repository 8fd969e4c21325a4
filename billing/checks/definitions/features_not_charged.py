"""Features that customers have and that are marked as not charged."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.services_sql import WITH_SERVICES
from billing.checks.words import money
from resellerkpi.core.columns import day, figure

SQL = "".join(
    [
        WITH_SERVICES,
        """
SELECT service.id, service.subject, service.name, service.customer_id, customer.name AS customer,
    service.quantity, service.start_date,
    service.price, service.currency
FROM service
JOIN billing_customer customer ON customer.id = service.customer_id AND customer.reseller_id = %(reseller)s
WHERE service.not_charged AND service.price > 0 ORDER BY 4, 1
""",
    ]
)


@check(
    slug="features_not_charged",
    name="Features without a charge",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="feature",
)
def features_not_charged(ask: Ask) -> Iterator[Found]:
    """Features in service in the period that have a price and are marked as not charged."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=row.subject,
            label=f"{row.name}, {row.customer}",
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"{figure(row.quantity, 0)} × {row.name} in service since {day(row.start_date)} and marked as not "
            f"charged; the price is {money(row.price, row.currency)} a month.",
            money_per_month=row.price,
            currency=row.currency,
            count=row.quantity,
            args=(row.id,),
        )
