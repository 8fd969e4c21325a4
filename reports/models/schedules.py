"""Reports that are made and mailed by themselves, and each time that happened."""

from django.db import models
from django.db.models import Q

from reports.models.runs import Run
from resellerkpi.core.access import Role
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Job, TenantModel, User


class Schedule(TenantModel):
    """A report's query that is run at set local times and mailed while its owner may do so.

    `params` keep a relative interval such as last month, which each turn resolves in `zone`. `role` and `dealer_id`
    are what the owner was when the schedule was saved: a turn sees what both that and the rights of its day allow.
    `failures` counts attempts that failed in a row; `paused_why` is empty when a person paused it.
    """

    class Frequency(models.TextChoices):
        """How often."""

        DAILY = "daily", "Every day"
        WEEKLY = "weekly", "Every week"
        MONTHLY = "monthly", "Every month"
        QUARTERLY = "quarterly", "Every quarter"

    class Send(models.TextChoices):
        """On which condition the mail goes out."""

        ALWAYS = "always", "Always"
        ROWS = "rows", "Only if there are rows"
        ABOVE = "above", "Only if a total is above an amount"
        BELOW = "below", "Only if a total is below an amount"

    name = models.CharField(max_length=120)
    report = models.CharField(max_length=60)
    params = models.JSONField(default=dict)
    frequency = models.CharField(max_length=9, choices=Frequency.choices)
    weekday = models.PositiveSmallIntegerField(default=0)
    month_day = models.PositiveSmallIntegerField(default=1)
    time = models.TimeField()
    zone = models.CharField(max_length=60)
    recipients = models.JSONField(default=list)
    formats = models.JSONField(default=list)
    columns = models.JSONField(default=list)
    note = models.CharField(max_length=1_000, blank=True)
    send = models.CharField(max_length=6, choices=Send.choices, default=Send.ALWAYS)
    total = models.CharField(max_length=60, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    owner = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    role = models.CharField(max_length=12, choices=Role.choices)
    dealer_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    next_run_at = models.DateTimeField()
    failures = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)
    paused_at = models.DateTimeField(null=True)
    paused_why = models.CharField(max_length=300, blank=True)

    dealer_path = "dealer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="schedule_days",
                condition=Q(weekday__lte=6, month_day__gte=1, month_day__lte=31),
            ),
            models.CheckConstraint(
                name="schedule_limit",
                condition=~Q(send__in=["above", "below"]) | (Q(amount__isnull=False) & ~Q(total="")),
            ),
        ]
        indexes = [models.Index(fields=["reseller", "next_run_at"], name="schedule_next_run_at")]

    def __str__(self) -> str:
        return self.name


class ScheduleTurn(TenantModel):
    """One time a schedule came due, or was run by hand: made when it is claimed, so that each happens once.

    `skipped` counts the turns before it that fell into a time when the house stood still. A turn that failed is tried
    again at `retry_at`.
    """

    class State(models.TextChoices):
        """Life of a turn."""

        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        NOTHING = "nothing", "Nothing to send"
        FAILED = "failed", "Failed"
        STOPPED = "stopped", "Not run"

    schedule = Link(Schedule, on_delete=models.CASCADE, related_name="turns")
    due_at = models.DateTimeField()
    by_hand = models.BooleanField(default=False)
    skipped = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    words = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    request = models.UUIDField()
    run = Link(Run, null=True, on_delete=models.SET_NULL, related_name="+")
    job = Link(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    finished_at = models.DateTimeField(null=True)

    dealer_path = "schedule__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "schedule", "due_at"], name="schedule_turn_once")
        ]
        indexes = [
            models.Index(
                fields=["reseller", "retry_at"],
                condition=Q(retry_at__isnull=False),
                name="schedule_turn_retry_at",
            )
        ]

    def __str__(self) -> str:
        return f"{self.schedule} at {self.due_at:%Y-%m-%d %H:%M}"
