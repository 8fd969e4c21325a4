"""The three-way match: what was provided, billed to the customer and billed by the supplier, by service and month."""

from typing import Any

from django.db import models

from billing.models.catalogue import FeatureType
from billing.models.parties import Carrier, Customer
from billing.models.services import Feature, Number
from billing.models.supplier import CarrierCharge
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel

AMOUNT: dict[str, Any] = {"max_digits": 18, "decimal_places": 6, "default": 0}


class ServiceMatch(TenantModel):
    """A service (a feature with its later versions, a number that no feature rents, a customer as a whole) in a month.

    Each line of a carrier's bill that is not allocated, or is left out, stands by itself. Amounts are the month's days
    of charges before VAT; quantities are units times days by the days of the month. `since` is the first of the months
    on end in the same state, `months` their count, `to_date` what was at risk in them; a month without the supplier's
    bill does not end them.
    """

    class State(models.TextChoices):
        """Which of the three there are."""

        MATCHED = "pbs", "All three"
        NO_COST = "pb", "No supplier charge"
        NOT_BILLED = "ps", "Not billed"
        PROVIDED = "p", "Provided only"
        ENDED = "bs", "Not provided"
        BILLED = "b", "Billed only"
        SUPPLIED = "s", "Supplier charge only"
        OPEN = "open", "Line to be allocated"
        LEFT_OUT = "left", "Line left out"

    class Finding(models.TextChoices):
        """What is to be said of it."""

        AGREES = "agrees", "As expected"
        SUPPLIER_MORE = "supplier_more", "Supplier charges more than agreed"
        SUPPLIER_UNITS = "supplier_units", "Supplier charges more units than provided"
        BILLED_FEWER = "billed_fewer", "Fewer units billed than provided"
        BELOW_COST = "below_cost", "Billed for less than it costs"
        NO_SUPPLIER = "no_supplier", "No supplier charges for it"
        NOT_ITEMISED = "not_itemised", "Supplier’s bills do not list this product"
        BILL_MISSING = "bill_missing", "Supplier’s bill is not here yet"
        NO_CHARGE = "no_charge", "Supplier’s bill is here without it"
        MARKED_FREE = "marked_free", "Marked as not charged"
        PRICE_ZERO = "price_zero", "Has a price of 0 of its own"
        NOT_BILLED = "not_billed", "Not billed to the customer"
        NO_RENTAL = "no_rental", "Number that no feature rents"
        BILL_WAITS = "bill_waits", "Customer’s bill is not made yet"
        NOTHING_DUE = "nothing_due", "Nothing to bill or to pay"
        OWN_USE = "own_use", "Test or own use"
        BILLED_ENDED = "billed_ended", "Billed after it ended"
        STILL_CHARGED = "still_charged", "Supplier charges for what is not provided"
        OPEN = "open", "To be allocated"
        LEFT_OUT = "left_out", "Left out"

    class Attention(models.TextChoices):
        """Whether somebody must look at it."""

        LOSS = "loss", "Loses money"
        CHECK = "check", "To be checked"
        WAIT = "wait", "Waits for a bill"
        FINE = "fine", "Fine"

    class Supplier(models.TextChoices):
        """What the supplier's bills of the month say of it."""

        BILLED = "billed", "Charged"
        ABSENT = "absent", "Not charged"
        MISSING = "missing", "Bill not here yet"
        UNLISTED = "unlisted", "Product not on its bills"
        NONE = "none", "Nothing expected"

    month = models.DateField()
    key = models.CharField(max_length=60)
    customer = Link(Customer, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = Link(Number, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    feature = Link(Feature, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    feature_type = Link(FeatureType, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    carrier = Link(Carrier, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    line = Link(CarrierCharge, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=4, choices=State.choices)
    finding = models.CharField(max_length=14, choices=Finding.choices)
    attention = models.CharField(max_length=5, choices=Attention.choices)
    supplier = models.CharField(max_length=8, choices=Supplier.choices)
    days = models.PositiveSmallIntegerField(default=0)
    quantity = models.DecimalField(**AMOUNT)
    billed_quantity = models.DecimalField(**AMOUNT)
    supplied_quantity = models.DecimalField(**AMOUNT)
    expected_price = models.DecimalField(**AMOUNT)
    billed = models.DecimalField(**AMOUNT)
    waiting = models.DecimalField(**AMOUNT)
    currency = models.CharField(max_length=3)
    expected_cost = models.DecimalField(**AMOUNT)
    supplied = models.DecimalField(**AMOUNT)
    cost_currency = models.CharField(max_length=3)
    at_risk = models.DecimalField(**AMOUNT)
    risk_currency = models.CharField(max_length=3)
    since = models.DateField()
    months = models.PositiveSmallIntegerField(default=1)
    to_date = models.DecimalField(**AMOUNT)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "month", "key"], name="service_match_once")
        ]
        indexes = [
            models.Index(fields=["reseller", "month", "state"], name="service_match_state"),
            models.Index(fields=["reseller", "customer", "month"], name="service_match_customer"),
            models.Index(fields=["reseller", "number", "month"], name="service_match_number"),
        ]

    def __str__(self) -> str:
        return f"{self.key} in {self.month:%Y-%m}"


class MatchedMonth(TenantModel):
    """When a month was matched last."""

    month = models.DateField()
    matched_at = models.DateTimeField()

    dealer_path = ""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "month"], name="matched_month_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
