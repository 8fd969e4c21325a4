"""Charges, bill runs, invoices and credit notes."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from billing.models.parties import Customer
from billing.models.services import Feature, Number
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Reseller, TenantModel, User

MONEY: dict[str, Any] = {"max_digits": 18, "decimal_places": 2, "default": 0}


class ChargeKind(models.TextChoices):
    """What a charge or an invoice line is for."""

    RECURRING = "recurring", "Recurring"
    USAGE = "usage", "Usage"
    ONE_OFF = "one_off", "One-off"
    CARRIER = "carrier", "Carrier pass-through"
    MANUAL = "manual", "Manual"
    CREDIT = "credit", "Credit"


class BillingRun(TenantModel):
    """One round of bills; its dates lock when billing starts.

    `looked_at` is when its checks ran last, `looked_on` a fingerprint of what they read then.
    """

    class State(models.TextChoices):
        """Life of a run."""

        DRAFT = "draft", "Draft"
        CHECKED = "checked", "Checked"
        BILLED = "billed", "Billed"
        CONFIRMED = "confirmed", "Confirmed"
        SENT = "sent", "Sent"

    name = models.CharField(max_length=80)
    cycle = models.CharField(max_length=40, default="monthly")
    period_start = models.DateField()
    period_end = models.DateField()
    invoice_date = models.DateField()
    due_date = models.DateField(null=True, blank=True)
    message = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    accepted_errors = models.CharField(max_length=300, blank=True)
    checked_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    confirmed_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    usage_batch = models.BigIntegerField(null=True)
    looked_at = models.DateTimeField(null=True)
    looked_on = models.CharField(max_length=80, blank=True, default="", db_default="")
    billed_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="run_period", condition=Q(period_end__gt=F("period_start"))),
            models.UniqueConstraint(fields=["reseller", "cycle", "period_start"], name="run_once"),
        ]

    def __str__(self) -> str:
        return self.name


class NotProduced(TenantModel):
    """A customer for whom a run made no invoice, and why."""

    class Reason(models.TextChoices):
        """Why there is no invoice."""

        EMPTY = "empty", "Nothing to bill"
        MINIMUM = "minimum", "Under the customer's minimum"
        HOLD = "hold", "On hold"
        CREDIT = "credit", "In credit: carried to the next bill"

    run = Link(BillingRun, on_delete=models.CASCADE, related_name="not_produced")
    customer = Link(Customer, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    amount = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    currency = models.CharField(max_length=3, blank=True)

    dealer_path = "customer__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "run", "customer", "currency"], name="not_produced_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.get_reason_display()}"


class Invoice(TenantModel):
    """A bill. Draft until issued; an issued invoice never changes (a trigger in the database holds it).

    It covers the customer's calls that started before `usage_before` and were rated in batches up to
    `usage_batch`, and that no earlier invoice of the customer and currency covers. Opening invoices come from
    the system the reseller moved in from.
    """

    class State(models.TextChoices):
        """Life of an invoice."""

        DRAFT = "draft", "Draft"
        ISSUED = "issued", "Issued"
        VOID = "void", "Cancelled by credit note"

    customer = Link(Customer, on_delete=models.PROTECT, related_name="invoices")
    run = Link(BillingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="invoices")
    number = models.CharField(max_length=40, null=True, blank=True)  # noqa: DJ001  null until issued, then unique
    is_opening = models.BooleanField(default=False)
    state = models.CharField(max_length=6, choices=State.choices, default=State.DRAFT)
    invoice_date = models.DateField()
    due_date = models.DateField()
    period_start = models.DateField(null=True)
    period_end = models.DateField(null=True)
    currency = models.CharField(max_length=3)
    net = models.DecimalField(**MONEY)
    vat = models.DecimalField(**MONEY)
    gross = models.DecimalField(**MONEY)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    usage_before = models.DateTimeField(null=True)
    usage_batch = models.BigIntegerField(default=0)
    is_disputed = models.BooleanField(default=False)
    issued_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "number"], name="invoice_number_once"),
            models.UniqueConstraint(
                fields=["reseller", "run", "customer", "currency"],
                condition=Q(run__isnull=False),
                name="invoice_once_per_run",
            ),
            models.CheckConstraint(name="invoice_adds_up", condition=Q(gross=F("net") + F("vat"))),
            models.CheckConstraint(
                name="invoice_issued_has_number",
                condition=Q(state="draft", number__isnull=True)
                | (~Q(state="draft") & Q(number__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "invoice_date"], name="invoice_date_index"),
            models.Index(fields=["reseller", "customer", "invoice_date"], name="invoice_customer"),
            models.Index(
                fields=["reseller", "customer", "usage_before"],
                condition=Q(usage_before__isnull=False),
                name="invoice_billed_until",
            ),
        ]

    def __str__(self) -> str:
        return self.number or "Draft"


class InvoiceLine(TenantModel):
    """One line of an invoice; usage lines say how many calls and seconds they stand for.

    The database does not look up reseller, number and feature type of each line it stores: a run takes them from rows
    it joins, and what a line names cannot be deleted (a trigger in the database holds it).
    """

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    invoice = Link(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=ChargeKind.choices)
    description = models.CharField(max_length=200)
    site = models.CharField(max_length=80, blank=True)
    number = Link(Number, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    feature_type = Link(
        "billing.FeatureType", null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    service = models.CharField(max_length=5, blank=True)
    call_class = models.CharField(max_length=30, blank=True)
    service_start = models.DateField(null=True)
    service_end = models.DateField(null=True)
    quantity = models.DecimalField(max_digits=18, decimal_places=6, default=1)
    calls = models.BigIntegerField(default=0)
    seconds = models.BigIntegerField(default=0)
    net = models.DecimalField(**MONEY)
    vat_rate = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)

    dealer_path = "invoice__customer__dealer_id"
    customer_path = "invoice__customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "invoice", "position"], name="line_position")
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceVat(TenantModel):
    """VAT of an invoice per rate: half-up of the rate on the sum of its lines."""

    invoice = Link(Invoice, on_delete=models.CASCADE, related_name="vat_lines")
    rate = models.DecimalField(max_digits=5, decimal_places=2)
    net = models.DecimalField(**MONEY)
    vat = models.DecimalField(**MONEY)

    dealer_path = "invoice__customer__dealer_id"
    customer_path = "invoice__customer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "invoice", "rate"], name="vat_rate_once")]

    def __str__(self) -> str:
        return f"{self.rate} % of {self.net}"


class Charge(TenantModel):
    """Something to be billed that is not a call: recurring, one-off, pass-through, manual or credit.

    `source_key` names what it is for, so that generating twice adds nothing.
    """

    customer = Link(Customer, on_delete=models.PROTECT, related_name="charges")
    feature = Link(Feature, null=True, blank=True, on_delete=models.PROTECT, related_name="charges")
    number = Link(Number, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=ChargeKind.choices)
    description = models.CharField(max_length=200)
    source_key = models.CharField(max_length=120)
    service_start = models.DateField()
    service_end = models.DateField()
    bill_date = models.DateField()
    quantity = models.DecimalField(max_digits=18, decimal_places=6, default=1)
    unit_price = models.DecimalField(max_digits=22, decimal_places=10, default=0)
    amount = models.DecimalField(**MONEY)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    currency = models.CharField(max_length=3)
    vat_rate = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    is_activation = models.BooleanField(default=False)
    is_renewal = models.BooleanField(default=False)
    invoice_line = Link(InvoiceLine, null=True, blank=True, on_delete=models.SET_NULL, related_name="charges")
    created_at = models.DateTimeField(auto_now_add=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "source_key"], name="charge_once"),
            models.CheckConstraint(name="charge_period", condition=Q(service_end__gte=F("service_start"))),
        ]
        indexes = [
            models.Index(fields=["reseller", "customer", "bill_date"], name="charge_customer_bill"),
            models.Index(fields=["reseller", "bill_date"], name="charge_bill_date"),
            models.Index(fields=["reseller", "invoice_line"], name="charge_line"),
            models.Index(
                fields=["reseller", "feature"],
                include=["customer", "service_start", "service_end", "kind", "is_activation"],
                condition=Q(feature__isnull=False) & Q(Exact(Left("source_key", 8), "feature:")),
                name="charge_of_feature",
            ),
            models.Index(
                fields=["reseller", "feature"],
                condition=Q(Exact(Left("source_key", 12), "termination:")),
                name="charge_of_termination",
            ),
        ]

    def __str__(self) -> str:
        return self.description


class CreditNote(TenantModel):
    """A document that reduces a bill; it never changes."""

    customer = Link(Customer, on_delete=models.PROTECT, related_name="credit_notes")
    invoice = Link(Invoice, null=True, blank=True, on_delete=models.PROTECT, related_name="credit_notes")
    number = models.CharField(max_length=40)
    date = models.DateField()
    reason = models.CharField(max_length=200)
    currency = models.CharField(max_length=3)
    net = models.DecimalField(**MONEY)
    vat = models.DecimalField(**MONEY)
    gross = models.DecimalField(**MONEY)
    issued_at = models.DateTimeField()

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "number"], name="credit_note_number_once"),
            models.CheckConstraint(
                name="credit_note_adds_up", condition=Q(gross=F("net") + F("vat"), gross__gt=0)
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "date"], name="credit_note_date"),
            models.Index(fields=["reseller", "invoice"], name="credit_note_invoice"),
        ]

    def __str__(self) -> str:
        return self.number


class CreditNoteLine(TenantModel):
    """What a credit note takes back: a line of the invoice or a part of it, before VAT."""

    credit_note = Link(CreditNote, on_delete=models.CASCADE, related_name="lines")
    invoice_line = Link(InvoiceLine, null=True, blank=True, on_delete=models.PROTECT, related_name="credits")
    description = models.CharField(max_length=200)
    net = models.DecimalField(**MONEY)
    vat_rate = models.DecimalField(max_digits=5, decimal_places=2, default=0)

    dealer_path = "credit_note__customer__dealer_id"
    customer_path = "credit_note__customer_id"

    class Meta:
        indexes = [
            models.Index(fields=["reseller", "credit_note"], name="credit_line_note"),
            models.Index(fields=["reseller", "invoice_line"], name="credit_line_line"),
        ]

    def __str__(self) -> str:
        return self.description


class NumberSequence(TenantModel):
    """The next number of a kind of document; taken under a row lock, so that numbers have no gaps."""

    kind = models.CharField(max_length=20)
    next = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "kind"], name="sequence_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.next}"
