"""The Exceptions report: its four kinds on a small world, exactly; groups, roles, months and pages of repair."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import CarrierCharge, CarrierInvoice, Feature, FeatureType
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, rate_batch
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
OCTOBER = {"on_or_after": ["2026-10-01"], "before": ["2026-11-01"]}
USAGE = ["unmatched_usage", "no_price_usage"]


@pytest.fixture
def world() -> World:
    made = make_world()
    house = made.alpha
    first, second, third = house.customers
    failed = {"state": "error", "currency": "", "carrier_id": house.carrier.pk}
    with enter(house.scope()):
        nobody = {
            **failed,
            "reason": "unknown_cli",
            "billed_party": "0999",
            "cost": D("0.5"),
            "cost_currency": "GBP",
        }
        calls = [a_call(first, f"2026-10-0{n} 10:00", "0", **nobody) for n in (3, 4)]
        for call in calls:
            call.customer = None
        dear = {**failed, "reason": "no_rate", "billed_party": "0120", "destination": "Mars"}
        calls += [
            a_call(second, "2026-10-05 10:00", "0", **dear, expected_cost=D("2")),
            a_call(second, "2026-09-05 10:00", "0", **dear),
            a_call(first, "2026-10-06 10:00", "0.10"),
        ]
        rate_batch(house.reseller, *calls)
        _charges(made)
        own = {"reseller": house.reseller, "customer": third}
        bare = FeatureType.objects.create(reseller=house.reseller, code="BARE", name="Bare product")
        dates = {"start_date": date(2026, 10, 10), "end_date": date(2026, 12, 1)}
        Feature.objects.create(**own, feature_type=bare, reference="order 7", **dates)
        Feature.objects.create(**own, feature_type=bare, price=D("3"), **dates)
        Feature.objects.create(**own, feature_type=bare, not_charged=True, **dates)
    return made


def _charges(world: World) -> None:
    """A supplier's bill: two lines of an unknown circuit, one for nobody's customer, one sold on, one of September."""
    house = world.alpha
    own = {"reseller": house.reseller}
    bills = [
        CarrierInvoice.objects.create(
            **own, carrier=house.carrier, number=str(day), invoice_date=day, currency="GBP"
        )
        for day in (date(2026, 10, 2), date(2026, 9, 2))
    ]
    base = {"service_start": date(2026, 9, 1), "service_end": date(2026, 10, 1)}
    known = {"state": "allocated", "customer": house.customers[1]}
    rows: list[dict[str, Any]] = [
        {
            "reference": "CCT1",
            "product": "Fibre",
            "amount": D("20"),
            "reason": "Nothing in the book has this reference.",
        },
        {
            "reference": "CCT1",
            "product": "Fibre",
            "amount": D("-5"),
            "reason": "Nothing in the book has this reference.",
        },
        {"reference": "CCT2", "product": "Router", "amount": D("7"), **known},
        {"reference": "CCT3", "product": "Router", "amount": D("7"), "retail": D("9"), **known},
        {"reference": "0120", "product": "Line", "amount": D("8"), **known, "number": house.numbers[1]},
    ]
    for line, row in enumerate(rows, 1):
        CarrierCharge.objects.create(**own, invoice=bills[0], line=line, description="x", **base, **row)
    CarrierCharge.objects.create(**own, invoice=bills[1], line=1, description="x", amount=1, **base)


def asked(world: World, role: Role = Role.OWNER, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report over October and return the run with its rows."""
    dealer = world.alpha.dealers[0].pk if role == Role.DEALER else None
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        made = run(REPORTS.get("exceptions"), OCTOBER | more, now=NOW)
        return made, list(Showing(made).rows())


def test_the_four_kinds_stand_one_after_the_other(world: World) -> None:
    _, rows = asked(world)
    names = ("kind", "item", "place", "customer_name", "count", "amount", "first", "last")
    assert [tuple(r[n] for n in names) for r in rows] == [
        ("unmatched_usage", "0999", "", None, 2, D("1.0"), date(2026, 10, 3), date(2026, 10, 4)),
        ("no_price_usage", "0120", "Mars", "Alpha Customer 2", 1, D(2), date(2026, 10, 5), date(2026, 10, 5)),
        ("unmatched_product", "CCT1", "Fibre", None, 2, D(15), date(2026, 9, 1), date(2026, 9, 30)),
        ("no_price_product", "CCT2", "Router", "Alpha Customer 2", 1, D(7), date(2026, 9, 1), date(2026, 9, 30)),
        (
            "no_price_product", "order 7", "Bare product", "Alpha Customer 3", 1, None,
            date(2026, 10, 10), date(2026, 10, 31),
        ),
    ]  # fmt: skip


def test_each_row_leads_to_a_page_and_groups_add_up(world: World, client: Client) -> None:
    _, rows = asked(world)
    pages = [
        reverse(r["repair_url"], args=[r["repair_id"]] if r["repair_id"] else [])
        for r in rows
        if r["item"] != "0120"
    ]
    client.force_login(world.ana)
    assert [client.get(page).status_code for page in pages] == [200] * 4
    _, kinds = asked(world, group_by=["kind"])
    assert {(r["by_kind"], r["currency"]): (r["count"], r["amount"]) for r in kinds} == {
        ("unmatched_usage", "GBP"): (2, D("1.0")),
        ("no_price_usage", "GBP"): (1, D(2)),
        ("unmatched_product", "GBP"): (2, D(15)),
        ("no_price_product", "GBP"): (2, D(7)),
    }
    _, dealers = asked(world, group_by=["dealer"], kind=["no_price_product"])
    assert [(r["by_dealer"], r["count"], r["first"]) for r in dealers] == [
        ("Alpha Dealer 2", 2, date(2026, 9, 1))
    ]
    _, since = asked(world, compare=["month"], kind=USAGE)
    assert [(r["item"], r["count"], r["count_before"]) for r in since] == [("0999", 2, None), ("0120", 1, 1)]


def test_filters_of_calls_leave_products_out_and_roles_see_their_own(world: World) -> None:
    _, narrow = asked(world, destination=["mars"])
    assert [r["kind"] for r in narrow] == ["no_price_usage"]
    made, own = asked(world, Role.DEALER)
    assert own == []
    assert not {"amount", "supplier"} & {c["name"] for c in made.columns}
    counts = []
    for size in (0, 30):
        with enter(world.alpha.scope()):
            calls = [
                a_call(
                    world.alpha.customers[n % 3], "2026-10-07 10:00", "0", state="error", reason="no_rate",
                    destination=f"Place {n}", currency="",
                )
                for n in range(size)
            ]  # fmt: skip
            rate_batch(world.alpha.reseller, *calls)
        with CaptureQueriesContext(connection) as seen:
            asked(world, group_by=["customer"])
        counts.append(len(seen))
    assert counts[0] == counts[1]
