"""Unusual usage of the period that is billed, against each number's own history by hour, day and destination."""

from collections.abc import Iterator
from datetime import timedelta

from billing.checks.declare import Ask, Family, Found, Level, Rows, check
from billing.models import Finding
from billing.watch.calls import calls_in
from billing.watch.hours import keep_up
from billing.watch.unusual import unusual

SHOWN = 50


def behind(ask: Ask, finding: Finding) -> Rows:
    """Return the calls behind the finding, the first of them."""
    headings = ("Started", "Number", "Dialled", "Destination", "Seconds", "Price", "Currency")
    names = ("started_at", "number", "dialled", "destination", "seconds", "retail", "currency")
    rows = calls_in(ask.reseller, finding.about["hours"], most=SHOWN)
    return Rows(headings, tuple(tuple(row[name] for name in names) for row in rows))


@check(
    slug="unusual_usage",
    name="Unusual usage",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="call-list",
    behind=behind,
)
def unusual_usage(ask: Ask) -> Iterator[Found]:
    """Calls that stand out from three months of the same number: at night, to new destinations, in volume."""
    keep_up(ask.reseller, today=ask.today)
    last = ask.period.end - timedelta(days=1)
    for one in unusual(ask.reseller, first=ask.period.start, until=ask.period.end):
        yield Found(
            subject=one.subject,
            label=one.label,
            period=ask.period.start,
            why=one.why,
            money_to_date=one.retail,
            currency=one.currency or ask.reseller.currency,
            count=one.calls,
            customer_id=one.customer_id,
            query=f"period={max(one.first, ask.period.start)}..{min(one.last, last) + timedelta(days=1)}&{one.query}",
            about={"hours": one.hours[:SHOWN], "cost": str(one.cost), "cost_currency": one.cost_currency},
        )
