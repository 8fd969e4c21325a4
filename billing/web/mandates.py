"""Mandates: who pays by Direct Debit, whether it may be collected and how it went last; recording and ending one."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse

from billing.book import BookRefused
from billing.models import Customer, Mandate, PaymentAttempt
from billing.receivables.bacs import ARUDD
from billing.receivables.mandates import (
    MandateRefused,
    end_mandate,
    in_force,
    in_force_first,
    mandate_of,
    mandate_words,
    record_mandate,
)
from billing.web.customer_changes import CustomerStep
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Date, Int, Text, day
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import Action, EmptyState
from resellerkpi.ui.views import ListPage

VIEW, COLLECT = Capability.VIEW_MONEY, Capability.COLLECT
STATES = (("none", "Missing"), ("ended", "Ended"), ("later", "Not begun yet"), ("held", "In force"))
REASONS = [(code, reason.meaning) for code, reason in ARUDD.items()]
#: Failed collections are counted over so many days.
COUNTED = timedelta(days=365)
Outcome, Status = PaymentAttempt.Outcome, Customer.Status


class MandateFilters(ScopedFilterSet):
    """Which customers to list."""

    q = SearchFilter("name", "code", "mandate_reference", label="Customer or reference")
    state = OneOf("mandate_state", STATES, label="Mandate")
    outcome = OneOf("last_outcome", Outcome.choices, label="Last collection")
    status = OneOf("status", Status.choices, label="Status")


class MandateList(ListPage):
    """Everybody who pays by Direct Debit, or did."""

    capability = VIEW
    title = "Mandates"
    purpose = "Who pays by Direct Debit, whether we may collect from them, and how the last collection went."
    filterset = MandateFilters
    order = ("urgency", "name")
    columns = (
        Text(name="name", label="Customer"),
        Code(name="code", label="Account"),
        Choice(name="mandate_state", label="Mandate", choices=STATES),
        Code(name="mandate_reference", label="Reference"),
        Date(name="mandate_start", label="From", hidden=True),
        Date(name="mandate_end", label="Until", help="The first day without it."),
        Date(name="last_submitted", label="Last collection", help="The day on which it was presented last."),
        Choice(name="last_outcome", label="Outcome", choices=Outcome.choices),
        Int(name="failed", help="Presentations of the last twelve months that failed."),
        Choice(name="last_reason", label="Why it failed", choices=REASONS),
        Choice(name="status", choices=Status.choices, hidden=True),
    )
    empty = EmptyState(
        "No customer pays by Direct Debit. Set “Pays by” on a customer’s page; its mandate is recorded there.",
        "Customers",
        "/customers/",
    )

    @property
    def row_url(self) -> str:  # type: ignore[override]  # says where this reader may go
        """Lead to the mandate who may record one, others to the customer."""
        return "customer-mandate" if self.scope.can(COLLECT) else "customer"

    def queryset(self) -> QuerySet[Any]:
        """Return the customers with their mandate and last collection; those that cannot be collected from first."""
        return with_mandates(self.today)


def with_mandates(today: date) -> QuerySet[Any]:
    """Return who pays by Direct Debit, or has had a mandate, with its mandate and its last collection."""
    mine = Mandate.objects.filter(customer=OuterRef("pk")).order_by(*in_force_first(today))
    tried = PaymentAttempt.objects.filter(customer=OuterRef("pk"), method=Customer.Method.DIRECT_DEBIT)
    last = tried.order_by("-submitted_date", "-presentation", "-pk")
    failed = tried.filter(outcome=Outcome.FAILED, submitted_date__gt=today - COUNTED).order_by()
    rows = Customer.objects.filter(Q(payment_method=Customer.Method.DIRECT_DEBIT) | Exists(mine)).annotate(
        mandate_reference=Subquery(mine.values("reference")[:1]),
        mandate_start=Subquery(mine.values("start_date")[:1]),
        mandate_end=Subquery(mine.values("end_date")[:1]),
        last_submitted=Subquery(last.values("submitted_date")[:1]),
        last_outcome=Subquery(last.values("outcome")[:1]),
        last_reason=Subquery(last.values("reason_code")[:1]),
        failed=Coalesce(Subquery(failed.values("customer").annotate(n=Count("pk")).values("n")), 0),
    )
    rows = rows.annotate(
        mandate_state=Case(
            When(mandate_start=None, then=Value("none")),
            When(mandate_end__lte=today, then=Value("ended")),
            When(mandate_start__gt=today, then=Value("later")),
            default=Value("held"),
        )
    )
    lost = Q(status=Status.CEASED) | ~Q(payment_method=Customer.Method.DIRECT_DEBIT)
    places = [When(lost, then=Value(len(STATES)))]
    places += [When(mandate_state=state, then=Value(place)) for place, (state, _) in enumerate(STATES)]
    return rows.annotate(urgency=Case(*places, output_field=IntegerField()))


class MandateFields(forms.Form):
    """A new mandate."""

    reference = forms.CharField(max_length=40, help_text="As the bank’s files carry it.")
    start = forms.DateField(
        widget=DayInput(), label="From", help_text="The first day on which it may be collected by it."
    )


class RecordMandate(CustomerStep):
    """Record a customer's new mandate."""

    capability = COLLECT
    form_class = MandateFields
    title = "Record a mandate"
    submit = "Record it"
    refusals = (MandateRefused, BookRefused)

    def form_kwargs(self) -> dict[str, Any]:
        """Say how it stands today."""
        super().form_kwargs()
        self.mandate = mandate_of(self.customer, self.today)
        begun = (
            " A new one ends it on the day on which it begins." if in_force(self.mandate, self.today) else ""
        )
        self.purpose = f"Today’s mandate: {mandate_words(self.mandate, self.today)}.{begun}"
        return {"initial": {"start": self.today}}

    def actions(self) -> Sequence[Action]:
        """Offer ending the one in force, and lead to the list."""
        found = [Action("All mandates", reverse("mandate-list"))]
        if in_force(self.mandate, self.today):
            found.append(Action("End the mandate", reverse("customer-mandate-end", args=[self.customer.pk])))
        return found

    def save(self, form: Any) -> str:
        """Keep the mandate."""
        made = record_mandate(customer=self.customer, **form.cleaned_data)
        return self.succeed(self.home(), f"Mandate {made} is recorded.")


