"""The three-way match of a small book made by hand: every state with exact money, months on end, conservation."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.charging.three_way import billed_in_books, match, match_latest, supplied_in_books
from billing.charging.three_way_words import WORDS
from billing.models import (
    Carrier,
    CarrierInvoice,
    CreditNote,
    CreditNoteLine,
    Customer,
    Feature,
    MatchedMonth,
    ServiceMatch,
    Supply,
)
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, feature_type, fill, make_book
from tests.billing.match_world import billed_to, charge, supplier_line

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEP, OCT, NOV, DEC = (date(2026, month, 1) for month in (9, 10, 11, 12))
BEGAN, GONE = date(2026, 1, 1), date(2026, 10, 1)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = make_book(tmp_path)
    with enter(Scope.of(made.house.pk)):
        fill(made)
        billed_to(made.house, NOV)
        yield made


def carrier(code: str = "NW") -> Carrier:
    return Carrier.objects.get(code=code)


def bill(book: Book, code: str = "NW", **fields: Any) -> CarrierInvoice:
    values = {"number": f"{code}-1", "invoice_date": OCT, "currency": "GBP", **fields}
    return CarrierInvoice.objects.create(reseller=book.house, carrier=carrier(code), **values)


def feature(
    book: Book, code: str, listed: str, costs: str, end: date | None = None, **fields: Any
) -> Feature:
    """Give customer one a feature of a type of its own, supplied by NW."""
    kind = feature_type(book, code, code.title(), listed, costs, carrier=carrier())
    values = {"customer": book.one, "start_date": BEGAN, "end_date": end, **fields}
    return Feature.objects.create(reseller=book.house, feature_type=kind, **values)


def found(month: date = OCT) -> dict[str, tuple[Any, ...]]:
    """Return by service of a month: state, finding, attention, at risk, billed, supplied."""
    rows = ServiceMatch.objects.filter(month=month)
    return {
        str(row.feature_type.code if row.feature_type else row.line.reference if row.line else row.number): (
            row.state, row.finding, row.attention, row.at_risk, row.billed + row.waiting, row.supplied,
        )
        for row in rows.select_related("feature_type", "line", "number")
    }  # fmt: skip


def of(code: str, month: date = OCT) -> ServiceMatch:
    return ServiceMatch.objects.get(feature_type__code=code, month=month)


def test_each_state_is_told_with_its_money(book: Book) -> None:
    ours = bill(book)
    charge(book.rental, OCT, NOV, "16.50")
    supplier_line(ours, OCT, NOV, "10.20", number=book.line, customer=book.one)
    charge(feature(book, "VM", "1.20", "0.20"), OCT, NOV, "1.20")
    supplier_line(ours, OCT, NOV, "2.00", feature=feature(book, "FAX", "5", "2"), customer=book.one)
    ended = feature(book, "IVR", "6.50", "1.60", GONE)
    charge(ended, OCT, NOV, "6.50")
    supplier_line(ours, OCT, NOV, "1.60", feature=ended, customer=book.one)
    charge(feature(book, "HUNT", "4", "0.90", GONE), OCT, NOV, "4.00")
    supplier_line(ours, OCT, NOV, "8.25", number=book.spare)
    supplier_line(ours, OCT, NOV, "7.00", reference="UNKNOWN-1")
    supplier_line(ours, OCT, NOV, "3.00", reference="OFFICE", state="ignored", reason="Ours.")

    match(book.house, OCT, NOV, now=NOW)

    zero = D(0)
    assert found() == {
        "LINE": ("pbs", "agrees", "fine", zero, D("16.50"), D("10.20")),
        "VM": ("pb", "no_charge", "check", zero, D("1.20"), zero),
        "FAX": ("ps", "not_billed", "loss", D("5.00"), zero, D("2.00")),
        "REC": ("p", "not_billed", "loss", D("3.50"), zero, zero),
        "IVR": ("bs", "billed_ended", "loss", D("6.50"), D("6.50"), D("1.60")),
        "HUNT": ("b", "billed_ended", "loss", D("4.00"), D("4.00"), zero),
        "+441632960002": ("s", "still_charged", "loss", D("8.25"), zero, D("8.25")),
        "UNKNOWN-1": ("open", "open", "check", D("7.00"), zero, D("7.00")),
        "OFFICE": ("left", "left_out", "fine", zero, zero, D("3.00")),
    }
    assert billed_in_books(book.house, OCT, NOV) == {"GBP": D("28.20")}
    assert supplied_in_books(book.house, OCT, NOV) == {"GBP": D("32.05")}


def test_a_bill_that_is_not_here_is_no_finding(book: Book) -> None:
    charge(book.rental, OCT, NOV, "16.50")
    match(book.house, OCT, NOV, now=NOW)
    assert found()["LINE"][:3] == ("pb", "bill_missing", "wait")

    supplier_line(bill(book), OCT, NOV, "10.20", number=book.spare, product="NW-LINE")
    match(book.house, OCT, NOV, now=NOW)
    assert found()["LINE"][:3] == ("pb", "no_charge", "check")
    assert of("LINE").expected_cost == D("10.20")


def test_a_month_that_is_not_billed_yet_waits(book: Book) -> None:
    match(book.house, OCT, DEC, now=NOW)
    assert found(OCT)["REC"][:4] == ("p", "not_billed", "loss", D("3.50"))
    assert found(NOV)["REC"][:4] == ("p", "bill_waits", "wait", D(0))

    charge(book.recording, NOV, DEC, "3.50", issued=False)
    match(book.house, OCT, DEC, now=NOW)
    assert (of("REC", NOV).state, of("REC", NOV).waiting, of("REC", NOV).billed) == ("pb", D("3.50"), D(0))


def test_test_accounts_and_what_costs_nothing_are_fine(book: Book) -> None:
    Customer.objects.filter(pk=book.one.pk).update(is_test=True)
    gift = feature_type(book, "GIFT", "Gift", "0", "0")
    Feature.objects.create(reseller=book.house, customer=book.two, feature_type=gift, start_date=BEGAN)
    match(book.house, OCT, NOV, now=NOW)
    assert {code: row[1:4] for code, row in found().items()} == {
        "REC": ("own_use", "fine", D(0)),
        "LINE": ("own_use", "fine", D(0)),
        "GIFT": ("nothing_due", "fine", D(0)),
    }


@pytest.mark.parametrize(
    ("fields", "finding"), [({"not_charged": True}, "marked_free"), ({"price": D(0)}, "price_zero")]
)
def test_what_is_given_away_is_worth_the_lists_price(
    book: Book, fields: dict[str, Any], finding: str
) -> None:
    feature(book, "FAX", "5", "2", quantity=3, **fields)
    match(book.house, OCT, NOV, now=NOW)
    assert found()["FAX"][:4] == ("p", finding, "loss", D("15.00"))


def test_amounts_and_units_that_differ_are_told_though_all_three_are_there(book: Book) -> None:
    ours = bill(book)
    dear, twice, few, cheap = (
        feature(book, code, price, cost, quantity=quantity)
        for code, price, cost, quantity in (
            ("DEAR", "5", "2", 1), ("TWICE", "5", "2", 1), ("FEW", "5", "2", 3), ("CHEAP", "1", "2", 1),
        )
    )  # fmt: skip
    for item, asked, paid in ((dear, "5", "2.50"), (twice, "5", "2"), (few, "10", "6"), (cheap, "1", "2")):
        charge(item, OCT, NOV, asked, **({"quantity": 2} if item is few else {}))
        units = {"quantity": 2} if item is twice else {}
        supplier_line(ours, OCT, NOV, paid, feature=item, customer=book.one, **units)
    match(book.house, OCT, NOV, now=NOW)
    assert {code: found()[code][:4] for code in ("DEAR", "TWICE", "FEW", "CHEAP")} == {
        "DEAR": ("pbs", "supplier_more", "loss", D("0.50")),
        "TWICE": ("pbs", "supplier_units", "check", D(0)),
        "FEW": ("pbs", "billed_fewer", "loss", D("5.00")),
        "CHEAP": ("pbs", "below_cost", "loss", D("1.00")),
    }
    assert (of("FEW").quantity, of("FEW").billed_quantity) == (D(3), D(2))


def test_months_on_end_go_past_a_missing_bill_and_end_with_the_state(book: Book) -> None:
    fax = feature(book, "FAX", "5", "2")
    first = bill(book)
    for start, end in (
        (date(2026, 5, 1), date(2026, 6, 1)),
        (date(2026, 7, 1), date(2026, 8, 1)),
        (OCT, NOV),
    ):
        supplier_line(first, start, end, "2", feature=fax, customer=book.one)
    charge(fax, date(2026, 8, 1), SEP, "5")
    match_latest(book.house, now=NOW)
    told = ServiceMatch.objects.filter(feature_type__code="FAX", month__gte=date(2026, 4, 1)).order_by(
        "month"
    )
    assert [(row.month.month, row.state, row.since.month, row.months, row.to_date) for row in told] == [
        (4, "p", 1, 4, D("20")),
        (5, "ps", 1, 5, D("25")),
        (6, "p", 1, 6, D("30")),
        (7, "ps", 1, 7, D("35")),
        (8, "pb", 8, 1, D("0")),
        (9, "p", 9, 1, D("5")),
        (10, "ps", 9, 2, D("10")),
        (11, "p", 9, 3, D("10")),
    ]


def test_months_on_end_end_when_the_suppliers_bill_says_otherwise(book: Book) -> None:
    fax = feature(book, "FAX", "5", "2")
    bill(book, period_start=SEP, period_end=OCT)
    ours = bill(book, number="NW-2")
    supplier_line(ours, date(2026, 8, 1), SEP, "2", feature=fax, customer=book.one)
    match_latest(book.house, now=NOW)
    told = ServiceMatch.objects.filter(feature_type__code="FAX", month__gte=date(2026, 8, 1)).order_by(
        "month"
    )
    assert [(row.state, row.supplier, row.since.month) for row in told] == [
        ("ps", "billed", 1), ("p", "absent", 9), ("p", "missing", 9), ("p", "missing", 9),
    ]  # fmt: skip


def test_charges_of_other_lengths_give_each_month_its_days(book: Book) -> None:
    care = feature(book, "CARE", "92", "0")
    charge(care, date(2026, 8, 1), NOV, "92.00")
    match(book.house, date(2026, 8, 1), DEC, now=NOW)
    rows = ServiceMatch.objects.filter(feature_type__code="CARE").order_by("month")
    assert [row.billed for row in rows] == [D(31), D(30), D(31), D(0)]


def test_a_credit_note_and_a_credit_of_the_feature_take_billed_days_back(book: Book) -> None:
    ended = feature(book, "IVR", "6.20", "0", date(2026, 10, 11))
    made = charge(ended, OCT, NOV, "6.20")
    charge(ended, date(2026, 10, 11), NOV, "-4.20", kind="credit")
    match(book.house, OCT, NOV, now=NOW)
    assert (of("IVR").state, of("IVR").billed, of("IVR").billed_quantity) == ("pb", D("2.00"), D("0.322581"))

    note = CreditNote.objects.create(
        reseller=book.house, customer=book.one, number="C1", date=NOV, reason="Goodwill", currency="GBP", net=2,
        gross=2, issued_at=NOW,
    )  # fmt: skip
    CreditNoteLine.objects.create(
        reseller=book.house, credit_note=note, invoice_line=made.invoice_line, description="Rental", net=2
    )
    match(book.house, OCT, NOV, now=NOW)
    assert (of("IVR").state, of("IVR").billed) == ("pb", D(0))
    assert billed_in_books(book.house, OCT, NOV) == {"GBP": D("0.00")}


def test_versions_of_a_feature_are_one_service(book: Book) -> None:
    book.rental.end_date = date(2026, 10, 16)
    book.rental.save()
    Feature.objects.create(
        reseller=book.house, customer=book.one, number=book.line, feature_type=book.rental.feature_type,
        start_date=date(2026, 10, 16), price=D("31.00"), quantity=1, continues=book.rental,
    )  # fmt: skip
    supplier_line(bill(book), OCT, NOV, "10.20", number=book.line, customer=book.one)
    match(book.house, OCT, NOV, now=NOW)
    row = of("LINE")
    assert (row.days, row.expected_price, row.supplied) == (31, D("23.983871"), D("10.20"))


def test_a_number_in_use_that_nothing_rents_is_a_service_of_its_own(book: Book) -> None:
    book.rental.end_date = GONE
    book.rental.save()
    supplier_line(bill(book), OCT, NOV, "10.20", number=book.line, customer=book.one)
    match(book.house, SEP, NOV, now=NOW)
    row = ServiceMatch.objects.get(month=OCT, number=book.line)
    assert (row.feature, row.state, row.finding, row.at_risk) == (None, "ps", "no_rental", D("10.20"))
    assert ServiceMatch.objects.get(month=SEP, number=book.line).feature == book.rental


def test_a_line_that_ended_with_its_number_keeps_what_the_supplier_charges(book: Book) -> None:
    book.rental.end_date = GONE
    book.rental.save()
    book.line.assignments.update(end_date=GONE)
    supplier_line(bill(book), OCT, NOV, "10.20", number=book.line)
    match(book.house, OCT, NOV, now=NOW)
    row = of("LINE")
    assert (row.customer, row.state, row.finding, row.at_risk) == (book.one, "s", "still_charged", D("10.20"))


def test_a_supplier_in_another_currency_is_compared_with_nothing(book: Book) -> None:
    Supply.objects.filter(number=book.line).update(carrier=carrier("EU"))
    charge(book.rental, OCT, NOV, "16.50")
    supplier_line(bill(book, "EU", currency="EUR"), OCT, NOV, "99.00", number=book.line, customer=book.one)
    match(book.house, OCT, NOV, now=NOW)
    row = of("LINE")
    assert (row.state, row.finding, row.supplied, row.cost_currency, row.currency) == (
        "pbs", "agrees", D("99.00"), "EUR", "GBP",
    )  # fmt: skip


def test_a_product_that_bills_never_list_is_not_asked_for(book: Book) -> None:
    ours = bill(book)
    supplier_line(ours, OCT, NOV, "10.20", number=book.line, customer=book.one, product="NW-LINE")
    kind = feature_type(book, "VM", "Voicemail", "1", "0.2", carrier=carrier(), carrier_product="NW-VM")
    voice = Feature.objects.create(
        reseller=book.house, customer=book.one, feature_type=kind, start_date=BEGAN
    )
    charge(voice, OCT, NOV, "1")
    match(book.house, OCT, NOV, now=NOW)
    assert found()["VM"][:3] == ("pb", "not_itemised", "fine")


def test_matching_again_changes_nothing_and_months_to_come_are_left(book: Book) -> None:
    match(book.house, SEP, date(2027, 6, 1), now=NOW)
    rows = ServiceMatch.objects.order_by("month", "key").values_list(
        "month", "key", "state", "months", "to_date"
    )
    before = list(rows.all())
    match(book.house, SEP, date(2027, 6, 1), now=NOW)
    after = list(rows.all())
    assert before == after
    assert {row[0] for row in after} == {SEP, OCT, NOV}
    assert list(MatchedMonth.objects.order_by("month").values_list("month", flat=True)) == [SEP, OCT, NOV]


def test_every_finding_has_its_words() -> None:
    assert set(WORDS) == set(ServiceMatch.Finding.values)
