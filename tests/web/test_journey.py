"""The main journey in a real browser: a call file, its error, its repair, the bill, the money, a KPI, a report, a link.

Alpha's features start on 1 July 2026 and Ana works on 3 August. The file of July holds, at the retail prices a
minute of 0.05 (UK), 0.15 (UK mobile) and 0.10 (USA and Canada), counted by the second:

    customer 1   UK mobile  120 s   2.0 min x 0.15 = 0.30
    customer 1   UK         600 s  10.0 min x 0.05 = 0.50
    customer 1   USA        150 s   2.5 min x 0.10 = 0.25
    a line nobody knows, given to customer 2:
                 UK mobile  180 s   3.0 min x 0.15 = 0.45
    the first call once more (already loaded), and a row dated 32 July (cannot be read).
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from openpyxl import load_workbook
from playwright.sync_api import Locator, Page, expect

from billing.importing.formats.uk_standard import HEADINGS
from billing.models import Feature
from resellerkpi.core.scope import enter
from resellerkpi.core.tasks import run_job
from tests.web.browser import Visitor, Watch
from tests.world import CANARY, World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOW = datetime(2026, 8, 3, 9, 0, tzinfo=UTC)
UNKNOWN = "+441200009999"
#: record, line, dialled, day, seconds, supplier's price
CALLS = (
    ("R1", "+441200000001", "+447700900001", "05/07/2026", 120, "0.02"),
    ("R2", "+441200000001", "+441632960001", "06/07/2026", 600, "0.03"),
    ("R3", "+441200000001", "+12025550123", "07/07/2026", 150, "0.04"),
    ("R4", UNKNOWN, "+447700900002", "07/07/2026", 180, "0.09"),
    ("R1", "+441200000001", "+447700900001", "05/07/2026", 120, "0.02"),
    ("R5", "+441200000001", "+447700900001", "32/07/2026", 60, "0.01"),
)


@pytest.fixture
def world(server: str) -> Iterator[World]:
    """The named world on 3 August 2026, its features starting with July."""
    with time_machine.travel(NOW, tick=True):
        made = make_world()
        with enter(made.alpha.scope()):
            Feature.objects.update(start_date="2026-07-01")
        yield made


def call_file(folder: Path) -> Path:
    """Write July's calls as the UK Standard has them."""
    path = folder / "july.csv"
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, HEADINGS, restval="")
        writer.writeheader()
        for record, line, dialled, day, seconds, cost in CALLS:
            values = ("V", "0", dialled, day, "10:00:00", seconds, cost, line, record, "GBP", line)
            names = (
                "Call Type", "Call Cause Definition Required", "Non-Charged Party", "Call Date", "Call Time",
                "Duration", "Salesprice", "DDI", "Record ID", "Currency", "Caller Line Identity",
            )  # fmt: skip
            writer.writerow(dict(zip(names, values, strict=True)))
    return path


def go(page: Page, *names: str) -> None:
    """Follow the menu: the place, then its page."""
    for name in names:
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()


def press(page: Page, name: str) -> None:
    """Press a button, or a link that looks like one."""
    main = page.get_by_role("main")
    found = main.get_by_role("button", name=name, exact=True).or_(
        main.get_by_role("link", name=name, exact=True)
    )
    found.first.click()


def facts(page: Page, panel: str) -> dict[str, str]:
    """Return the facts of a panel, by label."""
    found = page.locator("section.panel", has=page.get_by_role("heading", name=panel, exact=True))
    found.wait_for()
    return dict(zip(texts(found.locator("dt")), texts(found.locator("dd")), strict=True))


def cells(page: Page, table: str, *heads: str) -> list[list[str]]:
    """Return the texts of a table's rows, under the named headings only when some are named."""
    found = page.locator(f'.table-wrap[aria-label="{table}"], .table-wrap[aria-label="{table}: table"]')
    found.wait_for()
    names = texts(found.locator("thead tr:last-child th"))
    places = [names.index(head) for head in heads] or list(range(len(names)))
    rows = [texts(row.locator("th, td")) for row in found.locator("tbody tr").all()]
    return [[row[at] for at in places] for row in rows]


