"""Outstanding and aged debt as of any day, and the identities that tie them to the ledger."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Customer, Dealer, Payment
from billing.receivables.ageing import AgedRow, Basis, By, aged_debt, bucket_of, outstanding, unallocated
from billing.receivables.ledger import balances
from billing.receivables.opening import OpeningInvoiceRow, open_invoices
from billing.receivables.payments import PaymentRow, record_payments, reverse_payment
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house, owe, paid

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


def buckets(row: AgedRow) -> list[Decimal]:
    return [row.not_due, row.days_1_30, row.days_31_60, row.days_61_90, row.days_over_90]


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-5, "not_due"), (0, "not_due"), (1, "days_1_30"), (30, "days_1_30"), (31, "days_31_60"),
        (60, "days_31_60"), (61, "days_61_90"), (90, "days_61_90"), (91, "days_over_90"),
    ],
)  # fmt: skip
def test_the_upper_bound_of_a_bucket_is_inside(days: int, bucket: str) -> None:
    assert bucket_of(days).value == bucket


def test_debt_is_aged_by_due_or_by_invoice_date(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-31", "10"), ("I2", "2026-02-20", "2026-03-22", "1"))
    assert [buckets(row) for row in aged_debt(day("2026-03-02"))] == [[D(1), D(10), D(0), D(0), D(0)]]
    by_invoice = aged_debt(day("2026-03-02"), basis=Basis.INVOICE)
    assert [buckets(row) for row in by_invoice] == [[D(0), D(1), D(10), D(0), D(0)]]


def test_debt_is_listed_by_customer_dealer_or_method_and_currency(house: Reseller) -> None:
    dealer = Dealer.objects.create(reseller=house, code="D1", name="Dora")
    ann = make_customer(house, "ANN", name="Ann", dealer=dealer, payment_method="card")
    bob = make_customer(house, "BOB", name="Bob", payment_method="card")
    owe(ann, ("I1", "2026-01-01", "2026-01-31", "10"))
    owe(ann, ("I2", "2026-01-01", "2026-01-31", "7"), currency="EUR")
    owe(bob, ("I3", "2026-01-01", "2026-01-31", "5"))
    record_payments(house, [paid(bob, "2026-01-10", "6")])

    def listed(by: By) -> list[tuple[str, str, Decimal, Decimal]]:
        rows = aged_debt(day("2026-01-15"), by=by)
        return [(row.label, row.currency, row.outstanding, row.credit) for row in rows]

    assert listed(By.CUSTOMER) == [
        ("Ann", "EUR", D(7), D(0)),
        ("Ann", "GBP", D(10), D(0)),
        ("Bob", "GBP", D(0), D(1)),
    ]
    assert listed(By.DEALER) == [
        ("Dora", "EUR", D(7), D(0)),
        ("Dora", "GBP", D(10), D(0)),
        ("No dealer", "GBP", D(0), D(1)),
    ]
    assert listed(By.METHOD) == [("Card", "EUR", D(7), D(0)), ("Card", "GBP", D(10), D(1))]
    assert listed(By.NOTHING) == [("All customers", "EUR", D(7), D(0)), ("All customers", "GBP", D(10), D(1))]
    with enter(Scope.of(house.pk, role=Role.DEALER, dealer_id=dealer.pk)):
        assert [row[0] for row in listed(By.CUSTOMER)] == ["Ann", "Ann"]
    with enter(Scope.of(make_house("beta").pk)):
        assert listed(By.CUSTOMER) == []


def test_the_past_looks_as_it_did(house: Reseller) -> None:
    ann = make_customer(house, "ANN")
    owe(ann, ("I1", "2026-01-01", "2026-01-31", "10"))
    record_payments(house, [paid(ann, "2026-01-10", "4"), paid(ann, "2026-01-20", "6")])
    days = ("2025-12-31", "2026-01-01", "2026-01-10", "2026-01-19", "2026-01-20")
    assert [sum(item.balance for item in outstanding(day(at))) for at in days] == [0, 10, 6, 6, 0]


day_numbers = st.integers(0, 120)
pounds = st.integers(1, 300).map(lambda pence: D(pence) / 4)


def maybe(most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, most)


worlds = st.tuples(
    st.lists(st.tuples(st.integers(0, 2), day_numbers, st.integers(0, 40), pounds), max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 2),
            day_numbers,
            pounds,
            st.none() | st.integers(0, 30),
            st.none() | st.integers(0, 11),
        ),
        max_size=14,
    ),
    st.lists(st.tuples(st.integers(0, 13), st.integers(0, 30)), max_size=3),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds)
def test_buckets_outstanding_credit_and_ledger_always_agree(house: Reseller, world: tuple) -> None:  # type: ignore[type-arg]
    invoices, payments, reversals = world
    start = date(2026, 1, 1)
    inner = make_house(f"h{Reseller.objects.count()}")
    with enter(Scope.of(inner.pk)):
        people = [make_customer(inner, f"C{n}") for n in range(3)]
        half = len(payments) // 2
        rows = [
            PaymentRow(
                people[who].pk, start + timedelta(at), amount, "GBP", Customer.Method.TRANSFER,
                invoice_number=None if named is None else f"I{named}",
                reversed_date=None if back is None else start + timedelta(at + back),
            )
            for who, at, amount, back, named in payments
        ]  # fmt: skip
        record_payments(inner, rows[:half])
        opening = [
            OpeningInvoiceRow(
                people[who].pk,
                f"I{n}",
                start + timedelta(at),
                start + timedelta(at + terms),
                amount,
                amount,
                D(0),
                "GBP",
            )
            for n, (who, at, terms, amount) in enumerate(invoices)
        ]
        open_invoices(inner, opening)
        record_payments(inner, rows[half:])
        living = list(Payment.objects.filter(reversed_date__isnull=True).order_by("pk"))
        for which, later in dict(reversals).items():
            if which < len(living):
                reverse_payment(inner, living[which].pk, date=living[which].received_date + timedelta(later))
        for at in range(0, 190, 11):
            as_of = start + timedelta(at)
            check_identities(as_of)


def check_identities(as_of: date) -> None:
    """Balances of invoices and credits are sound, and everything adds up, by each way of listing."""
    items, credits = outstanding(as_of), unallocated(as_of)
    assert all(0 < item.balance <= item.gross for item in items)
    assert all(credit.amount > 0 for credit in credits)
    open_sum = sum((item.balance for item in items), D(0))
    credit_sum = sum((credit.amount for credit in credits), D(0))
    assert open_sum - credit_sum == sum(balances(as_of).values(), D(0))
    for by in By:
        for basis in Basis:
            rows = aged_debt(as_of, by=by, basis=basis)
            assert sum((sum(buckets(row)) for row in rows), D(0)) == open_sum
            assert sum((row.balance for row in rows), D(0)) == open_sum - credit_sum


def ibm_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_the_ibm_ledger_stands_as_its_own_dates_say(house: Reseller, reference: Path) -> None:
    rows = ibm_rows(reference / "data" / "ar" / "ibm_accounts_receivable_2466.csv")

    def when(text: str) -> date:
        return datetime.strptime(text, "%m/%d/%Y").date()  # noqa: DTZ007  a plain day of the file

    names = sorted({row["customerID"] for row in rows})
    Customer.objects.bulk_create(Customer(reseller=house, code=name, name=name) for name in names)
    ids = dict(Customer.objects.values_list("code", "pk"))
    open_invoices(
        house,
        [
            OpeningInvoiceRow(
                ids[row["customerID"]], row["invoiceNumber"], when(row["InvoiceDate"]), when(row["DueDate"]),
                D(row["InvoiceAmount"]), D(row["InvoiceAmount"]), D(0), "GBP", row["Disputed"] == "Yes",
            )
            for row in rows
        ],
    )  # fmt: skip
    done = record_payments(
        house,
        [
            PaymentRow(
                ids[row["customerID"]], when(row["SettledDate"]), D(row["InvoiceAmount"]), "GBP", "transfer",
                reference=row["invoiceNumber"], invoice_number=row["invoiceNumber"],
            )
            for row in rows
        ],
    )  # fmt: skip
    assert (done.payments, done.allocations, done.unknown_invoices) == (2466, 2466, [])
    as_of = day("2013-06-30")
    items = outstanding(as_of)
    assert (len(items), sum(item.balance for item in items)) == (84, D("5119.85"))
    (total,) = aged_debt(as_of, by=By.NOTHING)
    assert buckets(total) == [D("4284.29"), D("835.56"), D(0), D(0), D(0)]
    late = [item for item in items if item.due_date < as_of]
    assert len(late) == 12
    check_identities(as_of)
    assert outstanding(day("2014-06-30")) == []
    naive = sum(
        D(row["InvoiceAmount"])
        for row in rows
        if when(row["InvoiceDate"]) <= as_of < when(row["SettledDate"])
    )
    assert naive == total.outstanding
