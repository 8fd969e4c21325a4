"""Usage: supplied files, the calls in them, the rows that could not be loaded."""

from django.db import models
from django.db.models import F, Q

from billing.models.parties import Carrier
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User


class SourceMapping(TenantModel):
    """A reseller's own layout of call files, kept under a name: the declaration `mapped` files are read by."""

    name = models.CharField(max_length=60)
    spec = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "name"], name="source_mapping_name")]

    def __str__(self) -> str:
        return self.name


class CdrFile(TenantModel):
    """A supplier's file of call records, with its counts by outcome, which add up to its rows.

    `seconds`, `cost` (as reported) and `retail` are of all its calls in `currency`, the reseller's own; they follow
    when calls are rated again. `first_call_id` and `last_call_id` bound the ids of its calls. `days` holds records,
    seconds and cost of each local day (ISO day -> [records, seconds, cost in millionths]); `heading` is the file's
    heading line, so that its error rows can be supplied again.
    """

    class State(models.TextChoices):
        """Life of a file."""

        LOADING = "loading", "Loading"
        LOADED = "loaded", "Loaded"

    carrier = Link(Carrier, on_delete=models.PROTECT, related_name="files")
    format = models.CharField(max_length=60)
    name = models.CharField(max_length=200)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.LOADING)
    rows = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    rejects = models.BigIntegerField(default=0)
    rated = models.BigIntegerField(default=0)
    zero = models.BigIntegerField(default=0)
    excluded = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)
    seconds = models.BigIntegerField(default=0)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    retail = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    currency = models.CharField(max_length=3, blank=True)
    days = models.JSONField(default=dict)
    heading = models.TextField(blank=True)
    first_call_id = models.BigIntegerField(null=True)
    last_call_id = models.BigIntegerField(null=True)
    first_call_at = models.DateTimeField(null=True)
    last_call_at = models.DateTimeField(null=True)
    loaded_at = models.DateTimeField(null=True)
    loaded_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "sha256", "carrier"], name="cdr_file_content_once"),
            models.CheckConstraint(
                name="cdr_file_adds_up",
                condition=Q(state="loading")
                | Q(
                    rows=F("rated")
                    + F("zero")
                    + F("excluded")
                    + F("unpriced")
                    + F("duplicates")
                    + F("rejects")
                ),
            ),
        ]
        indexes = [models.Index(fields=["reseller", "-loaded_at"], name="cdr_file_loaded")]

    def __str__(self) -> str:
        return self.name


class CdrReject(TenantModel):
    """A row of a file that is not a call of its own: unreadable (with the reason) or a duplicate."""

    class Outcome(models.TextChoices):
        """Why the row is kept here."""

        ERROR = "error", "Could not be read"
        DUPLICATE = "duplicate", "Already loaded"

    file = Link(CdrFile, on_delete=models.CASCADE, related_name="rejected")
    line = models.IntegerField()
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    reason = models.CharField(max_length=200, blank=True)
    raw = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["reseller", "file", "outcome", "line"], name="reject_file")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason or self.outcome}"


class RatingBatch(TenantModel):
    """One act of rating (a file, a re-rating): calls carry its id, invoices the highest id they cover."""

    kind = models.CharField(max_length=20)
    file = Link(CdrFile, null=True, on_delete=models.CASCADE, related_name="batches")
    first_call_at = models.DateTimeField(null=True)
    last_call_at = models.DateTimeField(null=True)
    calls = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["reseller", "id"], name="rating_batch_id")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Call(TenantModel):
    """One call, message or data session. Partitioned by month of start; made and changed in bulk only.

    Money is in the tariff's currency (`retail`) and the carrier's (`cost`, as reported; `expected_cost`, by the
    wholesale tariff). `drawn` is what came out of an allowance, in the bundle's unit. `dedupe_key` with the start
    makes the same call in two files count once. `access_charge` is what the customer's tariff added to each minute of
    a service charge when the call was rated. The table is made by the migration, not by Django.
    """

    class State(models.TextChoices):
        """How the call came out; together with duplicates and unreadable rows they make up every imported row."""

        RATED = "rated", "Priced"
        ZERO = "zero", "Free of charge"
        EXCLUDED = "excluded", "Left out by the format"
        ERROR = "error", "Could not be priced"

    class Reason(models.TextChoices):
        """Why a call could not be priced, in repair order, or is free or left out."""

        UNKNOWN_CLI = "unknown_cli", "Unknown number"
        INACTIVE = "inactive", "Number not active at that time"
        NO_TARIFF = "no_tariff", "No tariff"
        NO_RATE = "no_rate", "No rate for the destination"
        UNKNOWN_TYPE = "unknown_type", "Unknown call type"
        UNANSWERED = "unanswered", "Not answered"
        INTERNAL = "internal", "Internal call"
        INBOUND = "inbound", "Incoming call"

    carrier = Link(Carrier, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    file = Link(CdrFile, on_delete=models.DO_NOTHING, related_name="calls", db_constraint=False)
    line = models.IntegerField()
    batch = Link(RatingBatch, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    dedupe_key = models.BigIntegerField()
    uid = models.CharField(max_length=120, blank=True)
    group_uid = models.CharField(max_length=120, blank=True)
    service = models.CharField(max_length=5)
    direction = models.CharField(max_length=3, default="out")
    started_at = models.DateTimeField()
    billed_party = models.CharField(max_length=60)
    cli = models.CharField(max_length=60, blank=True)
    dialled = models.CharField(max_length=60, blank=True)
    answered = models.BooleanField(default=True)
    duration = models.IntegerField(default=0)
    volume = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    charge_code = models.CharField(max_length=40, blank=True)
    destination = models.CharField(max_length=120, blank=True)
    call_class = models.CharField(max_length=30, blank=True)
    band = models.CharField(max_length=12, blank=True)
    customer = Link(
        "billing.Customer", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    number = Link(
        "billing.Number", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    rate = Link(
        "billing.TariffRate", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    cost_rate = Link(
        "billing.TariffRate", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    bundle = Link(
        "billing.Bundle", null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    billed_seconds = models.IntegerField(default=0)
    drawn = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    retail = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    currency = models.CharField(max_length=3, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True)
    cost_currency = models.CharField(max_length=3, blank=True)
    expected_cost = models.DecimalField(max_digits=18, decimal_places=6, null=True)
    surcharge = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    access_charge = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    state = models.CharField(max_length=8, choices=State.choices)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        managed = False
        db_table = "billing_call"

    def __str__(self) -> str:
        return f"{self.cli} to {self.dialled} at {self.started_at:%Y-%m-%d %H:%M:%S}"


class ChangedDay(TenantModel):
    """A local day on which something billed or used has changed: read by the KPI snapshots."""

    day = models.DateField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "day"], name="changed_day_once")]

    def __str__(self) -> str:
        return str(self.day)