class EndFields(forms.Form):
    """When a mandate ends."""

    on = forms.DateField(widget=DayInput(), label="Until", help_text="The first day without it.")
    #: The mandate that the form was opened for.
    mandate = forms.IntegerField(required=False, widget=forms.HiddenInput)


class EndMandate(CustomerStep):
    """End the mandate in force."""

    capability = COLLECT
    form_class = EndFields
    title = "End the mandate"
    submit = "End it"
    refusals = (MandateRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Say what ends."""
        super().form_kwargs()
        self.mandate = mandate_of(self.customer, self.today)
        after = "From the day it ends nothing can be collected."
        if not in_force(self.mandate, self.today):
            after = "There is none in force that could end."
        self.purpose = f"Today’s mandate: {mandate_words(self.mandate, self.today)}. {after}"
        return {"initial": {"on": self.today, "mandate": self.mandate and self.mandate.pk}}

    def save(self, form: Any) -> str:
        """End it."""
        asked = form.cleaned_data
        ended = end_mandate(customer=self.customer, seen=asked["mandate"], on=asked["on"], today=self.today)
        return self.succeed(self.home(), f"Mandate {ended} ends on {day(asked['on'])}.")


urls: list[URLPattern] = [
    path("customers/<int:pk>/mandate/", RecordMandate.as_view(), name="customer-mandate"),
    path("customers/<int:pk>/mandate/end/", EndMandate.as_view(), name="customer-mandate-end"),
    path("payments/mandates/", MandateList.as_view(), name="mandate-list"),
]
