"""Takes over what customers owed in the system the reseller moved in from, as issued opening invoices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.models import ChargeKind, Customer, Invoice, InvoiceLine, InvoiceVat, LedgerEntry
from billing.models.locks import hold_money
from billing.receivables.allocate import allocate_oldest_first
from resellerkpi.core.models import Reseller

BATCH = 2000


class OpeningRefused(ValueError):
    """Opening invoices that cannot be taken over, with the reason for the user."""


@dataclass(frozen=True, slots=True)
class OpeningInvoiceRow:
    """An invoice of the old system: its number, dates, net + VAT = gross in one currency."""

    customer_id: int
    number: str
    invoice_date: date
    due_date: date
    gross: Decimal
    net: Decimal
    vat: Decimal
    currency: str
    is_disputed: bool = False


def open_invoices(reseller: Reseller, rows: Sequence[OpeningInvoiceRow]) -> list[Invoice]:
    """Take opening invoices over, post them, let waiting credit settle them; all or none."""
    hold_money(reseller.pk)
    _check(rows)
    rates = dict(
        Customer.objects.filter(pk__in={row.customer_id for row in rows}).values_list("pk", "vat_rate")
    )
    invoices = Invoice.objects.bulk_create([_invoice(reseller, row) for row in rows], batch_size=BATCH)
    lines = [_line(invoice, rates[invoice.customer_id]) for invoice in invoices]
    InvoiceLine.objects.bulk_create(lines, batch_size=BATCH)
    InvoiceVat.objects.bulk_create([_vat(line) for line in lines], batch_size=BATCH)
    LedgerEntry.objects.bulk_create([_entry(invoice) for invoice in invoices], batch_size=BATCH)
    allocate_oldest_first(reseller, customer_ids=sorted(rates))
    return invoices


def _check(rows: Sequence[OpeningInvoiceRow]) -> None:
    for row in rows:
        if row.net + row.vat != row.gross:
            raise OpeningRefused(f"Invoice {row.number}: net and VAT do not add up to the total.")
        if row.gross < 0:
            raise OpeningRefused(f"Invoice {row.number} is negative; bring credit in as a payment.")
    twice = [number for number, count in Counter(row.number for row in rows).items() if count > 1]
    if twice:
        raise OpeningRefused(f"Invoice {twice[0]} is there twice.")
    known = Invoice.objects.filter(number__in=[row.number for row in rows]).order_by("number").first()
    if known:
        raise OpeningRefused(f"There is already an invoice {known.number}.")


def _invoice(reseller: Reseller, row: OpeningInvoiceRow) -> Invoice:
    return Invoice(
        reseller=reseller,
        customer_id=row.customer_id,
        number=row.number,
        is_opening=True,
        state=Invoice.State.ISSUED,
        invoice_date=row.invoice_date,
        due_date=row.due_date,
        currency=row.currency,
        net=row.net,
        vat=row.vat,
        gross=row.gross,
        is_disputed=row.is_disputed,
    )


def _line(invoice: Invoice, vat_rate: Decimal) -> InvoiceLine:
    return InvoiceLine(
        reseller_id=invoice.reseller_id,
        invoice=invoice,
        position=1,
        kind=ChargeKind.MANUAL,
        description="Brought forward from the previous system",
        net=invoice.net,
        vat_rate=vat_rate if invoice.vat else Decimal(0),
    )


def _vat(line: InvoiceLine) -> InvoiceVat:
    return InvoiceVat(
        reseller_id=line.reseller_id,
        invoice=line.invoice,
        rate=line.vat_rate,
        net=line.net,
        vat=line.invoice.vat,
    )


def _entry(invoice: Invoice) -> LedgerEntry:
    return LedgerEntry(
        reseller_id=invoice.reseller_id,
        customer_id=invoice.customer_id,
        date=invoice.invoice_date,
        kind=LedgerEntry.Kind.INVOICE,
        amount=invoice.gross,
        currency=invoice.currency,
        source_key=f"invoice:{invoice.pk}",
        invoice=invoice,
    )
