"""Import of carriers' bills: what each line costs, over which days, under which reference of the carrier."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

from django.utils import timezone

from billing.importing.refused import FileRefused
from billing.importing.tables.fields import Field, Reading, choice, currency, day, exact, text, words
from billing.importing.tables.kind import Counts, Kind, Row, Work, last_days
from billing.importing.tables.reading import Cell
from billing.importing.tables.staging import upsert
from billing.models import Carrier, CarrierCharge, CarrierInvoice
from resellerkpi.core.columns import day as shown_day
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import current

_Bill: TypeAlias = tuple[int, str]
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_LINE = (
    "kind",
    "reference",
    "product",
    "description",
    "service_start",
    "service_end",
    "quantity",
    "amount",
    "retail",
)


def month(cell: Cell, reading: Reading) -> date:
    """Read a month such as 2026-10, Oct 2026 or any day of it; return its first day."""
    if not isinstance(cell, datetime | date):
        value = words(cell)
        if found := _MONTH.fullmatch(value):
            try:
                return date(int(found[1]), int(found[2]), 1)
            except ValueError:
                raise ValueError(f"“{value}” is not a month such as 2026-10.") from None
        for pattern in ("%b %Y", "%B %Y"):
            try:
                return datetime.strptime(value, pattern).date()  # noqa: DTZ007  a month has no zone
            except ValueError:
                continue
    return day(cell, reading).replace(day=1)


def check(rows: list[Row], work: Work) -> None:
    """Fill in what lines leave to their carrier, kind or month; refuse lines and bills that contradict themselves."""
    last_days(rows, work, first="service_start", end="service_end")
    ids = {row["carrier_id"] for row in rows}
    currencies = dict(Carrier.objects.filter(pk__in=ids).values_list("pk", "currency"))
    for row in rows:
        row["currency"] = row["currency"] or currencies[row["carrier_id"]]
        row["kind"] = row["kind"] or ("credit" if row["amount"] < 0 else "rental")
        row["quantity"] = 1 if row["quantity"] is None else row["quantity"]
        kind_name = str(CarrierCharge.Kind(row["kind"]).label)
        row["description"] = row["description"] or row["product"] or kind_name
        row["product"], row["reference"] = row["product"] or "", row["reference"] or ""
        _check_days(row, work)
        _check_money(row, work)
    bad = work.problems.lines()
    good = [row for row in rows if row["line"] not in bad]
    _check_heads(good, work)
    _check_known(good, work)


def _check_days(row: Row, work: Work) -> None:
    """Set the days served: as given, else the month, else (charged once) the one day."""
    if row["service_start"] is None:
        if row["service_end"] is not None:
            work.refuse(row, "service_start", "Say from which day the line is charged.")
        elif row["period"] is not None:
            row["service_start"], row["service_end"] = row["period"], add_months(row["period"], 1)
        else:
            work.refuse(row, "service_start", "Say which days or which month the line is for.")
    elif row["service_end"] is None:
        if row["period"] is None and row["kind"] in ("rental", "usage"):
            work.refuse(row, "service_end", "Say up to which day the line is charged, or for which month.")
            return
        end = add_months(row["period"], 1) if row["period"] else None
        row["service_end"] = (
            end if end and end > row["service_start"] else row["service_start"] + timedelta(days=1)
        )


def _check_money(row: Row, work: Work) -> None:
    if row["kind"] == "credit" and row["amount"] > 0:
        work.refuse(row, "amount", "A credit is negative: write the amount with a minus.")
    if row["retail"] is not None and row["retail"] * row["amount"] < 0:
        work.refuse(row, "retail", "The suggested price and the amount must have the same sign.")
    if row["quantity"] <= 0:
        work.refuse(row, "quantity", "The quantity must be more than zero.")


def _bills(rows: Iterable[Row]) -> dict[_Bill, list[Row]]:
    found: dict[_Bill, list[Row]] = {}
    for row in rows:
        found.setdefault((row["carrier_id"], row["bill"]), []).append(row)
    return found


def _check_heads(rows: list[Row], work: Work) -> None:
    """Refuse lines whose bill has another date, currency or stated total on an earlier line."""
    for lines in _bills(rows).values():
        for name, label in (("bill_date", "date"), ("currency", "currency"), ("bill_total", "total")):
            first = next((row for row in lines if row[name] is not None), None)
            for row in lines if first else ():
                if row[name] is None:
                    row[name] = first[name]  # type: ignore[index]
                elif row[name] != first[name]:  # type: ignore[index]
                    where = f"{first[name]} on line {first['line']}"  # type: ignore[index]
                    work.refuse(row, name, f"Bill {row['bill']} has another {label}, {where}.")


def _check_known(rows: list[Row], work: Work) -> None:
    """Find the lines that are in the book already; a bill that is there with other lines is refused."""
    known = _in_book(rows)
    for bill, lines in _bills(rows).items():
        if bill not in known:
            continue
        invoice, left = known[bill]
        for row in lines:
            head = (row["bill_date"], row["currency"], row["bill_total"])
            same_head = head == (invoice.invoice_date, invoice.currency, invoice.net)
            if not same_head or left[_identity(row)] == 0:
                work.refuse(row, "bill", _other_lines(invoice))
                break
            left[_identity(row)] -= 1
            row["is_known"] = True


def _in_book(rows: Iterable[Row]) -> dict[_Bill, tuple[CarrierInvoice, Counter[Any]]]:
    wanted = {row["bill"] for row in rows}
    bills = {bill.pk: bill for bill in CarrierInvoice.objects.filter(number__in=wanted)}
    lines: dict[int, Counter[Any]] = {pk: Counter() for pk in bills}
    held = CarrierCharge.objects.filter(invoice_id__in=bills)
    for pk, *line in held.values_list("invoice_id", *_LINE):
        lines[pk][tuple(line)] += 1
    return {(bill.carrier_id, bill.number): (bill, lines[pk]) for pk, bill in bills.items()}


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _LINE)


def _other_lines(invoice: CarrierInvoice) -> str:
    loaded = f", loaded on {shown_day(invoice.loaded_at.date())}" if invoice.loaded_at else ""
    return (
        f"Bill {invoice.number} of this carrier is in the book already{loaded}, and differs from this file; "
        "remove it there first."
    )


def store(rows: list[Row], work: Work) -> Counts:
    """Write the bills that are not in the book yet with their lines; those that are there stay as they are.

    Raises FileRefused when the book holds more lines of a bill than the file.
    """
    fresh = {bill: lines for bill, lines in _bills(rows).items() if not lines[0].get("is_known")}
    _refuse_cut_short(_bills(row for row in rows if row.get("is_known")))
    heads = [_head(bill, lines, work) for bill, lines in fresh.items()]
    upsert(CarrierInvoice, heads, key=("carrier_id", "number"), reseller_id=work.reseller.pk, update=False)
    made = CarrierInvoice.objects.filter(number__in={number for _, number in fresh})
    ids = {(carrier, number): pk for pk, carrier, number in made.values_list("pk", "carrier_id", "number")}
    charges = [
        {"invoice_id": ids[bill], "line": row["line"], **{name: row[name] for name in _LINE}}
        for bill, lines in fresh.items()
        for row in lines
    ]
    upsert(CarrierCharge, charges, key=("invoice_id", "line"), reseller_id=work.reseller.pk, update=False)
    return Counts(new=len(charges), unchanged=len(rows) - len(charges))


def _refuse_cut_short(known: dict[_Bill, list[Row]]) -> None:
    book = _in_book(lines[0] for lines in known.values())
    for bill, lines in known.items():
        invoice, held = book[bill]
        if held.total() != len(lines):
            raise FileRefused(_other_lines(invoice))


def _head(bill: _Bill, lines: list[Row], work: Work) -> dict[str, Any]:
    spans = [row for row in lines if row["amount"] >= 0] or lines
    return {
        "carrier_id": bill[0],
        "number": bill[1],
        "invoice_date": lines[0]["bill_date"],
        "period_start": min(row["service_start"] for row in spans),
        "period_end": max(row["service_end"] for row in spans),
        "currency": lines[0]["currency"],
        "net": lines[0]["bill_total"],
        "file_name": work.file_name[:200],
        "loaded_at": timezone.now(),
        "loaded_by_id": current().user_id,
    }


_kind: Callable[..., Any] = choice(
    CarrierCharge.Kind, recurring="rental", subscription="rental", line="rental", once="one_off", setup="one_off",
    install="one_off", calls="usage", refund="credit",
)  # fmt: skip

KIND = Kind(
    slug="carrier-charges",
    title="Carrier bills",
    purpose="What your suppliers charge you besides calls: each line finds its number or feature by its reference.",
    order=95,
    key=(),
    check=check,
    fields=(
        Field(name="carrier", parse=text(40), required=True, reference="carrier", example="GAMMA",
              aliases=("supplier", "carrier code"), help="Your short code of the supplier."),
        Field(name="bill", parse=text(80), required=True, label="Bill number", example="INV-88214",
              aliases=("invoice number", "invoice", "invoice no", "bill no", "document number")),
        Field(name="bill_date", parse=day, required=True, example="2026-11-01",
              aliases=("invoice date", "date", "tax point")),
        Field(name="amount", parse=exact(6), required=True, example="8.25", help="Before VAT; a credit is negative.",
              aliases=("net", "cost", "charge", "net amount", "line total", "price", "total net")),
        Field(name="reference", parse=text(80), example="01134960001",
              aliases=("number", "cli", "circuit", "service id", "service reference", "carrier reference",
                       "number reference", "asset", "order"),
              help="The carrier's name of the service: a number, a circuit, an order."),
        Field(name="product", parse=text(80), example="WLR-LINE", help="The carrier's product code.",
              aliases=("product code", "carrier product", "item", "item code")),
        Field(name="description", parse=text(200), example="Line rental",
              aliases=("details", "narrative", "product name", "charge description")),
        Field(name="kind", parse=_kind, example="rental", aliases=("charge type", "type"),
              help="rental, one_off, usage or credit; when empty, a rental, or a credit if the amount is negative."),
        Field(name="service_start", parse=day, label="From", example="2026-11-01",
              aliases=("start", "start date", "from date", "charge from", "period start", "period from")),
        Field(name="service_end", parse=day, label="Until", example="2026-12-01",
              help="The first day no longer charged."),
        Field(name="last_day", parse=day, example="", help="Instead of that: the last day charged.",
              aliases=("to", "to date", "end date", "charge to", "period end", "period to")),
        Field(name="period", parse=month, label="Month", example="", aliases=("billing month", "billing period"),
              help="Instead of days: the month charged, such as 2026-11."),
        Field(name="quantity", parse=exact(6), aliases=("qty", "units"), example="1"),
        Field(name="retail", parse=exact(6), label="Suggested price", example="12.50",
              aliases=("suggested retail", "suggested retail price", "rrp", "retail price"),
              help="Of the whole line, before VAT."),
        Field(name="currency", parse=currency, example="GBP", help="The carrier's when empty."),
        Field(name="bill_total", parse=exact(6), label="Bill's own total", example="",
              aliases=("invoice total", "bill total", "total"),
              help="Before VAT, as the carrier states it; a difference to the sum of the lines is shown."),
    ),
)  # fmt: skip
