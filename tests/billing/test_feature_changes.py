"""Dated changes of a feature: the row that continues another, and what the next bill carries for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.book_features import change_feature
from billing.charging.recurring import generate_charges
from billing.models import Charge, Customer, Feature
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house
from tests.billing.test_charging import charges, end, have, make_type

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN")


def go_on(feature: Feature, when: str, **fields: Any) -> Feature:
    """End a feature on a day and continue it as the book does."""
    end(feature, when)
    return have(feature.customer, feature.feature_type, when, continues=feature, **fields)


def test_a_price_change_credits_what_was_charged_ahead_and_charges_the_new_price(
    house: Reseller, ann: Customer
) -> None:
    old = have(ann, make_type(house, activation_fee=D("25"), kind="package"), "2026-01-01")
    generate_charges(house, until=day("2026-02-01"))
    go_on(old, "2026-01-16", price=D("62"), quantity=2)
    generate_charges(house, until=day("2026-02-01"))
    assert charges() == [
        ("2026-01-01", "2026-01-02", "2026-01-01", D("25.00")),
        ("2026-01-01", "2026-02-01", "2026-01-01", D("31.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("31.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("-31.00")),
        ("2026-01-16", "2026-02-01", "2026-01-16", D("-16.00")),
        ("2026-01-16", "2026-02-01", "2026-01-16", D("64.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("124.00")),
    ]
    assert generate_charges(house, until=day("2026-02-01")) == 0
    renewals = Charge.objects.filter(is_renewal=True).order_by("pk").values_list("service_start", "amount")
    assert [(str(start), amount) for start, amount in renewals] == [
        ("2026-01-01", D("31.00")), ("2026-02-01", D("31.00")), ("2026-02-01", D("124.00")),
    ]  # fmt: skip


def test_a_change_charged_before_it_is_entered_or_after_comes_to_the_same(
    house: Reseller, ann: Customer
) -> None:
    old = have(ann, make_type(house), "2026-01-01")
    go_on(old, "2026-01-16", price=D("62"))
    generate_charges(house, until=day("2026-02-01"))
    assert charges() == [
        ("2026-01-01", "2026-01-16", "2026-01-01", D("15.00")),
        ("2026-01-16", "2026-02-01", "2026-01-16", D("32.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("62.00")),
    ]


def test_quarters_run_on_from_the_first_start(house: Reseller, ann: Customer) -> None:
    """11 January, billing day 1: quarters begin on 1 April; a change on 15 February does not move them."""
    old = have(ann, make_type(house, price="90", interval="quarter"), "2026-01-11")
    new = go_on(old, "2026-02-15", price=D("180"))
    go_on(new, "2026-03-01", price=D("360"))
    generate_charges(house, until=day("2026-04-01"))
    assert charges() == [
        ("2026-01-11", "2026-02-15", "2026-01-11", D("35.00")),
        ("2026-02-15", "2026-03-01", "2026-02-15", D("28.00")),
        ("2026-03-01", "2026-04-01", "2026-03-01", D("124.00")),
        ("2026-04-01", "2026-07-01", "2026-04-01", D("360.00")),
    ]
    assert generate_charges(house, until=day("2026-06-30")) == 0
    assert generate_charges(house, until=day("2026-07-01")) == 1


def test_a_change_put_in_between_keeps_the_quarters(house: Reseller, ann: Customer) -> None:
    first = have(ann, make_type(house, price="90", interval="quarter"), "2026-01-11")
    change_feature(first, on=day("2026-03-01"), price=D("360"))
    change_feature(first, on=day("2026-02-15"), price=D("180"))
    generate_charges(house, until=day("2026-04-01"))
    assert [row[3] for row in sorted(charges())] == [D("35.00"), D("28.00"), D("124.00"), D("360.00")]


def test_without_proration_the_old_price_holds_to_the_end_of_the_period(
    house: Reseller, ann: Customer
) -> None:
    old = have(ann, make_type(house, prorate="none"), "2026-01-01")
    generate_charges(house, until=day("2026-02-01"))
    go_on(old, "2026-01-16", price=D("62"))
    generate_charges(house, until=day("2026-02-01"))
    assert charges()[2:] == [
        ("2026-02-01", "2026-03-01", "2026-02-01", D("-31.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("62.00")),
    ]


def test_by_30_days_credit_and_charge_mirror_each_other(house: Reseller, ann: Customer) -> None:
    old = have(ann, make_type(house, price="19.95", prorate="30"), "2026-01-01")
    generate_charges(house, until=day("2026-01-31"))
    go_on(old, "2026-01-23", price=D("19.95"))
    generate_charges(house, until=day("2026-01-31"))
    assert [row[3] for row in charges()] == [D("19.95"), D("-5.32"), D("5.32")]


def test_in_arrears_each_price_is_charged_for_its_days(house: Reseller, ann: Customer) -> None:
    old = have(ann, make_type(house, timing="arrears"), "2026-01-01")
    go_on(old, "2026-01-16", quantity=3)
    generate_charges(house, until=day("2026-02-01"))
    assert charges() == [
        ("2026-01-01", "2026-01-16", "2026-01-16", D("15.00")),
        ("2026-01-16", "2026-02-01", "2026-02-01", D("48.00")),
    ]


def test_another_rhythm_begins_anew(house: Reseller, ann: Customer) -> None:
    monthly = make_type(house)
    yearly = make_type(house, price="365", code="YEAR", interval="year")
    old = have(ann, monthly, "2026-01-01")
    end(old, "2026-01-16")
    have(ann, yearly, "2026-01-16", continues=old)
    generate_charges(house, until=day("2026-01-31"))
    assert [row[3] for row in charges()] == [D("15.00"), D("350.00")]
