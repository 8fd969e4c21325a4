"""The Outstanding report: aged debt."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Count, DateField, DecimalField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import Allocation, CreditNote, Customer, Invoice, LedgerEntry, Payment
from billing.receivables.ageing import BUCKET_LABELS, Bucket
from reports.currency import Billed
from reports.customers import CustomerAsOfFilters
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, dimension
from reports.open_items import OPEN_ITEMS, Documents, open_items
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Column, Int, Money, Percent, Row
from resellerkpi.ui.forms import DayInput

AMOUNT = DecimalField(max_digits=24, decimal_places=2)
ACCOUNTS = "accounts"
AGE, OF_IT = "By age", "Of the outstanding"
#: First and last day past its day of each bucket; None is without an end.
AGES: Mapping[Bucket, tuple[int | None, int | None]] = {
    Bucket.NOT_DUE: (None, 0),
    Bucket.DAYS_30: (1, 30),
    Bucket.DAYS_60: (31, 60),
    Bucket.DAYS_90: (61, 90),
    Bucket.OLDER: (91, None),
}
OWED = (*(str(bucket) for bucket in Bucket), "outstanding", "overdue", "disputed")
NARROWED = ("invoiced_by", "due_by")


class Outstanding(Report):
    """Who owes what at the end of a day, by age: one line per customer.

    What an invoice has open is its total less the payments and credit notes that settled it by that day; a payment
    after the day is not looked at, one reversed after it still stands. Money that settles no invoice yet stands beside
    the debt as a negative amount. Test accounts are left out.
    """

    slug = "outstanding"
    name = "Outstanding"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *customer_dimensions(),
        dimension(
            "method",
            "Payment method",
            "customer__payment_method",
            choices=Customer.Method.choices,
            family="Customers",
        ),
        dimension("terms", "Terms in days", "customer__terms_days", family="Customers"),
    )
    default_groups = ("customer",)
    billed = Billed(date="at_day")
    columns = (
        Int(name="invoices", label="Open invoices", total=SUM, help="Invoices with something open."),
        *(
            Money(
                name=str(bucket),
                label=BUCKET_LABELS[bucket],
                total=SUM,
                group=AGE,
                help="Open on invoices so many days past their day; due on the day itself is not due.",
            )
            for bucket in Bucket
        ),
        Money(name="outstanding", label="Outstanding", total=SUM, help="Sum of all ages."),
        Money(name="overdue", label="Past its day", total=SUM, group=OF_IT, help="All ages from 1 day."),
        Percent(
            name="overdue_share",
            label="Past its day %",
            parts=("overdue", "outstanding"),
            group=OF_IT,
            help="Past its day divided by outstanding.",
        ),
        Money(name="disputed", label="Disputed", total=SUM, group=OF_IT, help="Open on disputed invoices."),
        Money(
            name="on_account",
            label="On account",
            total=SUM,
            help="Payments and credit notes that settle no invoice yet, as a negative amount.",
        ),
        Money(
            name="balance", label="Balance", total=SUM, help="Outstanding with what is on account taken off."
        ),
    )
    charts = (
        Preset(
            "customers", Bar(x="by_customer", y=("outstanding", "overdue"), title="Outstanding by customer")
        ),
        Preset("dealers", Bar(x="by_dealer", y=("outstanding", "overdue"), title="Outstanding by dealer")),
        Preset("methods", Bar(x="by_method", y=("outstanding", "overdue"), title="Outstanding by method")),
    )

    class Filters(CustomerAsOfFilters):
        """SAFE's filters of outstanding invoices."""

        view = forms.ChoiceField(
            required=False,
            label="Output",
            choices=[("balances", "Balances by group"), (ACCOUNTS, "Accounts: one line per open document")],
        )
        basis = forms.ChoiceField(
            required=False,
            label="Age from",
            choices=[("due_date", "Due date"), ("invoice_date", "Invoice date")],
        )
        invoiced_by = forms.DateField(
            required=False,
            label="Invoice date on or before",
            widget=DayInput(),
            help_text="Leaves credit as it is.",
        )
        due_by = forms.DateField(
            required=False,
            label="Due date on or before",
            widget=DayInput(),
            help_text="Leaves credit as it is.",
        )
        terms = forms.IntegerField(
            required=False, label="Payment terms in days", min_value=0, max_value=32_767
        )
        disputed = forms.ChoiceField(
            required=False,
            label="Disputed invoices",
            choices=[("", "With disputed"), ("without", "Without disputed"), ("only", "Disputed only")],
        )

        def defaults(self) -> dict[str, list[str]]:
            """Show balances, and count the age from the due date."""
            return super().defaults() | {"basis": ["due_date"], "view": ["balances"]}

        def clean(self) -> dict[str, Any]:
            """Leave documents as they are: they are neither grouped nor compared."""
            data = super().clean()
            if data.get("view") == ACCOUNTS:
                if data.get("compare"):
                    self.add_error("compare", "Choose balances by group to compare; this output is a list.")
                if data.get("group_by") != self.asks.usual_groups:
                    self.add_error("group_by", "Choose balances by group to group; this output is a list.")
                data["group_by"] = []
            return data

        def of_customers(self, path: str = "customer") -> Q:
            """Return the condition on rows of the customers asked for; test accounts are never among them."""
            found, lead = super().of_customers(path), f"{path}__" if path else ""
            terms = self.cleaned_data["terms"]
            found &= Q(**{f"{lead}is_test": False})
            return found if terms is None else found & Q(**{f"{lead}terms_days": terms})

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns of the output."""
        return OPEN_ITEMS if f.cleaned_data["view"] == ACCOUNTS else self.columns

    def rows(self, f: ReportFilters) -> Iterator[Row]:
        """Yield what each group owes and has on account, in order of the groups; or the open documents."""
        if f.cleaned_data["view"] == ACCOUNTS:
            yield from open_items(f, _documents(f))
            return
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        names = [*(n for d in f.groups for n in d.lookups), "currency"]
        for found in (_owed(f), _on_account(f, Payment), _on_account(f, CreditNote)):
            for row in found:
                key = tuple(row[n] for n in names)
                if key in merged:
                    _add(merged[key], row)
                else:
                    merged[key] = dict.fromkeys(("invoices", *OWED, "on_account"), D(0)) | dict(row)
        for key in sorted(merged, key=lambda key: [str(part or "").casefold() for part in key]):
            row = merged[key]
            row["invoices"] = int(row["invoices"])
            yield row | {
                "balance": None if row["outstanding"] is None else row["outstanding"] + row["on_account"]
            }

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare the balance with the sum of the ledger, as billed and when no invoice is left out."""
        asked = f.cleaned_data
        if f.to_currency or asked["disputed"] or any(asked[name] for name in NARROWED):
            return []
        entries = LedgerEntry.objects.filter(_who(f), date__lte=f.as_of).order_by()
        held = {e["currency"]: e["sum"] for e in entries.values("currency").annotate(sum=Sum("amount"))}
        total = "owed" if asked["view"] == ACCOUNTS else "balance"
        ours = {t["currency"]: t[total] for t in totals}
        return [
            TieOut("Balance against the ledger", code, ours.get(code, D(0)), held.get(code, D(0)))
            for code in sorted({*ours, *(c for c, amount in held.items() if amount)})
        ]


