"""Takes the drafts of a run away again; its charges and calls wait for the next bill."""

from django.db import connection

from billing.models import BillingRun
from resellerkpi.core.audit import record

#: The run's rows may be younger than the statistics: with those of an empty table each row would be sought in turn.
_AS_MANY = "SET LOCAL enable_nestloop = off"
_AS_USUAL = "SET LOCAL enable_nestloop = on"
_STEPS = (
    """
    UPDATE billing_charge charge SET invoice_line_id = NULL
    FROM billing_invoiceline line JOIN billing_invoice invoice ON invoice.id = line.invoice_id
    WHERE charge.reseller_id = %(reseller)s AND charge.invoice_line_id = line.id AND line.reseller_id = %(reseller)s
        AND invoice.reseller_id = %(reseller)s AND invoice.run_id = %(run)s AND invoice.state = 'draft'
    """,
    """
    DELETE FROM billing_invoicevat vat USING billing_invoice invoice
    WHERE vat.reseller_id = %(reseller)s AND vat.invoice_id = invoice.id
        AND invoice.reseller_id = %(reseller)s AND invoice.run_id = %(run)s AND invoice.state = 'draft'
    """,
    """
    DELETE FROM billing_invoiceline line USING billing_invoice invoice
    WHERE line.reseller_id = %(reseller)s AND line.invoice_id = invoice.id
        AND invoice.reseller_id = %(reseller)s AND invoice.run_id = %(run)s AND invoice.state = 'draft'
    """,
    "DELETE FROM billing_notproduced WHERE reseller_id = %(reseller)s AND run_id = %(run)s",
    "DELETE FROM billing_invoice WHERE reseller_id = %(reseller)s AND run_id = %(run)s AND state = 'draft'",
)


def remove_drafts(run: BillingRun) -> int:
    """Delete the drafts of a locked run and make it a draft again; return how many invoices went."""
    with connection.cursor() as cursor:
        cursor.execute(_AS_MANY)
        for step in _STEPS:
            cursor.execute(step, {"reseller": run.reseller_id, "run": run.pk})
        removed = cursor.rowcount
        cursor.execute(_AS_USUAL)
    run.state, run.accepted_errors, run.usage_batch = BillingRun.State.DRAFT, "", None
    run.billed_at = run.confirmed_at = None
    run.checked_by = run.confirmed_by = None
    run.save()
    record("run.undone", run, invoices=removed)
    return removed
