"""Features that are charged though the customer has not got the service."""

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
SELECT service.id, service.subject, service.name, service.customer_id, customer.name AS customer,
    number.number AS line, left_on.day,
    service.quantity, service.price, service.currency
FROM service
JOIN billing_customer customer ON customer.id = service.customer_id AND customer.reseller_id = %(reseller)s
LEFT JOIN billing_number number ON number.id = service.number_id AND number.reseller_id = %(reseller)s
LEFT JOIN LATERAL (
    SELECT last.day FROM (
        SELECT event.date AS day, event.status FROM billing_customerevent event
        WHERE event.reseller_id = %(reseller)s AND event.customer_id = service.customer_id
            AND event.date <= greatest(service.start_date, %(start)s) ORDER BY event.date DESC LIMIT 1
    ) last WHERE last.status = 'ceased'
) left_on ON true
WHERE NOT service.not_charged AND service.price > 0 AND (left_on.day IS NOT NULL OR (
    service.number_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM billing_numberassignment held WHERE held.reseller_id = %(reseller)s
            AND held.number_id = service.number_id AND held.customer_id = service.customer_id
            AND held.start_date < least(service.end_date, %(end)s)
            AND (held.end_date IS NULL OR held.end_date > greatest(service.start_date, %(start)s)))))
ORDER BY 4, 1
""",
    ]
)


@check(
    slug="charges_without_service",
    name="Charges without a service",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="feature-end",
)
def charges_without_service(ask: Ask) -> Iterator[Found]:
    """Features charged in the period on a number that the customer had not got in it, or to one who had left."""
    for row in select(SQL, ask.sql()):
        left = (
            f"The customer left on {day(row.day)}"
            if row.day
            else f"{row.line} is not the customer’s in the period"
        )
        yield Found(
            subject=row.subject,
            label=f"{row.name}, {row.customer}",
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"{left}; it goes on being charged at {money(row.price, row.currency)} a month.",
            money_per_month=row.price,
            currency=row.currency,
            count=row.quantity,
            args=(row.id,),
        )
