"""What is on the books now, for machines: customers, numbers, features and invoices, counted by one thing at a time.

Field names carry the object's name (`customer_count`); money is per currency, a row each, never added across.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMonth

from billing.models import Customer, Feature, Invoice, InvoiceLine, NumberAssignment
from billing.receivables.ageing import outstanding
from kpis.models import FeatureFact
from resellerkpi.core.access import Capability

Rows = list[dict[str, Any]]
STATUS, DEALER = "customer__status", "customer__dealer__code"


@dataclass(frozen=True)
class Standing:
    """One answer: its rows as of a day, their field names in order, and what it needs to be seen."""

    rows: Callable[[date], Rows]
    names: tuple[str, ...]
    needs: Capability | None = None


def running(rows: QuerySet[Any], today: date) -> QuerySet[Any]:
    """Narrow dated rows of real customers to those that hold on a day."""
    return rows.filter(
        Q(end_date__isnull=True) | Q(end_date__gt=today), start_date__lte=today, customer__is_test=False
    )


def customers(by: str = "", field: str = "") -> Callable[[date], Rows]:
    """Count customers, by a field of theirs under the name given."""

    def rows(today: date) -> Rows:
        found = Customer.objects.filter(is_test=False)
        return _counted(found, "customer_count", by, field, Count("pk"))

    return rows


def numbers(by: str = "", field: str = "") -> Callable[[date], Rows]:
    """Count the numbers customers have today."""

    def rows(today: date) -> Rows:
        return _counted(
            running(NumberAssignment.objects.all(), today), "number_count", by, field, Count("pk")
        )

    return rows


def features(by: str = "", field: str = "") -> Callable[[date], Rows]:
    """Count the features customers have today, each as often as it is had."""

    def rows(today: date) -> Rows:
        return _counted(
            running(Feature.objects.all(), today), "feature_count", by, field, Coalesce(Sum("quantity"), 0)
        )

    return rows


def _counted(rows: QuerySet[Any], name: str, by: str, field: str, count: Any) -> Rows:
    if not by:
        return [rows.aggregate(**{name: count})]
    return grouped(rows, {by: F(field)}, {name: count})


def grouped(rows: QuerySet[Any], keys: Mapping[str, Any], sums: Mapping[str, Any]) -> Rows:
    """Sum rows by keys, in their order; names may be those of fields, a key that is missing is ""."""
    inner = {f"key_{name}": path for name, path in keys.items()}
    summed = rows.order_by().values(**inner).annotate(**{f"sum_{name}": what for name, what in sums.items()})
    return [
        {name.split("_", 1)[1]: "" if value is None else value for name, value in row.items()}
        for row in summed.order_by(*inner)
    ]


def feature_charges(today: date) -> Rows:
    """Return what the features cost a month, a row per currency and feature, as the KPIs took it last."""
    last = FeatureFact.objects.order_by("-month").values("month")[:1]
    return grouped(
        FeatureFact.objects.filter(month=last, customer__is_test=False),
        {"feature_currency": F("currency"), "feature_type": F("feature_type__code")},
        {"feature_count": Sum("quantity"), "feature_amount": Sum("mrr")},
    )


def invoices(by: str = "") -> Callable[[date], Rows]:
    """Return issued invoices: how many, their amount and what is open of them, VAT included, a row per currency."""

    def rows(today: date) -> Rows:
        found = Invoice.objects.filter(customer__is_test=False, invoice_date__lte=today).exclude(
            state="draft"
        )
        keys: dict[str, Any] = {"invoice_currency": F("currency")}
        if by:
            keys[by] = {"invoice_dealer": F(DEALER), "invoice_month": TruncMonth("invoice_date")}[by]
        counted = grouped(found, keys, {"invoice_count": Count("pk"), "invoice_amount": Sum("gross")})
        sums = _open(today, by)
        return [
            {**_named(row), "invoice_outstanding": sums.get(tuple(row[k] for k in keys), Decimal(0))}
            for row in counted
        ]

    return rows


def _open(today: date, by: str) -> dict[tuple[Any, ...], Decimal]:
    """Return what is open by currency and key."""
    items = outstanding(today)
    people = {
        pk: (code, is_test)
        for pk, code, is_test in Customer.objects.filter(pk__in={i.customer_id for i in items}).values_list(
            "pk", "dealer__code", "is_test"
        )
    }
    sums: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for item in items:
        dealer, is_test = people[item.customer_id]
        key = {"invoice_dealer": (dealer or "",), "invoice_month": (item.invoice_date.replace(day=1),)}.get(
            by, ()
        )
        if not is_test:
            sums[(item.currency, *key)] += item.balance
    return sums


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {name: f"{v:%Y-%m}" if isinstance(v, date) else v for name, v in row.items()}


def breakdown(today: date) -> Rows:
    """Return the lines of the issued invoices by what they are for, before VAT, a row per currency and kind."""
    lines = InvoiceLine.objects.filter(
        invoice__customer__is_test=False, invoice__invoice_date__lte=today
    ).exclude(invoice__state="draft")
    return grouped(
        lines,
        {"invoice_currency": F("invoice__currency"), "invoice_line_kind": F("kind")},
        {"invoice_line_count": Count("pk"), "invoice_line_amount": Sum("net")},
    )


_MONEY = Capability.VIEW_MONEY
_BILLED = ("invoice_count", "invoice_amount", "invoice_outstanding")
#: category -> type -> what answers; summary is meant when no type is named.
STANDINGS: dict[str, dict[str, Standing]] = {
    "customers": {
        "summary": Standing(customers(), ("customer_count",)),
        "byStatus": Standing(customers("customer_status", "status"), ("customer_status", "customer_count")),
        "byDealer": Standing(
            customers("customer_dealer", "dealer__code"), ("customer_dealer", "customer_count")
        ),
    },
    "numbers": {
        "summary": Standing(numbers(), ("number_count",)),
        "byStatus": Standing(numbers("customer_status", STATUS), ("customer_status", "number_count")),
        "byDealer": Standing(numbers("customer_dealer", DEALER), ("customer_dealer", "number_count")),
        "byType": Standing(numbers("number_type", "number__type"), ("number_type", "number_count")),
    },
    "features": {
        "summary": Standing(features(), ("feature_count",)),
        "charges": Standing(
            feature_charges, ("feature_currency", "feature_type", "feature_count", "feature_amount"), _MONEY
        ),
        "byStatus": Standing(features("customer_status", STATUS), ("customer_status", "feature_count")),
        "byDealer": Standing(features("customer_dealer", DEALER), ("customer_dealer", "feature_count")),
        "byType": Standing(features("feature_type", "feature_type__code"), ("feature_type", "feature_count")),
    },
    "invoices": {
        "summary": Standing(invoices(), ("invoice_currency", *_BILLED), _MONEY),
        "byDealer": Standing(
            invoices("invoice_dealer"), ("invoice_currency", "invoice_dealer", *_BILLED), _MONEY
        ),
        "byMonth": Standing(
            invoices("invoice_month"), ("invoice_currency", "invoice_month", *_BILLED), _MONEY
        ),
        "breakdown": Standing(
            breakdown,
            ("invoice_currency", "invoice_line_kind", "invoice_line_count", "invoice_line_amount"),
            _MONEY,
        ),
    },
}
