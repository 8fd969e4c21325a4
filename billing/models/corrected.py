"""Corrections of issued bills after calls were priced again: their charges name the invoice in their source key.

Beside them, what credit notes took back of the usage of a bill.
"""

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Q, Sum

from billing.models.invoicing import Charge, ChargeKind, CreditNoteLine

PREFIX = "rerate:"


def correction_key(invoice_id: int, turn: int | str) -> str:
    """Return the source key of an invoice's correction, the first, the second, …; with no turn what all begin with."""
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


def corrections_of(invoice_id: int) -> tuple[Decimal, Decimal]:
    """Return what an invoice's corrections come to: those that wait for a bill, and those on one."""
    charges = Charge.objects.filter(source_key__startswith=correction_key(invoice_id, ""))
    sums = charges.aggregate(
        waiting=Sum("amount", filter=Q(invoice_line=None)), billed=Sum("amount", filter=~Q(invoice_line=None))
    )
    return sums["waiting"] or Decimal(0), sums["billed"] or Decimal(0)


def drop_waiting_corrections(invoice_id: int) -> int:
    """Remove the corrections of an invoice that wait for a bill; return how many. The caller holds the money."""
    waiting = Charge.objects.filter(
        source_key__startswith=correction_key(invoice_id, ""), invoice_line__isnull=True
    )
    return waiting.delete()[0]


def credited_usage(invoice_ids: Iterable[int]) -> dict[int, Decimal]:
    """Return by invoice what credit notes took back of its usage lines, before VAT."""
    lines = CreditNoteLine.objects.filter(
        invoice_line__invoice__in=list(invoice_ids), invoice_line__kind=ChargeKind.USAGE
    )
    sums = lines.order_by().values("invoice_line__invoice").annotate(sum=Sum("net"))
    return dict(sums.values_list("invoice_line__invoice", "sum"))
