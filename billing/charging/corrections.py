"""Raises the corrections of issued bills that a clerk has ticked: one charge or credit for each invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from babel.dates import format_date
from django.db.models import Max, Min, Sum

from billing.models import Charge, ChargeKind, Invoice, InvoiceLine
from billing.models.corrected import PREFIX, corrected_before, correction_key
from billing.models.locks import hold_money
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller


@dataclass(frozen=True, slots=True)
class Ticked:
    """An issued invoice to correct: what its usage should be before VAT, and how many of its calls differ."""

    invoice_id: int
    right: Decimal
    calls: int


def raise_corrections(reseller: Reseller, ticked: Sequence[Ticked], *, on: date) -> list[Charge]:
    """Charge or credit what is still missing between bills and what they should be; return the charges made.

    Asked for twice it adds nothing: earlier corrections of the invoice are taken off. VAT is the customer's.
    """
    hold_money(reseller.pk)
    wanted = {row.invoice_id: row for row in ticked}
    invoices = Invoice.objects.filter(pk__in=wanted, state=Invoice.State.ISSUED).select_related("customer")
    lines = InvoiceLine.objects.filter(invoice__in=invoices, kind=ChargeKind.USAGE).order_by()
    sums = lines.values("invoice").annotate(
        net=Sum("net"), first=Min("service_start"), end=Max("service_end")
    )
    billed = {row["invoice"]: (row["net"], row["first"], row["end"]) for row in sums}
    before, turns = corrected_before(wanted), _turns(wanted)
    made = []
    for invoice in invoices.order_by("pk"):
        row, (net, first, end) = wanted[invoice.pk], billed.get(invoice.pk) or _without_usage(invoice)
        amount = row.right - net - before.get(invoice.pk, Decimal(0))
        if amount:
            key = correction_key(invoice.pk, turns.get(invoice.pk, 0) + 1)
            made.append(_charge(invoice, amount, row.calls, first, end, key, on))
    Charge.objects.bulk_create(made)
    for charge in made:
        record(
            "charge.corrected",
            charge.customer,
            description=charge.description,
            amount=charge.amount,
            currency=charge.currency,
        )
    return made


def _without_usage(invoice: Invoice) -> tuple[Decimal, date, date]:
    """Return what an invoice has as usage that shows none: nothing, over its period or else its day."""
    first = invoice.period_start or invoice.invoice_date
    return Decimal(0), first, invoice.period_end or first + timedelta(days=1)


def _charge(
    invoice: Invoice, amount: Decimal, calls: int, first: date, end: date, key: str, on: date
) -> Charge:
    month = format_date(first, "MMMM y", locale="en_GB")
    return Charge(
        reseller_id=invoice.reseller_id,
        customer=invoice.customer,
        kind=ChargeKind.CREDIT if amount < 0 else ChargeKind.ONE_OFF,
        description=f"Calls of {month} priced again: {calls:,} call{'s' * (calls != 1)} of invoice {invoice}",
        source_key=key,
        service_start=first,
        service_end=end,
        bill_date=on,
        unit_price=amount,
        amount=amount,
        currency=invoice.currency,
    )


def _turns(invoice_ids: dict[int, Ticked]) -> dict[int, int]:
    """Return how many corrections each invoice has had."""
    found: dict[int, int] = {}
    for key in Charge.objects.filter(source_key__startswith=PREFIX).values_list("source_key", flat=True):
        invoice = int(key.split(":")[1])
        if invoice in invoice_ids:
            found[invoice] = found.get(invoice, 0) + 1
    return found
