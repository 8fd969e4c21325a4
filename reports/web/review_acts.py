"""What is done in a review by a form: write on a step, sign off, open again, note and close an action."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Case, CharField, QuerySet, Value, When
from django.db.models.functions import TruncDate
from django.http import Http404
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from kpis.kpi import KPIS
from kpis.reading import Reader
from kpis.words import month as month_words
from kpis.words import shown
from reports.models import ReviewAction, ReviewMark
from reports.reviewing import acts
from reports.reviewing.defaults import STEPS
from reports.reviewing.figures import Figures
from reports.reviewing.look import look_at
from reports.reviewing.steps import WEEKS, KpiLine, Step, of_week, template
from reports.web.query import person
from reports.web.review import asked_week
from reports.web.review_forms import ActionForm, MarkForm, OutcomeForm, WhyForm, people
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Date, Text, day
from resellerkpi.core.periods import add_months, local_day
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import moment
from resellerkpi.ui.views import DetailPage, FormPage, ListPage

MOST_MONTHS = 24
ACTION_STATES = [("active", "Open"), ("overdue", "Overdue"), ("done", "Closed")]


class StepForm(FormPage):
    """Base of the forms of one step: finds week and step, and goes back to the week."""

    capability = Capability.BILL
    refusals = (acts.BadReview,)

    def find(self) -> None:
        """Find the week and the step of the address; raises Http404."""
        self.week = asked_week(self)
        steps = of_week(template(STEPS), self.week.month.month, self.week.number)
        found = next((s for s in steps if s.slug == self.kwargs["step"]), None)
        if found is None:
            raise Http404
        self.step: Step = found
        self.cancel_url = reverse("review-week", args=[self.week.key, self.week.number])
        self.back = (f"Week {self.week.number} of {self.week.month:%B %Y}", self.cancel_url)

    def done(self) -> str:
        """Return the place of the step on the week's page."""
        return f"{self.cancel_url}#{self.step.slug}"


