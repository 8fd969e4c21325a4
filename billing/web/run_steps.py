"""The steps of a bill run, each a page that says what it will do before it does it."""

from datetime import date
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.db.models import Count, Sum
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.billrun.gates import blocking, check
from billing.billrun.prebilling import look_if_changed, stopping
from billing.billrun.runs import (
    RunRefused,
    change_dates,
    check_run,
    prepare_run,
    refuse_open_errors,
    send_run,
)
from billing.bills import confirm, undo
from billing.invoicing.issue import IssueRefused
from billing.models import BillingRun, Customer, Invoice
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import day, figure
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.periods import Period, add_months, month_of
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.templatetags.ui import money
from resellerkpi.ui.views import FormPage

REFUSALS = (RunRefused, IssueRefused)


def next_month(today: date) -> date:
    """Return the first day of the month to bill next: after the latest run, else the month before today's."""
    latest = BillingRun.objects.order_by("-period_start").values_list("period_end", flat=True).first()
    return latest or add_months(today.replace(day=1), -1)


class DatesFields(forms.Form):
    """The dates on the bills and what they say."""

    invoice_date = forms.DateField(widget=DayInput(), label="Invoices dated")
    due_date = forms.DateField(
        widget=DayInput(),
        required=False,
        label="Due",
        help_text="Left empty, each customer's own terms count.",
    )
    message = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), required=False, label="Message on the bills"
    )


