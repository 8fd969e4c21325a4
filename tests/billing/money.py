"""A small house with customers, invoices and payments for the tests of money."""

from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import Customer
from billing.receivables.opening import OpeningInvoiceRow, open_invoices
from billing.receivables.payments import PaymentRow
from resellerkpi.core.models import Reseller

D = Decimal


def day(text: str) -> date:
    """Read 2026-11-22."""
    return date.fromisoformat(text)


def make_house(code: str = "alpha", **fields: Any) -> Reseller:
    """Make a reseller."""
    return Reseller.objects.create(code=code, name=code.title(), **fields)


def make_customer(house: Reseller, code: str, **fields: Any) -> Customer:
    """Make an active customer."""
    values = {"name": f"Customer {code}", "status": Customer.Status.ACTIVE, **fields}
    return Customer.objects.create(reseller=house, code=code, **values)


def owe(customer: Customer, *invoices: tuple[str, str, str, str], currency: str = "GBP") -> None:
    """Give a customer opening invoices: (number, invoice date, due date, amount without VAT)."""
    rows = [
        OpeningInvoiceRow(customer.pk, number, day(dated), day(due), D(amount), D(amount), D(0), currency)
        for number, dated, due, amount in invoices
    ]
    open_invoices(customer.reseller, rows)


def paid(customer: Customer, received: str, amount: str, **fields: Any) -> PaymentRow:
    """Describe a payment."""
    values: dict[str, Any] = {"currency": "GBP", "method": Customer.Method.TRANSFER, **fields}
    return PaymentRow(customer_id=customer.pk, received_date=day(received), amount=D(amount), **values)