def texts(found: Locator) -> list[str]:
    """Return what elements say, with plain spaces."""
    return [text.replace("\xa0", " ").strip() for text in found.all_inner_texts()]


def test_from_a_call_file_to_a_link_that_stays(
    world: World, visitor: Visitor, watch: Watch, tmp_path: Path
) -> None:
    ana = visitor(world.ana)
    load(ana, call_file(tmp_path))
    repair(ana)
    read_why(ana)
    bill(ana)
    read_invoice(ana)
    receive(ana)
    look_at_figures(ana)
    report = run_report(ana)
    link = share(ana)
    stranger, bo = visitor(), visitor(world.bo)
    assert read_shared(stranger, link) == read_shared(bo, link)
    credit(ana)
    run_again(ana, report)
    for reader in (stranger, bo):
        read_shared(reader, link)
    take_files(stranger)
    watch.expected.add(report)
    assert bo.goto(report).status == 404


def load(page: Page, path: Path) -> None:
    """Load the file through its pages and read what became of each row."""
    go(page, "Usage")
    press(page, "Load a call file")
    page.get_by_label("Call file").set_input_files(path)
    page.get_by_label("Carrier").select_option("Alpha Carrier")
    page.get_by_label("Layout").select_option("UK Standard (42 columns)")
    press(page, "Go on")
    expect(page.get_by_text("The layout fits.")).to_be_visible()
    press(page, "Load the file")
    press(page, "See the result")
    assert facts(page, "What became of its rows") == {
        "Priced": "3",
        "Free of charge": "0",
        "Left out by the layout": "0",
        "Already loaded": "1",
        "Could not be priced": "1",
        "Could not be read": "1",
        "Rows": "6 = 3 + 0 + 0 + 1 + 1 + 1",
    }
    assert facts(page, "File")["Customers' price"] == "1.05 GBP"  # 0.30 + 0.50 + 0.25
    expect(page.get_by_text("“32/07/2026” is not a date.")).to_be_visible()


def repair(page: Page) -> None:
    """Give the unknown line to customer 2; its call is rated at once."""
    go(page, "Billing errors")
    [row] = cells(page, "Unknown number", "Missing", "Calls", "Duration", "Cost at least")
    assert row == [UNKNOWN, "1", "0:03:00", "0.09 GBP"]
    page.get_by_role("checkbox", name=UNKNOWN).check()
    page.get_by_label("Account code").fill("C002")
    press(page, "Add as numbers and rate their calls")
    expect(page.get_by_role("status")).to_contain_text("added to Alpha Customer 2.")
    press(page, "Back to where it started")
    expect(page.get_by_text("Every call has its price.")).to_be_visible()


def read_why(page: Page) -> None:
    """Open the repaired call and read why it costs what it costs."""
    go(page, "Calls")
    assert cells(page, "Calls", "Price") == [["0.4500"], ["0.2500"], ["0.5000"], ["0.3000"]]
    page.get_by_role("row", name=UNKNOWN).get_by_role("link").first.click()
    assert facts(page, "Outcome")["Customer"] == "Alpha Customer 2"
    why = " ".join(texts(page.get_by_role("main")))
    assert "Tariff Alpha Standard applies" in why
    assert "Its rate is found by prefix 447" in why
    assert "180 s at 0.15 GBP a minute make 0.45 GBP." in why
    assert "Expected cost: 0.09 GBP, as charged." in why  # 3 minutes at the wholesale 0.03


