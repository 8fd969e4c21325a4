"""Records money received, collections that failed, and reversals.

Each payment moves the ledger at its own day and settles first the invoice it names, then the oldest due.
A reversed payment settles its invoice from the day it came to the day it was taken back.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import F, OuterRef, Subquery

from billing.models import Allocation, Invoice, LedgerEntry, Payment, PaymentAttempt
from billing.models.locks import hold_money
from billing.receivables.allocate import allocate_oldest_first
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller

ZERO = Decimal(0)
BATCH = 2000


class PaymentRefused(ValueError):
    """A payment that cannot be recorded or reversed, with the reason for the user."""


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One payment to record, or with the outcome failed or cancelled and no reversal an attempt that brought none.

    `presentation` (1, 2, ...) and `outcome` make a PaymentAttempt of the named invoice; an outcome left empty
    is "failed" when the payment was reversed, else "paid".
    """

    customer_id: int
    received_date: date
    amount: Decimal
    currency: str
    method: str
    reference: str = ""
    invoice_number: str | None = None
    is_refill: bool = False
    reversed_date: date | None = None
    reversal_code: str = ""
    presentation: int | None = None
    outcome: str = ""

    @property
    def brought_money(self) -> bool:
        """Say whether the row is money received, even if it was taken back later."""
        outcomes = PaymentAttempt.Outcome
        return self.reversed_date is not None or self.outcome in ("", outcomes.PAID)

    @property
    def key(self) -> tuple[int, str, date, Decimal]:
        """What makes a payment with a reference the same payment again."""
        return (self.customer_id, self.reference, self.received_date, self.amount)


@dataclass(slots=True)
class Recorded:
    """How many rows were recorded, were there already (of these reversed now), how many allocations were made,
    and the invoice numbers named that the customer does not have.
    """

    payments: int = 0
    attempts: int = 0
    skipped: int = 0
    reversed: int = 0
    allocations: int = 0
    unknown_invoices: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Named:
    """An invoice named by payments: what it can still take from when on."""

    id: int
    customer_id: int
    currency: str
    invoice_date: date
    gross: Decimal
    open: Decimal
    free_from: date


def record_payments(reseller: Reseller, rows: Sequence[PaymentRow]) -> Recorded:
    """Record payments and attempts in bulk, post them, settle invoices; rows with a reference count once."""
    hold_money(reseller.pk)
    for row in rows:
        _check(row)
    done = Recorded()
    reversed_now = _reverse_known(rows)
    fresh = list(_not_yet_there(rows, done))
    invoices = _named_invoices({row.invoice_number for row in fresh if row.invoice_number})
    done.unknown_invoices = sorted(
        {row.invoice_number for row in fresh if row.invoice_number and not _invoice_of(row, invoices)}
    )
    received = [(row, _payment(reseller, row)) for row in fresh if row.brought_money]
    Payment.objects.bulk_create([payment for _, payment in received], batch_size=BATCH)
    entries = [entry for _, payment in received for entry in ledger_entries(payment)]
    LedgerEntry.objects.bulk_create(entries, batch_size=BATCH)
    done.payments = len(received)
    done.attempts = _record_attempts(reseller, fresh, received, invoices)
    done.allocations = _settle_named(reseller, received, invoices)
    done.reversed = len(reversed_now)
    payers = sorted({p.customer_id for p in [*reversed_now, *(payment for _, payment in received)]})
    done.allocations += allocate_oldest_first(reseller, customer_ids=payers)
    return done


def reverse_payment(reseller: Reseller, payment_id: int, *, date: date, code: str = "") -> Payment:
    """Take a payment back at a day: what it settled is open again from then, other credit may settle it."""
    hold_money(reseller.pk)
    payment = Payment.objects.select_for_update().get(pk=payment_id)
    if payment.reversed_date:
        raise PaymentRefused("This payment has been reversed already.")
    if date < payment.received_date:
        raise PaymentRefused("A payment cannot be reversed before the day it was received.")
    payment.reversed_date, payment.reversal_code = date, code.strip().upper()
    _take_back([payment])
    allocate_oldest_first(reseller, customer_ids=[payment.customer_id])
    record("payment.reversed", payment, date=date, code=payment.reversal_code)
    return payment


