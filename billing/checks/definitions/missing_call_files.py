"""Carriers that bills have to wait for and that have sent nothing."""

from collections.abc import Iterator

from billing.checks.completeness import silent_carriers
from billing.checks.declare import Ask, Family, Found, Level, check


@check(
    slug="missing_call_files",
    name="Required carriers without call files",
    family=Family.PRE_BILLING,
    level=Level.ERROR,
    page="cdr-upload",
)
def missing_call_files(ask: Ask) -> Iterator[Found]:
    """Carriers required for a run of which no call file with calls of the period is here."""
    for carrier in silent_carriers(ask.period):
        yield Found(
            subject=carrier.code,
            label=carrier.name,
            period=ask.period.start,
            why=f"No call file of {carrier.name} for {ask.period} is here.",
        )
