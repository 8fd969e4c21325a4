"""Reads from the books what a forecast of collections is made of: a fixed number of queries, whatever the size."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max

from billing.models import BillingRun, Invoice
from billing.receivables.forecast import LEARNT, TRIED, Cohort, Forecast, History, Move, Open, forecast
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months

#: Days after the last due date that are looked at, and how many in all at most.
GRACE, MOST = timedelta(days=14), timedelta(days=92)
_ISSUED = """FROM billing_invoice i JOIN billing_customer c ON c.reseller_id = %(reseller)s AND c.id = i.customer_id
    WHERE i.reseller_id = %(reseller)s AND i.state <> 'draft' AND NOT i.is_disputed AND i.gross > 0
    AND NOT c.is_test AND i.due_date > %(since)s"""
INVOICED = " ".join(
    [
        "SELECT c.payment_method, i.currency, i.invoice_date, i.due_date, sum(i.gross)",
        _ISSUED,
        "GROUP BY 1, 2, 3, 4",
    ]
)
MOVES = " ".join(
    [
        "SELECT b.payment_method, b.currency, b.invoice_date, b.due_date, a.date, a.ended_date,",
        "a.payment_id IS NOT NULL, sum(a.amount) FROM",
        "(SELECT i.id, c.payment_method, i.currency, i.invoice_date, i.due_date",
        _ISSUED,
        ") b JOIN billing_allocation a ON a.reseller_id = %(reseller)s AND a.invoice_id = b.id",
        "GROUP BY 1, 2, 3, 4, 5, 6, 7",
    ]
)
#: Invoices issued up to the day with what is open of them at its end, and drafts of the run, whole.
OPEN = """SELECT payment_method, currency, invoice_date, due_date, count(*), sum(balance), sum(balance * balance)
    FROM (SELECT c.payment_method, i.currency, i.invoice_date, i.due_date, i.gross - coalesce((SELECT sum(a.amount)
            FROM billing_allocation a WHERE a.reseller_id = %(reseller)s AND a.invoice_id = i.id
            AND a.date <= %(made_on)s AND (a.ended_date IS NULL OR a.ended_date > %(made_on)s)), 0) AS balance
        FROM billing_invoice i JOIN billing_customer c ON c.reseller_id = %(reseller)s AND c.id = i.customer_id
        WHERE i.reseller_id = %(reseller)s AND NOT i.is_disputed AND i.gross > 0 AND NOT c.is_test
        AND (i.run_id = %(run)s OR (i.state <> 'draft' AND i.invoice_date <= %(made_on)s))) o
    WHERE balance > 0 GROUP BY 1, 2, 3, 4"""

#: Cash that came for those invoices in the days after, less what of such was taken back.
CAME = """SELECT c.payment_method, i.currency, sum(m.amount)
    FROM (SELECT invoice_id, amount FROM billing_allocation WHERE reseller_id = %(reseller)s
            AND payment_id IS NOT NULL AND date > %(made_on)s AND date <= %(until)s
        UNION ALL SELECT invoice_id, -amount FROM billing_allocation WHERE reseller_id = %(reseller)s
            AND payment_id IS NOT NULL AND ended_date > %(made_on)s AND ended_date <= %(until)s) m
    JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.id = m.invoice_id AND NOT i.is_disputed
        AND (i.run_id = %(run)s OR i.invoice_date <= %(made_on)s)
    JOIN billing_customer c ON c.reseller_id = %(reseller)s AND c.id = i.customer_id AND NOT c.is_test
    GROUP BY 1, 2"""


def expect(reseller: Reseller, *, made_on: date, run: BillingRun | None = None) -> Forecast:
    """Return what open invoices, and the bills of a run, will bring from the day after `made_on` on.

    Looks two weeks past the last due date of the run, or past the day when there is none, at most three months.
    Disputed invoices and test accounts are left out.
    """
    lead = max((run.invoice_date - made_on).days, 0) if run else 0
    until = min(max(_last_due(run) or made_on, made_on) + GRACE, made_on + MOST)
    history = held(reseller, made_on)
    return forecast(history, _open(reseller, made_on, run), made_on=made_on, until=until, lead=lead)


def came_since(run: BillingRun, *, made_on: date, until: date) -> dict[tuple[str, str], Decimal]:
    """Return the cash by method and currency that came in the days after a run's forecast up to `until`."""
    values = {"reseller": run.reseller_id, "run": run.pk, "made_on": made_on, "until": until}
    return {(method, currency): amount for method, currency, amount in _rows(CAME, values)}


def held(reseller: Reseller, made_on: date) -> History:
    """Return the invoices and what settled them, as far back as a forecast and its trials look."""
    since = add_months(made_on, -2 * TRIED) - LEARNT
    values = {"reseller": reseller.pk, "since": since}
    invoiced = {Cohort(*row[:4]): row[4] for row in _rows(INVOICED, values)}
    return History(
        invoiced, [Move(Cohort(*row[:4]), row[4], row[5], row[7], row[6]) for row in _rows(MOVES, values)]
    )


def _open(reseller: Reseller, made_on: date, run: BillingRun | None) -> list[Open]:
    values = {"reseller": reseller.pk, "made_on": made_on, "run": run.pk if run else None}
    return [Open(Cohort(*row[:4]), *row[4:]) for row in _rows(OPEN, values)]


def _last_due(run: BillingRun | None) -> date | None:
    if run is None:
        return None
    last: date | None = Invoice.objects.filter(run=run).aggregate(last=Max("due_date"))["last"]
    return last


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