def _take_back(payments: Sequence[Payment]) -> None:
    """Write reversals: what the payments settled is open again from then, and the ledger says so."""
    Payment.objects.bulk_update(payments, ["reversed_date", "reversal_code"], batch_size=BATCH)
    mine = Payment.objects.filter(pk=OuterRef("payment_id"))
    active = Allocation.objects.filter(payment__in=[p.pk for p in payments], ended_date__isnull=True)
    active.filter(date__gt=F("payment__reversed_date")).delete()
    active.update(ended_date=Subquery(mine.values("reversed_date")[:1]))
    PaymentAttempt.objects.filter(payment__in=[p.pk for p in payments]).update(
        outcome=PaymentAttempt.Outcome.FAILED,
        outcome_date=Subquery(mine.values("reversed_date")[:1]),
        reason_code=Subquery(mine.values("reversal_code")[:1]),
    )
    entries = [entry for payment in payments for entry in ledger_entries(payment)]
    LedgerEntry.objects.bulk_create(
        [entry for entry in entries if entry.kind == LedgerEntry.Kind.REVERSAL], batch_size=BATCH
    )


def _reverse_known(rows: Sequence[PaymentRow]) -> list[Payment]:
    """Reverse payments that are in the book already and of which the rows now say that they came back."""
    wanted = {row.key: row for row in rows if row.reference and row.reversed_date}
    if not wanted:
        return []
    standing = Payment.objects.select_for_update().filter(
        reference__in={row.reference for row in wanted.values()}, reversed_date__isnull=True
    )
    found = [p for p in standing if (p.customer_id, p.reference, p.received_date, p.amount) in wanted]
    for payment in found:
        row = wanted[payment.customer_id, payment.reference, payment.received_date, payment.amount]
        payment.reversed_date, payment.reversal_code = row.reversed_date, row.reversal_code.strip().upper()
    if found:
        _take_back(found)
    return found


def ledger_entries(payment: Payment) -> Iterator[LedgerEntry]:
    """Yield what a payment posts: minus its amount on its day and, if reversed, plus it on that day."""
    kinds = LedgerEntry.Kind
    came = kinds.REFILL if payment.is_refill else kinds.PAYMENT
    moves = [(came, payment.received_date, -payment.amount)]
    if payment.reversed_date:
        moves.append((kinds.REVERSAL, payment.reversed_date, payment.amount))
    for kind, day, amount in moves:
        yield LedgerEntry(
            reseller_id=payment.reseller_id,
            customer_id=payment.customer_id,
            date=day,
            kind=kind,
            amount=amount,
            currency=payment.currency,
            source_key=f"{'reversal' if kind == kinds.REVERSAL else 'payment'}:{payment.pk}",
            payment=payment,
        )


def _check(row: PaymentRow) -> None:
    if row.amount <= 0:
        raise PaymentRefused(f"A payment of {row.amount} is not more than zero.")
    if row.reversed_date and row.reversed_date < row.received_date:
        raise PaymentRefused("A payment cannot be reversed before the day it was received.")


def _not_yet_there(rows: Sequence[PaymentRow], done: Recorded) -> Iterator[PaymentRow]:
    """Yield the rows that are neither recorded already nor repeated among the rows."""
    references = {row.reference for row in rows if row.reference}
    fields = ("customer_id", "reference", "received_date", "amount")
    seen = set(Payment.objects.filter(reference__in=references).values_list(*fields)) if references else set()
    for row in rows:
        if row.reference and row.brought_money:
            if row.key in seen:
                done.skipped += 1
                continue
            seen.add(row.key)
        yield row


