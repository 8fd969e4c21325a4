"""The page of one piece of background work."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from resellerkpi.core.access import Capability
from resellerkpi.core.jobs import ask_to_cancel, live_progress
from resellerkpi.core.models import Job
from resellerkpi.ui.htmx import is_partial, varies
from resellerkpi.ui.views import Page


def job_redirect(job: Job) -> HttpResponseRedirect:
    """Send the person on to the job's page."""
    return redirect("job", pk=job.pk)


class JobPage(Page):
    """What is done of what, what went wrong, and a way to stop; its progress asks again every second."""

    capability = Capability.SIGNED_IN
    template = "ui/job.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show how far the job is, only that part when HTMX asks."""
        job = self.job(kwargs["pk"])
        self.title = job.title
        part = "ui/_progress.html" if is_partial(request) else ""
        return varies(self.render(progress_of(job) | {"may_stop": self.may_stop(job)}, template=part))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask the job to stop; raises PermissionDenied for somebody else's."""
        job = self.job(kwargs["pk"])
        if not self.may_stop(job):
            raise PermissionDenied("Only the person who started this work, or an owner, may stop it.")
        ask_to_cancel(job)
        return redirect(reverse("job", args=[kwargs["pk"]]))

    def job(self, pk: UUID) -> Job:
        """Return the job; dealers and portal customers see only their own; raises Http404."""
        jobs = Job.objects.filter(pk=pk)
        if self.scope.dealer_id or self.scope.customer_id:
            jobs = jobs.filter(owner_id=self.scope.user_id)
        row = jobs.first()
        if row is None:
            raise Http404
        return row

    def may_stop(self, job: Job) -> bool:
        """Say whether the person started the job or manages the house."""
        return job.owner_id == self.scope.user_id or self.scope.can(Capability.MANAGE)


def progress_of(job: Job) -> dict[str, Any]:
    """Return a job's state and counts for `ui/_progress.html`."""
    progress = live_progress(job)
    done, total = progress.get("done", 0), progress.get("total", 0)
    if job.state == Job.State.DONE and not total:
        done = total = 1
    return {
        "job": job,
        "done": done,
        "total": total,
        "message": progress.get("message", ""),
        "share": min(100, done * 100 // total) if total else 0,
        "counted": total > 1,
    }
