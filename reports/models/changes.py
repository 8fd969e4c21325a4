"""What changed since a run was frozen."""

from django.db import models

from reports.models.runs import Run
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Artifact, TenantModel, User


class Comparison(TenantModel):
    """A frozen run beside a fresh run of the same query: its differences, each with its cause, kept as they were found.

    `columns` are the compared columns; whoever may not see them all may not see the comparison.
    """

    run = Link(Run, on_delete=models.CASCADE, related_name="comparisons")
    fresh = Link(Run, on_delete=models.CASCADE, related_name="+")
    columns = models.JSONField(default=list)
    artifact = Link(Artifact, on_delete=models.PROTECT, related_name="+")
    added = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    totals = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    user = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    request = models.UUIDField(null=True)
    made_at = models.DateTimeField()

    dealer_path = "run__dealer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "request"], name="comparison_once")]
        indexes = [models.Index(fields=["reseller", "run", "-made_at"], name="comparison_run_made_at")]

    def __str__(self) -> str:
        return f"What changed in {self.run}"
