"""A customer's balance at the end of any day: the sum of its dated ledger entries, plus is owed to us."""

from datetime import date
from decimal import Decimal

from django.db.models import Sum

from billing.models import LedgerEntry


def balances(as_of: date, *, customer_id: int | None = None) -> dict[tuple[int, str], Decimal]:
    """Return the balance at the end of a day by customer id and currency; settled ones are left out."""
    entries = LedgerEntry.objects.filter(date__lte=as_of)
    if customer_id is not None:
        entries = entries.filter(customer_id=customer_id)
    summed = entries.values_list("customer_id", "currency").annotate(Sum("amount")).order_by()
    return {(customer, currency): amount for customer, currency, amount in summed if amount}
