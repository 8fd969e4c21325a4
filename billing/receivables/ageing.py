"""Who owes what at the end of any day, by how long it is due.

As of a day means after that day's entries: invoices dated and money received up to it, reversals up to it.
What an invoice has open is its total less the allocations in force on that day. Unallocated money is never
netted into a customer's invoices; it stands beside them. The buckets add up to outstanding, and outstanding
less unallocated credit is the sum of the ledger.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from billing.models import Customer
from resellerkpi.core.planner import joined_by_hash
from resellerkpi.core.scope import current

ZERO = Decimal(0)


class Basis(StrEnum):
    """The day from which the days of a debt are counted."""

    DUE = "due"
    INVOICE = "invoice"


class By(StrEnum):
    """What aged debt is listed by."""

    CUSTOMER = "customer"
    DEALER = "dealer"
    METHOD = "method"
    NOTHING = "nothing"


class Bucket(StrEnum):
    """How many days past its day a debt is; the upper bound is inside."""

    NOT_DUE = "not_due"
    DAYS_30 = "days_1_30"
    DAYS_60 = "days_31_60"
    DAYS_90 = "days_61_90"
    OLDER = "days_over_90"


BUCKET_LABELS = {
    Bucket.NOT_DUE: "Not due",
    Bucket.DAYS_30: "1-30 days",
    Bucket.DAYS_60: "31-60 days",
    Bucket.DAYS_90: "61-90 days",
    Bucket.OLDER: "Over 90 days",
}


def bucket_of(days: int) -> Bucket:
    """Return the bucket of a debt so many days past its day: due today is not due, yesterday is day 1."""
    for bucket, last in zip(Bucket, (0, 30, 60, 90), strict=False):
        if days <= last:
            return bucket
    return Bucket.OLDER


class OpenItem(NamedTuple):
    """An invoice with something open at the end of a day."""

    invoice_id: int
    number: str
    customer_id: int
    invoice_date: date
    due_date: date
    is_disputed: bool
    currency: str
    gross: Decimal
    balance: Decimal


class Unallocated(NamedTuple):
    """A customer's money at the end of a day that settles no invoice yet."""

    customer_id: int
    currency: str
    amount: Decimal


@dataclass(slots=True)
class AgedRow:
    """One line of aged debt in one currency; `credit` is unallocated money (positive), `count` open invoices."""

    key: str
    label: str
    currency: str
    count: int = 0
    not_due: Decimal = ZERO
    days_1_30: Decimal = ZERO
    days_31_60: Decimal = ZERO
    days_61_90: Decimal = ZERO
    days_over_90: Decimal = ZERO
    disputed: Decimal = ZERO
    credit: Decimal = ZERO

    @property
    def outstanding(self) -> Decimal:
        """The sum of the buckets."""
        return self.not_due + self.overdue

    @property
    def overdue(self) -> Decimal:
        """What is past its day."""
        return self.days_1_30 + self.days_31_60 + self.days_61_90 + self.days_over_90

    @property
    def balance(self) -> Decimal:
        """Outstanding less unallocated credit: the sum of the ledger."""
        return self.outstanding - self.credit


#: Open invoices at the end of the day `day` of the resellers, dealer and customer of the scope.
OUTSTANDING = """
SELECT invoice.id, invoice.number, invoice.customer_id, invoice.invoice_date, invoice.due_date,
    invoice.is_disputed, invoice.currency, invoice.gross, moved.balance
FROM (
    SELECT id, sum(amount) AS balance
    FROM (
        SELECT id, gross AS amount FROM billing_invoice
        WHERE reseller_id = ANY (%(resellers)s) AND state <> 'draft' AND invoice_date <= %(day)s
        UNION ALL
        SELECT invoice_id, -amount FROM billing_allocation
        WHERE reseller_id = ANY (%(resellers)s) AND date <= %(day)s
            AND (ended_date IS NULL OR ended_date > %(day)s)
    ) moves
    GROUP BY id
    HAVING sum(amount) <> 0
) moved
JOIN billing_invoice invoice ON invoice.id = moved.id
JOIN billing_customer customer ON customer.id = invoice.customer_id
WHERE (%(dealer)s::bigint IS NULL OR customer.dealer_id = %(dealer)s)
    AND (%(customer)s::bigint IS NULL OR customer.id = %(customer)s)
"""

