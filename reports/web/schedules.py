"""Schedules: the list, a new one from a result, one with its history, and what can be done with it."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from django.contrib import messages
from django.db.models import Case, CharField, QuerySet, Value, When
from django.http import Http404
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from reports import schedules, sharing
from reports.models import MailDelivery, Schedule, ScheduleTurn
from reports.registry import REPORTS
from reports.run import BadQuery, query
from reports.web.query import address
from reports.web.result import find_run
from reports.web.schedule_form import ScheduleForm, initial_of
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, DateTime, Flag, Int, Text
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import moment, money
from resellerkpi.ui.views import DetailPage, FormPage, ListPage

STATES = [("active", "Runs"), ("suspended", "Paused"), ("failed", "Stopped")]
TURN_MARKS = {
    "waiting": "pending",
    "sent": "sent",
    "nothing": "plain",
    "failed": "failed",
    "stopped": "failed",
}
TURNS = [
    DateTime(name="due_at", label="Due"),
    Choice(
        name="state",
        label="Outcome",
        choices=[
            (mark, ScheduleTurn.State(state).label)
            for state, mark in TURN_MARKS.items()
            if state != "stopped"
        ],
    ),
    Text(name="words", label="What happened", url="run-result"),
    Int(
        name="skipped",
        label="Left out before",
        help="Turns that fell into a stand-still; this one stands for them.",
    ),
    Flag(name="by_hand", label="By hand"),
]
DELIVERIES = [
    Text(name="recipient", label="To"),
    Choice(name="state", label="Outcome", choices=MailDelivery.State.choices),
    DateTime(name="at", label="When"),
    Text(name="error", label="What the server said"),
]
STATE = Case(
    When(paused_at=None, then=Value("active")),
    When(paused_why="", then=Value("suspended")),
    default=Value("failed"),
    output_field=CharField(),
)


class ScheduleFilters(ScopedFilterSet):
    """Which schedules to list."""

    q = SearchFilter("name", "recipients", label="Name or address")
    frequency = OneOf("frequency", Schedule.Frequency.choices, label="How often")


class ScheduleList(ListPage):
    """All schedules of the reseller."""

    capability = Capability.SHARE
    title = "Schedules"
    purpose = "Reports that are made and mailed by themselves."
    filterset = ScheduleFilters
    row_url = "schedule"
    order = ("next_run_at", "pk")
    columns = (
        Text(name="name", label="Schedule"),
        Choice(name="state", label="State", choices=STATES),
        Choice(name="frequency", label="How often", choices=Schedule.Frequency.choices),
        DateTime(name="next_run_at", label="Next", help="Resting ones wait until they are started again."),
        Text(name="owner", label="Owner", source="owner__name"),
        Int(name="failures", label="Failures in a row"),
        Text(name="last_error", label="Last error", hidden=True),
    )
    empty = EmptyState(
        "Nothing is scheduled yet. Run a report, look at its result, then press Schedule there.",
        "Choose a report",
        "/reports/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the schedules."""
        return Schedule.objects.annotate(state=STATE)


class SchedulePage(DetailPage):
    """One schedule: when and what it sends, how it went, and to whom."""

    capability = Capability.SHARE
    model = Schedule
    related = ("owner", "reseller")
    template = "reports/schedule.html"
    back = ("Schedules", "/reports/schedules/")

    def actions(self) -> Sequence[Action]:
        """Offer to change it."""
        return (
            Action("Delete", reverse("schedule-delete", args=[self.object.pk])),
            Action("Change", reverse("schedule-edit", args=[self.object.pk]), primary=True),
        )

    def get_context(self) -> dict[str, Any]:
        """Return what the notes above the panels say."""
        return {"schedule": self.object, "most": schedules.MOST_FAILURES}

    def panels(self) -> list[Panel]:
        """Return the plan, its history and the mails of the latest turns."""
        turns = schedules.recent(self.object)
        mails = MailDelivery.objects.filter(request__in=[turn.request for turn in turns[:10]])
        return [
            Facts("What it does", self.facts(), wide=True),
            TablePanel(
                "History", TURNS, [self.turn(turn) for turn in turns], empty=EmptyState("It has not run yet.")
            ),
            TablePanel(
                "Mails of the last ten turns",
                DELIVERIES,
                [self.mail(sent) for sent in mails.order_by("-asked_at", "pk")[:100]],
                row_url="outbox-mail",
                empty=EmptyState("No mail went out yet."),
            ),
        ]

    def facts(self) -> list[tuple[Any, ...]]:
        """Return the schedule in words."""
        schedule: Schedule = self.object
        known = schedule.report in REPORTS
        report = REPORTS.get(schedule.report).name if known else schedule.report
        chosen = address(schedule.report, schedule.params) if known else ""
        return [
            ("Report", report, chosen),
            ("When", str(schedules.rule_of(schedule))),
            (
                "Next",
                moment(schedule.next_run_at, self.reseller) if schedule.paused_at is None else "Resting",
            ),
            ("To", ", ".join(schedule.recipients)),
            ("Files", ", ".join(schedule.formats).upper() or "None: the figures stand in the mail"),
            ("Columns", ", ".join(self.titles())),
            ("Sent", condition(schedule)),
            ("Note", schedule.note),
            ("In the name of", str(schedule.owner) if schedule.owner else "Somebody who left"),
        ]

    def titles(self) -> list[str]:
        """Return the names of the columns sent that the reader may see."""
        if self.object.report not in REPORTS:
            return []
        columns = schedules.columns_of(self.object, now=timezone.now())
        return [c.title for c in columns if c.name in self.object.columns]

    def turn(self, turn: ScheduleTurn) -> dict[str, Any]:
        """Return a turn as a row; its words lead to the result."""
        return {
            "pk": turn.pk,
            "due_at": turn.due_at,
            "state": TURN_MARKS[turn.state],
            "words": turn.words or "Waiting for a worker.",
            "words_id": turn.run_id,
            "skipped": turn.skipped,
            "by_hand": turn.by_hand,
        }

    def mail(self, sent: MailDelivery) -> dict[str, Any]:
        """Return a mail as a row."""
        return {
            "pk": sent.pk,
            "recipient": sent.recipient,
            "state": sent.state,
            "at": sent.sent_at or sent.asked_at,
            "error": sent.error,
        }


