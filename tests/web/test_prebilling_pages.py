"""The pre-billing report as a clerk meets it: what stops the run, where it is mended, letting it pass with a reason."""

from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from billing.billrun.runs import prepare_run
from billing.models import BillingRun, Feature, Finding
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import enter
from tests.billing.money import a_call, rate_batch
from tests.web.test_book_pages import as_
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def world() -> World:
    return make_world()


def run_with_an_error(world: World) -> BillingRun:
    """Prepare August with a call that no tariff priced and a feature charged at 0."""
    house = world.alpha
    with enter(house.scope()):
        lost = {"state": "error", "reason": "no_tariff", "cost": Decimal("2.50"), "cost_currency": "GBP"}
        rate_batch(house.reseller, a_call(house.customers[0], "2026-08-05 10:00", "0", **lost))
        Feature.objects.filter(pk=house.features[0].pk).update(price=0)
        return prepare_run(house.reseller, parse_month("2026-08", house.reseller.zone))


def test_what_stops_a_run_is_mended_or_let_pass_with_a_reason(client: Client, world: World) -> None:
    run = run_with_an_error(world)
    as_(client, world.ana)
    report, rows = (
        reverse("run-prebilling", args=[run.pk]),
        reverse("run-prebilling-check", args=[run.pk, "customers_without_tariff"]),
    )
    assert f'href="{report}"' in client.get(reverse("run", args=[run.pk])).content.decode()
    shown = client.get(report).content.decode()
    assert [text in shown for text in (f'href="{rows}"', "Stops the run", "2.50\xa0GBP", "13.50\xa0GBP")] == [
        True
    ] * 4
    assert shown.index("Customers with calls and without a tariff") < shown.index(
        "Lines and calls at a price of 0"
    )
    page = client.get(rows).content.decode()
    customer = world.alpha.customers[0]
    assert f'href="{reverse("customer-tariff", args=[customer.pk])}"' in page
    with enter(world.alpha.scope()):
        finding = Finding.objects.get(check_slug="customers_without_tariff")
    refused = client.post(rows, {"findings": [finding.pk], "reason": "", "do": "accept"})
    assert (refused.status_code, "Say why they may pass." in refused.content.decode()) == (422, True)
    nothing = client.post(rows, {"reason": "x", "do": "accept"})
    assert (nothing.status_code, "Tick the rows that are meant." in nothing.content.decode()) == (422, True)
    foreign = client.post(rows, {"findings": [finding.pk + 99], "reason": "x\0", "do": "accept"})
    assert foreign.status_code == 422
    done = client.post(
        rows, {"findings": [finding.pk], "reason": "Our own line", "do": "accept"}, follow=True
    )
    page = done.content.decode()
    assert "1 row is accepted." in page
    assert "Our own line (for this run by Ana" in page
    with enter(world.alpha.scope()):
        finding.refresh_from_db()
        assert (finding.state, finding.accepted_by, finding.accepted_until) == (
            "accepted",
            world.ana,
            date.max,
        )
    client.post(rows, {"every": "on", "do": "open"})
    with enter(world.alpha.scope()):
        assert Finding.objects.get(pk=finding.pk).state == "open"


def test_a_clean_report_says_so_and_a_made_up_check_is_not_there(client: Client, world: World) -> None:
    with enter(world.alpha.scope()):
        run = prepare_run(world.alpha.reseller, parse_month("2025-08", world.alpha.reseller.zone))
    as_(client, world.ana)
    assert "All clean" in client.get(reverse("run-prebilling", args=[run.pk])).content.decode()
    empty = client.get(reverse("run-prebilling-check", args=[run.pk, "zero_rates"])).content.decode()
    assert "Nothing found any more" in empty
    assert client.get(reverse("run-prebilling-check", args=[run.pk, "unrated_calls"])).status_code == 404
    as_(client, world.bo)
    assert client.get(reverse("run-prebilling", args=[run.pk])).status_code == 404
