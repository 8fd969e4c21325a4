"""Background work of the fraud watch's mails."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from reports.delivery import deliver
from reports.mailing import outcomes
from reports.watching import prepare, waiting_requests
from resellerkpi.core.jobs import Task, after, enqueue, job


@after("usage.watch")
def mail_warnings(result: dict[str, Any]) -> None:
    """Mail what is new, and try again what found no server."""
    for request in waiting_requests(now=timezone.now()):
        title = "Fraud watch: mail"
        enqueue("reports.watch", {"request": request}, title=title, back_url=reverse("fraud-watch"))


@job("reports.watch")
def send_warnings(task: Task, *, request: str) -> dict[str, Any]:
    """Send the mails of a request; done again, or by two workers at once, nobody gets one twice."""
    with task.scope() as scope:
        waiting = prepare(request, now=timezone.now())
    deliver(task, scope, request=request, waiting=waiting)
    with task.scope():
        return {"url": reverse("fraud-watch"), **outcomes(request)}
