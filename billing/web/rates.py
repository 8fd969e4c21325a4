"""Exchange rates: which are in force on a day, how old they are, and how the last look for new ones ended."""

from collections.abc import Sequence
from typing import Any

from babel import Locale
from django import forms
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.jobs_rates import KIND
from billing.models import ExchangeRate
from billing.models.exchange import OLD, dated_quotes
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import LOCALE, Code, Column, Date, Decimal, Int, Text
from resellerkpi.core.columns import day as shown_day
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Job
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, TablePanel
from resellerkpi.ui.templatetags.ui import figure, moment
from resellerkpi.ui.views import Page

NONE = "No exchange rate is known up to that day. {next}"
HOW = {
    True: "Fetch the European Central Bank's rates, or import a file.",
    False: "Somebody who may import files can load them.",
}
STATES = {True: f"More than {OLD.days} days old", False: ""}


class DayForm(forms.Form):
    """On which day."""

    on = forms.DateField(widget=DayInput(), label="In force on", required=False)


class RatesPage(Page):
    """The rate of each currency in force on a day; a figure that an old rate was used for is marked in reports."""

    capability = Capability.VIEW_MONEY
    title = "Exchange rates"
    purpose = "What reports and carriers' bills are converted at: the last rate published up to the day of each row."
    template = "ui/detail.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the rates of the day asked for, today's without one."""
        form = DayForm({"on": request.GET.get("on") or str(self.today)})
        may_fetch = self.scope.can(Capability.IMPORT)
        choice = HtmlPanel("billing/_rates_choice.html", {"form": form, "may_fetch": may_fetch})
        if not form.is_valid():
            return self.render({"panels": [choice]}, status=422)
        return self.render({"panels": [choice, self.table(form.cleaned_data["on"]), self.facts()]})

    def table(self, on: Any) -> TablePanel:
        """Return the rates in force on a day."""
        may = self.scope.can(Capability.IMPORT)
        empty = EmptyState(
            NONE.format(next=HOW[may]), "Import a file" if may else "", _importing() if may else ""
        )
        own = self.reseller.currency
        return TablePanel(f"In force on {shown_day(on)}", columns(own), in_force(own, on), empty=empty)

    def facts(self) -> Facts:
        """Return how many rates there are and how the last look for new ones ended."""
        last = Job.objects.filter(kind=KIND).order_by("-created_at").first()
        known = ExchangeRate.objects.aggregate(day=Max("date"))["day"]
        items = [
            ("Rates known", figure(ExchangeRate.objects.count(), 0)),
            ("The latest is of", shown_day(known) if known else ""),
            ("Looked for new ones", moment(last.created_at, self.reseller) if last else "Not yet"),
            ("How that ended", _ended(last)),
        ]
        return Facts("Where they come from", items, wide=True)

    def actions(self) -> Sequence[Action]:
        """Offer the import."""
        if not self.scope.can(Capability.IMPORT):
            return ()
        return (Action("Import a file", _importing()),)


class FetchRates(Page):
    """Looks for new rates now, as happens by itself on working days."""

    capability = Capability.IMPORT
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Hand it to a worker."""
        return job_redirect(
            enqueue(KIND, {}, title="Fetch exchange rates", back_url=reverse("exchange-rates"))
        )


def columns(own: str) -> list[Column]:
    """Return the columns of the rates of a house with a currency."""
    return [
        Code(name="code", label="Currency"),
        Text(name="name", label="Name"),
        Decimal(name="worth", label=f"One unit in {own}", decimals=6),
        Decimal(name="buys", label=f"For one {own}", decimals=6),
        Date(name="day", label="Rate of", help="The day of the older of the two rates used."),
        Int(name="age", label="Days old"),
        Text(name="state", label="State", help="Figures converted at an old rate are marked in reports."),
    ]


def in_force(own: str, on: Any) -> list[dict[str, Any]]:
    """Return each currency's worth in the house's own on a day, by code; those without a rate are left out."""
    pairs = ExchangeRate.objects.filter(date__lte=on).order_by().values_list("base", "currency").distinct()
    codes = sorted({code for pair in pairs for code in pair} - {own})
    names = Locale.parse(LOCALE).currencies
    quotes = dated_quotes([(code, on) for code in codes], own)
    return [
        {
            "code": code,
            "name": names.get(code, ""),
            "worth": quote.factor,
            "buys": 1 / quote.factor,
            "day": quote.day,
            "age": (on - quote.day).days,
            "state": STATES[on - quote.day > OLD],
        }
        for code in codes
        if (quote := quotes[code, on]) is not None
    ]


def _ended(last: Job | None) -> str:
    if last is None or not last.is_final:
        return "It is under way." if last else ""
    if last.error:
        return last.error
    if last.result.get("off"):
        return "Fetching is turned off in the settings."
    return (
        f"{figure(last.result.get('new', 0), 0)} new, {figure(last.result.get('changed', 0), 0)} corrected."
    )


def _importing() -> str:
    return reverse("import-start", args=["exchange-rates"])


urls: list[URLPattern] = [
    path("rates/", RatesPage.as_view(), name="exchange-rates"),
    path("rates/fetch/", FetchRates.as_view(), name="exchange-rates-fetch"),
]
