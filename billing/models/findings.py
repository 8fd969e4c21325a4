"""What the checks found: findings with their money, state and history; and each reseller's own thresholds."""

from datetime import date, timedelta
from decimal import Decimal

from django.db import models
from django.db.models import Q

from billing.models.invoicing import CreditNote, Invoice
from billing.models.parties import Customer
from resellerkpi.core.columns import day
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User


class Finding(TenantModel):
    """One thing a check found, the same row for as long as it is the same thing.

    `subject` is what it is about in the book's own words; with check and `period` (first of the month in which it
    began; of the bills looked at for a check before billing) it is unique. Money per month and to date are as last
    found, None where no money is at stake. `page`, `page_args` and `page_query` name the page that repairs it.
    Closed by itself when its check passes (fixed) or by who got the money back (recovered); it opens again when it
    comes back. Of a leak, `open_money` is what stands open of it since `open_since`, as its last event left it: what it
    has cost to date without what had come back, 0 unless it is open.
    """

    #: The day of an acceptance that has no end of its own.
    FOREVER = date.max
    #: A person accepts for no longer than that: ten years.
    LONGEST = timedelta(days=3653)

    class Family(models.TextChoices):
        """When a finding is looked for."""

        PRE_BILLING = "pre-billing", "Before billing"
        LEAKAGE = "leakage", "Revenue leakage"
        WATCH = "watch", "Watch"

    class Level(models.TextChoices):
        """How much it matters: an error stops bills unless somebody accepts it."""

        ERROR = "error", "Error"
        WARNING = "warning", "Warning"
        INFORMATION = "information", "Information"

    class State(models.TextChoices):
        """Where it stands; the first two still have to be dealt with."""

        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        FIXED = "fixed", "Fixed"
        RECOVERED = "recovered", "Recovered"

    STANDING = (State.OPEN, State.ACCEPTED)

    check_slug = models.CharField(max_length=40)
    family = models.CharField(max_length=12, choices=Family.choices)
    level = models.CharField(max_length=12, choices=Level.choices)
    subject = models.CharField(max_length=160)
    label = models.CharField(max_length=200)
    customer = Link(Customer, null=True, blank=True, on_delete=models.SET_NULL, related_name="findings")
    period = models.DateField()
    why = models.CharField(max_length=400)
    money_per_month = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    money_to_date = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    count = models.BigIntegerField(default=1)
    about = models.JSONField(default=dict)
    page = models.CharField(max_length=40, blank=True)
    page_args = models.JSONField(default=list)
    page_query = models.CharField(max_length=200, blank=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    owner = Link(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    accepted_until = models.DateField(null=True, blank=True)
    accepted_reason = models.CharField(max_length=300, blank=True)
    accepted_by = Link(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    recovered = models.DecimalField(max_digits=18, decimal_places=2, default=Decimal(0))
    recovered_at_money = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    open_money = models.DecimalField(max_digits=18, decimal_places=2, default=Decimal(0))
    open_since = models.DateField(null=True, blank=True)

    dealer_path = None

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "check_slug", "subject", "period"], name="finding_once"
            ),
            models.CheckConstraint(
                name="finding_closed",
                condition=Q(state__in=["open", "accepted"], closed_at__isnull=True)
                | Q(state__in=["fixed", "recovered"], closed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="finding_accepted",
                condition=~Q(state="accepted") | Q(accepted_until__isnull=False),
            ),
            models.CheckConstraint(name="finding_open_money", condition=Q(state="open") | Q(open_money=0)),
        ]
        indexes = [
            models.Index(fields=["reseller", "family", "state"], name="finding_family_state"),
            models.Index(fields=["reseller", "customer"], name="finding_customer"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def accepted_for(self) -> str:
        """How long it is accepted, in words."""
        if self.accepted_until in (None, self.FOREVER):
            return "For this run" if self.family == self.Family.PRE_BILLING else "Without an end"
        return f"Until {day(self.accepted_until)}"


class FindingEvent(TenantModel):
    """Something that happened to a finding: found, closed, found again, or what a person did or wrote about it.

    `amount` is the money to date when it was found or closed, and the money got back where that was marked; `invoice`
    or `credit_note` is the customer's on which it came. Events are the register's ledger too: up to any instant,
    Σ `money_moved` is the money that stood open, Σ `count_moved` how many leaks; `since` is the reseller's day on
    which the finding was found, this time.
    """

    class Kind(models.TextChoices):
        """What happened."""

        OPENED = "opened", "Found"
        REOPENED = "reopened", "Found again"
        CHANGED = "changed", "Money changed"
        LAPSED = "lapsed", "Acceptance ended"
        FIXED = "fixed", "No longer found"
        ACCEPTED = "accepted", "Accepted"
        RECOVERED = "recovered", "Recovered"
        OWNER = "owner", "Owner changed"
        NOTE = "note", "Note"

    finding = Link(Finding, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.CharField(max_length=1000, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    # Without a constraint: only what is issued is named, and deleting drafts must not look every event through.
    invoice = Link(Invoice, null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False)
    credit_note = Link(
        CreditNote, null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )
    money_moved = models.DecimalField(max_digits=18, decimal_places=2, default=Decimal(0))
    count_moved = models.SmallIntegerField(default=0)
    since = models.DateField(null=True)

    dealer_path = None

    class Meta:
        indexes = [
            models.Index(fields=["reseller", "finding", "at"], name="finding_event_finding"),
            models.Index(fields=["reseller", "kind", "at"], name="finding_event_kind"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class CheckSetting(TenantModel):
    """A reseller's own value of a check's threshold; without one the check's default holds."""

    check_slug = models.CharField(max_length=40)
    name = models.CharField(max_length=40)
    value = models.DecimalField(max_digits=18, decimal_places=6)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "check_slug", "name"], name="check_setting_once")
        ]

    def __str__(self) -> str:
        return f"{self.check_slug}: {self.name}"
