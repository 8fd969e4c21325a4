"""Calls without a price: of a number that nobody has or had then, or to a destination that no tariff prices."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, Rows, check
from billing.checks.rows import in_currency, select, table
from billing.models import Call, Finding

#: What stands for a call: where nothing prices the destination that, else the line.
SUBJECT = """CASE WHEN c.reason IN ('no_rate', 'unknown_type')
    THEN coalesce(nullif(c.destination, ''), nullif(c.charge_code, ''), left(c.dialled, 7)) ELSE c.billed_party END"""
COST = "coalesce(c.cost, c.expected_cost, 0)"
SQL = """
SELECT {SUBJECT} AS subject, c.cost_currency AS currency, min(c.reason) AS reason, count(*) AS calls,
    CASE WHEN count(DISTINCT c.customer_id) = 1 AND min(c.reason) = 'no_tariff' THEN min(c.customer_id) END AS customer,
    date_trunc('month', min(c.started_at) AT TIME ZONE %(zone)s)::date AS since,
    coalesce(sum({COST}) FILTER (WHERE c.started_at >= %(starts_at)s AND c.started_at < %(ends_at)s), 0) AS monthly,
    sum({COST}) AS to_date
FROM billing_call c, (
    SELECT min(first_call_at) AS first, max(last_call_at) AS last FROM billing_cdrfile
    WHERE reseller_id = %(reseller)s AND unpriced > 0
) span
WHERE c.reseller_id = %(reseller)s AND c.state = 'error' AND c.started_at BETWEEN span.first AND span.last
GROUP BY 1, 2 ORDER BY 1, 2
""".replace("{SUBJECT}", SUBJECT).replace("{COST}", COST)
BEHIND = """
SELECT c.started_at, c.billed_party, c.dialled, c.duration, {COST}, c.cost_currency FROM billing_call c
WHERE c.reseller_id = %(reseller)s AND c.state = 'error' AND {SUBJECT} = %(subject)s
ORDER BY c.started_at DESC, c.id
""".replace("{SUBJECT}", SUBJECT).replace("{COST}", COST)
WHY = {
    Call.Reason.UNKNOWN_CLI: "Calls of a number that is in nobody's book; at least their wholesale cost.",
    Call.Reason.INACTIVE: "The number was nobody's then and still called; at least the calls' wholesale cost.",
    Call.Reason.NO_TARIFF: "No tariff prices the calls of this number; at least their wholesale cost.",
    Call.Reason.NO_RATE: "No retail tariff has a rate for the destination; at least the wholesale cost.",
    Call.Reason.UNKNOWN_TYPE: "The calls are of a kind that no rate fits; at least their wholesale cost.",
}


def behind(ask: Ask, finding: Finding) -> Rows:
    """Return the latest calls without a price of the number or destination."""
    headings = ("Started", "Line", "Dialled", "Seconds", "Cost", "Currency")
    return table(headings, BEHIND, ask.sql(subject=finding.about["subject"]))


@check(
    slug="unrated_calls",
    name="Calls without a price",
    family=Family.LEAKAGE,
    level=Level.ERROR,
    page="billing-errors",
    behind=behind,
)
def unrated_calls(ask: Ask) -> Iterator[Found]:
    """Calls that could not be priced, by number or destination: their wholesale cost, which is lost at least."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=in_currency(ask, row.subject or "", row.currency),
            label=row.subject or "Calls without a number",
            period=row.since,
            why=WHY.get(row.reason, WHY[Call.Reason.UNKNOWN_TYPE]),
            money_per_month=row.monthly,
            money_to_date=row.to_date,
            currency=row.currency or ask.reseller.currency,
            count=row.calls,
            customer_id=row.customer,
            about={"subject": row.subject},
        )
