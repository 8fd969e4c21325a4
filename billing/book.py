"""Changes to the book by hand: each one transaction, audited, refused in one clear sentence.

Dates are half-open: an `end_date` is the first day the thing is no longer there.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import Q

from billing.models import (
    Customer,
    CustomerEvent,
    CustomerNote,
    Feature,
    FeaturePrice,
    Number,
    NumberAssignment,
    Supply,
    Tariff,
    TariffAssignment,
    TariffRate,
)
from billing.models.continued import take_back_after
from resellerkpi.core import audit
from resellerkpi.core.columns import day
from resellerkpi.core.scope import current

#: What each rule of the database means to a person.
SENTENCES = {
    "customer_code": "There is already a customer with this account code.",
    "dealer_code": "There is already a dealer with this code.",
    "carrier_code": "There is already a carrier with this code.",
    "spend_limit_once": "There is a limit for the same customer, span and usage from that day already.",
    "spend_limit_destination": "Name a destination where one destination counts, and only there.",
    "spend_limit_days": "The end must come after the start.",
    "tariff_name": "There is already a tariff with this name.",
    "feature_type_code": "There is already a feature type with this code.",
    "number_once": "This number is in the book already.",
    "identity_once": "This name of a line is used by another number already.",
    "rate_once": "This tariff already has a rate for that key and band from that day.",
    "rate_dates": "The rate must end after the day it begins.",
    "rate_increments": "Increments are at least one second.",
    "price_once": "There is already a price from that day.",
    "price_no_overlap": "Another price is in force in those days.",
    "assignment_no_overlap": "The number belongs to a customer on some of those days already.",
    "assignment_dates": "The end must come after the start.",
    "supply_number_no_overlap": "Another carrier supplies the number on some of those days already.",
    "supply_dates": "The end must come after the start.",
    "feature_dates": "The end must come after the start.",
    "feature_quantity": "The quantity is at least one.",
    "feature_discount_percent": "The discount lies between 0 and 100 per cent.",
    "feature_termination_percent": "What leaving early costs is not negative.",
    "feature_type_termination_percent": "What leaving early costs lies between 0 and 100 per cent.",
    "price_uplift_name": "There is already a price rise with this name.",
    "price_uplift_percent": "Prices cannot fall by 100 per cent or more.",
    "bundle_amount": "What is included is not negative.",
    "bundle_caps": "Limits are more than zero, and what is unused rolls over for at most 12 months.",
    "bundle_dates": "The allowance must end after the day it begins.",
    "mandate_once": "A mandate with this reference is recorded already.",
    "contract_once": "The customer has a contract of this reference already.",
    "feature_continued_once": "This feature has been changed meanwhile; look at it again.",
    "tariff_assignment_dates": "The end must come after the start.",
    "tariff_assignment_once": "A tariff for these calls begins on that day already.",
    "customer_event_once_a_day": "The status of this customer changes on that day already.",
    "customer_billing_day": "The billing day lies between 1 and 31.",
    "customer_vat_rate": "The VAT rate lies between 0 and 100 per cent.",
    "tariff_places": "Prices are rounded to at most six places.",
    "tariff_data_unit": "The data unit is more than zero.",
    "tariff_markup_once": "There is already a markup for this class.",
    "tariff_markup_percent": "The markup is more than -100 per cent.",
    "time_band_minutes": "The band must end after it begins, within one day.",
}


class BookRefused(ValueError):
    """Raised when a change contradicts the book; `field` names the form field it belongs to, if any."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


