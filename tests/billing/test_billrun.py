"""The bill run: what is on which bill, once, in which state."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from billing.billrun.gates import GateState, check
from billing.billrun.runs import RunRefused, change_dates, check_run, prepare_run, send_run
from billing.bills import bill, confirm, credit, produce, summary, undo
from billing.charging.adjust import ChargeRefused, add_charge, remove_charge
from billing.models import (
    BillingRun,
    Call,
    Carrier,
    CdrFile,
    Charge,
    ChargeKind,
    Customer,
    ExchangeRate,
    Feature,
    FeatureType,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    NotProduced,
    Number,
    NumberAssignment,
)
from billing.models.watermarks import billed_until, covering
from billing.receivables.payments import record_payments
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, day, make_customer, make_house, paid, rate_batch

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN", vat_rate=D(20))


def run_to(house: Reseller, month: str, until: str = "billed", accept: str = "") -> BillingRun:
    period = parse_month(month, house.zone)
    return bill(house, period, until=until, now=NOW, scope=Scope.of(house.pk), accept=accept)


def lines_of(run: BillingRun) -> list[tuple[Any, ...]]:
    found = InvoiceLine.objects.filter(invoice__run=run).order_by("invoice_id", "position")
    return list(found.values_list("kind", "description", "calls", "net"))


def reasons(run: BillingRun) -> dict[str, str]:
    return dict(NotProduced.objects.filter(run=run).values_list("customer__code", "reason"))


def test_calls_are_summed_exactly_then_rounded_per_line_then_taxed_on_the_total(
    house: Reseller, ann: Customer
) -> None:
    calls = [a_call(ann, f"2026-01-05 10:0{i}", "0.0033", call_class="Mobile") for i in range(5)]
    texts = [a_call(ann, "2026-01-05 11:00", price, service="sms") for price in ("0.0250", "0.0200")]
    rate_batch(house, *calls, *texts)
    run = run_to(house, "2026-01")
    assert lines_of(run) == [("usage", "Calls: Mobile", 5, D("0.02")), ("usage", "Messages", 2, D("0.05"))]
    invoice = Invoice.objects.get()
    assert (invoice.net, invoice.vat, invoice.gross) == (D("0.07"), D("0.01"), D("0.08"))
    assert (invoice.number, invoice.state, invoice.invoice_date) == (None, "draft", day("2026-02-01"))
    assert invoice.due_date == day("2026-02-15")
    assert [(v.rate, v.net, v.vat) for v in invoice.vat_lines.all()] == [(D("20.00"), D("0.07"), D("0.01"))]


def test_a_run_twice_bills_nothing_twice(house: Reseller, ann: Customer) -> None:
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1"))
    add_charge(ann, description="Engineer", amount=D(50), on=day("2026-01-20"))
    first = summary(run_to(house, "2026-01"))
    assert first == summary(run_to(house, "2026-01"))
    assert first == {
        "currency": "GBP", "invoices": 1, "net": "51.00", "vat": "10.20", "gross": "61.20", "not_produced": {},
    }  # fmt: skip
    assert reasons(run_to(house, "2026-02")) == {"ANN": "empty"}


def test_late_and_rerated_calls_go_on_the_next_bill(house: Reseller, ann: Customer) -> None:
    early = a_call(ann, "2026-01-05 10:00", "1")
    rate_batch(house, early, a_call(ann, "2026-02-01 00:00", "100"))
    run_to(house, "2026-01")
    late = a_call(ann, "2026-01-06 10:00", "7")
    rate_batch(house, late)
    assert covering(late) is None
    run = run_to(house, "2026-02")
    assert lines_of(run) == [("usage", "Calls", 2, D("107.00"))]
    january, february = Invoice.objects.order_by("pk")
    assert (covering(early), covering(late)) == (january, february)
    marks = {(m.currency, m.usage_batch) for m in billed_until(house.pk)}
    assert marks == {("GBP", late.batch_id), ("", late.batch_id)}


def test_the_month_ends_at_local_midnight(house: Reseller, ann: Customer) -> None:
    rate_batch(house, a_call(ann, "2026-04-30 22:59:59", "1"), a_call(ann, "2026-04-30 23:00", "10"))
    assert lines_of(run_to(house, "2026-04")) == [("usage", "Calls", 1, D("1.00"))]
    assert lines_of(run_to(house, "2026-05")) == [("usage", "Calls", 1, D("10.00"))]


def test_errors_and_left_out_calls_are_not_billed_until_they_are_rated(
    house: Reseller, ann: Customer
) -> None:
    error = a_call(
        ann, "2026-01-05 10:00", "0", state="error", reason="no_rate", cost=D("2"), cost_currency="GBP"
    )
    rate_batch(house, error, a_call(ann, "2026-01-05 11:00", "0", state="excluded"))
    assert reasons(run_to(house, "2026-01", accept="known")) == {"ANN": "empty"}
    assert covering(error) is None
    Call.objects.filter(dedupe_key=error.dedupe_key).delete()
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "5"))
    assert lines_of(run_to(house, "2026-02")) == [("usage", "Calls", 1, D("5.00"))]


def test_one_invoice_per_currency_and_calls_without_one_go_with_the_customers_own(
    house: Reseller, ann: Customer
) -> None:
    rate_batch(
        house,
        a_call(ann, "2026-01-05 10:00", "1"),
        a_call(ann, "2026-01-05 11:00", "0", currency=""),
        a_call(ann, "2026-01-05 12:00", "3", currency="EUR"),
    )
    run = run_to(house, "2026-01")
    assert list(run.invoices.order_by("currency").values_list("currency", "net")) == [
        ("EUR", D("3.00")),
        ("GBP", D("1.00")),
    ]
    assert InvoiceLine.objects.get(invoice__currency="GBP").calls == 2
    assert summary(run)["other_currencies"] == {
        "EUR": {"invoices": 1, "net": "3.00", "vat": "0.60", "gross": "3.60"}
    }


def test_yen_have_no_pence(house: Reseller) -> None:
    ken = make_customer(house, "KEN", currency="JPY", vat_rate=D(10))
    rate_batch(house, a_call(ken, "2026-01-05 10:00", "104.5", currency="JPY"))
    invoice = run_to(house, "2026-01").invoices.get()
    assert (invoice.net, invoice.vat, invoice.gross) == (D("105.00"), D("11.00"), D("116.00"))


def test_costs_in_another_currency_count_at_the_dated_rate(house: Reseller, ann: Customer) -> None:
    for when, rate in (("2026-01-31", "1.25"), ("2026-02-02", "9")):
        ExchangeRate.objects.create(reseller=house, date=day(when), base="GBP", currency="USD", rate=D(rate))
    cost = {"cost": D("2.5"), "cost_currency": "USD"}
    rate_batch(
        house, a_call(ann, "2026-01-05 10:00", "4", **cost), a_call(ann, "2026-01-05 11:00", "1", cost=D(1))
    )
    assert run_to(house, "2026-01").invoices.get().cost == D("3.000000")


def test_why_there_is_no_invoice(house: Reseller, ann: Customer) -> None:
    small = make_customer(house, "SMALL", minimum_invoice=D(5))
    held = make_customer(house, "HELD", on_hold=True)
    owed = make_customer(house, "OWED")
    gone = make_customer(house, "GONE", minimum_invoice=D(5), status="ceased")
    make_customer(house, "PROSPECT", status="prospect")
    rate_batch(house, *[a_call(who, "2026-01-05 10:00", "1") for who in (small, held, gone)])
    add_charge(owed, description="Goodwill", amount=D(9), on=day("2026-01-20"), kind=ChargeKind.CREDIT)
    run = run_to(house, "2026-01")
    assert reasons(run) == {"ANN": "empty", "SMALL": "minimum", "HELD": "hold", "OWED": "credit"}
    assert [invoice.customer for invoice in run.invoices.all()] == [gone]
    Customer.objects.filter(code="HELD").update(on_hold=False)
    rate_batch(house, a_call(small, "2026-02-05 10:00", "4.50"))
    add_charge(owed, description="Visit", amount=D(10), on=day("2026-02-20"))
    later = run_to(house, "2026-02")
    assert dict(later.invoices.values_list("customer__code", "net")) == {
        "SMALL": D("5.50"),
        "HELD": D("1.00"),
        "OWED": D("1.00"),
    }


def test_money_that_waited_in_one_currency_is_billed_though_another_was(house: Reseller) -> None:
    small = make_customer(house, "SMALL", minimum_invoice=D(5))
    rate_batch(
        house,
        a_call(small, "2026-01-05 10:00", "1"),
        a_call(small, "2026-01-05 11:00", "3", currency="EUR"),
    )
    assert reasons(run_to(house, "2026-01")) == {"SMALL": "minimum"}
    rate_batch(house, a_call(small, "2026-02-05 10:00", "20"))
    run = run_to(house, "2026-02")
    assert lines_of(run) == [("usage", "Calls", 2, D("21.00"))]


def test_a_customer_let_off_hold_is_billed_from_where_the_bills_stopped(
    house: Reseller, ann: Customer
) -> None:
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1"))
    run_to(house, "2026-01")
    Customer.objects.update(on_hold=True)
    rate_batch(house, a_call(ann, "2026-02-05 10:00", "10"))
    assert reasons(run_to(house, "2026-02")) == {"ANN": "hold"}
    Customer.objects.update(on_hold=False)
    rate_batch(house, a_call(ann, "2026-01-07 10:00", "100"), a_call(ann, "2026-03-05 10:00", "1000"))
    assert lines_of(run_to(house, "2026-03")) == [("usage", "Calls", 3, D("1110.00"))]


def test_features_sites_and_numbers_make_lines(house: Reseller, ann: Customer) -> None:
    kind = FeatureType.objects.create(reseller=house, code="LINE", name="Line rental")
    number = Number.objects.create(reseller=house, number="+441612345678")
    NumberAssignment.objects.create(
        reseller=house, number=number, customer=ann, site="Leeds", start_date=day("2026-01-01")
    )
    Feature.objects.create(
        reseller=house, customer=ann, feature_type=kind, number=number, price=D(31), cost=D(10),
        start_date=day("2026-01-11"),
    )  # fmt: skip
    rate_batch(house, a_call(ann, "2026-01-12 10:00", "1", number=number, cost=D("0.4"), cost_currency="GBP"))
    run = run_to(house, "2026-01")
    assert lines_of(run) == [
        ("recurring", "Line rental", 0, D("21.00")),
        ("recurring", "Line rental", 0, D("31.00")),
        ("usage", "Calls", 1, D("1.00")),
    ]
    lines = InvoiceLine.objects.order_by("position")
    assert {(line.number, line.site) for line in lines} == {(number, "Leeds")}
    assert [line.feature_type for line in lines] == [kind, kind, None]
    assert run.invoices.get().cost == D("17.174194")
    assert Charge.objects.filter(invoice_line__isnull=True).count() == 0


def test_a_charge_with_its_own_vat_rate(house: Reseller, ann: Customer) -> None:
    add_charge(ann, description="Postage", amount=D(10), on=day("2026-01-20"), vat_rate=D(0))
    add_charge(ann, description="Router", amount=D(10), on=day("2026-01-20"))
    invoice = run_to(house, "2026-01").invoices.get()
    assert [(v.rate, v.vat) for v in invoice.vat_lines.order_by("rate")] == [(D(0), D(0)), (D(20), D(2))]


def test_confirming_numbers_posts_and_settles(house: Reseller, ann: Customer) -> None:
    bob = make_customer(house, "BOB", vat_rate=D(0))
    rate_batch(house, a_call(bob, "2026-01-05 10:00", "1"), a_call(ann, "2026-01-05 10:00", "2"))
    record_payments(house, [paid(bob, "2026-01-20", "5")])
    run = run_to(house, "2026-01", "confirmed")
    numbers = {i.customer.code: i.number for i in run.invoices.all()}
    assert numbers == {"ANN": "INV-000001", "BOB": "INV-000002"}
    posted = LedgerEntry.objects.filter(kind="invoice").order_by("invoice__number")
    assert list(posted.values_list("amount", "date")) == [
        (D("2.40"), day("2026-02-01")),
        (D("1.00"), day("2026-02-01")),
    ]
    assert Invoice.objects.get(customer=bob).allocations.get().amount == D("1.00")
    assert [e.action for e in AuditEvent.objects.order_by("pk")] == [
        "run.prepared", "run.checked", "run.billed", "run.confirmed",
    ]  # fmt: skip


def test_an_issued_invoice_never_changes(house: Reseller, ann: Customer) -> None:
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1"))
    run_to(house, "2026-01", "confirmed")
    for change in (
        lambda: Invoice.objects.update(net=D(5), gross=D("5.20")),
        lambda: InvoiceLine.objects.update(net=D(5)),
        lambda: InvoiceLine.objects.all().delete(),
        lambda: Invoice.objects.update(state="draft", number=None),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_undo_gives_charges_calls_and_numbers_back(house: Reseller, ann: Customer) -> None:
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1"))
    add_charge(ann, description="Visit", amount=D(9), on=day("2026-01-20"))
    record_payments(house, [paid(ann, "2026-01-20", "5")])
    before = summary(run_to(house, "2026-01", "confirmed"))
    run = undo(BillingRun.objects.get().pk)
    assert (run.state, Invoice.objects.count(), LedgerEntry.objects.count()) == ("draft", 0, 1)
    assert Charge.objects.get().invoice_line is None
    assert billed_until(house.pk) == []
    again = run_to(house, "2026-01", "sent")
    assert summary(again) == before
    assert Invoice.objects.get().number == "INV-000001"
    with pytest.raises(RunRefused, match="sent"):
        undo(again.pk)


def test_undo_is_refused_when_something_builds_on_it(house: Reseller, ann: Customer) -> None:
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1"), a_call(ann, "2026-02-05 10:00", "1"))
    january = run_to(house, "2026-01", "confirmed")
    february = run_to(house, "2026-02")
    with pytest.raises(RunRefused, match="undo that one first"):
        undo(january.pk)
    undo(february.pk)
    credit(january.invoices.get().pk, reason="Wrong", on=day("2026-02-02"), now=NOW)
    with pytest.raises(RunRefused, match="credited"):
        undo(january.pk)
    assert january.invoices.get().state == "void"


def test_steps_come_in_their_order(house: Reseller, ann: Customer) -> None:
    run = prepare_run(house, parse_month("2026-01", house.zone))
    for step in (produce, confirm, send_run):
        with pytest.raises(RunRefused, match="This run is draft"):
            step(run.pk, now=NOW)
    change_dates(run.pk, invoice_date=day("2026-02-03"), due_date=day("2026-02-10"), message="Thank you")
    check_run(run.pk, now=NOW)
    add_charge(ann, description="Visit", amount=D(9), on=day("2026-01-20"))
    produce(run.pk, now=NOW)
    invoice = Invoice.objects.get()
    assert (invoice.invoice_date, invoice.due_date) == (day("2026-02-03"), day("2026-02-10"))
    with pytest.raises(RunRefused, match="billed"):
        change_dates(run.pk, invoice_date=day("2026-02-04"), due_date=None, message="")


def test_an_earlier_month_is_refused_once_a_later_one_is_billed(house: Reseller, ann: Customer) -> None:
    run_to(house, "2026-02")
    with pytest.raises(RunRefused, match="February 2026 has been billed already"):
        run_to(house, "2026-01")


def test_gates_stop_a_run_until_they_are_accepted_by_name(house: Reseller, ann: Customer) -> None:
    carrier = Carrier.objects.create(reseller=house, code="GAM", name="Gamma", required_for_run=True)
    Feature.objects.create(
        reseller=house, customer=ann, start_date=day("2026-01-01"),
        feature_type=FeatureType.objects.create(reseller=house, code="X", name="X"),
    )  # fmt: skip
    bad = {"state": "error", "reason": "no_rate", "cost_currency": "GBP"}
    rate_batch(house, *[a_call(ann, "2026-01-05 10:00", "0", cost=D("1.005"), **bad) for _ in range(2)])
    run = prepare_run(house, parse_month("2026-01", house.zone))
    found = {gate.name: gate for gate in check(run, now=NOW)}
    assert {name: gate.state.value for name, gate in found.items()} == {
        "Dates": "ok", "Files of Gamma": "error", "Billing errors": "error", "Pre-billing report": "error",
        "Earlier runs": "ok",
    }  # fmt: skip
    assert found["Pre-billing report"].words == "1 error, 1 warning: mend or accept the errors."
    assert found["Billing errors"].words == "2 calls of the period are not priced and cost 2.01 GBP at least."
    with pytest.raises(RunRefused, match="No call file of Gamma"):
        check_run(run.pk, now=NOW)
    check_run(run.pk, accept="Gamma is late", now=NOW)
    run.refresh_from_db()
    assert (run.state, run.accepted_errors) == ("checked", "Gamma is late")
    CdrFile.objects.create(
        reseller=house, carrier=carrier, format="x", name="x", size=1, sha256="x", state="loaded",
        first_call_at=datetime(2026, 1, 1, tzinfo=UTC), last_call_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )  # fmt: skip
    assert {g.state for g in check(run, now=NOW) if g.name == "Files of Gamma"} == {GateState.OK}


def test_charges_by_hand(house: Reseller, ann: Customer) -> None:
    twice = [
        add_charge(ann, description="Visit", amount=D("9.005"), on=day("2026-01-20"), key="V1") for _ in "ab"
    ]
    assert twice[0] == twice[1]
    assert twice[0].amount == Decimal("9.01")
    for amount in (D(0), D(-1)):
        with pytest.raises(ChargeRefused):
            add_charge(ann, description="Nothing", amount=amount, on=day("2026-01-20"))
    run_to(house, "2026-01")
    with pytest.raises(ChargeRefused, match="on a bill already"):
        remove_charge(twice[0].pk)
    other = add_charge(ann, description="Oops", amount=D(1), on=day("2026-02-20"))
    remove_charge(other.pk)
    assert Charge.objects.count() == 1
    for key, sentence in (
        ("carrier:1", "carrier's bill"),
        ("rerate:1:1", "corrects a bill"),
        ("feature:1:x", "feature"),
    ):
        Charge.objects.update(source_key=key, invoice_line=None)
        with pytest.raises(ChargeRefused, match=sentence):
            remove_charge(twice[0].pk)
