"""Mandates for Direct Debit: recording a new one, ending one. A customer has at most one in force on a day."""

from datetime import date

from billing.models import Customer, Mandate
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day


class MandateRefused(ValueError):
    """A mandate that cannot be recorded or ended, with the reason for the user."""


def latest_mandate(customer: Customer) -> Mandate | None:
    """Return the mandate that began last, in force or not."""
    found: Mandate | None = Mandate.objects.filter(customer=customer).order_by("start_date", "pk").last()
    return found


def record_mandate(*, customer: Customer, reference: str, start: date) -> Mandate:
    """Record a mandate from a day on; the one in force ends on that day. Raises MandateRefused."""
    held = Mandate.objects.filter(reference=reference).select_related("customer").first()
    if held is not None:
        raise MandateRefused(f"Mandate {reference} is recorded already, for {held.customer}.")
    before = latest_mandate(customer)
    if before is not None and before.start_date >= start:
        raise MandateRefused(f"Mandate {before} began on {day(before.start_date)}: a new one begins later.")
    if before is not None and (before.end_date is None or before.end_date > start):
        before.end_date = start
        before.save(update_fields=["end_date"])
    made = Mandate.objects.create(
        reseller=customer.reseller, customer=customer, reference=reference, start_date=start
    )
    record("Mandate recorded", customer, reference=reference, start=start.isoformat())
    return made


def end_mandate(*, mandate: Mandate, on: date) -> None:
    """End a mandate; `on` is the first day without it. Raises MandateRefused."""
    if on <= mandate.start_date:
        raise MandateRefused(f"It began on {day(mandate.start_date)}: it ends later than that.")
    mandate.end_date = on
    mandate.save(update_fields=["end_date"])
    record("Mandate ended", mandate.customer, reference=mandate.reference, on=on.isoformat())


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
