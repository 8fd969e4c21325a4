"""The three-way match where a clerk looks at a service: on the pages of the customer, the number and the feature."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import MatchedMonth, Number, ServiceMatch
from billing.web.match_panel import match_panel
from resellerkpi.core.access import Role
from resellerkpi.core.scope import enter
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
OCTOBER, TODAY = date(2026, 10, 1), date(2026, 11, 22)


@pytest.fixture
def world() -> World:
    """Alpha with a matched October: of its first customer two services as expected, one that waits, one not billed."""
    made = make_world()
    house = made.alpha
    with enter(house.scope()):
        MatchedMonth.objects.create(
            reseller=house.reseller, month=OCTOBER, matched_at=datetime(2026, 11, 22, tzinfo=UTC)
        )
        service(made, "a", "agrees", "fine")
        service(made, "b", "agrees", "fine", month=date(2026, 9, 1))
        service(made, "b", "agrees", "fine", number=house.numbers[0])
        service(made, "c", "bill_missing", "wait")
        loss = {"at_risk": D("16.50"), "number": house.numbers[0], "feature": house.features[0]}
        service(made, "d", "not_billed", "loss", **loss)
        service(made, "e", "not_billed", "loss", customer=house.customers[1], at_risk=D(9))
    return made


def service(world: World, key: str, finding: str, attention: str, **fields: Any) -> ServiceMatch:
    """Keep a service of the match."""
    values: dict[str, Any] = {
        "month": OCTOBER, "customer": world.alpha.customers[0], "feature_type": world.alpha.line, "state": "pbs",
        "supplier": "billed", "currency": "GBP", "cost_currency": "GBP", "risk_currency": "GBP", "since": OCTOBER,
        **fields,
    }  # fmt: skip
    return ServiceMatch.objects.create(
        reseller=world.alpha.reseller, key=key, finding=finding, attention=attention, **values
    )


def said(world: World, role: Role = Role.OWNER, **whose: Any) -> list[tuple[str, str]] | None:
    """Return what the panel says of services."""
    with enter(world.alpha.scope(role)) as scope:
        panel = match_panel(scope, TODAY, search="C001", **whose)
        return None if panel is None else [(label, str(words)) for label, words, *_ in panel.items]


def test_problems_are_named_with_their_money_and_the_rest_is_counted(world: World) -> None:
    house = world.alpha
    number, risk = house.numbers[0], "Not billed to the customer: 16.50\N{NO-BREAK SPACE}GBP a month at risk"
    problem = (f"{house.line}, {number}", risk)
    assert said(world, customer=house.customers[0]) == [
        problem,
        ("Billed and on the supplier’s bill", "2 services"),
        ("Billed; the supplier’s bill is not here yet", "1 service"),
    ]
    assert said(world, number=number) == [problem, ("Billed and on the supplier’s bill", "1 service")]
    assert said(world, feature=house.features[0]) == [problem]
    assert said(world, number=house.numbers[1]) == [
        ("Services", "None was provided, billed or charged in October 2026.")
    ]
    assert said(world, Role.SUPPORT, customer=house.customers[0]) is None


def test_pages_ask_as_much_for_forty_services_as_for_four(client: Client, world: World) -> None:
    client.force_login(world.ana, "django.contrib.auth.backends.ModelBackend")
    house = world.alpha
    pages = [
        f"/customers/{house.customers[0].pk}/",
        f"/numbers/{house.numbers[0].pk}/",
        f"/features/{house.features[0].pk}/",
    ]

    def asked() -> list[int]:
        counts = []
        for page in pages:
            with CaptureQueriesContext(connection) as queries:
                shown = client.get(page).content.decode()
            assert "Three-way match, October 2026" in shown
            assert "16.50" in shown
            counts.append(len(queries))
        return counts

    before = asked()
    with enter(house.scope()):
        number = Number.objects.get(pk=house.numbers[0].pk)
        for at in range(36):
            service(
                world,
                f"x{at}",
                "not_billed",
                "loss",
                at_risk=D(at) / 10,
                number=number,
                feature=house.features[0],
            )
    assert asked() == before
    assert "32 more that need a look" in client.get(pages[0]).content.decode()
