"""Month-end facts of the book: who is a customer, what it has, what that brings."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value

from billing.models import Customer, FeatureType
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Reseller, TenantModel

AMOUNT: dict[str, Any] = {"max_digits": 24, "decimal_places": 6, "default": 0}


class Fact(TenantModel):
    """What was true of a customer at the close of a month; `day` is the day it was taken (today in an open month).

    Facts are made anew from billing's tables by the hundred thousand, so their links carry no constraint of their own.
    """

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    month = models.DateField()
    day = models.DateField()
    customer = Link(Customer, on_delete=models.CASCADE, related_name="+", db_constraint=False)

    dealer_path = "customer__dealer_id"

    class Meta:
        abstract = True


class Account(TenantModel):
    """Under which keys a customer's figures are filed: taken with the facts, so that a change of dealer can be undone.

    `holder` is the account it is counted with: itself, or the parent when a reseller counts by group. `statuses` are
    the holder's at the closes it has facts of, one month after the other from `statuses_from` on.
    """

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    customer = Link(Customer, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    holder = models.BigIntegerField()
    status = models.CharField(max_length=10)
    imported = models.BooleanField()
    currency = models.CharField(max_length=3)
    dealer_id = models.BigIntegerField(null=True)
    dealer = models.CharField(max_length=40, blank=True)
    segment = models.CharField(max_length=60, blank=True)
    client_type = models.CharField(max_length=12)
    campaign = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=12, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    manager = models.CharField(max_length=20, blank=True, db_default="")
    statuses = ArrayField(models.CharField(max_length=10), default=list, db_default=Value("{}"), blank=True)
    statuses_from = models.DateField(null=True)

    dealer_path = "customer__dealer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "customer"], name="kpi_account_once")]

    def __str__(self) -> str:
        return f"account {self.customer_id}"


class CustomerFact(Fact):
    """A customer at a close: dated status, in service now and at the close before, what it has, since when.

    `in_period`: joined and left between the closes. `reason`: why a customer that is not active left, "" unknown.
    """

    status = models.CharField(max_length=10)
    active = models.BooleanField()
    was_active = models.BooleanField()
    seen_before = models.BooleanField()
    moved_in = models.BooleanField()
    numbers = models.IntegerField()
    features = models.IntegerField()
    tenure_months = models.DecimalField(**AMOUNT)
    since = models.DateField(null=True)
    in_period = models.BooleanField(default=False)
    reason = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "month", "customer"], name="customer_fact_once")
        ]

    def __str__(self) -> str:
        return f"{self.customer} in {self.month:%Y-%m}"


class NumberFact(Fact):
    """A customer's numbers of a type: held at the close, added and removed since the close before."""

    number_type = models.CharField(max_length=16)
    held = models.IntegerField()
    added = models.IntegerField()
    removed = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "number_type"], name="number_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.held} {self.number_type} in {self.month:%Y-%m}"


class FeatureFact(Fact):
    """A customer's features of a type and currency: quantity and MRR at both closes, revenue of the month, ex VAT.

    Per month and at the close: `cost` to us, `list_mrr` at list price, `committed` inside a minimum term with its
    rest in `committed_months` (MRR x months), `expiring`, `starting` and `ending` within the next 90 days.
    """

    feature_type = Link(FeatureType, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    currency = models.CharField(max_length=3)
    quantity = models.IntegerField()
    mrr = models.DecimalField(**AMOUNT)
    revenue = models.DecimalField(**AMOUNT)
    quantity_past = models.IntegerField(default=0)
    mrr_past = models.DecimalField(**AMOUNT)
    cost = models.DecimalField(**AMOUNT)
    list_mrr = models.DecimalField(**AMOUNT)
    committed = models.DecimalField(**AMOUNT)
    committed_months = models.DecimalField(**AMOUNT)
    expiring = models.DecimalField(**AMOUNT)
    starting = models.DecimalField(**AMOUNT)
    ending = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "feature_type", "currency"], name="feature_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.feature_type} in {self.month:%Y-%m}"


class MovementFact(Fact):
    """A customer's MRR in a currency at the close before and at the close, and whether it ever paid before that.

    `home_past`, `home_same` and `home` are MRR before, MRR now at the rate of before, and MRR now in the reseller's
    own currency; null when an exchange rate is missing.
    """

    currency = models.CharField(max_length=3)
    mrr_past = models.DecimalField(**AMOUNT)
    mrr = models.DecimalField(**AMOUNT)
    seen_before = models.BooleanField()
    home_past = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    home_same = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    home = models.DecimalField(max_digits=24, decimal_places=6, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "currency"], name="movement_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mrr_past} to {self.mrr} {self.currency} in {self.month:%Y-%m}"
