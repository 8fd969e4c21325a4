"""Invoices: the list, one invoice, and its lines as a file."""

from collections.abc import Sequence
from decimal import Decimal
from io import StringIO
from typing import Any

import django_filters
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.models import (
    Allocation,
    BillingRun,
    ChargeKind,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
)
from billing.web.credits import CREDITS
from resellerkpi.core import audit, sheets
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import (
    SUM,
    Choice,
    Code,
    Column,
    Date,
    Flag,
    Int,
    Minutes,
    Money,
    Text,
    visible,
)
from resellerkpi.core.columns import Decimal as Figure
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.tables import mark, read
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.views import DetailPage, ListPage

VIEW, BILL, COST = Capability.VIEW_MONEY, Capability.BILL, Capability.VIEW_WHOLESALE
SHOWN_LINES = 250
PAID = (("unpaid", "Not paid in full"), ("paid", "Paid"), ("overdue", "Overdue"))


def with_open(invoices: QuerySet[Any]) -> QuerySet[Any]:
    """Add what is still open today of each invoice: `still_open`, 0 of a draft."""
    settled = (
        Allocation.objects.filter(invoice=OuterRef("pk"), ended_date__isnull=True)
        .order_by()
        .values("invoice")
        .annotate(total=Sum("amount"))
        .values("total")
    )
    amount = Invoice._meta.get_field("gross")
    zero = Coalesce(Subquery(settled), Decimal(0), output_field=amount)
    owed = Case(
        When(state=Invoice.State.DRAFT, then=Decimal(0)), default=F("gross") - zero, output_field=amount
    )
    return invoices.annotate(still_open=owed)


class InvoiceFilters(ScopedFilterSet):
    """Which invoices to list."""

    q = SearchFilter("number", "customer__name", "customer__code", label="Number or customer")
    period = PeriodFilter("invoice_date", label="Dated")
    state = OneOf("state", Invoice.State.choices, label="State")
    paid = django_filters.ChoiceFilter(choices=PAID, label="Payment", empty_label="Any", method="by_payment")
    run = ScopedChoiceFilter(BillingRun, "run", label="Run")

    def by_payment(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow by what is still open, and by due date for overdue ones."""
        issued = rows.exclude(state=Invoice.State.DRAFT)
        if value == "paid":
            return issued.filter(still_open__lte=0)
        unpaid = issued.filter(still_open__gt=0)
        today = timezone.localdate(timezone=self.request.reseller.zone)
        return unpaid.filter(due_date__lt=today) if value == "overdue" else unpaid


class InvoiceList(ListPage):
    """All invoices of the scope."""

    capability = VIEW
    title = "Invoices"
    purpose = "Every bill, what it came to and what is still owed of it."
    filterset = InvoiceFilters
    row_url = "invoice"
    order = ("-invoice_date", "-pk")
    empty = EmptyState("There are no invoices yet. They come from a bill run.")
    columns = (
        Code(name="shown", label="Invoice"),
        Text(name="customer", source="customer__name", url="customer"),
        Choice(name="state", choices=Invoice.State.choices),
        Date(name="invoice_date", label="Dated"),
        Date(name="due_date", label="Due"),
        Money(name="net", label="Before VAT", total=SUM),
        Money(name="vat", label="VAT", total=SUM),
        Money(name="gross", label="Total", total=SUM),
        Money(name="still_open", label="Still owed", total=SUM),
        Code(name="currency"),
        Money(name="cost", label="Supplier cost", total=SUM, needs=COST, hidden=True),
        Flag(name="is_disputed", label="Disputed", hidden=True),
        Flag(name="is_opening", label="Brought forward", hidden=True),
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the invoices with what is still owed."""
        number = Coalesce("number", "run__name", output_field=Invoice._meta.get_field("number"))
        return with_open(Invoice.objects.annotate(shown=number))


VAT_COLUMNS: tuple[Column, ...] = (
    Figure(name="rate", label="Rate", unit="%"),
    Money(name="net", label="Before VAT", total=SUM),
    Money(name="vat", label="VAT", total=SUM),
    Code(name="currency"),
)
LINES: tuple[Column, ...] = (
    Text(name="description"),
    Text(name="site"),
    Code(name="number", source="number__number"),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help="The first day not included."),
    Figure(name="quantity", decimals=0),
    Money(name="net", label="Before VAT", total=SUM),
    Figure(name="vat_rate", label="VAT", unit="%"),
    Money(name="cost", label="Supplier cost", total=SUM, needs=COST),
    Code(name="currency"),
)
USAGE: tuple[Column, ...] = (
    Text(name="description"),
    Text(name="site"),
    Code(name="number", source="number__number"),
    Int(name="calls", total=SUM),
    Minutes(name="seconds", label="Time billed", total=SUM),
    *LINES[6:],
)


