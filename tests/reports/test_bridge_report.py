"""The Variance bridge: its parts add up to the change exactly, and each says what it means."""

import random
from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Customer, InvoiceLine
from reports.definitions.bridge import NOTE, PARTS, Side, bridge
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
OCTOBER = {"period": ["last_month"]}
KINDS = ("recurring", "usage", "one_off", "carrier", "manual", "credit", NOTE)
amounts = st.decimals(min_value=-10_000, max_value=10_000, places=2)
units = st.decimals(min_value=0, max_value=1_000, places=3)
sides = st.none() | st.builds(
    Side,
    sums=st.dictionaries(
        st.tuples(st.sampled_from(KINDS), st.integers(1, 3)), st.tuples(amounts, units), min_size=1
    ),
)


@pytest.fixture
def world() -> World:
    return make_world()


def asked(
    world: World, role: Role = Role.OWNER, dealer: int | None = None, **more: list[str]
) -> tuple[Run, list[dict[str, Any]]]:
    """Run the bridge of October 2026 against September and return the run with its rows."""
    with enter(Scope.of(world.alpha.reseller.pk, role=role, why="test", dealer_id=dealer)):
        made = run(REPORTS.get("bridge"), OCTOBER | more, now=NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


@given(sides, sides)
def test_the_parts_of_a_customer_add_up_to_its_change_exactly(
    before: Side | None, after: Side | None
) -> None:
    parts = bridge(before, after)
    assert set(parts) == set(PARTS)
    assert sum(parts.values()) == (after or Side()).total - (before or Side()).total


def test_each_part_holds_what_it_says() -> None:
    before = {
        ("recurring", 1): (D(100), D(10)),
        ("recurring", 2): (D(30), D(1)),
        ("usage", "voice"): (D(60), D(600)),
    }
    after = {
        ("recurring", 1): (D(132), D(12)),
        ("usage", "voice"): (D(100), D(900)),
        ("recurring", 3): (D(8), D(2)),
    }
    more = {("one_off", None): (D(25), D(1)), (NOTE, None): (D(-7), D(0)), ("manual", None): (D(4), D(1))}
    parts = bridge(Side(sums=before), Side(sums=after | more))
    # 10 at 10.00 became 12 at 11.00: 2 more at the old price, 1.00 dearer on 12; one product dropped, one taken.
    assert (parts["quantity"], parts["price"]) == (D(20) - 30 + 8, D(12))
    # 600 seconds at 0.10 became 900 at 0.111…: 300 more at the old rate, the rest is the rate.
    assert (parts["volume"], parts["rate"]) == (D(30), D(10))
    assert (parts["one_off"], parts["credit"], parts["rest"]) == (D(25), D(-7), D(4))
    assert bridge(None, Side(sums=after))["new"] == D(240)
    assert bridge(Side(sums=before), None)["lost"] == D(-190)


def make_two_months(world: World) -> dict[str, tuple[D, D]]:
    """Bill six customers at random in September and October; return net less credits of both by account."""
    chance, found = random.Random(11), {}
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller, "status": "active"}
        customers = [
            Customer.objects.create(
                **own, code=f"R{n}", name=f"Random {n}", dealer=world.alpha.dealers[n % 2]
            )
            for n in range(6)
        ]
    for n, customer in enumerate(customers):
        sums = []
        for month in (9, 10):
            if (n, month) in ((0, 9), (1, 10)):
                sums.append(D(0))
                continue
            lines = [
                (
                    chance.choice(["recurring", "usage", "one_off", "manual", "credit"]),
                    f"{chance.randrange(1, 99999) / 100:.2f}",
                    "1.10",
                )
                for _ in range(4)
            ]
            bill = Bill(
                f"{n}-{month}", customer, date(2026, month, 3), lines, credited=chance.choice(["", "5.00"])
            )
            make_bills(world.alpha, bill)
            sums.append(sum((D(net) for _, net, _ in lines), D(0)) - D(bill.credited or 0))
        found[customer.code] = (sums[0], sums[1])
    return found


def test_the_bridge_leads_from_one_month_to_the_next_of_all_and_of_each(world: World) -> None:
    sums = make_two_months(world)
    made, rows = asked(world)
    change = sum(now - was for was, now in sums.values())
    assert [r["part"] for r in rows] == [label for label, _ in PARTS.values()]
    assert sum(r["change"] for r in rows) == change == D(made.totals[0]["change"])
    assert {r["part"]: r["change"] for r in rows}["New customers"] == sums["R0"][1]
    assert {r["part"]: r["change"] for r in rows}["Lost customers"] == -sums["R1"][0]
    assert [(t["ledger"], t["ok"]) for t in made.tie_outs] == [
        (str(sum(now for _, now in sums.values())), True)
    ]
    _, people = asked(world, view=["customer"])
    assert {r["code"]: (r["before"], r["after"]) for r in people} == sums
    assert all(sum(r[name] for name in PARTS) == r["change"] == r["after"] - r["before"] for r in people)
    _, mine = asked(world, Role.DEALER, world.alpha.dealers[0].pk, view=["customer"])
    assert {r["code"] for r in mine} == {"R0", "R2", "R4"}


def test_margin_is_explained_only_to_who_may_see_it(world: World) -> None:
    sums = make_two_months(world)
    with enter(world.alpha.scope()):
        cost = sum(line.cost for line in InvoiceLine.objects.filter(invoice__invoice_date__month=10))
        less = sum(line.cost for line in InvoiceLine.objects.filter(invoice__invoice_date__month=9))
    made, _ = asked(world, what=["margin"])
    revenue = sum(now - was for was, now in sums.values())
    assert D(made.totals[0]["change"]) == revenue - (cost - less)
    assert all(t["ok"] for t in made.tie_outs)
    seen, _ = asked(world, Role.VIEWER, what=["margin"])
    assert D(seen.totals[0]["change"]) == revenue
