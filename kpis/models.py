"""Month-end facts, snapshots of KPIs, and how far they reach."""

from typing import Any

from django.db import models

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


class CustomerFact(Fact):
    """A customer at a close: dated status, in service now and at the close before, what it has, since when."""

    status = models.CharField(max_length=10)
    active = models.BooleanField()
    was_active = models.BooleanField()
    seen_before = models.BooleanField()
    moved_in = models.BooleanField()
    numbers = models.IntegerField()
    features = models.IntegerField()
    tenure_months = models.DecimalField(**AMOUNT)

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
    """A customer's features of a type and currency: quantity and MRR at the close, revenue of the month, ex VAT."""

    feature_type = Link(FeatureType, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    currency = models.CharField(max_length=3)
    quantity = models.IntegerField()
    mrr = models.DecimalField(**AMOUNT)
    revenue = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "feature_type", "currency"], name="feature_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.feature_type} in {self.month:%Y-%m}"


class MoneyFact(Fact):
    """A customer's money in a currency: billed, credited and paid in the month, owed at the close by age."""

    currency = models.CharField(max_length=3)
    invoices = models.IntegerField()
    net = models.DecimalField(**AMOUNT)
    gross = models.DecimalField(**AMOUNT)
    credited_net = models.DecimalField(**AMOUNT)
    average_invoices = models.IntegerField()
    average_net = models.DecimalField(**AMOUNT)
    service_net = models.DecimalField(**AMOUNT)
    paid = models.DecimalField(**AMOUNT)
    not_due = models.DecimalField(**AMOUNT)
    late_30 = models.DecimalField(**AMOUNT)
    late_60 = models.DecimalField(**AMOUNT)
    late_90 = models.DecimalField(**AMOUNT)
    late_more = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "currency"], name="money_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer} {self.currency} in {self.month:%Y-%m}"


class Snapshot(TenantModel):
    """The parts of a KPI in a month, for one value of a dimension ("" = all) and a currency; zero rows are kept out."""

    kpi = models.CharField(max_length=60)
    version = models.PositiveSmallIntegerField()
    dimension = models.CharField(max_length=20, blank=True)
    key = models.CharField(max_length=120, blank=True)
    month = models.DateField()
    currency = models.CharField(max_length=3, blank=True)
    numerator = models.DecimalField(max_digits=30, decimal_places=6)
    denominator = models.DecimalField(max_digits=30, decimal_places=6, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "kpi", "dimension", "month", "key", "currency"], name="snapshot_once"
            )
        ]
        indexes = [models.Index(fields=["reseller", "dimension", "month"], name="snapshot_dimension_month")]

    def __str__(self) -> str:
        return f"{self.kpi} {self.month:%Y-%m} {self.key}"


class Fill(TenantModel):
    """How far a reseller's snapshots reach: months held, versions held, when they were taken, what was read."""

    first_month = models.DateField()
    last_month = models.DateField()
    versions = models.CharField(max_length=64)
    as_of = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller"], name="fill_once")]

    def __str__(self) -> str:
        return f"{self.first_month:%Y-%m} to {self.last_month:%Y-%m}"


class Change(TenantModel):
    """A day from which the facts may have changed (null = any day): written by triggers, eaten by the refresh."""

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    day = models.DateField(null=True)

    class Meta:
        indexes = [models.Index(fields=["reseller"], name="change_reseller")]

    def __str__(self) -> str:
        return str(self.day or "any day")
