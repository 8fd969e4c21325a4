"""The template of the review: its steps by week, a form for each, and the days on which weeks are due."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404
from django.urls import URLPattern, path, reverse

from reports.models import ReviewSettings, ReviewStep
from reports.registry import REPORTS
from reports.reviewing import template as changes
from reports.reviewing.acts import BadReview
from reports.reviewing.checks import named
from reports.reviewing.days import FOUR, due_days
from reports.reviewing.defaults import STEPS
from reports.reviewing.steps import (
    CADENCES,
    WEEKS,
    Step,
    template,
)
from reports.web.review_step_form import StepEditForm, initial_of
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Int, Text
from resellerkpi.ui.panels import Action, Facts, Panel, TablePanel
from resellerkpi.ui.views import FormPage, Page

COLUMNS = (
    Text(name="title", label="Step", sortable=False),
    Text(name="cadence", label="How often", sortable=False),
    Int(name="minutes", label="Minutes", sortable=False),
    Text(name="kpis", label="Figures", sortable=False),
    Text(name="reports", label="Reports", sortable=False),
    Text(name="check", label="Check", sortable=False),
    Text(name="clears", label="Clear by itself when", sortable=False),
    Text(name="standing", label="Template", sortable=False),
)


class Steps(Page):
    """The steps of the four weeks, and when weeks are due."""

    capability = Capability.VIEW_REVIEW
    title = "Steps and days"
    purpose = (
        "What each week of the review looks at. A change holds from now on: signed weeks stay as they were."
    )
    template = "ui/detail.html"

    def actions(self) -> Sequence[Action]:
        """Offer adding a step and changing the days."""
        if not self.scope.can(Capability.MANAGE):
            return ()
        return (
            Action("Change the days", reverse("review-days")),
            Action("Add a step", reverse("review-step-add"), primary=True),
        )

    def get_context(self) -> dict[str, Any]:
        """Return a table of steps for each week."""
        steps, changed = (
            template(STEPS, all_of_them=True),
            set(ReviewStep.objects.values_list("slug", flat=True)),
        )
        may = self.scope.can(Capability.MANAGE)
        settings = ReviewSettings.objects.first()
        days = ", ".join(_ordinal(d) for d in due_days())
        panels: list[Panel] = [
            Facts(
                "Days",
                [
                    ("Weeks are due on the", f"{days} of the month"),
                    ("Reminders by mail", "Yes" if settings is None or settings.reminds else "No"),
                ],
            )
        ]
        for number, title in WEEKS.items():
            rows = [_row(s, s.slug in changed) for s in steps if s.week == number]
            url = "review-step-edit" if may else None
            panels.append(TablePanel(f"Week {number}: {title}", COLUMNS, rows, row_url=url))
        return {"panels": panels, "back": ("Monthly review", reverse("review"))}


def _ordinal(number: int) -> str:
    ending = "th" if 11 <= number <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _row(step: Step, is_changed: bool) -> dict[str, Any]:
    standing = "Own" if step.is_own else "Changed" if is_changed else "As made"
    return {
        "pk": step.slug,
        "title": step.title,
        "cadence": CADENCES[step.cadence],
        "minutes": step.minutes or None,
        "kpis": ", ".join(dict.fromkeys(line.kpi.name for line in step.kpis)),
        "reports": ", ".join(REPORTS.get(line.slug).name for line in step.reports if line.slug in REPORTS),
        "check": named(step.check) if step.check else "",
        "clears": "; ".join(step.clears) or "a person looked",
        "standing": standing if step.in_use else "Left out",
    }


class StepEdit(FormPage):
    """Changes a step of the template."""

    capability = Capability.MANAGE
    form_class = StepEditForm
    refusals = (BadReview,)

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with the step as it is."""
        self.step = find_step(self.kwargs["step"])
        self.title, self.purpose = (
            self.step.title,
            "A change holds from now on: signed weeks stay as they were.",
        )
        self.cancel_url = reverse("review-steps")
        self.back = ("Steps and days", self.cancel_url)
        return {"initial": initial_of(self.step)}

    def actions(self) -> Sequence[Action]:
        """Offer putting a changed step back, or removing an own one."""
        if not ReviewStep.objects.filter(slug=self.step.slug).exists():
            return ()
        label = "Remove" if self.step.is_own else "Back to the default"
        return [Action(label, reverse("review-step-reset", args=[self.step.slug]))]

    def save(self, form: StepEditForm) -> str:
        """Keep it."""
        changes.keep(form.step(self.step))
        messages.success(self.request, "The step is changed.")
        return self.cancel_url