def bill(page: Page) -> None:
    """Take July through its run: two months of line (13.50) and package (10.00) in advance, and the calls.

    Before VAT 3 x 47.00 + 1.05 + 0.45 = 142.50; VAT of 20 % on 48.05, 47.45 and 47.00 is 9.61 + 9.49 + 9.40 = 28.50.
    """
    go(page, "Billing and money")
    press(page, "Prepare July 2026")
    press(page, "Prepare")
    assert cells(page, "Checks", "Result") == [["In order"]] * 4
    for step in ("Mark as checked", "Produce the bills"):
        press(page, step)
        press(page, step)
    press(page, "See the result")
    [sums] = cells(page, "What the bills come to")
    # what suppliers charge: 3 x 2 x 8.25 + 0.02 + 0.03 + 0.04 + 0.09 = 49.68; (142.50 - 49.68) / 142.50 = 65.1 %
    assert sums == ["GBP", "3", "142.50", "28.50", "171.00", "49.68", "65.1 %"]
    press(page, "Look at what was billed")
    [kinds] = [row for row in cells(page, "Before VAT by kind of charge") if row[0] == "Recurring"]
    assert kinds == ["Recurring", "141.00", "GBP"]
    press(page, "Confirm and number")
    expect(page.get_by_text("Gives 3 invoices of 171.00 GBP their numbers")).to_be_visible()
    page.get_by_label("I have looked at the post-billing report").check()
    press(page, "Confirm and number")
    press(page, "Mark as sent")
    press(page, "Mark as sent")
    expect(page.get_by_text("The run is finished.")).to_be_visible()


def read_invoice(page: Page) -> None:
    """Open customer 1's invoice: its lines, its calls and its VAT."""
    open_invoice(page)
    assert cells(page, "VAT") == [["20.00", "48.05", "9.61", "GBP"]]
    assert cells(page, "Recurring charges", "Description", "From", "Before VAT") == [
        ["Alpha 500 minutes", "1 Jul 2026", "10.00"],
        ["Alpha 500 minutes", "1 Aug 2026", "10.00"],
        ["Alpha Line rental", "1 Jul 2026", "13.50"],
        ["Alpha Line rental", "1 Aug 2026", "13.50"],
    ]
    [calls] = cells(page, "Usage charges", "Number", "Calls", "Time billed h:mm:ss", "Before VAT")
    assert calls == ["01200000001", "3", "0:14:30", "1.05"]  # 120 + 600 + 150 s
    assert facts(page, "The invoice")["Still owed"] == "57.66 GBP"


def open_invoice(page: Page) -> None:
    """Go to customer 1's invoice."""
    go(page, "Billing and money", "Invoices")
    page.get_by_role("link", name="INV-000001").click()


def receive(page: Page) -> None:
    """Enter 10.00 of customer 1 and see who owes what a day after the bills were due."""
    go(page, "Payments")
    press(page, "Enter a payment")
    page.get_by_label("Account code").fill("C001")
    page.get_by_label("Amount").fill("10.00")
    page.get_by_label("Method").select_option("Bank transfer")
    press(page, "Enter the payment")
    expect(page.get_by_role("status")).to_have_text("10.00 GBP from Alpha Customer 1 is recorded.")
    go(page, "Aged debt")
    page.get_by_label("At the end of", exact=True).fill("2026-08-16")
    press(page, "Show")
    heads = ("Customer", "Open invoices", "Not due", "1-30 days")
    assert cells(page, "At the end of 16 Aug 2026", *heads) == [
        ["Alpha Customer 1", "1", "0.00", "47.66"],  # 57.66 - 10.00
        ["Alpha Customer 2", "1", "0.00", "56.94"],
        ["Alpha Customer 3", "1", "0.00", "56.40"],
    ]


def look_at_figures(page: Page) -> None:
    """Let the timetable refresh the snapshots; follow the first tile of the overview to its KPI."""
    run_job(kind="kpis.refresh")
    go(page, "Overview")
    expect(page.get_by_role("main")).to_contain_text("In July 2026 recurring revenue rose by £70.50")
    page.get_by_role("link", name="Monthly recurring revenue").first.click()
    page.locator("[data-drawn]").first.wait_for()
    assert cells(page, "By month")[1][:3] == ["Jul 2026", "GBP", "70.50"]
    behind = cells(page, "Customers behind it, Jul 2026", "Customer", "Amount")
    assert behind == [[f"Alpha Customer {n}", "23.50"] for n in (1, 2, 3)]  # 13.50 + 10.00


