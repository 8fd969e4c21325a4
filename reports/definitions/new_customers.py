"""The New customers report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Least, TruncDate

from billing.models import (
    Call,
    Customer,
    CustomerEvent,
    Feature,
    Invoice,
    Mandate,
    NumberAssignment,
    Payment,
    TariffAssignment,
)
from reports.customers import CustomerAsOfFilters
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, time_dimensions
from reports.report import Preset, Report
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Int, Money, Row, Text
from resellerkpi.core.periods import add_months

SETUP, FIRSTS = "Set-up", "First"
MANDATES = (("held", "In force"), ("ended", "Ended"), ("none", "Missing"), ("", "Not needed"))
#: What a customer needs, in the order in which it is put right: (field of the row, words when it is not there).
NEEDED: Mapping[str, str] = {
    "email": "e-mail address",
    "has_number": "number",
    "has_tariff": "tariff",
    "has_mandate": "Direct Debit mandate",
    "first_call": "first call",
    "first_invoice": "first invoice",
    "first_payment": "first payment",
}


class NewCustomers(Report):
    """Who joined in the last months, how far they have come, and what is missing: one line per customer.

    A customer joins on the first day with a service or as active. Prospects without either and test accounts are left
    out. Invoices, payments and calls after the report's day are not looked at.
    """

    slug = "new-customers"
    name = "New customers"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    dated = "joined"
    keys = ("code",)
    dimensions = (*time_dimensions("joined", grains=("year", "quarter", "month")), *customer_dimensions(""))
    columns = (
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="customer_name", label="Customer", url="customer"),
        Date(name="joined", label="Joined", help="First day with a service or as active."),
        Choice(
            name="status",
            label="State",
            choices=Customer.Status.choices,
            help="Where the account stands today.",
        ),
        Int(name="customers", label="Customers", total=SUM, help="Number of customers."),
        Int(name="numbers", label="Numbers", total=SUM, group=SETUP, help="Held on the report's day."),
        Choice(
            name="mandate",
            label="Mandate",
            choices=MANDATES,
            group=SETUP,
            help="Of customers who pay by Direct Debit, on the report's day.",
        ),
        Text(name="missing", label="Missing", group=SETUP, help="What is not there yet on the report's day."),
        Date(name="first_call", label="Call", group=FIRSTS),
        Date(name="first_invoice", label="Invoice", group=FIRSTS, help="The date of the first invoice."),
        Money(name="first_amount", label="Amount", group=FIRSTS, help="Its total with VAT."),
        Code(name="currency", label="Currency", group=FIRSTS),
        Date(name="first_payment", label="Payment", group=FIRSTS, help="The first that was not taken back."),
        Int(name="called", label="Called", total=SUM, group="Got so far", help="Customers with a call."),
        Int(
            name="invoiced",
            label="Invoiced",
            total=SUM,
            group="Got so far",
            help="Customers with an invoice.",
        ),
        Int(
            name="paid",
            label="Paid",
            total=SUM,
            group="Got so far",
            help="Customers with a payment that stands.",
        ),
        Text(name="dealer", label="Dealer", help="The customer's dealer today."),
        Text(
            name="manager",
            label="Account manager",
            needs=Capability.VIEW_PEOPLE,
            help="The customer's account manager today.",
        ),
    )
    charts = (
        Preset("months", Bar(x="by_month", y=("customers",), title="Customers by month of joining")),
        Preset("dealers", Bar(x="by_dealer", y=("customers",), title="New customers by dealer")),
    )

    class Filters(CustomerAsOfFilters):
        """How new is new, besides the filters of customers."""

        months = forms.IntegerField(
            required=False,
            label="Joined in the last months",
            min_value=1,
            max_value=120,
            help_text="Counted back from the report's day.",
        )
        only_missing = forms.BooleanField(required=False, label="Only where something is missing")

        def defaults(self) -> dict[str, list[str]]:
            """Look at three months."""
            return super().defaults() | {"months": ["3"]}

        def clean(self) -> dict[str, Any]:
            """Keep what is missing to the list of customers."""
            data = super().clean()
            if data.get("only_missing") and data.get("group_by"):
                self.add_error("only_missing", "Choose this for the list of customers, without groups.")
            return data

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns; only groups count customers."""
        return self.columns if f.groups else [c for c in self.columns if c.name not in COUNTED]

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the newest customers first, or how many of each group have come how far."""
        found = newcomers(f)
        if f.groups:
            counts = {
                name: Count("pk", filter=Q(**{f"{field}__isnull": False}), distinct=True)
                for name, field in GOT.items()
            }
            return f.grouped(found).annotate(customers=Count("pk"), **counts, numbers=Sum("numbers"))
        return self._told(f, found)

    def _told(self, f: ReportFilters, found: QuerySet[Any]) -> Iterator[Row]:
        fields = ("code", "joined", "status", "email", "numbers", "mandate", *FIRST_FIELDS, "has_tariff")
        names = {
            "customer_name": F("name"),
            "customer_name_id": F("pk"),
            "manager": F("account_manager__name"),
        }
        rows = found.order_by("-joined", "code").values(*fields, **names, by_dealer=F("dealer__name"))
        for row in rows.iterator(chunk_size=2_000):
            seen = {
                **row,
                "has_number": row["numbers"],
                "has_mandate": row["mandate"] in ("held", ""),
                "currency": row["first_currency"],
                "dealer": row["by_dealer"],
            }
            gaps = [words for field, words in NEEDED.items() if not seen[field]]
            if gaps or not f.cleaned_data["only_missing"]:
                yield {**seen, "missing": _sentence(gaps)}


COUNTED = ("customers", "called", "invoiced", "paid")
GOT = {"called": "first_call", "invoiced": "first_invoice", "paid": "first_payment"}
FIRST_FIELDS = ("first_call", "first_invoice", "first_amount", "first_currency", "first_payment")


def newcomers(f: ReportFilters) -> QuerySet[Any]:
    """Return the customers that joined in the months up to the day, with what each has by then."""
    day, own = f.as_of, {"customer": OuterRef("pk")}
    started = (
        NumberAssignment.objects.filter(**own),
        Feature.objects.filter(**own).exclude(feature_type__interval="once"),
    )
    active = CustomerEvent.objects.filter(**own, status=Customer.Status.ACTIVE)
    asked: Q = f.of_customers("")  # type: ignore[attr-defined]  # of CustomerFilters
    joined = Least(*(_first(rows, "start_date") for rows in started), _first(active, "date"))
    found = Customer.objects.filter(asked, is_test=False).annotate(joined=joined)
    found = found.filter(joined__gt=add_months(day, -f.cleaned_data["months"]), joined__lte=day)
    bills = Invoice.objects.filter(**own, invoice_date__lte=day).exclude(state=Invoice.State.DRAFT)
    bills = bills.order_by("invoice_date", "pk")
    stands = Q(reversed_date__isnull=True) | Q(reversed_date__gt=day)
    calls = Call.objects.filter(**own, started_at__lt=f.interval.ends_at).order_by("started_at")
    held = NumberAssignment.objects.filter(_in_force(day), **own).order_by().values("customer")
    return found.annotate(
        numbers=Coalesce(Subquery(held.annotate(n=Count("number", distinct=True)).values("n")), Value(0)),
        has_tariff=Exists(TariffAssignment.objects.filter(_in_force(day), **own)),
        mandate=_mandate(day),
        first_call=Subquery(calls.annotate(on=TruncDate("started_at", tzinfo=f.tz)).values("on")[:1]),
        first_invoice=Subquery(bills.values("invoice_date")[:1]),
        first_amount=Subquery(bills.values("gross")[:1]),
        first_currency=Subquery(bills.values("currency")[:1]),
        first_payment=_first(Payment.objects.filter(stands, **own, received_date__lte=day), "received_date"),
    )


def _sentence(gaps: Sequence[str]) -> str:
    words = ", ".join(gaps)
    return words[:1].upper() + words[1:]


def _first(rows: QuerySet[Any], field: str) -> Subquery:
    return Subquery(rows.order_by().values("customer").annotate(first=Min(field)).values("first"))


def _in_force(day: Any) -> Q:
    return Q(start_date__lte=day) & (Q(end_date__isnull=True) | Q(end_date__gt=day))


def _mandate(day: Any) -> Case:
    """Return how a customer's mandate stands: "" where none is needed."""
    own = Mandate.objects.filter(customer=OuterRef("pk"))
    return Case(
        When(~Q(payment_method=Customer.Method.DIRECT_DEBIT), then=Value("")),
        When(Exists(own.filter(_in_force(day))), then=Value("held")),
        When(Exists(own.filter(start_date__lte=day)), then=Value("ended")),
        default=Value("none"),
        output_field=CharField(),
    )
