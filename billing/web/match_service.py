"""One service in a month of the three-way match: the three facts, what they mean, where to repair it, other months."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import URLPattern, path, reverse

from billing.charging.three_way_words import THREE, WORDS
from billing.models import CarrierCharge, Charge, ServiceMatch
from billing.web.feature_steps import chain
from billing.web.match import SERVICES, VIEW, service_rows
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Bucket, Choice, Code, Column, Date, Money, Text
from resellerkpi.core.periods import add_months
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, figure, money
from resellerkpi.ui.views import DetailPage

MONEY = Capability.VIEW_MONEY
State, Finding, Supplier = ServiceMatch.State, ServiceMatch.Finding, ServiceMatch.Supplier
UNTIL = "The first day no longer charged."
LINES: tuple[Column, ...] = (
    Text(name="description", label="Line"),
    Code(name="bill", source="invoice__number", url="carrier-bill"),
    Code(name="reference"),
    Choice(name="kind", choices=CarrierCharge.Kind.choices),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help=UNTIL),
    Money(name="amount", label="Cost", currency="invoice__currency", decimals=2),
    Choice(name="found", label="How allocated", choices=CarrierCharge.Found.choices),
)
CHARGES: tuple[Column, ...] = (
    Text(name="description", label="Charge"),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help=UNTIL),
    Money(name="amount", label="Amount", decimals=2),
    Code(name="invoice", source="invoice_line__invoice__number", url="invoice", help="Blank while it waits."),
)
MONTHS: tuple[Column, ...] = (
    Bucket(name="month", label="Month", grain="month"),
    *(
        replace(c, total=None) if c.name == "at_risk" else c
        for c in SERVICES
        if c.name in ("finding", "at_risk", "expected_price", "asked", "expected_cost", "supplied")
    ),
)


class ServicePage(DetailPage):
    """One service in one month."""

    capability = VIEW
    model = ServiceMatch
    related = ("customer", "number", "feature__continues", "feature_type", "carrier", "line__invoice")

    def get_context(self) -> dict[str, Any]:
        """Name the service and its month, and lead back to the month."""
        row: ServiceMatch = self.object
        self.title = name_of(row)
        month = f"{row.month:%Y-%m}"
        return {
            "purpose": f"Three-way match of {row.month:%B %Y}. {row.get_state_display()}: {three(row)}.",
            "back": ("Three-way match", f"{reverse('match')}?period={month}"),
        }

    def actions(self) -> Sequence[Action]:
        """Lead to where it is repaired: the line, the feature, the number, lines to be allocated."""
        row: ServiceMatch = self.object
        found = []
        if row.line is not None:
            return [Action("Open the line", reverse("carrier-charge", args=[row.line_id]), primary=True)]
        if row.finding in (Finding.NO_CHARGE, Finding.BILL_MISSING, Finding.NO_RENTAL):
            found.append(Action("Lines to allocate", f"{reverse('carrier-charge-list')}?state=open"))
        if row.finding == Finding.NO_RENTAL and row.customer_id and self.scope.can(Capability.EDIT_BOOK):
            start = reverse("customer-feature", args=[row.customer_id])
            found.append(Action("Add a feature", f"{start}?{urlencode({'number': str(row.number)})}"))
        if row.number_id:
            found.append(
                Action("Open the number", reverse("number", args=[row.number_id]), primary=not row.feature_id)
            )
        if row.feature_id:
            found.append(Action("Open the feature", reverse("feature", args=[row.feature_id]), primary=True))
        elif row.customer_id and not row.number_id:
            found.append(
                Action("Open the customer", reverse("customer", args=[row.customer_id]), primary=True)
            )
        return found

    def panels(self) -> list[Panel]:
        """Return what is found, the three facts, the lines and charges behind them, the other months."""
        row: ServiceMatch = self.object
        panels: list[Panel] = [finding(row), provided(row)]
        if self.scope.can(MONEY):
            panels.append(billed(row))
        panels.append(supplied(row))
        empty = EmptyState("No line of a supplier’s bill is for it in this month.")
        panels.append(
            TablePanel(
                "The supplier’s lines of the month", LINES, lines(row), row_url="carrier-charge", empty=empty
            )
        )
        if self.scope.can(MONEY) and row.line_id is None:
            nothing = EmptyState("No recurring charge of the customer is for it in this month.")
            panels.append(
                TablePanel("The customer’s charges of the month", CHARGES, charges(row), empty=nothing)
            )
        others = service_rows(key=row.key).order_by("-month")
        panels.append(TablePanel("Month by month", MONTHS, others, row_url="match-service", limit=24))
        return panels


def name_of(row: ServiceMatch) -> str:
    """Return what a service is called, and whose it is."""
    what = row.feature_type or (row.line and row.line.description) or (row.number and f"Number {row.number}")
    whose = f" of {row.customer}" if row.customer else ""
    return f"{what or 'Charges'}{whose}"


def three(row: ServiceMatch) -> str:
    """Return in words which of the three there are."""
    there = THREE.get(row.state)
    if there is None:
        return "a line of a supplier’s bill"
    words = ("provided", "billed", "charged by the supplier")
    return ", ".join(word if yes else f"not {word}" for word, yes in zip(words, there, strict=True))


def finding(row: ServiceMatch) -> Facts:
    """Return what is to be said of it and what to do."""
    means, todo = WORDS[row.finding]
    risk = money(row.at_risk, row.risk_currency) if row.at_risk else "Nothing"
    items: list[tuple[Any, ...]] = [
        ("Finding", row.get_finding_display()),
        ("It means", means),
        ("What to do", todo),
        ("At risk a month", risk),
        ("Since", f"{row.since:%B %Y} ({row.months} {'month' if row.months == 1 else 'months'})"),
        ("To date", money(row.to_date, row.risk_currency) if row.to_date else None),
        ("Customer", row.customer, reverse("customer", args=[row.customer_id]) if row.customer_id else ""),
    ]
    return Facts("What is found", items)


def provided(row: ServiceMatch) -> Facts:
    """Return what was in service."""
    last = add_months(row.month, 1)
    items: list[tuple[Any, ...]] = [
        ("Provided", f"{row.days} of {(last - row.month).days} days" if row.days else "No"),
        ("Quantity", _quantity(row.quantity) if row.days else None),
        ("Number", row.number, reverse("number", args=[row.number_id]) if row.number_id else ""),
        ("Feature since", day(row.feature.start_date) if row.feature else None),
        ("Ended", day(row.feature.end_date) if row.feature and row.feature.end_date else None),
    ]
    return Facts("Provided", items)


def billed(row: ServiceMatch) -> Facts:
    """Return what the customer is asked for the month."""
    items: list[tuple[Any, ...]] = [
        ("Expected", money(row.expected_price, row.currency) if row.expected_price else None),
        ("Billed", money(row.billed, row.currency) if row.billed else "No"),
        ("Waits for a bill", money(row.waiting, row.currency) if row.waiting else None),
        ("Quantity", _quantity(row.billed_quantity) if row.billed or row.waiting else None),
    ]
    return Facts("Billed to the customer", items)


def supplied(row: ServiceMatch) -> Facts:
    """Return what the supplier charges for the month."""
    carrier = reverse("carrier", args=[row.carrier_id]) if row.carrier_id else ""
    items: list[tuple[Any, ...]] = [
        ("Supplier", row.carrier, carrier),
        ("Expected", money(row.expected_cost, row.cost_currency) if row.expected_cost else None),
        ("Charged", money(row.supplied, row.cost_currency) if row.supplied else row.get_supplier_display()),
        ("Quantity", _quantity(row.supplied_quantity) if row.supplied_quantity else None),
    ]
    return Facts("Charged by the supplier", items)


def _quantity(value: Any) -> str:
    return figure(value, 0 if value == int(value) else 2)


def _of_month(row: ServiceMatch) -> Q:
    return Q(service_start__lt=add_months(row.month, 1), service_end__gt=row.month)


def _of_service(row: ServiceMatch) -> Q:
    """Return the condition on charges of the service: its feature's versions, its number without a feature."""
    if row.feature is None:
        return Q(feature=None, number=row.number_id, customer=row.customer_id)
    found = Q(feature__in=chain(row.feature))
    return found | Q(feature=None, number=row.number_id) if row.number_id else found


def lines(row: ServiceMatch) -> QuerySet[Any]:
    """Return the supplier's lines for a service in its month."""
    rows = CarrierCharge.objects.order_by("service_start", "pk")
    if row.line_id is not None:
        return rows.filter(pk=row.line_id)
    return rows.filter(_of_service(row), _of_month(row), state=CarrierCharge.State.ALLOCATED)


def charges(row: ServiceMatch) -> QuerySet[Any]:
    """Return the customer's charges for a service in its month."""
    return Charge.objects.filter(_of_service(row), _of_month(row)).order_by("service_start", "pk")


urls: list[URLPattern] = [path("match/<int:pk>/", ServicePage.as_view(), name="match-service")]
