"""Import of payments and collections; they are recorded by the receivables stage."""

from billing.importing.tables.fields import Field, choice, currency, day, exact, flag, text, whole
from billing.importing.tables.kind import Kind, Row, Work
from billing.models import Customer, PaymentAttempt


def check(rows: list[Row], work: Work) -> None:
    """Refuse amounts that are not positive and reversals before the payment."""
    for row in rows:
        if row["amount"] <= 0:
            work.refuse(row, "amount", "A payment must be more than zero; give a reversal its date instead.")
        if row["reversed_date"] is not None and row["reversed_date"] < row["date"]:
            work.refuse(row, "reversed_date", "It is reversed before it was received.")
        if row["outcome"] is not None and row["presentation"] is None:
            work.refuse(row, "presentation", "An outcome belongs to a presentation: say which (1, 2, 3).")


METHODS = choice(
    Customer.Method, dd="direct_debit", bacs="transfer", credit_card="card", debit_card="card", cash="transfer",
    bank="transfer", check="cheque",
)  # fmt: skip

KIND = Kind(
    slug="payments",
    title="Payments",
    purpose="Money received, collections that failed, and reversals.",
    order=90,
    key=(),
    check=check,
    days=("date", "reversed_date"),
    fields=(
        Field(name="customer", parse=text(60), required=True, reference="customer", example="C1001",
              aliases=("account", "account code", "customer code", "customer id")),
        Field(name="date", parse=day, required=True, example="2026-10-14",
              aliases=("payment date", "received date", "settled date", "received")),
        Field(name="amount", parse=exact(2), required=True, aliases=("payment", "invoice amount"), example="123.45"),
        Field(name="currency", parse=currency, example="GBP", help="The customer's when empty."),
        Field(name="method", parse=METHODS, aliases=("payment method",), example="direct_debit",
              help="The customer's when empty."),
        Field(name="reference", parse=text(80), aliases=("payment reference", "payment id", "note"),
              example="DD-77231"),
        Field(name="invoice", parse=text(40), aliases=("invoice number", "settles"), example="INV-000123",
              help="The invoice it settles; else the oldest due."),
        Field(name="is_refill", parse=flag, aliases=("refill", "prepayment"), example="no"),
        Field(name="reversed_date", parse=day, example="",
              aliases=("reversed", "reversed on", "reversal date", "returned", "returned on")),
        Field(name="reversal_code", parse=text(8), aliases=("reason code",), example="",
              help="The scheme's reason code, such as 0 for refer to payer."),
        Field(name="presentation", parse=whole(1, 9), example="", help="1 for the first attempt to collect."),
        Field(name="outcome", parse=choice(PaymentAttempt.Outcome), example="", help="How the attempt ended."),
    ),
)  # fmt: skip
