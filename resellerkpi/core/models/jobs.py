"""Background work as rows with an owner."""

import uuid

from django.db import models

from resellerkpi.core.fields import Link
from resellerkpi.core.models.people import User
from resellerkpi.core.models.tenants import TenantModel


class Job(TenantModel):
    """One piece of background work: what, for whom, how far, how it ended."""

    class State(models.TextChoices):
        """Life of a job."""

        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    params = models.JSONField(default=dict)
    scope = models.JSONField(default=dict)
    owner = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    result = models.JSONField(default=dict)
    result_url = models.CharField(max_length=300, blank=True)
    error = models.TextField(blank=True)
    back_url = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    dealer_path = ""
    customer_path = ""

    class Meta:
        indexes = [models.Index(fields=["reseller", "-created_at"], name="job_reseller_created")]

    def __str__(self) -> str:
        return self.title

    @property
    def is_final(self) -> bool:
        """Whether the job will not change any more."""
        return self.state not in (self.State.WAITING, self.State.RUNNING)
