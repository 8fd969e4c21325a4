"""The reports of suppliers' bills: which of their lines are for whom, and the three-way match by service and group."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from billing.models import Carrier, CarrierCharge, CarrierInvoice, ExchangeRate, Feature
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.access import OUTSIDER
from resellerkpi.core.columns import visible
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, feature_type, fill, make_book
from tests.billing.match_world import billed_to, charge, supplier_line

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEP, OCT, NOV = (date(2026, month, 1) for month in (9, 10, 11))
OCTOBER = {"on_or_after": ["2026-10-01"], "before": ["2026-11-01"]}
ZERO = D(0)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = make_book(tmp_path)
    with enter(Scope.of(made.house.pk, why="test")):
        fill(made)
        yield made


def bill(book: Book, code: str, number: str, day: date, **fields: Any) -> CarrierInvoice:
    """Make a carrier's bill in the carrier's currency."""
    carrier = Carrier.objects.get(code=code)
    values = {"number": number, "invoice_date": day, "currency": carrier.currency, **fields}
    return CarrierInvoice.objects.create(reseller=book.house, carrier=carrier, **values)


def asked(slug: str, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run a report over October and return the run with its rows."""
    made = run(REPORTS.get(slug), OCTOBER | more, now=NOW)
    return made, list(Showing(made).rows())


def tied(made: Run) -> list[tuple[Any, ...]]:
    """Return what a run says about how it ties out."""
    return [(t["name"], t["currency"], D(t["ours"]), D(t["ledger"]), t["ok"]) for t in made.tie_outs]


def make_lines(book: Book) -> dict[str, CarrierCharge]:
    """Put lines in every state on two bills of October, and one on a bill of September."""
    ours = bill(book, "NW", "N-10", date(2026, 10, 31), net=D("15.75"))
    theirs = bill(book, "EU", "E-10", date(2026, 10, 2))
    return {
        "by reference": supplier_line(
            ours, OCT, NOV, "10.20", number=book.line, customer=book.one, feature=book.rental, found="reference",
            reference="CCT 001/A", product="NW-LINE", retail=D("16.50"),
        ),
        "by hand": supplier_line(ours, OCT, NOV, "-1.45", customer=book.two, kind="credit"),
        "open": supplier_line(ours, OCT, NOV, "4.00", reference="CCT 002", reason="Nobody has it."),
        "left out": supplier_line(ours, OCT, NOV, "3.00", state="ignored", reason="The office."),
        "abroad": supplier_line(theirs, OCT, NOV, "8.00", reference="LTG-1", kind="one_off"),
        "before": supplier_line(bill(book, "NW", "N-09", date(2026, 9, 30)), SEP, OCT, "99.00"),
    }  # fmt: skip


BILLS = "Lines against what the bills state"


def test_lines_of_bills_stand_with_what_they_are_for_those_to_be_allocated_first(book: Book) -> None:
    lines = make_lines(book)
    lines["by reference"].charge = charge(book.rental, OCT, NOV, "16.50", issued=False)
    lines["by reference"].save()
    made, rows = asked("carrier-allocations")
    names = {line.pk: name for name, line in lines.items()}
    assert [
        (names[r["description_id"]], r["allocated"], r["carrier"], r["bill"], r["currency"], r["amount"],
         r["unallocated"], r["retail"], r["passed"]) for r in rows
    ] == [
        ("abroad", "unallocated", "Europe Lines", "E-10", "EUR", D(8), D(8), None, False),
        ("open", "unallocated", "Northwire", "N-10", "GBP", D(4), D(4), None, False),
        ("by reference", "auto", "Northwire", "N-10", "GBP", D("10.2"), ZERO, D("16.5"), True),
        ("by hand", "hand", "Northwire", "N-10", "GBP", D("-1.45"), ZERO, None, False),
        ("left out", "left_out", "Northwire", "N-10", "GBP", D(3), ZERO, None, False),
    ]  # fmt: skip
    assert [(r["account"], r["number_text"], r["feature_name"], r["reason"]) for r in rows] == [
        (None, None, None, ""),
        (None, None, None, "Nobody has it."),
        ("A1", "+441632960001", "Line rental", ""),
        ("A2", None, None, ""),
        (None, None, None, "The office."),
    ]
    linked = rows[2]
    assert (linked["bill_id"], linked["customer_name_id"], linked["number_text_id"], linked["feature_name_id"]) == (
        lines["open"].invoice_id, book.one.pk, book.line.pk, book.rental.pk,
    )  # fmt: skip
    assert [(t["currency"], t["rows"], D(t["amount"]), D(t["unallocated"])) for t in made.totals] == [
        ("EUR", 1, D(8), D(8)),
        ("GBP", 4, D("15.75"), D(4)),
    ]
    assert tied(made) == [(BILLS, "EUR", D(8), D(8), True), (BILLS, "GBP", D("15.75"), D("15.75"), True)]


