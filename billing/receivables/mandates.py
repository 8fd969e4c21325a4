"""Mandates for Direct Debit: recording a new one, ending one. A customer has at most one in force on a day.

Who records or ends one holds the customer's row, so that two people at once take turns.
"""

from datetime import date
from typing import Any

from django.db.models import Case, Q, Value, When

from billing.book import act
from billing.models import Customer, Mandate
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day


class MandateRefused(ValueError):
    """A mandate that cannot be recorded or ended, with the reason for the user."""


def in_force_first(today: date) -> list[Any]:
    """Return how a customer's mandates are ordered: the one in force on the day, else the one that begins last."""
    holds = Q(start_date__lte=today) & (Q(end_date__isnull=True) | Q(end_date__gt=today))
    return [Case(When(holds, then=Value(0)), default=Value(1)), "-start_date", "-pk"]


def mandate_of(customer: Customer, today: date) -> Mandate | None:
    """Return the mandate in force, else the one that began last or will begin."""
    found: Mandate | None = Mandate.objects.filter(customer=customer).order_by(*in_force_first(today)).first()
    return found


def record_mandate(*, customer: Customer, reference: str, start: date) -> Mandate:
    """Record a mandate from a day on; the one in force ends on that day. Raises MandateRefused or BookRefused."""
    _hold(customer)
    held = Mandate.objects.filter(reference=reference).select_related("customer").first()
    if held is not None:
        raise MandateRefused(f"Mandate {reference} is recorded already, for {held.customer}.")
    before = Mandate.objects.filter(customer=customer).order_by("start_date", "pk").last()
    if before is not None and before.start_date >= start:
        raise MandateRefused(f"Mandate {before} began on {day(before.start_date)}: a new one begins later.")
    if before is not None and (before.end_date is None or before.end_date > start):
        before.end_date = start
        before.save(update_fields=["end_date"])
    with act():
        made = Mandate.objects.create(
            reseller=customer.reseller, customer=customer, reference=reference, start_date=start
        )
    record("mandate.recorded", customer, reference=reference, start=start)
    return made


def end_mandate(*, customer: Customer, seen: int | None, on: date, today: date) -> Mandate:
    """End a customer's mandate in force; `on` is the first day without it. Raises MandateRefused.

    `seen` is the mandate that whoever asks saw: another that was recorded meanwhile is not ended in its place.
    """
    _hold(customer)
    mandate = mandate_of(customer, today)
    if mandate is None or not in_force(mandate, today):
        raise MandateRefused(f"{customer} has no mandate in force.")
    if seen != mandate.pk:
        raise MandateRefused(f"Mandate {mandate} was recorded since you opened this page. Open it again.")
    if on <= mandate.start_date:
        raise MandateRefused(f"It began on {day(mandate.start_date)}: it ends later than that.")
    mandate.end_date = on
    mandate.save(update_fields=["end_date"])
    record("mandate.ended", customer, reference=mandate.reference, on=on)
    return mandate


def _hold(customer: Customer) -> None:
    """Lock a customer's row for the transaction."""
    Customer.objects.select_for_update(of=("self",)).get(pk=customer.pk)


def in_force(mandate: Mandate | None, today: date) -> bool:
    """Say whether a mandate holds today or will; one that has ended does not."""
    return mandate is not None and (mandate.end_date is None or mandate.end_date > today)


def mandate_words(mandate: Mandate | None, today: date) -> str:
    """Say how a customer's mandate stands today."""
    if mandate is None:
        return "None, so nothing can be collected"
    if mandate.end_date is not None and mandate.end_date <= today:
        return f"{mandate}, ended on {day(mandate.end_date)}, so nothing can be collected"
    if mandate.start_date > today:
        return f"{mandate}, from {day(mandate.start_date)} on"
    until = f" until {day(mandate.end_date)}" if mandate.end_date else ""
    return f"{mandate}, since {day(mandate.start_date)}{until}"
