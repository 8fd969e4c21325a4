"""What moves recurring revenue adds up in every currency and slice; margins hold what suppliers say."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.charging.carrier_costs import carrier_costs
from billing.models import (
    Carrier,
    CarrierCharge,
    CarrierInvoice,
    Customer,
    CustomerEvent,
    Feature,
    FeatureType,
    Invoice,
    InvoiceLine,
)
from kpis.kpi import KPIS
from kpis.models import KpiSettings, Snapshot
from kpis.reading import live
from kpis.series import Point
from kpis.snapshots import refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_every_kpi import with_world
from tests.kpis.test_published_units import feature, figures, house

D = Decimal
APRIL = date(2026, 4, 1)
SLUGS = [
    *("mrr", "mrr_new", "mrr_reactivation", "mrr_expansion", "mrr_contraction", "mrr_churn", "net_new_mrr"),
    *("mrr_home", "net_new_mrr_home", "mrr_fx"),
]


@pytest.mark.django_db
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world(), st.sampled_from(["", "segment", "region"]))
def test_recurring_revenue_rolls_forward(book: dict[str, Any], dimension: str) -> None:
    """Open + new + came back + expansion − contraction − lost = close; at home with the impact of the rates."""

    def check(made: Reseller) -> None:
        kpis = [KPIS.get(s) for s in SLUGS]
        found = live(kpis, made, Scope.of(made.pk), worlds.MONTHS, worlds.NOW, dimension)
        value = {
            (s, p.key, p.currency, p.month): p.value or D(0) for s, points in found.items() for p in points
        }
        for key, currency, month in {(p.key, p.currency, p.month) for p in found["mrr"]}:
            if month == worlds.MONTHS[0]:
                continue

            def at(slug: str, when: date = month, key: str = key, currency: str = currency) -> D:
                return value.get((slug, key, currency, when), D(0))

            won = at("mrr_new") + at("mrr_reactivation") + at("mrr_expansion")
            net = won - at("mrr_contraction") - at("mrr_churn")
            assert at("net_new_mrr") == net
            assert at("mrr", add_months(month, -1)) + net == at("mrr")
            moved = at("net_new_mrr_home") + at("mrr_fx")
            assert at("mrr_home", add_months(month, -1)) + moved == at("mrr_home")

    with_world(book, check)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("chosen", "mrr", "lost", "back", "more"),
    [
        ("keep", [16, 16, 16, 21, 21], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 5, 0]),
        ("leave_out", [15, 5, 5, 20, 15], [0, 10, 0, 0, 5], [0, 0, 0, 15, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_suspended_customers_are_kept_or_lost_until_they_are_back(
    chosen: str, mrr: list[int], lost: list[int], back: list[int], more: list[int]
) -> None:
    """Ann, 10 and from April 15, is suspended from February to 3 April; Cy, 1, always; Bob, 5, within March, in May."""
    made, scope = house("sus")
    with enter(scope):
        KpiSettings.objects.create(reseller=made, mrr_suspended=chosen)
        kind = FeatureType.objects.create(reseller=made, code="f", name="f")
        ann, bob, cy = (
            Customer.objects.create(reseller=made, code=code, name=code, status="suspended")
            for code in ("ann", "bob", "cy")
        )
        feature(ann, kind, 10, date(2026, 1, 5), APRIL)
        feature(ann, kind, 15, APRIL)
        feature(bob, kind, 5, date(2026, 1, 5))
        feature(cy, kind, 1, date(2026, 1, 5))
        for one, day, status in (
            (ann, date(2026, 2, 10), "suspended"), (ann, date(2026, 4, 3), "active"),
            (bob, date(2026, 3, 5), "suspended"), (bob, date(2026, 3, 20), "active"),
            (bob, date(2026, 5, 20), "suspended"),
        ):  # fmt: skip
            CustomerEvent.objects.create(reseller=made, customer=one, date=day, status=status)
        slugs = ("mrr", "mrr_churn", "mrr_reactivation", "mrr_expansion", "features_total")
        found = figures(slugs, made, scope)
        read = {s: [p.value if (p := found.get((s, m))) else 0 for m in worlds.MONTHS] for s in slugs}
    wanted = dict(zip(slugs, (mrr, lost, back, more, [3] * 5), strict=True))
    assert {s: [v or 0 for v in values] for s, values in read.items()} == wanted


@pytest.mark.django_db
def test_the_first_event_of_a_suspended_customer_reaches_back() -> None:
    """Ann always was suspended; with an event in May she was active until then."""
    made, scope = house("sus")
    with enter(scope):
        KpiSettings.objects.create(reseller=made, mrr_suspended="leave_out")
        kind = FeatureType.objects.create(reseller=made, code="f", name="f")
        ann = Customer.objects.create(reseller=made, code="ann", name="ann", status="suspended")
        feature(ann, kind, 10, date(2026, 3, 5))
        refresh(made, now=worlds.NOW)
        brings = Snapshot.objects.filter(kpi="mrr", dimension="").values_list("month", "numerator")
        assert list(brings) == []
        CustomerEvent.objects.create(reseller=made, customer=ann, date=date(2026, 5, 4), status="suspended")
        refresh(made, now=worlds.NOW)
        assert set(brings.all()) == {(date(2026, 3, 1), 10), (APRIL, 10)}
        CustomerEvent.objects.all().delete()
        refresh(made, now=worlds.NOW)
        assert list(brings.all()) == []


def bill(customer: Customer, month: int, net: Any, *lines: tuple[str, Any, Any]) -> None:
    """Issue an invoice on the first of a month with lines (kind, net, cost)."""
    day = date(2026, month, 1)
    made = Invoice.objects.create(
        reseller=customer.reseller, customer=customer, number=f"{customer.code}-{month}", state="issued",
        invoice_date=day, due_date=day, currency="GBP", net=D(net), gross=D(net),
    )  # fmt: skip
    for position, (kind, amount, cost) in enumerate(lines):
        InvoiceLine.objects.create(
            reseller=customer.reseller, invoice=made, position=position, kind=kind, description=kind,
            net=D(amount), cost=D(cost),
        )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("nets", "of_population", "wanted"),
    [
        ((200, 220, 240, 325), False, 1),
        ((200, 220, 240, 310), False, 0),
        ((1000, 1000, 1000, 1120), False, 0),
        ((None, 220, 240, 900), False, 0),
        ((700, 1000, 1300, 1260), False, 0),
        ((700, 1000, 1300, 1260), True, 1),
    ],
)
def test_invoices_stand_out_as_published(nets: Any, of_population: bool, wanted: int) -> None:
    made, scope = house("odd")
    with enter(scope):
        KpiSettings.objects.create(reseller=made, anomaly_population=of_population)
        one = Customer.objects.create(reseller=made, code="c", name="c")
        for month, net in enumerate(nets, 1):
            if net is not None:
                bill(one, month, net)
        found = figures(("invoice_anomalies",), made, scope)
    assert (found["invoice_anomalies", APRIL].value or 0) == wanted


def charge(made: Reseller, line: int, kind: str, amount: Any, **more: Any) -> None:
    """Write an allocated charge for April on a carrier's bill."""
    carrier, _ = Carrier.objects.get_or_create(reseller=made, code="K", name="K")
    bill_of, _ = CarrierInvoice.objects.get_or_create(
        reseller=made, carrier=carrier, number="1", invoice_date=date(2026, 4, 9), currency="GBP"
    )
    given_ = {
        "service_start": date(2026, 4, 1),
        "service_end": date(2026, 5, 1),
        "state": "allocated",
        **more,
    }
    CarrierCharge.objects.create(
        reseller=made, invoice=bill_of, line=line, kind=kind, description=kind, amount=D(amount), **given_
    )


