"""Contracts that end soon."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from billing.checks.declare import Ask, Family, Found, Level, Setting, check
from billing.checks.rows import in_currency, select
from billing.checks.terms_sql import TERMS
from billing.checks.words import counted, money
from resellerkpi.core.columns import day

AHEAD = Setting(
    "days_ahead",
    Decimal(60),
    "Days ahead",
    "How many days after the period a contract may end to be told of.",
)


@check(
    slug="contracts_ending",
    name="Contracts ending",
    family=Family.PRE_BILLING,
    level=Level.INFORMATION,
    page="customer",
    settings=(AHEAD,),
)
def contracts_ending(ask: Ask) -> Iterator[Found]:
    """Customers whose contract ends in the period or soon after it, with the services that may end with it."""
    until = ask.period.end + timedelta(days=int(ask.settings[AHEAD.name]))
    for row in select(TERMS, ask.sql(since=ask.period.start, until=until)):
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            customer_id=row.id,
            period=ask.period.start,
            why=f"The contract ends on {day(row.until)}; {counted(row.services, 'service')} of"
            f" {money(row.price, row.currency)} a month may end with it.",
            money_per_month=row.price,
            currency=row.currency,
            count=row.services,
            args=(row.id,),
        )