class WriteOnStep(StepForm):
    """Writes on a step."""

    form_class = MarkForm
    submit = "Save"

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with what is written already."""
        self.find()
        self.title, self.purpose = self.step.title, self.step.help
        mark = ReviewMark.objects.filter(
            month=self.week.month, week=self.week.number, step=self.step.slug
        ).first()
        return {"people": people(self.reseller.pk), "initial": MarkForm.initial_of(mark)}

    def save(self, form: MarkForm) -> str:
        """Keep it and go back to the step."""
        acts.write(self.week, self.step.slug, form.written(), now=timezone.now(), user=person(self.request))
        return self.done()


class NoteAction(StepForm):
    """Notes an action on a step."""

    form_class = ActionForm
    submit = "Note it"
    title = "Note an action"

    def form_kwargs(self) -> dict[str, Any]:
        """Offer the KPIs of the step that the role may see."""
        self.find()
        self.purpose = f"From “{self.step.title}”. It comes back in each month's review until it is closed."
        reader = Reader(self.reseller, self.scope, timezone.now())
        visible = {k.slug for k in reader.visible([line.kpi for line in self.step.kpis])}
        return {"people": people(self.reseller.pk), "step": self.step, "visible": visible}

    def save(self, form: ActionForm) -> str:
        """Keep it and go back to the step."""
        acts.note_action(
            self.week,
            self.step.slug,
            form.plan(),
            reseller=self.reseller,
            now=timezone.now(),
            user=person(self.request),
        )
        messages.success(self.request, "The action is noted.")
        return self.done()


class SignOff(FormPage):
    """Signs a week off."""

    capability = Capability.BILL
    form_class = forms.Form
    refusals = (acts.BadReview, PermissionError)

    def form_kwargs(self) -> dict[str, Any]:
        """Say what is kept."""
        self.week = week = asked_week(self)
        self.look = look_at([week], reseller=self.reseller, scope=self.scope, now=timezone.now())[0]
        self.title = f"Sign off week {week.number} of {week.month:%B %Y}"
        self.submit = f"Sign off week {week.number}"
        self.cancel_url = reverse("review-week", args=[week.key, week.number])
        self.back = (f"Week {week.number}: {WEEKS[week.number]}", self.cancel_url)
        runs = {(link.slug, str(link.params)) for step in self.look.steps for link in step.links}
        self.danger = (
            f"The figures of {len(self.look.steps)} steps and {len(runs)} reports are kept for ever as they are now,"
            f" with your name and {self.look.minutes} minutes. Only an owner can open the week again."
        )
        return {}

    def save(self, form: forms.Form) -> str:
        """Sign it off and show it."""
        acts.sign(self.look, reseller=self.reseller, now=timezone.now(), user=person(self.request))
        messages.success(self.request, f"Week {self.week.number} is signed off.")
        return self.cancel_url


class Reopen(FormPage):
    """Opens a signed week again."""

    capability = Capability.MANAGE
    form_class = WhyForm
    refusals = (acts.BadReview,)
    submit = "Open it again"

    def form_kwargs(self) -> dict[str, Any]:
        """Say what stays."""
        self.week = week = asked_week(self)
        self.title = f"Open week {week.number} of {week.month:%B %Y} again"
        self.cancel_url = reverse("review-week", args=[week.key, week.number])
        self.back = (f"Week {week.number}: {WEEKS[week.number]}", self.cancel_url)
        self.danger = (
            "What was signed stays with its evidence; the week counts as open until it is signed again."
        )
        return {}

    def save(self, form: WhyForm) -> str:
        """Open it and show it."""
        acts.reopen(
            self.week,
            why=form.cleaned_data["why"],
            reseller=self.reseller,
            now=timezone.now(),
            user=person(self.request),
        )
        messages.success(self.request, f"Week {self.week.number} is open again.")
        return self.cancel_url


class ActionFilters(ScopedFilterSet):
    """Which actions to list."""

    q = SearchFilter("what", "who__name", label="Words or person")
    state = OneOf("state", ACTION_STATES, label="State")


class Actions(ListPage):
    """What reviews have decided, and what came of it."""

    capability = Capability.VIEW_REVIEW
    title = "Actions"
    purpose = "What reviews decided is to be done, the open ones first."
    filterset = ActionFilters
    row_url = "review-action"
    order = ("-is_open", "due", "pk")
    columns = (
        Text(name="what", label="What"),
        Choice(name="state", label="State", choices=ACTION_STATES),
        Text(name="who", label="Who", source="who__name"),
        Date(name="due", label="Until"),
        Date(name="month", label="Noted in the review of"),
        Date(name="closed_on", label="Closed"),
        Text(name="outcome", label="What came of it"),
    )
    empty = EmptyState(
        "No action is noted yet. They are noted on the steps of a week, where something needs doing.",
        "Go to the review",
        "/review/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the actions with their state."""
        return ReviewAction.objects.annotate(
            state=Case(
                When(closed_at__isnull=False, then=Value("done")),
                When(due__lt=self.today, then=Value("overdue")),
                default=Value("active"),
                output_field=CharField(),
            ),
            is_open=Case(When(closed_at=None, then=1), default=0),
            closed_on=TruncDate("closed_at", tzinfo=self.reseller.zone),
        )


