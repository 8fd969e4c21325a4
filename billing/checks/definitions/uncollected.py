"""Bills that we are to collect and never presented."""

from collections.abc import Iterator
from decimal import Decimal

from billing.checks.declare import Ask, Family, Found, Level, Rows, Setting, check
from billing.checks.rows import in_currency, select, table
from billing.models import Finding
from resellerkpi.core.columns import day, figure

#: Open invoices of customers whom we collect from, past due and never presented; transfers that are late are no leak.
OPEN = """
SELECT i.id, i.number, i.customer_id, i.currency, i.invoice_date, i.due_date, i.gross,
    coalesce(i.period_start, i.invoice_date) AS began, i.gross - coalesce(settled.amount, 0) AS balance
FROM billing_invoice i JOIN billing_customer c ON c.id = i.customer_id
    AND c.payment_method IN ('direct_debit', 'card') AND NOT c.is_test
LEFT JOIN (
    SELECT invoice_id, sum(amount) AS amount FROM billing_allocation
    WHERE reseller_id = %(reseller)s AND date <= %(today)s AND (ended_date IS NULL OR ended_date > %(today)s)
    GROUP BY 1
) settled ON settled.invoice_id = i.id
WHERE i.reseller_id = %(reseller)s AND i.state = 'issued' AND NOT i.is_disputed AND i.due_date < %(today)s
    AND i.gross > coalesce(settled.amount, 0) AND NOT EXISTS (
        SELECT FROM billing_paymentattempt a WHERE a.reseller_id = %(reseller)s AND a.invoice_id = i.id)
"""
SQL = """
WITH owed AS ({OPEN}), latest AS (
    SELECT DISTINCT ON (customer_id, currency) customer_id, currency, gross FROM billing_invoice
    WHERE reseller_id = %(reseller)s AND state = 'issued' AND customer_id IN (SELECT customer_id FROM owed)
    ORDER BY customer_id, currency, invoice_date DESC, id DESC
)
SELECT c.id, c.code, c.name, o.currency, min(o.began) AS began, min(o.due_date) AS due, count(*) AS bills,
    sum(o.balance) AS owed, l.gross AS latest, (SELECT max(m.end_date) FROM billing_mandate m
        WHERE m.reseller_id = %(reseller)s AND m.customer_id = c.id HAVING bool_and(m.end_date <= %(today)s)) AS lapsed
FROM owed o JOIN billing_customer c ON c.id = o.customer_id
JOIN latest l ON l.customer_id = o.customer_id AND l.currency = o.currency
GROUP BY c.id, c.code, c.name, o.currency, l.gross HAVING min(o.due_date) <= %(today)s - %(days)s::int
ORDER BY c.code, o.currency
""".replace("{OPEN}", OPEN)
BEHIND = """SELECT o.number, o.invoice_date, o.due_date, o.gross, o.balance, o.currency FROM ({OPEN}) o
WHERE o.customer_id = %(customer)s ORDER BY o.due_date DESC, o.id""".replace("{OPEN}", OPEN)


def behind(ask: Ask, finding: Finding) -> Rows:
    """Return the bills that were never presented, latest first."""
    headings = ("Invoice", "Dated", "Due", "Total", "Open", "Currency")
    return table(headings, BEHIND, ask.sql(customer=finding.customer_id))


@check(
    slug="uncollected",
    name="Never collected",
    family=Family.LEAKAGE,
    level=Level.ERROR,
    page="customer",
    settings=(
        Setting(
            "days",
            Decimal(14),
            "Days past due",
            "Bills that nobody presented or chased for so many days after due.",
        ),
    ),
    behind=behind,
)
def uncollected(ask: Ask) -> Iterator[Found]:
    """Customers by Direct Debit or card whose bills past due were never presented: the latest bill, and what is due.

    A bill that was presented and failed is chased under Collections; one in dispute waits.
    """
    for row in select(SQL, ask.sql()):
        cause = (
            f"the mandate of {row.code} ended on {day(row.lapsed)}" if row.lapsed else "nobody presented them"
        )
        bills = "bill" if row.bills == 1 else "bills"
        yield Found(
            subject=in_currency(ask, row.code, row.currency),
            label=row.name,
            period=row.began.replace(day=1),
            why=f"{figure(row.bills, 0)} {bills} past due and never presented, the first due {day(row.due)}: {cause}.",
            money_per_month=row.latest,
            money_to_date=row.owed,
            currency=row.currency,
            count=row.bills,
            customer_id=row.id,
            args=(row.id,),
        )
