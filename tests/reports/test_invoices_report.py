"""The Invoices report: its rows, filters, totals, tie-outs, redaction."""

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import (
    Allocation,
    CreditNote,
    CreditNoteLine,
    ExchangeRate,
    Invoice,
    InvoiceLine,
    LedgerEntry,
)
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, NotAllowed, run
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db
NOVEMBER = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}


@pytest.fixture
def world() -> World:
    world = make_world()
    three_bills(world.alpha)
    three_bills(world.beta)
    return world


def made(world: World, scope: Scope | None = None, **params: Any) -> list[dict[str, Any]]:
    """Run the report, as the owner unless a scope is given, and return its rows."""
    with enter(scope or world.alpha.scope()):
        return list(Showing(run(REPORTS.get("invoices"), {**NOVEMBER, **params}, now=NOW)).rows())


def dealer_of(world: World) -> Scope:
    """Return the scope of Alpha's first dealer."""
    return Scope.of(world.alpha.reseller.pk, role=Role.DEALER, dealer_id=world.alpha.dealers[0].pk)


def numbers(world: World, **params: Any) -> list[str]:
    """Return the invoice numbers a query finds."""
    return [row["number"] for row in made(world, **params)]


def test_each_invoice_is_a_line(world: World) -> None:
    rows = made(world)
    assert [row["number"] for row in rows] == ["A-0001", "A-0002", "A-0003"]
    first = rows[0]
    assert (first["net"], first["vat"], first["gross"]) == (D("80.00"), D("16.00"), D("96.00"))
    assert (first["cost"], first["margin"]) == (D("40.123456"), D("39.876544"))
    assert (first["code"], first["customer_name"], first["dealer"]) == (
        "C001",
        "Alpha Customer 1",
        "Alpha Dealer 1",
    )
    assert (first["invoice_date"], first["due_date"]) == (date(2026, 11, 1), date(2026, 11, 15))
    settled = [(row["credited"], row["paid"], row["unpaid"]) for row in rows]
    assert settled == [(0, 96, 0), (0, 0, 120), (20, 50, 50)]


def test_the_breakdown_splits_net_by_kind(world: World) -> None:
    first = made(world, view=["breakdown"])[0]
    kinds = {k: v for k, v in first.items() if k.startswith("net_")}
    assert kinds == {
        "net_recurring": D("50.00"),
        "net_usage": D("25.50"),
        "net_one_off": D("4.50"),
        "net_carrier": D("0.00"),
        "net_manual": D("0.00"),
        "net_credit": D("0.00"),
    }
    assert sum(kinds.values()) == first["net"]
    assert "unpaid" not in first


def test_the_wholesale_layout_splits_the_cost_by_kind(world: World) -> None:
    first = made(world, view=["wholesale"])[0]
    assert {k: v for k, v in first.items() if k.startswith("cost_")} == {
        "cost_recurring": D("30.00"),
        "cost_usage": D("10.123456"),
        "cost_one_off": D(0),
        "cost_carrier": D(0),
        "cost_manual": D(0),
        "cost_credit": D(0),
    }
    assert (first["net"], first["cost"], first["margin"]) == (D("80.00"), D("40.123456"), D("39.876544"))
    assert made(world, view=["wholesale"], group_by=["customer"])[0]["cost_recurring"] == D("90.00")
    with pytest.raises(BadQuery, match="Select a valid choice"):
        made(world, dealer_of(world), view=["wholesale"])


def credit(world: World, number: str, vat: str, *lines: tuple[str, str]) -> None:
    """Issue a credit note on 12 November with lines of net and rate, and post it."""
    net, customer = sum((D(net) for net, _ in lines), D(0)), world.alpha.customers[1]
    own: dict[str, Any] = {"reseller": world.alpha.reseller}
    with enter(world.alpha.scope()):
        note = CreditNote.objects.create(
            **own, customer=customer, number=number, date=date(2026, 11, 12), reason="Test", currency="GBP", net=net,
            vat=D(vat), gross=net + D(vat), issued_at=NOW,
        )  # fmt: skip
        for amount, rate in lines:
            CreditNoteLine.objects.create(
                **own, credit_note=note, description="Back", net=D(amount), vat_rate=D(rate)
            )
        LedgerEntry.objects.create(
            **own, customer=customer, date=note.date, kind="credit_note", amount=-note.gross, currency="GBP",
            source_key=f"credit_note:{note.pk}", credit_note=note,
        )  # fmt: skip


