"""Invoices for the tests of reports: lines of several kinds, VAT, ledger entries, payments and credit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal as D

from billing.models import (
    Allocation,
    BillingRun,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    LedgerEntry,
    Payment,
)
from resellerkpi.core.scope import enter
from tests.world import House

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Bill:
    """One invoice to make: VAT is 20 % of its lines."""

    number: str
    customer: Customer
    day: date
    lines: Sequence[tuple[str, str, str]] = (("recurring", "100.00", "60.00"),)
    currency: str = "GBP"
    paid: str = ""
    credited: str = ""
    state: str = Invoice.State.ISSUED
    run: BillingRun | None = None


def make_bills(house: House, *bills: Bill) -> list[Invoice]:
    """Write issued invoices with their lines, VAT, ledger entries and what settles them."""
    with enter(house.scope()):
        return [_make(house, bill) for bill in bills]


def _make(house: House, bill: Bill) -> Invoice:
    own = {"reseller": house.reseller}
    net = sum((D(net) for _, net, _ in bill.lines), D(0))
    vat = (net * D("0.2")).quantize(D("0.01"))
    invoice = Invoice.objects.create(
        **own,
        customer=bill.customer,
        run=bill.run,
        state=Invoice.State.DRAFT,
        invoice_date=bill.day,
        due_date=date.fromordinal(bill.day.toordinal() + 14),
        currency=bill.currency,
        net=net,
        vat=vat,
        gross=net + vat,
        cost=sum((D(cost) for _, _, cost in bill.lines), D(0)),
    )
    for position, (kind, amount, cost) in enumerate(bill.lines, 1):
        InvoiceLine.objects.create(
            **own,
            invoice=invoice,
            position=position,
            kind=kind,
            description=kind,
            net=D(amount),
            cost=D(cost),
        )
    InvoiceVat.objects.create(**own, invoice=invoice, rate=20, net=net, vat=vat)
    if bill.state == Invoice.State.DRAFT:
        return invoice
    Invoice.objects.filter(pk=invoice.pk).update(number=bill.number, state=bill.state, issued_at=NOW)
    _post(house, bill, invoice)
    _settle(house, bill, invoice)
    return invoice


def _post(house: House, bill: Bill, invoice: Invoice) -> None:
    LedgerEntry.objects.create(
        reseller=house.reseller,
        customer=bill.customer,
        date=bill.day,
        kind="invoice",
        amount=invoice.gross,
        currency=bill.currency,
        source_key=f"invoice:{invoice.pk}",
        invoice=invoice,
    )


def _settle(house: House, bill: Bill, invoice: Invoice) -> None:
    own = {"reseller": house.reseller}
    money = {"customer": bill.customer, "currency": bill.currency}
    if bill.paid:
        payment = Payment.objects.create(
            **own, **money, method="card", received_date=bill.day, amount=D(bill.paid), reference=bill.number
        )
        Allocation.objects.create(**own, invoice=invoice, payment=payment, date=bill.day, amount=D(bill.paid))
    if bill.credited:
        gross = D(bill.credited)
        note = CreditNote.objects.create(
            **own,
            **money,
            invoice=invoice,
            number=f"CN-{bill.number}",
            date=bill.day,
            reason="Goodwill",
            net=gross,
            gross=gross,
            issued_at=NOW,
        )
        Allocation.objects.create(**own, invoice=invoice, credit_note=note, date=bill.day, amount=gross)


def three_bills(house: House) -> list[Invoice]:
    """Make the three invoices most tests look at: 1 Nov of two customers, 10 Nov half paid, all in GBP."""
    first, second, _ = house.customers
    mark = house.reseller.code[:1].upper()
    split = (("recurring", "50.00", "30.00"), ("usage", "25.50", "10.123456"), ("one_off", "4.50", "0"))
    return make_bills(
        house,
        Bill(f"{mark}-0001", first, date(2026, 11, 1), split, paid="96.00"),
        Bill(f"{mark}-0002", second, date(2026, 11, 1)),
        Bill(f"{mark}-0003", first, date(2026, 11, 10), paid="50.00", credited="20.00"),
    )
