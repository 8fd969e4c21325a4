"""A report's life in a real browser: bookmarked, scheduled, mailed, shared, changed under its feet and compared.

Alpha has three invoices of November 2026: 96.00 paid, 120.00 open, and one of 120.00 with 50.00 paid and 20.00
credited. Ana looks on 5 December; then 70.00 is paid of the open one.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.urls import reverse
from playwright.sync_api import Page, expect

from billing.models import Allocation, Feature, Invoice, Payment, TariffRate
from billing.pipeline import import_cdrs
from reports import sharing
from reports.models import MailDelivery, ShareLink
from resellerkpi.core.scope import enter
from tests.reports.bills import three_bills
from tests.reports.smtp import Box, smtp_server
from tests.reports.test_report_mail import files_of, text_of
from tests.rules.worked_world import MAPPING
from tests.web.browser import Visitor, Watch
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOW = datetime(2026, 12, 5, 9, 0, tzinfo=UTC)
NOTHING = "There is nothing at this address"


@pytest.fixture
def box(settings: Any) -> Iterator[Box]:
    with smtp_server(settings) as box:
        yield box


@pytest.fixture
def world(server: str, box: Box) -> Iterator[World]:
    """The named world on 5 December 2026 with its bills of November."""
    with time_machine.travel(NOW, tick=True):
        made = make_world()
        three_bills(made.alpha)
        yield made


def press(page: Page, name: str) -> None:
    """Press a button, or a link that looks like one."""
    page.locator("button, a.button, summary.button").filter(
        has_text=re.compile(rf"^\s*{name}\s*$")
    ).first.click()


def pay(world: World) -> None:
    """Let 70.00 come in for the open invoice."""
    with enter(world.alpha.scope()):
        invoice = Invoice.objects.get(number="A-0002")
        own = {"reseller": world.alpha.reseller}
        payment = Payment.objects.create(
            **own, customer=invoice.customer, method="card", received_date=date(2026, 12, 5), amount=D("70.00"),
            currency="GBP", reference="BACS-9",
        )  # fmt: skip
        Allocation.objects.create(
            **own, invoice=invoice, payment=payment, date=date(2026, 12, 5), amount=D("70.00")
        )


def load_calls(world: World, folder: Path) -> None:
    """Load two calls to landlines of November, of one minute and of two."""
    path = folder / "november.csv"
    lines = [f"{n},+441200000001,+441632960001,2026-11-0{n} 10:00:00,{60 * n},0.01" for n in (1, 2)]
    path.write_text("\n".join(["id,from,to,start,seconds,cost", *lines, ""]))
    house = world.alpha
    with enter(house.scope()):
        Feature.objects.update(start_date="2026-10-01")
        import_cdrs(reseller=house.reseller, carrier=house.carrier, path=path, now=NOW, mapping=MAPPING)


def change_the_rate(page: Page, world: World) -> None:
    """Put the price of landlines right from the first of November on."""
    with enter(world.alpha.scope()):
        rate = TariffRate.objects.get(tariff=world.alpha.retail, key="44")
    page.goto(reverse("rate-change", args=[rate.pk]))
    page.locator("[name=valid_from]").fill("2026-11-01")
    page.locator("[name=price]").fill("0.09")
    page.locator("main form button[type=submit]").last.click()
    expect(page.locator("body")).to_contain_text("is saved")


def price_again(page: Page) -> None:
    """Look at what pricing November's calls again would do, and do it."""
    page.goto("/usage/price-again/?first=2026-11-01&last=2026-11-30")
    press(page, "Show what would change")
    press(page, "See the result")
    press(page, "Price 2 calls again")
    press(page, "See the result")
    expect(page.locator("main")).to_contain_text("Done: 2 calls were priced again.")


def test_a_shared_link_stays_to_the_penny_while_its_calls_are_priced_again(
    world: World, visitor: Visitor, tmp_path: Path, watch: Watch
) -> None:
    load_calls(world, tmp_path)
    ana, stranger = visitor(world.ana), visitor()
    ana.goto("/reports/usage/?period=last_month&group_by=customer&output=web")
    result = ana.url
    expect(ana.locator("tfoot")).to_contain_text("0.15")
    press(ana, "Share")
    press(ana, "Make a link")
    link = ana.locator("#new-link").input_value()
    stranger.goto(link)
    shared = stranger.locator("main table").first.inner_text()
    assert "0.15" in shared

    change_the_rate(ana, world)
    price_again(ana)

    # whoever holds the link, and who opens the result, sees what was shared; a fresh run sees the new price
    stranger.goto(link)
    assert stranger.locator("main table").first.inner_text() == shared
    ana.goto(result)
    expect(ana.locator("tfoot")).to_contain_text("0.15")
    ana.goto("/reports/usage/?period=last_month&group_by=customer&output=web")
    expect(ana.locator("tfoot")).to_contain_text("0.27")

    ana.goto(result)
    press(ana, "What changed since")
    press(ana, "Compare with now")
    changed = ana.locator(".change")
    expect(changed).to_have_count(1)
    expect(changed).to_contain_text(re.compile(r"Retail\s+0\.15 →is now\s+0\.27\s+\(\+0\.12 GBP\)"))
    expect(changed).to_contain_text("Rerated: 2 calls were priced again on 5 Dec 2026.")


