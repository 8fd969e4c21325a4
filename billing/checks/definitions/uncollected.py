"""Bills that we are to collect and do not: never presented, or failed and left."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from billing.checks.declare import Ask, Family, Found, Level, Rows, Setting, check
from billing.checks.rows import in_currency, select, table
from billing.checks.words import counted
from billing.models import Finding
from resellerkpi.core.columns import day

#: Open invoices of customers whom we collect from, past due, that nobody presented, or whose latest presentation failed
#: so long ago with none after it; transfers that are late are no leak. Of bills never presented a customer's count
#: together, from the day on which the oldest is old enough.
OPEN = """
SELECT * FROM (
    SELECT i.id, i.number, i.customer_id, i.currency, i.invoice_date, i.due_date, i.gross, tried.failed_on,
        coalesce(i.period_start, i.invoice_date) AS began, i.gross - coalesce(settled.amount, 0) AS balance,
        min(i.due_date) FILTER (WHERE tried.failed_on IS NULL) OVER (PARTITION BY i.customer_id, i.currency) AS waits
    FROM billing_invoice i JOIN billing_customer c ON c.id = i.customer_id
        AND c.payment_method IN ('direct_debit', 'card') AND NOT c.is_test
    LEFT JOIN (
        SELECT invoice_id, sum(amount) AS amount FROM billing_allocation
        WHERE reseller_id = %(reseller)s AND date <= %(today)s AND (ended_date IS NULL OR ended_date > %(today)s)
        GROUP BY 1
    ) settled ON settled.invoice_id = i.id
    LEFT JOIN (
        SELECT invoice_id, max(outcome_date) FILTER (WHERE outcome = 'failed') AS failed_on,
            bool_or(outcome IN ('pending', 'paid')) AS is_chased
        FROM billing_paymentattempt WHERE reseller_id = %(reseller)s AND outcome <> 'cancelled' GROUP BY 1
    ) tried ON tried.invoice_id = i.id
    WHERE i.reseller_id = %(reseller)s AND i.state = 'issued' AND NOT i.is_disputed AND i.due_date < %(today)s
        AND i.gross > coalesce(settled.amount, 0) AND NOT coalesce(tried.is_chased, false)
        AND (tried.failed_on IS NULL OR tried.failed_on <= %(today)s - %(days)s::int)
) bill WHERE failed_on IS NOT NULL OR waits <= %(today)s - %(days)s::int
"""
SQL = """
WITH owed AS ({OPEN}), latest AS (
    SELECT DISTINCT ON (customer_id, currency) customer_id, currency, gross FROM billing_invoice
    WHERE reseller_id = %(reseller)s AND state = 'issued' AND customer_id IN (SELECT customer_id FROM owed)
    ORDER BY customer_id, currency, invoice_date DESC, id DESC
)
SELECT c.id, c.code, c.name, o.currency, min(o.began) AS began, sum(o.balance) AS owed, count(*) AS bills,
    count(o.failed_on) AS failed, min(o.failed_on) AS failed_on, min(o.waits) AS due,
    CASE WHEN count(o.failed_on) < count(*) THEN l.gross END AS latest, (SELECT max(m.end_date) FROM billing_mandate m
        WHERE m.reseller_id = %(reseller)s AND m.customer_id = c.id HAVING bool_and(m.end_date <= %(today)s)) AS lapsed
FROM owed o JOIN billing_customer c ON c.id = o.customer_id
JOIN latest l ON l.customer_id = o.customer_id AND l.currency = o.currency
GROUP BY c.id, c.code, c.name, o.currency, l.gross ORDER BY c.code, o.currency
""".replace("{OPEN}", OPEN)
BEHIND = """SELECT o.number, o.invoice_date, o.due_date, o.failed_on, o.gross, o.balance, o.currency FROM ({OPEN}) o
WHERE o.customer_id = %(customer)s ORDER BY o.due_date DESC, o.id""".replace("{OPEN}", OPEN)


def behind(ask: Ask, finding: Finding) -> Rows:
    """Return the bills that are not collected, latest first."""
    headings = ("Invoice", "Dated", "Due", "Failed", "Total", "Open", "Currency")
    return table(headings, BEHIND, ask.sql(customer=finding.customer_id))


def _why(row: Any) -> str:
    """Return what happened to a customer's bills in words."""
    said, never = [], row.bills - row.failed
    if never:
        lapsed = row.lapsed and f"the mandate of {row.code} ended on {day(row.lapsed)}"
        bills = counted(never, "bill")
        first = f"the first due {day(row.due)}: {lapsed or 'nobody presented them'}"
        said.append(f"{bills} past due and never presented, {first}.")
    if row.failed:
        bills, first = counted(row.failed, "bill"), "" if row.failed == 1 else "the first "
        said.append(
            f"{bills} whose collection failed, {first}on {day(row.failed_on)}, and was not tried again."
        )
    return " ".join(said)


@check(
    slug="uncollected",
    name="Not collected",
    family=Family.LEAKAGE,
    level=Level.ERROR,
    page="customer",
    settings=(
        Setting(
            "days",
            Decimal(14),
            "Days past due, or after it failed",
            "Bills that nobody presented for so many days after due, or again for so many days after that failed.",
        ),
    ),
    behind=behind,
)
def uncollected(ask: Ask) -> Iterator[Found]:
    """Customers by Direct Debit or card whose bills past due were never presented, or failed and were left.

    A month is the latest bill where bills are not presented at all. A bill whose collection failed is chased for
    so many days, and again whenever it is presented; one in dispute waits.
    """
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            period=row.began.replace(day=1),
            why=_why(row),
            money_per_month=row.latest,
            money_to_date=row.owed,
            currency=row.currency,
            count=row.bills,
            customer_id=row.id,
            page="customer-mandate" if row.lapsed and row.bills > row.failed else "",
            args=(row.id,),
        )
