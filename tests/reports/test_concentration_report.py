"""Revenue concentration against plain Python and the KPIs."""

import random
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from billing.models import Customer
from kpis.kpi import KPIS
from kpis.reading import live
from reports.charting import draw, offered
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.scope import enter
from resellerkpi.ui.charts import figure
from tests.reports.bills import NOW, Bill, make_bills
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
YEAR = {"on_or_after": ["2025-12-01"], "before": ["2026-12-01"]}


@pytest.fixture
def world() -> World:
    return make_world()


def asked(world: World, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the report over twelve months and return the run with its rows."""
    with enter(world.alpha.scope()):
        made = run(REPORTS.get("concentration"), YEAR | more, now=NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def make_revenue(world: World) -> dict[str, D]:
    """Bill seven customers at random, credit some; return net less credits by account."""
    chance, found = random.Random(7), {}
    with enter(world.alpha.scope()):
        own = {"reseller": world.alpha.reseller, "status": "active"}
        customers = [Customer.objects.create(**own, code=f"R{n}", name=f"Random {n}") for n in range(7)]
        test = Customer.objects.create(**own, code="TEST", name="Test", is_test=True)
    for customer in customers:
        found[customer.code] = D(0)
        for n in range(chance.randrange(1, 4)):
            net, credit = D(chance.randrange(1000, 90000)) / 100, D(chance.choice([0, 0, 3]))
            day = date(2026, 1, 1) + timedelta(days=chance.randrange(300))
            lines = (("recurring", str(net), "1"),)
            bill = Bill(f"{customer.code}-{n}", customer, day, lines, credited=str(credit) if credit else "")
            make_bills(world.alpha, bill)
            found[customer.code] += net - credit
    make_bills(world.alpha, Bill("TEST-1", test, date(2026, 3, 1)))
    return found


def test_shares_ranks_and_the_index_are_those_of_plain_python_and_of_the_kpis(world: World) -> None:
    revenue = make_revenue(world)
    whole = sum(revenue.values())
    made, rows = asked(world)
    ranked = sorted(revenue, key=lambda code: -revenue[code])
    assert [(r["rank"], r["code"], r["net"], r["left"]) for r in rows] == [
        (n, code, revenue[code], whole - revenue[code]) for n, code in enumerate(ranked, 1)
    ]
    running = D(0)
    for r in rows:
        running += r["net"]
        assert abs(r["running"] - running / whole) < D("1e-6")
        others = [value for code, value in revenue.items() if code != r["code"]]
        index = sum((100 * value / sum(others)) ** 2 for value in others)
        assert abs(r["hhi_left"] - index) < D("1e-5")
    index = sum((100 * value / whole) ** 2 for value in revenue.values())
    assert abs(D(made.totals[0]["hhi"]) - index) < D("1e-5")
    with enter(world.alpha.scope()):
        slugs = ("hhi", "concentration_top1", "concentration_top5")
        kpis = [KPIS.get(slug) for slug in slugs]
        points = live(kpis, world.alpha.reseller, world.alpha.scope(), [date(2026, 11, 1)], NOW)
    told = (D(made.totals[0]["hhi"]), rows[0]["share"], rows[4]["running"])
    for slug, value in zip(slugs, told, strict=True):
        kpi = points[slug][0].value
        assert kpi is not None
        assert abs(kpi - value) < D("1e-5")


def test_the_rest_stands_in_one_row_and_nothing_is_lost(world: World) -> None:
    revenue = make_revenue(world)
    _, every = asked(world)
    made, rows = asked(world, top=["3"])
    assert [r["code"] for r in rows] == [*(r["code"] for r in every[:3]), ""]
    assert rows[3]["customer_name"] == "All others (4)"
    assert rows[3]["net"] == sum(sorted(revenue.values())[:4])
    assert D(made.totals[0]["net"]) == sum(revenue.values())
    assert D(made.totals[0]["hhi"]) == sum(r["hhi"] for r in every)


def test_the_lorenz_curve_is_offered_and_drawn_from_the_ranks(world: World) -> None:
    revenue = make_revenue(world)
    with enter(world.alpha.scope()):
        showing = Showing(run(REPORTS.get("concentration"), YEAR | {"top": ["3"]}, now=NOW))
        presets = offered(REPORTS.get("concentration").charts, showing.columns, showing.run.keys)
        drawing = draw(presets[1], showing.frozen, showing.columns, days=365)
    ranked, running, wanted = sorted(revenue.values(), reverse=True), D(0), [(D(0), D(0))]
    for rank, net in enumerate(ranked, 1):
        running += net
        wanted.append((D(rank) / 7, running / sum(ranked)))
    plot = figure(drawing.chart, drawing.rows, drawing.columns)
    assert [p.slug for p in presets] == ["customers", "running"]
    assert [t["name"] for t in plot["traces"]] == ["Revenue, running", "If all brought the same"]
    told = zip(*(map(D, plot["traces"][0][axis]) for axis in "xy"), strict=True)
    places = D("0.000001")
    assert [*told] == [(x.quantize(places), y.quantize(places)) for x, y in (*wanted[:4], wanted[-1])]


def test_revenue_of_which_the_lines_differ_is_told(world: World) -> None:
    make_bills(world.alpha, Bill("A-1", world.alpha.customers[0], date(2026, 3, 1)))
    made, _ = asked(world)
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("100.00", "100.00", True)]
    assert made.tie_outs[0]["name"] == "Revenue against the lines of invoices and credit notes"
    bill = Bill("A-2", world.alpha.customers[0], date(2026, 3, 2), credited="20.00")
    make_bills(world.alpha, bill)
    made, _ = asked(world)
    # The note of the tests has no lines: its amount is in the report and not in the lines.
    assert [(t["ours"], t["ledger"], t["ok"]) for t in made.tie_outs] == [("180.00", "200.00", False)]
