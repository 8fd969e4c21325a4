"""Forms of the review: what a person writes on a step, an action, a reason."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from kpis.kpi import KPIS
from reports.models import ReviewMark
from reports.reviewing.acts import MOST_MINUTES, Note, Plan
from reports.reviewing.steps import Step
from resellerkpi.core.access import Capability, capabilities
from resellerkpi.core.models import Membership, User
from resellerkpi.ui.forms import DayInput

People = Sequence[tuple[int, str]]


def people(reseller_id: int) -> People:
    """Return the colleagues who may see reviews, by name."""
    rows = Membership.objects.filter(reseller_id=reseller_id, user__is_active=True).select_related("user")
    held = [m.user for m in rows if Capability.VIEW_REVIEW in capabilities(m.role)]
    return sorted(((u.pk, str(u)) for u in held), key=lambda pair: pair[1])


def _who(form: Any, field: str, people: People) -> None:
    form.fields[field].choices = [("", "Nobody yet"), *people]


def _user(data: Any) -> User | None:
    return User.objects.filter(pk=int(data)).first() if data else None


class MarkForm(forms.Form):
    """Done or not, a note, the minutes it took, who has it."""

    done = forms.BooleanField(required=False, label="Looked at and done")
    minutes = forms.IntegerField(required=False, label="Minutes", min_value=0, max_value=MOST_MINUTES)
    assignee = forms.ChoiceField(required=False, label="Who has it")
    note = forms.CharField(
        required=False, label="Note", max_length=1_000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, people: People, **options: Any) -> None:
        super().__init__(*args, **options)
        _who(self, "assignee", people)

    @staticmethod
    def initial_of(mark: ReviewMark | None) -> dict[str, Any]:
        """Return what is written already."""
        if mark is None:
            return {}
        return {
            "done": mark.done_at is not None,
            "minutes": mark.minutes,
            "assignee": mark.assignee_id or "",
            "note": mark.note,
        }

    def written(self) -> Note:
        """Return what was written."""
        data = self.cleaned_data
        return Note(data["done"], data["note"], data["minutes"], _user(data["assignee"]))


class ActionForm(forms.Form):
    """What is to be done, by whom, until when, and the KPI it is to move."""

    what = forms.CharField(label="What is to be done", max_length=200)
    who = forms.ChoiceField(required=False, label="Who does it")
    due = forms.DateField(required=False, label="Until", widget=DayInput())
    kpi = forms.ChoiceField(
        required=False, label="To move", help_text="Its value now is kept; later reviews show both."
    )

    def __init__(self, *args: Any, people: People, step: Step, visible: set[str], **options: Any) -> None:
        super().__init__(*args, **options)
        _who(self, "who", people)
        offered = dict.fromkeys(line.slug for line in step.kpis if line.slug in visible)
        self.fields["kpi"].choices = [  # type: ignore[attr-defined]  # a choice field
            ("", "No KPI"),
            *((slug, KPIS.get(slug).name) for slug in offered),
        ]

    def clean_due(self) -> date | None:
        """Refuse a day nobody plans for."""
        due: date | None = self.cleaned_data["due"]
        if due is not None and not 2000 <= due.year <= 2199:
            raise ValidationError("Choose a day of the years 2000 to 2199.")
        return due

    def plan(self) -> Plan:
        """Return what was planned."""
        data = self.cleaned_data
        return Plan(data["what"], _user(data["who"]), data["due"], data["kpi"])


class WhyForm(forms.Form):
    """A reason in words."""

    why = forms.CharField(label="Why", max_length=300)


class OutcomeForm(forms.Form):
    """What came of an action."""

    outcome = forms.CharField(label="What came of it", max_length=300)
