"""Customers, dealers and carriers."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User


class Carrier(TenantModel):
    """A supplier of calls, lines or features; country, zone, day order and prefix say how its records are read.

    `strip_prefix` is the technical prefix its records put before an international number.
    """

    code = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    country = models.CharField(max_length=2, default="GB")
    time_zone = models.CharField(max_length=60, default="Europe/London")
    currency = models.CharField(max_length=3, default="GBP")
    required_for_run = models.BooleanField(default=False)
    cdr_delay_days = models.PositiveSmallIntegerField(default=1)
    day_first = models.BooleanField(default=True)
    strip_prefix = models.CharField(max_length=20, blank=True)

    dealer_path = ""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "code"], name="carrier_code")]

    def __str__(self) -> str:
        return self.name


class Dealer(TenantModel):
    """A partner who introduces customers and earns commission."""

    code = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    commission_recurring = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    commission_usage = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    is_active = models.BooleanField(default=True)

    dealer_path = "id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "code"], name="dealer_code")]

    def __str__(self) -> str:
        return self.name


class Customer(TenantModel):
    """An account: the one that pays. `status` is the latest of its dated events, kept in step by set_status."""

    class Status(models.TextChoices):
        """Where the account stands."""

        PROSPECT = "prospect", "Prospect"
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        CEASED = "ceased", "Ceased"

    class ClientType(models.TextChoices):
        """What kind of client it is."""

        CLIENT = "client", "Client"
        RESELLER = "reseller", "Reseller"
        CALLING_CARD = "calling_card", "Calling card"
        CALL_SHOP = "call_shop", "Call shop"

    class Method(models.TextChoices):
        """How the customer pays."""

        DIRECT_DEBIT = "direct_debit", "Direct Debit"
        CARD = "card", "Card"
        TRANSFER = "transfer", "Bank transfer"
        CHEQUE = "cheque", "Cheque"
        PREPAID = "prepaid", "Prepaid"

    code = models.CharField(max_length=60)
    name = models.CharField(max_length=160)
    client_type = models.CharField(max_length=12, choices=ClientType.choices, default=ClientType.CLIENT)
    legal_class = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PROSPECT)
    dealer = Link(Dealer, null=True, blank=True, on_delete=models.PROTECT, related_name="customers")
    account_manager = Link(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    parent = Link("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    segment = models.CharField(max_length=60, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    campaign = models.CharField(max_length=80, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    address = models.TextField(blank=True)
    postcode = models.CharField(max_length=12, blank=True)
    vat_number = models.CharField(max_length=20, blank=True)
    vat_rate = models.DecimalField(max_digits=5, decimal_places=2, default=20)
    currency = models.CharField(max_length=3, default="GBP")
    payment_method = models.CharField(max_length=12, choices=Method.choices, default=Method.TRANSFER)
    terms_days = models.PositiveSmallIntegerField(default=14)
    billing_cycle = models.CharField(max_length=40, default="monthly")
    billing_day = models.PositiveSmallIntegerField(default=1)
    minimum_invoice = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    on_hold = models.BooleanField(default=False)
    credit_limit = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    itemised_by_email = models.BooleanField(default=False)
    contract_end = models.DateField(null=True, blank=True)
    renewal_date = models.DateField(null=True, blank=True)
    is_test = models.BooleanField(default=False)
    imported = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    dealer_path = "dealer_id"
    customer_path = "id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "code"], name="customer_code"),
            models.CheckConstraint(
                name="customer_billing_day", condition=Q(billing_day__gte=1, billing_day__lte=31)
            ),
            models.CheckConstraint(name="customer_vat_rate", condition=Q(vat_rate__gte=0, vat_rate__lte=100)),
        ]
        indexes = [
            models.Index(fields=["reseller", "name"], name="customer_name"),
            models.Index(fields=["reseller", "dealer"], name="customer_dealer"),
        ]

    def __str__(self) -> str:
        return self.name


class CustomerEvent(TenantModel):
    """A dated change of a customer's status; the reason, and the day notice was given, are asked for on cease."""

    class Reason(models.TextChoices):
        """Why a customer left or was suspended."""

        PRICE = "price", "Price"
        SERVICE = "service", "Service or support"
        COMPETITOR = "competitor", "Went to a competitor"
        PORT_OUT = "port_out", "Numbers ported out"
        CEASED_TRADING = "ceased_trading", "Ceased trading"
        NON_PAYMENT = "non_payment", "Did not pay"
        MOVED = "moved", "Moved premises"
        OTHER = "other", "Other"

    customer = Link(Customer, on_delete=models.CASCADE, related_name="events")
    date = models.DateField()
    status = models.CharField(max_length=10, choices=Customer.Status.choices)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True)
    words = models.TextField(blank=True)
    competitor = models.CharField(max_length=80, blank=True)
    notice_date = models.DateField(null=True, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "customer", "date"], name="customer_event_once_a_day"
            ),
            models.CheckConstraint(
                name="customer_event_notice",
                condition=Q(notice_date__isnull=True) | Q(status="ceased", notice_date__lte=models.F("date")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.get_status_display()} from {self.date}"


class CustomerNote(TenantModel):
    """A note on a customer's timeline."""

    customer = Link(Customer, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    author = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.TextField()

    dealer_path = "customer__dealer_id"

    class Meta:
        indexes = [models.Index(fields=["reseller", "customer", "-at"], name="note_customer_at")]

    def __str__(self) -> str:
        return self.text[:60]
