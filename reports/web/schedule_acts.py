"""What is done with a schedule by a button: pause, start again, run now, delete."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from reports import schedules
from reports.models import Schedule
from reports.web.schedules import find_schedule
from resellerkpi.core.access import Capability
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.templatetags.ui import moment
from resellerkpi.ui.views import FormPage, Page


class Act(Page):
    """Something done with a schedule by a button: pause, resume, run now."""

    capability = Capability.SHARE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do it and go back to the schedule, or to the job that runs it."""
        schedule, now = find_schedule(kwargs["pk"]), timezone.now()
        try:
            done = self.act(schedule, now)
        except PermissionError as refused:
            messages.error(request, str(refused))
            done = None
        return done or redirect("schedule", pk=schedule.pk)

    def act(self, schedule: Schedule, now: datetime) -> HttpResponse | None:
        """Do it; return where to go on, None for the schedule's page."""
        return None


class PauseSchedule(Act):
    """Lets a schedule rest."""

    def act(self, schedule: Schedule, now: datetime) -> HttpResponse | None:
        """Pause it."""
        schedules.pause(schedule, now=now)
        messages.success(self.request, "The schedule rests until somebody starts it again.")
        return None


class ResumeSchedule(Act):
    """Starts a resting schedule again."""

    def act(self, schedule: Schedule, now: datetime) -> HttpResponse | None:
        """Resume it in the name of who pressed the button."""
        schedules.resume(schedule, now=now)
        messages.success(self.request, f"It goes out next on {moment(schedule.next_run_at, self.reseller)}.")
        return None


class RunSchedule(Act):
    """Runs a schedule at once."""

    def act(self, schedule: Schedule, now: datetime) -> HttpResponse | None:
        """Make a turn and show its job."""
        turn = schedules.run_now(schedule, now=now)
        return job_redirect(turn.job) if turn.job else None


class DeleteSchedule(FormPage):
    """Forgets a schedule after asking."""

    capability = Capability.SHARE
    title = "Delete the schedule"
    submit = "Delete it"
    form_class = forms.Form

    def form_kwargs(self) -> dict[str, Any]:
        """Say what is lost; the button is the question."""
        self.schedule = find_schedule(self.kwargs["pk"])
        self.cancel_url = reverse("schedule", args=[self.schedule.pk])
        self.back = (self.schedule.name, self.cancel_url)
        people = len(self.schedule.recipients)
        who = "1 person gets" if people == 1 else f"{people} people get"
        self.danger = f"{who} no more mails of it; its history goes too."
        return {}

    def save(self, form: Any) -> str:
        """Delete it and go back to the list."""
        schedules.delete(self.schedule)
        messages.success(self.request, "The schedule is deleted. What it sent stays in the outbox.")
        return reverse("schedule-list")


urlpatterns: list[URLPattern] = [
    path("reports/schedules/<int:pk>/pause/", PauseSchedule.as_view(), name="schedule-pause"),
    path("reports/schedules/<int:pk>/resume/", ResumeSchedule.as_view(), name="schedule-resume"),
    path("reports/schedules/<int:pk>/run/", RunSchedule.as_view(), name="schedule-run"),
    path("reports/schedules/<int:pk>/delete/", DeleteSchedule.as_view(), name="schedule-delete"),
]
