"""Numbers that a carrier charges for and no customer has."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from billing.checks.words import money
from resellerkpi.core.columns import day

SQL = """
WITH billed AS (
    SELECT charge.number_id, bill.currency, sum(charge.amount) AS amount
    FROM billing_carriercharge charge
    JOIN billing_carrierinvoice bill ON bill.id = charge.invoice_id AND bill.reseller_id = %(reseller)s
    WHERE charge.reseller_id = %(reseller)s AND charge.number_id IS NOT NULL AND charge.kind = 'rental'
        AND charge.service_start < %(end)s AND charge.service_end > %(start)s
    GROUP BY 1, 2 HAVING sum(charge.amount) > 0
), rented AS (
    SELECT supply.number_id, carrier.name AS carrier, carrier.currency
    FROM billing_supply supply
    JOIN billing_carrier carrier ON carrier.id = supply.carrier_id AND carrier.reseller_id = %(reseller)s
    WHERE supply.reseller_id = %(reseller)s AND supply.number_id IS NOT NULL AND supply.start_date < %(end)s
        AND (supply.end_date IS NULL OR supply.end_date >= %(end)s)
)
SELECT number.id, number.number AS line, coalesce(billed.currency, rented.currency) AS currency,
    coalesce(billed.amount, number.monthly_cost) AS cost, coalesce(rented.carrier, '') AS carrier,
    (SELECT max(was.end_date) FROM billing_numberassignment was WHERE was.reseller_id = %(reseller)s
        AND was.number_id = number.id AND was.end_date <= %(start)s) AS since
FROM billing_number number
LEFT JOIN billed ON billed.number_id = number.id
LEFT JOIN rented ON rented.number_id = number.id
WHERE number.reseller_id = %(reseller)s AND (billed.number_id IS NOT NULL OR rented.number_id IS NOT NULL)
    AND coalesce(billed.amount, number.monthly_cost) > 0
    AND NOT EXISTS (SELECT FROM billing_numberassignment held WHERE held.reseller_id = %(reseller)s
        AND held.number_id = number.id AND held.start_date < %(end)s
        AND (held.end_date IS NULL OR held.end_date > %(start)s))
ORDER BY 2, 3
"""


@check(
    slug="supplied_without_customer",
    name="Numbers with a supplier’s cost and without a customer",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="number",
)
def supplied_without_customer(ask: Ask) -> Iterator[Found]:
    """Numbers that nobody had on any day of the period and that a carrier rents to us or has charged for."""
    for row in select(SQL, ask.sql()):
        since = f"since {day(row.since)}" if row.since else "in the period"
        yield Found(
            subject=in_currency(ask, row.line, row.currency),
            label=row.line,
            period=ask.period.start,
            why=f"No customer has it {since}; {row.carrier or 'a carrier'} charges {money(row.cost, row.currency)}.",
            money_per_month=row.cost,
            currency=row.currency,
            args=(row.id,),
        )
