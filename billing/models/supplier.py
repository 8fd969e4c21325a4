"""What carriers bill us: their invoices and the charges on them, each allocated to what it is for or left open."""

from django.db import models
from django.db.models import F, Q

from billing.models.invoicing import Charge
from billing.models.parties import Carrier, Customer
from billing.models.services import Feature, Number
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User


class CarrierInvoice(TenantModel):
    """A carrier's bill; `net` is its total before VAT as the carrier states it, None when the file does not say."""

    carrier = Link(Carrier, on_delete=models.PROTECT, related_name="bills")
    number = models.CharField(max_length=80)
    invoice_date = models.DateField()
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    net = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    loaded_at = models.DateTimeField(null=True)
    loaded_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "carrier", "number"], name="carrier_invoice_once"),
            models.CheckConstraint(
                name="carrier_invoice_period",
                condition=Q(period_end__isnull=True) | Q(period_end__gt=F("period_start")),
            ),
        ]
        indexes = [models.Index(fields=["reseller", "invoice_date"], name="carrier_invoice_date")]

    def __str__(self) -> str:
        return self.number


class CarrierCharge(TenantModel):
    """A line of a carrier's bill: what it costs us, over which days, what it is for, what we ask for it.

    `reference` is the carrier's own name of the service (a number, a circuit, an order). `amount` is before VAT in
    the bill's currency; a credit is negative. `retail` is the suggested price, None when it is not to be passed on.
    """

    class Kind(models.TextChoices):
        """What the carrier charges for."""

        RENTAL = "rental", "Rental"
        ONE_OFF = "one_off", "One-off"
        USAGE = "usage", "Usage"
        CREDIT = "credit", "Credit"

    class State(models.TextChoices):
        """Whether we know what the charge is for."""

        OPEN = "open", "To be allocated"
        ALLOCATED = "allocated", "Allocated"
        IGNORED = "ignored", "Left out"

    class Found(models.TextChoices):
        """How the charge was allocated."""

        REFERENCE = "reference", "By reference"
        HAND = "hand", "By hand"

    invoice = Link(CarrierInvoice, on_delete=models.CASCADE, related_name="charges")
    line = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.RENTAL)
    reference = models.CharField(max_length=80, blank=True)
    product = models.CharField(max_length=80, blank=True)
    description = models.CharField(max_length=200)
    service_start = models.DateField()
    service_end = models.DateField()
    quantity = models.DecimalField(max_digits=18, decimal_places=6, default=1)
    amount = models.DecimalField(max_digits=18, decimal_places=6)
    retail = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    found = models.CharField(max_length=9, choices=Found.choices, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    customer = Link(Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="carrier_charges")
    number = Link(Number, null=True, blank=True, on_delete=models.PROTECT, related_name="carrier_charges")
    feature = Link(Feature, null=True, blank=True, on_delete=models.PROTECT, related_name="carrier_charges")
    charge = Link(Charge, null=True, blank=True, on_delete=models.SET_NULL, related_name="carrier_charges")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "invoice", "line"], name="carrier_charge_line"),
            models.CheckConstraint(
                name="carrier_charge_period", condition=Q(service_end__gt=F("service_start"))
            ),
            models.CheckConstraint(name="carrier_charge_quantity", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="carrier_charge_allocated",
                condition=~Q(state="allocated")
                | Q(customer__isnull=False)
                | Q(number__isnull=False)
                | Q(feature__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["reseller", "state", "invoice"], name="carrier_charge_state"),
            models.Index(fields=["reseller", "reference"], name="carrier_charge_reference"),
            models.Index(fields=["reseller", "customer"], name="carrier_charge_customer"),
            models.Index(fields=["reseller", "number"], name="carrier_charge_number"),
            models.Index(fields=["reseller", "feature"], name="carrier_charge_feature"),
            models.Index(fields=["reseller", "charge"], name="carrier_charge_charge"),
        ]

    def __str__(self) -> str:
        return self.description