@contextmanager
def act() -> Iterator[None]:
    """Run one change: all of it or nothing; what the database forbids becomes a sentence."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as broken:
        name = getattr(getattr(broken.__cause__, "diag", None), "constraint_name", "") or ""
        sentence = SENTENCES.get(name)
        if sentence is None:
            raise
        raise BookRefused(sentence) from None


def keep(row: models.Model, *, changed: Iterable[str] = ()) -> Any:
    """Write a new or changed row of the book; `changed` names its fields for the audit log."""
    new = row._state.adding
    with act():
        if new:
            row.reseller_id = current().reseller_id  # type: ignore[attr-defined]
        row.save()
        audit.record(
            f"{row._meta.model_name}.{'added' if new else 'changed'}", row, fields=", ".join(sorted(changed))
        )
    return row


def add_customer(customer: Customer, *, since: date) -> Customer:
    """Add a customer; its status holds from a day on."""
    with act():
        keep(customer)
        CustomerEvent.objects.create(
            reseller_id=customer.reseller_id, customer=customer, date=since, status=customer.status
        )
    return customer


def change_status(
    *,
    customer: Customer,
    status: str,
    on: date,
    today: date,
    reason: str = "",
    words: str = "",
    competitor: str = "",
    notice_date: date | None = None,
    end_services: bool = False,
    waive: str = "",
) -> CustomerEvent:
    """Change a customer's status from a day on; leaving asks why, and can end what the customer has.

    `notice_date` is the day a customer that leaves said so. `waive` is the reason for asking no early-termination
    charges.
    """
    leaves = status == Customer.Status.CEASED
    if notice_date and leaves and notice_date > on:
        raise BookRefused(
            "Notice is given before a customer leaves, or on the same day.", field="notice_date"
        )
    if status == Customer.Status.CEASED and not reason:
        raise BookRefused("Say why the customer leaves.", field="reason")
    before = CustomerEvent.objects.filter(customer=customer, date__lte=on).order_by("-date").first()
    if before and before.status == status and before.date < on:
        raise BookRefused(
            f"The customer is {before.get_status_display().lower()} since {day(before.date)} already.",
            field="status",
        )
    with act():
        event = CustomerEvent.objects.create(
            reseller_id=customer.reseller_id,
            customer=customer,
            date=on,
            status=status,
            reason=reason,
            words=words,
            competitor=competitor,
            notice_date=notice_date if leaves else None,
        )
        _keep_in_step(customer, today)
        if end_services and status == Customer.Status.CEASED:
            end_everything(customer=customer, on=on, waive=waive)
        audit.record("customer.status", customer, status=status, date=on, reason=reason)
    return event


def _keep_in_step(customer: Customer, today: date) -> None:
    """Set the stored status to that of the latest event that has come."""
    latest = CustomerEvent.objects.filter(customer=customer, date__lte=today).order_by("-date").first()
    if latest and latest.status != customer.status:
        customer.status = latest.status
        customer.save(update_fields=["status"])


def end_everything(*, customer: Customer, on: date, waive: str = "") -> dict[str, int]:
    """End a customer's numbers, features and tariffs on a day; return how many of each.

    Changes of features dated on or after the day are taken back. `waive` is the reason for asking no
    early-termination charges.
    """
    ended = {}
    with act():
        running = Q(end_date__isnull=True) | Q(end_date__gt=on)
        features = Feature.objects.filter(running, customer=customer, start_date__lt=on)
        held = Feature.objects.filter(running | Q(end_date=on), customer=customer, start_date__lt=on)
        take_back_after(customer.reseller_id, list(held.values_list("pk", flat=True)))
        features.update(termination_waived=bool(waive))
        if waive:
            audit.record("customer.termination_waived", customer, date=on, reason=waive)
        for model in (NumberAssignment, Feature, TariffAssignment):
            rows = model.objects.filter(running, customer=customer, start_date__lt=on)
            ended[str(model._meta.verbose_name_plural)] = rows.update(end_date=on)
        audit.record("customer.services_ended", customer, date=on, **ended)
    return ended


def add_note(*, customer: Customer, text: str, now: datetime) -> CustomerNote:
    """Put a note on a customer's timeline."""
    with act():
        note = CustomerNote.objects.create(
            reseller_id=customer.reseller_id,
            customer=customer,
            at=now,
            author_id=current().user_id,
            text=text,
        )
        audit.record("customer.note_added", customer)
    return note


def assign_number(
    *, number: Number, customer: Customer, start: date, end: date | None = None, site: str = ""
) -> NumberAssignment:
    """Give a number to a customer from a day on; refused while another customer has it."""
    with act():
        row = NumberAssignment.objects.create(
            reseller_id=customer.reseller_id,
            number=number,
            customer=customer,
            start_date=start,
            end_date=end,
            site=site,
        )
        audit.record("number.assigned", number, customer=customer, start=start, end=end)
    return row