def _who(f: ReportFilters) -> Q:
    found: Q = f.of_customers()  # type: ignore[attr-defined]  # of CustomerFilters
    return found


def _documents(f: ReportFilters) -> list[Documents]:
    """Return what is open on the day, document by document."""
    payments, notes = _loose(f, Payment), _loose(f, CreditNote)
    return [
        Documents("invoice", _open(f), "number", "invoice_date", "due_date", "gross", "open", 1),
        Documents("payment", payments, "reference", "received_date", "", "amount", "loose", -1),
        Documents("credit_note", notes, "number", "date", "", "gross", "loose", -1),
    ]


def _open(f: ReportFilters) -> QuerySet[Any]:
    """Return the invoices that have something open on the day."""
    asked, day = f.cleaned_data, f.as_of
    rows = Invoice.objects.filter(_who(f), invoice_date__lte=day).exclude(state=Invoice.State.DRAFT)
    wanted = {"invoice_date__lte": asked["invoiced_by"], "due_date__lte": asked["due_by"]}
    rows = rows.filter(**{lookup: limit for lookup, limit in wanted.items() if limit})
    if asked["disputed"]:
        rows = rows.filter(is_disputed=asked["disputed"] == "only")
    return rows.annotate(open=F("gross") - _settled(f, "invoice"), at_day=Value(day, DateField())).exclude(
        open=0
    )


