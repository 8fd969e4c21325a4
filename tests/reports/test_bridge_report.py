"""The Variance bridge: its parts add up to the change exactly, and each says what it means."""

import random
from datetime import date
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import CreditNote, Customer, Feature, InvoiceLine
from kpis.kpi import KPIS
from kpis.reading import live
from kpis.snapshots import refresh
from reports.bridging import NOTE, OF_AVERAGE, OF_MRR, PARTS, Pair, Side, average, bridge, bridge_of_average
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, run
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
    invoices=st.integers(0, 4),
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


@given(st.lists(st.tuples(sides, sides), max_size=6))
def test_the_parts_of_an_average_add_up_to_its_change_exactly(pairs: list[Pair]) -> None:
    parts = bridge_of_average(pairs)
    assert set(parts) == set(OF_AVERAGE)
    ends = []
    for end in zip(*pairs, strict=True) if pairs else ([], []):
        there = [side for side in end if side]
        ends.append(average(sum((s.total for s in there), D(0)), sum(s.invoices for s in there)))
    assert sum(parts.values()) == ends[1] - ends[0]


def test_an_average_moves_by_who_left_who_came_and_what_the_others_pay() -> None:
    def side(amount: int, invoices: int) -> Side:
        return Side(sums={("one_off", None): (D(amount), D(1))}, invoices=invoices)

    # 100 + 20 + 60 on 3 invoices is 60.00; without the 20 it is 80.00; on 3 invoices of the two who stay 53.33;
    # with 110 in the place of 100 it is 56.67; with 50 more on one more invoice it is 55.00
    pairs: list[Pair] = [
        (side(100, 1), side(110, 2)),
        (side(20, 1), None),
        (side(60, 1), side(60, 1)),
        (None, side(50, 1)),
    ]
    told = {name: change for name, change in bridge_of_average(pairs).items() if change}
    assert told == {"lost": D("20.00"), "invoices": D("-26.67"), "one_off": D("3.34"), "new": D("-1.67")}


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
    # what says something of the margin is for those who may see it, however the result is passed on
    assert {c["needs"] for c in made.columns if c["name"] in ("change", "reach", "of_before")} == {
        "view_margin"
    }
    assert [n[0] for n in made.notes] == ["Margin"]
    with pytest.raises(BadQuery, match="Explain: Select a valid choice"):
        asked(world, Role.VIEWER, what=["margin"])


def ends(rows: list[dict[str, Any]]) -> dict[str, tuple[D, D]]:
    """Return where a bridge starts and ends by currency, from its first and last row."""
    found: dict[str, tuple[D, D]] = {}
    for row in rows:
        start = found[row["currency"]][0] if row["currency"] in found else row["reach"] - row["change"]
        found[row["currency"]] = (start, row["reach"])
    return found


def kpi(world: World, *slugs: str) -> list[D]:
    """Return the sums of KPIs of September and October in pounds, to the penny."""
    months = [date(2026, 9, 1), date(2026, 10, 1)]
    scope = world.alpha.scope(Role.OWNER)
    with enter(scope):
        points = live([KPIS.get(slug) for slug in slugs], world.alpha.reseller, scope, months, NOW)
    found = dict.fromkeys(months, D(0))
    for slug in slugs:
        for point in points[slug]:
            if point.currency == "GBP":
                found[point.month] += (point.value or D(0)) * (-1 if slug == "credit_notes" else 1)
    return [value.quantize(D("0.01"), ROUND_HALF_UP) for value in found.values()]


def test_the_ends_are_the_kpis_of_the_same_months(world: World) -> None:
    make_two_months(world)
    # an invoice taken back whole in its month counts in no average, one taken back later does
    second = world.alpha.customers[1]
    whole, later = make_bills(
        world.alpha,
        Bill("W-1", second, date(2026, 10, 5), (("one_off", "500.00", "0"),), credited="600.00"),
        Bill("W-2", second, date(2026, 9, 5), (("one_off", "90.00", "0"),)),
    )
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller, "currency": "GBP"}
        for name, start, end, price in (
            ("A", date(2026, 1, 1), None, "10.00"), ("B", date(2026, 1, 1), date(2026, 10, 10), "7.00"),
            ("C", date(2026, 10, 3), None, "4.50"),
        ):  # fmt: skip
            customer = Customer.objects.create(
                reseller=world.alpha.reseller, code=name, name=name, status="active"
            )
            Feature.objects.create(
                reseller=world.alpha.reseller, customer=customer, feature_type=world.alpha.package,
                start_date=start, end_date=end, price=D(price),
            )  # fmt: skip
        CreditNote.objects.create(
            **own, customer=second, invoice=later, number="LATE", date=date(2026, 10, 9), reason="Late",
            net=D("90.00"), vat=D("18.00"), gross=D("108.00"), issued_at=NOW,
        )  # fmt: skip
        refresh(world.alpha.reseller, now=NOW, full=True)
    for what, slugs in (
        ("revenue", ("total_invoiced", "credit_notes")),
        ("average", ("aiv",)),
        ("mrr", ("mrr",)),
    ):
        made, rows = asked(world, what=[what])
        assert list(ends(rows)["GBP"]) == kpi(world, *slugs), what
        assert all(t["ok"] for t in made.tie_outs), what
        assert sum(r["change"] for r in rows) == ends(rows)["GBP"][1] - ends(rows)["GBP"][0]
    assert [r["part"] for r in rows] == [label for label, _ in OF_MRR.values()]
    moved = {r["part"]: r["change"] for r in rows}
    assert (moved["New customers"], moved["Lost customers"]) == (D("4.50"), D("-7.00"))
    assert [n[:2] for n in made.notes][0] == ["Monthly recurring revenue", "31 Oct 2026 against 30 Sep 2026"]
    assert whole.pk != later.pk


def test_what_cannot_be_explained_is_refused_in_a_sentence(world: World) -> None:
    with pytest.raises(BadQuery, match="customers do not add up to it"):
        asked(world, what=["average"], view=["customer"])
    with pytest.raises(BadQuery, match="choose whole months"):
        asked(world, what=["mrr"], period=["dates"], on_or_after=["2026-10-10"], before=["2026-10-20"])
    made, rows = asked(world, what=["average"])
    assert (rows, [n[1] for n in made.notes]) == ([], ["October 2026 against September 2026"])
