"""Corrections of issued bills after calls were priced again: their charges name the invoice in their source key."""

from collections.abc import Iterable
from decimal import Decimal

from billing.models.invoicing import Charge

PREFIX = "rerate:"


def correction_key(invoice_id: int, turn: int) -> str:
    """Return the source key of an invoice's correction, the first, the second, …"""
    return f"{PREFIX}{invoice_id}:{turn}"


def corrected_before(invoice_ids: Iterable[int]) -> dict[int, Decimal]:
    """Return by invoice what its corrections so far come to."""
    wanted = set(invoice_ids)
    found: dict[int, Decimal] = {}
    charges = Charge.objects.filter(source_key__startswith=PREFIX)
    for key, amount in charges.values_list("source_key", "amount"):
        invoice = int(key.split(":")[1])
        if invoice in wanted:
            found[invoice] = found.get(invoice, Decimal(0)) + amount
    return found
