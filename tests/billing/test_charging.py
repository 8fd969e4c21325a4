"""Recurring charges of features, from the book to the charge."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charging.coverage import add, overlap, remove
from billing.charging.recurring import generate_charges
from billing.models import Charge, Customer, Feature, FeaturePrice, FeatureType
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house

pytestmark = pytest.mark.django_db

Shown = tuple[str, str, str, Decimal]


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN")


def make_type(house: Reseller, price: str | None = "31", cost: str = "0", **fields: Any) -> FeatureType:
    values = {"code": "LINE", "name": "Line rental", **fields}
    made = FeatureType.objects.create(reseller=house, **values)
    if price is not None:
        add_price(made, price, "2020-01-01", cost=cost)
    return made


def add_price(kind: FeatureType, price: str, start: str, end: str | None = None, cost: str = "0") -> None:
    FeaturePrice.objects.create(
        reseller=kind.reseller, feature_type=kind, price=D(price), cost=D(cost),
        valid_from=day(start), valid_to=day(end) if end else None,
    )  # fmt: skip


def have(customer: Customer, kind: FeatureType, start: str, end: str | None = None, **fields: Any) -> Feature:
    return Feature.objects.create(
        reseller=customer.reseller, customer=customer, feature_type=kind,
        start_date=day(start), end_date=day(end) if end else None, **fields,
    )  # fmt: skip


def end(feature: Feature, when: str | None) -> None:
    feature.end_date = day(when) if when else None
    feature.save()


def charges() -> list[Shown]:
    found = Charge.objects.order_by("pk").values_list("service_start", "service_end", "bill_date", "amount")
    return [(str(start), str(stop), str(billed), amount) for start, stop, billed, amount in found]


def test_in_advance_the_stub_and_the_next_month_are_charged(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-11")
    assert generate_charges(house, until=day("2026-02-01")) == 2
    assert charges() == [
        ("2026-01-11", "2026-02-01", "2026-01-11", D("21.00")),
        ("2026-02-01", "2026-03-01", "2026-02-01", D("31.00")),
    ]


def test_generating_twice_adds_nothing_and_later_only_what_is_new(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-11")
    made = [generate_charges(house, until=day(until)) for until in ("2026-02-01", "2026-02-01", "2026-03-31")]
    assert made == [2, 0, 1]


def test_in_arrears_only_ended_periods_are_charged(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house, timing="arrears"), "2026-01-11")
    generate_charges(house, until=day("2026-02-28"))
    assert charges() == [("2026-01-11", "2026-02-01", "2026-02-01", D("21.00"))]


@pytest.mark.parametrize(
    ("interval", "billing_day", "first_end", "amount"),
    [
        ("month", 15, "2026-01-15", "4.00"),
        ("quarter", 1, "2026-04-01", "27.56"),
        ("year", 31, "2026-01-31", "1.70"),
    ],
)
def test_periods_follow_interval_and_billing_day(
    house: Reseller, interval: str, billing_day: int, first_end: str, amount: str
) -> None:
    ann = make_customer(house, "ANN", billing_day=billing_day)
    have(ann, make_type(house, interval=interval), "2026-01-11")
    generate_charges(house, until=day("2026-01-11"))
    assert charges() == [("2026-01-11", first_end, "2026-01-11", D(amount))]


@pytest.mark.parametrize(("method", "amount"), [("30", "20.67"), ("none", "31.00")])
def test_part_periods_by_30_days_or_at_full_price(
    house: Reseller, ann: Customer, method: str, amount: str
) -> None:
    have(ann, make_type(house, prorate=method), "2026-01-11")
    generate_charges(house, until=day("2026-01-11"))
    assert [row[3] for row in charges()] == [D(amount)]


def test_a_price_change_splits_the_period(house: Reseller, ann: Customer) -> None:
    kind = make_type(house, price=None)
    add_price(kind, "31", "2026-01-01", "2026-01-16")
    add_price(kind, "62", "2026-01-16")
    have(ann, kind, "2026-01-01")
    generate_charges(house, until=day("2026-01-01"))
    assert charges() == [
        ("2026-01-01", "2026-01-16", "2026-01-01", D("15.00")),
        ("2026-01-16", "2026-02-01", "2026-01-01", D("32.00")),
    ]


def test_days_without_a_price_wait_for_one(house: Reseller, ann: Customer) -> None:
    kind = make_type(house, price=None)
    have(ann, kind, "2026-01-01")
    assert generate_charges(house, until=day("2026-01-01")) == 0
    add_price(kind, "31", "2026-01-11")
    assert generate_charges(house, until=day("2026-01-01")) == 1
    assert charges() == [("2026-01-11", "2026-02-01", "2026-01-01", D("21.00"))]


def test_own_price_discount_quantity_and_cost(house: Reseller, ann: Customer) -> None:
    have(
        ann, make_type(house, cost="1.5"), "2026-01-01", price=D("9.99"), discount_percent=D("15"), quantity=3
    )
    generate_charges(house, until=day("2026-01-01"))
    charge = Charge.objects.get()
    assert (charge.unit_price, charge.amount, charge.cost) == (D("8.4915"), D("25.47"), D("4.5"))


def test_cease_credits_what_was_charged_beyond_the_end(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01")
    generate_charges(house, until=day("2026-02-01"))
    end(feature, "2026-01-11")
    assert generate_charges(house, until=day("2026-02-01")) == 2
    assert charges()[2:] == [
        ("2026-02-01", "2026-03-01", "2026-02-01", D("-31.00")),
        ("2026-01-11", "2026-02-01", "2026-01-11", D("-21.00")),
    ]
    assert generate_charges(house, until=day("2026-06-01")) == 0
    assert set(Charge.objects.filter(amount__lt=0).values_list("kind", flat=True)) == {"credit"}


def test_an_end_that_moves_is_followed_and_comes_out_even(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01")
    for until, ended in [("2026-01-01", None), ("2026-01-01", "2026-01-11"), ("2026-01-01", "2026-01-21"),
                         ("2026-01-01", "2026-01-11"), ("2026-02-01", None)]:  # fmt: skip
        end(feature, ended)
        generate_charges(house, until=day(until))
    assert [row[3] for row in charges()] == [D(a) for a in ("31", "-21", "10", "-10", "21", "31")]
    assert generate_charges(house, until=day("2026-02-01")) == 0


def test_without_proration_a_begun_period_is_not_credited_but_an_unserved_one_is(
    house: Reseller, ann: Customer
) -> None:
    feature = have(ann, make_type(house, prorate="none"), "2026-01-01")
    generate_charges(house, until=day("2026-02-01"))
    end(feature, "2026-01-11")
    generate_charges(house, until=day("2026-02-01"))
    assert charges()[2:] == [("2026-02-01", "2026-03-01", "2026-02-01", D("-31.00"))]


def test_a_credit_takes_back_the_price_that_was_charged(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01")
    generate_charges(house, until=day("2026-01-01"))
    Feature.objects.filter(pk=feature.pk).update(price=D("999"), quantity=7, end_date=day("2026-01-02"))
    generate_charges(house, until=day("2026-01-01"))
    assert charges()[1][3] == D("-30.00")


def test_packages_start_with_an_activation_and_renew(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house, kind="package"), "2026-01-11")
    generate_charges(house, until=day("2026-02-01"))
    found = Charge.objects.order_by("pk").values_list("amount", "is_activation", "is_renewal", "kind")
    assert list(found) == [
        (D("0.00"), True, False, "one_off"),
        (D("21.00"), False, True, "recurring"),
        (D("31.00"), False, True, "recurring"),
    ]


def test_an_activation_fee_is_charged_once_and_whole(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house, activation_fee=D("25")), "2026-01-31", quantity=2)
    generate_charges(house, until=day("2026-01-31"))
    generate_charges(house, until=day("2026-02-28"))
    assert [row[3] for row in charges()] == [D("50.00"), D("2.00"), D("62.00")]


def test_once_is_charged_at_the_start_only(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house, interval="once"), "2026-01-11")
    assert [generate_charges(house, until=day(until)) for until in ("2026-01-10", "2026-01-11", "2027-01-01")] == [
        0, 1, 0,
    ]  # fmt: skip
    assert charges() == [("2026-01-11", "2026-01-12", "2026-01-11", D("31.00"))]


def test_what_is_not_charged_makes_no_charge(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-01", not_charged=True)
    assert generate_charges(house, until=day("2026-06-01")) == 0


def test_another_house_is_left_alone(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-01")
    other = make_house("beta")
    with enter(Scope.of(other.pk)):
        assert generate_charges(other, until=day("2026-01-01")) == 0


spans = st.tuples(st.integers(1, 28), st.integers(1, 28)).filter(lambda s: s[0] < s[1])
moves = st.lists(st.tuples(st.booleans(), spans), max_size=12)


@given(moves)
def test_coverage_is_what_counting_days_says(history: list[tuple[bool, tuple[int, int]]]) -> None:
    covered: list[tuple[date, date]] = []
    days: set[int] = set()
    for more, (low, high) in history:
        span = (date(2026, 1, low), date(2026, 1, high))
        covered = add(covered, span) if more else remove(covered, span)
        days = days | set(range(low, high)) if more else days - set(range(low, high))
    shown = {d for d in range(1, 29) for s in covered if overlap(s, (date(2026, 1, d), date(2026, 1, d + 1)))}
    assert shown == days
    assert covered == sorted(covered)
