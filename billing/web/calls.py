"""Calls: the list of a period, and one call with why it costs what it does."""

from datetime import date
from typing import Any

from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.models import Call, CdrFile
from billing.models.watermarks import covering
from billing.rating.why import explain
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, DateTime, Minutes, Money, Text
from resellerkpi.core.periods import Period, month_of
from resellerkpi.core.querysets import ScopedQuerySet
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import EmptyState, Facts, HtmlPanel, Panel
from resellerkpi.ui.templatetags.ui import day, figure, minutes, moment
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
SERVICES = (("voice", "Voice"), ("sms", "SMS"), ("data", "Data"))
COUNTED = 10_000


class ManyCalls(ScopedQuerySet):
    """Calls of a period, counted no further than a person would page."""

    def count(self) -> int:
        """Return how many there are, at most COUNTED."""
        return super(ScopedQuerySet, self.order_by()[:COUNTED]).count()


class CallFilters(ScopedFilterSet):
    """Which calls to list; the period is always one."""

    period = PeriodFilter("started_at", instant=True, required=True)
    customer = SearchFilter("customer__code", "customer__name", label="Customer")
    line = SearchFilter("billed_party", "number__number", "cli", label="Number")
    dialled = SearchFilter("dialled", "destination", label="Dialled or destination")
    state = OneOf("state", Call.State.choices, label="Outcome")
    reason = OneOf("reason", Call.Reason.choices, label="Reason")
    service = OneOf("service", SERVICES, label="Service")
    call_class = SearchFilter("call_class", label="Class of call")


class CallList(ListPage):
    """The calls of a period, newest loaded first."""

    capability = Capability.VIEW_USAGE
    title = "Calls"
    purpose = "Calls, messages and data sessions of a period, with what they cost and why."
    filterset = CallFilters
    row_url = "call"
    order = ("-pk",)
    columns = (
        DateTime(name="started_at", label="Started", sortable=False),
        Choice(name="service", choices=SERVICES, hidden=True, sortable=False),
        Text(name="customer", source="customer__name", url="customer", sortable=False),
        Code(name="billed_party", label="Number", sortable=False),
        Code(name="dialled", sortable=False),
        Text(name="destination", sortable=False),
        Minutes(name="duration", sortable=False),
        Choice(name="state", label="Outcome", choices=Call.State.choices, sortable=False),
        Choice(name="reason", choices=Call.Reason.choices, hidden=True, sortable=False),
        Money(name="retail", label="Price", decimals=4, needs=MONEY, sortable=False),
        Code(name="currency", needs=MONEY, sortable=False),
        Money(name="cost", currency="cost_currency", decimals=4, needs=WHOLESALE, sortable=False),
        Money(
            name="expected_cost",
            label="Expected cost",
            currency="cost_currency",
            decimals=4,
            needs=WHOLESALE,
            hidden=True,
            sortable=False,
        ),
        Code(name="cost_currency", label="Cost currency", needs=WHOLESALE, sortable=False),
        Text(name="call_class", label="Class", hidden=True, sortable=False),
        Minutes(name="billed_seconds", label="Billed", hidden=True, sortable=False),
        Code(name="cli", label="Caller's number", hidden=True, sortable=False),
    )
    empty = EmptyState("There are no calls in this period. Choose another, or load a call file.")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the latest month that has calls unless the address says another period."""
        if not request.GET.get("period"):
            query = request.GET.copy()
            query["period"] = f"{self.latest().start:%Y-%m}"
            request.GET = query  # type: ignore[assignment]
        return super().get(request, *args, **kwargs)

    def latest(self) -> Period:
        """Return the latest month that has calls, this month when there are none."""
        last = CdrFile.objects.aggregate(last=Max("last_call_at"))["last"]
        day: date = self.today if last is None else last.astimezone(self.reseller.zone).date()
        return month_of(day, self.reseller.zone)

    def queryset(self) -> QuerySet[Any]:
        """Return the calls of the scope."""
        return ManyCalls(Call).scoped()

    def ordering(self) -> list[Any]:
        """Order a customer's calls by time, which an index gives; others by when they were loaded."""
        return ["-started_at", "-pk"] if self.request.GET.get("customer") else ["-pk"]

    def get_context(self) -> dict[str, Any]:
        """Say that counting ends somewhere."""
        return {"counted": COUNTED}


class CallPage(DetailPage):
    """One call and why it costs what it does."""

    capability = Capability.VIEW_USAGE
    model = Call
    related = ("carrier", "customer", "number", "file", "reseller")

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {
            "back": ("Calls", reverse("call-list")),
            "purpose": "What was recorded, and how its price came about.",
        }

    def panels(self) -> list[Panel]:
        """Return the record, its outcome, and the explanation as far as the role may see it."""
        call = self.object
        local = call.started_at.astimezone(self.reseller.zone)
        service = dict(SERVICES).get(call.service, "Call").replace("Voice", "Call")
        self.title = f"{service} on {day(local.date())} at {local:%H:%M:%S}"
        told = explain(call, self.reseller, show_cost=self.scope.can(WHOLESALE))
        panels: list[Panel] = [Facts("Record", self.record(call)), Facts("Outcome", self.outcome(call))]
        if self.scope.can(MONEY):
            panels.append(
                HtmlPanel("billing/_call_why.html", {"sentences": told.retail}, title="Why this price?")
            )
        if self.scope.can(WHOLESALE):
            steps = {"sentences": told.wholesale}
            panels.append(HtmlPanel("billing/_call_why.html", steps, title="What the supplier charges"))
        return panels

    def record(self, call: Call) -> list[tuple[Any, ...]]:
        """Return what the supplier recorded; who supplied it only for those who keep the book."""
        found: list[tuple[Any, ...]] = [
            ("Started", moment(call.started_at, self.reseller)),
            ("Caller's number", call.cli),
            ("Dialled", call.dialled),
            ("Direction", "Outgoing" if call.direction == "out" else "Incoming"),
            ("Answered", "Yes" if call.answered else "No"),
            ("Duration", minutes(call.duration) if call.service == "voice" else ""),
            ("Volume", f"{figure(call.volume, 3)} MB" if call.volume else ""),
        ]
        if not self.scope.can(Capability.EDIT_BOOK):
            return found
        return [
            *found,
            ("Charge code", call.charge_code),
            ("Time band in the file", call.band),
            ("Supplier's reference", call.uid),
            ("Carrier", call.carrier.name),
            ("File", f"{call.file.name}, line {figure(call.line)}", reverse("cdr-file", args=[call.file_id])),
        ]

    def outcome(self, call: Call) -> list[tuple[Any, ...]]:
        """Return what became of the call."""
        invoice = covering(call)
        customer, number = call.customer, call.number
        return [
            ("Outcome", call.get_state_display()),
            ("Reason", call.get_reason_display() if call.reason else ""),
            ("Customer", customer.name, reverse("customer", args=[customer.pk]))
            if customer
            else ("Customer", ""),
            ("Number", number.number, reverse("number", args=[number.pk]))
            if number
            else ("Number", call.billed_party),
            ("Destination", call.destination),
            ("Class", call.call_class),
            (
                "Invoice",
                str(invoice) if invoice else "Not billed yet" if call.state in ("rated", "zero") else "",
            ),
        ]


urls: list[URLPattern] = [
    path("usage/calls/", CallList.as_view(), name="call-list"),
    path("usage/calls/<int:pk>/", CallPage.as_view(), name="call"),
]