def test_the_accounts_get_invoices_and_credit_notes_by_rate_of_vat(world: World) -> None:
    credit(world, "CN-1", "2.08", ("10.00", "20"), ("1.40", "5"), ("4.00", "0"))
    rows = made(world, view=["accounts"], customer=["C002"])
    assert [
        (r["kind"], r["document"], f"{r['day']:%d %b}", f"{r['due']:%d %b}", r["code"], r["rate"], r["net"], r["vat"],
         r["gross"]) for r in rows
    ] == [
        ("invoice", "A-0002", "01 Nov", "15 Nov", "C002", D(20), D(100), D(20), D(120)),
        ("credit_note", "CN-1", "12 Nov", "12 Nov", "C002", D(20), D(-10), D("-2.01"), D("-12.01")),
        ("credit_note", "CN-1", "12 Nov", "12 Nov", "C002", D(5), D("-1.40"), D("-0.07"), D("-1.47")),
        ("credit_note", "CN-1", "12 Nov", "12 Nov", "C002", D(0), D(-4), D(0), D(-4)),
    ]  # fmt: skip
    with enter(world.alpha.scope()):
        asked = NOVEMBER | {"view": ["accounts"]}
        whole = run(REPORTS.get("invoices"), asked | {"customer": ["C002"]}, now=NOW)
        assert [(t["ours"], t["ledger"], t["ok"]) for t in whole.tie_outs] == [("102.52", "102.52", True)]
        # The note of the tests has no lines, so no rate, and nobody posted it.
        every = run(REPORTS.get("invoices"), asked, now=NOW)
        unposted = [row for row in Showing(every).rows() if row["document"] == "CN-A-0003"]
        assert [(r["rate"], r["net"], r["gross"]) for r in unposted] == [(None, D(-20), D(-20))]
        assert [(t["ours"], t["ledger"], t["ok"]) for t in every.tie_outs] == [("298.52", "318.52", False)]
    assert [r["document"] for r in made(world, view=["accounts"], unpaid=["51"])] == ["A-0002"]


def test_entries_for_the_accounts_are_converted_at_the_rate_of_their_day(world: World) -> None:
    credit(world, "CN-1", "2.00", ("10.00", "20"))
    with enter(world.alpha.scope()):
        for day, rate in ((date(2026, 11, 1), "0.8"), (date(2026, 11, 12), "0.9")):
            ExchangeRate.objects.create(
                reseller=world.alpha.reseller, base="EUR", currency="GBP", date=day, rate=D(rate)
            )
    rows = made(world, view=["accounts"], customer=["C002"], currency=["EUR"])
    assert [(r["currency"], r["net"], r["vat"], r["gross"]) for r in rows] == [
        ("EUR", D("125.00"), D("25.00"), D("150.00")),
        ("EUR", D("-11.11"), D("-2.22"), D("-13.33")),
    ]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"on_or_after": ["2026-11-02"]}, ["A-0003"]),
        ({"before": ["2026-11-10"]}, ["A-0001", "A-0002"]),
        ({"period": ["last_month"], "on_or_after": [""], "before": [""]}, []),
        ({"method": ["card"]}, []),
        ({"method": ["card", "transfer"]}, ["A-0001", "A-0002", "A-0003"]),
        ({"method": ["card,transfer"]}, ["A-0001", "A-0002", "A-0003"]),
        ({"amount": ["100"]}, ["A-0002", "A-0003"]),
        ({"unpaid": ["50.01"]}, ["A-0002"]),
        ({"unpaid": ["50"]}, ["A-0002", "A-0003"]),
        ({"cycle": ["monthly"]}, ["A-0001", "A-0002", "A-0003"]),
        ({"dealer": ["D2"]}, ["A-0002"]),
        ({"dealer": ["D1,D2"]}, ["A-0001", "A-0002", "A-0003"]),
        ({"customer": ["C002"]}, ["A-0002"]),
        ({"customer": ["customer 1"]}, ["A-0001", "A-0003"]),
        ({"status": ["ceased"]}, []),
        ({"state": ["void"]}, []),
        ({"state": ["issued"]}, ["A-0001", "A-0002", "A-0003"]),
    ],
)
def test_filters(world: World, params: dict[str, Any], found: list[str]) -> None:
    assert numbers(world, **params) == found


def test_the_account_manager_filters_and_shows(world: World) -> None:
    with enter(world.alpha.scope()):
        customer = world.alpha.customers[1]
        customer.account_manager = world.ana
        customer.save()
    rows = made(world, account_manager=[str(world.ana.pk)])
    assert [(row["number"], row["manager"]) for row in rows] == [("A-0002", "Ana Alder")]


def test_drafts_are_left_out_unless_asked_for(world: World) -> None:
    make_bills(world.alpha, Bill("", world.alpha.customers[0], date(2026, 11, 3), state=Invoice.State.DRAFT))
    assert numbers(world) == ["A-0001", "A-0002", "A-0003"]
    assert numbers(world, state=["draft"]) == [None]


def test_zero_invoices_can_be_suppressed(world: World) -> None:
    make_bills(world.alpha, Bill("A-0004", world.alpha.customers[0], date(2026, 11, 20), lines=()))
    assert numbers(world) == ["A-0001", "A-0002", "A-0003", "A-0004"]
    assert numbers(world, suppress_zero=["on"]) == ["A-0001", "A-0002", "A-0003"]


