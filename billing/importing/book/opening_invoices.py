"""Import of opening invoices: what customers were billed in the system the reseller moved in from."""

from datetime import date, timedelta
from decimal import Decimal

from billing.importing.tables.fields import Field, currency, day, exact, flag, text, whole
from billing.importing.tables.kind import Kind, Row, Work
from billing.models import Customer, Invoice
from resellerkpi.core.money import places, round_half_up


def check(rows: list[Row], work: Work) -> None:
    """Fill in due date, currency and VAT, and refuse totals that do not add up and numbers taken by another invoice."""
    wanted = ("pk", "currency", "terms_days", "vat_rate")
    customers = {
        pk: (money, terms, rate)
        for pk, money, terms, rate in Customer.objects.filter(
            code__in={r["customer"] for r in rows}
        ).values_list(*wanted)
    }
    names = ("number", "customer_id", "invoice_date", "gross")
    known = {
        number: others
        for number, *others in Invoice.objects.filter(number__in=[r["number"] for r in rows]).values_list(
            *names
        )
    }
    for row in rows:
        money, terms, rate = customers[row["customer_id"]]
        row["currency"] = row["currency"] or money
        row["due_date"] = row["due_date"] or _due(
            row["date"], terms if row["terms_days"] is None else row["terms_days"]
        )
        _split(row, rate, work)
        if row["due_date"] < row["date"]:
            work.refuse(row, "due_date", "It is due before its own date.")
        there = known.get(row["number"])
        row["is_known"] = there == [row["customer_id"], row["date"], row["amount"]]
        if there is not None and not row["is_known"]:
            work.refuse(row, "number", f"There is already another invoice {row['number']}.")


def _due(start: date, days: int) -> date:
    return start + timedelta(days=days)


def _split(row: Row, rate: Decimal, work: Work) -> None:
    """Set net and VAT: as given, else by the customer's rate within the total, half-up."""
    gross, net, vat = row["amount"], row["net"], row["vat"]
    if gross < 0:
        work.refuse(row, "amount", "An opening invoice is not negative; bring credit in as a payment.")
    if net is None and vat is None:
        vat = gross - round_half_up(gross * 100 / (100 + rate), places(row["currency"]))
    row["net"] = gross - vat if net is None else net
    row["vat"] = gross - row["net"] if vat is None else vat
    if row["net"] + row["vat"] != gross:
        work.refuse(row, "amount", f"Net {row['net']} and VAT {row['vat']} do not add up to {gross}.")


KIND = Kind(
    slug="opening-invoices",
    title="Opening invoices",
    purpose="Invoices of the system you move in from, so that debts and their age are right from the first day.",
    order=80,
    key=("number",),
    check=check,
    days=("date", "due_date"),
    fields=(
        Field(name="customer", parse=text(60), required=True, reference="customer", example="C1001",
              aliases=("account", "account code", "customer code", "customer id")),
        Field(name="number", parse=text(40), required=True, aliases=("invoice number", "invoice", "doc id"),
              example="OLD-20411"),
        Field(name="date", parse=day, required=True, aliases=("invoice date", "posting date"), example="2026-09-01"),
        Field(name="amount", parse=exact(2), required=True, aliases=("gross", "total", "invoice amount"),
              example="240.00", help="The total with VAT."),
        Field(name="due_date", parse=day, aliases=("due", "due in date"), example="2026-09-15"),
        Field(name="terms_days", parse=whole(0, 365), aliases=("terms",), example="",
              help="Instead of the due date; else the customer's terms."),
        Field(name="net", parse=exact(2), example="", help="When neither net nor VAT is given, VAT is the part of the "
              "total that the customer's VAT rate gives."),
        Field(name="vat", parse=exact(2), label="VAT", example=""),
        Field(name="currency", parse=currency, example="GBP", help="The customer's when empty."),
        Field(name="disputed", parse=flag, example="no"),
    ),
)  # fmt: skip
