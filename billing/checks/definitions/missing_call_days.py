"""Days of carriers of which no call is here."""

from collections.abc import Iterator
from decimal import Decimal

from billing.checks.completeness import missing_days
from billing.checks.declare import Ask, Family, Found, Level, Setting, check
from billing.checks.words import counted
from resellerkpi.core.columns import day

#: How many days are named one by one.
NAMED = 5
USUAL = Setting(
    "usual_calls",
    Decimal(10),
    "Usual calls",
    "How many calls a weekday must usually have for a day without any to be missed: fewer may be none by chance.",
)


@check(
    slug="missing_call_days",
    name="Days without calls",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="cdr-completeness",
    settings=(USUAL,),
)
def missing_call_days(ask: Ask) -> Iterator[Found]:
    """Carriers of which days of the period have no call though their weekday usually has many; no bank holidays."""
    for carrier, days in missing_days(ask.period, ask.today, usual=ask.settings[USUAL.name]):
        named = ", ".join(day(missing) for missing in days[:NAMED])
        more = f" and {len(days) - NAMED} more" if len(days) > NAMED else ""
        yield Found(
            subject=carrier.code,
            label=carrier.name,
            period=ask.period.start,
            why=f"{counted(len(days), 'day')} without any call of {carrier.name}: {named}{more}.",
            count=len(days),
        )
