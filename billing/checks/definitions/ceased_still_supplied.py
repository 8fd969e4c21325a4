"""Numbers that were ceased while the carrier goes on charging for them."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from resellerkpi.core.columns import day, figure

SQL = """
WITH ceased AS (
    SELECT n.id, n.number, n.monthly_cost, v.currency, v.name AS carrier, gone.ended, gone.customer_id
    FROM billing_supply s JOIN billing_number n ON n.id = s.number_id AND n.monthly_cost > 0
    JOIN billing_carrier v ON v.id = s.carrier_id
    JOIN (
        SELECT DISTINCT ON (number_id) number_id, end_date AS ended, customer_id FROM billing_numberassignment
        WHERE reseller_id = %(reseller)s AND start_date <= %(today)s ORDER BY number_id, start_date DESC
    ) gone ON gone.number_id = n.id AND gone.ended <= %(today)s
    WHERE s.reseller_id = %(reseller)s AND s.start_date <= %(today)s AND (s.end_date IS NULL OR s.end_date > %(today)s)
), months AS (
    SELECT at::date AS month, (at + interval '1 month')::date AS next,
        ((at + interval '1 month')::date - at::date)::numeric AS days
    FROM generate_series((SELECT date_trunc('month', min(ended)::timestamp) FROM ceased), %(start)s::timestamp,
        interval '1 month') at
)
SELECT c.*, coalesce(sum(c.monthly_cost * (m.next - greatest(m.month, c.ended)) / m.days), 0) AS to_date
FROM ceased c LEFT JOIN months m ON m.next > c.ended
GROUP BY c.id, c.number, c.monthly_cost, c.currency, c.carrier, c.ended, c.customer_id ORDER BY c.number
"""


@check(
    slug="ceased_still_supplied",
    name="Ceased and still supplied",
    family=Family.LEAKAGE,
    level=Level.ERROR,
    page="number",
)
def ceased_still_supplied(ask: Ask) -> Iterator[Found]:
    """Numbers that no customer has any more and whose supply goes on, at their monthly cost, part months by days."""
    for row in select(SQL, ask.sql()):
        cost = f"{figure(row.monthly_cost, 2)} {row.currency}"
        yield Found(
            subject=in_currency(ask, row.number, row.currency),
            label=row.number,
            period=row.ended.replace(day=1),
            why=f"{row.number} was ceased on {day(row.ended)}; {row.carrier} goes on charging {cost} a month for it.",
            money_per_month=row.monthly_cost,
            money_to_date=row.to_date,
            currency=row.currency,
            customer_id=row.customer_id,
            args=(row.id,),
        )
