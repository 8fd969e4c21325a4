"""Changing, ending and charging by the pages: what a clerk is told before, and what is there after."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.book_features import start_feature
from billing.models import (
    Charge,
    Contract,
    CustomerEvent,
    Feature,
    FeaturePrice,
    FeatureType,
    Observation,
    PriceUplift,
)
from resellerkpi.core.models import AuditEvent, Job
from resellerkpi.core.scope import enter
from tests.web.test_book_pages import as_
from tests.world import House, World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def world() -> World:
    return make_world()


def committed(house: House) -> Feature:
    """Give the first customer a feature of 40 a month, committed for 12 months, three quarters of the rest."""
    with enter(house.scope()):
        kind = FeatureType.objects.create(
            reseller=house.reseller,
            code="FIBRE",
            name="Fibre",
            minimum_term_months=12,
            termination_percent=75,
        )
        FeaturePrice.objects.create(
            reseller=house.reseller, feature_type=kind, price=Decimal(40), valid_from=date(2020, 1, 1)
        )
        return start_feature(customer=house.customers[0], feature_type=kind, start=date(2026, 1, 1))


def test_a_price_is_changed_from_a_day_after_a_look_at_the_bill(client: Client, world: World) -> None:
    as_(client, world.ana)
    feature = committed(world.alpha)
    address = reverse("feature-change", args=[feature.pk])
    asked = {"on": "2026-06-16", "quantity": "2", "price": "50", "discount_percent": "0", "cost": ""}
    shown = client.post(address, asked)
    page = shown.content.decode()
    assert (shown.status_code, "Make the change" in page, "with this change" in page) == (200, True, True)
    with enter(world.alpha.scope()):
        assert Feature.objects.filter(feature_type__code="FIBRE").count() == 1
    seen = page.split('name="seen" value="')[1].split('"')[0]
    other = client.post(address, {**asked, "quantity": "3", "seen": seen})
    assert "Make the change" in other.content.decode()
    done = client.post(address, {**asked, "seen": seen})
    assert done.status_code == 302
    with enter(world.alpha.scope()):
        new = Feature.objects.get(continues=feature)
        assert (new.start_date, new.quantity, new.price) == (date(2026, 6, 16), 2, Decimal(50))
        assert new.minimum_term_end == date(2027, 1, 1)
    assert "Over time" in client.get(reverse("feature", args=[new.pk])).content.decode()
    back = client.post(reverse("feature-change-back", args=[new.pk]))
    assert back["Location"] == reverse("feature", args=[feature.pk])


def test_nothing_changed_is_said_at_the_form(client: Client, world: World) -> None:
    as_(client, world.ana)
    feature = committed(world.alpha)
    same = {"on": "2026-06-16", "quantity": "1", "price": "", "discount_percent": "0", "cost": ""}
    answer = client.post(reverse("feature-change", args=[feature.pk]), same)
    assert (answer.status_code, "Nothing would change" in answer.content.decode()) == (422, True)


def test_ending_inside_a_term_says_what_it_costs_before_it_is_done(client: Client, world: World) -> None:
    as_(client, world.ana)
    feature = committed(world.alpha)
    address = reverse("feature-end", args=[feature.pk])
    said = client.post(address, {"on": "2026-11-01", "waive": ""}).content.decode().replace("\xa0", " ")
    assert "the early-termination charge of 60.00 GBP before VAT goes on the next bill." in said
    waived = client.post(address, {"on": "2026-11-01", "waive": "Goodwill"}).content.decode()
    assert "is waived" in waived
    seen = waived.split('name="seen" value="')[1].split('"')[0]
    assert client.post(address, {"on": "2026-11-01", "waive": "Goodwill", "seen": seen}).status_code == 302
    with enter(world.alpha.scope()):
        ended = Feature.objects.get(pk=feature.pk)
        assert (ended.end_date, ended.termination_waived) == (date(2026, 11, 1), True)
        assert AuditEvent.objects.get(action="feature.termination_waived").details["reason"] == "Goodwill"
    assert client.post(reverse("feature-reopen", args=[feature.pk])).status_code == 302
    with enter(world.alpha.scope()):
        assert Feature.objects.get(pk=feature.pk).end_date is None


def test_leaving_altogether_says_the_sum_and_the_notice(client: Client, world: World) -> None:
    as_(client, world.ana)
    feature = committed(world.alpha)
    customer = feature.customer
    made = client.post(
        reverse("customer-contract", args=[customer.pk]),
        {"reference": "C-1", "start_date": "2026-01-01", "minimum_term_end": "", "notice_days": "30"},
    )
    assert made.status_code == 302
    tomorrow = timezone.now().date() + timedelta(days=1)
    asked = {"status": "ceased", "on": f"{tomorrow}", "reason": "price", "end_services": "on"}
    said = client.post(reverse("customer-status", args=[customer.pk]), asked).content.decode()
    assert "Contract C-1 asks for 30 days’ notice" in said
    with enter(world.alpha.scope()):
        assert Contract.objects.get().notice_days == 30
        assert not CustomerEvent.objects.filter(customer=customer, status="ceased").exists()
    seen = said.split('name="seen" value="')[1].split('"')[0]
    done = client.post(reverse("customer-status", args=[customer.pk]), {**asked, "seen": seen})
    assert done.status_code == 302
    with enter(world.alpha.scope()):
        assert CustomerEvent.objects.filter(customer=customer, status="ceased").exists()


def test_a_charge_in_two_clicks_waits_on_the_customers_page_and_can_be_taken_back(
    client: Client, world: World
) -> None:
    as_(client, world.ana)
    house, customer = world.alpha, world.alpha.customers[0]
    address = reverse("customer-charge", args=[customer.pk])
    on = f"{timezone.now().date()}"
    fields = {"kind": "credit", "description": "Sorry for the outage", "amount": "12.50", "on": on, "vat_rate": "5",
              "number": house.numbers[0].pk}  # fmt: skip
    fields["once"] = client.get(address).context["form"]["once"].value()
    for _ in range(2):
        answer = client.post(address, fields, follow=True).content.decode()
    assert all(words in answer for words in ("Sorry for the outage", "Unbilled so far", "Take back"))
    assert '<option value="Sorry for the outage">' in client.get(address).content.decode()
    with enter(house.scope()):
        charge = Charge.objects.get(description="Sorry for the outage")
        assert (charge.amount, charge.vat_rate, charge.number_id) == (
            Decimal("-12.50"), Decimal(5), house.numbers[0].pk,
        )  # fmt: skip
    bill = client.get(reverse("customer-bill", args=[customer.pk])).content.decode()
    assert "Sorry for the outage" in bill
    assert client.post(reverse("charge-remove", args=[charge.pk])).status_code == 302
    with enter(house.scope()):
        assert not Charge.objects.filter(pk=charge.pk).exists()
    assert client.post(reverse("charge-remove", args=[charge.pk])).status_code == 404


def test_a_price_rise_from_the_index_to_the_way_back(client: Client, world: World) -> None:
    as_(client, world.ana)
    feature = committed(world.alpha)
    client.post(reverse("uplift-index"), {"index": "cpi", "month": "2026-01-15", "value": "3.8"})
    with enter(world.alpha.scope()):
        assert Observation.objects.get(metric="cpi").value == Decimal("3.8")
    fields = {"name": "April", "index": "cpi", "plus_percent": "3.9", "effective_date": "2027-04-01",
              "round_to": "0.01", "own_prices": "on", "in_term": "on", "notice_days": "30"}  # fmt: skip
    nothing = client.post(reverse("uplift-add"), {**fields, "index": "", "plus_percent": ""})
    assert "Choose an index or give a per cent." in nothing.content.decode()
    made = client.post(reverse("uplift-add"), fields)
    again = client.post(reverse("uplift-add"), fields)
    assert (again.status_code, "already a price rise with this name" in again.content.decode()) == (422, True)
    page = client.get(made["Location"]).content.decode()
    assert all(
        words in page for words in ("CPI 3.8 % plus 3.9 %", "2 Mar 2027", "Fibre", "43.08", "Put it in force")
    )
    with enter(world.alpha.scope()):
        uplift = PriceUplift.objects.get()
        assert (uplift.percent, uplift.applied_at) == (Decimal("7.7"), None)
    assert client.post(reverse("uplift-apply", args=[uplift.pk])).status_code == 302
    with enter(world.alpha.scope()):
        assert Job.objects.filter(kind="prices.uplift").count() == 1
        assert FeaturePrice.objects.filter(feature_type=feature.feature_type).count() == 2
    assert "In force since" in client.get(made["Location"]).content.decode()
    assert client.post(reverse("uplift-take-back", args=[uplift.pk])).status_code == 302
    with enter(world.alpha.scope()):
        assert FeaturePrice.objects.get(feature_type=feature.feature_type).valid_to is None
    assert client.post(reverse("uplift-discard", args=[uplift.pk])).status_code == 302
    with enter(world.alpha.scope()):
        assert not PriceUplift.objects.exists()
