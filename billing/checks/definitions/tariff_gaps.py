"""Tariffs and rates that leave days without one."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.spans_sql import ASSIGNED, GAP, OF_TARIFF, RATE_SUMS, RATED
from billing.checks.words import counted
from resellerkpi.core.columns import day

#: A gap counts when a line was there on one of its days: who left and came back has none.
ASSIGNED_GAPS = (
    ASSIGNED
    + f"""
SELECT span.customer_id, span.number_id, span.call_class, span.code, span.name, span.reached, span.begins
FROM named span WHERE {GAP} AND EXISTS (
    SELECT FROM billing_numberassignment held WHERE held.reseller_id = %(reseller)s
        AND (held.customer_id = span.customer_id OR held.number_id = span.number_id)
        AND held.start_date < least(span.begins, %(end)s)
        AND (held.end_date IS NULL OR held.end_date > greatest(span.reached, %(start)s)))
ORDER BY span.name, span.code, span.begins
"""  # noqa: S608  joined with a constant; values are parameters
)
RATE_GAPS = RATED + RATE_SUMS + GAP + OF_TARIFF


@check(
    slug="tariff_gaps",
    name="Tariffs with gaps",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="customer-tariff",
)
def tariff_gaps(ask: Ask) -> Iterator[Found]:
    """Customers and numbers without their tariff, and destinations without a rate, on days between two of them."""
    for row in select(ASSIGNED_GAPS, ask.sql()):
        of_number = row.number_id is not None
        pk = row.number_id if of_number else row.customer_id
        of_class = f" for {row.call_class} calls" if row.call_class else ""
        yield Found(
            subject=f"{row.code} {row.call_class} {row.begins}",
            label=row.name,
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"Its tariff{of_class} ended on {day(row.reached)} and the next begins on {day(row.begins)}.",
            page="number-tariff" if of_number else "",
            args=(pk,),
        )
    for row in select(RATE_GAPS, ask.sql()):
        yield Found(
            subject=f"Tariff {row.name}",
            label=row.name,
            period=ask.period.start,
            why=f"{counted(row.rates, 'rate')} ended before the next began, such as that of {row.place}.",
            count=row.rates,
            page="tariff-rates",
            args=(row.id,),
        )
