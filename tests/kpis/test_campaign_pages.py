"""Campaigns and the funnel: what is entered and what the book holds, on one page."""

from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Customer, Observation
from kpis.campaigns import funnel, tallies
from kpis.models import Campaign
from kpis.reading import Reader
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_refresh import account
from tests.kpis.test_published_more import bill
from tests.rules.test_access import client_of
from tests.world import World, make_world

D = Decimal
MONTHS = [date(2026, 3, 1), date(2026, 4, 1)]
LINES = [
    ("marketing_spend", MONTHS[0], "campaign", "radio", D(300), ""),
    ("marketing_spend", MONTHS[1], "campaign", "radio", D(100), ""),
    ("marketing_spend", MONTHS[1], "", "", D(50), ""),
    ("impressions", MONTHS[1], "campaign", "radio", D(2000), ""),
    ("clicks", MONTHS[1], "campaign", "radio", D(10), ""),
    ("visits", MONTHS[1], "source", "search", D(90), ""),
    ("visits", MONTHS[1], "campaign", "radio", D(60), ""),
    ("leads", MONTHS[1], "campaign", "radio", D(8), ""),
    ("orders", MONTHS[1], "campaign", "radio", D(4), ""),
    ("orders", MONTHS[1], "", "", D(1), ""),
]


@pytest.mark.django_db
def test_a_campaign_is_worth_what_its_customers_bring() -> None:
    """400 spent, two won, 900 billed to them: 200 each, and the return is (900 − 400) ÷ 400."""
    span = [("N1", "mobile", (date(2026, 4, 5), None))]
    people = [
        account("C0", campaign="radio", numbers=span, invoices=[bill(date(2026, 4, 30), 900)]),
        account("C1", campaign="radio", numbers=[("N2", "mobile", (date(2026, 4, 9), None))]),
        account(
            "C2", numbers=[("N3", "mobile", (date(2026, 4, 9), None))], invoices=[bill(date(2026, 4, 30), 70)]
        ),
    ]
    house = Reseller.objects.create(code="c", name="Campaigns")
    with enter(Scope.of(house.pk)) as scope:
        worlds.load({"customers": people, "spend": {}, "observed": LINES}, house)
        reader = Reader(house, scope, worlds.NOW, always_live=True)
        (tally,) = tallies(reader, MONTHS)
        steps = {by: funnel(reader, MONTHS, by) for by in ("source", "campaign")}
    row = tally.row("print")
    assert [row[n] for n in ("campaign_spend", "accounts_won", "cac", "campaign_revenue", "campaign_profit")] == [
        400, 2, 200, 900, 900,
    ]  # fmt: skip
    assert (row["ctr"], row["conversion"], row["roi"]) == (D("0.005"), D("0.25"), D("1.25"))
    assert list(steps["source"]) == ["print", "search", ""]
    assert steps["source"]["print"] == {"web_traffic": 60, "leads": 8, "orders": 4, "first_invoices": 1}
    assert steps["source"]["search"]["web_traffic"] == 90
    assert [steps["source"][""][step] for step in ("orders", "first_invoices")] == [1, 1]
    assert steps["campaign"]["radio"]["first_invoices"] == 1


@pytest.fixture
def world(committed_db: None) -> World:
    made = make_world()
    with enter(made.alpha.scope()):
        month = add_months(timezone.now().date().replace(day=1), -1)
        Observation.objects.create(
            reseller=made.alpha.reseller, metric="marketing_spend", date=month, dimension="campaign",
            key="Web & mail", value=D(120), currency="GBP",
        )  # fmt: skip
        Customer.objects.filter(pk=made.alpha.customers[0].pk).update(campaign="Web & mail")
    return made


def test_the_pages_of_a_campaign(world: World) -> None:
    browser: Client = client_of(world.ana)
    listed = browser.get(reverse("campaign-list")).content.decode()
    assert "Web &amp; mail" in listed
    assert "120.00" in listed
    page = browser.get(reverse("campaign", args=["Web & mail"]))
    assert world.alpha.customers[0].name in page.content.decode()
    assert browser.get(reverse("campaign", args=["Nobody"])).status_code == 404
    assert browser.get(reverse("campaign-edit", args=["Nobody"])).status_code == 404
    edit = reverse("campaign-edit", args=["Web & mail"])
    wrong = browser.post(edit, {"source": "Post", "start_date": "2026-05-02", "end_date": "2026-05-01"})
    assert "It must come after the first day." in wrong.content.decode()
    assert browser.post(edit, {"source": "Post", "start_date": "", "end_date": ""}).status_code == 302
    with enter(world.alpha.scope()):
        assert Campaign.objects.get().source == "Post"
    assert "Post" in browser.get(reverse("campaign-list")).content.decode()
    strange = browser.get(reverse("funnel"), {"from": "2026-05", "to": "2026-01"}).content.decode()
    assert "Choose 1 to 60 months, the first before the last." in strange
    assert browser.get(reverse("funnel"), {"from": "x", "to": "y", "by": "campaign"}).status_code == 200
