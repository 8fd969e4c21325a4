"""The demo: deterministic, whole, with leaks whose money adds up, and never in a database of somebody else."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError
from django.db.models import F, Q, Sum

from billing.charging.bill_sums import sums_of
from billing.demo.empty import empty
from billing.demo.frauds import CALLS, hacked_calls, victim
from billing.demo.leaks import plant
from billing.demo.plan import plan_customers
from billing.demo.services import plan_services
from billing.demo.shape import Calendar, houses
from billing.demo.traffic import Lines, Month, ordinary
from billing.demo.usage import Usage
from billing.models import (
    Call,
    CarrierCharge,
    CarrierInvoice,
    CdrFile,
    Charge,
    Customer,
    Invoice,
    InvoiceLine,
    NumberAssignment,
    PaymentAttempt,
)
from billing.receivables.ageing import outstanding
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.conftest import DEMO_DAY, run_demo

TODAY = DEMO_DAY
PENNY = Decimal("0.01")


def planned(seed: int) -> tuple[list[Any], list[Any]]:
    """Return the plans and findings of the first reseller of a seed."""
    house = houses("small")[0]
    calendar = Calendar.ending_before(TODAY, house.months)
    plans = plan_customers(house, calendar, seed)
    stock = plan_services(house, plans, calendar, seed)
    return plans, plant(plans, stock, calendar).findings


def scope_of(code: str) -> Scope:
    return Scope.of(Reseller.objects.get(code=code).pk, why="test")


def test_the_same_seed_makes_the_same_plans_and_another_seed_others() -> None:
    assert planned(7) == planned(7)
    assert planned(7)[0] != planned(8)[0]


@pytest.mark.parametrize("seed", range(12))
def test_every_seed_has_room_for_every_leak(seed: int) -> None:
    plans, findings = planned(seed)
    assert len(findings) == 10
    hacked = victim(plans, Calendar.ending_before(TODAY, houses("small")[0].months))
    assert hacked
    assert not any(hacked[0].code in finding.subject for finding in findings)
    assert sum(len(plan.numbers) for plan in plans) == houses("small")[0].size.numbers
    assert len({number.number for plan in plans for number in plan.numbers}) == 190
    assert all(f.end is None or f.end > f.start for plan in plans for f in plan.features)
    assert all(n.end is None or n.end > n.start for plan in plans for n in plan.numbers)


def test_calls_are_made_on_lines_in_service_only() -> None:
    plans, _ = planned(7)
    calendar = Calendar.ending_before(TODAY, 25)
    month, lines = Month.of(calendar.first, calendar), Lines.of(plans)
    calls = ordinary(np.random.default_rng(1), lines, month, 500)
    day = calendar.first.toordinal() + calls.at // 86_400
    assert len(calls) == 500
    assert bool(np.all((lines.start[calls.line] <= day) & (day < lines.end[calls.line])))
    assert int(calls.seconds[calls.service == 0].max()) > 0


def test_the_same_seed_makes_the_same_calls() -> None:
    house = houses("small")[0]
    calendar = Calendar.ending_before(TODAY, house.months)

    def costs(seed: int) -> list[tuple[date, int, int]]:
        plans = plan_customers(house, calendar, seed)
        planted = plant(plans, plan_services(house, plans, calendar, seed), calendar)
        usage = Usage(house, plans, planted, calendar, seed)
        return [(first, len(calls), int(calls.cost.sum())) for first, calls, _ in usage.months()]

    assert costs(7) == costs(7)
    assert costs(7) != costs(8)
    assert sum(count for _, count, _ in costs(7)) > 17_000


@pytest.mark.parametrize(
    ("today", "month"), [("2026-11-22", "2026-11"), ("2026-12-01", "2026-11"), ("2026-12-03", "2026-12")]
)
def test_the_hack_lies_in_the_month_of_its_night_alone(today: str, month: str) -> None:
    house, calendar = houses("small")[0], Calendar.ending_before(date.fromisoformat(today))
    plans = plan_customers(house, calendar, 7)
    plan_services(house, plans, calendar, 7)
    hacked = victim(plans, calendar)
    assert hacked
    firsts = [calendar.ago(1), calendar.current]
    made = {f"{f:%Y-%m}": len(hacked_calls(hacked[1], Month.of(f, calendar), calendar)) for f in firsts}
    assert {name: count for name, count in made.items() if count} == {month: CALLS}


def test_nothing_of_a_demo_of_today_lies_ahead_of_who_builds_it() -> None:
    early, late = (datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in (9, 15))
    days = [TODAY - timedelta(days=1), TODAY]
    assert [Calendar.ending_before(TODAY, now=early).noon(day) for day in days] == [
        datetime(2026, 11, 21, 12, tzinfo=UTC), early,
    ]  # fmt: skip
    for now in (late, None):
        assert Calendar.ending_before(TODAY, now=now).noon(TODAY) == datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_it_leaves_a_foreign_database_alone() -> None:
    Reseller.objects.create(code="ours", name="Ours")
    with pytest.raises(CommandError, match="This database holds a reseller that is not the demo's"):
        run_demo()
    assert list(Reseller.objects.values_list("code", flat=True)) == ["ours"]


@pytest.mark.django_db
def test_what_an_interrupted_build_left_is_taken_away() -> None:
    left = Reseller.objects.create(code="harbour", name="Harbour Telecom", is_demo=True)
    other = Reseller.objects.create(code="moorland", name="Moorland Voice", is_demo=True)
    for reseller in (left, other):
        with enter(Scope.of(reseller.pk, why="test")):
            customer = Customer.objects.create(reseller=reseller, code="C1", name="One")
            invoice = Invoice.objects.create(
                reseller=reseller, customer=customer, number="1", state="issued", invoice_date=TODAY, due_date=TODAY,
                currency="GBP",
            )  # fmt: skip
            InvoiceLine.objects.create(reseller=reseller, invoice=invoice, position=1, kind="manual")
            record("test", customer)
    empty(left)
    with enter(Scope.of(left.pk, why="test")):
        assert (Customer.objects.count(), Invoice.objects.count(), InvoiceLine.objects.count()) == (0, 0, 0)
    with enter(Scope.of(other.pk, why="test")):
        assert (Customer.objects.count(), Invoice.objects.count(), InvoiceLine.objects.count()) == (1, 1, 1)


@pytest.mark.slow
def test_it_builds_what_it_says(built: dict[str, Any]) -> None:
    facts = built["facts"]
    assert [r["code"] for r in facts["resellers"]] == ["harbour", "moorland"]
    assert facts["first_page"] == "/"
    assert {login["role"] for login in facts["logins"]} == {
        "Owner", "Billing and finance", "Support", "Dealer", "Viewer", "Platform operator",
    }  # fmt: skip
    with enter(scope_of("harbour")):
        assert Call.objects.count() == facts["resellers"][0]["calls"]
        assert Invoice.objects.filter(state="draft").count() == 0
        months = Invoice.objects.dates("invoice_date", "month")
        assert [months[0], len(months)] == [date(2024, 10, 1), 26]
        assert NumberAssignment.objects.values("number").distinct().count() == 190
        for file in CdrFile.objects.all():
            parts = (file.rated, file.zero, file.excluded, file.unpriced, file.duplicates, file.rejects)
            assert file.rows == sum(parts)


@pytest.mark.slow
def test_carriers_bills_are_allocated_but_for_the_loose_ends(built: dict[str, Any]) -> None:
    with enter(scope_of("harbour")):
        bills = list(CarrierInvoice.objects.order_by("number"))
        assert [bill.number for bill in bills] == [
            "MMD-2609", "MMD-2610", "MMD-2611", "NGW-2609", "NGW-2610", "NGW-2611",
        ]  # fmt: skip
        differences = {bill.number: sums_of(bill).difference for bill in bills if sums_of(bill).difference}
        assert differences == {"NGW-2610": Decimal("18.60")}
        rows = CarrierCharge.objects.order_by("reference").values_list("reference", "reason")
        assert set(rows.filter(state="open")) == {
            ("", "The line has no reference."),
            ("07700900999", "Nothing in the book has this reference."),
            ("NGW-ORD-55121", "Nothing in the book has this reference."),
        }
        assert set(rows.filter(state="ignored")) == {("NGW-OFFICE-1", "Our own office line.")}
        nobodys = CarrierCharge.objects.filter(state="allocated", customer=None)
        findings = json.loads((built["folder"] / "planted.json").read_text())["findings"]
        still = {
            f["subject"]: Decimal(f["money_per_month"])
            for f in findings
            if f["check"] == "ceased_still_supplied"
        }
        assert {row.number.number: row.amount for row in nobodys.select_related("number")} == still
        passed = Charge.objects.filter(source_key__startswith="carrier:")
        assert [(c.kind, c.amount, c.cost, c.invoice_line) for c in passed] == [
            ("carrier", Decimal("95.00"), Decimal("65.00"), None)
        ]


@pytest.mark.slow
def test_a_second_run_changes_nothing_and_prints_the_same(built: dict[str, Any]) -> None:
    with enter(scope_of("harbour")):
        calls, invoices = Call.objects.count(), Invoice.objects.count()
    assert run_demo(seed=99) == built["facts"]
    with enter(scope_of("harbour")):
        assert (Call.objects.count(), Invoice.objects.count()) == (calls, invoices)


@pytest.mark.slow
def test_the_planted_money_adds_up(built: dict[str, Any]) -> None:
    planted = json.loads((built["folder"] / "planted.json").read_text())
    findings = planted["findings"]
    assert planted["reseller"] == "harbour"
    assert planted["total"] == built["facts"]["planted"]
    assert planted["total"]["findings"] == len(findings)
    for money in ("money_per_month", "money_to_date"):
        assert Decimal(planted["total"][money]) == sum(Decimal(f[money]) for f in findings)
    assert {f["check"] for f in findings} == {
        "unrated_calls", "missing_recurring", "stale_pricing", "uncollected", "ceased_still_supplied", "below_cost",
        "free_by_mistake",
    }  # fmt: skip
    assert all(Decimal(f["money_to_date"]) > 0 for f in findings)


@pytest.mark.slow
def test_no_call_is_in_error_but_the_planted_ones_and_their_cost_is_the_planted_money(
    built: dict[str, Any],
) -> None:
    findings = json.loads((built["folder"] / "planted.json").read_text())["findings"]
    unrated = {f["subject"]: Decimal(f["money_to_date"]) for f in findings if f["check"] == "unrated_calls"}
    with enter(scope_of("harbour")):
        errors = Call.objects.filter(state="error").values_list("reason", "billed_party", "cost")
        found: dict[str, Decimal] = {}
        for reason, party, cost in errors:
            subject = "Vanuatu" if reason == "no_rate" else party
            found[subject] = found.get(subject, Decimal(0)) + cost
    assert {k: v.quantize(PENNY) for k, v in found.items()} == unrated
    with enter(scope_of("moorland")):
        assert Call.objects.filter(state="error").count() == 0


@pytest.mark.slow
def test_nothing_is_collected_without_a_mandate_in_force(built: dict[str, Any]) -> None:
    for code in ("harbour", "moorland"):
        with enter(scope_of(code)):
            held = Q(customer__mandates__end_date=None) | Q(
                customer__mandates__end_date__gt=F("submitted_date")
            )
            tried = PaymentAttempt.objects.filter(method="direct_debit")
            covered = tried.filter(held, customer__mandates__start_date__lte=F("submitted_date"))
            assert 0 < tried.count() == covered.count()


@pytest.mark.slow
def test_the_planted_losses_and_debts_are_in_the_ledger_and_the_calls(built: dict[str, Any]) -> None:
    findings = json.loads((built["folder"] / "planted.json").read_text())["findings"]
    planted = {(f["check"], f["subject"]): Decimal(f["money_to_date"]) for f in findings}
    with enter(scope_of("harbour")):
        lost = Call.objects.filter(destination="Cuba").aggregate(cost=Sum("cost"), retail=Sum("retail"))
        codes = dict(Customer.objects.values_list("pk", "code"))
        owed: dict[str, Decimal] = {}
        for item in outstanding(TODAY):
            if (
                item.due_date < TODAY
                and not PaymentAttempt.objects.filter(invoice_id=item.invoice_id).exists()
            ):
                code = codes[item.customer_id]
                owed[code] = owed.get(code, Decimal(0)) + item.balance
        late = set(Customer.objects.exclude(payment_method="direct_debit").values_list("code", flat=True))
    assert (lost["cost"] - lost["retail"]).quantize(PENNY) == planted["below_cost", "Cuba"]
    assert {code: money for code, money in owed.items() if code not in late} == {
        subject: money for (check, subject), money in planted.items() if check == "uncollected"
    }
