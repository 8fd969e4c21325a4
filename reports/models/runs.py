"""Frozen runs of reports, the files made of them, links to them, and who opened those."""

import uuid

from django.db import models
from django.db.models import F, Q

from resellerkpi.core.access import Role
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Artifact, Job, TenantModel, User


class Run(TenantModel):
    """One output of a report, frozen: its query, columns, rows (in an artifact), totals and tie-outs never change.

    `dealer_id` keeps the narrowing of who ran it: a dealer sees its own runs only. `keys` are the fields that tell a
    row from another, so that two runs can be compared; `notes` are further facts as [label, text, whether it warns].
    Without `kept_until` it is kept for ever: a signed review shows it.
    """

    class State(models.TextChoices):
        """Life of a run."""

        WAITING = "waiting", "Being made"
        READY = "ready", "Ready"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.CharField(max_length=60)
    version = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=120)
    params = models.JSONField(default=dict)
    filters = models.JSONField(default=list)
    zone = models.CharField(max_length=60)
    period_start = models.DateField(null=True)
    period_end = models.DateField(null=True)
    data_from = models.DateField(null=True)
    data_to = models.DateField(null=True)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    columns = models.JSONField(default=list)
    keys = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    totals = models.JSONField(default=list)
    tie_outs = models.JSONField(default=list)
    row_count = models.BigIntegerField(default=0)
    artifact = Link(Artifact, null=True, on_delete=models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64, blank=True)
    user = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=160)
    role = models.CharField(max_length=12, choices=Role.choices)
    dealer_id = models.BigIntegerField(null=True)
    as_of = models.DateTimeField()
    duration_ms = models.BigIntegerField(default=0)
    kept_until = models.DateTimeField(null=True)
    job = Link(Job, null=True, on_delete=models.SET_NULL, related_name="+")

    dealer_path = "dealer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="report_run_ready_is_frozen",
                condition=~Q(state="ready") | (Q(artifact__isnull=False) & ~Q(sha256="")),
            )
        ]
        indexes = [
            models.Index(fields=["reseller", "-as_of"], name="report_run_as_of"),
            models.Index(fields=["reseller", "kept_until"], name="report_run_kept"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_ready(self) -> bool:
        """Whether the rows are frozen."""
        return self.state == self.State.READY


class Export(TenantModel):
    """A file made of a run's frozen rows; `key` says format, columns and order, so that it is made once."""

    run = Link(Run, on_delete=models.CASCADE, related_name="exports")
    key = models.CharField(max_length=64)
    artifact = Link(Artifact, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    dealer_path = "run__dealer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "run", "key"], name="report_export_once")]

    def __str__(self) -> str:
        return self.artifact.name


class SavedQuery(TenantModel):
    """A query of a report under a name: its owner's, or shared with the colleagues who may run the report.

    `params` are the query's, `view` how its result is shown (columns, order, chart). `dealer_id` keeps the narrowing of
    its owner: a dealer sees its own only.
    """

    report = models.CharField(max_length=60)
    name = models.CharField(max_length=80)
    params = models.JSONField(default=dict)
    view = models.JSONField(default=dict)
    owner = Link(User, on_delete=models.CASCADE, related_name="+")
    is_shared = models.BooleanField(default=False)
    dealer_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    dealer_path = "dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "owner", "report", "name"], name="saved_query_name")
        ]

    def __str__(self) -> str:
        return self.name


class ShareLink(TenantModel):
    """A way for outsiders to open one run until a day; only the hash of its token is kept."""

    run = Link(Run, on_delete=models.CASCADE, related_name="links")
    label = models.CharField(max_length=120, blank=True)
    token_hash = models.CharField(max_length=64)
    password = models.CharField(max_length=200, blank=True)
    columns = models.JSONField(default=list)
    created_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    dealer_path = "run__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "token_hash"], name="share_link_token_once"),
            models.CheckConstraint(name="share_link_expires", condition=Q(expires_at__gt=F("created_at"))),
        ]
        indexes = [models.Index(fields=["reseller", "run"], name="share_link_run")]

    def __str__(self) -> str:
        return self.label or f"Link to {self.run}"


class ShareView(TenantModel):
    """One opening of a link, or a wrong password: when, what was taken, from which network, by a user or a stranger."""

    class What(models.TextChoices):
        """What was opened."""

        PAGE = "page", "Page"
        CSV = "csv", "CSV file"
        XLSX = "xlsx", "XLSX file"
        MISS = "miss", "Wrong password"

    link = Link(ShareLink, on_delete=models.CASCADE, related_name="views")
    at = models.DateTimeField()
    what = models.CharField(max_length=4, choices=What.choices, default=What.PAGE)
    network = models.CharField(max_length=50, blank=True)
    visitor = models.CharField(max_length=16, blank=True)
    user = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")

    dealer_path = "link__run__dealer_id"

    class Meta:
        indexes = [models.Index(fields=["reseller", "link", "-at"], name="share_view_link_at")]

    def __str__(self) -> str:
        return f"{self.get_what_display()} opened at {self.at:%Y-%m-%d %H:%M}"
