"""Every reference case of aged debt whose semantics the product has; the rest is listed in
oracle_exemptions_money.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Customer
from billing.receivables.ageing import AgedRow, By, aged_debt, bucket_of, outstanding, unallocated
from billing.receivables.ledger import balances
from billing.receivables.payments import record_payments
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, make_customer, make_house, owe, paid
from tests.billing.oracle_exemptions_money import AGEING
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(not REFERENCE, reason=MISSING)]
CASES = {case["id"]: case for case in load_cases("aged_debt_cases.json")}
TESTED = [case for case in CASES if case not in exempt_ids(AGEING)]
LONG_AGO = "2000-01-01"

#: The product's bucket of each upstream name; several upstream ones may fall into one of ours.
OURS = {
    "current": {"not_due"}, "1-30": {"days_1_30"}, "0-30": {"not_due", "days_1_30"}, "31-60": {"days_31_60"},
    "61-90": {"days_61_90"}, "91-120": {"days_over_90"}, ">90": {"days_over_90"}, "90+": {"days_over_90"},
    "121+": {"days_over_90"}, "older": {"days_over_90"},
}  # fmt: skip
Values = Mapping[str, Any]


@pytest.fixture
def ann() -> Iterator[Customer]:
    house = make_house()
    with enter(Scope.of(house.pk)):
        yield make_customer(house, "ANN")


def num(value: Any) -> Decimal:
    return D(str(value))


def total_of(as_of: date) -> AgedRow:
    rows = aged_debt(as_of, by=By.NOTHING)
    return rows[0] if rows else AgedRow("", "", "GBP")


def items(ann: Customer, given: Values, expected: Values) -> None:
    """Items with due dates and payments, aged on a day."""
    as_of = date.fromisoformat(given["as_of"])
    for n, item in enumerate(given["items"]):
        owe(ann, (f"I{n}", LONG_AGO, item["due"], str(item["amount"])))
        gone = (
            [[given["as_of"], item["amount"]]]
            if item.get("status") == "paid_full"
            else item.get("payments", [])
        )
        for on, amount in gone:
            record_payments(ann.reseller, [paid(ann, on, str(amount), invoice_number=f"I{n}")])
    row = total_of(as_of)
    assert row.outstanding == num(expected["total"])
    for names in {frozenset(OURS[name]) for name in expected if name != "total"}:
        wanted = sum(num(v) for name, v in expected.items() if name != "total" and OURS[name] == names)
        assert sum(getattr(row, name) for name in names) == wanted


def bucket(ann: Customer, given: Values, expected: Values) -> None:
    """The bucket of one age."""
    day = date.fromisoformat(given.get("due", given.get("base")))
    assert bucket_of((date.fromisoformat(given["as_of"]) - day).days).value in OURS[expected["bucket"]]


def age(ann: Customer, given: Values, expected: Values) -> None:
    """Whole days, seen from both sides of a bucket's edge."""
    days = (date.fromisoformat(given["as_of"]) - date.fromisoformat(given["base_date"])).days
    assert days == expected["days"]


def headline(ann: Customer, given: Values, expected: Values) -> None:
    """Only what is issued and unpaid counts."""
    for n, (state, amount, due) in enumerate(given["invoices"]):
        if state in ("sent", "paid"):
            owe(ann, (f"I{n}", LONG_AGO, due or given["as_of"], str(amount)))
        if state == "paid":
            record_payments(ann.reseller, [paid(ann, given["as_of"], str(amount), invoice_number=f"I{n}")])
    row = total_of(date.fromisoformat(given["as_of"]))
    assert (row.outstanding, row.overdue) == (num(expected["outstanding"]), num(expected["overdue"]))


def statement(ann: Customer, given: Values, expected: Values) -> None:
    """Opening plus movements is closing."""
    for n, amount in enumerate([given["opening"], *given["movements"]]):
        owe(ann, (f"I{n}", LONG_AGO, LONG_AGO, amount))
    assert balances(date.max) == {(ann.pk, "GBP"): num(expected["closing"])}


def summed(ann: Customer, given: Values, expected: Values) -> None:
    """Buckets add up."""
    row = AgedRow("", "", "GBP")
    for name, amount in given["buckets"].items():
        setattr(row, next(iter(OURS[name])), num(amount))
    assert row.outstanding == num(expected["total"])


def paid_off(ann: Customer, given: Values, expected: Values) -> None:
    """Debts settled bit by bit: what is open after each."""
    first = date(2026, 1, 1)
    debts = given.get("terms", [given.get("invoice", given.get("amount"))])
    for n, amount in enumerate(debts):
        owe(ann, (f"I{n}", str(first), str(first + timedelta(n)), str(amount)))
    payments = given.get("payment", given.get("paid"))
    after = []
    for n, amount in enumerate(payments if isinstance(payments, list) else [payments]):
        record_payments(ann.reseller, [paid(ann, str(first + timedelta(n)), str(amount))])
        left = {item.number: item.balance for item in outstanding(first + timedelta(n))}
        after.append([left.get(f"I{place}", D(0)) for place in range(len(debts))])
    spare = sum((credit.amount for credit in unallocated(date.max)), D(0))
    if "outstanding" in expected:
        assert after[-1] == [num(v) for v in expected["outstanding"]]
    elif "open" in expected:
        assert after[-1] == [num(expected["open"])]
    elif "open_after" in expected:
        assert [row[0] for row in after] == [num(v) for v in expected["open_after"]]
    else:
        assert [[num(debts[0]), after[-1][0]], [D(0), -spare]] == [
            [num(v) for v in r] for r in expected["rows"]
        ]


def future(ann: Customer, given: Values, expected: Values) -> None:
    """Money of a later day does not count before it."""
    owe(ann, ("I0", "2026-01-01", "2026-01-01", str(given["invoice"])))
    record_payments(
        ann.reseller,
        [
            paid(ann, "2026-01-02", str(given["credit"])),
            paid(ann, "2026-01-03", str(given["future_payment"])),
        ],
    )
    assert [total_of(date(2026, 1, at)).outstanding for at in (2, 3)] == [
        num(expected["outstanding"]),
        num(expected["remaining"]),
    ]


KINDS: list[tuple[str, Callable[[Customer, Values, Values], None]]] = [
    ("items", items), ("base_date", age), ("due", bucket), ("base", bucket), ("invoices", headline),
    ("opening", statement), ("buckets", summed), ("future_payment", future), ("terms", paid_off),
    ("payment", paid_off), ("paid", paid_off),
]  # fmt: skip


@pytest.mark.parametrize("case", TESTED)
def test_the_case_comes_out(ann: Customer, case: str) -> None:
    given = CASES[case]["inputs"]
    next(work for name, work in KINDS if name in given)(ann, given, CASES[case]["expected"])


def test_every_case_is_tested_or_listed_once() -> None:
    assert exempt_ids(AGEING) <= set(CASES)
    assert {case for case, about in CASES.items() if not about["verified"]} <= exempt_ids(AGEING)
