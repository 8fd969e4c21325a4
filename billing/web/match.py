"""The three-way match: how many services are in which state and what it costs, the services, one service."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Case, Count, F, Max, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.charging.three_way import match_latest
from billing.charging.three_way_words import THREE
from billing.models import Carrier, FeatureType, MatchedMonth, ServiceMatch
from billing.web.carrier_bills import CostForm
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Bucket, Choice, Code, Column, Int, Money, Text
from resellerkpi.core.periods import add_months
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, HtmlPanel
from resellerkpi.ui.templatetags.ui import moment
from resellerkpi.ui.views import ListPage

State, Finding, Attention = ServiceMatch.State, ServiceMatch.Finding, ServiceMatch.Attention
VIEW = Capability.VIEW_WHOLESALE
MONEY = Capability.VIEW_MONEY
#: Filters that choose among the rows of the matrix; the matrix itself counts without them.
INSIDE = ("state", "finding", "attention")
#: What a service is called: its feature type, the supplier's line, or that it is a number or a customer as a whole.
SERVICE = Coalesce(
    "feature_type__name",
    "line__description",
    Case(When(number__isnull=False, then=Value("Number")), default=Value("Customer as a whole")),
)


class MatchFilters(ScopedFilterSet):
    """Which services to list."""

    q = SearchFilter(
        "customer__name", "customer__code", "number__number", "feature_type__name", "line__reference",
        "line__description", label="Customer, number or feature",
    )  # fmt: skip
    period = PeriodFilter("month", label="Month", any_label="The last closed month")
    state = OneOf("state", State.choices, label="State")
    finding = OneOf("finding", Finding.choices, label="Finding")
    attention = OneOf("attention", Attention.choices, label="Attention")
    carrier = ScopedChoiceFilter(Carrier, "carrier", label="Supplier")
    feature_type = ScopedChoiceFilter(FeatureType, "feature_type", label="Feature type")


SERVICES: tuple[Column, ...] = (
    Text(name="service", label="Service"),
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="number", source="number__number", url="number"),
    Text(name="carrier", label="Supplier", source="carrier__name"),
    Choice(name="state", choices=State.choices, hidden=True),
    Choice(name="finding", choices=Finding.choices, help="The service’s page says what it means and what to do."),
    Money(name="at_risk", label="At risk a month", currency="risk_currency", total=SUM, decimals=2),
    Int(name="months", help="Months on end in this state, up to this one, as far back as months are matched."),
    Money(name="to_date", label="To date", currency="risk_currency", decimals=2,
          help="What was at risk in those months."),
    Money(name="expected_price", label="Expected price", needs=MONEY, decimals=2,
          help="The feature’s price by its days in the month; the list’s where it is marked free."),
    Money(name="asked", label="Billed", needs=MONEY, decimals=2,
          help="Recurring charges of the month’s days less credits, those that wait for a bill included."),
    Money(name="expected_cost", label="Expected cost", currency="cost_currency", decimals=2),
    Money(name="supplied", label="Supplier charged", currency="cost_currency", decimals=2,
          help="Rentals and credits on the supplier’s bills for the month’s days."),
    Bucket(name="month", label="Month", grain="month", hidden=True),
    Choice(name="attention", choices=Attention.choices, hidden=True),
    Choice(name="supplier", label="Supplier’s bill", choices=ServiceMatch.Supplier.choices, hidden=True),
    Code(name="risk_currency", label="Currency", hidden=True),
)  # fmt: skip


def service_rows(**where: Any) -> QuerySet[Any]:
    """Return services of the match with their names and what customers are asked for them."""
    return ServiceMatch.objects.filter(**where).annotate(asked=F("billed") + F("waiting"), service=SERVICE)


class MatchPage(ListPage):
    """The match of a month: its matrix, then the services."""

    capability = VIEW
    title = "Three-way match"
    purpose = "Was each service provided, billed to the customer and charged by the supplier? What is not costs money."
    template = "billing/carrier_bill.html"
    filterset = MatchFilters
    columns = SERVICES
    row_url = "match-service"
    order = ("-at_risk", "-supplied", "key", "month")
    empty = EmptyState(
        "No service is matched for this month yet. Match the months now; it also happens every night.",
        "Match now",
        "/match/again/",
    )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Find the month shown and when it was matched."""
        self.month, at = newest_month(self.today)
        if at is not None and not request.GET.get("period"):
            self.purpose = f"{self.purpose} {self.month:%B %Y}, matched {moment(at, self.reseller)}."
        return super().get(request, *args, **kwargs)

    def queryset(self) -> QuerySet[Any]:
        """Return the services of the months asked for, the last closed month without a period."""
        rows = service_rows()
        return rows if self.request.GET.get("period") else rows.filter(month=self.month)

    def get_context(self) -> dict[str, Any]:
        """Put the matrix above the services."""
        rows = [{**row, **self.told(row["code"])} for row in matrix(self.without_inside())]
        about = HtmlPanel("billing/_match_matrix.html", {"rows": rows}, title="Which of the three there are")
        return {"panels": [about] if rows else []}

    def told(self, state: str) -> dict[str, Any]:
        """Return a state's words, its three answers and the address of its services."""
        three = THREE.get(state, (None, None, None))
        return {"label": State(state).label, "three": three, "url": self.narrowed(state)}

    def without_inside(self) -> QuerySet[Any]:
        """Return the services that the filters leave, whatever their state."""
        data = self.request.GET.copy()
        for name in INSIDE:
            data.pop(name, None)
        return self.filtered(MatchFilters(data, queryset=self.queryset(), request=self.request))

    def narrowed(self, state: str) -> str:
        """Return the address of this page with one state only."""
        data = self.request.GET.copy()
        for name in (*INSIDE, "page"):
            data.pop(name, None)
        data["state"] = state
        return f"{self.request.path}?{data.urlencode()}"

    def actions(self) -> Sequence[Action]:
        """Lead to the report, to the lines that wait and to matching again."""
        found = [Action("Lines to allocate", f"{reverse('carrier-charge-list')}?state=open")]
        if self.scope.can(Capability.EDIT_BOOK):
            found.append(Action("Match again", reverse("match-again")))
        return found


