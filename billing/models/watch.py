"""The fraud watch: usage summed by local hour, spend limits, what was warned of, and who is mailed about it."""

from django.db import models
from django.db.models import F, Q

from billing.models.parties import Customer
from billing.models.services import Number
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Reseller, TenantModel, User


class UsageHour(TenantModel):
    """A number's calls of one local hour to one destination: answered, outgoing, priced or in error alike.

    `slot` is the hour of the week in the reseller's zone (0 is Monday 00:00, 167 Sunday 23:00). `destination` is the
    rate's name or, where no rate was found, the leading digits. `cost` is the carrier's price, else the wholesale
    tariff's. Kept up to the calls by `billing.watch.hours`; nothing else writes it,
    and the database checks no keys row by row.
    """

    class Kind(models.TextChoices):
        """Where the calls went, by the dialled number and the rate's class."""

        NATIONAL = "national", "National"
        ABROAD = "abroad", "International"
        PREMIUM = "premium", "Premium"
        MESSAGE = "message", "Messages"
        DATA = "data", "Data"

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    customer = Link(Customer, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    number = Link(Number, null=True, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    day = models.DateField()
    slot = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    destination = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, blank=True)
    cost_currency = models.CharField(max_length=3, blank=True)
    calls = models.PositiveIntegerField()
    seconds = models.BigIntegerField()
    retail = models.DecimalField(max_digits=18, decimal_places=6)
    cost = models.DecimalField(max_digits=18, decimal_places=6)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        indexes = [
            models.Index(fields=["reseller", "day"], name="usage_hour_day"),
            models.Index(fields=["reseller", "customer", "day"], name="usage_hour_customer"),
            models.Index(
                fields=["reseller", "destination", "day"],
                condition=Q(kind__in=["abroad", "premium"]),
                name="usage_hour_dear",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.calls} calls to {self.destination} on {self.day}"


class WatchedDay(TenantModel):
    """A local day whose hours are summed, with the moment of its last change then: another moment means sum again."""

    day = models.DateField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "day"], name="watched_day_once")]

    def __str__(self) -> str:
        return str(self.day)


class SpendLimit(TenantModel):
    """What a customer may spend on calls in a day or a month before people are told; it stops no call.

    Without a customer it holds for each that has none of its own for the same span and destinations. Money is in
    `currency`, before VAT: the dearer of price and cost. Customers billed in another currency are not measured by it.
    """

    class Per(models.TextChoices):
        """How long spending adds up, in the reseller's zone."""

        DAY = "day", "A day"
        MONTH = "month", "A calendar month"

    class Covers(models.TextChoices):
        """Which usage counts."""

        ALL = "all", "All usage"
        ABROAD = "abroad", "International calls"
        PREMIUM = "premium", "Premium calls"
        DESTINATION = "destination", "One destination"

    customer = Link(Customer, null=True, blank=True, on_delete=models.CASCADE, related_name="spend_limits")
    per = models.CharField(max_length=5, choices=Per.choices, default=Per.DAY)
    covers = models.CharField(max_length=11, choices=Covers.choices, default=Covers.ALL)
    destination = models.CharField(max_length=120, blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="GBP")
    warn_percent = models.PositiveSmallIntegerField(default=80)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "customer", "per", "covers", "destination", "start_date"],
                name="spend_limit_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="spend_limit_destination",
                condition=(Q(covers="destination") & ~Q(destination=""))
                | (~Q(covers="destination") & Q(destination="")),
            ),
            models.CheckConstraint(name="spend_limit_amount", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="spend_limit_warn", condition=Q(warn_percent__gte=1, warn_percent__lte=100)
            ),
            models.CheckConstraint(
                name="spend_limit_days", condition=Q(end_date=None) | Q(end_date__gt=F("start_date"))
            ),
        ]

    def __str__(self) -> str:
        what = self.destination or self.get_covers_display()
        return f"{what}, {self.get_per_display().lower()}"


class FraudAlert(TenantModel):
    """A warning of the fraud watch, given once for a subject, its period and its mark; mailed once, by `request`.

    `cells` are the local hours behind it, as [day, hour of the week, number, destination] or, for a limit, the days
    that count. `retail` and `cost` are of those calls as they stood when last looked at. Once a person has resolved it
    with words it rests.
    """

    class Mark(models.TextChoices):
        """What is warned of."""

        NEAR = "near", "Near the limit"
        OVER = "over", "Over the limit"
        UNUSUAL = "unusual", "Unusual usage"

    subject = models.CharField(max_length=200)
    period = models.DateField()
    mark = models.CharField(max_length=7, choices=Mark.choices)
    label = models.CharField(max_length=200)
    why = models.TextField()
    customer = Link(Customer, null=True, on_delete=models.CASCADE, related_name="+")
    limit = Link(SpendLimit, null=True, on_delete=models.SET_NULL, related_name="+")
    calls = models.PositiveIntegerField(default=0)
    retail = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    currency = models.CharField(max_length=3, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    cost_currency = models.CharField(max_length=3, blank=True)
    cells = models.JSONField(default=dict)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    request = models.UUIDField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    resolution = models.CharField(max_length=300, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "subject", "period", "mark"], name="fraud_alert_once")
        ]
        indexes = [models.Index(fields=["reseller", "-last_seen"], name="fraud_alert_seen")]

    def __str__(self) -> str:
        return f"{self.get_mark_display()}: {self.label}"


class Watcher(TenantModel):
    """A colleague who is mailed when the fraud watch warns."""

    user = Link(User, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "user"], name="watcher_once")]

    def __str__(self) -> str:
        return str(self.user)