class InvoicePage(DetailPage):
    """One invoice: what is on it, its VAT, what settled it."""

    capability = VIEW
    model = Invoice
    related = ("customer", "run", "reseller")

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the list."""
        return ("Invoices", reverse("invoice-list"))

    def actions(self) -> Sequence[Action]:
        """Offer the lines as a file and, of an issued invoice, a credit note."""
        found = [Action("Lines as CSV", reverse("invoice-lines", args=[self.object.pk]))]
        if self.scope.can(BILL) and self.object.state == Invoice.State.ISSUED:
            found.append(Action("Credit", reverse("invoice-credit", args=[self.object.pk])))
        return found

    def panels(self) -> list[Panel]:
        """Return the facts, the VAT, the sections of lines, and what settled it."""
        invoice: Invoice = self.object
        self.title = str(invoice) if invoice.number else f"Draft for {invoice.customer}"
        vat = (
            InvoiceVat.objects.filter(invoice=invoice)
            .annotate(currency=F("invoice__currency"))
            .order_by("rate")
        )
        return [
            facts(invoice),
            TablePanel("VAT", VAT_COLUMNS, vat, wide=False),
            *sections(invoice),
            settled_by(invoice),
            credits_of(invoice),
        ]


def facts(invoice: Invoice) -> Facts:
    """Return whose invoice it is, its dates and what it comes to."""
    still_open = with_open(Invoice.objects.filter(pk=invoice.pk)).values_list("still_open", flat=True)[0]
    run = (invoice.run.name, reverse("run", args=[invoice.run_id])) if invoice.run else ("None",)
    return Facts(
        "The invoice",
        [
            ("Customer", invoice.customer, reverse("customer", args=[invoice.customer_id])),
            ("State", mark(invoice.state, invoice.get_state_display())),
            ("Dated", day(invoice.invoice_date)),
            ("Due", day(invoice.due_date)),
            ("Before VAT", money(invoice.net, invoice.currency)),
            ("VAT", money(invoice.vat, invoice.currency)),
            ("Total", money(invoice.gross, invoice.currency)),
            ("Still owed", money(still_open, invoice.currency)),
            ("Bill run", *run),
            ("Sent", day(invoice.sent_at)),
            *([("Disputed", "Yes")] if invoice.is_disputed else []),
        ],
    )


def lines_of(invoice: Invoice) -> QuerySet[Any]:
    """Return the lines in their order, each with its currency."""
    lines = InvoiceLine.objects.filter(invoice=invoice).annotate(currency=F("invoice__currency"))
    return lines.order_by("position")


def sections(invoice: Invoice) -> list[Panel]:
    """Return a table for each kind of line on the invoice, in the order of the bill."""
    kinds = list(lines_of(invoice).order_by("kind").values_list("kind", flat=True).distinct())
    more = reverse("invoice-lines", args=[invoice.pk])
    return [
        TablePanel(
            f"{kind.label} charges" if kind != ChargeKind.CREDIT else "Credits",
            USAGE if kind == ChargeKind.USAGE else LINES,
            lines_of(invoice).filter(kind=kind),
            limit=SHOWN_LINES,
            more_url=more,
        )
        for kind in ChargeKind
        if kind.value in kinds
    ]


def settled_by(invoice: Invoice) -> TablePanel:
    """Return the payments and credit notes that settled the invoice, ended ones too."""
    rows = (
        Allocation.objects.filter(invoice=invoice)
        .annotate(
            what=Coalesce("credit_note__number", "payment__reference"),
            how=Case(
                When(credit_note__isnull=False, then="credit_note__reason"), default="payment__method",
                output_field=CreditNote._meta.get_field("reason"),
            ),
            currency=F("invoice__currency"),
        )
        .order_by("date", "pk")
    )  # fmt: skip
    columns = (
        Date(name="date"),
        Choice(name="how", label="By", choices=Customer.Method.choices),
        Code(name="what", label="Reference", url="", source="what"),
        Money(name="amount", total=SUM),
        Code(name="currency"),
        Date(name="ended_date", label="Taken back"),
    )
    return TablePanel("Settled by", columns, rows, empty=EmptyState("Nothing has been paid or credited yet."))


def credits_of(invoice: Invoice) -> TablePanel:
    """Return the invoice's credit notes."""
    rows = CreditNote.objects.filter(invoice=invoice).order_by("date", "pk")
    return TablePanel("Credit notes", CREDITS, rows, row_url="credit-note", empty=EmptyState("None."))


FILE_COLUMNS: tuple[Column, ...] = (
    Int(name="position", label="Line"),
    Choice(name="kind", choices=ChargeKind.choices),
    *LINES[:5],
    Text(name="call_class", label="Class"),
    Figure(name="quantity", decimals=6),
    Int(name="calls"),
    Minutes(name="seconds", label="Minutes billed"),
    *LINES[6:9],
    Code(name="currency"),
)


class InvoiceLines(DetailPage):
    """The lines of an invoice as CSV."""

    capability = VIEW
    model = Invoice

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the file and note who took it."""
        invoice = self.get_object()
        columns = visible(FILE_COLUMNS, self.scope.capabilities)
        out = StringIO()
        count = sheets.write_csv(columns, read(columns, lines_of(invoice)), out)
        audit.record("invoice.lines_taken", invoice, rows=count)
        response = HttpResponse(out.getvalue(), content_type=sheets.MEDIA["csv"])
        response["Content-Disposition"] = f'attachment; filename="{invoice.number or "draft"}.csv"'
        return response


urls: list[URLPattern] = [
    path("billing/invoices/", InvoiceList.as_view(), name="invoice-list"),
    path("billing/invoices/<int:pk>/", InvoicePage.as_view(), name="invoice"),
    path("billing/invoices/<int:pk>/lines.csv", InvoiceLines.as_view(), name="invoice-lines"),
]
