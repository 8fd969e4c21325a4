"""Open documents for an accounting system: one line each, invoices with what is open, credit with a minus."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import DateField, F, QuerySet, Value
from django.db.models.functions import Cast

from reports.filters import ReportFilters
from resellerkpi.core.columns import SUM, Choice, Code, Date, Money, Row, Text

KINDS = [("invoice", "Invoice"), ("payment", "Payment on account"), ("credit_note", "Credit note on account")]
OPEN_ITEMS = (
    Choice(name="kind", label="Type", choices=KINDS, help="Credit that settles no invoice yet has a minus."),
    Code(name="code", label="Account reference", help="The customer's account code."),
    Code(name="document", label="Number", help="Of the invoice or credit note; of a payment its reference."),
    Date(name="day", label="Date"),
    Date(name="due", label="Due"),
    Text(name="details", label="Details", help="The customer's name."),
    Code(name="currency", label="Currency"),
    Money(name="whole", label="Total", help="The whole document, with VAT."),
    Money(name="owed", label="Open", total=SUM, help="What of it is open on the day: together the balance."),
)


class Documents(NamedTuple):
    """Documents of a kind with the fields that hold their number, days and amounts; `sign` is that of the whole."""

    kind: str
    rows: QuerySet[Any]
    number: str
    day: str
    due: str
    whole: str
    open: str
    sign: int


def open_items(f: ReportFilters, documents: Sequence[Documents]) -> Iterator[Row]:
    """Yield the open documents by account, day and number; one query for each kind."""
    found = [row for of in documents for row in _rows(f, of)]
    yield from sorted(found, key=lambda r: (r["code"], r["day"], r["kind"], r["document"]))


def _rows(f: ReportFilters, of: Documents) -> Iterator[Row]:
    due: Any = F(of.due) if of.due else Cast(Value(None), DateField())
    names = {
        "code": F("customer__code"),
        "document": F(of.number),
        "day": F(of.day),
        "due": due,
        "details": F("customer__name"),
    }
    rows = f.priced(of.rows).order_by().values(*f.rate_fields, **names)
    amounts = {"whole": f.money(of.whole) * of.sign, "owed": f.money(of.open)}
    for row in rows.annotate(currency=f.money_currency, **amounts):
        yield {**row, "kind": of.kind}
