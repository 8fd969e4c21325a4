"""Invoices and credit notes as an accounting system books them: one line for each document and rate of VAT."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from typing import Any

from django.db.models import F, QuerySet, Sum

from billing.invoicing.tax import vat_per_rate
from billing.models import CreditNoteLine, InvoiceVat
from reports.filters import ReportFilters
from resellerkpi.core.columns import BY_ROW, SUM, Choice, Code, Date, Decimal, Money, Row, Text

KINDS = [("invoice", "Sales invoice"), ("credit_note", "Sales credit note")]
ENTRIES = (
    Choice(
        name="kind",
        label="Type",
        choices=KINDS,
        help="A credit note is a document of its own, on its own day, with a minus.",
    ),
    Code(name="code", label="Account reference", help="The customer's account code."),
    Code(name="document", label="Number", url=BY_ROW, help="Of the invoice or credit note."),
    Date(name="day", label="Date"),
    Date(name="due", label="Due"),
    Text(name="details", label="Details", help="The customer's name."),
    Code(name="currency", label="Currency"),
    Decimal(
        name="rate",
        label="VAT rate",
        unit="%",
        help="One line for each rate on the document; empty where the document does not say it.",
    ),
    Money(name="net", label="Net", total=SUM),
    Money(name="vat", label="VAT", total=SUM),
    Money(name="gross", label="Gross", total=SUM, help="Net plus VAT."),
)
PAGES = {"invoice": "invoice", "credit_note": "credit-note"}
CENT = D("0.01")
#: A rate of VAT (None: not known), net and VAT; by document.
Part = tuple[D | None, D, D]
Rates = dict[int, list[Part]]


def entries(f: ReportFilters, invoices: QuerySet[Any], notes: QuerySet[Any]) -> Iterator[Row]:
    """Yield the entries of invoices and credit notes by day and number; two queries for each kind of document."""
    found = [
        *_booked(f, invoices, "invoice", _of_invoices(invoices), {"due": F("due_date")}),
        *_booked(
            f, notes.annotate(invoice_date=F("date")), "credit_note", _of_notes(notes), {"due": F("date")}
        ),
    ]
    yield from sorted(found, key=lambda r: (r["day"], r["kind"] != "invoice", r["document"]))


def _booked(
    f: ReportFilters, rows: QuerySet[Any], kind: str, rates: Rates, fields: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    sign = 1 if kind == "invoice" else -1
    names = {
        **fields,
        "document": F("number"),
        "document_id": F("pk"),
        "code": F("customer__code"),
        "details": F("customer__name"),
        "day": F("invoice_date"),
        "money_in": f.money_currency,
    }
    found = f.priced(rows).order_by().values("net", "vat", *f.rate_fields, **names)
    for row in found.iterator(chunk_size=2_000):
        shown = {"kind": kind, "document_url": PAGES[kind], "currency": row["money_in"]}
        for rate, net, vat in _by_rate(rates[row["document_id"]], row["net"], row["vat"]):
            money = [_converted(f, row, amount * sign) for amount in (net, vat)]
            gross = None if None in money else sum(amount or D(0) for amount in money)
            yield {**row, **shown, "rate": rate, "net": money[0], "vat": money[1], "gross": gross}


def _converted(f: ReportFilters, row: Row, amount: D) -> D | None:
    """Return an amount as billed, or at the rate of the document's day, None without one."""
    if not f.to_currency:
        return amount
    rate = row["fx_rate"]
    return None if rate is None else (amount * rate).quantize(CENT, rounding=ROUND_HALF_UP)


def _by_rate(parts: list[Part], net: D, vat: D) -> list[Part]:
    """Return a document's net and VAT by rate; what the rates do not account for stands in a line without a rate.

    The VAT of a credit note that takes back the rest of an invoice is that rest, a penny off its rates perhaps: that
    penny is with the largest of them.
    """
    rest_net, rest_vat = net - sum(n for _, n, _ in parts), vat - sum(v for _, _, v in parts)
    if rest_net or not parts:
        return [*parts, (None, rest_net, rest_vat)]
    largest = max(range(len(parts)), key=lambda n: abs(parts[n][1]))
    return [(r, n, v + (rest_vat if at == largest else 0)) for at, (r, n, v) in enumerate(parts)]


def _of_invoices(invoices: QuerySet[Any]) -> Rates:
    found: Rates = defaultdict(list)
    rows = InvoiceVat.objects.filter(invoice__in=invoices.order_by().values("pk"))
    for invoice, rate, net, vat in rows.order_by("invoice", "-rate").values_list(
        "invoice_id", "rate", "net", "vat"
    ):
        found[invoice].append((rate, net, vat))
    return found


def _of_notes(notes: QuerySet[Any]) -> Rates:
    found: Rates = defaultdict(list)
    rows = CreditNoteLine.objects.filter(credit_note__in=notes.order_by().values("pk"))
    sums = rows.order_by("credit_note", "-vat_rate").values_list(
        "credit_note_id", "vat_rate", "credit_note__currency"
    )
    for note, rate, currency, net in sums.annotate(sum=Sum("net")):
        (amount,) = vat_per_rate([(net, rate)], currency)
        found[note].append((rate, amount.net, amount.vat))
    return found
