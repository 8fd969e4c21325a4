"""Each kind of list: goes in, goes in again without effect, is refused whole for one bad line."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.importing.book import BOOK_KINDS
from billing.importing.decks.fields import DECK
from billing.importing.tables.examine import examine
from billing.importing.tables.kind import Kind
from billing.importing.tables.mapping import Mapping, guess
from billing.importing.tables.reading import read_table
from billing.importing.tables.templates import template_csv, template_xlsx
from billing.models import (
    Bundle,
    Carrier,
    ChangedDay,
    Customer,
    CustomerEvent,
    Dealer,
    ExchangeRate,
    Feature,
    FeaturePrice,
    FeatureType,
    Invoice,
    Number,
    NumberAssignment,
    NumberIdentity,
    Observation,
    Payment,
    PaymentAttempt,
    SpendLimit,
    Supply,
    Tariff,
    TariffAssignment,
)
from billing.pipeline_book import BookOutcome, import_book
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)
MODELS = (
    Bundle, Carrier, ChangedDay, Customer, CustomerEvent, Dealer, ExchangeRate, Feature, FeaturePrice, FeatureType,
    Invoice, Number, NumberAssignment, NumberIdentity, Observation, Payment, SpendLimit, Supply, Tariff,
    TariffAssignment,
)  # fmt: skip


class Book:
    """Loads texts as files into a reseller's book."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.house = Reseller.objects.create(code="alpha", name="Alpha")

    def load(self, kind: str, text: str, **mapping: Any) -> BookOutcome:
        """Load a CSV text."""
        path = self.folder / f"{kind}.csv"
        path.write_text(text, encoding="utf-8")
        return import_book(kind, path, reseller=self.house, mapping=Mapping.of(mapping), today=TODAY)

    def good(self, kind: str, text: str, **mapping: Any) -> tuple[int, int, int]:
        """Load a text that has no problem; return how many rows were new, changed, unchanged."""
        outcome = self.load(kind, text, **mapping)
        assert [p.as_dict() for p in outcome.problems] == []
        return outcome.counts.new, outcome.counts.changed, outcome.counts.unchanged

    def bad(self, kind: str, text: str, **mapping: Any) -> list[tuple[int | None, str, str]]:
        """Load a text that is refused; return its problems, having made sure that nothing was loaded."""
        before = [model.objects.count() for model in MODELS]
        outcome = self.load(kind, text, **mapping)
        assert (outcome.loaded, outcome.refused) == (0, outcome.rows)
        assert [model.objects.count() for model in MODELS] == before
        return [(p.line, p.field, p.error) for p in outcome.problems]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book in scope."""
    made = Book(tmp_path)
    with enter(Scope.of(made.house.pk)):
        yield made


@pytest.fixture
def full(book: Book) -> Book:
    """A book with a dealer, a carrier, two customers, two numbers, a catalogue and two tariffs."""
    book.good("dealers", "code,name\nEAST,East\n")
    book.good("carriers", "code,name\nCARR,Carrier\nNEXT,Next\n")
    book.good("customers", "code,name,active_from\nA1,One,2024-01-01\nA2,Two,2024-01-01\n")
    book.good("numbers", "number,customer,start_date\n020 7946 0001,A1,2024-01-01\nCIRCUIT/7,A2,2024-01-01\n")
    book.good("feature-types", "code,name,price,per_number\nREC,Recording,4.50,no\nLINE,Line,10,yes\n")
    Tariff.objects.create(reseller=book.house, name="Standard")
    Tariff.objects.create(reseller=book.house, name="Better")
    return book


# Engine


@pytest.mark.parametrize("kind", [*BOOK_KINDS, DECK], ids=lambda kind: kind.slug)
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_templates_can_be_loaded(book: Book, tmp_path: Path, kind: Kind, ending: str) -> None:
    path = tmp_path / f"template.{ending}"
    path.write_bytes({"csv": template_csv, "xlsx": template_xlsx}[ending](kind))
    heads = read_table(path).heads
    assert guess(kind.fields, heads) == {f.name: i for i, f in enumerate(kind.fields)}
    checked = examine(kind, path, Mapping(), reseller=book.house, today=TODAY)
    assert [p.error for p in checked.work.problems if not p.error.startswith("There is no ")] == []


def test_headings_delimiters_encodings_and_line_numbers(book: Book, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(
        '\ufeff"DEALER"\t"Dealer Name"\r\nEAST\t"Caf\u00e9\r\n\u201cEast\u201d"\r\n\r\nWEST\tW\r\n'.encode()
    )
    table = read_table(path)
    assert [(line.number, line.cells) for line in table.lines] == [
        (2, ["EAST", "Caf\u00e9\r\n\u201cEast\u201d"]),
        (5, ["WEST", "W"]),
    ]
    path.write_bytes("code;name\nEAST;Caf\u00e9 \u2013 East\n".encode("cp1252"))
    outcome = import_book("dealers", path, reseller=book.house, mapping=Mapping(), today=TODAY)
    assert outcome.counts.new == 1
    assert Dealer.objects.get().name == "Caf\u00e9 \u2013 East"


def test_what_is_no_table_is_refused(book: Book) -> None:
    assert book.bad("dealers", "") == [(None, "", "The file is empty.")]
    assert book.bad("dealers", "code,name\n") == [
        (None, "", "The file has headings but no lines below them.")
    ]
    assert "has no column for “Name”" in book.bad("dealers", "code,phone\nEAST,1\n")[0][2]
    assert book.bad("dealers", "code,name\nEAST,East,Extra\n") == [
        (2, "", "The line has 3 cells, the headings 2."),
    ]


def test_mapping_columns_constants_values_and_filters(book: Book) -> None:
    text = "1;Ann;Lee;DD;x\n2;Bob;May;Cash;x\n2;Bob;May;Cash;x\n3;Cy;Poe;DD;gone\n"
    counts = book.good(
        "customers", text, has_header=False, delimiter=";", once=True,
        columns={"code": 0, "name": [1, 2], "payment_method": 3, "active_from": {"value": "2024-01-01"}, "segment": 4},
        values={"payment_method": {"Cash": "transfer"}}, skip={"segment": ["gone"]},
    )  # fmt: skip
    assert counts == (2, 0, 0)
    names = Customer.objects.order_by("code").values_list("code", "name", "payment_method")
    assert list(names) == [("1", "Ann Lee", "direct_debit"), ("2", "Bob May", "transfer")]
    assert book.bad("customers", text, columns={"cat": 1})[0][2].startswith("There is no field “cat”")


def test_dates_and_numbers_as_written(book: Book) -> None:
    text = 'metric,date,value\noperating_cost,{},"1.250,5"\n'
    assert book.good("observations", text.format("22/11/2026"), day_first=True, decimal=",") == (1, 0, 0)
    assert Observation.objects.get().value == Decimal("1250.5")
    assert book.good("observations", text.format("22 Nov 2026"), decimal=",") == (0, 0, 1)
    assert book.good("observations", text.format("2026-11-22T10:00"), decimal=",") == (0, 0, 1)
    for wrong in ("31/02/2026", "2026-02-30", "0024-01-01", "soon"):
        assert (
            "is not a date" in book.bad("observations", text.format(wrong), day_first=True, decimal=",")[0][2]
        )
    error = book.bad("observations", text.format("2026-11-22"))[0][2]
    assert error == "“1.250,5” is not a number. Is its decimal mark “,”? Then say so."


def test_dangerous_text_stays_text(book: Book) -> None:
    text = 'code,name\n=1+1,"=HYPERLINK(""http://x"")"\n-X,<script>alert(1)</script>\n'
    book.good("dealers", text)
    assert set(Dealer.objects.values_list("code", "name")) == {
        ("=1+1", '=HYPERLINK("http://x")'),
        ("-X", "<script>alert(1)</script>"),
    }
    assert book.good("dealers", text) == (0, 0, 2)


def test_an_empty_cell_leaves_what_is_there(book: Book) -> None:
    book.good("dealers", "code,name,phone,is_active\nEAST,East,123,no\n")
    assert book.good("dealers", "code,name,phone\nEAST,Far East,\n") == (0, 1, 0)
    dealer = Dealer.objects.get()
    assert (dealer.name, dealer.phone, dealer.is_active) == ("Far East", "123", False)


def test_lines_with_one_key_are_refused(book: Book) -> None:
    assert book.bad("dealers", "code,name\nEAST,East\nEAST,Other\n") == [
        (3, "code", "The same code is on line 2 already."),
    ]


# Customers


def test_customers_with_their_events(full: Book) -> None:
    text = (
        "Account,Name,Dealer,Start date,Last day,Cease reason,Tags,Parent\n"
        "C1,Stays,EAST,2024-03-01,,,a; b,\nC2,Left,,2024-03-01,2026-10-31,price,,C1\nC3,Lead,,,,,,\n"
    )
    assert full.good("customers", text) == (3, 0, 0)
    first, left, lead = Customer.objects.filter(code__startswith="C").order_by("code")
    assert (first.status, first.tags, first.dealer.code, first.imported) == (
        "active",
        ["a", "b"],
        "EAST",
        False,
    )
    assert (left.status, left.parent, lead.status) == ("ceased", first, "prospect")
    events = list(
        CustomerEvent.objects.filter(customer=left).order_by("date").values_list("date", "status", "reason")
    )
    assert events == [(date(2024, 3, 1), "active", ""), (date(2026, 11, 1), "ceased", "price")]
    assert full.good("customers", text) == (0, 0, 3)
    assert CustomerEvent.objects.filter(customer=left).count() == 2
    assert set(ChangedDay.objects.values_list("day", flat=True)) >= {
        date(2024, 3, 1),
        date(2026, 11, 1),
        TODAY,
    }


def test_a_later_cease_is_added_and_a_moved_start_refused(full: Book) -> None:
    assert full.good("customers", "code,name,ceased_on\nA1,One,2026-11-01\n") == (0, 1, 0)
    assert Customer.objects.get(code="A1").status == "ceased"
    assert full.good("customers", "code,name,active_from\nA1,One,2026-11-15\n") == (0, 1, 0)
    assert Customer.objects.get(code="A1").status == "active"
    assert full.bad("customers", "code,name,active_from\nA2,Two,2024-02-01\n")[0][2] == (
        "The customer is active since 2024-01-01 already; change that on the customer's page."
    )


@pytest.mark.parametrize(
    "order", [("customers", "numbers", "features"), ("numbers", "features", "customers")]
)
def test_what_is_open_ends_when_the_customer_leaves(full: Book, order: tuple[str, ...]) -> None:
    texts = {
        "customers": "code,name,last day\nA1,One,2026-03-15\n",
        "numbers": "number,customer,start_date,carrier\n5001,A1,2025-01-01,CARR\n5002,A2,2025-01-01,\n",
        "features": "customer,feature_type,start_date\nA1,REC,2025-01-01\nA2,REC,2025-01-01\n",
    }
    for kind in (*order, *order):
        full.load(kind, texts[kind])
    left = date(2026, 3, 16)
    held = NumberAssignment.objects.filter(number__number__startswith="500").order_by("number__number")
    assert list(held.values_list("customer__code", "end_date")) == [("A1", left), ("A2", None)]
    assert NumberAssignment.objects.get(number__number="+442079460001").end_date == left
    had = Feature.objects.order_by("customer__code").values_list("customer__code", "end_date")
    assert list(had) == [("A1", left), ("A2", None)]
    assert Supply.objects.get(number__number="5001").end_date is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("X,Name,active,,", "Say since when the customer is active."),
        ("X,Name,ceased,2024-01-01,", "Say when the customer left: ceased on, or the last day of service."),
        (
            "X,Name,active,2024-01-01,2025-01-01",
            "The status says active, but by its dates the customer is ceased.",
        ),
        ("X,Name,,2024-01-01,2023-01-01", "It ends (2023-01-01) before it starts (2024-01-01)."),
        ("X,Name,,,2025-01-01", "Say since when the customer was active before."),
        ("X,,,2024-01-01,", "Name is missing."),
        ("X,Name,gone,2024-01-01,", "“gone” is none of prospect, active, suspended, ceased."),
    ],
)
def test_customers_that_contradict_themselves(book: Book, line: str, error: str) -> None:
    assert book.bad("customers", f"code,name,status,active_from,ceased_on\n{line}\n")[0][2] == error


def test_unknown_references_are_named_with_their_line(book: Book) -> None:
    text = "code,name,dealer,parent\nX1,One,NOPE,\nX2,Two,,X9\n"
    assert book.bad("customers", text) == [
        (2, "dealer", "There is no dealer “NOPE”."),
        (3, "parent", "There is no other customer “X9” to be the parent."),
    ]


# Numbers


def test_numbers_with_assignment_supply_and_identities(full: Book) -> None:
    text = (
        "number,customer,start_date,last_day,carrier,identities,monthly_cost\n"
        "07400 123456,A1,2025-01-01,2025-12-31,CARR,,1.50\n07400 123456,A2,2026-01-01,,CARR,SIM-9; 1000,\n"
        "1499,A1,2026-01-01,,,,\n0800 123 4567,,,,,,\n"
    )
    assert full.good("numbers", text) == (3, 0, 0)
    mobile = Number.objects.get(number="+447400123456")
    assert (mobile.type, mobile.monthly_cost) == ("mobile", Decimal("1.5"))
    held = mobile.assignments.order_by("start_date").values_list("customer__code", "start_date", "end_date")
    assert list(held) == [("A1", date(2025, 1, 1), date(2026, 1, 1)), ("A2", date(2026, 1, 1), None)]
    assert set(NumberIdentity.objects.values_list("identity", flat=True)) == {"SIM-9", "1000"}
    assert Number.objects.get(number="1499").type == "other"
    assert Supply.objects.filter(number=mobile, carrier__code="CARR").count() == 2
    assert full.good("numbers", text) == (0, 0, 3)
    assert NumberAssignment.objects.filter(number=mobile).count() == 2


def test_an_open_assignment_can_be_ended_but_not_overlapped(full: Book) -> None:
    overlap = "number,customer,start_date\n+442079460001,A2,2026-05-01\n"
    assert full.bad("numbers", overlap) == [
        (2, "number", "The number belongs to customer A1 from 2024-01-01."),
    ]
    full.good("numbers", "number,customer,start_date,end_date\n+442079460001,A1,2024-01-01,2026-05-01\n")
    full.good("numbers", overlap)
    moved = "number,customer,start_date,end_date\n+442079460001,A1,2024-01-01,2026-06-01\n"
    assert "belongs to customer A2" in full.bad("numbers", moved)[0][2]
    twice = "number,customer,start_date\n5001,A1,2026-01-01\n5001,A2,2026-02-01\n"
    assert full.bad("numbers", twice)[0][:2] == (3, "number")


def test_identities_stand_for_one_number(full: Book) -> None:
    full.good("numbers", "number,identities\nCIRCUIT/7,EXT1\n")
    assert (
        full.bad("numbers", "number,identities\n5001,EXT1\n")[0][2]
        == "“EXT1” already stands for number CIRCUIT/7."
    )


# Catalogue and services


def test_feature_types_with_dated_prices_and_allowances(full: Book) -> None:
    text = "code,name,price,cost,included_minutes,included_mb,price_from\nPACK,500 minutes,9,1,500,1024,{}\n"
    assert full.good("feature-types", text.format("")) == (1, 0, 0)
    pack = FeatureType.objects.get(code="PACK")
    assert pack.kind == "package"
    assert dict(pack.bundles.values_list("unit", "amount")) == {
        "seconds": Decimal(30000),
        "data": Decimal(1024),
    }
    assert full.good("feature-types", text.format("")) == (0, 0, 1)
    dearer = text.replace(",9,1,", ",10,1,")
    assert full.bad("feature-types", dearer.format(""))[0][2] == (
        "The price is 9 since 1990-01-01: say from which day it changes."
    )
    full.good("feature-types", dearer.format("2026-12-01"))
    full.good("feature-types", dearer.format("2026-12-01"))
    prices = pack.prices.order_by("valid_from").values_list("price", "valid_from", "valid_to")
    assert list(prices) == [
        (Decimal(9), date(1990, 1, 1), date(2026, 12, 1)),
        (Decimal(10), date(2026, 12, 1), None),
    ]
    assert (
        full.bad("feature-types", "code,name\nNEW,New\n")[0][2]
        == "A new feature type needs a price (0 is one)."
    )


def test_features(full: Book) -> None:
    text = (
        "customer,feature_type,start_date,number,quantity,price,end_date,reference\n"
        "A1,REC,2024-02-01,,3,,,\nA1,LINE,2024-02-01,+44 20 7946 0001,,8.00,,R1\n"
    )
    assert full.good("features", text) == (2, 0, 0)
    assert full.good("features", text) == (0, 0, 2)
    line = Feature.objects.get(feature_type__code="LINE")
    assert (line.price, line.number.number, line.quantity) == (Decimal(8), "+442079460001", 1)
    ended = text.replace("8.00,,R1", "8.00,2026-11-01,R1")
    assert full.good("features", ended) == (0, 1, 1)
    assert full.good("features", ended) == (0, 0, 2)
    moved = ended.replace("2026-11-01", "2026-12-01").replace("A1,REC,2024-02-01,,3", "A1,REC,2024-02-01,,4")
    assert [error[1] for error in full.bad("features", moved)] == ["quantity", "end_date"]
    assert full.bad("features", "customer,feature_type,start_date\nA1,LINE,2024-02-01\n")[0][1] == "number"


def test_a_feature_keeps_its_carrier(full: Book) -> None:
    full.good("feature-types", "code,name,price,carrier\nHOST,Hosted,5,CARR\n")
    full.good("features", "customer,feature_type,start_date\nA1,HOST,2024-02-01\n")
    assert Supply.objects.get(feature__feature_type__code="HOST").carrier.code == "CARR"


def test_tariff_assignments_end_the_one_they_replace(full: Book) -> None:
    text = "customer,number,tariff,start_date\nA1,,Standard,2024-01-01\n,CIRCUIT/7,Standard,2024-01-01\n"
    assert full.good("tariff-assignments", text) == (2, 0, 0)
    assert full.good("tariff-assignments", text) == (0, 0, 2)
    later = "customer,number,tariff,start_date\nA1,,Better,2026-01-01\n"
    assert full.good("tariff-assignments", later) == (1, 0, 0)
    held = TariffAssignment.objects.filter(customer__code="A1").order_by("start_date")
    assert list(held.values_list("tariff__name", "end_date")) == [
        ("Standard", date(2026, 1, 1)),
        ("Better", None),
    ]
    assert full.good("tariff-assignments", text) == (0, 0, 2)
    both = "customer,number,tariff,start_date\nA1,CIRCUIT/7,Better,2026-01-01\n,,Better,2026-01-01\n"
    assert {error[2] for error in full.bad("tariff-assignments", both)} == {
        "Name either a customer or a number."
    }
    other = "customer,tariff,start_date\nA1,Standard,2026-01-01\n"
    assert (
        full.bad("tariff-assignments", other)[0][2] == "Another tariff is assigned from 2026-01-01 already."
    )


# Money and reference data


def test_opening_invoices_and_payments(full: Book) -> None:
    text = "customer,number,date,amount,terms_days\nA1,OLD-1,2026-09-01,120.00,30\n"
    assert full.good("opening-invoices", text) == (1, 0, 0)
    invoice = Invoice.objects.get()
    assert (invoice.net, invoice.vat, invoice.due_date) == (Decimal(100), Decimal(20), date(2026, 10, 1))
    assert full.good("opening-invoices", text) == (0, 0, 1)
    changed = text.replace("120.00", "121.00")
    assert full.bad("opening-invoices", changed)[0][2] == "There is already another invoice OLD-1."
    wrong = "customer,number,date,amount,net,vat\nA1,OLD-2,2026-09-01,120,100,19\n"
    assert full.bad("opening-invoices", wrong)[0][2] == "Net 100 and VAT 19 do not add up to 120."
    paid = "customer,date,amount,method,invoice\nA1,2026-09-20,20.00,cheque,OLD-1\nA1,2026-09-20,20.00,cheque,OLD-1\n"
    assert full.good("payments", paid) == (2, 0, 0)
    assert full.good("payments", paid) == (0, 0, 2)
    assert Payment.objects.count() == 2
    failed = (
        "customer,date,amount,method,invoice,presentation,outcome,reversal_code\n"
        "A1,2026-09-21,80.00,dd,OLD-1,1,failed,0\n"
    )
    full.good("payments", failed)
    assert (Payment.objects.count(), PaymentAttempt.objects.get().reason_code) == (2, "0")
    assert full.bad("payments", "customer,date,amount\nA1,2026-09-20,-5\nA9,2026-09-20,5\n") == [
        (2, "amount", "A payment must be more than zero; give a reversal its date instead."),
        (3, "customer", "There is no customer “A9”."),
    ]


def test_exchange_rates_wide_and_long(book: Book) -> None:
    wide = "Date,USD,GBP,XAU,\n2026-10-30,1.1172,0.8338,N/A,\n2026-10-29,1.1130,0.83578,N/A,\n"
    assert book.good("exchange-rates", wide) == (4, 0, 0)
    assert book.good("exchange-rates", "date,currency,rate\n2026-10-30,USD,1.1172\n2026-10-31,USD,1.2\n") == (
        1,
        0,
        1,
    )
    assert ExchangeRate.objects.get(date=date(2026, 10, 29), currency="GBP").rate == Decimal("0.83578")
    assert book.bad("exchange-rates", "date,currency,rate\n2026-10-30,USD,0\n")[0][1] == "rate"


def test_what_no_kpi_would_read_is_refused(book: Book) -> None:
    def said(line: str) -> str:
        return str(book.bad("observations", f"metric,date,value,dimension,key,currency\n{line}\n")[0][2])

    assert said("visit,2026-10-01,5,,,") == "There is no metric “visit”. Did you mean “visits”?"
    assert said("Marketing Spends,2026-10-01,5,,,").endswith("Did you mean “marketing_spend”?")
    assert said("zzz,2026-10-01,5,,,").endswith("The page “Observations” lists those there are.")
    assert said("visits,2026-10-01,5,sources,Search,") == (
        "“visits” is not split by “sources”. Did you mean “source”?"
    )
    assert said("visits,2026-10-01,5,,Search,") == (
        "“visits” is not split by a key alone. It is split by source or campaign."
    )
    assert said("visits,2026-10-01,5,source,,") == "Say which source it is, or leave the dimension empty too."
    assert said("visits,2026-10-01,1.5,,,") == "“visits” counts things: 1.5 is not a whole number."
    assert said("visits,2026-10-01,-1,,,") == "“visits” is not less than 0."
    assert said("visits,2026-10-01,5,,,GBP") == "“visits” is not money: leave the currency empty."
    assert said("csat_responses,2026-10-01,5,score,6,") == "“6” is none of 1 to 5."
    assert said("csat_responses,2026-10-01,5,,,") == "“csat_responses” is entered by score: say which."
    assert said("visits,2126-10-01,5,,,") == "2126-10-01 lies in the future."
    good = "metric,date,value,score\ncsat_responses,2026-10-01,5,4\n"
    assert book.good("observations", good, columns={"key": "score"}) == (1, 0, 0)
    assert Observation.objects.get().dimension == "score"


def test_observations_are_corrected(book: Book) -> None:
    text = "metric,date,value,dimension,key,currency\nmarketing_spend,2026-10-01,{},campaign,Autumn,GBP\n"
    assert book.good("observations", text.format("100")) == (1, 0, 0)
    assert book.good("observations", text.format("120")) == (0, 1, 0)
    assert book.good("observations", text.format("120")) == (0, 0, 1)
    assert Observation.objects.get().value == Decimal(120)


@pytest.mark.parametrize("heading", ["Reversed on", "reversal date", "Returned"])
def test_the_day_of_a_reversal_is_found_by_its_usual_headings(full: Book, heading: str) -> None:
    full.good("payments", f"account,date,amount,reference,{heading}\nA1,2026-04-05,30.00,PX1,2026-05-20\n")
    assert Payment.objects.get(reference="PX1").reversed_date == date(2026, 5, 20)


def test_spend_limits_of_everybody_and_of_one_customer(full: Book) -> None:
    heads = "customer,per,covers,destination,amount,warn_percent,start_date\n"
    text = f"{heads},day,abroad,,80,,2026-10-01\nA1,month,,Cuba,50.50,90,2026-10-01\n"
    assert full.good("spend-limits", text) == (2, 0, 0)
    assert full.good("spend-limits", text) == (0, 0, 2)
    assert full.good("spend-limits", text.replace("80", "100")) == (0, 1, 1)
    names = ("customer__code", "per", "covers", "destination", "amount", "currency", "warn_percent")
    assert list(SpendLimit.objects.order_by("per").values_list(*names)) == [
        (None, "day", "abroad", "", Decimal(100), "GBP", 80),
        ("A1", "month", "destination", "Cuba", Decimal("50.50"), "GBP", 90),
    ]
    wrong = f"{heads}A1,day,all,Cuba,0,101,2026-10-01\nNOBODY,year,,,5,,2026-10-01\n"
    assert [(line, field) for line, field, _ in full.bad("spend-limits", wrong)] == [
        (2, "amount"), (2, "warn_percent"), (2, "destination"), (3, "per"), (3, "customer"),
    ]  # fmt: skip