def condition(schedule: Schedule) -> str:
    """Return on which condition a schedule sends, in words."""
    if schedule.send not in (Schedule.Send.ABOVE, Schedule.Send.BELOW) or schedule.amount is None:
        return str(schedule.get_send_display())
    columns = REPORTS.get(schedule.report).columns if schedule.report in REPORTS else ()
    title = next((c.title for c in columns if c.name == schedule.total), schedule.total)
    return f"Only if the total of {title} is {schedule.send} {money(schedule.amount, '').strip()}"


class NewSchedule(FormPage):
    """Schedules the query of a result."""

    capability = Capability.SHARE
    form_class = ScheduleForm
    template = "reports/schedule_form.html"
    title = "Schedule this report"
    submit = "Schedule it"
    refusals = (ValueError, PermissionError)

    def form_kwargs(self) -> dict[str, Any]:
        """Offer the result's columns, and begin with its query."""
        self.run = run = find_run(self, self.kwargs["pk"])
        if not run.is_ready:
            raise Http404
        self.cancel_url = reverse("run-result", args=[run.pk])
        self.back = (run.title, self.cancel_url)
        self.purpose = "It is run anew each time with this query, in your name, and mailed."
        report = REPORTS.get(run.report)
        offered = sharing.offered(run)
        asked = (run.params.get("period") or ["last_month"])[0]
        return {
            "report": report,
            "offered": offered,
            "initial": {
                "name": report.name,
                "period": asked if asked != "dates" else "last_month",
                "formats": ["xlsx"],
                "frequency": Schedule.Frequency.MONTHLY,
                "month_day": 1,
                "time": time(7),
                "zone": self.reseller.time_zone,
                "recipients": getattr(self.request.user, "email", ""),
                "send": Schedule.Send.ALWAYS,
                "columns": [c.name for c, usual in offered if usual],
            },
        }

    def get_context(self) -> dict[str, Any]:
        """Return the query that is scheduled, in words."""
        return {"words": [(label, value) for label, value, *_ in self.run.filters if label != "Period"]}

    def save(self, form: ScheduleForm) -> str:
        """Save the schedule and show it."""
        params = {
            name: values
            for name, values in self.run.params.items()
            if name not in ("on_or_after", "before", "period", "zone")
        }
        asked = params | {"period": [form.cleaned_data["period"]]}
        now = timezone.now()
        check(self.run.report, asked, now=now)
        made = schedules.create(report=self.run.report, params=asked, plan=form.plan(), now=now)
        messages.success(
            self.request, f"It goes out for the first time on {moment(made.next_run_at, self.reseller)}."
        )
        return reverse("schedule", args=[made.pk])


def check(report: str, params: dict[str, list[str]], *, now: datetime) -> None:
    """Refuse a query that cannot be run."""
    try:
        query(REPORTS.get(report), params, now=now)
    except BadQuery as bad:
        raise schedules.BadSchedule(str(bad)) from None


class EditSchedule(FormPage):
    """Changes a schedule; from then on it runs in the name of who changed it."""

    capability = Capability.SHARE
    form_class = ScheduleForm
    template = "reports/schedule_form.html"
    title = "Change the schedule"
    refusals = (ValueError, PermissionError)

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with what is saved."""
        self.schedule = schedule = find_schedule(self.kwargs["pk"])
        if schedule.report not in REPORTS:
            raise Http404
        self.cancel_url = reverse("schedule", args=[schedule.pk])
        self.back = (schedule.name, self.cancel_url)
        self.purpose = "From then on it runs in your name."
        report = REPORTS.get(schedule.report)
        return {
            "report": report,
            "offered": sharing.offered_of(schedules.columns_of(schedule, now=timezone.now())),
            "initial": initial_of(schedule),
        }

    def save(self, form: ScheduleForm) -> str:
        """Save and show it."""
        now = timezone.now()
        self.schedule.params = self.schedule.params | {"period": [form.cleaned_data["period"]]}
        check(self.schedule.report, self.schedule.params, now=now)
        schedules.change(self.schedule, form.plan(), now=now)
        messages.success(self.request, "The schedule is changed.")
        return self.cancel_url


def find_schedule(pk: int) -> Schedule:
    """Return a schedule of the scope; raises Http404."""
    found: Schedule | None = Schedule.objects.select_related("owner").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


urlpatterns: list[URLPattern] = [
    path("reports/schedules/", ScheduleList.as_view(), name="schedule-list"),
    path("reports/schedules/<int:pk>/", SchedulePage.as_view(), name="schedule"),
    path("reports/schedules/<int:pk>/edit/", EditSchedule.as_view(), name="schedule-edit"),
    path("reports/runs/<uuid:pk>/schedule/", NewSchedule.as_view(), name="run-schedule"),
]
