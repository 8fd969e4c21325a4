"""Every reference case of allocation whose semantics the product has; the rest is listed in
oracle_exemptions_money.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Customer, Payment
from billing.receivables.ageing import outstanding
from billing.receivables.allocate import unallocated_credits
from billing.receivables.ledger import balances
from billing.receivables.payments import record_payments, reverse_payment
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, make_customer, make_house, owe, paid
from tests.billing.oracle_exemptions_money import ALLOCATION
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(not REFERENCE, reason=MISSING)]
CASES = {case["id"]: case for case in load_cases("payment_allocation_cases.json")}
TESTED = [case for case in CASES if case not in exempt_ids(ALLOCATION)]
START = date(2026, 1, 1)


@pytest.fixture
def ann() -> Iterator[Customer]:
    house = make_house()
    with enter(Scope.of(house.pk)):
        yield make_customer(house, "ANN")


def play(customer: Customer, events: list[list[Any]]) -> None:
    """Let each event happen on a day of its own; a credit may name the last debit."""
    number = 0
    for step, (what, amount, *rest) in enumerate(events):
        on = str(START + timedelta(step))
        if what == "debit":
            number += 1
            owe(customer, (f"I{number}", on, on, str(amount)))
        elif what == "credit":
            named = f"I{number}" if rest else None
            record_payments(customer.reseller, [paid(customer, on, str(amount), invoice_number=named)])
        elif what == "cancel":
            payment = Payment.objects.order_by("pk")[int(amount)]
            reverse_payment(customer.reseller, payment.pk, date=date.fromisoformat(on))


def open_by_number(count: int) -> list[Decimal]:
    left = {item.number: item.balance for item in outstanding(date.max)}
    return [left.get(f"I{n}", D(0)) for n in range(1, count + 1)]


def rests(customer: Customer) -> dict[int, Decimal]:
    return {
        credit.id: credit.rest for credit in unallocated_credits(customer.reseller_id, [customer.pk], None)
    }


@pytest.mark.parametrize("case", [c for c in TESTED if isinstance(CASES[c]["events"], list)])
def test_debits_and_credits_as_they_come(ann: Customer, case: str) -> None:
    events, expected = CASES[case]["events"], CASES[case]["expected"]
    play(ann, events)
    if "open_debits" in expected:
        wanted = [D(str(v)) for v in expected["open_debits"]]
        assert open_by_number(len(wanted)) == wanted
    if "unallocated" in expected:
        found = rests(ann)
        payments = Payment.objects.order_by("pk").values_list("pk", flat=True)
        assert [found.get(pk, D(0)) for pk in payments] == [D(str(v)) for v in expected["unallocated"]]
    if "balance" in expected:
        assert balances(date.max).get((ann.pk, "GBP"), D(0)) == D(str(expected["balance"]))


@pytest.mark.parametrize("case", [c for c in TESTED if not isinstance(CASES[c]["events"], list)])
def test_one_payment_over_several_invoices(ann: Customer, case: str) -> None:
    events, expected = CASES[case]["events"], CASES[case]["expected"]
    for n, invoice in enumerate(events["invoices"], 1):
        total, before = (
            (invoice["total"], invoice["already_paid"]) if isinstance(invoice, dict) else (invoice, 0)
        )
        on = str(START + timedelta(n))
        owe(ann, (f"I{n}", on, on, str(total)))
        if before:
            record_payments(ann.reseller, [paid(ann, on, str(before), invoice_number=f"I{n}")])
    count = len(events["invoices"])
    owed = open_by_number(count)
    record_payments(ann.reseller, [paid(ann, "2026-03-01", str(events["payment"]))])
    applied = [was - now for was, now in zip(owed, open_by_number(count), strict=True)]
    assert applied == [D(str(v)) for v in expected["applied"]]
    assert sum(rests(ann).values(), D(0)) == D(str(expected["unapplied"]))


def test_every_case_is_tested_or_listed_once() -> None:
    assert exempt_ids(ALLOCATION) <= set(CASES)
    assert {case for case, about in CASES.items() if not about["verified"]} <= exempt_ids(ALLOCATION)
