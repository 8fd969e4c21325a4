"""The IBM receivables sample: 2,466 invoices of 100 customers with the day each was settled."""

from decimal import Decimal
from typing import Any

from billing.real.workbench import Workbench, inside
from billing.receivables.ageing import Bucket, bucket_of, outstanding

CUSTOMERS = {
    "columns": {"code": "customerID", "name": "customerID", "active_from": {"value": "2011-01-01"}},
    "once": True,
}
INVOICES = {
    "columns": {
        "customer": "customerID",
        "number": "invoiceNumber",
        "date": "InvoiceDate",
        "due_date": "DueDate",
        "amount": "InvoiceAmount",
        "disputed": "Disputed",
    },
    "date_format": "%m/%d/%Y",
}
PAYMENTS = {
    "columns": {
        "customer": "customerID",
        "date": "SettledDate",
        "amount": "InvoiceAmount",
        "invoice": "invoiceNumber",
        "reference": "invoiceNumber",
        "method": {"value": "transfer"},
    },
    "date_format": "%m/%d/%Y",
}


def run(bench: Workbench) -> dict[str, Any]:
    """Load invoices and payments, and age what is open after the entries of the day asked for."""
    source = bench.source("ar", "ibm_accounts_receivable_2466.csv")
    reseller = bench.reseller(
        "ar-ibm", country="US", time_zone="America/New_York", currency="USD", vat_rate=0
    )
    loads = {
        kind: bench.command(
            reseller, "import_book", kind, source, mapping=bench.mapping(f"ibm-{kind}", mapping)
        )
        for kind, mapping in (
            ("customers", CUSTOMERS),
            ("opening-invoices", INVOICES),
            ("payments", PAYMENTS),
        )
    }
    with inside(reseller):
        items = outstanding(bench.as_of)
    buckets: dict[str, dict[str, object]] = {}
    for bucket in Bucket:
        balances = [item.balance for item in items if bucket_of((bench.as_of - item.due_date).days) == bucket]
        buckets[bucket.value] = {"invoices": len(balances), "amount": str(sum(balances, Decimal("0.00")))}
    total = sum((item.balance for item in items), Decimal("0.00"))
    return {
        "loads": loads,
        "as_of": bench.as_of.isoformat(),
        "open": {"invoices": len(items), "amount": str(total), "currency": "USD"},
        "buckets": buckets,
    }
