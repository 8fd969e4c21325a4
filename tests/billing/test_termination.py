"""Early-termination charges: what they come to, that they are made once, and how they are taken back."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.book import BookRefused, change_status
from billing.book_features import (
    change_feature,
    end_feature,
    ending_costs,
    reopen_feature,
    start_feature,
    take_back_change,
)
from billing.charging.recurring import generate_charges
from billing.importing.statuses import end_services
from billing.models import Charge, Customer, CustomerEvent, Feature, Invoice, InvoiceLine
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house
from tests.billing.test_charging import make_type

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN")


def terminations() -> list[tuple[str, Decimal]]:
    found = Charge.objects.filter(source_key__startswith="termination:").order_by("pk")
    return [(charge.kind, charge.amount) for charge in found]


def put_on_a_bill(customer: Customer) -> None:
    """Let a draft invoice hold everything that waits."""
    invoice = Invoice.objects.create(
        reseller=customer.reseller, customer=customer, invoice_date=date(2026, 5, 1), due_date=date(2026, 6, 1),
        currency="GBP",
    )  # fmt: skip
    line = InvoiceLine.objects.create(
        reseller=customer.reseller, invoice=invoice, position=1, kind="recurring"
    )
    Charge.objects.filter(invoice_line=None).update(invoice_line=line)


def begin(customer: Customer, start: str = "2026-01-15", **fields: Any) -> Feature:
    kind = make_type(customer.reseller, minimum_term_months=12, **{"termination_percent": D(80), **fields})
    return start_feature(customer=customer, feature_type=kind, start=day(start))


def test_the_term_begins_with_the_feature_as_the_catalogue_says(house: Reseller, ann: Customer) -> None:
    feature = begin(ann)
    assert (feature.minimum_term_end, feature.termination_percent) == (day("2027-01-15"), D(80))
    own = start_feature(
        customer=ann,
        feature_type=feature.feature_type,
        start=day("2026-01-31"),
        term_months=1,
        termination_percent=D(50),
    )
    assert (own.minimum_term_end, own.termination_percent) == (day("2026-02-28"), D(50))
    free = start_feature(
        customer=ann, feature_type=feature.feature_type, start=day("2026-01-31"), term_months=0
    )
    assert (free.minimum_term_end, free.termination_percent) == (None, D(0))


@pytest.mark.parametrize(
    ("method", "on", "expected"),
    [
        # 11 of 30 days of November, December, 14 of 31 days of January: 31 x 0.8 x (11/30 + 1 + 14/31)
        ("actual", "2026-11-20", "45.09"),
        # by 30 days 11/30 + 1 + 14/30
        ("30", "2026-11-20", "45.47"),
        # November is charged whole anyway; December and the January begun
        ("none", "2026-11-20", "49.60"),
        ("actual", "2027-01-14", "0.80"),
        ("actual", "2027-01-15", "0"),
        ("actual", "2026-01-16", "296.80"),
    ],
)
def test_leaving_early_costs_its_share_of_the_rest(
    house: Reseller, ann: Customer, method: str, on: str, expected: str
) -> None:
    feature = begin(ann, prorate=method)
    assert ending_costs([feature], on=day(on)) == {feature.pk: D(expected)}


def test_it_is_charged_once_at_the_end(house: Reseller, ann: Customer) -> None:
    end_feature(feature=begin(ann), on=day("2026-11-20"))
    generate_charges(house, until=day("2026-11-01"))
    assert terminations() == []
    assert generate_charges(house, until=day("2026-12-01")) == 1
    assert generate_charges(house, until=day("2026-12-01")) == 0
    assert terminations() == [("one_off", D("45.09"))]


def test_a_feature_continued_by_another_has_not_ended_and_keeps_its_term(
    house: Reseller, ann: Customer
) -> None:
    feature = begin(ann)
    new = change_feature(feature, on=day("2026-06-01"), price=D(62))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == []
    end_feature(feature=new, on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == [("one_off", D("90.19"))]


def test_what_waits_is_removed_and_what_is_billed_is_credited(house: Reseller, ann: Customer) -> None:
    feature = end_feature(feature=begin(ann), on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    end_feature(feature=feature, on=day("2026-12-01"))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == [("one_off", D("36.00"))]
    put_on_a_bill(ann)
    feature = reopen_feature(feature)
    generate_charges(house, until=day("2026-12-31"))
    assert terminations() == [("one_off", D("36.00")), ("credit", D("-36.00"))]
    end_feature(feature=feature, on=day("2026-12-01"))
    generate_charges(house, until=day("2026-12-31"))
    assert terminations() == [("one_off", D("36.00"))]
    reopen_feature(feature)
    generate_charges(house, until=day("2026-12-31"))
    put_on_a_bill(ann)
    assert generate_charges(house, until=day("2026-12-31")) == 0


def test_it_can_be_waived_with_a_reason(house: Reseller, ann: Customer) -> None:
    end_feature(feature=begin(ann), on=day("2026-11-20"), waive="Moved into our new building")
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == []
    event = AuditEvent.objects.get(action="feature.termination_waived")
    assert event.details == {"amount": "45.09", "reason": "Moved into our new building"}


def test_a_waiver_is_for_one_end_only(house: Reseller, ann: Customer) -> None:
    feature = end_feature(feature=begin(ann), on=day("2026-11-20"), waive="Moved into our new building")
    feature = reopen_feature(feature)
    end_feature(feature=feature, on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == [("one_off", D("45.09"))]
    ceased = {"customer": ann, "on": day("2026-11-20"), "today": day("2026-11-20"), "end_services": True}
    reopen_feature(feature)
    change_status(status="ceased", reason="price", waive="Their shop burnt down", **ceased)
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == []
    reopen_feature(feature)
    end_feature(feature=feature, on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == [("one_off", D("45.09"))]


def test_leaving_altogether_charges_every_term_and_takes_back_changes_to_come(
    house: Reseller, ann: Customer
) -> None:
    feature = begin(ann)
    change_feature(feature, on=day("2026-12-01"), price=D(62))
    generate_charges(house, until=day("2026-12-01"))
    put_on_a_bill(ann)
    change_status(
        customer=ann, status="ceased", on=day("2026-11-20"), today=day("2026-11-20"), reason="price",
        end_services=True,
    )  # fmt: skip
    assert Feature.objects.values_list("start_date", "end_date").get() == (
        day("2026-01-15"),
        day("2026-11-20"),
    )
    generate_charges(house, until=day("2026-12-01"))
    late = Charge.objects.filter(invoice_line=None).order_by("pk")
    assert [(str(c.service_start), c.amount) for c in late] == [
        ("2026-12-01", D("-62.00")), ("2026-11-20", D("-11.37")), ("2026-11-20", D("45.09")),
    ]  # fmt: skip
    assert generate_charges(house, until=day("2027-06-01")) == 0


def test_an_end_on_the_day_of_a_change_takes_the_change_back(house: Reseller, ann: Customer) -> None:
    new = change_feature(begin(ann), on=day("2026-12-01"), price=D(62))
    kept = end_feature(feature=new, on=day("2026-12-01"))
    assert (kept.start_date, kept.end_date, Feature.objects.count()) == (
        day("2026-01-15"),
        day("2026-12-01"),
        1,
    )


def test_what_is_charged_once_costs_nothing_to_end(house: Reseller, ann: Customer) -> None:
    end_feature(feature=begin(ann, interval="once"), on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == []


def test_a_customer_that_an_import_ends_has_its_changes_to_come_taken_back(
    house: Reseller, ann: Customer
) -> None:
    change_feature(begin(ann), on=day("2026-12-01"), price=D(62))
    CustomerEvent.objects.create(reseller=house, customer=ann, date=day("2026-11-20"), status="ceased")
    end_services([ann.pk])
    assert Feature.objects.values_list("start_date", "end_date").get() == (
        day("2026-01-15"),
        day("2026-11-20"),
    )
    generate_charges(house, until=day("2026-12-01"))
    assert terminations() == [("one_off", D("45.09"))]


def test_charges_up_to_an_earlier_day_leave_a_billed_term_alone(house: Reseller, ann: Customer) -> None:
    feature = begin(ann)
    end_feature(feature=feature, on=day("2026-11-20"))
    generate_charges(house, until=day("2026-12-01"))
    put_on_a_bill(ann)
    generate_charges(house, until=day("2026-11-01"))
    assert terminations() == [("one_off", D("45.09"))]


def test_an_end_asked_for_on_the_feature_before_a_change_keeps_the_change(
    house: Reseller, ann: Customer
) -> None:
    old = begin(ann)
    change_feature(old, on=day("2026-06-01"), price=D(62))
    last = end_feature(feature=old, on=day("2026-11-20"))
    rows = Feature.objects.order_by("start_date").values_list("start_date", "end_date", "price")
    assert list(rows) == [
        (day("2026-01-15"), day("2026-06-01"), None), (day("2026-06-01"), day("2026-11-20"), D(62)),
    ]  # fmt: skip
    assert last.price == D(62)


def test_what_was_read_before_a_change_does_not_undo_it(house: Reseller, ann: Customer) -> None:
    feature = end_feature(feature=begin(ann), on=day("2026-11-20"))
    stale = Feature.objects.get()
    reopen_feature(feature)
    new = change_feature(stale, on=day("2026-06-01"), price=D(62))
    with pytest.raises(BookRefused, match="under other terms"):
        reopen_feature(stale)
    take_back_change(new)
    with pytest.raises(BookRefused, match="taken back meanwhile"):
        take_back_change(new)
