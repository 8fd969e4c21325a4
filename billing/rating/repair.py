"""Repairs of billing errors in the book: unknown lines become numbers of a customer."""

from collections.abc import Sequence
from datetime import date

from django.db.models import Q

from billing.models import Customer, Number, NumberAssignment
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller

MOST = 1_000
WIDTH = 60


class RepairRefused(ValueError):
    """Raised when a repair cannot be made; nothing was changed."""


def add_numbers_and_assign(
    *, reseller: Reseller, identities: Sequence[str], customer: Customer, start: date
) -> int:
    """Add the lines as numbers where they are not in the book, and give them all to the customer from a day on.

    Returns how many numbers are new. Refuses, with nothing changed, when one belongs to a customer on or after it.
    """
    texts = list(dict.fromkeys(text.strip() for text in identities))
    if not texts or len(texts) > MOST:
        raise RepairRefused(f"Choose between 1 and {MOST:,} lines.")
    if any(not text or len(text) > WIDTH or not text.isprintable() for text in texts):
        raise RepairRefused(f"A line is named by 1 to {WIDTH} signs.")
    taken = (
        NumberAssignment.objects.filter(number__number__in=texts)
        .filter(Q(end_date__isnull=True) | Q(end_date__gt=start))
        .select_related("number", "customer")
        .order_by("number__number")
        .first()
    )
    if taken is not None:
        since = day(max(taken.start_date, start))
        raise RepairRefused(f"{taken.number.number} belongs to {taken.customer.name} on {since} already.")
    known = set(Number.objects.filter(number__in=texts).values_list("number", flat=True))
    fresh = [text for text in texts if text not in known]
    Number.objects.bulk_create(
        [Number(reseller=reseller, number=text, type=number_type(text)) for text in fresh]
    )
    numbers = Number.objects.filter(number__in=texts)
    NumberAssignment.objects.bulk_create(
        [
            NumberAssignment(reseller=reseller, number=number, customer=customer, start_date=start)
            for number in numbers
        ]
    )
    record("usage.numbers_added", customer, numbers=len(texts), new=len(fresh), start=start)
    return len(fresh)


def number_type(text: str) -> str:
    """Return the likely type of a line by its text."""
    if text.startswith("+447"):
        return Number.Type.MOBILE
    if text.startswith(("+44800", "+44808")):
        return Number.Type.FREEPHONE
    if text.startswith(("+443", "+448", "+449")):
        return Number.Type.NON_GEOGRAPHIC
    return Number.Type.GEOGRAPHIC if text.startswith("+") else Number.Type.OTHER
