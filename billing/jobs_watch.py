"""Background work of the fraud watch: every hour, and after each call file."""

from typing import Any

from django.utils import timezone

from billing.checks.register import run
from billing.checks.registry import CHECKS
from billing.watch.alerts import look
from resellerkpi.core.jobs import Task, after, enqueue, job
from resellerkpi.core.models import Job, Reseller

KIND = "usage.watch"


@job(KIND, cron="5 * * * *")
def watch_usage(task: Task) -> dict[str, Any]:
    """Look over the latest usage; looked over again nothing is told twice."""
    now = timezone.now()
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        looked = look(reseller, now=now)
    # In a transaction of its own: who holds the register may be waiting for the kept hours.
    with task.scope():
        run(reseller, [CHECKS.get("fraud_watch")], now=now)
    return looked.as_dict()


@after("usage.import")
def watch_after_file(result: dict[str, Any]) -> None:
    """Look over what a call file brought, unless a look is waiting already."""
    if not Job.objects.filter(kind=KIND, state=Job.State.WAITING).exists():
        enqueue(KIND, {}, title="Fraud watch")
