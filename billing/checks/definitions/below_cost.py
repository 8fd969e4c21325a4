"""Destinations that are sold for less than they cost."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Rows, check
from billing.checks.rows import in_currency, select, table
from billing.models import Finding

#: Priced calls by their two rates. Calls out of an allowance bring nothing by themselves and are left out.
PAIRS = """
SELECT c.destination, c.currency, c.rate_id, c.cost_rate_id, count(*) AS calls, min(c.started_at) AS first,
    max(c.started_at) AS last, sum(coalesce(c.cost, c.expected_cost) - c.retail) AS lost,
    coalesce(sum(coalesce(c.cost, c.expected_cost) - c.retail)
        FILTER (WHERE c.started_at >= %(starts_at)s AND c.started_at < %(ends_at)s), 0) AS monthly
FROM billing_call c WHERE c.reseller_id = %(reseller)s AND c.state = 'rated' AND c.bundle_id IS NULL
    AND c.currency = c.cost_currency AND coalesce(c.cost, c.expected_cost) IS NOT NULL
GROUP BY 1, 2, 3, 4 HAVING sum(coalesce(c.cost, c.expected_cost)) > sum(c.retail)
"""
#: Destinations of which a pair that loses is still in force and was used in the last three months.
SQL = """
SELECT p.destination, p.currency, sum(p.calls) AS calls, sum(p.lost) AS to_date, sum(p.monthly) AS monthly,
    date_trunc('month', min(p.first) AT TIME ZONE %(zone)s)::date AS since, min(r.tariff_id) AS tariff_id,
    min(r.price) AS price
FROM ({PAIRS}) p
LEFT JOIN billing_tariffrate r ON r.id = p.rate_id AND r.reseller_id = %(reseller)s
LEFT JOIN billing_tariffrate w ON w.id = p.cost_rate_id AND w.reseller_id = %(reseller)s
GROUP BY 1, 2 HAVING round(sum(p.lost), 2) > 0 AND bool_or((r.valid_to IS NULL OR r.valid_to > %(today)s)
    AND (w.valid_to IS NULL OR w.valid_to > %(today)s) AND p.last >= %(starts_at)s - interval '2 months')
ORDER BY 1, 2
""".replace("{PAIRS}", PAIRS)
BEHIND = """
SELECT c.started_at, c.billed_party, c.dialled, c.duration, c.retail, coalesce(c.cost, c.expected_cost), c.currency
FROM billing_call c WHERE c.reseller_id = %(reseller)s AND c.state = 'rated' AND c.bundle_id IS NULL
    AND c.destination = %(destination)s AND c.currency = c.cost_currency
    AND coalesce(c.cost, c.expected_cost) > c.retail ORDER BY c.started_at DESC, c.id
"""


def behind(ask: Ask, finding: Finding) -> Rows:
    """Return the latest calls to the destination that cost more than they brought."""
    headings = ("Started", "Line", "Dialled", "Seconds", "Price", "Cost", "Currency")
    return table(headings, BEHIND, ask.sql(destination=finding.about["destination"]))


@check(slug="below_cost", name="Sold below cost", family=Family.LEAKAGE, page="tariff-rates", behind=behind)
def below_cost(ask: Ask) -> Iterator[Found]:
    """Destinations whose priced calls cost more than they bring, at rates still in force: what the calls lost."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=in_currency(ask, row.destination, row.currency),
            label=row.destination,
            period=row.since,
            why="The calls cost more than they are sold for.",
            money_per_month=row.monthly,
            money_to_date=row.to_date,
            currency=row.currency,
            count=row.calls,
            page="tariff-rates" if row.tariff_id else "tariff-list",
            args=(row.tariff_id,) if row.tariff_id else (),
            about={"destination": row.destination},
        )
