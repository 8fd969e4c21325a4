"""Numbers without gaps, VAT and credit notes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from billing.billrun.runs import RunRefused, check_run, prepare_run
from billing.bills import bill, confirm, credit, produce
from billing.charging.adjust import add_charge
from billing.invoicing.credit import CreditRefused
from billing.invoicing.issue import IssueRefused
from billing.invoicing.numbering import Document, NumberRefused, give_back, shown, start_at, take
from billing.invoicing.tax import VatPoint, vat_per_rate
from billing.models import BillingRun, ChargeKind, CreditNote, Customer, Invoice, LedgerEntry
from billing.receivables.ageing import outstanding, unallocated
from billing.receivables.ledger import balances
from billing.receivables.payments import record_payments
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, day, make_customer, make_house, owe, paid, rate_batch

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
LATER = day("2026-02-10")


@pytest.fixture
def house(db: None) -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN", vat_rate=D("17.5"))


def billed(customer: Customer, *amounts: str, month: str = "2026-01") -> Invoice:
    """Bill a customer some charges (a minus makes a credit)."""
    for amount in amounts:
        kind = ChargeKind.CREDIT if amount.startswith("-") else ChargeKind.ONE_OFF
        on = day(f"{month}-20")
        add_charge(customer, description=f"Work {amount}", amount=abs(D(amount)), on=on, kind=kind)
    house = customer.reseller
    run = bill(house, parse_month(month, house.zone), until="confirmed", now=NOW, scope=Scope.of(house.pk))
    return run.invoices.get(customer=customer)


def test_numbers_go_on_and_back_without_gaps(house: Reseller) -> None:
    assert [take(house, Document.INVOICE, n) for n in (1, 3, 2)] == [1, 2, 5]
    give_back(house, Document.INVOICE, 5, 2)
    assert take(house, Document.INVOICE, 1) == 5
    with pytest.raises(NumberRefused):
        give_back(house, Document.INVOICE, 1, 1)
    assert take(house, Document.CREDIT_NOTE, 1) == 1
    start_at(house, Document.CREDIT_NOTE, 1_000_000)
    with pytest.raises(NumberRefused, match="1000000"):
        start_at(house, Document.CREDIT_NOTE, 5)
    assert shown(house, Document.CREDIT_NOTE, take(house, Document.CREDIT_NOTE, 1)) == "CN-1000000"


def test_a_number_that_an_opening_invoice_carries_is_refused(house: Reseller, ann: Customer) -> None:
    owe(ann, ("INV-000001", "2025-12-01", "2025-12-15", "5"))
    with pytest.raises(IssueRefused, match="INV-000001"):
        billed(ann, "10")
    start_at(house, Document.INVOICE, 500)
    assert billed(ann, "10").number == "INV-000500"


def test_vat_per_invoice_and_per_line_differ_as_they_should() -> None:
    lines = [(D("0.01"), D(20))] * 100 + [(D("10"), D(0))]
    assert vat_per_rate(lines, "GBP") == [(D(0), D("10"), D("0.00")), (D(20), D("1.00"), D("0.20"))]
    assert vat_per_rate(lines, "GBP", VatPoint.LINE)[1].vat == D("0.00")


def test_a_whole_credit_voids_the_invoice_and_settles_it(ann: Customer) -> None:
    invoice = billed(ann, "0.50", "0.55", "-0.02")
    assert (invoice.net, invoice.vat) == (D("1.03"), D("0.18"))
    note = credit(invoice.pk, reason="Wrong customer", on=LATER, now=NOW)
    assert (note.number, note.net, note.vat, note.gross) == ("CN-000001", D("1.03"), D("0.18"), D("1.21"))
    assert [(line.net, line.vat_rate) for line in note.lines.order_by("pk")] == [
        (D("-0.02"), D("17.50")),
        (D("0.50"), D("17.50")),
        (D("0.55"), D("17.50")),
    ]
    invoice.refresh_from_db()
    assert invoice.state == "void"
    assert (outstanding(LATER), balances(LATER)) == ([], {})
    assert [item.balance for item in outstanding(day("2026-02-09"))] == [D("1.21")]
    with pytest.raises(CreditRefused, match="in full already"):
        credit(invoice.pk, reason="Again", on=LATER, now=NOW)


def test_credits_by_line_take_no_more_than_the_line_and_leave_no_penny(ann: Customer) -> None:
    invoice = billed(ann, "0.50", "0.55")
    first, second = invoice.lines.order_by("position")
    with pytest.raises(CreditRefused, match="at most"):
        credit(invoice.pk, reason="Too much", on=LATER, now=NOW, lines={first.pk: D("0.51")})
    notes = [
        credit(invoice.pk, reason="Part", on=LATER, now=NOW, lines=lines)
        for lines in ({first.pk: D("0.20")}, {first.pk: D("0.30")}, {second.pk: D("0.55")})
    ]
    assert [note.vat for note in notes] == [D("0.04"), D("0.05"), D("0.09")]
    assert sum(note.gross for note in notes) == invoice.gross
    invoice.refresh_from_db()
    assert invoice.state == "void"


def test_crediting_a_paid_invoice_leaves_credit_that_settles_another(ann: Customer) -> None:
    invoice = billed(ann, "100")
    record_payments(ann.reseller, [paid(ann, "2026-02-05", "117.50", invoice_number=invoice.number)])
    owe(ann, ("OLD", "2026-02-06", "2026-02-20", "50"))
    credit(invoice.pk, reason="Goodwill", on=LATER, now=NOW)
    assert outstanding(LATER) == []
    assert [credit.amount for credit in unallocated(LATER)] == [D("67.50")]


def test_a_credit_before_its_invoice_or_of_a_draft_is_refused(ann: Customer) -> None:
    invoice = billed(ann, "100")
    with pytest.raises(CreditRefused, match="before its invoice"):
        credit(invoice.pk, reason="Early", on=day("2026-01-31"), now=NOW)
    add_charge(ann, description="More", amount=D(1), on=day("2026-02-20"))
    house = ann.reseller
    run = bill(house, parse_month("2026-02", house.zone), until="billed", now=NOW, scope=Scope.of(house.pk))
    with pytest.raises(CreditRefused, match="draft"):
        credit(run.invoices.get().pk, reason="Draft", on=day("2026-03-01"), now=NOW)
    assert not CreditNote.objects.exists()
    assert LedgerEntry.objects.count() == 1


money = st.decimals(min_value="-500", max_value="500", places=2)


@given(st.lists(st.tuples(money, st.sampled_from([D(0), D(5), D("17.5"), D(20)])), max_size=20))
def test_vat_is_within_half_a_penny_of_the_exact_tax(lines: list[tuple[Decimal, Decimal]]) -> None:
    amounts = vat_per_rate(lines, "GBP")
    assert sum((amount.net for amount in amounts), D(0)) == sum((net for net, _ in lines), D(0))
    for amount in amounts:
        exact = sum((net * rate / 100 for net, rate in lines if rate == amount.rate), D(0))
        assert abs(amount.vat - exact) <= D("0.005")


def at_once(reseller_id: int, *acts: object) -> list[str]:
    """Run acts in threads of their own, each in a transaction, started together; return how each ended."""
    barrier, ends = Barrier(len(acts)), [""] * len(acts)

    def work(place: int) -> None:
        barrier.wait()
        try:
            with enter(Scope.of(reseller_id)):
                acts[place]()  # type: ignore[operator]
            ends[place] = "done"
        except RunRefused as refused:
            ends[place] = str(refused)
        finally:
            connection.close()

    threads = [Thread(target=work, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ends)


def test_two_people_at_once_do_each_step_once_and_leave_no_gap(committed_db: None) -> None:
    house = make_house()
    with enter(Scope.of(house.pk)):
        customers = [make_customer(house, f"C{n}") for n in range(5)]
        rate_batch(house, *[a_call(customer, "2026-01-05 10:00", "1") for customer in customers])
        run = check_run(prepare_run(house, parse_month("2026-01", house.zone)).pk, now=NOW)
    for step, state in ((produce, "billed"), (confirm, "confirmed")):
        ends = at_once(house.pk, *[lambda step=step: step(run.pk, now=NOW)] * 2)
        assert ends[1] == "done"
        assert ends[0].startswith(f"This run is {state}")
    with enter(Scope.of(house.pk)):
        numbers = list(Invoice.objects.order_by("pk").values_list("number", flat=True))
        assert numbers == [f"INV-{n:06d}" for n in range(1, 6)]
        assert LedgerEntry.objects.count() == 5


def test_two_commands_at_once_bill_once(committed_db: None) -> None:
    house = make_house()
    scope = Scope.of(house.pk)
    with enter(scope):
        rate_batch(house, a_call(make_customer(house, "ANN"), "2026-01-05 10:00", "1"))
    period = parse_month("2026-01", house.zone)
    barrier, ends = Barrier(2), []

    def work() -> None:
        barrier.wait()
        ends.append(bill(house, period, until="sent", now=NOW, scope=scope).state)
        connection.close()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == ["sent", "sent"]
    with enter(scope):
        assert (BillingRun.objects.count(), Invoice.objects.get().number) == (1, "INV-000001")
