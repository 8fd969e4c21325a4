"""What people decide about a carrier's charges: what they are for, that they are left out, that they are open again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q, QuerySet

from billing.charging.allocation import overlapping
from billing.models import (
    Carrier,
    CarrierCharge,
    CarrierInvoice,
    Customer,
    Feature,
    FeatureType,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
)
from billing.models.locks import hold_money
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller

State, Found = CarrierCharge.State, CarrierCharge.Found
IDENTITY_LENGTH = 60


class AllocationRefused(ValueError):
    """A charge that cannot be allocated so, with the reason for the user; `field` names the form field, if any."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class Target:
    """What charges are for: a feature, else a number (of a customer), else a customer as a whole."""

    customer: Customer | None = None
    number: Number | None = None
    feature: Feature | None = None


def alike(charge: CarrierCharge) -> QuerySet[Any]:
    """Return the charge and the open ones of its carrier with the same reference."""
    if not charge.reference:
        return CarrierCharge.objects.filter(pk=charge.pk)
    same = Q(
        state=State.OPEN, reference=charge.reference, invoice__in=bills_of_carrier(charge.invoice.carrier_id)
    )
    return CarrierCharge.objects.filter(Q(pk=charge.pk) | same)


def bills_of_carrier(carrier_id: int) -> QuerySet[Any]:
    """Return the bills of a carrier."""
    return CarrierInvoice.objects.filter(carrier_id=carrier_id).order_by()


def feature_of(
    *, feature_type: FeatureType, customer: Customer | None, number: Number | None, first: date, until: date
) -> Feature:
    """Return the one feature of a type that a number or customer has in some days; raises AllocationRefused."""
    rows = Feature.objects.filter(overlapping(first, until), feature_type=feature_type).select_related(
        "customer", "number"
    )
    rows = rows.filter(number=number) if number else rows
    rows = rows.filter(customer=customer) if customer else rows
    found = {row.pk: row for row in rows.order_by("pk")[:100]}
    heads = [row for row in found.values() if row.continues_id not in found]
    whose = number or customer
    if not heads:
        raise AllocationRefused(f"{whose} has no {feature_type} from {day(first)}.", field="feature_type")
    if len(heads) > 1:
        raise AllocationRefused(
            f"{whose} has {len(heads)} features {feature_type} then: name the number too.",
            field="feature_type",
        )
    return heads[0]


def allocate_by_hand(
    reseller: Reseller, ids: Sequence[int], target: Target, *, remember: bool = False
) -> int:
    """Say what charges are for; return how many. `remember` keeps their reference for the next bills.

    A number's customer is the one who had it in the days of each charge, nobody if nobody had it; when it changed
    hands in those days, or for a customer without a number, the target names the customer.
    """
    hold_money(reseller.pk)
    rows = _changeable(ids)
    whose: dict[int, int | None]
    if target.feature is not None:
        whose = dict.fromkeys((row.pk for row in rows), target.feature.customer_id)
        number_id = target.feature.number_id
    elif target.number is not None:
        whose = _holders(rows, target.number, target.customer)
        number_id = target.number.pk
    elif target.customer is not None:
        whose, number_id = dict.fromkeys((row.pk for row in rows), target.customer.pk), None
    else:
        raise AllocationRefused("Say what the charge is for.")
    if remember:
        _remember(rows, target)
    for row in rows:
        row.state, row.found, row.reason = State.ALLOCATED, Found.HAND, ""
        row.customer_id, row.number_id = whose[row.pk], number_id
        row.feature_id = target.feature.pk if target.feature else None
    _write(rows)
    what = target.feature or target.number or target.customer
    record("carrier_charges.allocated", what, charges=len(rows), lines=_lines(rows), remembered=remember)
    return len(rows)


def leave_out(reseller: Reseller, ids: Sequence[int], *, reason: str) -> int:
    """Leave charges out of what customers cost, with the reason; return how many."""
    if not reason.strip():
        raise AllocationRefused("Say why the charge is left out.", field="reason")
    hold_money(reseller.pk)
    rows = _changeable(ids)
    for row in rows:
        _clear(row, State.IGNORED, reason.strip()[:200])
    _write(rows)
    record("carrier_charges.left_out", reason.strip(), charges=len(rows), lines=_lines(rows))
    return len(rows)


def open_again(reseller: Reseller, ids: Sequence[int]) -> int:
    """Forget what charges were for, or that they were left out; return how many."""
    hold_money(reseller.pk)
    rows = _changeable(ids)
    for row in rows:
        _clear(row, State.OPEN, "Opened again by hand.")
    _write(rows)
    record("carrier_charges.opened", "By hand", charges=len(rows), lines=_lines(rows))
    return len(rows)


