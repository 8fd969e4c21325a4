"""Dated changes of a feature: the row that continues another, and what the next bill carries for it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.book_features import change_feature
from billing.charging.prorate import Interval, Service, periods
from billing.charging.recurring import generate_charges
from billing.importing.tables.mapping import Mapping
from billing.models import Charge, Customer, Feature
from billing.models.locks import MONEY
from billing.pipeline_book import import_book
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house
from tests.billing.test_charging import charges, end, have, make_type

pytestmark = pytest.mark.django_db
_houses = count(1)


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


steps = st.lists(
    st.tuples(st.integers(1, 100), st.integers(0, 9_999), st.integers(1, 3), st.integers(0, 90)), max_size=5
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(1, 31), st.integers(0, 9_999), st.sampled_from(["advance", "arrears"]))
def test_whatever_changes_when_each_day_is_paid_once_at_its_price(
    db: None, history: list[tuple[int, int, int, int]], billing_day: int, pence: int, timing: str
) -> None:
    """Each charge is rounded by itself, so the sum is within half a penny per charge of the exact one."""
    house = make_house(f"w{next(_houses)}")
    with enter(Scope.of(house.pk)):
        start, until = date(2026, 1, 10), date(2026, 5, 31)
        kind = make_type(house, price=str(D(pence) / 100), timing=timing)
        ann = make_customer(house, "ANN", billing_day=billing_day)
        have(ann, kind, str(start))
        wanted: dict[date, Decimal] = defaultdict(lambda: D(pence) / 100)
        for after, price, quantity, generated in history:
            on = start + timedelta(after)
            running = Feature.objects.filter(start_date__lt=on).exclude(end_date__lte=on).first()
            if running is None or (running.price, running.quantity) == (D(price) / 100, quantity):
                continue
            end_of = running.end_date or date.max
            change_feature(running, on=on, price=D(price) / 100, quantity=quantity)
            for n in range(300):
                if on <= start + timedelta(n) < end_of:
                    wanted[start + timedelta(n)] = D(price) / 100 * quantity
            generate_charges(house, until=start + timedelta(generated))
        generate_charges(house, until=until)
        made = list(Charge.objects.exclude(kind="one_off"))
        exact, days = Fraction(0), Counter[date]()
        for charge in made:
            sign = -1 if charge.kind == "credit" else 1
            for n in range((charge.service_end - charge.service_start).days):
                days[charge.service_start + timedelta(n)] += sign
        assert set(days.values()) <= {0, 1}
        paid = [day for day, times in days.items() if times]
        assert sorted(paid) == [start + timedelta(n) for n in range(len(paid))]
        exact = sum((Fraction(wanted[day]) / length_of(day, start, billing_day) for day in paid), Fraction(0))
        assert abs(sum((Fraction(c.amount) for c in made), Fraction(0)) - exact) <= Fraction(len(made), 200)
        assert generate_charges(house, until=until) == 0


def length_of(day: date, start: date, billing_day: int) -> int:
    """Return the days of the charged period that holds a day, by the months the first boundary gives."""
    service = Service(start, None, Interval.MONTH, billing_day)
    part = next(part for part in periods(service, until=day) if part.end > day)
    return (part.period_end - part.period_start).days


def test_an_import_of_features_waits_for_bills_before_it_locks_features(
    house: Reseller, ann: Customer, tmp_path: Path
) -> None:
    kind = make_type(house)
    path = tmp_path / "features.csv"
    path.write_text(f"customer,feature_type,start_date\n{ann.code},{kind.code},2026-01-01\n")
    mapping = Mapping.of({})
    outcome = import_book("features", path, reseller=house, mapping=mapping, today=day("2026-02-01"))
    assert (outcome.loaded, [p.as_dict() for p in outcome.problems]) == (1, [])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND classid = %s AND objid = %s AND granted",
            [MONEY, house.pk],
        )
        assert cursor.fetchone() == (1,)
