"""Tariffs and rates of which two hold on the same day."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.spans_sql import ASSIGNED, OF_TARIFF, OVERLAP, RATE_SUMS, RATED
from billing.checks.words import counted
from resellerkpi.core.columns import day

ASSIGNED_TWICE = (
    ASSIGNED
    + f"""
SELECT span.customer_id, span.number_id, span.call_class, span.code, span.name, span.begins
FROM named span WHERE {OVERLAP} ORDER BY span.name, span.code, span.begins
"""  # noqa: S608  joined with a constant; values are parameters
)
RATED_TWICE = RATED + RATE_SUMS + OVERLAP + OF_TARIFF


@check(
    slug="tariff_overlaps",
    name="Tariffs with overlaps",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="customer",
)
def tariff_overlaps(ask: Ask) -> Iterator[Found]:
    """Customers and numbers with two tariffs, and destinations with two rates, on the same days of the period."""
    for row in select(ASSIGNED_TWICE, ask.sql()):
        of_number = row.number_id is not None
        pk = row.number_id if of_number else row.customer_id
        of_class = f" for {row.call_class} calls" if row.call_class else ""
        yield Found(
            subject=f"{row.code} {row.call_class} {row.begins}",
            label=row.name,
            customer_id=row.customer_id,
            period=ask.period.start,
            why=f"Two tariffs hold{of_class} from {day(row.begins)} on; the later one prices the calls.",
            page="number" if of_number else "",
            args=(pk,),
        )
    for row in select(RATED_TWICE, ask.sql()):
        yield Found(
            subject=f"Tariff {row.name}",
            label=row.name,
            period=ask.period.start,
            why=f"{counted(row.rates, 'rate')} began before the one before it ended, such as that of"
            f" {row.place}; the later one prices the calls.",
            count=row.rates,
            page="tariff-rates",
            args=(row.id,),
        )
