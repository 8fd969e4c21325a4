"""The monthly review: a reseller's own steps, what people noted on them, weeks signed with their evidence, actions."""

from django.db import models
from django.db.models import Q

from reports.models.runs import Run
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User


class ReviewStep(TenantModel):
    """A step as a reseller changed or added it: it stands for the default of the same slug, or for itself.

    `kpis` and `reports` are lines as `reports.reviewing.steps` keeps them; `check` names a check that must have no open
    finding. A step that is not `in_use` is left out.
    """

    slug = models.CharField(max_length=40)
    week = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField(default=100)
    title = models.CharField(max_length=120)
    help = models.CharField(max_length=500, blank=True)
    cadence = models.CharField(max_length=9, default="monthly")
    kpis = models.JSONField(default=list)
    reports = models.JSONField(default=list)
    check_slug = models.CharField(max_length=60, blank=True)
    minutes = models.PositiveSmallIntegerField(default=0)
    role = models.CharField(max_length=12, blank=True)
    in_use = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "slug"], name="review_step_once"),
            models.CheckConstraint(name="review_step_week", condition=Q(week__gte=1, week__lte=4)),
        ]

    def __str__(self) -> str:
        return self.title


class ReviewSettings(TenantModel):
    """On which days of the month the four weeks of a review are due, and whether people are reminded by mail."""

    days = models.JSONField(default=list)
    reminds = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller"], name="review_settings_once")]

    def __str__(self) -> str:
        return "Days of the review"


class ReviewMark(TenantModel):
    """What a person wrote on a step of one week: done or not, a note, who has it, minutes spent."""

    month = models.DateField()
    week = models.PositiveSmallIntegerField()
    step = models.CharField(max_length=40)
    note = models.CharField(max_length=1_000, blank=True)
    assignee = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    minutes = models.PositiveSmallIntegerField(null=True)
    done_at = models.DateTimeField(null=True)
    done_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "month", "week", "step"], name="review_mark_once")
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.month:%Y-%m}"


class SignedWeek(TenantModel):
    """A week signed off: what it showed, by whom, when. A trigger keeps it from changing; reopening is written beside.

    `shown` are the steps with their figures as they were; `minutes` what was spent in all.
    """

    month = models.DateField()
    week = models.PositiveSmallIntegerField()
    due = models.DateField()
    signed_at = models.DateTimeField()
    signed_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=160)
    on_time = models.BooleanField()
    minutes = models.PositiveSmallIntegerField(default=0)
    shown = models.JSONField(default=list)
    reopened_at = models.DateTimeField(null=True)
    reopened_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    reopened_why = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "week"],
                name="review_signed_once",
                condition=Q(reopened_at__isnull=True),
            )
        ]
        indexes = [models.Index(fields=["reseller", "month", "week"], name="review_signed_month")]

    def __str__(self) -> str:
        return f"Week {self.week} of {self.month:%B %Y}"


class Evidence(TenantModel):
    """A run kept for ever because a signed week showed it on a step."""

    signed = Link(SignedWeek, on_delete=models.CASCADE, related_name="evidence")
    step = models.CharField(max_length=40)
    run = Link(Run, on_delete=models.PROTECT, related_name="evidence")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "signed", "run"], name="evidence_once")]
        indexes = [models.Index(fields=["reseller", "run"], name="evidence_run")]

    def __str__(self) -> str:
        return f"{self.step}: {self.run}"


class ReviewAction(TenantModel):
    """What is to be done about something seen in a review, and which KPI it is to move, with its value then.

    `value_then` and `value_closed` are the KPI's in its last full month, in `currency` when it is money.
    """

    month = models.DateField()
    week = models.PositiveSmallIntegerField()
    step = models.CharField(max_length=40)
    what = models.CharField(max_length=200)
    who = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    due = models.DateField(null=True)
    kpi = models.CharField(max_length=60, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    value_month = models.DateField(null=True)
    value_then = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    noted_at = models.DateTimeField()
    noted_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=300, blank=True)
    value_closed = models.DecimalField(max_digits=30, decimal_places=6, null=True)

    class Meta:
        indexes = [
            models.Index(fields=["reseller", "month"], name="review_action_month"),
            models.Index(
                fields=["reseller", "due"], name="review_action_open", condition=Q(closed_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.what


class ReviewReminder(TenantModel):
    """A mail that reminds one person of one week, made when it is claimed, so that it goes out once."""

    month = models.DateField()
    week = models.PositiveSmallIntegerField()
    recipient = models.EmailField()
    made_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "week", "recipient"], name="review_reminder_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.recipient}: week {self.week} of {self.month:%B %Y}"
