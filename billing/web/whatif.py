"""What-if: what months would have cost with other prices. Asking is a job, the answer a page of its own."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path, reverse

from billing.web.whatif_answer import WhatIfResult
from billing.web.whatif_forms import AskForm
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column, DateTime, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Job
from resellerkpi.core.periods import add_months
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import EmptyState, TablePanel
from resellerkpi.ui.views import FormPage

KINDS = {
    "move": ("Customers move to another tariff", "Chosen customers, or all on a tariff, at other prices."),
    "change": ("A tariff’s prices change", "A rise or cut of all its prices, or of some destinations."),
    "wholesale": ("Calls are bought by another deck", "A carrier’s calls at the prices of another wholesale tariff."),
}  # fmt: skip
RECENT, NOTICE = 12, 30


class AskWhatIf(FormPage):
    """Ask what months would have cost."""

    capability = Capability.VIEW_MARGIN
    title = "What if"
    purpose = "Past calls at other prices: who would win or lose, and what would be left. Nothing is changed by asking."
    form_class = AskForm
    template = "billing/what_if.html"
    submit = "Work it out"

    @property
    def kind(self) -> str:
        """The kind of question of the address."""
        asked = self.request.GET.get("kind", "")
        return asked if asked in KINDS else "move"

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the tariffs."""
        return ("Tariffs", reverse("tariff-list"))

    def form_kwargs(self) -> dict[str, Any]:
        """Start with the tariff of the address, and the first month that notice can be given for."""
        told = self.today + timedelta(days=NOTICE)
        initial: dict[str, Any] = {"as_of": add_months(told.replace(day=1), 1), "notice_days": NOTICE}
        for name in ("tariff", "instead_of", "carrier", "customers"):
            if self.request.GET.get(name):
                initial[name] = self.request.GET[name]
        return {"kind": self.kind, "zone": self.reseller.zone, "initial": initial}

    def get_context(self) -> dict[str, Any]:
        """Offer the kinds of questions and the latest answers."""
        here = reverse("what-if")
        kinds = [(f"{here}?kind={kind}", *words, kind == self.kind) for kind, words in KINDS.items()]
        return {"kinds": kinds, "recent": recent("prices.what_if", "what-if-result", "Latest answers")}

    def save(self, form: Any) -> HttpResponse:
        """Hand the question to a worker."""
        asked = form.question()
        title = title_of(asked, form.cleaned_data)
        return job_redirect(
            enqueue(
                "prices.what_if",
                {"asked": asked | {"title": title}},
                title=title,
                back_url=self.request.get_full_path(),
            )
        )


def title_of(asked: dict[str, Any], chosen: dict[str, Any]) -> str:
    """Return a question in a few words."""
    tariff, period = chosen["tariff"], chosen["period"]
    if asked["kind"] == "wholesale":
        return f"{chosen['carrier']} bought by {tariff}, {period}"
    if asked["kind"] == "change":
        return f"New prices of {tariff}, {period}"
    who = chosen.get("instead_of") or f"{len(asked['customer_ids'])} customers"
    return f"{who} to {tariff}, {period}"


def recent(kind: str, url: str, title: str) -> TablePanel:
    """Return the latest finished jobs of a kind, each with its page."""
    jobs = Job.objects.filter(kind=kind, state=Job.State.DONE).order_by("-created_at", "pk")
    columns: tuple[Column, ...] = (
        Text(name="title", label="Question"),
        Text(name="owner", label="Asked by", source="owner__name"),
        DateTime(name="finished_at", label="Answered"),
    )
    return TablePanel(
        title, columns, jobs, row_url=url, limit=RECENT, empty=EmptyState("Nothing has been asked yet.")
    )


urls: list[URLPattern] = [
    path("tariffs/what-if/", AskWhatIf.as_view(), name="what-if"),
    path("tariffs/what-if/<uuid:pk>/", WhatIfResult.as_view(), name="what-if-result"),
]