def test_a_payment_taken_back_settles_nothing_from_that_day(world: World) -> None:
    with enter(world.alpha.scope()):
        Allocation.objects.filter(invoice__number="A-0001").update(ended_date=date(2026, 11, 22))
    assert made(world)[0]["unpaid"] == D("96.00")
    with enter(world.alpha.scope()):
        Allocation.objects.filter(invoice__number="A-0001").update(ended_date=date(2026, 11, 23))
    assert made(world)[0]["unpaid"] == 0


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"before": ["2026-11-01"]}, "The day in “Before” must come after the day in “On or after”"),
        ({"zone": ["Europe/Nowhere"]}, "Time zone: There is no time zone called “Europe/Nowhere”."),
        ({"dealer": ["NOPE"]}, "Dealers: Select a valid choice. NOPE"),
        ({"amount": ["lots"]}, "Invoice amount at least: Enter a number."),
        ({"view": ["accounts"], "group_by": ["month"]}, "Choose another layout to group"),
        ({"view": ["accounts"], "state": ["draft"]}, "Drafts are not for the accounts"),
    ],
)
def test_a_query_nobody_can_mean_is_refused(world: World, params: dict[str, Any], words: str) -> None:
    with pytest.raises(BadQuery, match=words.replace("(", r"\(").replace(".", r"\.")):
        made(world, **params)


def test_totals_stand_per_currency_and_tie_out(world: World) -> None:
    make_bills(world.alpha, Bill("A-0009", world.alpha.customers[1], date(2026, 11, 5), currency="EUR"))
    with enter(world.alpha.scope()):
        frozen = run(REPORTS.get("invoices"), NOVEMBER, now=NOW)
        totals = Showing(frozen).totals
    assert [(t["currency"], t["rows"], t["net"], t["unpaid"]) for t in totals] == [
        ("EUR", 1, D("100.00"), D("120.00")),
        ("GBP", 3, D("280.00"), D("170.00")),
    ]
    assert [(t["name"], t["currency"], t["ours"], t["ok"]) for t in frozen.tie_outs] == [
        ("Gross against the ledger", "EUR", "120.00", True),
        ("Gross against the ledger", "GBP", "336.00", True),
        ("Net against the invoice lines", "EUR", "100.00", True),
        ("Net against the invoice lines", "GBP", "280.00", True),
        ("VAT against the VAT per rate", "EUR", "20.00", True),
        ("VAT against the VAT per rate", "GBP", "56.00", True),
    ]


def test_a_line_that_is_missing_fails_the_tie_out(world: World) -> None:
    with enter(world.alpha.scope()):
        invoice = Invoice.objects.create(
            reseller=world.alpha.reseller,
            customer=world.alpha.customers[0],
            number="A-0010",
            state=Invoice.State.ISSUED,
            invoice_date=date(2026, 11, 20),
            due_date=date(2026, 11, 20),
            currency="GBP",
            net=D("10.00"),
            vat=D("2.00"),
            gross=D("12.00"),
        )
        InvoiceLine.objects.create(
            reseller=world.alpha.reseller,
            invoice=invoice,
            position=1,
            kind="manual",
            description="x",
            net=D("9.00"),
        )
        tied = run(REPORTS.get("invoices"), NOVEMBER, now=NOW).tie_outs
    assert [(t["name"], t["difference"], t["ok"]) for t in tied] == [
        ("Gross against the ledger", "12.00", False),
        ("Net against the invoice lines", "1.00", False),
        ("VAT against the VAT per rate", "2.00", False),
    ]


def test_the_number_of_queries_does_not_grow_with_rows(world: World) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            made(world)
        return len(queries)

    few = count()
    make_bills(
        world.alpha,
        *(
            Bill(f"A-1{n:03}", world.alpha.customers[n % 3], date(2026, 11, 1) + timedelta(days=n % 28))
            for n in range(40)
        ),
    )
    assert count() == few


def test_a_dealer_sees_its_own_customers_and_no_cost(world: World) -> None:
    rows = made(world, dealer_of(world))
    assert [row["number"] for row in rows] == ["A-0001", "A-0003"]
    assert {"cost", "margin", "manager"} & set(rows[0]) == set()


def test_a_dealer_cannot_filter_by_another_dealer(world: World) -> None:
    with enter(dealer_of(world)):
        f = REPORTS.get("invoices").Filters({}, reseller=world.alpha.reseller, now=NOW)
        assert list(f["dealer"].field.widget.choices) == [("D1", "Alpha Dealer 1 (D1)")]
        assert "account_manager" not in f.fields


def test_nothing_of_another_reseller_is_in_it(world: World) -> None:
    assert CANARY not in str(made(world))


def test_a_role_without_reports_or_money_may_not_run_it(world: World) -> None:
    with pytest.raises(NotAllowed):
        made(world, world.alpha.scope(Role.SUPPORT))