@pytest.mark.django_db
def test_the_margin_of_a_month_as_published() -> None:
    """Usage 18.015 + 3 accounts at 5 + 4 numbers at 1 = 37.015; sold for 60: 38.3 %."""
    made, scope = house("margin")
    with enter(scope):
        one = Customer.objects.create(reseller=made, code="c", name="c")
        bill(one, 4, 60, ("usage", 30, "18.015"), ("recurring", 30, 15))
        for line in range(4):
            charge(made, line, "rental", 1, customer=one)
        found = figures(("gross_profit", "gross_margin_customer"), made, scope)
    assert found["gross_profit", APRIL].value == D("22.985")
    assert (found["gross_margin_customer", APRIL].value or D(0)).quantize(D("0.001")) == D("0.383")


@pytest.mark.django_db
def test_what_suppliers_charge_beside_is_what_charging_says() -> None:
    """A cost that a feature, a charge or the calls stand for is not counted twice: the two agree to the penny."""
    made, scope = house("extra")
    with enter(scope):
        one = Customer.objects.create(reseller=made, code="c", name="c")
        kind = FeatureType.objects.create(reseller=made, code="f", name="f")
        feature(one, kind, 10, date(2026, 1, 1))
        bare = Feature.objects.get(customer=one)
        dear = Feature.objects.create(
            reseller=made, customer=one, feature_type=kind, price=10, cost=3, start_date=date(2026, 1, 1)
        )
        charge(made, 1, "rental", "7.00", customer=one, feature=bare)
        charge(made, 2, "rental", "50.00", customer=one, feature=dear)
        charge(made, 3, "usage", "90.00", customer=one)
        charge(made, 4, "one_off", "31.00", customer=one, service_end=date(2026, 5, 2))
        charge(made, 5, "credit", "-2.00", customer=one, service_start=date(2026, 3, 2))
        costs = sum(c.extra for c in carrier_costs(made, APRIL, date(2026, 5, 1)))
        found = live([KPIS.get("gross_profit")], made, scope, [APRIL], worlds.NOW, "kind")["gross_profit"]
    (supply,) = [p.value for p in found if p.key == "supply"]
    assert supply == -D("36.00")
    assert costs == D("36.00")


def test_leakage_is_of_what_should_have_been_billed() -> None:
    shape = KPIS.get("leakage_pct").shape
    assert shape.combine is not None
    top, bottom, _ = shape.combine([(D(24000), None), (D(1176000), None)])
    assert Point(APRIL, "", "GBP", top, bottom).value == D("0.02")