class PrepareFields(DatesFields):
    """Which month, and its dates."""

    month = forms.ChoiceField(label="Month")
    field_order = ("month", "invoice_date", "due_date", "message")

    def __init__(self, *args: Any, months: list[date], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["month"].choices = [(f"{m:%Y-%m-%d}", f"{m:%B %Y}") for m in months]  # type: ignore[attr-defined]


class PrepareRun(FormPage):
    """Prepare a month's run as a draft."""

    capability = Capability.BILL
    title = "Prepare a bill run"
    purpose = "A draft: nothing is billed until you have looked at its checks."
    form_class = PrepareFields
    submit = "Prepare"
    refusals = REFUSALS

    def form_kwargs(self) -> dict[str, Any]:
        """Offer the next month and those around it."""
        self.cancel_url = reverse("run-list")
        month = next_month(self.today)
        initial = {"month": f"{month:%Y-%m-%d}", "invoice_date": add_months(month, 1)}
        return {"months": [add_months(month, step) for step in (0, 1, -1, -2)], "initial": initial}

    def save(self, form: Any) -> str:
        """Prepare the draft; a month's run is there once."""
        chosen = form.cleaned_data
        period: Period = month_of(date.fromisoformat(chosen.pop("month")), self.reseller.zone)
        run = prepare_run(self.reseller, period)
        if run.state == BillingRun.State.DRAFT:
            change_dates(run.pk, **chosen)
        return reverse("run", args=[run.pk])


class StepPage(FormPage):
    """A step of a run; the consequence is worked out from the run as it stands."""

    capability = Capability.BILL
    refusals = REFUSALS
    form_class: Any = forms.Form
    done: ClassVar[str] = "Done."
    run: BillingRun

    def form_kwargs(self) -> dict[str, Any]:
        """Find the run and say what the step does to it."""
        self.run = find(BillingRun, self.kwargs["pk"], "reseller")
        self.cancel_url = reverse("run", args=[self.run.pk])
        self.back = (self.run.name, self.cancel_url)
        self.purpose = self.consequence()
        return {}

    def consequence(self) -> str:
        """Return in words and numbers what the step does."""
        return ""

    def save(self, form: Any) -> str | HttpResponse:
        """Take the step and go back to the run."""
        self.act(form.cleaned_data)
        messages.success(self.request, self.done)
        return self.cancel_url

    def act(self, chosen: dict[str, Any]) -> None:
        """Take the step."""


class ChangeRun(StepPage):
    """Change a run's dates and message while nothing is billed."""

    title = "Change dates and message"
    form_class = DatesFields
    done = "The dates are changed."

    def form_kwargs(self) -> dict[str, Any]:
        """Start from what the run says."""
        super().form_kwargs()
        return {
            "initial": {name: getattr(self.run, name) for name in ("invoice_date", "due_date", "message")}
        }

    def act(self, chosen: dict[str, Any]) -> None:
        """Change the run."""
        change_dates(self.run.pk, **chosen)


class ReasonFields(forms.Form):
    """Why errors are accepted, asked for only if there are some."""

    accept = forms.CharField(
        max_length=300, label="Why it may go on as it is", help_text="Kept on the run with your name."
    )

    def __init__(self, *args: Any, stopping: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not stopping:
            del self.fields["accept"]


class CheckRun(StepPage):
    """Mark a run as checked; what stops it must be accepted with a reason."""

    title = "Mark as checked"
    submit = "Mark as checked"
    form_class = ReasonFields
    done = "The run is checked; produce the bills next."

    def form_kwargs(self) -> dict[str, Any]:
        """Ask for a reason only when something stops the run."""
        super().form_kwargs()
        stopping = blocking(check(self.run, now=timezone.now()))
        self.danger = " ".join(gate.words for gate in stopping)
        return {"stopping": bool(stopping)}

    def consequence(self) -> str:
        """Say what follows."""
        return "The bills can be produced after this. Nothing is billed yet."

    def act(self, chosen: dict[str, Any]) -> None:
        """Mark it."""
        check_run(self.run.pk, accept=chosen.get("accept", ""), now=timezone.now())


class ProduceRun(StepPage):
    """Produce the draft bills in the background."""

    title = "Produce the bills"
    submit = "Produce the bills"

    def consequence(self) -> str:
        """Say whose bills will be made of what."""
        customers = Customer.objects.filter(billing_cycle=self.run.cycle, is_test=False).count()
        return (
            f"Makes draft bills for up to {figure(customers, 0)} customers out of everything not billed before "
            f"{day(self.run.period_end)}. The dates lock; you can undo it until the first bill is sent."
        )

    def form_kwargs(self) -> dict[str, Any]:
        """Name what stops the run since it was checked."""
        kwargs = super().form_kwargs()
        look_if_changed(self.run, now=timezone.now())
        self.danger = " ".join(
            row.why for row in stopping(self.run).order_by("check_slug", "label", "pk")[:3]
        )
        return kwargs

    def save(self, form: Any) -> HttpResponse:
        """Hand the work to a worker, unless errors of the pre-billing report are open."""
        refuse_open_errors(self.run)
        title = f"Produce the bills of {self.run.name}"
        return job_redirect(
            enqueue("bills.produce", {"run_id": self.run.pk}, title=title, back_url=self.cancel_url)
        )


class LookedFields(forms.Form):
    """That a person looked at what was billed."""

    looked = forms.BooleanField(
        label="I have looked at the post-billing report",
        error_messages={"required": "Look at the post-billing report first; bills go out as they are there."},
    )


class ConfirmRun(StepPage):
    """Confirm the drafts: they get their numbers and become what customers owe."""

    title = "Confirm and number"
    submit = "Confirm and number"
    form_class = LookedFields
    done = "The invoices have their numbers and are owed now."

    def consequence(self) -> str:
        """Say how many and how much."""
        return f"Gives {amounts(self.run)} their numbers; from then on customers owe them."

    def act(self, chosen: dict[str, Any]) -> None:
        """Confirm."""
        confirm(self.run.pk, now=timezone.now())


class SendRun(StepPage):
    """Mark the invoices as sent."""

    title = "Mark as sent"
    submit = "Mark as sent"
    done = "The invoices are marked as sent."

    def consequence(self) -> str:
        """Say that there is no way back."""
        return f"Marks {amounts(self.run)} as sent. After this only credit notes correct them."

    def act(self, chosen: dict[str, Any]) -> None:
        """Mark them."""
        send_run(self.run.pk, now=timezone.now())


class UndoRun(StepPage):
    """Take the bills of a run away."""

    title = "Undo the bills"
    submit = "Undo the bills"
    done = "The bills are gone; their charges and calls wait for the next ones."

    def consequence(self) -> str:
        """Say what goes and what stays."""
        self.danger = f"Takes {amounts(self.run)} away."
        return "Charges and calls wait for the next bills; numbers given are taken back."

    def act(self, chosen: dict[str, Any]) -> None:
        """Undo."""
        undo(self.run.pk)


def amounts(run: BillingRun) -> str:
    """Return how many invoices a run has and what they come to, such as 3 invoices of 120.00 GBP."""
    sums = (
        Invoice.objects.filter(run=run)
        .values("currency")
        .annotate(count=Count("pk"), gross=Sum("gross"))
        .order_by("currency")
    )
    words = [
        f"{figure(row['count'], 0)} invoice{'' if row['count'] == 1 else 's'} of"
        f" {money(row['gross'], row['currency'])}"
        for row in sums
    ]
    return " and ".join(words) or "no invoices"
