"""Carriers' bills: loaded whole or not at all, known again, allocated by reference or by hand, removed."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing.charging.allocation import (
    CHANGED_HANDS,
    NO_REFERENCE,
    NOT_THEN,
    SEVERAL,
    UNKNOWN,
    Candidate,
    allocate_charges,
    candidates,
)
from billing.charging.allocation_hand import (
    AllocationRefused,
    Target,
    alike,
    allocate_by_hand,
    feature_of,
    leave_out,
    open_again,
    remove_bill,
)
from billing.models import Carrier, CarrierCharge, CarrierInvoice, Feature, NumberIdentity, Supply
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, a_line, fill, make_book, number, state_of

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """The book in scope."""
    made = make_book(tmp_path)
    with enter(Scope.of(made.house.pk)):
        yield fill(made)


def ids(**where: object) -> list[int]:
    return list(CarrierCharge.objects.filter(**where).order_by("line").values_list("pk", flat=True))


# Loading


def test_a_bill_goes_in_with_what_its_lines_leave_out(book: Book) -> None:
    assert book.good(
        a_line("CCT 001/A", retail="12.50"),
        a_line("CCT 001/A", "-2.00", description="", product="NW-ADJ"),
        a_line("X", "0.123456", kind="one_off", description="Visit", quantity="2", currency="eur", bill="N2"),
    ) == (3, 0)
    bill = CarrierInvoice.objects.get(number="N1")
    assert (bill.carrier.code, bill.invoice_date, bill.currency, bill.net) == (
        "NW", date(2026, 11, 1), "GBP", None,
    )  # fmt: skip
    assert (bill.period_start, bill.period_end) == (date(2026, 10, 1), date(2026, 11, 1))
    assert bill.file_name == "bill.csv"
    assert CarrierInvoice.objects.get(number="N2").currency == "EUR"
    rows = CarrierCharge.objects.order_by("line").values_list(
        "line", "kind", "product", "description", "quantity", "amount", "service_start", "service_end"
    )
    october = (date(2026, 10, 1), date(2026, 11, 1))
    assert list(rows) == [
        (2, "rental", "", "Line rental", D(1), D("8.25"), *october),
        (3, "credit", "NW-ADJ", "NW-ADJ", D(1), D("-2"), *october),
        (4, "one_off", "", "Visit", D(2), D("0.123456"), *october),
    ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("2026-10-05,,", ("2026-10-05", "2026-10-06")),
        ("2026-10-05,2026-10-20,", ("2026-10-05", "2026-10-20")),
        ("2026-10-05,,2026-10-20", ("2026-10-05", "2026-10-21")),
    ],
)
def test_days_are_half_open_and_a_line_charged_once_takes_a_day(
    book: Book, days: str, expected: tuple[str, str]
) -> None:
    head = "carrier,bill,bill_date,amount,kind,from,until,to"
    book.good(f"NW,N1,2026-11-01,1,one_off,{days}", head=head)
    row = CarrierCharge.objects.get()
    assert (str(row.service_start), str(row.service_end)) == expected


@pytest.mark.parametrize("text", ["2026-10", "Oct 2026", "October 2026", "2026-10-17"])
def test_a_month_is_written_in_several_ways(book: Book, text: str) -> None:
    book.good(a_line("X", period=text))
    row = CarrierCharge.objects.get()
    assert (row.service_start, row.service_end) == (date(2026, 10, 1), date(2026, 11, 1))


def test_each_wrong_line_is_a_sentence_and_nothing_is_loaded(book: Book) -> None:
    assert book.bad(
        a_line("X", period=""),
        a_line("X", "3", kind="credit"),
        a_line("X", "-3", retail="4"),
        a_line("X", quantity="0"),
        a_line("X", "8.1234567"),
        a_line("X", carrier="ZZ"),
        a_line("X", kind="gift"),
        a_line("X"),
        a_line("X", bill_date="2026-11-02"),
        a_line("X", currency="EUR"),
    ) == [
        (2, "Say which days or which month the line is for."),
        (3, "A credit is negative: write the amount with a minus."),
        (4, "The suggested price and the amount must have the same sign."),
        (5, "The quantity must be more than zero."),
        (6, "“8.1234567” has more than 6 decimals."),
        (7, "There is no carrier “ZZ”."),
        (8, "“gift” is none of rental, one_off, usage, credit."),
        (10, "Bill N1 has another date, 2026-11-01 on line 9."),
        (11, "Bill N1 has another currency, GBP on line 9."),
    ]


def test_the_same_bill_again_changes_nothing_and_another_of_its_number_is_refused(book: Book) -> None:
    lines = [a_line("CCT001A"), a_line("X"), a_line("X")]
    assert book.good(*lines) == (3, 0)
    assert book.good(*lines) == (0, 3)
    again = "is in the book already"
    more = book.bad(*lines, a_line("X"))
    fewer = book.bad(*lines[:2])
    other_day = book.bad(*[line.replace("2026-11-01", "2026-11-02") for line in lines])
    for problems in (more, fewer, other_day):
        assert len(problems) == 1
        assert again in problems[0][1]
        assert problems[0][1].endswith("differs from this file; remove it there first.")
    assert CarrierCharge.objects.count() == 3
    assert book.good(a_line("X", carrier="EU")) == (1, 0)


def test_the_total_the_carrier_states_is_kept_as_stated(book: Book) -> None:
    head = "carrier,bill,bill_date,period,amount,reference,bill_total"
    book.good("NW,N1,2026-11-01,2026-10,8.25,X,20.00", "NW,N1,2026-11-01,2026-10,8.25,Y,", head=head)
    assert CarrierInvoice.objects.get().net == D("20")
    assert book.bad(
        "NW,N2,2026-11-01,2026-10,8.25,X,20.00", "NW,N2,2026-11-01,2026-10,8.25,Y,21.00", head=head
    ) == [(3, "Bill N2 has another total, 20.00 on line 2.")]


# Allocation by reference


@pytest.mark.parametrize("reference", ["CCT 001/A", "cct001a", "CCT-001.A"])
def test_the_carriers_own_reference_finds_the_number_and_its_customer(book: Book, reference: str) -> None:
    book.good(a_line(reference))
    assert state_of() == ("allocated", "reference", "A1", "+441632960001", None, "")


@pytest.mark.parametrize(
    "reference", ["+441632960001", "01632 960001", "441632960001", "441632960001x", "(01632) 960-001"]
)
def test_a_number_is_found_in_any_spelling(book: Book, reference: str) -> None:
    book.good(a_line(reference))
    if reference.endswith("x"):
        assert state_of() == ("open", "", None, None, None, UNKNOWN)
    else:
        assert state_of() == ("allocated", "reference", "A1", "+441632960001", None, "")


def test_the_product_names_the_feature_on_the_number(book: Book) -> None:
    book.good(a_line("CCT001A", product="nw-line"))
    assert state_of() == ("allocated", "reference", "A1", "+441632960001", "LINE", "")


def test_of_two_features_with_the_product_none_is_taken(book: Book) -> None:
    Feature.objects.create(
        reseller=book.house, customer=book.one, number=book.line, feature_type=book.rental.feature_type,
        start_date=date(2026, 2, 1),
    )  # fmt: skip
    book.good(a_line("CCT001A", product="NW-LINE"))
    assert state_of() == ("allocated", "reference", "A1", "+441632960001", None, "")


def test_a_feature_that_goes_on_at_another_price_is_one_feature(book: Book) -> None:
    Feature.objects.filter(pk=book.rental.pk).update(end_date=date(2026, 10, 10))
    after = Feature.objects.create(
        reseller=book.house, customer=book.one, number=book.line, feature_type=book.rental.feature_type,
        start_date=date(2026, 10, 10), continues=book.rental,
    )  # fmt: skip
    book.good(a_line("CCT001A", product="NW-LINE"))
    assert CarrierCharge.objects.get().feature_id == book.rental.pk
    book.good(a_line("CCT001A", product="NW-LINE", bill="N2", period="2026-11"))
    assert CarrierCharge.objects.get(invoice__number="N2").feature_id == after.pk
    Supply.objects.create(
        reseller=book.house, feature=book.rental, carrier_id=CarrierInvoice.objects.first().carrier_id,
        reference="F-1", start_date=date(2026, 1, 1),
    )  # fmt: skip
    book.good(a_line("F-1", bill="N3", period="2026-11"))
    assert CarrierCharge.objects.get(invoice__number="N3").feature_id == after.pk


def test_a_features_reference_finds_it(book: Book) -> None:
    book.good(a_line("ORD 77"))
    assert state_of() == ("allocated", "reference", "A1", None, "REC", "")
    book.good(a_line("ORD 77", bill="N2", period="2025-10", description="Before"))
    assert state_of("Before") == ("open", "", None, None, None, NOT_THEN)


def test_the_days_of_the_charge_say_whose_the_number_was(book: Book) -> None:
    book.good(
        a_line("SITE-9", period="2026-09", description="September"),
        a_line("SITE-9", period="2026-11", description="November"),
        a_line("SITE-9", period="2026-10", description="October"),
        a_line("SITE-9", period="2025-10", description="Before anybody"),
    )
    assert state_of("September")[2] == "A1"
    assert state_of("November")[2] == "A2"
    assert state_of("October") == ("open", "", None, None, None, CHANGED_HANDS)
    assert state_of("Before anybody") == ("allocated", "reference", None, "+441632960003", None, "")
    october = CarrierCharge.objects.get(description="October")
    assert candidates(october) == [
        Candidate(book.one.pk, book.moved.pk, None), Candidate(book.two.pk, book.moved.pk, None),
    ]  # fmt: skip


def test_what_stays_open_says_why(book: Book) -> None:
    Supply.objects.filter(reference="CCT 001/A").update(end_date=date(2026, 10, 1))
    NumberIdentity.objects.create(reseller=book.house, number=book.spare, identity="ORD77")
    book.good(
        a_line("", description="No reference"),
        a_line("Q-1", description="Unknown"),
        a_line("CCT001A", description="Ended"),
        a_line("ORD-77", description="Twice"),
        a_line("CCT001A", description="Of another carrier", carrier="EU", bill="E1"),
    )
    assert [state_of(text)[-1] for text in ("No reference", "Unknown", "Ended", "Twice")] == [
        NO_REFERENCE, UNKNOWN, NOT_THEN, SEVERAL,
    ]  # fmt: skip
    assert state_of("Of another carrier")[-1] == UNKNOWN
    assert set(CarrierCharge.objects.values_list("state", flat=True)) == {"open"}


def test_what_is_new_in_the_book_is_found_when_allocated_again(book: Book) -> None:
    book.good(a_line("01632 960 004"), a_line("01632 960002", description="Spare"))
    assert state_of()[0] == "open"
    assert state_of("Spare") == ("allocated", "reference", None, "+441632960002", None, "")
    number(book, "+441632960004", (book.two, "2026-01-01", None))
    book.spare.assignments.create(reseller=book.house, customer=book.two, start_date=date(2026, 10, 31))
    assert allocate_charges(book.house) == (2, 0)
    assert state_of() == ("allocated", "reference", "A2", "+441632960004", None, "")
    assert state_of("Spare") == ("allocated", "reference", "A2", "+441632960002", None, "")
    assert allocate_charges(book.house) == (0, 0)


def test_allocating_by_reference_leaves_alone_what_people_decided(book: Book) -> None:
    book.good(a_line("CCT001A"), a_line("CCT001A", description="Left"))
    allocate_by_hand(book.house, ids(description="Line rental"), Target(number=book.spare))
    leave_out(book.house, ids(description="Left"), reason="Ours")
    assert allocate_charges(book.house) == (0, 0)
    assert state_of() == ("allocated", "hand", None, "+441632960002", None, "")
    assert state_of("Left") == ("ignored", "", None, None, None, "Ours")


# By hand


def test_by_hand_for_every_open_charge_with_the_reference(book: Book) -> None:
    book.good(a_line("Q-1"), a_line("Q-1", description="Second"), a_line("Q-2", description="Other"))
    book.good(a_line("Q-1", bill="N2", period="2026-09", description="September"))
    chosen = alike(CarrierCharge.objects.get(description="Second"))
    assert chosen.count() == 3
    done = allocate_by_hand(book.house, [row.pk for row in chosen], Target(number=book.line), remember=True)
    assert done == 3
    assert state_of("September") == ("allocated", "hand", "A1", "+441632960001", None, "")
    assert state_of("Other")[0] == "open"
    assert NumberIdentity.objects.get(identity="Q-1").number == book.line
    book.good(a_line("Q-1", bill="N3", period="2026-11", description="Next month"))
    assert state_of("Next month") == ("allocated", "reference", "A1", "+441632960001", None, "")
    event = AuditEvent.objects.filter(action="carrier_charges.allocated", details__remembered=True).get()
    assert event.details["charges"] == 3


def test_a_remembered_reference_goes_to_the_carriers_supply_where_it_has_none(book: Book) -> None:
    nw = Carrier.objects.get(code="NW")
    supply = Supply.objects.create(
        reseller=book.house, number=book.spare, carrier=nw, start_date=date(2026, 1, 1)
    )
    book.good(a_line("Q-1"), a_line("Q-2", description="Feature"))
    allocate_by_hand(book.house, ids(reference="Q-1"), Target(number=book.spare), remember=True)
    supply.refresh_from_db()
    assert supply.reference == "Q-1"
    allocate_by_hand(book.house, ids(reference="Q-2"), Target(feature=book.recording), remember=True)
    assert state_of("Feature") == ("allocated", "hand", "A1", None, "REC", "")
    assert Supply.objects.get(reference="Q-2").feature == book.recording


def test_a_number_that_changed_hands_needs_its_customer(book: Book) -> None:
    book.good(a_line("SITE-9"))
    with pytest.raises(AllocationRefused, match="changed hands after 1 Oct 2026: name the customer too"):
        allocate_by_hand(book.house, ids(), Target(number=book.moved))
    with pytest.raises(AllocationRefused, match="Customer A2 did not have"):
        allocate_by_hand(book.house, ids(), Target(number=book.line, customer=book.two))
    allocate_by_hand(book.house, ids(), Target(number=book.moved, customer=book.two))
    assert state_of()[2:4] == ("A2", "+441632960003")


def test_a_customer_alone_may_be_named_but_remembers_nothing(book: Book) -> None:
    book.good(a_line("Q-1"))
    with pytest.raises(AllocationRefused, match="Only a number or a feature"):
        allocate_by_hand(book.house, ids(), Target(customer=book.two), remember=True)
    allocate_by_hand(book.house, ids(), Target(customer=book.two))
    assert state_of() == ("allocated", "hand", "A2", None, None, "")
    with pytest.raises(AllocationRefused, match="Say what the charge is for"):
        allocate_by_hand(book.house, ids(), Target())


def test_the_one_feature_of_a_type_is_found_by_its_owner(book: Book) -> None:
    kind, days = book.recording.feature_type, {"first": date(2026, 10, 1), "until": date(2026, 11, 1)}
    assert feature_of(feature_type=kind, customer=book.one, number=None, **days) == book.recording
    with pytest.raises(AllocationRefused, match="Customer A2 has no Recording from 1 Oct 2026"):
        feature_of(feature_type=kind, customer=book.two, number=None, **days)
    Feature.objects.create(
        reseller=book.house, customer=book.one, feature_type=kind, start_date=date(2026, 1, 1)
    )
    with pytest.raises(AllocationRefused, match="Customer A1 has 2 features Recording then"):
        feature_of(feature_type=kind, customer=book.one, number=None, **days)


def test_a_decision_is_taken_back(book: Book) -> None:
    book.good(a_line("CCT001A"))
    with pytest.raises(AllocationRefused, match="Say why"):
        leave_out(book.house, ids(), reason=" ")
    leave_out(book.house, ids(), reason="Disputed")
    assert state_of() == ("ignored", "", None, None, None, "Disputed")
    open_again(book.house, ids())
    assert state_of() == ("open", "", None, None, None, "Opened again by hand.")
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions)[-2:] == ["carrier_charges.left_out", "carrier_charges.opened"]


def test_a_removed_bill_can_be_loaded_again(book: Book) -> None:
    book.good(a_line("CCT001A"), a_line("X"))
    assert remove_bill(CarrierInvoice.objects.get()) == 2
    assert (CarrierInvoice.objects.count(), CarrierCharge.objects.count()) == (0, 0)
    assert book.good(a_line("CCT001A")) == (1, 0)
