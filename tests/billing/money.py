"""A small house with customers, invoices and payments for the tests of money."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import connection

from billing.models import Call, Customer, RatingBatch
from billing.receivables.opening import OpeningInvoiceRow, open_invoices
from billing.receivables.payments import PaymentRow
from resellerkpi.core.models import Reseller

D = Decimal
_keys = count(1)


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


def rate_batch(house: Reseller, *calls: Call, kind: str = "test") -> RatingBatch:
    """Store calls as one act of rating would."""
    starts = [call.started_at for call in calls]
    batch = RatingBatch.objects.create(
        reseller=house,
        kind=kind,
        calls=len(calls),
        first_call_at=min(starts, default=None),
        last_call_at=max(starts, default=None),
    )
    with connection.cursor() as cursor:
        for month in {start.date().replace(day=1) for start in starts}:
            cursor.execute("SELECT make_call_partition(%s)", [month])
    for call in calls:
        call.batch = batch
    Call.objects.bulk_create(calls)
    return batch


def a_call(customer: Customer, started: str, retail: str, **fields: Any) -> Call:
    """Describe a rated call of a customer at a UTC time such as 2026-01-05 10:00."""
    price = D(retail)
    values: dict[str, Any] = {
        "carrier_id": 0,
        "file_id": 0,
        "line": 1,
        "dedupe_key": next(_keys),
        "service": "voice",
        "billed_party": "",
        "customer": customer,
        "duration": 60,
        "billed_seconds": 60,
        "retail": price,
        "currency": "GBP",
        "state": Call.State.RATED if price else Call.State.ZERO,
        **fields,
    }
    at = datetime.fromisoformat(started).replace(tzinfo=UTC)
    return Call(reseller=customer.reseller, started_at=at, **values)