def test_a_report_from_its_bookmark_to_its_differences(
    world: World, visitor: Visitor, box: Box, watch: Watch
) -> None:
    ana = visitor(world.ana)
    ana.goto("/reports/invoices/?period=last_month&output=web")
    result = ana.url
    expect(ana.get_by_role("heading", level=1)).to_have_text("Invoices: November 2026")
    expect(ana.locator("tfoot")).to_contain_text("336.00")

    # The bookmark runs the same query anew.
    ana.goto("/reports/invoices/?period=last_month&output=web")
    assert ana.url != result
    expect(ana.locator("tfoot")).to_contain_text("336.00")

    # Scheduled with its query, and run at once.
    ana.goto(result)
    press(ana, "Schedule")
    ana.get_by_label("Name", exact=True).fill("Invoices of last month")
    ana.get_by_label("To", exact=True).fill("boss@alpha.example")
    ana.get_by_label("CSV", exact=True).check()
    expect(ana.get_by_label("Weekday")).to_be_hidden()
    press(ana, "Schedule it")
    expect(ana.locator("main")).to_contain_text("Every month on day 1 at 07:00 (Europe/London)")
    schedule = ana.url
    press(ana, "Run now")
    ana.goto(schedule)
    expect(ana.locator("main")).to_contain_text("1 of 1 mails went out.")
    assert "Gross: 336.00\n" in text_of(box.to("boss@alpha.example")[0])

    # Mailed by hand, as the outbox shows it.
    ana.goto(result)
    press(ana, "Mail")
    ana.get_by_label("To", exact=True).fill("bank@firm.example")
    press(ana, "Send")
    ana.wait_for_url("**/jobs/**")
    mail = box.to("bank@firm.example")[0]
    assert list(files_of(mail)) == ["invoices-2026-11-01-to-2026-12-01.xlsx"]
    ana.goto("/reports/outbox/")
    ana.get_by_role("link", name="bank@firm.example").click()
    expect(ana.frame_locator("iframe").get_by_role("heading", level=1)).to_have_text(
        "Invoices: November 2026"
    )
    expect(ana.frame_locator("iframe").locator("img.picture")).to_be_visible()

    # Shared with a stranger, who keeps what was shared after the payment.
    ana.goto(result)
    press(ana, "Share")
    ana.get_by_label("For").fill("The accountant")
    press(ana, "Make a link")
    link = ana.locator("#new-link").input_value()
    pay(world)
    stranger = visitor()
    stranger.goto(link)
    expect(stranger.locator("tfoot")).to_contain_text("336.00")
    expect(stranger.locator("main")).to_contain_text("Generated today")
    expect(stranger.locator("main")).not_to_contain_text("BACS-9")

    # What changed since.
    ana.goto(result)
    press(ana, "What changed since")
    press(ana, "Compare with now")
    expect(ana.locator("main")).to_contain_text("1 row changed.")
    changed = ana.locator(".change")
    expect(changed).to_have_count(1)
    expect(changed).to_contain_text("A-0002")
    expect(changed).to_contain_text(re.compile(r"Paid\s+0\.00 →is now\s+70\.00\s+\(\+70\.00 GBP\)"))
    changed.get_by_role("link", name="Paid: 70.00 on 5 Dec 2026 (BACS-9).").click()
    expect(ana.get_by_role("heading", level=1)).to_contain_text("Payment of")

    # Revoked, expired or guessed: nothing is to be learnt.
    watch.expected |= {"/view"}
    ana.goto("/reports/links/")
    expect(ana.locator("tbody")).to_contain_text("The accountant")
    ana.locator("tbody").get_by_role("link", name="Invoices: November 2026").click()
    press(ana, "Revoke")
    with enter(world.alpha.scope()):
        run = ShareLink.objects.get().run
        _, ended = sharing.mint(run, now=datetime(2026, 12, 1, tzinfo=UTC), days=1)
        assert MailDelivery.objects.filter(state="sent").count() == 2
    seen = set()
    for address in (link, f"/view?id={ended}", "/view?id=guessed", "/view"):
        answer = stranger.goto(address)
        assert answer is not None
        seen.add((answer.status, stranger.content()))
    assert [status for status, _ in seen] == [404]
    expect(stranger.get_by_role("heading", level=1)).to_have_text(NOTHING)
