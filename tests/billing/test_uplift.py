"""Rises of prices: what they come to, against a naive reading of each feature; applied once; taken back."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from itertools import count
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.book_features import change_feature
from billing.charging.recurring import generate_charges
from billing.charging.uplift import UpliftRefused, apply_uplift, index_figure, take_back_uplift
from billing.charging.uplift_plan import notice_by, plan_uplift, raised
from billing.models import Charge, Customer, Feature, FeaturePrice, FeatureType, Observation, PriceUplift
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, day, make_customer, make_house
from tests.billing.test_charging import charges, have, make_type
from tests.billing.test_termination import put_on_a_bill

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ON = day("2026-04-01")
_houses = count(1)


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN", segment="Shops")


def draft(house: Reseller, percent: str = "7.3", **fields: Any) -> PriceUplift:
    return PriceUplift.objects.create(
        reseller=house, name="April", percent=D(percent), effective_date=ON, **fields
    )  # fmt: skip


def listed(kind: FeatureType) -> list[tuple[str, str | None, Decimal]]:
    rows = FeaturePrice.objects.filter(feature_type=kind).order_by("valid_from")
    return [(str(r.valid_from), str(r.valid_to) if r.valid_to else None, r.price) for r in rows]


def held(customer: Customer) -> list[tuple[str, str | None, Decimal | None]]:
    rows = Feature.objects.filter(customer=customer).order_by("start_date", "pk")
    return [(str(r.start_date), str(r.end_date) if r.end_date else None, r.price) for r in rows]


@pytest.mark.parametrize(
    ("price", "percent", "step", "expected"),
    [
        ("31", "7.3", "0.01", "33.26"),
        ("9.99", "7.3", "0.01", "10.72"),
        ("9.99", "7.3", "0.05", "10.70"),
        ("9.99", "7.3", "1", "11"),
        ("0.25", "2", "0.01", "0.26"),
        ("10", "-5", "0.5", "9.5"),
    ],
)
def test_a_price_rises_and_is_rounded_half_up_to_the_step(
    price: str, percent: str, step: str, expected: str
) -> None:
    assert raised(D(price), D(percent), D(step)) == D(expected)


def test_the_newest_figure_up_to_the_day_counts(house: Reseller) -> None:
    for on, value in (("2025-12-01", "3.4"), ("2026-01-01", "3.0"), ("2026-06-01", "9")):
        Observation.objects.create(reseller=house, metric="cpi", date=day(on), value=D(value))
    found = index_figure("cpi", ON)
    assert found is not None
    assert found.value == D("3.0")
    assert index_figure("rpi", ON) is None


def test_list_prices_end_and_begin_and_own_prices_change(house: Reseller, ann: Customer) -> None:
    kind = make_type(house, cost="12")
    have(ann, kind, "2026-01-01")
    have(ann, kind, "2026-02-01", price=D("20"), quantity=2, discount_percent=D(10))
    uplift = draft(house)
    plan = plan_uplift(uplift)
    assert plan.sums("type") == [
        {"id": kind.pk, "name": "Line rental", "currency": "GBP", "features": 2, "before": D("67.000000"),
         "after": D("71.888000"), "difference": D("4.888000")},
    ]  # fmt: skip
    assert notice_by(uplift) == day("2026-03-02")
    apply_uplift(uplift.pk, now=NOW)
    assert listed(kind) == [("2020-01-01", "2026-04-01", D("31")), ("2026-04-01", None, D("33.26"))]
    assert FeaturePrice.objects.get(valid_from=ON).cost == D(12)
    assert held(ann) == [
        ("2026-01-01", None, None), ("2026-02-01", "2026-04-01", D(20)), ("2026-04-01", None, D("21.46")),
    ]  # fmt: skip
    generate_charges(house, until=ON)
    april = Charge.objects.filter(service_start=ON).order_by("amount").values_list("amount", flat=True)
    assert list(april) == [D("33.26"), D("38.63")]


def test_applied_twice_it_is_applied_once(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-01", price=D(10))
    uplift = draft(house)
    first = apply_uplift(uplift.pk, now=NOW)
    again = apply_uplift(uplift.pk, now=datetime(2026, 3, 2, tzinfo=UTC))
    assert (again.applied_at, again.summary) == (NOW, first.summary)
    assert [price for _, _, price in held(ann)] == [D(10), D("10.73")]
    assert AuditEvent.objects.filter(action="uplift.applied").count() == 1


def test_who_is_in_a_minimum_term_may_keep_today_s_price(house: Reseller, ann: Customer) -> None:
    kind = make_type(house)
    for until in ("2026-04-01", "2026-04-02"):
        have(ann, kind, "2026-01-01", minimum_term_end=day(until))
    have(ann, kind, "2026-01-01", price=D(20), minimum_term_end=day("2027-01-01"))
    uplift = draft(house, scope={"in_term": False})
    assert plan_uplift(uplift).left_out == {"are in their minimum term and keep today’s price": 2}
    apply_uplift(uplift.pk, now=NOW)
    assert sorted(held(ann), key=str) == [
        ("2026-01-01", "2026-04-01", None), ("2026-01-01", None, D(20)), ("2026-01-01", None, None),
        ("2026-04-01", None, D(31)),
    ]  # fmt: skip


def test_a_segment_gets_own_prices_and_the_list_stays(house: Reseller, ann: Customer) -> None:
    kind = make_type(house)
    ben = make_customer(house, "BEN", segment="Offices")
    for customer in (ann, ben):
        have(customer, kind, "2026-01-01")
    apply_uplift(draft(house, scope={"segment": "Shops"}).pk, now=NOW)
    assert (held(ann)[-1], held(ben)) == (("2026-04-01", None, D("33.26")), [("2026-01-01", None, None)])
    assert listed(kind) == [("2020-01-01", None, D(31))]


def test_chosen_types_and_own_prices_may_be_left_alone(house: Reseller, ann: Customer) -> None:
    kind, other = make_type(house), make_type(house, code="B", name="Other")
    have(ann, kind, "2026-01-01", price=D(20))
    uplift = draft(house, scope={"types": [other.pk], "own_prices": False})
    assert [price.name for price in plan_uplift(uplift).prices] == ["Other"]
    PriceUplift.objects.update(scope={"own_prices": False})
    uplift.refresh_from_db()
    assert plan_uplift(uplift).left_out == {"have a price of their own, which stays": 1}


def test_what_is_out_of_reach_stays(house: Reseller, ann: Customer) -> None:
    kind, once = make_type(house), make_type(house, code="ONCE", interval="once")
    blocked = make_type(house, code="NEW", name="New", price=None)
    FeaturePrice.objects.create(reseller=house, feature_type=blocked, price=D(5), valid_from=ON)
    have(ann, kind, "2026-04-01", price=D(20))
    have(ann, kind, "2026-01-01", "2026-04-01", price=D(20))
    have(ann, kind, "2026-01-01", price=D(20), not_charged=True)
    have(ann, once, "2026-01-01", price=D(20))
    have(ann, blocked, "2026-01-01")
    plan = plan_uplift(draft(house))
    assert (plan.rises, [price.name for price in plan.prices]) == ([], ["Line rental"])
    assert plan.left_out == {"have a list price that begins on that day already": 1}


def test_it_can_be_taken_back_until_a_bill_carries_it(house: Reseller, ann: Customer) -> None:
    kind = make_type(house)
    have(ann, kind, "2026-01-01")
    have(ann, kind, "2026-01-01", price=D(20))
    uplift = draft(house)
    apply_uplift(uplift.pk, now=NOW)
    Charge.objects.update(created_at=NOW)
    generate_charges(house, until=ON)
    take_back_uplift(uplift.pk)
    assert listed(kind) == [("2020-01-01", None, D(31))]
    assert held(ann) == [("2026-01-01", None, None), ("2026-01-01", None, D(20))]
    generate_charges(house, until=ON)
    april = Charge.objects.filter(service_start=ON).order_by("amount").values_list("amount", flat=True)
    assert list(april) == [D(20), D(31)]
    assert generate_charges(house, until=ON) == 0
    Charge.objects.filter(service_end__gt=ON).delete()
    apply_uplift(uplift.pk, now=NOW)
    generate_charges(house, until=ON)
    put_on_a_bill(ann)
    with pytest.raises(UpliftRefused, match="A bill carries the new prices already"):
        take_back_uplift(uplift.pk)


def test_a_feature_changed_since_keeps_its_change(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01", price=D(20))
    uplift = draft(house)
    apply_uplift(uplift.pk, now=NOW)
    change_feature(Feature.objects.get(continues=feature), on=day("2026-05-01"), quantity=4)
    take_back_uplift(uplift.pk)
    assert held(ann) == [("2026-01-01", "2026-05-01", D(20)), ("2026-05-01", None, D(20))]
    assert list(Feature.objects.order_by("start_date").values_list("quantity", flat=True)) == [1, 4]
    assert Feature.objects.get(quantity=4).continues == feature
    apply_uplift(uplift.pk, now=NOW)
    assert [price for _, _, price in held(ann)] == [D(20), D("21.46"), D("21.46")]


def test_a_rise_that_changes_nothing_is_refused(house: Reseller, ann: Customer) -> None:
    make_type(house)
    with pytest.raises(UpliftRefused, match="No price would change"):
        apply_uplift(draft(house, percent="0.01").pk, now=NOW)


def test_a_change_already_entered_for_later_stays_in_the_chain(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01", price=D(20))
    change_feature(feature, on=day("2026-05-01"), price=D(18))
    apply_uplift(draft(house).pk, now=NOW)
    assert held(ann) == [
        ("2026-01-01", "2026-04-01", D(20)), ("2026-04-01", "2026-05-01", D("21.46")), ("2026-05-01", None, D(18)),
    ]  # fmt: skip
    generate_charges(house, until=day("2026-05-01"))
    assert [row[3] for row in sorted(charges())] == [D(a) for a in ("20", "20", "20", "21.46", "18")]


def test_a_later_change_that_keeps_the_own_price_rises_too(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01", price=D(20))
    more = change_feature(feature, on=day("2026-05-01"), quantity=2)
    agreed = change_feature(more, on=day("2026-06-01"), price=D(18))
    generate_charges(house, until=day("2026-06-01"))
    uplift = draft(house)
    apply_uplift(uplift.pk, now=NOW)
    raised_to = D("21.46")
    assert [price for _, _, price in held(ann)] == [D(20), raised_to, raised_to, D(18)]
    generate_charges(house, until=day("2026-06-01"))
    net = sum(charge.amount for charge in Charge.objects.filter(service_start__gte=ON))
    assert net == raised_to + 2 * raised_to + 2 * 18
    take_back_uplift(uplift.pk)
    assert held(ann) == [
        ("2026-01-01", "2026-05-01", D(20)), ("2026-05-01", "2026-06-01", D(20)), ("2026-06-01", None, D(18)),
    ]  # fmt: skip
    assert Feature.objects.get(pk=more.pk).continues == feature
    assert Feature.objects.get(pk=agreed.pk).continues == more
    generate_charges(house, until=day("2026-06-01"))
    net = sum(charge.amount for charge in Charge.objects.filter(service_start__gte=ON))
    assert net == 20 + 2 * 20 + 2 * 18


def test_a_later_quantity_at_list_price_keeps_what_its_segment_pays(house: Reseller, ann: Customer) -> None:
    feature = have(ann, make_type(house), "2026-01-01")
    change_feature(feature, on=day("2026-05-01"), quantity=2)
    uplift = draft(house, scope={"segment": "Shops"})
    apply_uplift(uplift.pk, now=NOW)
    assert [price for _, _, price in held(ann)] == [None, D("33.26"), D("33.26")]
    take_back_uplift(uplift.pk)
    assert [price for _, _, price in held(ann)] == [None, None]


def test_a_rise_from_a_day_gone_by_is_refused(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-01", price=D(20))
    uplift = draft(house)
    with pytest.raises(UpliftRefused, match="begins today or later"):
        apply_uplift(uplift.pk, now=datetime(2026, 4, 1, 23, 30, tzinfo=UTC))
    assert apply_uplift(uplift.pk, now=datetime(2026, 4, 1, 22, 30, tzinfo=UTC)).applied_at is not None


def test_a_rise_discarded_before_its_turn_says_so(house: Reseller) -> None:
    uplift = draft(house)
    gone = uplift.pk
    uplift.delete()
    with pytest.raises(UpliftRefused, match="has been discarded meanwhile"):
        apply_uplift(gone, now=NOW)


def test_statements_do_not_grow_with_the_features(house: Reseller, ann: Customer) -> None:
    kind = make_type(house)

    def asked(features: int) -> int:
        for _ in range(features):
            have(ann, kind, "2026-01-01", price=D(20))
        uplift = PriceUplift.objects.create(
            reseller=house, name=f"{features}", percent=D(5), effective_date=ON
        )
        with CaptureQueriesContext(connection) as found:
            apply_uplift(uplift.pk, now=NOW)
        take_back_uplift(uplift.pk)
        return len(found)

    assert asked(2) == asked(40)


worlds = st.lists(
    st.tuples(
        st.sampled_from([None, "9.99", "20", "0.004"]), st.integers(1, 3), st.sampled_from([0, 15]),
        st.sampled_from([None, "2026-03-31", "2026-04-01", "2027-01-01"]), st.sampled_from(["", "Shops"]),
        st.sampled_from(["month", "quarter", "year"]),
    ),
    max_size=8,
)  # fmt: skip
scopes = st.fixed_dictionaries(
    {"segment": st.sampled_from(["", "", "Shops"]), "own_prices": st.booleans(), "in_term": st.booleans()}
)


def naive_price(
    own: Decimal | None, old: Decimal, percent: Decimal, member: bool, keeps: bool, scope: Any
) -> Decimal:
    """Say what one feature costs from the day on, one question after the other."""
    new = (old * (100 + percent) / 100).quantize(D("0.01"), ROUND_HALF_UP)
    if scope["segment"] and not member:
        return old
    if keeps and not scope["in_term"]:
        return old
    if own is not None and not scope["own_prices"]:
        return old
    return new


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds, scopes, st.integers(-2_000, 12_000).map(lambda n: D(n) / 1_000))
def test_an_uplift_is_what_the_naive_reading_says(db: None, world: Any, scope: Any, percent: Decimal) -> None:
    house = make_house(f"u{next(_houses)}")
    with enter(Scope.of(house.pk)):
        expected, months = [], {"month": 1, "quarter": 3, "year": 12}
        for number, (own, quantity, off, term, segment, interval) in enumerate(world):
            kind = make_type(house, code=f"K{number}", interval=interval, price="31.05")
            customer = make_customer(house, f"C{number}", segment=segment)
            price = D(own) if own else None
            have(customer, kind, "2026-01-01", price=price, quantity=quantity, discount_percent=D(off),
                 minimum_term_end=day(term) if term else None)  # fmt: skip
            keeps = term is not None and date.fromisoformat(term) > ON
            new = naive_price(price, price or D("31.05"), percent, segment == "Shops", keeps, scope)
            expected.append(new * quantity * (100 - off) / 100 / months[interval])
        uplift = draft(house, percent=str(percent), scope=scope)
        plan = plan_uplift(uplift)
        if plan.prices or plan.own_prices:
            apply_uplift(uplift.pk, now=NOW)
        generate_charges(house, until=ON)
        found = [monthly(f"C{number}", months[interval]) for number, (*_, interval) in enumerate(world)]
        assert found == [total.quantize(D("0.000001"), ROUND_HALF_UP) for total in expected]


def monthly(code: str, months: int) -> Decimal:
    """Return what a customer pays a month from the day on, by the unit price of its charge of that day."""
    charge = Charge.objects.filter(
        customer__code=code, service_end__gt=ON, amount__gte=0, kind="recurring"
    ).latest("pk")
    return (charge.unit_price * charge.quantity / months).quantize(D("0.000001"), ROUND_HALF_UP)


def test_the_command_plans_and_with_apply_does_it_once(house: Reseller, ann: Customer) -> None:
    have(ann, make_type(house), "2026-01-01")
    Observation.objects.create(reseller=house, metric="cpi", date=day("2026-01-01"), value=D("3.4"))

    def asked(*more: str) -> dict[str, Any]:
        out = StringIO()
        call_command("uplift", "April", "--reseller", house.code, "--on", "2096-04-01", "--index", "cpi",
                     "--percent", "3.9", *more, stdout=out)  # fmt: skip
        return dict(json.loads(out.getvalue()))

    plan = {"name": "April", "percent": "7.3", "notice_by": "2096-03-02", "features": 1,
            "more_a_month": {"GBP": "2.26"}}  # fmt: skip
    assert asked() == {**plan, "applied": False}
    assert not PriceUplift.objects.exists()
    assert [asked("--apply")["applied"] for _ in range(2)] == [True, True]
    assert FeaturePrice.objects.count() == 2
    with pytest.raises(CommandError, match="There is no figure of RPI yet"):
        call_command("uplift", "May", "--reseller", house.code, "--on", "2026-05-01", "--index", "rpi")
