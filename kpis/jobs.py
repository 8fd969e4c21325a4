"""Background work of the KPIs: keep the snapshots."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from kpis.snapshots import refresh
from resellerkpi.core.jobs import Task, after, enqueue, job
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.scope import current

KIND = "kpis.refresh"
CHANGERS = ("book.import", "usage.import", "usage.remove", "usage.repair", "bills.produce", "checks.run")


@job(KIND, cron="5-59/10 * * * *")
def refresh_snapshots(task: Task, *, full: bool = False, at: str = "") -> dict[str, Any]:
    """Bring the snapshots of the job's reseller up to now, or as if it were `at` (ISO); twice in a row is once."""
    now = datetime.fromisoformat(at) if at else timezone.now()
    task.progress(0, 1, "Reading what changed")
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        done = refresh(reseller, now=now, full=full)
        yesterday = timezone.now() - timedelta(days=1)
        Job.objects.filter(kind=KIND, finished_at__lt=yesterday, owner__isnull=True).delete()
    task.progress(1, 1, f"{done.months} months made anew")
    return {"months": done.months, "facts": done.facts, "snapshots": done.snapshots}


def ask_for_refresh(result: dict[str, Any]) -> None:
    """Enqueue a refresh for the scope's reseller unless one is already waiting."""
    waiting = Job.objects.filter(kind=KIND, state=Job.State.WAITING, reseller_id=current().reseller_id)
    if not waiting.exists():
        enqueue(KIND, {}, title="Refresh the KPIs")


for _kind in CHANGERS:
    after(_kind)(ask_for_refresh)
