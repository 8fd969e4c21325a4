"""Takes lists of the book through checking and loading, all or nothing; hands money on to its stage."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.db import transaction

from billing.charging.allocation import allocate_charges
from billing.importing.book import BOOK_KINDS, carrier_charges
from billing.importing.decks.deck import DeckOptions, DeckOutcome, import_deck
from billing.importing.decks.fields import DECK
from billing.importing.refused import FileRefused
from billing.importing.tables.examine import Examined, examine
from billing.importing.tables.kind import Counts, Kind, Load, Row, Work
from billing.importing.tables.mapping import Mapping
from billing.importing.tables.problems import Problem
from billing.models import ChangedDay, Customer, Payment
from billing.models.locks import hold_book
from billing.receivables.opening import OpeningInvoiceRow, OpeningRefused, open_invoices
from billing.receivables.payments import PaymentRefused, PaymentRow, record_payments
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller

SHOWN = 100


@dataclass(frozen=True)
class BookOutcome:
    """How an import ended: rows = loaded + refused; of a refused file nothing is loaded."""

    rows: int
    loaded: int
    refused: int
    repeated: int
    counts: Counts
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON, with the first problems."""
        return {
            "rows": self.rows,
            "loaded": self.loaded,
            "refused": self.refused,
            "new": self.counts.new,
            "changed": self.counts.changed,
            "unchanged": self.counts.unchanged,
            "repeated": self.repeated,
            "error_count": len(self.problems),
            "errors": [problem.as_dict() for problem in self.problems[:SHOWN]],
        }


def import_book(
    kind_slug: str, path: Path, *, reseller: Reseller, mapping: Mapping, today: date, name: str = ""
) -> BookOutcome:
    """Check a file and load it when no line has a problem; must run inside the reseller's scope."""
    kind = BOOK_KINDS.get(kind_slug)
    hold_book(reseller.pk)
    try:
        examined = examine(kind, path, mapping, reseller=reseller, today=today, name=name)
    except FileRefused as refused:
        return BookOutcome(0, 0, 0, 0, Counts(), (Problem(None, "", str(refused)),))
    return load_examined(examined)


def import_any(
    kind_slug: str,
    path: Path,
    *,
    reseller: Reseller,
    mapping: Mapping,
    options: dict[str, Any],
    today: date,
    name: str = "",
) -> BookOutcome | DeckOutcome:
    """Import a list of the book or, as kind "tariff", a rate deck with its options as plain values."""
    if kind_slug == DECK.slug:
        deck = DeckOptions.of(options)
        return import_deck(path, reseller=reseller, mapping=mapping, options=deck, today=today)
    return import_book(kind_slug, path, reseller=reseller, mapping=mapping, today=today, name=name)


def load_examined(examined: Examined) -> BookOutcome:
    """Load an examined file of the book, or say why it is refused."""
    kind, work, rows = examined.kind, examined.work, examined.rows
    problems = tuple(work.problems)
    if problems:
        return BookOutcome(len(rows), 0, len(rows), examined.repeated, Counts(), problems)
    try:
        with transaction.atomic():
            counts = loader(kind)(rows, work)
    except (FileRefused, OpeningRefused, PaymentRefused) as refused:
        problem = Problem(None, "", str(refused))
        return BookOutcome(len(rows), 0, len(rows), examined.repeated, Counts(), (problem,))
    _mark_days(kind, rows, work)
    record("book.imported", kind.title, rows=len(rows), new=counts.new, changed=counts.changed)
    return BookOutcome(len(rows), len(rows), 0, examined.repeated, counts, ())


def loader(kind: Kind) -> Load:
    """Return what loads a kind: its own function, or one of the receivables stage."""
    return kind.load or LOADERS[kind.slug]


def _mark_days(kind: Kind, rows: list[Row], work: Work) -> None:
    """Tell the KPIs which days to look at again: those of the dated fields, and today."""
    if not kind.days:
        return
    days = {row[name] for row in rows for name in kind.days if row[name] is not None} | {work.today}
    ChangedDay.objects.bulk_create(
        [ChangedDay(reseller=work.reseller, day=day) for day in sorted(days)],
        batch_size=2000,
        update_conflicts=True,
        unique_fields=["reseller", "day"],
        update_fields=["changed_at"],
    )


def load_payments(rows: list[Row], work: Work) -> Counts:
    """Record payments; a file loaded again adds nothing, with or without references."""
    customers = {
        pk: (currency, method)
        for pk, currency, method in Customer.objects.filter(
            pk__in={row["customer_id"] for row in rows}
        ).values_list("pk", "currency", "payment_method")
    }
    payments = [_payment(row, *customers[row["customer_id"]]) for row in rows]
    fresh = _without_known(payments)
    done = record_payments(work.reseller, fresh)
    made = len(fresh) - done.skipped
    return Counts(new=made, unchanged=len(rows) - made)


def _payment(row: Row, currency: str, method: str) -> PaymentRow:
    return PaymentRow(
        customer_id=row["customer_id"],
        received_date=row["date"],
        amount=row["amount"],
        currency=row["currency"] or currency,
        method=row["method"] or method,
        reference=row["reference"] or "",
        invoice_number=row["invoice"],
        is_refill=bool(row["is_refill"]),
        reversed_date=row["reversed_date"],
        reversal_code=row["reversal_code"] or "",
        presentation=row["presentation"],
        outcome=row["outcome"] or "",
    )


def _without_known(payments: list[PaymentRow]) -> list[PaymentRow]:
    """Leave out payments without a reference as often as the book holds one of that customer, day and amount."""
    unnamed = [p for p in payments if not p.reference and p.brought_money]
    held = Counter(
        Payment.objects.filter(
            reference="",
            customer_id__in={p.customer_id for p in unnamed},
            received_date__in={p.received_date for p in unnamed},
        ).values_list("customer_id", "received_date", "amount", "currency")
    )
    fresh = []
    for payment in payments:
        key = (payment.customer_id, payment.received_date, payment.amount, payment.currency)
        if not payment.reference and payment.brought_money and held[key] > 0:
            held[key] -= 1
        else:
            fresh.append(payment)
    return fresh


def load_opening_invoices(rows: list[Row], work: Work) -> Counts:
    """Take opening invoices over; those that are there already stay as they are."""
    fresh = [
        OpeningInvoiceRow(
            customer_id=row["customer_id"],
            number=row["number"],
            invoice_date=row["date"],
            due_date=row["due_date"],
            gross=row["amount"],
            net=row["net"],
            vat=row["vat"],
            currency=row["currency"],
            is_disputed=bool(row["disputed"]),
        )
        for row in rows
        if not row["is_known"]
    ]
    open_invoices(work.reseller, fresh)
    return Counts(new=len(fresh), unchanged=len(rows) - len(fresh))


def load_carrier_charges(rows: list[Row], work: Work) -> Counts:
    """Store carriers' bills and allocate what their references say."""
    counts = carrier_charges.store(rows, work)
    if counts.new:
        allocate_charges(work.reseller)
    return counts


LOADERS: dict[str, Load] = {
    "carrier-charges": load_carrier_charges,
    "payments": load_payments,
    "opening-invoices": load_opening_invoices,
}
