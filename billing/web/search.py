"""The search box: customers, numbers and invoices by a few letters."""

from typing import Any

from django.db.models import Q
from django.urls import URLPattern, path

from billing.models import Customer, Invoice, Number
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Money, Text
from resellerkpi.ui.panels import EmptyState, Panel, TablePanel
from resellerkpi.ui.views import Page

MOST = 20
CUSTOMERS: tuple[Column, ...] = (
    Text(name="name", label="Customer"),
    Code(name="code", label="Account"),
    Choice(name="status", choices=Customer.Status.choices),
)
NUMBERS: tuple[Column, ...] = (
    Code(name="number"),
    Choice(name="type", choices=Number.Type.choices),
    Text(name="description"),
)
INVOICES: tuple[Column, ...] = (
    Code(name="number", label="Invoice"),
    Text(name="customer", source="customer__name", url="customer"),
    Date(name="invoice_date", label="Date"),
    Money(name="gross", needs=Capability.VIEW_MONEY),
    Code(name="currency"),
)


class Search(Page):
    """What the words typed into the search box are found in."""

    capability = Capability.VIEW_BOOK
    title = "Search"
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return the panels with what was found."""
        words = self.request.GET.get("q", "").replace("\x00", "").strip()[:80]
        self.purpose = (
            f"Customers, numbers and invoices with “{words}”" if words else "Type a name or a number."
        )
        return {"purpose": self.purpose, "panels": self.found(words) if words else []}

    def found(self, words: str) -> list[Panel]:
        """Return the first twenty of each kind."""
        nothing = EmptyState("None found.")
        named = Customer.objects.filter(Q(name__icontains=words) | Q(code__icontains=words)).order_by("name")
        digits = words.replace(" ", "")
        numbers = Number.objects.filter(number__icontains=digits).order_by("number")
        panels: list[Panel] = [
            TablePanel("Customers", CUSTOMERS, named, row_url="customer", limit=MOST, empty=nothing),
            TablePanel("Numbers", NUMBERS, numbers, row_url="number", limit=MOST, empty=nothing),
        ]
        if self.scope.can(Capability.VIEW_MONEY):
            bills = Invoice.objects.filter(number__icontains=words).order_by("-invoice_date")
            panels.append(
                TablePanel("Invoices", INVOICES, bills, row_url="invoice", limit=MOST, empty=nothing)
            )
        return panels


urls: list[URLPattern] = [path("search/", Search.as_view(), name="search")]