def _owed(f: ReportFilters) -> QuerySet[Any]:
    """Return what the invoices of each group have open on the day, by age."""
    rows, amount = _open(f), f.money("open")
    sums = {str(bucket): _sum(amount, _aged(f, *AGES[bucket])) for bucket in Bucket}
    sums |= {"outstanding": _sum(amount), "overdue": _sum(amount, _aged(f, 1, None))}
    return f.grouped(f.priced(rows)).annotate(
        invoices=Count("pk"), disputed=_sum(amount, Q(is_disputed=True)), **sums
    )


def _on_account(f: ReportFilters, model: type[Payment] | type[CreditNote]) -> QuerySet[Any]:
    """Return as a negative amount what payments or credit notes of each group settle nothing with on the day."""
    return f.grouped(f.priced(_loose(f, model))).annotate(on_account=_sum(f.money("loose")))


def _loose(f: ReportFilters, model: type[Payment] | type[CreditNote]) -> QuerySet[Any]:
    """Return the payments or credit notes that settle nothing, or not with all, on the day: `loose` is negative."""
    day = f.as_of
    if model is Payment:
        stands = Q(reversed_date__isnull=True) | Q(reversed_date__gt=day)
        rows, whole, path = Payment.objects.filter(stands, received_date__lte=day), "amount", "payment"
    else:
        rows, whole, path = CreditNote.objects.filter(date__lte=day), "gross", "credit_note"
    rows = rows.filter(_who(f)).annotate(loose=_settled(f, path) - F(whole), at_day=Value(day, DateField()))
    return rows.exclude(loose=0)


def _settled(f: ReportFilters, path: str) -> Coalesce:
    """Sum the allocations in force on the day of an invoice, a payment or a credit note."""
    stands = Q(ended_date__isnull=True) | Q(ended_date__gt=f.as_of)
    found = Allocation.objects.filter(stands, date__lte=f.as_of, **{path: OuterRef("pk")}).order_by()
    sums = found.values(path).annotate(sum=Sum("amount")).values("sum")[:1]
    return Coalesce(Subquery(sums), Value(D("0.00")), output_field=AMOUNT)


def _aged(f: ReportFilters, first: int | None, last: int | None) -> Q:
    """Return the condition on invoices from `first` to `last` days past their day."""
    basis, found = f.cleaned_data["basis"], Q()
    if first is not None:
        found &= Q(**{f"{basis}__lte": f.as_of - timedelta(days=first)})
    if last is not None:
        found &= Q(**{f"{basis}__gte": f.as_of - timedelta(days=last)})
    return found


def _sum(amount: Any, only: Q | None = None) -> Any:
    return Coalesce(Sum(amount, filter=only), Value(D("0.00")), output_field=AMOUNT)


def _add(row: dict[str, Any], more: Row) -> None:
    """Add a row of the same group: amounts add up, days of rates widen."""
    for name, value in more.items():
        if name == "fx_first":
            row[name] = min(filter(None, (row[name], value)), default=None)
        elif name == "fx_last":
            row[name] = max(filter(None, (row[name], value)), default=None)
        elif name in (*OWED, "on_account", "fx_missing", "fx_old"):
            row[name] += value
