"""The preview of one customer's bill is what the run then makes, and leaves nothing behind."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from billing.billrun.preview import Bill
from billing.bills import bill
from billing.book_features import change_feature, end_feature, start_feature
from billing.charging.adjust import add_charge
from billing.models import ChargeKind, Customer, Feature, InvoiceLine, NotProduced
from billing.preview import next_period, preview_bill, waiting
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, day, make_customer, make_house, rate_batch
from tests.billing.test_charging import make_type

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
TODAY = day("2026-03-20")


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    """A customer with everything a bill can carry, billed for January, late usage of it since."""
    ann = make_customer(house, "ANN", vat_rate=D(20))
    rental = make_type(house, activation_fee=D(25), minimum_term_months=12, termination_percent=D(80))
    package = make_type(house, price="9.99", code="PLAN", name="Plan", kind="package")
    lines = [
        start_feature(customer=ann, feature_type=kind, start=day("2026-01-10")) for kind in (rental, package)
    ]
    rate_batch(house, a_call(ann, "2026-01-05 10:00", "1.2345"))
    run_to(house, "2026-01")
    change_feature(lines[1], on=day("2026-02-14"), quantity=3)
    end_feature(feature=lines[0], on=day("2026-03-10"))
    add_charge(ann, description="Engineer", amount=D(80), on=day("2026-03-02"))
    add_charge(ann, description="Sorry", amount=D(5), on=day("2026-03-03"), kind=ChargeKind.CREDIT)
    rate_batch(
        house, a_call(ann, "2026-01-06 10:00", "0.1"), a_call(ann, "2026-03-06 10:00", "0.2", currency="EUR")
    )
    return ann


def run_to(house: Reseller, month: str) -> int:
    scope = Scope.of(house.pk)
    return bill(house, parse_month(month, house.zone), until="confirmed", now=NOW, scope=scope).pk


def everything() -> dict[str, list[Any]]:
    """Return every row of the house's tables."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("billing").get_models():
            table = model._meta.db_table
            cursor.execute(f"SELECT {table}::text FROM {table} ORDER BY 1")
            found[table] = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM core_auditevent")
        found["audit"] = cursor.fetchall()
    return found


def shown(bills: list[Bill]) -> list[Any]:
    return [
        (
            bill.currency,
            bill.net,
            bill.vat,
            [(line.kind, line.description, line.calls, line.net) for line in bill.lines],
        )
        for bill in bills
    ]


def billed(run: int) -> list[Any]:
    lines = InvoiceLine.objects.filter(invoice__run=run).select_related("invoice")
    found: dict[str, Any] = {}
    for line in lines.order_by("invoice__currency", "position"):
        about = found.setdefault(line.invoice.currency, (line.invoice.net, line.invoice.vat, []))
        about[2].append((line.kind, line.description, line.calls, line.net))
    return [(currency, *about) for currency, about in found.items()]


def test_the_preview_is_what_the_run_makes(house: Reseller, ann: Customer) -> None:
    make_customer(house, "BEN")
    preview = preview_bill(ann, today=TODAY)
    assert str(preview.period) == "March 2026"
    made = billed(run_to(house, "2026-03"))
    assert shown(preview.bills) == made
    assert [line[1:] for _, _, _, lines in made for line in lines if "Early" in line[1]] == [
        ("Early-termination charge: Line rental", 0, D("248.00"))
    ]


def test_the_preview_leaves_nothing_behind(house: Reseller, ann: Customer) -> None:
    before = everything()
    preview_bill(ann, today=TODAY)
    assert everything() == before


def test_the_preview_with_a_change_leaves_nothing_behind(house: Reseller, ann: Customer) -> None:
    plan = Feature.objects.get(feature_type__code="PLAN", end_date=None)
    before = everything()
    dearer = preview_bill(
        ann, today=TODAY, change=lambda: change_feature(plan, on=day("2026-04-01"), price=D(20))
    )
    own = {line.service_start: line.net for line in dearer.bills[-1].lines if line.description == "Plan"}
    assert own[day("2026-04-01")] == D("60.00")
    assert everything() == before


def test_why_there_would_be_no_bill(house: Reseller, ann: Customer) -> None:
    Customer.objects.filter(pk=ann.pk).update(on_hold=True)
    bills = preview_bill(ann, today=TODAY).bills
    assert [(bill.currency, bill.why_not) for bill in bills] == [("EUR", "On hold"), ("GBP", "On hold")]
    run_to(house, "2026-03")
    assert NotProduced.objects.filter(customer=ann, reason="hold").count() == 2


def test_the_next_bill_is_of_this_month_or_the_one_after_the_last_billed(
    house: Reseller, ann: Customer
) -> None:
    asked = ("2026-01-20", "2026-02-03", "2026-03-20")
    found = [str(next_period(ann, day(today))) for today in asked]
    assert found == ["February 2026", "February 2026", "March 2026"]


def test_what_waits_leaves_out_activations_without_a_fee(house: Reseller, ann: Customer) -> None:
    assert waiting(ann) == {"GBP": D("75.00")}


def test_an_activation_without_a_fee_is_kept_and_not_printed(house: Reseller) -> None:
    bob = make_customer(house, "BOB")
    start_feature(
        customer=bob, feature_type=make_type(house, kind="package", code="P"), start=day("2026-01-01")
    )
    run = run_to(house, "2026-01")
    lines = (
        InvoiceLine.objects.filter(invoice__run=run).order_by("position").values_list("description", "net")
    )
    assert list(lines) == [("Line rental", Decimal("31.00")), ("Line rental", Decimal("31.00"))]
    assert bob.charges.get(is_activation=True).invoice_line_id is None
