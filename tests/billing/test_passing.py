"""Carriers' charges passed on: priced once, billed once with VAT, taken back while unbilled, never charged twice."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.bills import bill
from billing.charging.allocation_hand import AllocationRefused, open_again, remove_bill
from billing.charging.carrier_costs import CarrierCost, carrier_costs
from billing.charging.passing import PassingRefused, Terms, pass_on, proposals, take_back
from billing.models import (
    CarrierCharge,
    CarrierInvoice,
    Charge,
    ExchangeRate,
    Feature,
    FeatureType,
    InvoiceLine,
)
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, a_line, fill, make_book

pytestmark = pytest.mark.django_db
D = Decimal
SUGGESTED = Terms()
OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """The book in scope; its rental and recording are given away, so that they do not stand in the way."""
    made = make_book(tmp_path)
    with enter(Scope.of(made.house.pk)):
        fill(made)
        Feature.objects.update(not_charged=True)
        yield made


def ids(**where: Any) -> list[int]:
    return list(CarrierCharge.objects.filter(**where).order_by("line").values_list("pk", flat=True))


def charges() -> list[tuple[Any, ...]]:
    return list(
        Charge.objects.order_by("pk").values_list(
            "customer__code", "number__number", "kind", "description", "amount", "cost", "currency"
        )
    )


def test_the_suggested_price_and_the_cost_are_charged(book: Book) -> None:
    book.good(a_line("CCT001A", "8.254321", retail="12.345", product="NW-LINE", quantity="3"))
    assert pass_on(book.house, ids(), SUGGESTED) == (1, 0)
    assert charges() == [("A1", "+441632960001", "carrier", "Line rental", D("12.35"), D("8.254321"), "GBP")]
    charge = Charge.objects.get()
    assert (charge.source_key, charge.feature, charge.quantity) == (f"carrier:{ids()[0]}", book.rental, D(3))
    assert charge.unit_price == D("4.1166666667")
    assert (charge.service_start, charge.service_end, charge.bill_date) == (*OCTOBER, OCTOBER[0])
    assert CarrierCharge.objects.get().charge == charge


@pytest.mark.parametrize(
    ("amount", "percent", "expected"),
    [("8.25", "0", "8.25"), ("8.25", "10", "9.08"), ("0.05", "10", "0.06"), ("-8.25", "10", "-9.08")],
)
def test_cost_and_a_percentage_is_rounded_half_up_once(
    book: Book, amount: str, percent: str, expected: str
) -> None:
    book.good(a_line("CCT001A", amount))
    pass_on(book.house, ids(), Terms(suggested=False, percent=D(percent)))
    kind = "credit" if amount.startswith("-") else "carrier"
    assert [(row[2], row[4], row[5]) for row in charges()] == [(kind, D(expected), D(amount))]


def test_asking_twice_charges_once(book: Book) -> None:
    book.good(a_line("CCT001A", retail="12"), a_line("CCT001A", retail="5", description="Care"))
    assert pass_on(book.house, ids(line=2), SUGGESTED) == (1, 0)
    assert pass_on(book.house, ids(), SUGGESTED) == (1, 0)
    assert pass_on(book.house, ids(), Terms(suggested=False, percent=D(900))) == (0, 0)
    assert [row[4] for row in charges()] == [D("12.00"), D("5.00")]
    assert AuditEvent.objects.filter(action="carrier_charges.passed_on").count() == 2


def test_what_stays_says_why(book: Book) -> None:
    book.good(
        a_line("Q-1", retail="1"),
        a_line("01632960002", retail="1"),
        a_line("CCT001A"),
        a_line("CCT001A", retail="0"),
        a_line("CCT001A", retail="3", kind="usage"),
        a_line("CCT001A", bill="E1", currency="EUR", retail="1"),
    )
    found = [(p.row.line, p.problem) for p in proposals(ids(), SUGGESTED)]
    assert sorted(found) == [
        (2, "It is not allocated yet."),
        (3, "Nobody had the number in these days."),
        (4, "The carrier suggests no price."),
        (5, "It comes to nothing."),
        (6, "Calls are billed from call files."),
        (7, "There is no exchange rate from EUR to GBP up to 1 Nov 2026."),
    ]
    assert pass_on(book.house, ids(), SUGGESTED) == (0, 6)
    assert pass_on(book.house, ids(line=6), Terms(doubles=True)) == (1, 0)


@pytest.mark.parametrize(
    ("price", "not_charged", "ends", "kind", "stays"),
    [
        (None, False, None, "rental", True),
        (D("9.99"), False, None, "rental", True),
        (D(0), False, None, "rental", False),
        (None, True, None, "rental", False),
        (None, False, date(2026, 10, 2), "rental", True),
        (None, False, None, "one_off", False),
    ],
)
def test_what_a_feature_charges_already_is_not_passed_on_unasked(
    book: Book, price: Decimal | None, not_charged: bool, ends: date | None, kind: str, stays: bool
) -> None:
    Feature.objects.filter(pk=book.rental.pk).update(price=price, not_charged=not_charged, end_date=ends)
    book.good(a_line("CCT001A", retail="12", product="NW-LINE", kind=kind))
    warning = "The customer pays for this feature by its own price already."
    assert proposals(ids(), SUGGESTED)[0].problem == (warning if stays else "")
    assert proposals(ids(), Terms(doubles=True))[0].problem == ""
    assert pass_on(book.house, ids(), SUGGESTED).passed == (0 if stays else 1)


@pytest.mark.parametrize(
    ("product", "own", "stays"), [("", "NW-LINE", True), ("NW-REC", "NW-LINE", False), ("NW-REC", "", True)]
)
def test_a_rental_that_names_only_a_number_may_be_its_line(
    book: Book, product: str, own: str, stays: bool
) -> None:
    Feature.objects.filter(pk=book.rental.pk).update(not_charged=False)
    FeatureType.objects.filter(code="LINE").update(carrier_product=own)
    book.good(a_line("CCT001A", retail="12", product=product))
    row = CarrierCharge.objects.get()
    assert (row.number, row.feature) == (book.line, None)
    found = proposals(ids(), SUGGESTED)[0].problem
    assert found == ("The customer pays for a line on this number already." if stays else "")


def test_another_currency_is_turned_at_the_rate_of_the_bills_day(book: Book) -> None:
    for on, rate in (("2026-10-20", "0.90"), ("2026-10-30", "0.8412"), ("2026-11-02", "0.5")):
        ExchangeRate.objects.create(
            reseller=book.house, date=date.fromisoformat(on), currency="GBP", rate=D(rate)
        )
    book.good(a_line("01632960001", "10", retail="15.55", carrier="EU"))
    CarrierCharge.objects.update(customer=book.one, state="allocated")
    proposal = proposals(ids(), SUGGESTED)[0]
    assert (proposal.quote.factor, proposal.quote.day) == (D("0.8412"), date(2026, 10, 30))
    pass_on(book.house, ids(), SUGGESTED)
    assert [row[4:] for row in charges()] == [(D("13.08"), D("8.412"), "GBP")]
    event = AuditEvent.objects.get(action="carrier_charges.passed_on")
    assert event.details["rates"] == "EUR to GBP of 2026-10-30"


def test_it_is_taken_back_while_it_is_on_no_bill(book: Book) -> None:
    book.good(a_line("CCT001A", retail="12"))
    pass_on(book.house, ids(), SUGGESTED)
    with pytest.raises(AllocationRefused, match="“Line rental” is passed on to a customer"):
        open_again(book.house, ids())
    with pytest.raises(AllocationRefused, match="1 of its charges is passed on to customers"):
        remove_bill(CarrierInvoice.objects.get())
    assert take_back(book.house, ids()) == 1
    assert charges() == []
    assert CarrierCharge.objects.get().charge is None
    with pytest.raises(PassingRefused, match="on a bill already"):
        take_back(book.house, ids())
    assert pass_on(book.house, ids(), SUGGESTED) == (1, 0)


def test_the_next_run_bills_it_once_with_its_vat(tmp_path: Path) -> None:
    made = make_book(tmp_path)
    scope = Scope.of(made.house.pk)
    now = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    with enter(scope):
        fill(made)
        Feature.objects.update(not_charged=True)
        made.good(
            a_line("CCT001A", retail="12.35"), a_line("CCT001A", "-2", retail="-3.10", description="Refund")
        )
        pass_on(made.house, ids(), SUGGESTED)
    for month in ("2026-10", "2026-11"):
        bill(made.house, parse_month(month, ZoneInfo("Europe/London")), until="billed", now=now, scope=scope)
    with enter(scope):
        lines = InvoiceLine.objects.order_by("pk").values_list(
            "kind", "description", "net", "vat_rate", "cost", "invoice__net", "invoice__vat"
        )
        totals = (D("9.25"), D("1.85"))
        assert sorted(lines) == [
            ("carrier", "Line rental", D("12.35"), D(20), D("8.25"), *totals),
            ("credit", "Refund", D("-3.10"), D(20), D("-2"), *totals),
        ]
        with pytest.raises(PassingRefused, match="credit the bill instead"):
            take_back(made.house, ids())


# Costs for margin


def test_costs_are_told_once_and_by_days(book: Book) -> None:
    Feature.objects.update(not_charged=False)
    book.good(
        a_line("CCT001A", "8.00", product="NW-LINE"),
        a_line("ORD77", "2.00", description="Recording"),
        a_line("CCT001A", "5.00", kind="one_off", description="Visit"),
        a_line("CCT001A", "7.00", kind="usage", description="Calls"),
        a_line("01632960002", "31.00", description="Nobody's"),
        a_line("Q-1", "99", description="Open"),
        a_line("CCT001A", "4.00", kind="one_off", description="Passed on", retail="6"),
    )
    pass_on(book.house, ids(description="Passed on"), SUGGESTED)
    found = {
        (c.customer_id, c.kind, c.feature_id): (c.cost, c.extra) for c in carrier_costs(book.house, *OCTOBER)
    }
    one = book.one.pk
    assert found == {
        (one, "rental", book.rental.pk): (D(8), D(0)),
        (one, "rental", book.recording.pk): (D(2), D(0)),
        (one, "one_off", None): (D(9), D(5)),
        (one, "usage", None): (D(7), D(0)),
        (None, "rental", None): (D(31), D(31)),
    }
    half = list(carrier_costs(book.house, date(2026, 10, 22), date(2026, 12, 1)))
    assert [(c.cost, c.extra) for c in half if c.customer_id is None] == [(D(10), D(10))]


def test_a_rental_without_a_cost_of_our_own_is_extra(book: Book) -> None:
    Feature.objects.update(not_charged=False)
    Feature.objects.filter(pk=book.rental.pk).update(cost=D(0))
    book.good(a_line("CCT001A", "8.00", product="NW-LINE"))
    assert list(carrier_costs(book.house, *OCTOBER)) == [
        CarrierCost(
            book.one.pk, book.line.pk, book.rental.pk, CarrierInvoice.objects.get().carrier_id, "rental", "GBP",
            D(8), D(8),
        )
    ]  # fmt: skip
    Feature.objects.filter(pk=book.rental.pk).update(cost=D(10))
    assert [c.extra for c in carrier_costs(book.house, *OCTOBER)] == [D(0)]
    assert list(carrier_costs(book.house, date(2026, 11, 1), date(2026, 12, 1))) == []