#: Payments and credit notes less what of them settles invoices, in the same scope.
UNALLOCATED = """
SELECT moves.customer_id, moves.currency, sum(moves.amount)
FROM (
    SELECT customer_id, currency, amount FROM billing_payment
    WHERE reseller_id = ANY (%(resellers)s) AND received_date <= %(day)s
        AND (reversed_date IS NULL OR reversed_date > %(day)s)
    UNION ALL
    SELECT customer_id, currency, gross FROM billing_creditnote
    WHERE reseller_id = ANY (%(resellers)s) AND date <= %(day)s
    UNION ALL
    SELECT invoice.customer_id, invoice.currency, -allocation.amount
    FROM billing_allocation allocation JOIN billing_invoice invoice ON invoice.id = allocation.invoice_id
    WHERE allocation.reseller_id = ANY (%(resellers)s) AND allocation.date <= %(day)s
        AND (allocation.ended_date IS NULL OR allocation.ended_date > %(day)s)
) moves
JOIN billing_customer customer ON customer.id = moves.customer_id
WHERE (%(dealer)s::bigint IS NULL OR customer.dealer_id = %(dealer)s)
    AND (%(customer)s::bigint IS NULL OR customer.id = %(customer)s)
GROUP BY moves.customer_id, moves.currency
HAVING sum(moves.amount) <> 0
"""


def outstanding(as_of: date) -> list[OpenItem]:
    """Return every open invoice of the scope at the end of a day, by due date."""
    items = [OpenItem(*row) for row in _rows(OUTSTANDING, as_of)]
    return sorted(items, key=lambda item: (item.due_date, item.invoice_id))


def unallocated(as_of: date) -> list[Unallocated]:
    """Return each customer's unallocated money of the scope at the end of a day, by currency."""
    return [Unallocated(*row) for row in _rows(UNALLOCATED, as_of)]


def aged_debt(as_of: date, *, basis: Basis = Basis.DUE, by: By = By.CUSTOMER) -> list[AgedRow]:
    """Return what is owed at the end of a day by age, a line per customer, dealer or method and currency."""
    items, credits = outstanding(as_of), unallocated(as_of)
    people = {item.customer_id for item in items} | {credit.customer_id for credit in credits}
    labels = _labels(people, by)
    rows: dict[tuple[str, str], AgedRow] = {}

    def row_of(customer_id: int, currency: str) -> AgedRow:
        key, label = labels[customer_id]
        return rows.setdefault((key, currency), AgedRow(key, label, currency))

    for item in items:
        row = row_of(item.customer_id, item.currency)
        day = item.due_date if basis == Basis.DUE else item.invoice_date
        bucket = bucket_of((as_of - day).days)
        setattr(row, bucket, getattr(row, bucket) + item.balance)
        row.count += 1
        row.disputed += item.balance if item.is_disputed else ZERO
    for credit in credits:
        row_of(credit.customer_id, credit.currency).credit += credit.amount
    return sorted(rows.values(), key=lambda row: (row.label.casefold(), row.key, row.currency))


def _labels(customer_ids: set[int], by: By) -> dict[int, tuple[str, str]]:
    """Return under which key and label each customer is listed."""
    if by == By.NOTHING:
        return dict.fromkeys(customer_ids, ("", "All customers"))
    fields = {
        By.CUSTOMER: ("pk", "name"),
        By.DEALER: ("dealer_id", "dealer__name"),
        By.METHOD: ("payment_method", "payment_method"),
    }[by]
    methods = dict(Customer.Method.choices)
    found = Customer.objects.filter(pk__in=customer_ids).values_list("pk", *fields)
    return {
        pk: (str(key or ""), str(methods.get(label, label) if by == By.METHOD else label or "No dealer"))
        for pk, key, label in found
    }


def _rows(sql: str, as_of: date) -> list[tuple[Any, ...]]:
    scope = current()
    with joined_by_hash() as cursor:
        cursor.execute(
            sql,
            {
                "day": as_of,
                "resellers": list(scope.reseller_ids),
                "dealer": scope.dealer_id,
                "customer": scope.customer_id,
            },
        )
        return cursor.fetchall()
