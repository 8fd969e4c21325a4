"""Billing errors: what stands between calls and their price, in repair order, and repairs in bulk."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.models import Call, Customer
from billing.rating.errors import ErrorGroup, ErrorItem, billing_errors, first_day, offer_owners
from billing.rating.repair import RepairRefused, add_numbers_and_assign
from resellerkpi.core.access import Capability
from resellerkpi.core.jobs import enqueue
from resellerkpi.ui.forms import DayInput, ReferenceField
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action
from resellerkpi.ui.templatetags.ui import money
from resellerkpi.ui.views import Page

SHOWN = 100
REMEDIES = {
    Call.Reason.UNKNOWN_CLI: "Say whose lines these are: they are added as numbers of the customer and priced at once.",
    Call.Reason.INACTIVE: "These numbers are in the book but belonged to nobody then. Give each to its customer.",
    Call.Reason.NO_TARIFF: "Give these customers a tariff, or make one the default.",
    Call.Reason.NO_RATE: "Add a rate for these destinations to the tariff; a call's page names the tariff.",
    Call.Reason.UNKNOWN_TYPE: "These records name nothing a rate could be found by. See a call, then the layout.",
}
LINKS = {Call.Reason.INACTIVE: "number", Call.Reason.NO_TARIFF: "customer"}


class AssignForm(forms.Form):
    """Which unknown lines go to which customer, from when."""

    identities = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label="Lines")
    customer = ReferenceField(Customer, by="code", what="customer with account code", label="Account code")
    start = forms.DateField(label="From", widget=DayInput(), help_text="The first day the customer has them.")

    def __init__(self, *args: Any, lines: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["identities"].choices = [(line, line) for line in lines]  # type: ignore[attr-defined]


class BillingErrors(Page):
    """The errors by reason; unknown lines can be given to a customer right here."""

    capability = Capability.EDIT_BOOK
    title = "Billing errors"
    purpose = "Calls that could not be priced, in the order in which repairs help; a repair prices its calls at once."
    template = "billing/errors.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the groups with an empty form."""
        groups = billing_errors(self.reseller)
        return self.show(groups, self.form(groups))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Rate a group again, or give the chosen lines to a customer and rate their calls."""
        groups = billing_errors(self.reseller)
        again = request.POST.get("again")
        if again in {group.reason for group in groups}:
            return self.rate([str(again)], None, Call.Reason(str(again)).label)
        form = self.form(groups, request.POST)
        if form.is_valid():
            chosen = form.cleaned_data
            try:
                new = add_numbers_and_assign(
                    reseller=self.reseller,
                    identities=chosen["identities"],
                    customer=chosen["customer"],
                    start=chosen["start"],
                )
            except RepairRefused as refused:
                form.add_error(None, str(refused))
            else:
                messages.success(request, f"{new} numbers were added to {chosen['customer'].name}.")
                return self.rate([Call.Reason.UNKNOWN_CLI], chosen["identities"], "Unknown number")
        return self.show(groups, form, status=422)

    def rate(self, reasons: list[str], identities: list[str] | None, label: str) -> HttpResponse:
        """Hand the rating again to a worker."""
        params = {"reasons": reasons, "identities": identities}
        title = f"Rate again: {label.lower()}"
        return job_redirect(enqueue("usage.repair", params, title=title, back_url=reverse("billing-errors")))

    def actions(self) -> Sequence[Action]:
        """Lead to pricing other calls again."""
        if not self.scope.can(Capability.BILL):
            return ()
        return (Action("Price other calls again", reverse("price-again")),)

    def form(self, groups: list[ErrorGroup], data: Any = None) -> AssignForm:
        """Return the form for the unknown lines of the page."""
        unknown = _items(groups, Call.Reason.UNKNOWN_CLI)
        initial = {"start": first_day(self.reseller, unknown)} if unknown else {}
        return AssignForm(data, lines=[item.key for item in unknown], initial=initial)

    def show(self, groups: list[ErrorGroup], form: AssignForm, *, status: int = 200) -> HttpResponse:
        """Render the page."""
        offer_owners(self.reseller, _items(groups, Call.Reason.UNKNOWN_CLI)[:SHOWN])
        chosen = set(form.data.getlist("identities")) if form.is_bound else set()  # type: ignore[attr-defined]
        shown = [_shown(group, self.scope.can(Capability.VIEW_WHOLESALE), chosen) for group in groups]
        return self.render({"groups": shown, "form": form}, status=status)


def _items(groups: list[ErrorGroup], reason: str) -> list[ErrorItem]:
    return [item for group in groups if group.reason == reason for item in group.items]


def _shown(group: ErrorGroup, with_cost: bool, chosen: set[str]) -> dict[str, Any]:
    """Return a group as the template needs it; cost only for those who may see it."""
    link = LINKS.get(Call.Reason(group.reason))
    rows = [
        {
            "item": item,
            "url": reverse(link, args=[item.key]) if link and item.key else "",
            "call_url": reverse("call", args=[item.call_id]),
            "cost": _costs(item.costs) if with_cost else "",
            "chosen": item.key in chosen,
        }
        for item in group.items[:SHOWN]
    ]
    return {
        "reason": group.reason,
        "label": group.label,
        "remedy": REMEDIES[Call.Reason(group.reason)],
        "assign": group.reason == Call.Reason.UNKNOWN_CLI,
        "calls": group.calls,
        "distinct": len(group.items),
        "cost": _costs(group.costs) if with_cost else "",
        "with_cost": with_cost,
        "rows": rows,
        "more": max(len(group.items) - SHOWN, 0),
    }


def _costs(costs: dict[str, Any]) -> str:
    """Return what calls cost at least, one amount per currency."""
    return ", ".join(money(cost, currency) for currency, cost in sorted(costs.items()))


urls: list[URLPattern] = [path("usage/errors/", BillingErrors.as_view(), name="billing-errors")]