MONEY = ("Net", "VAT", "Gross", "Credited", "Paid", "Unpaid")
ROWS = [
    ["INV-000001", "48.05", "9.61", "57.66", "0.00", "10.00", "47.66"],
    ["INV-000002", "47.45", "9.49", "56.94", "0.00", "0.00", "56.94"],
    ["INV-000003", "47.00", "9.40", "56.40", "0.00", "0.00", "56.40"],
]


def run_report(page: Page) -> str:
    """Run the Invoices report of this month, see that it ties out, and draw what is unpaid; return its address."""
    go(page, "Reports")
    page.get_by_role("link", name="Invoices", exact=True).click()
    press(page, "Run the report")
    expect(page.get_by_text("Agrees")).to_have_count(3)
    address = page.url
    assert shown(page) == ROWS
    page.get_by_role("link", name="Unpaid by customer").click()
    page.locator("[data-drawn]").wait_for()
    page.get_by_text("Show the numbers").click()
    assert sorted(cells(page, "Unpaid by customer", "Customer", "Unpaid")) == [
        ["Alpha Customer 1", "47.66"],
        ["Alpha Customer 2", "56.94"],
        ["Alpha Customer 3", "56.40"],
    ]
    page.goto(f"{address}?chart=blank&x=method&y=rows")
    page.locator("[data-drawn]").wait_for()
    assert page.locator(".ytick text").all_text_contents() == ["0", "1", "2", "3"]
    page.goto(address)
    return address


def shown(page: Page) -> list[list[str]]:
    """Return the number and the money of each invoice of a result."""
    return cells(page, "Invoices: August 2026", "Invoice", *MONEY)


def share(page: Page) -> str:
    """Make a link without changing what the form offers; return its address."""
    press(page, "Share")
    press(page, "Make a link")
    return page.locator("#new-link").input_value()


def read_shared(page: Page, link: str) -> str:
    """Open the link: the frozen figures, nothing of cost, nothing of the reader's own house; return the words."""
    page.goto(link)
    assert shown(page) == ROWS
    [words] = texts(page.get_by_role("main"))
    assert "Alpha Telecom" in words
    assert "Margin" not in words
    assert CANARY not in words
    return words


def credit(page: Page) -> None:
    """Credit 1.00 of customer 1's calls: 1.20 with VAT."""
    open_invoice(page)
    press(page, "Credit")
    page.get_by_label("What").select_option("Calls")
    page.get_by_label("Amount before VAT").fill("1.00")
    page.get_by_label("Reason").fill("A call dropped")
    press(page, "Make the credit note")
    expect(page.get_by_role("status")).to_contain_text("over 1.20 GBP is made.")


def run_again(page: Page, report: str) -> None:
    """The same query shows the credit note now; the result made before shows it as little as the link does."""
    page.goto(report)
    assert shown(page) == ROWS
    press(page, "Run again")
    assert page.url != report
    assert shown(page)[0] == ["INV-000001", "48.05", "9.61", "57.66", "1.20", "10.00", "46.46"]


def take_files(page: Page) -> None:
    """Take the shared result as CSV and XLSX: the same columns, the same figures."""
    heads = texts(page.locator("thead tr:last-child th"))
    lines = list(csv.reader(io.StringIO(taken(page, "CSV").decode("utf-8-sig"))))
    book = load_workbook(io.BytesIO(taken(page, "Spreadsheet (XLSX)")), read_only=True)
    sheet = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    assert lines[0] == sheet[0] == heads
    assert [[row[0], *row[6:12]] for row in lines[1:4]] == shown(page) == ROWS
    assert [[row[0], *map("{:.2f}".format, row[6:12])] for row in sheet[1:4]] == ROWS
    assert sheet[4][:12] == ["Total", *[None] * 4, "GBP", 142.5, 28.5, 171, 0, 10, 161]
    assert [row[0] for row in sheet[5:]][-1] == "Rows: 3"


def taken(page: Page, name: str) -> bytes:
    """Return the file a link gives."""
    with page.expect_download() as download:
        press(page, name)
    return download.value.path().read_bytes()
