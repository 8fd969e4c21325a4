"""Handlers of the reports' background work."""

from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from billing.models import BillingRun
from reports.changes import NothingToCompare, compare
from reports.delivery import deliver
from reports.letters import Why
from reports.mailing import letters, outcomes
from reports.models import Comparison, Run
from reports.postbilling.make import BILLED, make
from reports.registry import REPORTS
from reports.render import Showing, export
from reports.reviewing import demo, reminders
from reports.run import BadQuery, NotAllowed, allowed, finish, forget_expired
from reports.schedules import claim_due
from reports.turns import take, tell_of_lost
from resellerkpi.core.jobs import JobRefused, Task, after, enqueue, job
from resellerkpi.core.models import Job, Reseller, User
from resellerkpi.core.scope import current
from resellerkpi.core.xls import TooWide

POST_BILLING = "reports.post_billing"


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
def freeze_run(task: Task, *, run: str, then: str = "") -> dict[str, Any]:
    """Freeze a large run and lead on to `then` below its address; a run that is ready stays as it is."""
    with task.scope():
        made = _run(run)
        try:
            finish(made, task.progress)
        except (BadQuery, NotAllowed) as refused:
            raise JobRefused(str(refused)) from None
        task.progress(made.row_count, made.row_count, f"{made.row_count:,} rows")
        return {"url": reverse("run-result", args=[run]) + then, "rows": made.row_count}


@job("reports.export")
def make_file(
    task: Task, *, run: str, kind: str, names: list[str] | None = None, sort: str = "", outside: bool = False
) -> dict[str, Any]:
    """Make a file of a run's frozen rows; made once, it is found again."""
    with task.scope():
        made = _run(run)
        shown = tuple(names) if names is not None else None
        try:
            export(Showing(made, shown, sort, outside, watch=task.progress), kind)
        except TooWide as wide:
            raise JobRefused(str(wide)) from None
        view = urlencode({"col": names or [], "sort": [sort] if sort else []}, doseq=True)
        address = reverse("run-export", args=[run, kind])
        return {"url": f"{address}?{view}" if view else address}


@job("reports.mail")
def send_mails(
    task: Task, *, run: str, request: str, formats: list[str], names: list[str], note: str
) -> dict[str, Any]:
    """Send a run to everybody of a request who has not got it; a second run of the job sends nothing twice."""
    now = timezone.now()
    with task.scope() as scope:
        asker = User.objects.filter(pk=scope.user_id or 0).first()
        made = _run(run)
        waiting = list(
            letters(
                made, request=request, names=names, formats=formats, note=note, why=sent_by(asker), now=now
            )
        )
    deliver(task, task.stored_scope, request=request, waiting=waiting)
    with task.scope():
        ended = outcomes(request)
    return {"url": reverse("run-result", args=[run]), **ended}


def sent_by(person: User | None) -> Why:
    """Say who sent a run by hand."""
    name = str(person) if person else ""
    words = f"{name} sent you this report." if name else "This report was sent by hand."
    return Why(words, by_name=name, by_email=person.email if person else "")


@job("reports.schedules", cron="*/5 * * * *")
def start_due(task: Task) -> dict[str, Any]:
    """Make a turn of each schedule that is due; the rows of this job itself are kept a day."""
    now = timezone.now()
    tell_of_lost(task)
    with task.scope():
        turns = claim_due(now=now)
        Job.objects.filter(kind="reports.schedules", created_at__lt=now - timedelta(days=1)).delete()
    return {"turns": len(turns)}


@job("reports.scheduled")
def run_scheduled(task: Task, *, turn: int) -> dict[str, Any]:
    """Run one turn of a schedule; a turn that ended is left alone."""
    return take(task, turn_id=turn, now=timezone.now())


@job("reports.compare")
def compare_run(task: Task, *, run: str, request: str) -> dict[str, Any]:
    """Compare a large result with now; a request that was answered keeps its comparison."""
    with task.scope() as scope:
        made = _run(run)
        done = Comparison.objects.filter(request=request).first()
        try:
            person = User.objects.filter(pk=scope.user_id or 0).first()
            done = done or compare(made, now=timezone.now(), user=person, request=request)
        except NothingToCompare as refused:
            raise JobRefused(str(refused)) from None
        return {"url": reverse("comparison", args=[done.pk])}


@job(POST_BILLING)
def make_post_billing(task: Task, *, run_id: int) -> dict[str, Any]:
    """Work out the post-billing report of a run whose bills are there; done again it replaces the one before."""
    with task.scope():
        run = BillingRun.objects.select_related("reseller").filter(pk=run_id, state__in=BILLED).first()
        if run is None:
            raise JobRefused("The bills of this run are not there any more; produce them first.")
        make(run, now=timezone.now())
        return {"url": reverse("post-billing", args=[run_id])}


@after("bills.produce")
def follow_bills(result: dict[str, Any]) -> None:
    """Have the report made once the bills are produced."""
    if result.get("run_id"):
        ask_for_post_billing(BillingRun.objects.get(pk=result["run_id"]))


def ask_for_post_billing(run: BillingRun) -> Job:
    """Enqueue the report of a run and return the job."""
    back = reverse("run", args=[run.pk])
    return enqueue(
        POST_BILLING, {"run_id": run.pk}, title=f"Post-billing report of {run.name}", back_url=back
    )


@job("reports.reviews", cron="20 * * * *")
def remind_of_reviews(task: Task) -> dict[str, Any]:
    """Remind people of the week of the review that is due, once each, and count the weeks that went by."""
    now = timezone.now()
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        missed = reminders.count_missed_weeks(reseller, now=now)
        waiting = reminders.write_down(reseller, now=now)
        Job.objects.filter(kind="reports.reviews", created_at__lt=now - timedelta(days=1)).delete()
    sent = 0
    for reminder in waiting:
        with task.scope():
            taken = reminders.take(reminder.pk, now=now)
        if taken:
            failed = reminders.hand_over(reminder, reseller)
            with task.scope():
                sent += reminders.settle(reminder.pk, failed, now=now)
    return {"sent": sent, "missed": missed}


@job("reports.demo")
def review_demo(task: Task, *, at: str = "") -> dict[str, Any]:
    """Make the past reviews of a demo's reseller, once; any other is left alone."""
    now = datetime.fromisoformat(at) if at else timezone.now()
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        return {"signed": demo.build(reseller, now=now) if reseller.is_demo else 0}
