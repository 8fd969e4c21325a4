"""Background work of the three-way match: the latest months are matched after lists and bill runs, and each night."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from billing.charging.three_way import match_latest
from resellerkpi.core.jobs import Task, after, enqueue, job
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.scope import current

KIND = "match.months"


@job(KIND, cron="50 1 * * *")
def match_months(task: Task) -> dict[str, Any]:
    """Match the services of the latest months: provided, billed to the customer, charged by the supplier."""
    with task.scope() as scope:
        span = match_latest(Reseller.objects.get(pk=scope.reseller_id), now=timezone.now())
    return {"first": str(span.first), "before": str(span.end), "url": reverse("match")}


def ask_for_match(result: dict[str, Any]) -> None:
    """Enqueue the match for the scope's reseller unless it waits already."""
    waiting = Job.objects.filter(kind=KIND, state=Job.State.WAITING, reseller_id=current().reseller_id)
    if not waiting.exists():
        enqueue(KIND, {}, title="Match services")


for _kind in ("book.import", "bills.produce"):
    after(_kind)(ask_for_match)