def test_a_bill_whose_carrier_states_another_total_does_not_tie(book: Book) -> None:
    make_lines(book)
    CarrierInvoice.objects.filter(number="N-10").update(net=D("15.70"))
    made, _ = asked("carrier-allocations")
    assert tied(made)[1] == (BILLS, "GBP", D("15.75"), D("15.70"), False)
    told = "States 15.70 GBP; its lines come to 15.75 GBP."
    assert ["Bill N-10", told, True] in [list(note) for note in made.notes]
    made, _ = asked("carrier-allocations", group_by=["kind"], carrier=["NW"])
    assert told not in str(made.notes)


def test_lines_are_narrowed_grouped_and_converted(book: Book) -> None:
    make_lines(book)
    made, rows = asked("carrier-allocations", group_by=["allocated", "carrier"])
    assert [
        (
            r["by_allocated"],
            r["by_carrier"],
            r["currency"],
            r["lines"],
            r["amount"],
            r["unallocated"],
            r["retail"],
        )
        for r in rows
    ] == [
        ("auto", "Northwire", "GBP", 1, D("10.2"), ZERO, D("16.5")),
        ("hand", "Northwire", "GBP", 1, D("-1.45"), ZERO, None),
        ("left_out", "Northwire", "GBP", 1, D(3), ZERO, None),
        ("unallocated", "Europe Lines", "EUR", 1, D(8), D(8), None),
        ("unallocated", "Northwire", "GBP", 1, D(4), D(4), None),
    ]
    assert [t[1:] for t in tied(made)] == [("EUR", D(8), D(8), True), ("GBP", D("15.75"), D("15.75"), True)]
    for asking, amounts in (
        ({"show": ["unallocated"]}, [D(8), D(4)]),
        ({"show": ["auto", "hand"]}, [D("10.2"), D("-1.45")]),
        ({"carrier": ["EU"]}, [D(8)]),
        ({"bill": ["n-1"], "kind": ["credit", "rental"], "reference": ["cct"]}, [D(4), D("10.2")]),
        ({"customer": ["A2"]}, [D("-1.45")]),
    ):
        made, rows = asked("carrier-allocations", **asking)
        assert [r["amount"] for r in rows] == amounts
        assert made.tie_outs == []
    ExchangeRate.objects.create(
        reseller=book.house, base="EUR", currency="GBP", date=date(2026, 10, 1), rate=D("0.8")
    )
    made, rows = asked("carrier-allocations", currency=["GBP"], show=["unallocated"])
    assert [(r["currency"], r["amount"], r["unallocated"], r["fx_rate"]) for r in rows] == [
        ("GBP", D("6.4"), D("6.4"), D("0.8")),
        ("GBP", D(4), D(4), D(1)),
    ]


def feature(book: Book, code: str, listed: str, costs: str, carrier: str = "NW", **fields: Any) -> Feature:
    """Give customer two a feature of a type of its own since the beginning of the year."""
    supplier = Carrier.objects.get(code=carrier)
    kind = feature_type(book, code, code.title(), listed, costs, carrier=supplier, **fields)
    return Feature.objects.create(
        reseller=book.house, feature_type=kind, customer=book.two, start_date=date(2026, 1, 1)
    )


def make_match(book: Book) -> None:
    """Let Northwire charge for a line, a fax nobody bills and something unknown, Europe Lines in euros for music.

    A park of machines is sold in euros, and Europe Lines charges nothing for it.
    """
    billed_to(book.house, NOV)
    ours, theirs = bill(book, "NW", "N-10", OCT), bill(book, "EU", "E-10", OCT)
    charge(book.rental, OCT, NOV, "16.50")
    supplier_line(ours, OCT, NOV, "10.20", number=book.line, customer=book.one)
    supplier_line(ours, OCT, NOV, "2.00", feature=feature(book, "FAX", "5", "2"), customer=book.two)
    supplier_line(ours, OCT, NOV, "7.00", reference="UNKNOWN-1")
    music = feature(book, "MUSIC", "3", "1.5", carrier="EU")
    charge(music, OCT, NOV, "3.00")
    supplier_line(theirs, OCT, NOV, "1.60", feature=music, customer=book.two)
    charge(feature(book, "PARK", "9", "4", carrier="EU", currency="EUR"), OCT, NOV, "9.00")


