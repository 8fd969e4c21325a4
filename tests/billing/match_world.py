"""Charges on issued invoices and lines on carriers' bills, made directly, for the tests of the three-way match."""

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from billing.models import BillingRun, CarrierCharge, CarrierInvoice, Charge, Invoice, InvoiceLine
from billing.models.services import Feature
from resellerkpi.core.models import Reseller

_numbers = count(1)


def billed_to(house: Reseller, end: date, *, cycle: str = "monthly") -> BillingRun:
    """Make a bill run that was sent for a month, which ends before a day."""
    first = (end.replace(day=1) if end.day > 1 else end).replace(day=1)
    return BillingRun.objects.create(
        reseller=house, name=f"Run to {end}", cycle=cycle, period_start=first.replace(year=end.year - 1),
        period_end=end, invoice_date=end, state="sent",
    )  # fmt: skip


def charge(
    feature: Feature, start: date, end: date, amount: str, *, issued: bool = True, **fields: Any
) -> Charge:
    """Charge a feature for some days, on an issued invoice of its own or on none yet."""
    at, net = next(_numbers), Decimal(amount)
    values: dict[str, Any] = {
        "customer": feature.customer, "feature": feature, "number": feature.number, "kind": "recurring",
        "description": "Rental", "service_start": start, "service_end": end, "bill_date": start,
        "quantity": feature.quantity, "amount": net, "currency": feature.feature_type.currency, **fields,
    }  # fmt: skip
    key = f"feature:{feature.pk}:charge:{start}:{end}:{at}"
    made = Charge(reseller=feature.reseller, source_key=key, **values)
    if issued:
        own = {"reseller": feature.reseller}
        invoice = Invoice.objects.create(
            **own, customer=feature.customer, invoice_date=start, due_date=start, net=net, gross=net,
            currency=made.currency,
        )  # fmt: skip
        made.invoice_line = InvoiceLine.objects.create(
            **own, invoice=invoice, position=1, kind=made.kind, description="Rental", net=net,
            feature_type=feature.feature_type, number=feature.number, service_start=start, service_end=end,
            quantity=made.quantity,
        )  # fmt: skip
        Invoice.objects.filter(pk=invoice.pk).update(state="issued", number=f"M{at}")
    made.save()
    return made


def supplier_line(bill: CarrierInvoice, start: date, end: date, amount: str, **fields: Any) -> CarrierCharge:
    """Put a line on a carrier's bill; it is allocated when it says what it is for."""
    known = {"customer", "number", "feature"} & {*fields}
    values: dict[str, Any] = {
        "state": "allocated" if known else "open",
        "found": "hand" if known else "",
        **fields,
    }
    return CarrierCharge.objects.create(
        reseller=bill.reseller, invoice=bill, line=next(_numbers), description="Line", service_start=start,
        service_end=end, amount=Decimal(amount), **values,
    )  # fmt: skip
