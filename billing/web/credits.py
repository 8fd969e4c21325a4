"""Credit notes: the list, one of them, and crediting an invoice."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import F, QuerySet
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.bills import credit
from billing.invoicing.credit import CreditRefused
from billing.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from billing.models.corrected import corrections_of
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Code, Column, Date, Money, Text
from resellerkpi.core.columns import Decimal as Figure
from resellerkpi.ui.filters import PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.views import DetailPage, FormPage, ListPage

VIEW, BILL = Capability.VIEW_MONEY, Capability.BILL
CREDITS: tuple[Column, ...] = (
    Code(name="number", label="Credit note"),
    Date(name="date", label="Dated"),
    Text(name="reason"),
    Money(name="net", label="Before VAT", total=SUM),
    Money(name="vat", label="VAT", total=SUM),
    Money(name="gross", label="Total", total=SUM),
    Code(name="currency"),
)


class CreditFilters(ScopedFilterSet):
    """Which credit notes to list."""

    q = SearchFilter(
        "number", "customer__name", "customer__code", "invoice__number", label="Number or customer"
    )
    period = PeriodFilter("date", label="Dated")


class CreditNoteList(ListPage):
    """All credit notes of the scope."""

    capability = VIEW
    title = "Credit notes"
    purpose = "What was taken back of invoices, and why."
    filterset = CreditFilters
    row_url = "credit-note"
    order = ("-date", "-pk")
    empty = EmptyState("There are no credit notes. Credit an invoice on its page.")
    columns = (
        CREDITS[0],
        Text(name="customer", source="customer__name", url="customer"),
        Code(name="invoice", source="invoice__number", url="invoice"),
        *CREDITS[1:],
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the credit notes."""
        return CreditNote.objects.all()


class CreditNotePage(DetailPage):
    """One credit note."""

    capability = VIEW
    model = CreditNote
    related = ("customer", "invoice")

    def panels(self) -> list[Panel]:
        """Return its facts and lines."""
        note: CreditNote = self.object
        lines = CreditNoteLine.objects.filter(credit_note=note).annotate(currency=F("credit_note__currency"))
        of = (note.invoice, reverse("invoice", args=[note.invoice_id])) if note.invoice else ("None",)
        items = [
            ("Customer", note.customer, reverse("customer", args=[note.customer_id])),
            ("Of invoice", *of),
            ("Dated", day(note.date)),
            ("Reason", note.reason),
            ("Before VAT", money(note.net, note.currency)),
            ("VAT", money(note.vat, note.currency)),
            ("Total", money(note.gross, note.currency)),
        ]
        columns = (
            Text(name="description"),
            Figure(name="vat_rate", label="VAT", unit="%"),
            Money(name="net", label="Before VAT", total=SUM),
            CREDITS[-1],
        )
        return [Facts("The credit note", items), TablePanel("Lines", columns, lines.order_by("pk"))]


class CreditFields(forms.Form):
    """What to credit and why."""

    line: Any = forms.ModelChoiceField(
        queryset=None, required=False, empty_label="All that is left of the invoice", label="What"
    )
    amount = forms.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal("0.01"), required=False, label="Amount before VAT",
        help_text="Needed for a single line; VAT is added at its rate.",
    )  # fmt: skip
    on = forms.DateField(widget=DayInput(), label="Dated")
    reason = forms.CharField(max_length=200)

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lines = InvoiceLine.objects.filter(invoice=invoice, net__gt=0).order_by("position")
        self.fields["line"].queryset = lines  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Ask for an amount with a line, and for none with the whole."""
        found = super().clean() or {}
        if found.get("line") and not found.get("amount"):
            self.add_error("amount", "Say how much of the line to credit.")
        return found


def corrected(invoice: Invoice) -> list[str]:
    """Say what became of the invoice's calls since, where they were priced again and corrected."""
    waiting, billed = corrections_of(invoice.pk)
    said = []
    if waiting:
        amount = money(waiting, invoice.currency)
        said.append(f"A correction of its calls, {amount}, waits for a bill: crediting all takes it away.")
    if billed:
        amount = money(billed, invoice.currency)
        said.append(
            f"Its calls were corrected on a later bill already, {amount} in all: credit only the rest."
        )
    return said


class CreditInvoice(FormPage):
    """Credit an invoice, whole or a line of it."""

    capability = BILL
    title = "Credit this invoice"
    form_class = CreditFields
    submit = "Make the credit note"
    refusals = (CreditRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the invoice and say what follows."""
        self.invoice = find(Invoice, self.kwargs["pk"], "customer", "reseller")
        self.cancel_url = reverse("invoice", args=[self.invoice.pk])
        self.back = (str(self.invoice), self.cancel_url)
        total = money(self.invoice.gross, self.invoice.currency)
        self.purpose = (
            f"{self.invoice} of {self.invoice.customer}, {total}. A credit note cannot be taken back."
        )
        self.danger = " ".join(corrected(self.invoice))
        return {"invoice": self.invoice, "initial": {"on": self.today}}

    def save(self, form: Any) -> str:
        """Make the credit note and show it."""
        chosen = form.cleaned_data
        lines = {chosen["line"].pk: chosen["amount"]} if chosen["line"] else None
        note = credit(
            self.invoice.pk, reason=chosen["reason"], on=chosen["on"], now=timezone.now(), lines=lines
        )
        messages.success(
            self.request, f"Credit note {note.number} over {money(note.gross, note.currency)} is made."
        )
        return reverse("credit-note", args=[note.pk])


urls: list[URLPattern] = [
    path("billing/invoices/<int:pk>/credit/", CreditInvoice.as_view(), name="invoice-credit"),
    path("billing/credit-notes/", CreditNoteList.as_view(), name="credit-note-list"),
    path("billing/credit-notes/<int:pk>/", CreditNotePage.as_view(), name="credit-note"),
]
