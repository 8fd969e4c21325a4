"""Credit notes: the only correction of an issued invoice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Sum

from billing.invoicing.numbering import Document, shown, take
from billing.invoicing.tax import vat_per_rate
from billing.models import Allocation, CreditNote, CreditNoteLine, Invoice, InvoiceLine, LedgerEntry
from billing.models.corrected import drop_waiting_corrections
from billing.models.locks import hold_money
from resellerkpi.core.audit import record

ZERO = Decimal(0)


class CreditRefused(ValueError):
    """A credit note that cannot be made, with the reason for the user."""


@dataclass(frozen=True, slots=True)
class _Part:
    line: InvoiceLine
    net: Decimal


def credit_invoice(
    invoice_id: int, *, reason: str, on: date, now: datetime, lines: Mapping[int, Decimal] | None = None
) -> CreditNote:
    """Credit what is left of an invoice, or net amounts of some lines (by their ids); settles it first.

    VAT is worked out as on the invoice, per rate; the last credit takes the residue, so that all credits together
    carry the invoice's VAT. What the invoice does not need stays as the customer's credit. A whole credit voids it,
    and corrections of its calls that wait for a bill go with it.
    """
    found = Invoice.objects.filter(pk=invoice_id).values_list("reseller_id", flat=True).get()
    hold_money(found)
    invoice = Invoice.objects.select_for_update().select_related("reseller", "customer").get(pk=invoice_id)
    _check(invoice, on)
    left = _left(invoice)
    parts = _parts(left, lines)
    is_whole = {part.line.pk: part.net for part in parts} == {pk: net for pk, (_, net) in left.items() if net}
    net = sum((part.net for part in parts), ZERO)
    vat = _vat(invoice, parts, is_whole)
    if net + vat <= 0:
        raise CreditRefused("There is nothing left to credit on this invoice.")
    note = CreditNote.objects.create(
        reseller=invoice.reseller,
        customer=invoice.customer,
        invoice=invoice,
        number=shown(invoice.reseller, Document.CREDIT_NOTE, take(invoice.reseller, Document.CREDIT_NOTE, 1)),
        date=on,
        reason=reason,
        currency=invoice.currency,
        net=net,
        vat=vat,
        gross=net + vat,
        issued_at=now,
    )
    CreditNoteLine.objects.bulk_create(_note_line(note, part) for part in parts)
    _post(note)
    _settle(note, invoice)
    dropped = 0
    if is_whole:
        Invoice.objects.filter(pk=invoice.pk).update(state=Invoice.State.VOID)
        dropped = drop_waiting_corrections(invoice.pk)
    gone = {"corrections": dropped} if dropped else {}
    record("invoice.credited", invoice, credit_note=note.number, gross=note.gross, reason=reason, **gone)
    return note


def _check(invoice: Invoice, on: date) -> None:
    if invoice.state == Invoice.State.DRAFT:
        raise CreditRefused("This invoice is a draft; undo the bill run instead.")
    if invoice.state == Invoice.State.VOID:
        raise CreditRefused("This invoice has been credited in full already.")
    if on < invoice.invoice_date:
        raise CreditRefused("A credit note cannot be dated before its invoice.")


def _left(invoice: Invoice) -> dict[int, tuple[InvoiceLine, Decimal]]:
    """Return each line with the net that is not credited yet."""
    lines = (
        InvoiceLine.objects.filter(invoice=invoice)
        .annotate(credited=Sum("credits__net"))
        .order_by("position")
    )
    return {line.pk: (line, line.net - (line.credited or ZERO)) for line in lines}


def _parts(
    left: Mapping[int, tuple[InvoiceLine, Decimal]], lines: Mapping[int, Decimal] | None
) -> list[_Part]:
    if lines is None:
        return [_Part(line, net) for line, net in left.values() if net]
    parts = []
    for pk, net in lines.items():
        if pk not in left:
            raise CreditRefused("This line is not on the invoice.")
        line, most = left[pk]
        if net <= 0 or net > most:
            raise CreditRefused(f"“{line.description}” can be credited by {max(most, ZERO)} at most.")
        parts.append(_Part(line, net))
    return parts


def _vat(invoice: Invoice, parts: list[_Part], is_whole: bool) -> Decimal:
    credited = CreditNote.objects.filter(invoice=invoice).aggregate(vat=Sum("vat"))["vat"] or ZERO
    if is_whole:
        return invoice.vat - credited
    amounts = vat_per_rate(((part.net, part.line.vat_rate) for part in parts), invoice.currency)
    return min(sum((amount.vat for amount in amounts), ZERO), invoice.vat - credited)


def _note_line(note: CreditNote, part: _Part) -> CreditNoteLine:
    return CreditNoteLine(
        reseller_id=note.reseller_id,
        credit_note=note,
        invoice_line=part.line,
        description=part.line.description,
        net=part.net,
        vat_rate=part.line.vat_rate,
    )


def _post(note: CreditNote) -> None:
    LedgerEntry.objects.create(
        reseller_id=note.reseller_id,
        customer_id=note.customer_id,
        date=note.date,
        kind=LedgerEntry.Kind.CREDIT_NOTE,
        amount=-note.gross,
        currency=note.currency,
        source_key=f"credit_note:{note.pk}",
        credit_note=note,
    )


def _settle(note: CreditNote, invoice: Invoice) -> None:
    """Settle the credited invoice with its note, from the day it is open."""
    active = Allocation.objects.filter(invoice=invoice, ended_date__isnull=True)
    open_amount = invoice.gross - (active.aggregate(sum=Sum("amount"))["sum"] or ZERO)
    ended = (
        Allocation.objects.filter(invoice=invoice, ended_date__gt=note.date).order_by("-ended_date").first()
    )
    amount = min(open_amount, note.gross)
    if amount > 0:
        Allocation.objects.create(
            reseller_id=note.reseller_id,
            invoice=invoice,
            credit_note=note,
            date=ended.ended_date if ended and ended.ended_date else note.date,
            amount=amount,
        )
