"""Issues the drafts of a run: numbers without gaps in invoice order, and the ledger."""

from datetime import datetime

from django.db import connection
from django.db.models import Min

from billing.invoicing.numbering import DIGITS, Document, NumberRefused, give_back, prefix, take
from billing.models import Allocation, BillingRun, CreditNote, Invoice, LedgerEntry, PaymentAttempt
from billing.models.locks import hold_money
from resellerkpi.core.models import Reseller

NUMBER = """
UPDATE billing_invoice SET state = 'issued', issued_at = %(now)s,
    number = %(prefix)s || CASE WHEN length(drafts.place::text) > %(digits)s THEN drafts.place::text
        ELSE lpad(drafts.place::text, %(digits)s, '0') END
FROM (
    SELECT id, %(first)s + row_number() OVER (ORDER BY id) - 1 AS place FROM billing_invoice
    WHERE reseller_id = %(reseller)s AND run_id = %(run)s AND state = 'draft'
) drafts
WHERE billing_invoice.id = drafts.id
"""

POST = """
INSERT INTO billing_ledgerentry (reseller_id, customer_id, date, kind, amount, currency, source_key, invoice_id)
SELECT reseller_id, customer_id, invoice_date, 'invoice', gross, currency, 'invoice:' || id, id
FROM billing_invoice WHERE reseller_id = %(reseller)s AND run_id = %(run)s AND state = 'issued'
"""


class IssueRefused(ValueError):
    """Invoices that cannot be issued or taken back, with the reason for the user."""


def issue_drafts(reseller: Reseller, run: BillingRun, *, now: datetime) -> list[int]:
    """Number and post the drafts of a run; return the customers' ids."""
    hold_money(reseller.pk)
    drafts = Invoice.objects.filter(run=run, state=Invoice.State.DRAFT)
    count = drafts.count()
    customers = sorted(set(drafts.values_list("customer_id", flat=True)))
    first = take(reseller, Document.INVOICE, count)
    head = prefix(reseller, Document.INVOICE)
    _refuse_taken(head, first, count)
    values: dict[str, str | int | datetime] = {
        "now": now,
        "prefix": head,
        "digits": DIGITS,
        "first": first,
        "reseller": reseller.pk,
        "run": run.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(NUMBER, values)
        cursor.execute(POST, values)
    return customers


def take_back(reseller: Reseller, run: BillingRun) -> list[int]:
    """Make the issued invoices of a run drafts again and give their numbers back; return the customers' ids.

    Only while no invoice was sent, credited or presented for payment and no later number was given.
    """
    hold_money(reseller.pk)
    issued = Invoice.objects.filter(run=run).exclude(state=Invoice.State.DRAFT)
    if issued.filter(sent_at__isnull=False).exists():
        raise IssueRefused("Invoices of this run have been sent; correct them by credit notes.")
    if CreditNote.objects.filter(invoice__in=issued).exists():
        raise IssueRefused("Invoices of this run have been credited; correct the rest by credit notes.")
    if PaymentAttempt.objects.filter(invoice__in=issued).exists():
        raise IssueRefused(
            "Invoices of this run have been presented for payment; correct them by credit notes."
        )
    head, count = prefix(reseller, Document.INVOICE), issued.count()
    customers = sorted(set(issued.values_list("customer_id", flat=True)))
    lowest = issued.order_by("pk").first()
    if lowest is None:
        return []
    try:
        give_back(reseller, Document.INVOICE, int((lowest.number or "")[len(head) :]), count)
    except NumberRefused as refused:
        raise IssueRefused(f"{refused} Correct them by credit notes.") from refused
    Allocation.objects.filter(invoice__in=issued).delete()
    LedgerEntry.objects.filter(invoice__in=issued).delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('rk.undo', 'on', true)")
        issued.update(state=Invoice.State.DRAFT, number=None, issued_at=None)
        cursor.execute("SELECT set_config('rk.undo', 'off', true)")
    return customers


def _refuse_taken(head: str, first: int, count: int) -> None:
    """Refuse numbers that an opening invoice carries already."""
    wanted = [f"{head}{number:0{DIGITS}d}" for number in range(first, first + count)]
    taken = Invoice.objects.filter(number__in=wanted).aggregate(number=Min("number"))["number"]
    if taken:
        raise IssueRefused(
            f"Number {taken} is taken by an opening invoice; let the numbers go on from a higher one."
        )