def _payment(reseller: Reseller, row: PaymentRow) -> Payment:
    return Payment(
        reseller=reseller,
        customer_id=row.customer_id,
        method=row.method,
        received_date=row.received_date,
        amount=row.amount,
        currency=row.currency,
        reference=row.reference,
        is_refill=row.is_refill,
        reversed_date=row.reversed_date,
        reversal_code=row.reversal_code,
    )


def _named_invoices(numbers: Collection[str]) -> dict[str, _Named]:
    """Return the issued invoices of these numbers with what they can still take."""
    issued = Invoice.objects.exclude(state=Invoice.State.DRAFT).filter(number__in=numbers)
    fields = ("id", "customer_id", "currency", "invoice_date", "gross", "gross", "invoice_date")
    found = {row[0]: _Named(*row[1:]) for row in issued.values_list("number", *fields)}
    by_id = {named.id: named for named in found.values()}
    held = Allocation.objects.filter(invoice_id__in=by_id)
    for invoice_id, amount, ended in held.values_list("invoice_id", "amount", "ended_date"):
        named = by_id[invoice_id]
        if ended is None:
            named.open -= amount
        else:
            named.free_from = max(named.free_from, ended)
    return found


def _invoice_of(row: PaymentRow, invoices: dict[str, _Named]) -> _Named | None:
    named = invoices.get(row.invoice_number or "")
    if named and (named.customer_id, named.currency) == (row.customer_id, row.currency):
        return named
    return None


def _settle_named(
    reseller: Reseller, received: Iterable[tuple[PaymentRow, Payment]], invoices: dict[str, _Named]
) -> int:
    """Settle the invoices that payments name, as they came; reversed ones where the invoice was still free."""
    made: list[Allocation] = []
    named_rows = [(p, n) for row, p in received if (n := _invoice_of(row, invoices))]
    named_rows.sort(key=lambda pair: pair[0].received_date)
    for payment, named in named_rows:
        start = max(payment.received_date, named.free_from)
        if payment.reversed_date is None:
            amount = min(payment.amount, named.open)
            named.open -= max(amount, ZERO)
        else:
            amount = min(payment.amount, named.open) if start < payment.reversed_date else ZERO
            named.free_from = (
                max(named.free_from, payment.reversed_date) if amount > ZERO else named.free_from
            )
        if amount > ZERO:
            made.append(_allocation(reseller, payment, named, start, amount))
    Allocation.objects.bulk_create(made, batch_size=BATCH)
    return len(made)


def _allocation(
    reseller: Reseller, payment: Payment, named: _Named, start: date, amount: Decimal
) -> Allocation:
    return Allocation(
        reseller=reseller,
        invoice_id=named.id,
        payment=payment,
        date=start,
        ended_date=payment.reversed_date,
        amount=amount,
    )


def _record_attempts(
    reseller: Reseller,
    fresh: Iterable[PaymentRow],
    received: Iterable[tuple[PaymentRow, Payment]],
    invoices: dict[str, _Named],
) -> int:
    """Write the presentations that rows tell of; one already known for its invoice is left alone."""
    payments = {id(row): payment for row, payment in received}
    made = []
    for row in fresh:
        if row.presentation is None:
            continue
        named, outcomes = _invoice_of(row, invoices), PaymentAttempt.Outcome
        outcome = row.outcome or (outcomes.FAILED if row.reversed_date else outcomes.PAID)
        made.append(
            PaymentAttempt(
                reseller=reseller,
                customer_id=row.customer_id,
                invoice_id=named.id if named else None,
                payment=payments.get(id(row)),
                method=row.method,
                presentation=row.presentation,
                submitted_date=row.received_date,
                outcome=outcome,
                outcome_date=None if outcome == outcomes.PENDING else row.reversed_date or row.received_date,
                reason_code=row.reversal_code,
                amount=row.amount,
                currency=row.currency,
            )
        )
    PaymentAttempt.objects.bulk_create(made, batch_size=BATCH, ignore_conflicts=True)
    return len(made)
