"""Import of customers with the dated events of their status."""

from billing.importing.statuses import check_events, load_events
from billing.importing.tables.fields import (
    Field,
    choice,
    currency,
    day,
    email,
    exact,
    flag,
    tags,
    text,
    whole,
)
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.staging import upsert
from billing.models import Customer, CustomerEvent

_COLUMNS = (
    "code", "name", "client_type", "legal_class", "dealer_id", "segment", "tags", "campaign", "email",
    "phone", "address", "postcode", "vat_number", "vat_rate", "currency", "payment_method", "terms_days",
    "billing_cycle", "billing_day", "minimum_invoice", "on_hold", "credit_limit", "itemised_by_email", "contract_end",
    "renewal_date", "is_test", "imported", "status",
)  # fmt: skip


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new customers, update known ones, add the events of their status."""
    house = work.reseller
    defaults = {"currency": house.currency, "vat_rate": house.vat_rate, "terms_days": house.terms_days}
    existing = set(
        Customer.objects.filter(code__in=[row["code"] for row in rows]).values_list("code", flat=True)
    )
    values = []
    for row in rows:
        value = {name: row.get(name) for name in _COLUMNS}
        if row["code"] not in existing:
            value |= {name: default for name, default in defaults.items() if value[name] is None}
            value["imported"] = bool(value["imported"])
        values.append(value)
    counts = upsert(Customer, values, key=("code",), reseller_id=house.pk)
    load_events(rows, work)
    _load_parents(rows, work)
    return counts


def check(rows: list[Row], work: Work) -> None:
    """Check the parents, which may be in the file itself, and the dates of the status."""
    wanted = {row["parent"] for row in rows if row["parent"]}
    known = set(Customer.objects.filter(code__in=wanted).values_list("code", flat=True))
    known |= {row["code"] for row in rows}
    for row in rows:
        if row["parent"] and (row["parent"] not in known or row["parent"] == row["code"]):
            work.refuse(row, "parent", f"There is no other customer “{row['parent']}” to be the parent.")
    check_events(rows, work)


def _load_parents(rows: list[Row], work: Work) -> None:
    parents = {row["code"]: row["parent"] for row in rows if row["parent"]}
    ids = dict(Customer.objects.filter(code__in=parents.values()).values_list("code", "pk"))
    values = [{"code": code, "parent_id": ids[parent]} for code, parent in parents.items()]
    upsert(Customer, values, key=("code",), reseller_id=work.reseller.pk, insert=False)


_METHODS = choice(
    Customer.Method, dd="direct_debit", bacs="direct_debit", credit_card="card", debit_card="card",
    bank_transfer_automatic="transfer", credit_card_automatic="card", bacs_transfer="transfer", wire="transfer",
    check="cheque", mailed_check="cheque", electronic_check="transfer", prepay="prepaid",
)  # fmt: skip

KIND = Kind(
    slug="customers",
    title="Customers",
    purpose="Your accounts, since when they are active, and when and why they left.",
    order=30,
    key=("code",),
    check=check,
    load=load,
    days=("active_from", "suspended_on", "ceased_on"),
    fields=(
        Field(name="code", parse=text(60), required=True, label="Account code", example="C1001",
              aliases=("account", "account number", "customer code", "customer id", "customer", "account no")),
        Field(name="name", parse=text(160), required=True, aliases=("account name", "customer name", "company"),
              example="Harbour Dental Ltd"),
        Field(name="status", parse=choice(Customer.Status, customer="active", live="active", lead="prospect",
              closed="ceased", cancelled="ceased"), example="active", help="Found from the dates when empty."),
        Field(name="active_from", parse=day, aliases=("start date", "reg date", "activation date", "customer since"),
              example="2024-03-01", help="The day the customer became active; not needed for a prospect."),
        Field(name="suspended_on", parse=day, example="", help="The day the customer was suspended."),
        Field(name="ceased_on", parse=day, aliases=("end date", "cease date"), example="",
              help="First day without service."),
        Field(name="last_day", parse=day, label="Last day of service", aliases=("churn date", "last day"), example="",
              help="Instead of ceased on: the last day with service."),
        Field(name="cease_reason", parse=choice(CustomerEvent.Reason), aliases=("churn reason",), example="",
              help=", ".join(CustomerEvent.Reason.values)),
        Field(name="cease_words", parse=text(2000), example="", help="The reason in the customer's words."),
        Field(name="competitor", parse=text(80), example=""),
        Field(name="dealer", parse=text(40), reference="dealer", aliases=("agent", "dealer code"), example=""),
        Field(name="parent", parse=text(60), label="Parent account", example="",
              help="Account code of the group; it may be in this file."),
        Field(name="client_type", parse=choice(Customer.ClientType), example="client"),
        Field(name="legal_class", parse=text(40), example="limited company"),
        Field(name="segment", parse=text(60), example="small business"),
        Field(name="tags", parse=tags, aliases=("tag",), example="healthcare; multi-site"),
        Field(name="campaign", parse=text(80), example="Autumn mailing"),
        Field(name="email", parse=email, aliases=("e-mail", "billing email"), example="accounts@harbour.example"),
        Field(name="phone", parse=text(40), aliases=("telephone",), example="+442079460002"),
        Field(name="address", parse=text(1000), aliases=("address1",), example="1 Quay Street, Bristol"),
        Field(name="postcode", parse=text(12), aliases=("post code", "zip"), example="BS1 4DJ"),
        Field(name="vat_number", parse=text(20), aliases=("vat no", "tax number"), example="GB123456789"),
        Field(name="vat_rate", parse=exact(2, digits=5, least=0, most=100), label="VAT rate %", example="20"),
        Field(name="currency", parse=currency, example="GBP"),
        Field(name="payment_method", parse=_METHODS, example="direct_debit"),
        Field(name="terms_days", parse=whole(0, 365), aliases=("terms", "payment terms"), example="14"),
        Field(name="billing_cycle", parse=text(40), example="monthly"),
        Field(name="billing_day", parse=whole(1, 31), example="1"),
        Field(name="minimum_invoice", parse=exact(2, digits=12, least=0), example="0"),
        Field(name="credit_limit", parse=exact(2, digits=12, least=0), example="500"),
        Field(name="contract_end", parse=day, example="2027-02-28", help="End of the minimum term."),
        Field(name="renewal_date", parse=day, example="2027-03-01"),
        Field(name="on_hold", parse=flag, example="no", help="No bills are made while on hold."),
        Field(name="itemised_by_email", parse=flag, example="yes", help="Consent to itemised bills by e-mail."),
        Field(name="is_test", parse=flag, label="Test account", example="no", help="Test accounts are in no KPI."),
        Field(name="imported", parse=flag, example="no",
              help="Moved in from another system, so never counted as new; no when empty."),
    ),
)  # fmt: skip