TIED = [
    ("Billed against recurring lines of invoices", "EUR", D(9), D(9), True),
    ("Billed against recurring lines of invoices", "GBP", D("19.5"), D("19.5"), True),
    ("Charged against suppliers' bills", "EUR", D("1.6"), D("1.6"), True),
    ("Charged against suppliers' bills", "GBP", D("19.2"), D("19.2"), True),
]


def test_the_match_tells_each_service_with_its_money_in_its_own_currency(book: Book) -> None:
    make_match(book)
    made, rows = asked("three-way-match")
    assert [
        (r["service"], r["code"], r["carrier_name"], r["state"], r["finding"], r["currency"], r["billed"],
         r["supplied"], r["at_risk"], r["services"], r["losing"]) for r in rows
    ] == [
        ("Line", None, "Northwire", "open", "open", "GBP", ZERO, D(7), D(7), 1, 0),
        ("Fax", "A2", "Northwire", "ps", "not_billed", "GBP", ZERO, D(2), D(5), 1, 1),
        ("Recording", "A1", None, "p", "not_billed", "GBP", ZERO, ZERO, D("3.5"), 1, 1),
        ("Line rental", "A1", "Northwire", "pbs", "agrees", "GBP", D("16.5"), D("10.2"), ZERO, 1, 0),
        ("Music", "A2", "Europe Lines", "pbs", "agrees", "GBP", D(3), ZERO, ZERO, 1, 0),
        ("Park", "A2", "Europe Lines", "pb", "no_charge", "EUR", D(9), ZERO, ZERO, 1, 0),
        ("Music", "A2", "Europe Lines", "pbs", "agrees", "EUR", ZERO, D("1.6"), ZERO, 0, 0),
    ]  # fmt: skip
    assert tied(made) == TIED


def test_groups_of_the_match_sum_each_currency_alone(book: Book) -> None:
    make_match(book)
    made, rows = asked("three-way-match", group_by=["state", "carrier"])
    assert [
        (r["by_state"], r["by_carrier"], r["currency"], r["services"], r["losing"], r["expected_price"],
         r["expected_cost"], r["billed"], r["supplied"], r["at_risk"]) for r in rows
    ] == [
        ("open", "Northwire", "GBP", 1, 0, ZERO, ZERO, ZERO, D(7), D(7)),
        ("p", None, "GBP", 1, 1, D("3.5"), D("1.1"), ZERO, ZERO, D("3.5")),
        ("pb", "Europe Lines", "EUR", 1, 0, D(9), D(4), D(9), ZERO, ZERO),
        ("pbs", "Europe Lines", "EUR", 0, 0, ZERO, D("1.5"), ZERO, D("1.6"), ZERO),
        ("pbs", "Europe Lines", "GBP", 1, 0, D(3), ZERO, D(3), ZERO, ZERO),
        ("pbs", "Northwire", "GBP", 1, 0, D("16.5"), D("10.2"), D("16.5"), D("10.2"), ZERO),
        ("ps", "Northwire", "GBP", 1, 1, D(5), D(2), ZERO, D(2), D(5)),
    ]  # fmt: skip
    assert tied(made) == TIED
    _, months = asked("three-way-match", group_by=["month"])
    assert [
        (r["by_month"], r["currency"], r["services"], r["expected_cost"], r["billed"]) for r in months
    ] == [
        (OCT, "EUR", 1, D("5.5"), D(9)),
        (OCT, "GBP", 5, D("13.3"), D("19.5")),
    ]
    made, lost = asked("three-way-match", group_by=["month"], finding=["not_billed"])
    assert [(r["currency"], r["services"], r["losing"], r["at_risk"]) for r in lost] == [
        ("GBP", 2, 2, D("8.5"))
    ]
    assert made.tie_outs == []


@pytest.mark.parametrize("slug", ["carrier-allocations", "three-way-match"])
def test_outsiders_are_not_told_what_suppliers_charge(slug: str) -> None:
    offered = {c.name for c in visible(REPORTS.get(slug).columns, OUTSIDER)}
    money = {"amount", "unallocated", "retail", "expected_cost", "supplied", "at_risk", "to_date"}
    assert not offered & money
