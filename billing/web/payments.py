"""Payments: the list, one payment and what it settled, entering and reversing; charges by hand."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import F, QuerySet
from django.urls import URLPattern, path, reverse

from billing.models import Allocation, Customer, Invoice, Payment, PaymentAttempt
from billing.receivables.bacs import ARUDD, decode
from billing.receivables.payments import PaymentRefused, PaymentRow, record_payments, reverse_payment
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Choice, Code, Date, Flag, Int, Money, Text
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedFilterSet, SearchFilter, YesNoFilter
from resellerkpi.ui.forms import DayInput, ReferenceField
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.views import DetailPage, FormPage, ListPage

VIEW, COLLECT = Capability.VIEW_MONEY, Capability.COLLECT


class PaymentFilters(ScopedFilterSet):
    """Which payments to list."""

    q = SearchFilter("reference", "customer__name", "customer__code", label="Reference or customer")
    period = PeriodFilter("received_date", label="Received")
    method = OneOf("method", Customer.Method.choices, label="Method")
    refill = YesNoFilter("is_refill", label="Refill")


class PaymentList(ListPage):
    """All payments of the scope."""

    capability = VIEW
    title = "Payments"
    purpose = "Money received, how, and what came back."
    filterset = PaymentFilters
    row_url = "payment"
    order = ("-received_date", "-pk")
    columns = (
        Date(name="received_date", label="Received"),
        Text(name="customer", source="customer__name", url="customer"),
        Choice(name="method", choices=Customer.Method.choices),
        Code(name="reference"),
        Money(name="amount", total=SUM),
        Code(name="currency"),
        Flag(name="is_refill", label="Refill", hidden=True),
        Date(name="reversed_date", label="Taken back"),
        Code(name="reversal_code", label="Reason"),
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the payments."""
        return Payment.objects.all()

    @property
    def empty(self) -> EmptyState:  # type: ignore[override]
        """Say what to do first."""
        text = "No payment has been recorded yet."
        if not self.scope.can(COLLECT):
            return EmptyState(text)
        return EmptyState(text, "Enter a payment", reverse("payment-add"))

    def actions(self) -> Sequence[Action]:
        """Offer the import and the form."""
        found = []
        start = address("import-start", "payments")
        if start and self.scope.can(Capability.IMPORT):
            found.append(Action("Import from a spreadsheet", start))
        if self.scope.can(COLLECT):
            found.append(Action("Enter a payment", reverse("payment-add"), primary=True))
        return found


