"""Keeping house: jobs whose worker died, files past their day."""

from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from resellerkpi.core.artifacts import path_of
from resellerkpi.core.jobs import Task, job
from resellerkpi.core.models import Artifact, Job

GRACE = timedelta(minutes=10)


@job("house.sweep", cron="*/10 * * * *")
def sweep(task: Task) -> dict[str, Any]:
    """Fail running jobs without a heartbeat, remove expired files and the sweeps of yesterday."""
    now = timezone.now()
    with task.scope():
        dead = [
            row.pk
            for row in Job.objects.filter(state=Job.State.RUNNING, started_at__lt=now - GRACE).exclude(
                pk=task.job_id
            )
            if not cache.get(f"job:{row.pk}:beat")
        ]
        Job.objects.filter(pk__in=dead).update(
            state=Job.State.FAILED,
            finished_at=now,
            error="The worker stopped before the job was done; start it again.",
        )
        removed = sum(_remove(artifact) for artifact in Artifact.objects.filter(expires_at__lt=now))
        Job.objects.filter(kind="house.sweep", created_at__lt=now - timedelta(days=1)).delete()
    return {"failed": len(dead), "removed": removed}


def _remove(artifact: Artifact) -> bool:
    """Remove an expired file; one that a row still needs stays until that row goes."""
    path = path_of(artifact)
    try:
        with transaction.atomic():
            artifact.delete()
    except ProtectedError:
        return False
    path.unlink(missing_ok=True)
    return True
