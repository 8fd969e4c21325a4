"""Services that run on after their contract has ended."""

from collections.abc import Iterator
from datetime import date

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import in_currency, select
from billing.checks.terms_sql import TERMS
from billing.checks.words import counted, money
from resellerkpi.core.columns import day


@check(
    slug="past_contract_end",
    name="Services past their contract’s end",
    family=Family.PRE_BILLING,
    level=Level.INFORMATION,
    page="customer",
)
def past_contract_end(ask: Ask) -> Iterator[Found]:
    """Customers whose contract had ended before the period, with the services that run on without one."""
    for row in select(TERMS, ask.sql(since=date.min, until=ask.period.start)):
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            customer_id=row.id,
            period=ask.period.start,
            why=f"The contract ended on {day(row.until)}; {counted(row.services, 'service')} of"
            f" {money(row.price, row.currency)} a month go on and may end at any time.",
            money_per_month=row.price,
            currency=row.currency,
            count=row.services,
            args=(row.id,),
        )
