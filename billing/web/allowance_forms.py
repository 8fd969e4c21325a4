"""Adding, changing, ending and removing what a package includes."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import URLPattern, path, reverse

from billing.allowances import add_allowance, change_allowance, end_allowance, remove_allowance
from billing.models import Bundle, FeatureType
from billing.rating.allowance_words import GIGABYTE, bundle_words
from billing.web.editing import BookForm, find
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.periods import month_of
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.job_page import job_redirect

#: How amounts are entered: unit as stored, and how many of it one is.
ENTERED = {
    "minutes": (Bundle.Unit.SECONDS, Decimal(60)),
    "calls": (Bundle.Unit.CALLS, Decimal(1)),
    "texts": (Bundle.Unit.SMS, Decimal(1)),
    "gb": (Bundle.Unit.DATA, Decimal(GIGABYTE)),
    "mb": (Bundle.Unit.DATA, Decimal(1)),
    "money": (Bundle.Unit.MONEY, Decimal(1)),
}
CHOICES = (
    ("minutes", "Minutes of calls"),
    ("calls", "Calls"),
    ("texts", "Texts (SMS)"),
    ("gb", "Data in GB"),
    ("mb", "Data in MB"),
    ("money", "Money"),
)
LARGEST = Decimal(10) ** 9


class AllowanceFields(forms.Form):
    """The terms of an allowance, in the units people use."""

    unit = forms.ChoiceField(choices=CHOICES, label="What it counts")
    amount = forms.DecimalField(
        min_value=0, max_value=LARGEST, decimal_places=6, label="Amount a month",
        help_text="In what it counts: 500 for 500 minutes.",
    )  # fmt: skip
    call_class = forms.CharField(
        max_length=30, required=False, label="Class of calls", help_text="Leave empty for every class."
    )
    prefixes = forms.RegexField(
        r"^[+\d\s,;]*$",
        max_length=400,
        required=False,
        label="Numbers beginning",
        help_text="With country code, such as 441 442 443 447 for UK landlines and mobiles. Leave empty for all.",
        error_messages={"invalid": "Give prefixes as digits with spaces between them, such as 441 442 447."},
    )
    shared = forms.BooleanField(required=False, initial=True, label="Shared by all numbers of the customer")
    member_cap = forms.DecimalField(
        min_value=Decimal("0.000001"), max_value=LARGEST, decimal_places=6, required=False,
        label="Most that one number may use", help_text="A month, of what is shared. Leave empty for no limit.",
    )  # fmt: skip
    rollover_months = forms.IntegerField(
        min_value=0, max_value=12, initial=0, label="Months that unused units may be used after",
        help_text="0: what is left at the end of the month lapses.",
    )  # fmt: skip
    rollover_cap = forms.DecimalField(
        min_value=Decimal("0.000001"), max_value=LARGEST, decimal_places=6, required=False,
        label="Most that is carried over", help_text="In all. Leave empty for no limit.",
    )  # fmt: skip
    prorate_first = forms.BooleanField(required=False, label="Give the first month by its days")
    priority = forms.IntegerField(
        min_value=0, max_value=999, initial=0, help_text="Lower numbers are drawn first."
    )
    step = forms.IntegerField(
        min_value=0, max_value=3600, initial=0, label="Drawn in steps of",
        help_text="Seconds or MB: 60 draws whole minutes. 0: exactly what the call needs.",
    )  # fmt: skip
    start = forms.DateField(
        widget=DayInput(), required=False, label="From", help_text="Leave empty for always."
    )

    def clean(self) -> dict[str, Any]:
        """Refuse terms that contradict each other; fractions of calls and texts do not exist."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("member_cap") is not None and not data.get("shared"):
            self.add_error("member_cap", "Only a shared allowance has a limit per number.")
        if data.get("rollover_cap") is not None and not data.get("rollover_months"):
            self.add_error("rollover_cap", "Say for how many months unused units roll over.")
        if data.get("unit") in ("calls", "texts"):
            for name in ("amount", "member_cap", "rollover_cap"):
                if data.get(name) is not None and data[name] % 1:
                    self.add_error(name, "Calls and texts are counted whole.")
        return data

    def terms(self) -> dict[str, Any]:
        """Return the terms as they are stored."""
        data = dict(self.cleaned_data)
        data.pop("start")
        unit, factor = ENTERED[data.pop("unit")]
        for name in ("amount", "member_cap", "rollover_cap"):
            data[name] = None if data[name] is None else data[name] * factor
        return data | {"unit": unit}


def entered(bundle: Bundle) -> dict[str, Any]:
    """Return an allowance as the form shows it."""
    large = bundle.unit == Bundle.Unit.DATA and bundle.amount and bundle.amount % GIGABYTE == 0
    names = {"seconds": "minutes", "sms": "texts", "data": "gb" if large else "mb"}
    name = names.get(bundle.unit, str(bundle.unit))
    factor = ENTERED[name][1]
    shown: dict[str, Any] = {"unit": name, "step": int(bundle.step)}
    for each in ("amount", "member_cap", "rollover_cap"):
        value = getattr(bundle, each)
        shown[each] = None if value is None else f"{(value / factor).normalize():f}"
    same = ("call_class", "prefixes", "shared", "rollover_months", "prorate_first", "priority")
    return shown | {each: getattr(bundle, each) for each in same}


