"""Snapshots of KPIs, how far they reach, which months are closed, and what has changed since."""

from django.db import models

from resellerkpi.core.models import Reseller, TenantModel


class Kept(TenantModel):
    """The parts of a KPI in a month, for one value of a dimension ("" = all) and a currency; zero rows are kept out.

    `base` is what the small-base mark looks at when it is not the denominator.
    """

    kpi = models.CharField(max_length=60)
    version = models.PositiveSmallIntegerField()
    dimension = models.CharField(max_length=20, blank=True)
    key = models.CharField(max_length=120, blank=True)
    month = models.DateField()
    currency = models.CharField(max_length=3, blank=True)
    numerator = models.DecimalField(max_digits=30, decimal_places=6)
    denominator = models.DecimalField(max_digits=36, decimal_places=6, null=True)
    base = models.DecimalField(max_digits=30, decimal_places=6, null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kpi} {self.month:%Y-%m} {self.key}"


class Snapshot(Kept):
    """A KPI's parts as they are now, made anew from what changed."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "kpi", "dimension", "month", "key", "currency"], name="snapshot_once"
            )
        ]
        indexes = [models.Index(fields=["reseller", "dimension", "month"], name="snapshot_dimension_month")]


class Frozen(Kept):
    """A KPI's parts as they were when the month was closed; never changed."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "kpi", "dimension", "month", "key", "currency"], name="frozen_once"
            )
        ]
        indexes = [models.Index(fields=["reseller", "dimension", "month"], name="frozen_dimension_month")]


class Close(TenantModel):
    """A closed month: when, by hand or not, as of when its figures were taken, under which settings, how complete."""

    month = models.DateField()
    closed_at = models.DateTimeField()
    by_hand = models.BooleanField(default=False)
    as_of = models.DateTimeField()
    settings = models.JSONField(default=dict)
    completeness = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "month"], name="close_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Fill(TenantModel):
    """How far a reseller's snapshots reach: months held, versions held, when they were taken, the day of the first."""

    first_month = models.DateField()
    last_month = models.DateField()
    versions = models.CharField(max_length=64)
    as_of = models.DateTimeField()
    since = models.DateField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller"], name="fill_once")]

    def __str__(self) -> str:
        return f"{self.first_month:%Y-%m} to {self.last_month:%Y-%m}"


class Change(TenantModel):
    """A day from which the facts may have changed (null = any day): written by triggers, eaten by the refresh.

    It is one customer's when the statement touched few, everybody's (null) otherwise. `source` is the table, empty
    when not known.
    """

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    customer_id = models.BigIntegerField(null=True)
    day = models.DateField(null=True)
    source = models.CharField(max_length=63, blank=True, db_default="")

    class Meta:
        indexes = [models.Index(fields=["reseller"], name="change_reseller")]

    def __str__(self) -> str:
        return str(self.day or "any day")
