"""Lines with calls that belong to no customer."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from billing.checks.words import at_least, counted

SQL = """
SELECT coalesce(number.number, call.billed_party) AS line, call.cost_currency AS currency, max(number.id) AS number_id,
    count(*) AS calls, sum(coalesce(call.cost, call.expected_cost, 0)) AS cost
FROM billing_call call
LEFT JOIN billing_number number ON call.reason = 'inactive' AND number.id = call.number_id
    AND number.reseller_id = %(reseller)s
WHERE call.reseller_id = %(reseller)s AND call.state = 'error' AND call.reason IN ('unknown_cli', 'inactive')
    AND call.started_at >= %(starts_at)s AND call.started_at < %(ends_at)s
GROUP BY 1, 2 ORDER BY 1, 2
"""


@check(
    slug="numbers_without_customer",
    name="Numbers with calls and without a customer",
    family=Family.PRE_BILLING,
    level=Level.ERROR,
    page="billing-errors",
)
def numbers_without_customer(ask: Ask) -> Iterator[Found]:
    """Lines whose calls of the period are nobody's: not in the book, or in it and no customer's at that time."""
    for row in select(SQL, ask.sql()):
        known = "It belonged to no customer at that time" if row.number_id else "It is not in the book"
        yield Found(
            subject=in_currency(ask, row.line, row.currency),
            label=row.line or "(no number)",
            period=ask.period.start,
            why=f"{known}: {counted(row.calls, 'call')} could not be priced{at_least(row.cost, row.currency)}.",
            money_to_date=row.cost,
            currency=row.currency,
            count=row.calls,
        )
