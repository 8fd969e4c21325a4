"""Post-billing: bills against earlier ones by hand and in plain Python, the kept figures, the page."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from statistics import mean, stdev
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import BillingRun, Customer, CustomerEvent, Invoice, NotProduced
from kpis.kpi import KPIS
from kpis.options import Options
from kpis.reading import live
from reports.jobs import follow_bills
from reports.models import PostBilling, Run
from reports.postbilling.bills import bills
from reports.postbilling.make import make
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run as run_report
from resellerkpi.core.models import Job
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import enter
from tests.reports.bills import Bill, make_bills
from tests.world import House, World, make_world

pytestmark = pytest.mark.django_db
CENT = D("0.01")
JAN = date(2026, 1, 1)


@pytest.fixture
def world() -> World:
    return make_world()


def make_run(house: House, month: date, state: str = "sent") -> BillingRun:
    """Make the run of a month, its bills dated and produced on the first of the next."""
    end = add_months(month, 1)
    with enter(house.scope()):
        run: BillingRun = BillingRun.objects.create(
            reseller=house.reseller,
            name=f"{month:%B %Y}",
            period_start=month,
            period_end=end,
            invoice_date=end,
            state=state,
            billed_at=datetime(end.year, end.month, 1, 6, tzinfo=UTC),
        )
    return run


def billed(house: House, run: BillingRun, *made: tuple[Customer, str], **more: Any) -> list[Invoice]:
    """Give customers bills of a run, all of it recurring unless lines are named."""
    return make_bills(
        house,
        *[
            Bill(
                f"{run.pk}-{who.pk}",
                who,
                run.invoice_date,
                run=run,
                **{"lines": (("recurring", net, "0"),), **more},
            )
            for who, net in made
        ],
    )


@pytest.mark.parametrize(
    ("past", "now", "is_odd"),
    [
        (("200", "220", "240"), "325", True),  # mean 220, deviation 20: off by 105, 47.7 %
        (("200", "220", "240"), "319.99", False),  # off by 99.99: under 100
        (("200", "220", "240"), "110", True),  # lower counts too
        (("900", "1000", "1100"), "1120", False),  # 120 is over 100 and over the deviation of 100, but 12 %
        (("100", "400", "700"), "690", False),  # off by 290, within the deviation of 300
        (("220", "240"), "900", False),  # two bills say nothing
    ],
)
def test_a_bill_stands_out_when_all_three_conditions_hold(
    world: World, past: Sequence[str], now: str, is_odd: bool
) -> None:
    """The published rule: off the mean of three by more than a deviation, by 100 and by 15 per cent."""
    house, who = world.alpha, world.alpha.customers[0]
    months = [add_months(JAN, n) for n in range(4)]
    runs = [make_run(house, month) for month in months]
    for run, net in zip(runs[3 - len(past) :], (*past, now), strict=True):
        billed(house, run, (who, net))
    with enter(house.scope()):
        (bill,) = bills(Options(), day=date(2026, 5, 1), run_id=runs[-1].pk)
        month = date(2026, 5, 1)
        kpi = live(
            [KPIS.get("invoice_anomalies")],
            house.reseller,
            house.scope(),
            [month],
            datetime(2026, 6, 3, tzinfo=UTC),
        )
    assert bill.stands_out is is_odd
    assert bill.previous == D(past[-1])
    if len(past) == 3:
        nets = [float(p) for p in past]
        assert (bill.mean, bill.spread) == (D(str(mean(nets))), D(str(stdev(nets))))
    assert sum((p.value or D(0)) for p in kpi["invoice_anomalies"]) == int(is_odd)


def books(world: World, seed: int) -> tuple[House, list[BillingRun], dict[tuple[int, int], dict[str, Any]]]:
    """Bill five customers at random over six runs; return what was written, by run and customer."""
    chance, house = random.Random(seed), world.alpha
    with enter(house.scope()):
        people = [
            Customer.objects.create(
                reseller=house.reseller, status="active", code=f"P{n}", name=f"Person {n}"
            )
            for n in range(5)
        ]
    runs = [make_run(house, add_months(JAN, n)) for n in range(6)]
    written = {}
    for place, run in enumerate(runs):
        for who in people:
            if chance.random() < 0.85:
                kinds = [
                    (k, f"{chance.randrange(100, 40000) / 100:.2f}", "0") for k in ("recurring", "usage")
                ]
                net = sum(D(k[1]) for k in kinds)
                gross = net + (net * D("0.2")).quantize(CENT, ROUND_HALF_UP)
                paid = chance.choice([D(0), gross, (gross / 2).quantize(CENT)])
                [invoice] = billed(
                    house, run, (who, str(net)), lines=tuple(kinds), paid=str(paid) if paid else ""
                )
                written[place, who.pk] = {
                    "net": invoice.net, "gross": invoice.gross, "paid": paid, "kinds": [D(k[1]) for k in kinds]
                }  # fmt: skip
    return house, runs, written


@pytest.mark.parametrize("seed", [1, 2])
def test_bills_agree_with_plain_python(world: World, seed: int) -> None:
    """Given random bills, then what was before, mean, spread, debt and kinds are those of a naive look."""
    house, runs, written = books(world, seed)
    with enter(house.scope()):
        for place, run in enumerate(runs):
            made = {b.customer_id: b for b in bills(Options(), day=run.invoice_date, run_id=run.pk)}
            assert set(made) == {who for p, who in written if p == place}
            for who, bill in made.items():
                past = [written[p, who] for p in range(place - 3, place) if (p, who) in written]
                nets = [row["net"] for row in past]
                before = written.get((place - 1, who))
                debt = sum(
                    written[p, who]["gross"] - written[p, who]["paid"]
                    for p in range(place)
                    if (p, who) in written
                )
                assert bill.net == written[place, who]["net"]
                assert bill.previous == (before and before["net"])
                assert bill.unpaid == debt
                assert list(bill.kinds[:2]) == written[place, who]["kinds"]
                known = len(nets) == 3
                centre = (sum(nets) / 3).quantize(CENT, "ROUND_HALF_EVEN") if known else None
                assert bill.mean is None if centre is None else abs(bill.mean - centre) <= CENT
                assert (bill.spread is not None) is known
                if bill.spread is not None:
                    assert abs(bill.spread - D(stdev(nets))) <= CENT


def june(world: World) -> BillingRun:
    """Bill March to June: one bill stands out, one is unpaid from before, one customer has left, one has no bill."""
    house = world.alpha
    first, second, third = house.customers
    months = [make_run(house, date(2026, n, 1)) for n in (3, 4, 5)]
    for run, net in zip(months, ("200", "220", "240"), strict=True):
        billed(house, run, (first, net), paid=f"{D(net) * D('1.2'):.2f}")
    billed(house, months[-1], (second, "50"))
    run = make_run(house, date(2026, 6, 1), "billed")
    billed(house, run, (first, "325"), (second, "40"), state="draft")
    with enter(house.scope()):
        CustomerEvent.objects.create(
            reseller=house.reseller, customer=second, date=date(2026, 6, 20), status="ceased"
        )
        NotProduced.objects.create(
            reseller=house.reseller, run=run, customer=third, reason="hold", amount=D("12.5"), currency="GBP"
        )
    return run


def test_the_kept_report_says_what_the_run_came_to_and_what_needs_a_look(world: World) -> None:
    """Given the run of June, then totals stand beside May and the mean of three, and each list names its customers."""
    run = june(world)
    with enter(world.alpha.scope()):
        found = make(run, now=datetime(2026, 7, 2, tzinfo=UTC)).figures
        assert PostBilling.objects.count() == 1
        found = PostBilling.objects.get().figures
    rows = {row["what"]: row for row in found["totals"]}
    assert found["runs"] == {
        "previous": "May 2026",
        "three": ["May 2026", "April 2026", "March 2026"],
        "year": "",
    }
    net = {k: rows["net"][k] for k in ("this", "previous", "mean", "year")}
    assert net == {"this": "365.00", "previous": "290.00", "mean": "236.67", "year": None}
    assert (rows["invoices"]["this"], rows["average"]["this"], rows["gross"]["this"]) == (
        "2",
        "182.50",
        "438.00",
    )
    assert [(r["what"], r["this"], r["previous"]) for r in found["kinds"]] == [
        ("recurring", "365.00", "290.00")
    ]
    assert found["counts"] == {"stands_out": 1, "unpaid": 1, "final": 1}
    first, second, _ = world.alpha.customers
    assert [(r["customer"], r["off"], r["spread"]) for r in found["stands_out"]] == [
        (first.name, "105.00", "20.00")
    ]
    assert [(r["customer"], r["unpaid"]) for r in found["unpaid"]] == [(second.name, "60.00")]
    assert [r["customer"] for r in found["final"]] == [second.name]
    assert [(r["reason"], r["customers"], r["waiting"]) for r in found["not_produced"]] == [
        ("hold", 1, "12.500000")
    ]
    assert [(r["rate"], r["net_sum"], r["vat_sum"]) for r in found["vat"]] == [("20.00", "365.00", "73.00")]
    # 438 of the drafts and 60 of May are open; nothing is known of how transfers are paid but what was paid on its day
    assert [(r["open"], r["invoices"]) for r in found["forecast"]["totals"]] == [("498.00", 3)]


def test_the_report_has_every_bill_and_ties_to_the_invoices(world: World) -> None:
    """Given the run of June, then its rows lead with what stands out, end with who has no bill, and tie out."""
    run = june(world)
    with enter(world.alpha.scope()):
        made = run_report(
            REPORTS.get("post-billing"), {"run": [str(run.pk)]}, now=datetime(2026, 7, 2, tzinfo=UTC)
        )
        rows = list(Showing(made).rows())
        look = run_report(
            REPORTS.get("post-billing"),
            {"run": ["latest"], "look": ["on"]},
            now=datetime(2026, 7, 2, tzinfo=UTC),
        )
        dated = run_report(
            REPORTS.get("post-billing"), {"on_or_after": ["2026-06-01"], "before": ["2026-07-02"]},
            now=datetime(2026, 7, 2, tzinfo=UTC),
        )  # fmt: skip
        ties = {t["name"]: t["ok"] for t in Run.objects.get(pk=made.pk).tie_outs}
    assert [(r["code"], r["outcome"], r["stands_out"]) for r in rows] == [
        (world.alpha.customers[0].code, "produced", True),
        (world.alpha.customers[1].code, "produced", False),
        (world.alpha.customers[2].code, "hold", None),
    ]
    assert (rows[0]["more"], rows[0]["previous"]) == (D(85), D(240))
    assert ties == dict.fromkeys(
        ("Net against the invoices", "Gross against the invoices", "Net against its lines by kind"), True
    )
    assert look.row_count == 3
    assert [(t["currency"], t["net"]) for t in dated.totals] == [("GBP", "655.00")]


def test_the_page_shows_it_and_leads_to_the_confirmation(world: World, client: Client) -> None:
    """Given a billed run, then the page offers to make the report, shows it, and leads on to the confirmation."""
    run, alpha = june(world), world.alpha
    client.force_login(world.ana)
    page = reverse("post-billing", args=[run.pk])
    assert "Make it now" in client.get(page).content.decode()
    answer = client.post(page)
    with enter(alpha.scope()):
        job = Job.objects.get(kind="reports.post_billing")
        make(run, now=datetime(2026, 7, 2, tzinfo=UTC))
    assert answer["Location"] == reverse("job", args=[job.pk])
    text = client.get(page).content.decode()
    for words in ("Bills that stand out (1)", "105.00", "On hold", "Expected collections", "Mean of three"):
        assert words in text
    assert reverse("run-confirm", args=[run.pk]) in text
    refused = client.post(reverse("run-confirm", args=[run.pk]))
    assert refused.status_code == 422
    assert "Look at the post-billing report first" in refused.content.decode()
    client.force_login(world.vic)
    seen = client.get(page).content.decode()
    assert "105.00" in seen
    assert reverse("run-confirm", args=[run.pk]) not in seen
    client.force_login(world.bo)
    assert client.get(page).status_code == 404


def test_the_report_follows_the_bills_by_itself(world: World) -> None:
    """Given bills just produced, then the report's job waits; without bills it is refused in words."""
    run = june(world)
    with enter(world.alpha.scope()):
        follow_bills({"run_id": run.pk})
        assert Job.objects.get(kind="reports.post_billing").params == {"run_id": run.pk}
        follow_bills({})
        assert Job.objects.count() == 1