class PaymentPage(DetailPage):
    """One payment: what it settled, and its presentations."""

    capability = VIEW
    model = Payment
    related = ("customer",)

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the list."""
        return ("Payments", reverse("payment-list"))

    def actions(self) -> Sequence[Action]:
        """Offer the reversal."""
        if self.object.reversed_date or not self.scope.can(COLLECT):
            return ()
        return (Action("Take it back", reverse("payment-reverse", args=[self.object.pk])),)

    def panels(self) -> list[Panel]:
        """Return the facts, what it settled and its presentations."""
        payment: Payment = self.object
        self.title = f"Payment of {money(payment.amount, payment.currency)}"
        settled = Allocation.objects.filter(payment=payment).annotate(currency=F("invoice__currency"))
        columns = (
            Code(name="invoice", source="invoice__number", url="invoice"),
            Date(name="date", label="From"),
            Money(name="amount", total=SUM),
            Code(name="currency"),
            Date(name="ended_date", label="Until"),
        )
        empty = EmptyState("It settles no invoice yet; the next one takes it.")
        attempts = PaymentAttempt.objects.filter(payment=payment).order_by("presentation")
        return [
            payment_facts(payment),
            TablePanel("What it settles", columns, settled.order_by("date", "pk"), empty=empty),
            TablePanel("Presentations", ATTEMPTS, attempts, empty=EmptyState("It was not presented by us.")),
        ]


ATTEMPTS = (
    Int(name="presentation"),
    Date(name="submitted_date", label="Submitted"),
    Choice(name="outcome", choices=PaymentAttempt.Outcome.choices),
    Date(name="outcome_date", label="Outcome on"),
    Code(name="reason_code", label="Reason"),
)


def payment_facts(payment: Payment) -> Facts:
    """Return who paid, how, and why it was taken back if it was."""
    items: list[tuple[Any, ...]] = [
        ("Customer", payment.customer, reverse("customer", args=[payment.customer_id])),
        ("Received", day(payment.received_date)),
        ("Method", payment.get_method_display()),
        ("Reference", payment.reference),
        ("Kind", "Refill" if payment.is_refill else "Payment"),
    ]
    if payment.reversed_date:
        reason = decode(payment.reversal_code)
        items += [
            ("Taken back", day(payment.reversed_date)),
            ("Because", reason.meaning),
            ("What to do", reason.action),
        ]
    return Facts("The payment", items)


class PaymentFields(forms.Form):
    """What came in."""

    customer = ReferenceField(
        Customer, by="code", what="customer with the account code", label="Account code"
    )
    amount = forms.DecimalField(max_digits=14, decimal_places=2, min_value=Decimal("0.01"))
    received = forms.DateField(widget=DayInput())
    method = forms.ChoiceField(choices=Customer.Method.choices)
    reference = forms.CharField(max_length=80, required=False, help_text="The same one counts once.")
    invoice = ReferenceField(
        Invoice,
        by="number",
        what="invoice",
        required=False,
        help_text="Left empty, the oldest due is settled.",
    )
    is_refill = forms.BooleanField(required=False, label="It is a refill of a prepaid account")

    def clean(self) -> dict[str, Any]:
        """Take an invoice of the customer only."""
        found = super().clean() or {}
        customer, invoice = found.get("customer"), found.get("invoice")
        if customer and invoice and invoice.customer_id != customer.pk:
            self.add_error("invoice", f"Invoice {invoice} is not of {customer}.")
        return found


class AddPayment(FormPage):
    """Enter a payment by hand."""

    capability = COLLECT
    title = "Enter a payment"
    purpose = "It settles the invoice you name, else the oldest due; what is over stays as credit."
    form_class = PaymentFields
    submit = "Enter the payment"
    refusals = (PaymentRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Start from today, and from the customer of the address."""
        self.cancel_url = reverse("payment-list")
        return {"initial": {"received": self.today, "customer": self.request.GET.get("customer", "")}}

    def save(self, form: Any) -> str:
        """Record the payment."""
        chosen = form.cleaned_data
        customer, invoice = chosen["customer"], chosen["invoice"]
        row = PaymentRow(
            customer_id=customer.pk,
            received_date=chosen["received"],
            amount=chosen["amount"],
            currency=invoice.currency if invoice else customer.currency,
            method=chosen["method"],
            reference=chosen["reference"],
            invoice_number=invoice.number if invoice else None,
            is_refill=chosen["is_refill"],
        )
        if record_payments(self.reseller, [row]).skipped:
            raise PaymentRefused("This payment is recorded already.")
        messages.success(self.request, f"{money(row.amount, row.currency)} from {customer} is recorded.")
        return self.cancel_url


class ReverseFields(forms.Form):
    """When and why a payment came back."""

    on = forms.DateField(widget=DayInput(), label="Taken back on")
    code = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=[("", "Not by Direct Debit"), *[(c, f"{c} {r.meaning}") for c, r in ARUDD.items()]],
    )


class ReversePayment(FormPage):
    """Take a payment back."""

    capability = COLLECT
    title = "Take this payment back"
    form_class = ReverseFields
    submit = "Take it back"
    refusals = (PaymentRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the payment and say what follows."""
        self.payment = find(Payment, self.kwargs["pk"], "customer")
        self.cancel_url = reverse("payment", args=[self.payment.pk])
        amount = money(self.payment.amount, self.payment.currency)
        self.danger = f"What the {amount} settled is owed again from that day."
        return {"initial": {"on": self.today}}

    def save(self, form: Any) -> str:
        """Reverse it."""
        chosen = form.cleaned_data
        reverse_payment(self.reseller, self.payment.pk, date=chosen["on"], code=chosen["code"])
        messages.success(self.request, "The payment is taken back.")
        return self.cancel_url


urls: list[URLPattern] = [
    path("payments/", PaymentList.as_view(), name="payment-list"),
    path("payments/add/", AddPayment.as_view(), name="payment-add"),
    path("payments/<int:pk>/", PaymentPage.as_view(), name="payment"),
    path("payments/<int:pk>/reverse/", ReversePayment.as_view(), name="payment-reverse"),
]
