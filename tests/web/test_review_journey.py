"""A person does the four weeks of a month in a real browser; then calls are rated again, and what was signed stays.

It is September 2026. Alpha's August holds three calls: 60 and 120 s of a known line, and 180 s to the UK of a line
nobody knows, which is given to customer 2: 3 minutes at 0.05 make 0.15. Later the UK rate is doubled.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django.db.models import F
from playwright.sync_api import Locator, Page, expect

from billing.checks.register import run as look
from billing.checks.registry import CHECKS
from billing.models import Finding, TariffRate
from billing.rating.rerate import rerate
from billing.rating.selection import RerateSelection
from kpis.snapshots import refresh
from reports.models import Evidence, ReviewAction, SignedWeek
from resellerkpi.core.scope import enter
from tests.rules.worked_world import worked_world
from tests.web.browser import Visitor
from tests.web.test_journey import press, texts
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEGIN = datetime(2026, 9, 3, 10, 0, tzinfo=UTC)
AUGUST = RerateSelection(first=date(2026, 8, 1), last=date(2026, 8, 31))


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[World]:
    """The named world on 3 September 2026, after a month's work."""
    with time_machine.travel(BEGIN, tick=True):
        made, _, _ = worked_world(tmp_path)
        figures(made, BEGIN)
        yield made


def figures(world: World, now: datetime) -> None:
    """Have Alpha's figures made."""
    with enter(world.alpha.scope()):
        refresh(world.alpha.reseller, now=now)


def step(page: Page, title: str) -> Locator:
    """Return a step of a week's page."""
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("section.review-step", has=heading)


def sign(page: Page, week: int) -> list[str]:
    """Do what needs a look, sign the week off and return its figures."""
    page.goto(f"/review/2026-09/{week}/")
    for title in texts(page.locator("section.review-step:has(.review-why) h2")):
        step(page, title).get_by_label("Looked at and done").check()
        step(page, title).get_by_label("Minutes").fill("4")
        step(page, title).get_by_label("Note").fill("Looked at it.")
        step(page, title).get_by_role("button", name=re.compile("^Save")).click()
        expect(step(page, title)).to_contain_text("Done by Ana Alder")
    press(page, "Sign off")
    press(page, f"Sign off week {week}")
    expect(page.get_by_role("main")).to_contain_text("signed off by Ana Alder")
    expect(page.get_by_role("main")).to_contain_text("Signed on time")
    return texts(page.locator(".review-figures strong"))


def recover(page: Page) -> None:
    """Follow the steps to the calls nobody is charged for, give them to customer 2, and note the money that comes back.

    The register has them from the nightly look at what they cost, 0.01; charged to customer 2 they bring 0.15.
    """
    errors = step(page, "Review error rates and unrated calls")
    expect(errors).to_contain_text("Calls without a price: 1, and there should be none.")
    errors.get_by_role("link", name="Report: Billing errors").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Billing errors: August 2026")
    page.goto("/review/2026-09/1/")
    step(page, "Work the leaks of revenue").get_by_role("link", name="Leakage register").click()
    expect(page.get_by_role("main")).to_contain_text("1 open: 0.01\N{NO-BREAK SPACE}GBP a month")
    page.get_by_role("link", name="0199999999").click()
    expect(page.get_by_role("region", name="What is behind it")).to_contain_text("0.01")
    finding = page.url
    page.get_by_role("link", name="Repair it").click()
    page.get_by_role("checkbox").first.check()
    page.get_by_label("Account code").fill("C002")
    press(page, "Add as numbers and rate their calls")
    expect(page.get_by_role("status")).to_contain_text("added to Alpha Customer 2.")
    page.goto(finding)
    press(page, "Money came back")
    page.get_by_label("How much came back").fill("0.15")
    page.get_by_label("By what").fill("On the next bill of customer 2")
    press(page, "Note it and close the leak")
    expect(page.get_by_role("main")).to_contain_text("0.15\N{NO-BREAK SPACE}GBP noted as got back.")
    expect(page.get_by_role("main")).to_contain_text("On the next bill of customer 2")


def test_the_four_weeks_of_a_month_and_what_was_signed_stays(world: World, visitor: Visitor) -> None:
    with enter(world.alpha.scope()):
        look(world.alpha.reseller, [CHECKS.get("unrated_calls")], now=BEGIN)
    ana = visitor(world.ana)
    ana.goto("/")
    expect(ana.get_by_role("main")).to_contain_text("This week’s review")
    ana.goto("/review/2026-09/1/")
    recover(ana)
    figures(world, BEGIN)
    ana.goto("/review/2026-09/1/")
    expect(step(ana, "Review error rates and unrated calls").locator(".mark").first).to_have_text("Clear")

    # An action on a step, with the KPI it is to move.
    errors = step(ana, "Review error rates and unrated calls")
    errors.get_by_role("link", name=re.compile("^Note an action")).click()
    ana.get_by_label("What is to be done").fill("Ask for the missing ranges")
    ana.get_by_label("To move").select_option(label="Calls without a price")
    press(ana, "Note it")
    expect(step(ana, "Review error rates and unrated calls")).to_contain_text("Ask for the missing ranges")

    signed = {1: sign(ana, 1)}
    for week in (2, 3, 4):
        at = BEGIN + timedelta(days=7 * (week - 1))
        with time_machine.travel(at, tick=True):
            figures(world, at)
            signed[week] = sign(visitor(world.ana), week)

    at = BEGIN + timedelta(days=24)
    with time_machine.travel(at, tick=True):
        page = visitor(world.ana)
        page.goto("/review/")
        expect(page.locator("tr", has_text="Sep 2026")).to_contain_text("4 of 4")
        with enter(world.alpha.scope()):
            usage = Evidence.objects.get(run__report="usage", signed__week=1).run
            hashes = dict(Evidence.objects.values_list("run_id", "run__sha256"))
            TariffRate.objects.filter(tariff=world.alpha.retail).update(price=F("price") * 2)
            assert rerate(world.alpha.reseller, where=AUGUST, apply=True, now=at).changed == 1
        figures(world, at)
        for week, then in signed.items():
            page.goto(f"/review/2026-09/{week}/")
            assert texts(page.locator(".review-figures strong")) == then
        page.goto(f"/reports/runs/{usage.pk}/")
        frozen = texts(page.locator("tfoot td"))
        press(page, "Run again")
        assert page.url.endswith(str(usage.pk)) is False
        assert texts(page.locator("tfoot td")) != frozen
        with enter(world.alpha.scope()):
            assert dict(Evidence.objects.values_list("run_id", "run__sha256")) == hashes
            assert SignedWeek.objects.filter(month=date(2026, 9, 1), on_time=True).count() == 4
            got = Finding.objects.get(check_slug="unrated_calls", label="0199999999")
            assert (got.state, got.recovered) == ("recovered", Decimal("0.15"))
            assert ReviewAction.objects.get(what__startswith="Ask").kpi == "unrated_calls"
