"""Takes the drafts of a run away again; its charges and calls wait for the next bill."""

from django.db import connection

from billing.models import BillingRun
from billing.models.corrected import PREFIX
from resellerkpi.core.audit import record

#: The run's rows may be younger than the statistics: with those of an empty table each row would be sought in turn.
_AS_MANY = "SET LOCAL enable_nestloop = off"
_AS_USUAL = "SET LOCAL enable_nestloop = on"
#: Corrections of the run's invoices that wait for a bill: their calls will be billed anew, at the right price.
_CORRECTIONS = """
DELETE FROM billing_charge charge USING billing_invoice invoice
WHERE charge.reseller_id = %(reseller)s AND charge.invoice_line_id IS NULL AND invoice.reseller_id = %(reseller)s
    AND invoice.run_id = %(run)s AND invoice.state = 'draft'
    AND charge.source_key LIKE %(corrections)s AND split_part(charge.source_key, ':', 2) = invoice.id::text
"""
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
        about = {"reseller": run.reseller_id, "run": run.pk}
        cursor.execute(_CORRECTIONS, {**about, "corrections": f"{PREFIX}%"})
        corrections = {"corrections": cursor.rowcount} if cursor.rowcount else {}
        for step in _STEPS:
            cursor.execute(step, about)
        removed = cursor.rowcount
        cursor.execute(_AS_USUAL)
    run.state, run.accepted_errors, run.usage_batch = BillingRun.State.DRAFT, "", None
    run.billed_at = run.confirmed_at = None
    run.checked_by = run.confirmed_by = None
    run.save()
    record("run.undone", run, invoices=removed, **corrections)
    return removed
