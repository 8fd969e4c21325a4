"""Payments, opening invoices, allocation and reversal."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from billing.models import Allocation, Invoice, LedgerEntry, Payment, PaymentAttempt
from billing.receivables.ageing import outstanding, unallocated
from billing.receivables.bacs import decode
from billing.receivables.ledger import balances
from billing.receivables.opening import OpeningRefused
from billing.receivables.payments import PaymentRefused, record_payments, reverse_payment
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house, owe, paid

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


def open_of(as_of: str) -> dict[str, Decimal]:
    return {item.number: item.balance for item in outstanding(day(as_of))}


def spare(as_of: str) -> Decimal:
    return sum((credit.amount for credit in unallocated(day(as_of))), D(0))


def test_the_oldest_due_is_settled_first_and_the_surplus_stays(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-02-20", "50"), ("I2", "2026-01-05", "2026-01-19", "30"))
    record_payments(house, [paid(ann, "2026-01-10", "60")])
    assert open_of("2026-01-10") == {"I1": D("20.00")}
    record_payments(house, [paid(ann, "2026-01-12", "25")])
    assert open_of("2026-01-12") == {}
    assert spare("2026-01-12") == D("5.00")
    assert balances(day("2026-01-12")) == {(ann.pk, "GBP"): D("-5.00")}


def test_a_named_invoice_wins_over_the_oldest(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"), ("I2", "2026-01-05", "2026-01-19", "30"))
    record_payments(
        house, [paid(ann, "2026-01-10", "50"), paid(ann, "2026-01-11", "50", invoice_number="I1")]
    )
    named = Allocation.objects.get(payment__received_date=day("2026-01-11"))
    assert (named.invoice.number, named.amount) == ("I1", D("50.00"))
    assert (open_of("2026-01-11"), spare("2026-01-11")) == ({}, D("20.00"))


def test_a_later_invoice_takes_waiting_credit_from_its_own_date(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    record_payments(house, [paid(ann, "2026-01-02", "80")])
    owe(ann, ("I1", "2026-02-01", "2026-02-15", "50"))
    assert (open_of("2026-01-31"), spare("2026-01-31")) == ({}, D("80.00"))
    assert (open_of("2026-02-01"), spare("2026-02-01")) == ({}, D("30.00"))


def test_currencies_never_mix(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    record_payments(house, [paid(ann, "2026-01-02", "80", currency="EUR")])
    assert open_of("2026-01-02") == {"I1": D("50.00")}
    assert balances(day("2026-01-02")) == {(ann.pk, "GBP"): D("50.00"), (ann.pk, "EUR"): D("-80.00")}


def test_a_reversal_opens_the_invoice_again_at_its_day(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    record_payments(house, [paid(ann, "2026-01-10", "50", invoice_number="I1", presentation=1)])
    reverse_payment(house, Payment.objects.get().pk, date=day("2026-01-14"), code="b")
    assert (open_of("2026-01-13"), open_of("2026-01-14")) == ({}, {"I1": D("50.00")})
    assert balances(day("2026-01-13")) == {}
    assert balances(day("2026-01-14")) == {(ann.pk, "GBP"): D("50.00")}
    attempt = PaymentAttempt.objects.get()
    assert (attempt.outcome, attempt.reason_code, attempt.outcome_date) == ("failed", "B", day("2026-01-14"))
    assert AuditEvent.objects.get().action == "payment.reversed"
    record_payments(house, [paid(ann, "2026-01-12", "50")])
    assert open_of("2026-01-14") == {}, "later money settles it from the day it was open again"
    assert open_of("2026-01-13") == {}


def test_a_reversal_in_a_later_file_takes_back_the_payment_in_the_book(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    row = paid(ann, "2026-01-10", "50", reference="P1", invoice_number="I1", presentation=1)
    record_payments(house, [row])
    later = replace(row, reversed_date=day("2026-01-14"), reversal_code="0")
    for reversed_now in (1, 0):
        done = record_payments(house, [later])
        assert (done.payments, done.skipped, done.reversed) == (0, 1, reversed_now)
        assert (open_of("2026-01-13"), open_of("2026-01-14")) == ({}, {"I1": D("50.00")})
        assert balances(day("2026-01-14")) == {(ann.pk, "GBP"): D("50.00")}
    assert PaymentAttempt.objects.get().outcome == "failed"


def test_a_reversal_is_refused_twice_and_before_the_payment(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    record_payments(house, [paid(ann, "2026-01-10", "50")])
    payment = Payment.objects.get()
    with pytest.raises(PaymentRefused, match="before the day"):
        reverse_payment(house, payment.pk, date=day("2026-01-09"))
    reverse_payment(house, payment.pk, date=day("2026-01-10"))
    with pytest.raises(PaymentRefused, match="already"):
        reverse_payment(house, payment.pk, date=day("2026-01-11"))
    assert LedgerEntry.objects.count() == 2


def test_a_reversed_payment_of_the_past_settles_for_its_days_only(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    bounced = paid(
        ann,
        "2026-01-10",
        "50",
        invoice_number="I1",
        reversed_date=day("2026-01-13"),
        reversal_code="0",
        presentation=1,
    )
    again = paid(ann, "2026-01-24", "50", invoice_number="I1", presentation=2)
    done = record_payments(house, [bounced, again])
    assert (done.payments, done.attempts, done.allocations) == (2, 2, 2)
    days = ("2026-01-09", "2026-01-10", "2026-01-12", "2026-01-13", "2026-01-23", "2026-01-24")
    assert [bool(open_of(at)) for at in days] == [True, False, False, True, True, False]
    outcomes = PaymentAttempt.objects.order_by("presentation").values_list("outcome", flat=True)
    assert list(outcomes) == ["failed", "paid"]


def test_a_failed_attempt_without_money_posts_nothing(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    row = paid(
        ann, "2026-01-10", "50", invoice_number="I1", presentation=1, outcome="failed", reversal_code="0"
    )
    done = record_payments(house, [row])
    assert (done.payments, done.attempts) == (0, 1)
    assert balances(day("2026-01-31")) == {(ann.pk, "GBP"): D("50.00")}


def test_a_payment_with_a_reference_counts_once(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    rows = [paid(ann, "2026-01-10", "50", reference="R1"), paid(ann, "2026-01-10", "50", reference="R1")]
    first, second = record_payments(house, rows), record_payments(house, rows)
    assert (first.payments, first.skipped, second.payments, second.skipped) == (1, 1, 0, 2)
    assert Payment.objects.count() == 1


def test_an_unknown_invoice_number_is_told_and_the_money_goes_to_the_oldest(house: Reseller) -> None:
    ann, bob = make_customer(house, "ANN"), make_customer(house, "BOB")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    owe(bob, ("I2", "2026-01-01", "2026-01-15", "50"))
    done = record_payments(house, [paid(ann, "2026-01-10", "50", invoice_number="I2")])
    assert done.unknown_invoices == ["I2"]
    assert open_of("2026-01-10") == {"I2": D("50.00")}


def test_refills_are_ledger_entries_of_their_own_kind(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    record_payments(house, [paid(ann, "2026-01-10", "20", is_refill=True)])
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.amount, entry.date) == ("refill", D("-20.00"), day("2026-01-10"))


def test_a_payment_of_nothing_is_refused(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    with pytest.raises(PaymentRefused, match="not more than zero"):
        record_payments(house, [paid(ann, "2026-01-10", "0")])


def test_opening_invoices_are_refused_whole(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-15", "50"))
    for bad in (("I1", "2026-01-01", "2026-01-15", "5"), ("I3", "2026-01-01", "2026-01-15", "-5")):
        with pytest.raises(OpeningRefused):
            owe(ann, ("I2", "2026-01-01", "2026-01-15", "5"), bad)
    assert list(Invoice.objects.values_list("number", flat=True)) == ["I1"]
    assert Invoice.objects.get().lines.get().net == D("50.00")


def test_reason_codes_say_what_to_do() -> None:
    assert decode(" b ").meaning == "Account closed"
    assert decode("0", "ADDACS").meaning != decode("0").meaning
    assert decode("?").action