def newest_month(today: date) -> tuple[date, Any]:
    """Return the last closed month and when it was matched; another that is matched where that one is not."""
    closed = add_months(today.replace(day=1), -1)
    at = dict(
        MatchedMonth.objects.filter(month__lte=closed)
        .order_by("-month")
        .values_list("month", "matched_at")[:1]
    )
    return next(iter(at.items())) if at else (closed, None)


def matrix(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return how many services are in each state and what is at risk, in each currency."""
    attention = {"losing": Attention.LOSS, "checks": Attention.CHECK, "waiting": Attention.WAIT}
    counts = {name: Count("pk", filter=Q(attention=value)) for name, value in attention.items()}
    found = rows.order_by().values(code=F("state"), paid_in=F("risk_currency"))
    found = found.annotate(services=Count("pk"), **counts)
    last = rows.order_by().aggregate(month=Max("month"))["month"]
    sums = found.annotate(to_date=Sum("to_date", filter=Q(month=last)), at_risk=Sum("at_risk"))
    return sums.order_by("-at_risk", "code", "paid_in")


class MatchAgain(CostForm):
    """Match the latest months again, after the book, bills or allocations have changed."""

    title = "Match again"
    form_class = forms.Form
    submit = "Match again"

    def form_kwargs(self) -> dict[str, Any]:
        """Say what is done."""
        self.cancel_url = reverse("match")
        self.back = ("Three-way match", self.cancel_url)
        last = MatchedMonth.objects.aggregate(at=Max("matched_at"))["at"]
        done = f" They were matched {moment(last, self.reseller)}." if last else ""
        self.purpose = (
            f"The open month and the year before it are matched with book and bills as they are now.{done}"
        )
        return {}

    def save(self, form: Any) -> str:
        """Match."""
        span = match_latest(self.reseller, now=timezone.now())
        services = (
            ServiceMatch.objects.filter(month__gte=span.first, month__lt=span.end).values("key").distinct()
        )
        messages.success(self.request, f"{services.count():,} services matched in the latest months.")
        return reverse("match")


urls: list[URLPattern] = [
    path("match/", MatchPage.as_view(), name="match"),
    path("match/again/", MatchAgain.as_view(), name="match-again"),
]
