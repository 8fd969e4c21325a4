"""Money in: payments, attempts to collect, what they settle, and the dated ledger."""

from django.db import models
from django.db.models import F, Q

from billing.models.invoicing import CreditNote, Invoice
from billing.models.parties import Customer
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel


class Mandate(TenantModel):
    """A payer's authority for Direct Debit."""

    customer = Link(Customer, on_delete=models.CASCADE, related_name="mandates")
    reference = models.CharField(max_length=40)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "reference"], name="mandate_once")]
        indexes = [models.Index(fields=["reseller", "customer"], name="mandate_customer")]

    def __str__(self) -> str:
        return self.reference


class Payment(TenantModel):
    """Money received; a reversal takes it back at its own date."""

    customer = Link(Customer, on_delete=models.PROTECT, related_name="payments")
    method = models.CharField(max_length=12, choices=Customer.Method.choices)
    received_date = models.DateField()
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=80, blank=True)
    is_refill = models.BooleanField(default=False)
    reversed_date = models.DateField(null=True, blank=True)
    reversal_code = models.CharField(max_length=8, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(name="payment_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="payment_reversed_after",
                condition=Q(reversed_date__isnull=True) | Q(reversed_date__gte=F("received_date")),
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "received_date"], name="payment_received"),
            models.Index(fields=["reseller", "customer"], name="payment_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} from {self.customer}"


class PaymentAttempt(TenantModel):
    """One presentation of a collection and its final outcome."""

    class Outcome(models.TextChoices):
        """How the presentation ended."""

        PENDING = "pending", "Pending"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled by us"

    customer = Link(Customer, on_delete=models.PROTECT, related_name="attempts")
    invoice = Link(Invoice, null=True, on_delete=models.PROTECT, related_name="attempts")
    payment = Link(Payment, null=True, on_delete=models.SET_NULL, related_name="attempts")
    method = models.CharField(max_length=12, choices=Customer.Method.choices)
    presentation = models.PositiveSmallIntegerField(default=1)
    submitted_date = models.DateField()
    outcome_date = models.DateField(null=True, blank=True)
    outcome = models.CharField(max_length=9, choices=Outcome.choices, default=Outcome.PENDING)
    reason_code = models.CharField(max_length=8, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)

    dealer_path = "customer__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "invoice", "presentation"],
                condition=Q(invoice__isnull=False),
                name="attempt_once",
            ),
            models.CheckConstraint(
                name="attempt_outcome_dated",
                condition=Q(outcome="pending", outcome_date__isnull=True)
                | (~Q(outcome="pending") & Q(outcome_date__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "outcome_date"], name="attempt_outcome_date"),
            models.Index(fields=["reseller", "customer", "submitted_date"], name="attempt_customer"),
        ]

    def __str__(self) -> str:
        return f"presentation {self.presentation} of {self.invoice}"


class Allocation(TenantModel):
    """What a payment or credit note settles of an invoice, from a day; `ended_date` is the day of the reversal."""

    invoice = Link(Invoice, on_delete=models.PROTECT, related_name="allocations")
    payment = Link(Payment, null=True, blank=True, on_delete=models.PROTECT, related_name="allocations")
    credit_note = Link(
        CreditNote, null=True, blank=True, on_delete=models.PROTECT, related_name="allocations"
    )
    date = models.DateField()
    ended_date = models.DateField(null=True, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2)

    dealer_path = "invoice__customer__dealer_id"
    customer_path = "invoice__customer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(name="allocation_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="allocation_of_one",
                condition=Q(payment__isnull=False, credit_note__isnull=True)
                | Q(payment__isnull=True, credit_note__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "invoice", "date"], name="allocation_invoice"),
            models.Index(fields=["reseller", "payment"], name="allocation_payment"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.invoice}"


class LedgerEntry(TenantModel):
    """A dated movement of a customer's balance: plus is owed to us. The balance at a date is their sum."""

    class Kind(models.TextChoices):
        """What moved the balance."""

        INVOICE = "invoice", "Invoice"
        CREDIT_NOTE = "credit_note", "Credit note"
        PAYMENT = "payment", "Payment"
        REFILL = "refill", "Refill"
        REVERSAL = "reversal", "Payment reversed"
        REFUND = "refund", "Refund"
        WRITE_OFF = "write_off", "Written off"

    customer = Link(Customer, on_delete=models.PROTECT, related_name="ledger")
    date = models.DateField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    source_key = models.CharField(max_length=60)
    invoice = Link(Invoice, null=True, on_delete=models.PROTECT, related_name="+")
    payment = Link(Payment, null=True, on_delete=models.PROTECT, related_name="+")
    credit_note = Link(CreditNote, null=True, on_delete=models.PROTECT, related_name="+")

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "source_key"], name="ledger_entry_once")]
        indexes = [
            models.Index(fields=["reseller", "customer", "date"], name="ledger_customer_date"),
            models.Index(fields=["reseller", "invoice"], name="ledger_invoice"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"
