"""The Billing errors report beside the page of billing errors and the call files; where each row is repaired."""

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import BillingRun, Call, CdrFile
from billing.rating.errors import ORDER, billing_errors
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from reports.web.table import frozen_table
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, rate_batch
from tests.reports.bills import NOW
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
#: Reason, item (billed party or destination), start, reported cost, expected cost.
FAILED = [
    ("unknown_cli", "0999", "2026-09-03 10:00", "0.50", None),
    ("unknown_cli", "0999", "2026-10-03 10:00", None, "0.25"),
    ("unknown_cli", "0888", "2026-10-04 10:00", None, None),
    ("inactive", "", "2026-10-05 10:00", "1.00", None),
    ("no_tariff", "", "2026-10-06 10:00", None, None),
    ("no_rate", "Mars", "2026-10-07 10:00", "2.00", "1.00"),
    ("no_rate", "Mars", "2026-10-08 10:00", "2.00", None),
    ("unknown_type", "", "2026-11-09 10:00", None, None),
]


@pytest.fixture
def world() -> World:
    made = make_world()
    house = made.alpha
    with enter(house.scope()):
        times = {
            "first_call_at": datetime(2026, 9, 1, tzinfo=UTC),
            "last_call_at": datetime(2026, 11, 10, tzinfo=UTC),
        }
        file = CdrFile.objects.create(
            reseller=house.reseller,
            carrier=house.carrier,
            format="x",
            name="x",
            size=1,
            sha256="x",
            state="loaded",
            rows=9,
            rated=1,
            unpriced=8,
            **times,
        )
        calls = [_call(made, *row, file=file.pk) for row in FAILED]
        rate_batch(house.reseller, *calls, a_call(house.customers[0], "2026-10-01 09:00", "0.10"))
    return made


def _call(
    world: World, reason: str, item: str, at: str, cost: str | None, expected: str | None, file: int = 0
) -> Call:
    known = reason not in ("unknown_cli", "inactive")
    call = a_call(
        world.alpha.customers[0],
        at,
        "0",
        state="error",
        reason=reason,
        currency="",
        billed_party=item if reason == "unknown_cli" else "0120",
        destination=item if reason == "no_rate" else "",
        charge_code="MRS" if reason == "no_rate" else "",
        number_id=world.alpha.numbers[1].pk if reason == "inactive" else None,
        cost=cost and D(cost),
        expected_cost=expected and D(expected),
        cost_currency="GBP" if cost or expected else "",
        carrier_id=world.alpha.carrier.pk,
        file_id=file,
    )
    if not known:
        call.customer = None
    return call


def asked(world: World, role: Role = Role.OWNER, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report over twelve months and return the run with its rows."""
    span = {"on_or_after": ["2025-12-01"], "before": ["2026-12-01"]}
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test")):
        made = run(REPORTS.get("billing-errors"), span | more, now=NOW)
        return made, list(Showing(made).rows())


def test_items_stand_in_repair_order_as_on_the_page_of_errors(world: World) -> None:
    made, rows = asked(world)
    with enter(world.alpha.scope()):
        wanted = [
            (group.reason, item.name or item.key, item.calls, sum(item.costs.values(), D(0)), item.first)
            for group in billing_errors(world.alpha.reseller)
            for item in group.items
        ]
    assert [
        (r["by_section"], r["by_item"], r["calls"], r["cost"], r["first"].astimezone(UTC)) for r in rows
    ] == wanted
    assert [(r["by_section"], r["by_item"], r["calls"], r["cost"], r["costless"]) for r in rows[:2]] == [
        ("unknown_cli", "0999", 2, D("0.75"), 0),
        ("unknown_cli", "0888", 1, D(0), 1),
    ]
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("8", "8", True)]


def test_sections_count_their_items_and_calls_lead_to_their_page(world: World) -> None:
    _, rows = asked(world, group_by=["section"])
    assert [(r["by_section"], r["calls"], r["items"], r["cost"]) for r in rows] == [
        ("unknown_cli", 3, 2, D("0.75")),
        ("inactive", 1, 1, D("1.00")),
        ("no_tariff", 1, 1, D(0)),
        ("no_rate", 2, 1, D("4.00")),
        ("unknown_type", 1, 1, D(0)),
    ]
    assert tuple(r["by_section"] for r in rows) == ORDER
    _, calls = asked(world, group_by=["item", "call"], section=["no_rate"])
    assert [(r["by_item"], f"{r['by_call']:%d %b}", r["cost"]) for r in calls] == [
        ("Mars", "07 Oct", D(2)),
        ("Mars", "08 Oct", D(2)),
    ]
    assert len({r["by_call_id"] for r in calls}) == 2


def test_each_row_leads_to_the_page_that_repairs_it(world: World, client: Client) -> None:
    made, rows = asked(world)
    with enter(world.alpha.scope()):
        table = frozen_table(Showing(made), RequestFactory().get("/").GET)
        shown = [str(row.get_cell("repair")) for row in table.rows]
    example = next(r for r in rows if r["by_section"] == "no_rate")["repair_id"]
    pages = [
        reverse("billing-errors"),
        reverse("billing-errors"),
        reverse("number", args=[world.alpha.numbers[1].pk]),
        reverse("customer", args=[world.alpha.customers[0].pk]),
        reverse("call", args=[example]),
    ]
    assert [cell.split('"')[1] for cell in shown[:5]] == pages
    client.force_login(world.ana)
    assert {client.get(page).status_code for page in pages} == {200}


def test_a_bill_run_and_roles_narrow_and_queries_do_not_follow_rows(world: World) -> None:
    with enter(world.alpha.scope()):
        dates = {"period_start": "2026-10-01", "period_end": "2026-11-01", "invoice_date": "2026-11-01"}
        BillingRun.objects.create(reseller=world.alpha.reseller, name="October", **dates)
    made, rows = asked(world, run=["monthly 2026-10-01"])
    assert sum(r["calls"] for r in rows) == 6
    assert made.tie_outs == []
    viewed, own = asked(world, Role.DEALER)
    assert "cost" not in {c["name"] for c in viewed.columns}
    assert len(own) == len({row[:2] for row in FAILED})
    counts = []
    for size in (0, 40):
        with enter(world.alpha.scope()):
            more = [
                _call(world, "no_rate", f"Place {n}", "2026-10-09 10:00", "1.00", None) for n in range(size)
            ]
            rate_batch(world.alpha.reseller, *more)
        with CaptureQueriesContext(connection) as seen:
            asked(world)
        counts.append(len(seen))
    assert counts[0] == counts[1]
