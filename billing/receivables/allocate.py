"""Settles open invoices with unallocated money: the oldest due first, any surplus stays as credit.

An allocation starts on the later of the day the money came and the invoice's date, and not before an earlier
allocation of the same invoice or money ended, so that no invoice is ever settled twice on one day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection

from billing.models import Allocation
from billing.models.locks import hold_money
from resellerkpi.core.models import Reseller

ZERO = Decimal(0)


@dataclass(slots=True)
class OpenInvoice:
    """What is still to be settled of an invoice; `free_from` is the first day it can be."""

    id: int
    customer_id: int
    currency: str
    free_from: date
    due_date: date
    balance: Decimal


@dataclass(slots=True)
class Credit:
    """What is still unallocated of a payment or, with `is_note`, of a credit note."""

    id: int
    is_note: bool
    customer_id: int
    currency: str
    free_from: date
    rest: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """An amount of a credit that settles an invoice from a day."""

    invoice_id: int
    credit: Credit
    date: date
    amount: Decimal


def settle(invoices: Iterable[OpenInvoice], credits: Iterable[Credit]) -> Iterator[Share]:
    """Yield which credit settles how much of which invoice: credits as they came, invoices by due date.

    Customers and currencies never mix. The balances and rests given are used up.
    """
    waiting: dict[tuple[int, str], list[OpenInvoice]] = defaultdict(list)
    for invoice in sorted(invoices, key=lambda i: (i.due_date, i.free_from, i.id), reverse=True):
        waiting[invoice.customer_id, invoice.currency].append(invoice)
    for credit in sorted(credits, key=lambda c: (c.free_from, not c.is_note, c.id)):
        queue = waiting.get((credit.customer_id, credit.currency), [])
        while credit.rest > ZERO and queue:
            invoice = queue[-1]
            amount = min(credit.rest, invoice.balance)
            if amount > ZERO:
                yield Share(invoice.id, credit, max(credit.free_from, invoice.free_from), amount)
            credit.rest -= amount
            invoice.balance -= amount
            if invoice.balance <= ZERO:
                queue.pop()


def allocate_oldest_first(
    reseller: Reseller, *, customer_ids: Sequence[int] | None = None, on: date | None = None
) -> int:
    """Settle what can be settled of the customers (None: all) with what came in by a day; return how many."""
    hold_money(reseller.pk)
    credits = unallocated_credits(reseller.pk, customer_ids, on)
    if not credits:
        return 0
    payers = sorted({credit.customer_id for credit in credits})
    return store_shares(reseller, settle(open_invoices_of(reseller.pk, payers, on), credits))


def store_shares(reseller: Reseller, shares: Iterable[Share]) -> int:
    """Write shares as allocations in one go; return how many."""
    rows = [
        Allocation(
            reseller=reseller,
            invoice_id=share.invoice_id,
            payment_id=None if share.credit.is_note else share.credit.id,
            credit_note_id=share.credit.id if share.credit.is_note else None,
            date=share.date,
            amount=share.amount,
        )
        for share in shares
    ]
    Allocation.objects.bulk_create(rows, batch_size=5000)
    return len(rows)


OPEN = """
SELECT invoice.id, invoice.customer_id, invoice.currency,
    greatest(invoice.invoice_date, max(allocation.ended_date)), invoice.due_date,
    invoice.gross - coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
FROM billing_invoice invoice
LEFT JOIN billing_allocation allocation
    ON allocation.invoice_id = invoice.id AND allocation.reseller_id = invoice.reseller_id
WHERE invoice.reseller_id = %s AND invoice.state <> 'draft' AND invoice.customer_id = ANY (%s)
    AND invoice.invoice_date <= %s
GROUP BY invoice.id
HAVING invoice.gross > coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
"""

CREDITS = """
SELECT money.id, false, money.customer_id, money.currency,
    greatest(money.received_date, max(allocation.ended_date)),
    money.amount - coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
FROM billing_payment money
LEFT JOIN billing_allocation allocation
    ON allocation.payment_id = money.id AND allocation.reseller_id = money.reseller_id
WHERE money.reseller_id = %(reseller)s AND money.reversed_date IS NULL AND money.received_date <= %(on)s
    AND (%(customers)s::bigint[] IS NULL OR money.customer_id = ANY (%(customers)s))
GROUP BY money.id
HAVING money.amount > coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
UNION ALL
SELECT money.id, true, money.customer_id, money.currency,
    greatest(money.date, max(allocation.ended_date)),
    money.gross - coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
FROM billing_creditnote money
LEFT JOIN billing_allocation allocation
    ON allocation.credit_note_id = money.id AND allocation.reseller_id = money.reseller_id
WHERE money.reseller_id = %(reseller)s AND money.date <= %(on)s
    AND (%(customers)s::bigint[] IS NULL OR money.customer_id = ANY (%(customers)s))
GROUP BY money.id
HAVING money.gross > coalesce(sum(allocation.amount) FILTER (WHERE allocation.ended_date IS NULL), 0)
"""


def open_invoices_of(reseller_id: int, customer_ids: Sequence[int], on: date | None) -> list[OpenInvoice]:
    """Return the customers' issued invoices dated up to a day (None: any) that are not settled."""
    with connection.cursor() as cursor:
        cursor.execute(OPEN, [reseller_id, list(customer_ids), on or date.max])
        return [OpenInvoice(*row) for row in cursor.fetchall()]


def unallocated_credits(
    reseller_id: int, customer_ids: Sequence[int] | None, on: date | None
) -> list[Credit]:
    """Return payments and credit notes dated up to a day (None: any) with something unallocated."""
    wanted = None if customer_ids is None else list(customer_ids)
    with connection.cursor() as cursor:
        cursor.execute(CREDITS, {"reseller": reseller_id, "customers": wanted, "on": on or date.max})
        return [Credit(*row) for row in cursor.fetchall()]
