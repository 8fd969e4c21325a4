"""One-off charges and credits entered by hand: they wait for the next bill."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

from billing.models import Charge, ChargeKind, Customer, Number
from billing.models.locks import hold_money
from resellerkpi.core.audit import record
from resellerkpi.core.money import quantise


class ChargeRefused(ValueError):
    """A charge that cannot be made or taken back, with the reason for the user."""


def add_charge(
    customer: Customer,
    *,
    description: str,
    amount: Decimal,
    on: date,
    kind: ChargeKind = ChargeKind.ONE_OFF,
    cost: Decimal = Decimal(0),
    vat_rate: Decimal | None = None,
    number: Number | None = None,
    key: str = "",
) -> Charge:
    """Charge a customer (a credit: kind credit, amount given positive) on a day; one with a known key is kept."""
    if amount == 0:
        raise ChargeRefused("An amount of zero is nothing to charge.")
    if amount < 0:
        raise ChargeRefused("Give the amount without a minus; say that it is a credit instead.")
    if on == date.max:
        raise ChargeRefused("This day is too far in the future.")
    hold_money(customer.reseller_id)
    signed = quantise(-amount if kind == ChargeKind.CREDIT else amount, customer.currency)
    charge, made = Charge.objects.get_or_create(
        reseller_id=customer.reseller_id,
        source_key=f"manual:{key or uuid4()}",
        defaults={
            "customer": customer,
            "kind": kind,
            "description": description,
            "service_start": on,
            "service_end": on + timedelta(days=1),
            "bill_date": on,
            "unit_price": signed,
            "amount": signed,
            "cost": cost,
            "currency": customer.currency,
            "vat_rate": vat_rate,
            "number": number,
        },
    )
    if made:
        record("charge.added", customer, description=description, amount=signed, currency=customer.currency)
    return charge


def remove_charge(charge_id: int) -> None:
    """Take back a charge made by hand that is on no bill yet; waits for a run that may be putting it on one."""
    hold_money(Charge.objects.values_list("reseller_id", flat=True).get(pk=charge_id))
    charge = Charge.objects.select_for_update().get(pk=charge_id)
    if charge.invoice_line_id is not None:
        raise ChargeRefused("This charge is on a bill already; credit the bill instead.")
    if not charge.source_key.startswith("manual:"):
        raise ChargeRefused(_instead(charge.source_key))
    record("charge.removed", charge.customer, description=charge.description, amount=charge.amount)
    charge.delete()


def _instead(key: str) -> str:
    """Say how a charge that was not made by hand is taken back."""
    if key.startswith("carrier:"):
        return "This charge passes a carrier's charge on; take it back at the carrier's bill instead."
    if key.startswith("rerate:"):
        return "This charge corrects a bill; price its calls again, or enter the opposite by hand."
    return "This charge comes from a feature; end or change the feature instead."