class AllowanceForm(BookForm):
    """A form about what a package includes; afterwards the calls concerned are drawn anew."""

    def home(self) -> str:
        """Return the page of the package."""
        return reverse("feature-type", args=[self.kind.pk])

    def about(self, kind: FeatureType) -> None:
        """Bind the package and the way back to it."""
        self.kind = kind
        self.cancel_url = self.home()
        self.back = (str(kind), self.cancel_url)

    def find_bundle(self) -> Bundle:
        """Find the allowance of the address and bind its package."""
        bundle: Bundle = find(Bundle, self.kwargs["pk"], "feature_type")
        self.about(bundle.feature_type)
        self.purpose = f"{bundle_words(bundle, self.kind.currency)}."
        return bundle

    def draw_anew(self, first: date | None, words: str) -> str | HttpResponse:
        """Go on; where calls may be concerned already, by a job that draws the allowances of the package anew."""
        if first is not None and first > self.today:
            return self.succeed(self.home(), words)
        since = "" if first is None else f" since {day_words(first)}"
        self.succeed("", f"{words} Calls{since} that are not billed yet are drawn anew.")
        params = {"feature_type_id": self.kind.pk, "first": first.isoformat() if first else ""}
        return job_redirect(
            enqueue("allowances.draw", params, title=f"Draw {self.kind} anew", back_url=self.home())
        )


class AddAllowance(AllowanceForm):
    """Add an allowance to a package."""

    form_class = AllowanceFields
    title = "Add an allowance"
    purpose = "What the package includes each month before calls are charged."
    submit = "Add the allowance"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the package of the address."""
        self.about(find(FeatureType, self.kwargs["pk"]))
        return {
            "initial": {"unit": "minutes", "shared": True, "rollover_months": 0, "priority": 0, "step": 0}
        }

    def save(self, form: Any) -> str | HttpResponse:
        """Add it."""
        start = form.cleaned_data["start"]
        bundle = add_allowance(Bundle(feature_type=self.kind, valid_from=start, **form.terms()))
        return self.draw_anew(start, f"{self.kind} includes {bundle_words(bundle, self.kind.currency)}.")


class ChangeAllowance(AllowanceForm):
    """Change an allowance from a day on."""

    form_class = AllowanceFields
    title = "Change the allowance"
    submit = "Change it from that day"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the allowance of the address; a change begins with the next month unless told otherwise."""
        self.bundle = self.find_bundle()
        return {"initial": entered(self.bundle) | {"start": month_of(self.today, self.reseller.zone).end}}

    def save(self, form: Any) -> str | HttpResponse:
        """End the allowance as it was and begin the new one."""
        start = form.cleaned_data["start"]
        if start is None:
            form.add_error("start", "Say from which day it changes.")
            return self.show(form, status=422)
        bundle = change_allowance(self.bundle, form.terms(), start=start)
        words = f"From {day_words(start)} {self.kind} includes {bundle_words(bundle, self.kind.currency)}."
        return self.draw_anew(start, words)


class AllowanceEnd(forms.Form):
    """When an allowance ends."""

    on = forms.DateField(widget=DayInput(), label="Until", help_text="The first day without it.")


class EndAllowance(AllowanceForm):
    """End an allowance."""

    form_class = AllowanceEnd
    title = "End the allowance"
    submit = "End the allowance"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the allowance of the address."""
        self.bundle = self.find_bundle()
        return {"initial": {"on": month_of(self.today, self.reseller.zone).end}}

    def save(self, form: Any) -> str | HttpResponse:
        """End it."""
        on = form.cleaned_data["on"]
        end_allowance(self.bundle, on=on)
        return self.draw_anew(on, f"The allowance ends on {day_words(on)}.")


class RemoveAllowance(AllowanceForm):
    """Remove an allowance that was never drawn."""

    form_class = forms.Form
    title = "Remove the allowance"
    submit = "Remove the allowance"
    danger = "It is taken out of the package as if it had never been there. One that calls drew from can only be ended."

    def form_kwargs(self) -> dict[str, Any]:
        """Find the allowance of the address."""
        self.bundle = self.find_bundle()
        return {}

    def save(self, form: Any) -> str | HttpResponse:
        """Remove it."""
        remove_allowance(self.bundle)
        return self.succeed(self.home(), "The allowance is removed.")


urls: list[URLPattern] = [
    path("feature-types/<int:pk>/allowances/add/", AddAllowance.as_view(), name="allowance-add"),
    path("allowances/<int:pk>/change/", ChangeAllowance.as_view(), name="allowance-change"),
    path("allowances/<int:pk>/end/", EndAllowance.as_view(), name="allowance-end"),
    path("allowances/<int:pk>/remove/", RemoveAllowance.as_view(), name="allowance-remove"),
]
