"""Handlers of the reports' background work."""

from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from reports.mailing import claim, letter, post, settle
from reports.models import MailDelivery, Run
from reports.registry import REPORTS
from reports.render import Showing, export
from reports.run import BadQuery, NotAllowed, allowed, finish, forget_expired
from resellerkpi.core.jobs import JobRefused, Task, job
from resellerkpi.core.scope import current


def _run(pk: str) -> Run:
    """Return the run if it still exists and the job's owner may still see it."""
    run: Run | None = Run.objects.select_related("artifact", "reseller").filter(pk=pk).first()
    if run is None or not allowed(REPORTS.get(run.report), current()):
        raise JobRefused("The report is gone, or you may not see it any more.")
    return run


@job("reports.forget", cron="40 3 * * *")
def forget_runs(task: Task) -> dict[str, Any]:
    """Remove runs past their day, with their files."""
    with task.scope():
        return {"removed": forget_expired(timezone.now(), most=1_000)}


@job("reports.run")
def freeze_run(task: Task, *, run: str) -> dict[str, Any]:
    """Freeze a large run; a run that is ready stays as it is."""
    with task.scope():
        made = _run(run)
        try:
            finish(made, task.progress)
        except (BadQuery, NotAllowed) as refused:
            raise JobRefused(str(refused)) from None
        task.progress(made.row_count, made.row_count, f"{made.row_count:,} rows")
        return {"url": reverse("run-result", args=[run]), "rows": made.row_count}


@job("reports.export")
def make_file(
    task: Task, *, run: str, kind: str, names: list[str] | None = None, sort: str = "", outside: bool = False
) -> dict[str, Any]:
    """Make a file of a run's frozen rows; made once, it is found again."""
    with task.scope():
        made = _run(run)
        export(Showing(made, tuple(names) if names is not None else None, sort, outside), kind)
        view = urlencode({"col": names or [], "sort": [sort] if sort else []}, doseq=True)
        address = reverse("run-export", args=[run, kind])
        return {"url": f"{address}?{view}" if view else address}


@job("reports.mail")
def send_mails(
    task: Task, *, run: str, request: str, formats: list[str], names: list[str], note: str
) -> dict[str, Any]:
    """Send a run to everybody of a request who has not got it; a second run of the job sends nothing twice."""
    with task.scope():
        made = _run(run)
        message = letter(made, formats=formats, names=names, note=note)
        asked = MailDelivery.objects.filter(request=request).order_by("pk")
        people = list(asked.values_list("recipient", flat=True))
    failed = 0
    for done, address in enumerate(people, 1):
        with task.scope():
            taken = claim(request, address)
        if taken:
            error = post(address, message)
            failed += bool(error)
            with task.scope():
                settle(request, address, error=error, now=timezone.now())
        task.progress(done, len(people), f"{done} of {len(people)} mails")
    return {"url": reverse("run-result", args=[run]), "sent": len(people) - failed, "failed": failed}
