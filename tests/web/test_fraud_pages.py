"""The pages of the fraud watch and of spend limits, as a clerk uses them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import FraudAlert, SpendLimit
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.scope import enter
from tests.reports.test_fraud_mail import spend
from tests.rules.test_access import client_of
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def world() -> World:
    return make_world()


def test_a_clerk_sets_a_limit_sees_it_passed_raises_accepts_and_resolves(world: World) -> None:
    ana, today = client_of(world.ana), timezone.localdate()
    customer = world.alpha.customers[0]
    assert "Nothing is alarming." in ana.get("/usage/fraud/").content.decode()
    fields = {"covers": "abroad", "per": "day", "amount": "5", "currency": "gbp", "warn_percent": "80"}
    fields |= {"start_date": f"{today}", "customer": "", "destination": "", "end_date": ""}
    assert ana.post("/usage/spend-limits/add/", fields | {"destination": "Cuba"}).status_code == 422
    assert ana.post("/usage/spend-limits/add/", fields).status_code == 302
    assert ana.post("/usage/spend-limits/add/", fields).status_code == 422
    with enter(world.alpha.scope()):
        spend(world, "6.25")
        enqueue("usage.watch", {}, title="Fraud watch")
    with enter(world.alpha.scope()):
        alert = FraudAlert.objects.get()

    page = ana.get("/usage/fraud/").content.decode()
    assert "has reached the limit for every customer for international calls" in page
    assert "6.25" in page
    page = ana.get(f"/usage/fraud/{alert.pk}/").content.decode()
    assert "+5371234567" in page
    assert "In the register" in page
    customer_page = ana.get(f"/customers/{customer.pk}/").content.decode()
    assert "Every customer’s" in customer_page or "Every customer&#x27;s" in customer_page

    form = ana.get(
        f"/usage/spend-limits/add/?customer={customer.code}&like={alert.limit_id}"
    ).content.decode()
    assert f'value="{customer.code}"' in form
    assert 'value="5.00"' in form
    raised = fields | {"customer": customer.code, "amount": "50"}
    assert ana.post("/usage/spend-limits/add/", raised).status_code == 302
    with enter(world.alpha.scope()):
        own = SpendLimit.objects.get(customer=customer)
    assert f'value="{customer.code}"' in ana.get(f"/usage/spend-limits/{own.pk}/").content.decode()

    accepted = {"until": f"{today + timedelta(days=5)}", "reason": "Trade fair in Havana"}
    assert ana.post(f"/usage/fraud/{alert.pk}/accept/", accepted).status_code == 302
    assert "Trade fair in Havana" in ana.get(f"/usage/fraud/{alert.pk}/").content.decode()
    resolved = ana.post(f"/usage/fraud/{alert.pk}/resolve/", {"words": "They knew."}, follow=True)
    assert "Nothing is alarming." in resolved.content.decode()
    assert "They knew." in ana.get(f"/usage/fraud/{alert.pk}/").content.decode()
    assert "Alpha Customer 1" in ana.get("/usage/fraud/?state=resolved").content.decode()


def test_a_dealer_sees_warnings_of_its_customers_without_cost(world: World) -> None:
    with enter(world.alpha.scope()):
        SpendLimit.objects.create(
            reseller=world.alpha.reseller, amount=5, start_date=timezone.localdate() - timedelta(days=1)
        )
        spend(world, "6.25")
        enqueue("usage.watch", {}, title="Fraud watch")
    with enter(world.alpha.scope()):
        alert = FraudAlert.objects.get()
        FraudAlert.objects.update(cost="4.44", cost_currency="GBP")
        other = FraudAlert.objects.create(
            reseller=world.alpha.reseller, subject="x", period="2026-11-01", mark="unusual", label="Elsewhere",
            why="Why", customer=world.alpha.customers[1], first_seen=timezone.now(), last_seen=timezone.now(),
        )  # fmt: skip
    dee = client_of(world.dee)
    page = dee.get("/usage/fraud/").content.decode()
    assert "Alpha Customer 1" in page
    assert "Elsewhere" not in page
    page = dee.get(f"/usage/fraud/{alert.pk}/").content.decode()
    assert "6.25" in page
    assert "4.44" not in page
    assert [dee.get(f"/usage/fraud/{other.pk}/").status_code, dee.get("/usage/fraud/watchers/").status_code] == [
        404, 403,
    ]  # fmt: skip
