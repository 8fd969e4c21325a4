"""Numbers of documents without gaps: taken under a row lock that is held until the documents are committed."""

from enum import StrEnum

from django.db import connection

from billing.models import NumberSequence
from resellerkpi.core.models import Reseller

DIGITS = 6


class Document(StrEnum):
    """Kinds of documents that are numbered."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class NumberRefused(ValueError):
    """A number that cannot be given, with the reason for the user."""


def take(reseller: Reseller, kind: Document, count: int) -> int:
    """Take the next `count` numbers of a kind and return the first; other takers wait for the commit."""
    sequence = _locked(reseller, kind)
    first = sequence.next
    sequence.next = first + count
    sequence.save(update_fields=["next"])
    return first


def give_back(reseller: Reseller, kind: Document, first: int, count: int) -> None:
    """Give numbers back that were the last ones taken; refuses when later ones are in use."""
    sequence = _locked(reseller, kind)
    if sequence.next != first + count:
        raise NumberRefused("Later numbers are in use, so these cannot be taken back.")
    sequence.next = first
    sequence.save(update_fields=["next"])


def start_at(reseller: Reseller, kind: Document, number: int) -> None:
    """Let the numbers of a kind go on from a higher one, as when moving in from another system."""
    sequence = _locked(reseller, kind)
    if number < sequence.next:
        raise NumberRefused(f"The next number is {sequence.next} already.")
    sequence.next = number
    sequence.save(update_fields=["next"])


def prefix(reseller: Reseller, kind: Document) -> str:
    """Return what stands before the digits."""
    return reseller.invoice_prefix if kind == Document.INVOICE else "CN-"


def shown(reseller: Reseller, kind: Document, number: int) -> str:
    """Return a number as documents carry it, such as INV-000123."""
    return f"{prefix(reseller, kind)}{number:0{DIGITS}d}"


def _locked(reseller: Reseller, kind: Document) -> NumberSequence:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_numbersequence (reseller_id, kind, next) VALUES (%s, %s, 1) ON CONFLICT DO NOTHING",
            [reseller.pk, kind.value],
        )
    return NumberSequence.objects.select_for_update().get(kind=kind.value)