def add_number(
    *, text: str, number_type: str, customer: Customer, start: date, site: str = "", description: str = ""
) -> NumberAssignment:
    """Give a customer a number by its digits; the number is added to the book when it is new."""
    with act():
        number, new = Number.objects.get_or_create(
            reseller_id=customer.reseller_id,
            number=text,
            defaults={"type": number_type, "description": description},
        )
        if new:
            audit.record("number.added", number)
        return assign_number(number=number, customer=customer, start=start, site=site)


def end_assignment(*, assignment: NumberAssignment, on: date) -> NumberAssignment:
    """End a customer's use of a number; `on` is the first day without it."""
    with act():
        assignment.end_date = on
        assignment.save(update_fields=["end_date"])
        audit.record("number.ended", assignment.number, customer=assignment.customer, date=on)
    return assignment


def move_number(*, number: Number, customer: Customer, on: date, site: str = "") -> NumberAssignment:
    """Give a number to another customer on a day; the use before it ends there."""
    with act():
        running = NumberAssignment.objects.filter(
            Q(end_date__isnull=True) | Q(end_date__gt=on), number=number, start_date__lt=on
        )
        for assignment in running.select_related("customer", "number"):
            if assignment.customer_id == customer.pk:
                raise BookRefused(
                    "The number belongs to this customer on that day already.", field="customer"
                )
            end_assignment(assignment=assignment, on=on)
        return assign_number(number=number, customer=customer, start=on, site=site)


def supply_number(*, number: Number, carrier: Any, start: date, reference: str = "") -> Supply:
    """Say which carrier supplies a number from a day on; the carrier before ends there."""
    with act():
        Supply.objects.filter(
            Q(end_date__isnull=True) | Q(end_date__gt=start), number=number, start_date__lt=start
        ).update(end_date=start)
        row = Supply.objects.create(
            reseller_id=number.reseller_id,
            number=number,
            carrier=carrier,
            reference=reference,
            start_date=start,
        )
        audit.record("number.supplied", number, carrier=carrier, start=start)
    return row


def has_number(customer: Customer, number: Number, on: date) -> bool:
    """Say whether a number belongs to a customer on a day."""
    return NumberAssignment.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gt=on), customer=customer, number=number, start_date__lte=on
    ).exists()


def set_price(price: FeaturePrice) -> FeaturePrice:
    """Put a list price in force from its day on; the price before ends there."""
    with act():
        FeaturePrice.objects.filter(
            Q(valid_to__isnull=True) | Q(valid_to__gt=price.valid_from),
            feature_type_id=price.feature_type_id,
            valid_from__lt=price.valid_from,
        ).update(valid_to=price.valid_from)
        later = FeaturePrice.objects.filter(
            feature_type_id=price.feature_type_id, valid_from__gt=price.valid_from
        ).order_by("valid_from")
        first = later.first()
        price.valid_to = first.valid_from if first else None
        keep(price, changed=("price", "cost", "valid_from"))
    return price


def set_rate(rate: TariffRate) -> TariffRate:
    """Put a rate in force from its day on; the one of the same key and band before it ends there."""
    same = TariffRate.objects.filter(
        tariff_id=rate.tariff_id, service=rate.service, key_kind=rate.key_kind, key=rate.key, band=rate.band
    )
    with act():
        same.filter(
            Q(valid_to__isnull=True) | Q(valid_to__gt=rate.valid_from), valid_from__lt=rate.valid_from
        ).update(valid_to=rate.valid_from)
        later = same.filter(valid_from__gt=rate.valid_from).order_by("valid_from").first()
        rate.valid_to = later.valid_from if later else None
        keep(rate, changed=("price", "valid_from"))
    return rate


def assign_tariff(
    *,
    tariff: Tariff,
    start: date,
    customer: Customer | None = None,
    number: Number | None = None,
    call_class: str = "",
) -> TariffAssignment:
    """Price a customer's or a number's calls of a class by a tariff from a day on; the one before ends there."""
    whose: dict[str, Any] = {"customer": customer, "number": number, "call_class": call_class}
    with act():
        TariffAssignment.objects.filter(
            Q(end_date__isnull=True) | Q(end_date__gt=start), start_date__lt=start, **whose
        ).update(end_date=start)
        row = TariffAssignment.objects.create(
            reseller_id=tariff.reseller_id, tariff=tariff, start_date=start, **whose
        )
        audit.record("tariff.assigned", tariff, to=customer or number, start=start, call_class=call_class)
    return row
