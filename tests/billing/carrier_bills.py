"""A small book with carriers, for the tests of their bills; and the loading of such a bill."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing.importing.tables.mapping import Mapping
from billing.models import (
    Carrier,
    CarrierCharge,
    Customer,
    Feature,
    FeaturePrice,
    FeatureType,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
)
from billing.pipeline_book import BookOutcome, import_book
from resellerkpi.core.models import Reseller
from tests.billing.money import make_customer, make_house

D = Decimal
TODAY = date(2026, 11, 22)
HEAD = "carrier,bill,bill_date,period,reference,product,description,kind,quantity,amount,currency,suggested price"


@dataclass
class Book:
    """One house: two customers, a line each, a spare number, a recording on the first, carriers NW and EU."""

    house: Reseller
    folder: Path
    one: Customer
    two: Customer
    line: Number
    spare: Number
    moved: Number
    recording: Feature
    rental: Feature

    def load(self, *lines: str, head: str = HEAD, **mapping: Any) -> BookOutcome:
        """Load lines as a carrier's bill."""
        path = self.folder / "bill.csv"
        path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        return import_book(
            "carrier-charges", path, reseller=self.house, mapping=Mapping.of(mapping), today=TODAY
        )

    def good(self, *lines: str, **options: Any) -> tuple[int, int]:
        """Load lines that are right; return how many are new and how many were there."""
        outcome = self.load(*lines, **options)
        assert [p.as_dict() for p in outcome.problems] == []
        return outcome.counts.new, outcome.counts.unchanged

    def bad(self, *lines: str, **options: Any) -> list[tuple[int | None, str]]:
        """Load lines that are wrong; return the problems and see that nothing was loaded."""
        before = CarrierCharge.objects.count()
        outcome = self.load(*lines, **options)
        assert CarrierCharge.objects.count() == before
        assert outcome.loaded == 0
        return [(p.line, p.error) for p in outcome.problems]


def a_line(reference: str = "", amount: str = "8.25", retail: str = "", **given: str) -> str:
    """Write a line of bill N1 of October 2026."""
    values = {
        "carrier": "NW", "bill": "N1", "bill_date": "2026-11-01", "period": "2026-10", "reference": reference,
        "product": "", "description": "Line rental", "kind": "", "quantity": "", "amount": amount, "currency": "",
        "suggested price": retail, **given,
    }  # fmt: skip
    return ",".join(values.values())


def make_book(folder: Path) -> Book:
    """Make the house; call it inside its scope."""
    house = make_house()
    return Book(house, folder, *[None] * 7)  # type: ignore[list-item]


def fill(book: Book) -> Book:
    """Put customers, numbers, features and carriers in the house; call it inside its scope."""
    own = {"reseller": book.house}
    first = Carrier.objects.create(**own, code="NW", name="Northwire")
    Carrier.objects.create(**own, code="EU", name="Europe Lines", currency="EUR", country="DE")
    book.one, book.two = make_customer(book.house, "A1"), make_customer(book.house, "A2")
    book.line = number(book, "+441632960001", (book.one, "2026-01-01", None))
    book.spare = number(book, "+441632960002")
    book.moved = number(
        book, "+441632960003", (book.one, "2026-01-01", "2026-10-16"), (book.two, "2026-10-16", None)
    )
    Supply.objects.create(
        **own, number=book.line, carrier=first, reference="CCT 001/A", start_date=date(2026, 1, 1)
    )
    NumberIdentity.objects.create(**own, number=book.moved, identity="SITE-9")
    recording = feature_type(book, "REC", "Recording", "3.50", "1.10", carrier_product="NW-REC")
    rental = feature_type(
        book, "LINE", "Line rental", "16.50", "10.20", kind="line", carrier_product="NW-LINE"
    )
    start = date(2026, 1, 1)
    book.recording = Feature.objects.create(
        **own, customer=book.one, feature_type=recording, start_date=start, reference="ORD-77"
    )
    book.rental = Feature.objects.create(
        **own, customer=book.one, number=book.line, feature_type=rental, start_date=start
    )
    return book


def number(book: Book, text: str, *held: tuple[Customer, str, str | None]) -> Number:
    """Add a number with its assignments."""
    row = Number.objects.create(reseller=book.house, number=text)
    for customer, start, end in held:
        NumberAssignment.objects.create(
            reseller=book.house, number=row, customer=customer, start_date=start, end_date=end
        )
    return row


def feature_type(book: Book, code: str, name: str, price: str, cost: str, **fields: Any) -> FeatureType:
    """Add a feature type with its price."""
    row = FeatureType.objects.create(reseller=book.house, code=code, name=name, **fields)
    FeaturePrice.objects.create(
        reseller=book.house, feature_type=row, price=D(price), cost=D(cost), valid_from=date(2020, 1, 1)
    )
    return row


def state_of(description: str = "Line rental") -> tuple[Any, ...]:
    """Return how a charge stands: state, how found, customer, number, feature, why."""
    return CarrierCharge.objects.values_list(
        "state", "found", "customer__code", "number__number", "feature__feature_type__code", "reason"
    ).get(description=description)