class ActionPage(DetailPage):
    """One action: what was decided, and how its KPI moved since."""

    capability = Capability.VIEW_REVIEW
    model = ReviewAction
    related = ("who", "noted_by", "closed_by")
    back = ("Actions", "/review/actions/")

    def actions(self) -> Sequence[Action]:
        """Offer closing it."""
        if self.object.closed_at is not None or not self.scope.can(Capability.BILL):
            return ()
        return [Action("Close it", reverse("review-action-close", args=[self.object.pk]), primary=True)]

    def panels(self) -> list[Panel]:
        """Return what was decided and the KPI's months since."""
        return [Facts("In short", self.facts(), wide=True), *self.effect()]

    def facts(self) -> list[tuple[Any, ...]]:
        """Return the action in words."""
        a: ReviewAction = self.object
        week = reverse("review-week", args=[f"{a.month:%Y-%m}", a.week])
        return [
            (
                "Noted",
                f"Week {a.week} of {a.month:%B %Y}, {moment(a.noted_at, self.reseller)}",
                f"{week}#{a.step}",
            ),
            ("By", str(a.noted_by) if a.noted_by else ""),
            ("Who does it", str(a.who) if a.who else "Nobody yet"),
            ("Until", day(a.due) if a.due else ""),
            (
                "Closed",
                f"{moment(a.closed_at, self.reseller)} by {a.closed_by}" if a.closed_at else "Still open",
            ),
            ("What came of it", a.outcome),
        ]

    def effect(self) -> list[Panel]:
        """Return the KPI's value when it was noted and in each full month since."""
        a: ReviewAction = self.object
        reader = Reader(self.reseller, self.scope, timezone.now())
        if a.kpi not in KPIS or not reader.visible([KPIS.get(a.kpi)]):
            return []
        kpi, first = KPIS.get(a.kpi), a.value_month or add_months(a.month, -1)
        last = add_months(local_day(timezone.now(), self.reseller.zone).replace(day=1), -1)
        span = [m for n in range(MOST_MONTHS) if (m := add_months(first, n)) <= last]
        figures = Figures(reader, a.month, [KpiLine(kpi.slug)], [(kpi.slug, m) for m in span])
        rows = [
            {"pk": f"{m:%Y-%m}", "month": month_words(m), "value": _value(figures, kpi.slug, m, a)}
            for m in span
        ]
        rows.insert(
            0, {"pk": "then", "month": "When it was noted", "value": shown(kpi, a.value_then, a.currency)}
        )
        columns = [
            Text(name="month", label="Month", sortable=False),
            Text(name="value", label=kpi.name, sortable=False),
        ]
        more = Action("See the KPI", reverse("kpi", args=[kpi.slug]))
        return [TablePanel(f"What it is to move: {kpi.name}", columns, rows, actions=[more])]


def _value(figures: Figures, slug: str, month: Any, action: ReviewAction) -> str:
    point = figures.at(slug, month, currency=action.currency)
    return shown(KPIS.get(slug), point.value if point else None, action.currency)


class CloseAction(FormPage):
    """Closes an action."""

    capability = Capability.BILL
    form_class = OutcomeForm
    refusals = (acts.BadReview,)
    submit = "Close it"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the action."""
        found = ReviewAction.objects.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        self.action, self.title = found, f"Close “{found.what}”"
        self.cancel_url = reverse("review-action", args=[found.pk])
        self.back = ("The action", self.cancel_url)
        return {}

    def save(self, form: OutcomeForm) -> str:
        """Close it and show it."""
        acts.close_action(
            self.action,
            outcome=form.cleaned_data["outcome"],
            reseller=self.reseller,
            now=timezone.now(),
            user=person(self.request),
        )
        messages.success(self.request, "The action is closed.")
        return self.cancel_url


WEEK = "review/<str:month>/<int:week>/"
urlpatterns: list[URLPattern] = [
    path("review/actions/", Actions.as_view(), name="review-actions"),
    path("review/actions/<int:pk>/", ActionPage.as_view(), name="review-action"),
    path("review/actions/<int:pk>/close/", CloseAction.as_view(), name="review-action-close"),
    path(f"{WEEK}sign/", SignOff.as_view(), name="review-sign"),
    path(f"{WEEK}reopen/", Reopen.as_view(), name="review-reopen"),
    path(f"{WEEK}<slug:step>/", WriteOnStep.as_view(), name="review-step"),
    path(f"{WEEK}<slug:step>/action/", NoteAction.as_view(), name="review-note-action"),
]