def remove_bill(bill: CarrierInvoice) -> int:
    """Take a carrier's bill out of the book with its charges; refused once a charge of it was passed on."""
    hold_money(bill.reseller_id)
    charges = CarrierCharge.objects.filter(invoice=bill)
    passed = charges.filter(charge__isnull=False).count()
    if passed:
        raise AllocationRefused(
            f"{passed} of its charges {'is' if passed == 1 else 'are'} passed on to customers; take that back first."
        )
    gone = charges.count()
    record("carrier_bill.removed", bill, carrier=bill.carrier, charges=gone)
    bill.delete()
    return gone


def _changeable(ids: Sequence[int]) -> list[CarrierCharge]:
    """Return the charges, locked; raises AllocationRefused when one was passed on."""
    rows = list(
        CarrierCharge.objects.filter(pk__in=list(ids))
        .select_related("invoice", "invoice__carrier")
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    if not rows:
        raise AllocationRefused("There is no charge to change.")
    passed = next((row for row in rows if row.charge_id is not None), None)
    if passed is not None:
        raise AllocationRefused(f"“{passed.description}” is passed on to a customer; take that back first.")
    return rows


def _holders(
    rows: Sequence[CarrierCharge], number: Number, customer: Customer | None
) -> dict[int, int | None]:
    """Return whose the number was in the days of each charge; raises AllocationRefused when that is not clear."""
    held = list(
        NumberAssignment.objects.filter(number=number).values_list("customer_id", "start_date", "end_date")
    )
    whose: dict[int, int | None] = {}
    for row in rows:
        had = {
            who
            for who, start, end in held
            if start < row.service_end and (end is None or end > row.service_start)
        }
        if customer is not None and customer.pk not in had:
            raise AllocationRefused(
                f"{customer} did not have {number} from {day(row.service_start)}.", field="customer"
            )
        if customer is None and len(had) > 1:
            raise AllocationRefused(
                f"{number} changed hands after {day(row.service_start)}: name the customer too.",
                field="customer",
            )
        whose[row.pk] = customer.pk if customer else next(iter(had), None)
    return whose


def _remember(rows: Sequence[CarrierCharge], target: Target) -> None:
    """Keep the reference of the charges: at the carrier's supply of the number or feature, else as an identity."""
    charge = rows[0]
    if not charge.reference:
        raise AllocationRefused("The line has no reference to remember.", field="remember")
    if target.feature is None and target.number is None:
        raise AllocationRefused("Only a number or a feature can keep a reference.", field="remember")
    carrier = charge.invoice.carrier
    what: dict[str, Any] = {"feature": target.feature} if target.feature else {"number": target.number}
    first, until = min(r.service_start for r in rows), max(r.service_end for r in rows)
    supplies = Supply.objects.filter(overlapping(first, until), carrier=carrier, **what)
    if supplies.filter(reference=charge.reference).exists():
        return
    if supplies.filter(reference="").update(reference=charge.reference):
        record("supply.reference", what.get("feature") or what["number"], reference=charge.reference)
    elif target.feature is not None:
        _supply(target.feature, carrier, charge.reference)
    elif target.number is not None:
        _identify(target.number, charge.reference)


def _supply(feature: Feature, carrier: Carrier, reference: str) -> None:
    Supply.objects.create(
        reseller_id=feature.reseller_id,
        feature=feature,
        carrier=carrier,
        reference=reference,
        start_date=feature.start_date,
        end_date=feature.end_date,
    )
    record("supply.reference", feature, reference=reference)


def _identify(number: Number, reference: str) -> None:
    if len(reference) > IDENTITY_LENGTH:
        raise AllocationRefused(
            f"A reference longer than {IDENTITY_LENGTH} signs is not remembered.", field="remember"
        )
    known, made = NumberIdentity.objects.get_or_create(
        reseller_id=number.reseller_id, identity=reference, defaults={"number": number}
    )
    if known.number_id != number.pk:
        raise AllocationRefused(
            f"“{reference}” stands for {known.number} already: it cannot be remembered for {number}.",
            field="remember",
        )
    if made:
        record("number.identity_added", number, identity=reference)


def _clear(row: CarrierCharge, state: str, reason: str) -> None:
    row.state, row.found, row.reason = state, "", reason
    row.customer_id = row.number_id = row.feature_id = None


def _write(rows: Sequence[CarrierCharge]) -> None:
    fields = ["state", "found", "reason", "customer", "number", "feature"]
    CarrierCharge.objects.bulk_update(rows, fields, batch_size=1000)


def _lines(rows: Sequence[CarrierCharge]) -> str:
    """Return which lines these are, for the audit log."""
    named = [f"{row.invoice.number} line {row.line}" for row in rows[:5]]
    return ", ".join(named) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