class StepAdd(FormPage):
    """Adds a step of the reseller's own."""

    capability = Capability.MANAGE
    form_class = StepEditForm
    refusals = (BadReview,)
    title = "Add a step"
    submit = "Add it"

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with an empty step of the first week."""
        self.cancel_url = reverse("review-steps")
        self.back = ("Steps and days", self.cancel_url)
        return {"initial": {"week": 1, "position": 50, "cadence": "monthly", "minutes": 5, "in_use": True}}

    def save(self, form: StepEditForm) -> str:
        """Keep it."""
        taken = [s.slug for s in template(STEPS, all_of_them=True)]
        changes.add(form.step(Step("", 1, "", "")), taken)
        messages.success(self.request, "The step is added.")
        return self.cancel_url


class StepReset(FormPage):
    """Puts a step back to the default, or removes one of the reseller's own."""

    capability = Capability.MANAGE
    form_class = forms.Form
    refusals = (BadReview,)

    def form_kwargs(self) -> dict[str, Any]:
        """Say what is lost."""
        self.step = step = find_step(self.kwargs["step"])
        self.title = f"Remove “{step.title}”" if step.is_own else f"“{step.title}” back to the default"
        self.submit = "Remove it" if step.is_own else "Put it back"
        self.danger = "What was changed on it is lost; signed weeks stay as they were."
        self.cancel_url = reverse("review-steps")
        self.back = ("Steps and days", self.cancel_url)
        return {}

    def save(self, form: forms.Form) -> str:
        """Forget the change."""
        changes.forget(self.step.slug)
        messages.success(
            self.request, "The step is removed." if self.step.is_own else "The step is as it was made."
        )
        return self.cancel_url


class DaysForm(forms.Form):
    """On which day of the month each week is due."""

    week_1 = forms.IntegerField(label="Week 1 is due on the", min_value=1, max_value=31)
    week_2 = forms.IntegerField(label="Week 2 is due on the", min_value=1, max_value=31)
    week_3 = forms.IntegerField(label="Week 3 is due on the", min_value=1, max_value=31)
    week_4 = forms.IntegerField(label="Week 4 is due on the", min_value=1, max_value=31)
    reminds = forms.BooleanField(
        required=False,
        label="Remind people by mail",
        help_text="On the day before a week is due, who has a step of it, else owners and billing.",
    )


class Days(FormPage):
    """Changes the days."""

    capability = Capability.MANAGE
    form_class = DaysForm
    refusals = (BadReview,)
    title = "Days of the review"
    purpose = "A day beyond the end of a month means its last day."

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with the days as they are."""
        self.cancel_url = reverse("review-steps")
        self.back = ("Steps and days", self.cancel_url)
        settings = ReviewSettings.objects.first()
        initial: dict[str, Any] = {f"week_{n}": day for n, day in zip(FOUR, due_days(), strict=True)}
        return {"initial": initial | {"reminds": settings is None or settings.reminds}}

    def save(self, form: DaysForm) -> str:
        """Keep them."""
        data = form.cleaned_data
        changes.keep_days([data[f"week_{n}"] for n in FOUR], reminds=data["reminds"])
        messages.success(self.request, "The days are changed.")
        return self.cancel_url


def find_step(slug: str) -> Step:
    """Return a step of the template; raises Http404."""
    found = next((s for s in template(STEPS, all_of_them=True) if s.slug == slug), None)
    if found is None:
        raise Http404
    return found


urlpatterns: list[URLPattern] = [
    path("review/steps/", Steps.as_view(), name="review-steps"),
    path("review/steps/add/", StepAdd.as_view(), name="review-step-add"),
    path("review/steps/days/", Days.as_view(), name="review-days"),
    path("review/steps/<slug:step>/", StepEdit.as_view(), name="review-step-edit"),
    path("review/steps/<slug:step>/reset/", StepReset.as_view(), name="review-step-reset"),
]
