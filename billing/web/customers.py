"""Customers: the list and one customer with everything it has."""

from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.urls import URLPattern, path, reverse

from billing.models import (
    Customer,
    CustomerEvent,
    CustomerNote,
    Dealer,
    Feature,
    LedgerEntry,
    NumberAssignment,
)
from billing.web.allowances import customer_allowances
from billing.web.charges import waiting_panel
from billing.web.contracts import contract_panel
from billing.web.customer_changes import AddNote, ChangeStatus, CustomerForm
from billing.web.customer_money import invoice_panel, money_facts, unbilled_panels
from billing.web.customer_services import AddContract, AddNumber, AssignTariff, StartFeature
from billing.web.editing import list_actions
from billing.web.lookups import DETAILS, FEATURES, NUMBERS, TARIFFS, feature_rows, running, tariff_rows
from billing.web.match_panel import match_panel
from billing.web.spend_limits import limits_panel
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Int, Money, Text
from resellerkpi.core.periods import month_of
from resellerkpi.ui.filters import OneOf, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.tables import mark
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, PEOPLE = Capability.VIEW_MONEY, Capability.VIEW_PEOPLE


class CustomerFilters(ScopedFilterSet):
    """Which customers to list."""

    q = SearchFilter("name", "code", "postcode", label="Name, account or postcode")
    status = OneOf("status", Customer.Status.choices, label="Status")
    dealer = ScopedChoiceFilter(Dealer, "dealer", label="Dealer")
    payment_method = OneOf("payment_method", Customer.Method.choices, label="Pays by")
    client_type = OneOf("client_type", Customer.ClientType.choices, label="Type")


class CustomerList(ListPage):
    """All customers of the scope."""

    capability = Capability.VIEW_BOOK
    title = "Customers"
    purpose = "Every account, where it stands, what it has and what it owes."
    filterset = CustomerFilters
    row_url = "customer"
    order = ("name",)
    columns = (
        Text(name="name", label="Customer"),
        Code(name="code", label="Account"),
        Choice(name="status", choices=Customer.Status.choices),
        Text(name="dealer", source="dealer__name", url="dealer"),
        Text(name="segment", hidden=True),
        Choice(name="payment_method", label="Pays by", choices=Customer.Method.choices),
        Int(name="numbers", source="n_numbers", total=SUM, help="Numbers the account has today."),
        Int(name="features", source="n_features", total=SUM, help="Features the account has today."),
        Money(name="balance", total=SUM, needs=MONEY, help="What the account owes today, by the ledger."),
        Code(name="currency", needs=MONEY),
        Date(name="contract_end", label="Contract ends"),
        Choice(name="client_type", label="Type", choices=Customer.ClientType.choices, hidden=True),
        Text(name="campaign", hidden=True),
        Text(name="email", label="E-mail", needs=PEOPLE, hidden=True),
        Code(name="phone", needs=PEOPLE, hidden=True),
        Code(name="postcode", needs=PEOPLE, hidden=True),
    )
    empty = EmptyState("There are no customers yet. Add one, or import your list from a spreadsheet.")

    def queryset(self) -> QuerySet[Any]:
        """Return the customers with their counts and balance."""
        return Customer.objects.annotate(
            n_numbers=running(NumberAssignment, self.today),
            n_features=running(Feature, self.today),
            balance=Subquery(
                LedgerEntry.objects.filter(
                    customer=OuterRef("pk"), currency=OuterRef("currency"), date__lte=self.today
                )
                .order_by()
                .values("customer")
                .annotate(total=Sum("amount"))
                .values("total")
            ),
        )

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "customers", add_label="Add a customer", add_url="customer-add")


EVENTS: tuple[Column, ...] = (
    Date(name="date", label="From"),
    Choice(name="status", choices=Customer.Status.choices),
    Choice(name="reason", choices=CustomerEvent.Reason.choices),
    Date(name="notice_date", label="Notice given"),
    Text(name="competitor"),
    Text(name="words", label="In their words"),
)


class CustomerPage(DetailPage):
    """One customer."""

    capability = Capability.VIEW_BOOK
    model = Customer
    related = ("dealer", "parent", "account_manager")

    def get_context(self) -> dict[str, Any]:
        """Say which account it is."""
        self.back = ("Customers", reverse("customer-list"))
        self.purpose = f"Account {self.object.code}"
        return {"back": self.back, "purpose": self.purpose}

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        stay = address("customer-stay", self.object.pk)
        once = Action("Charge or credit", reverse("customer-charge", args=[self.object.pk]), primary=True)
        return (
            *([once] if self.scope.can(Capability.BILL) else []),
            *([Action("Why do they stay?", stay)] if stay else []),
            Action("Change status", reverse("customer-status", args=[self.object.pk])),
            Action("Change details", reverse("customer-edit", args=[self.object.pk])),
        )

    def panels(self) -> list[Panel]:
        """Return account, billing, what it has, what it was billed, what happened."""
        customer = self.object
        panels: list[Panel] = unbilled_panels(customer) if self.scope.can(MONEY) else []
        panels += [self.account(), money_facts(customer, self.scope, self.today)]
        if self.scope.can(PEOPLE):
            panels.append(contact(customer))
        offer = self.offer("Add a contract", "customer-contract", customer.pk)
        panels += [contract_panel(customer, offer), *self.services()]
        matched = match_panel(self.scope, self.today, search=customer.code, customer=customer)
        if matched is not None:
            panels.append(matched)
        allowances = customer_allowances(customer, month_of(self.today, self.reseller.zone), self.scope)
        if allowances is not None:
            panels.append(allowances)
        if self.scope.can(MONEY):
            waiting = waiting_panel(self.scope, customer=customer)
            waiting.actions = (Action("See the next bill", reverse("customer-bill", args=[customer.pk])),)
            panels += [waiting, invoice_panel(customer)]
        if self.scope.can(MONEY) and self.scope.can(Capability.VIEW_USAGE):
            panels.append(limits_panel(customer, self.scope, self.today))
        events = CustomerEvent.objects.filter(customer=customer).order_by("-date")
        return [*panels, TablePanel("Status over time", EVENTS, events, wide=True), self.notes()]

    def account(self) -> Facts:
        """Return who the customer is."""
        customer = self.object
        dealer = reverse("dealer", args=[customer.dealer_id]) if customer.dealer_id else ""
        parent = reverse("customer", args=[customer.parent_id]) if customer.parent_id else ""
        return Facts(
            "Account",
            [
                ("Status", mark(customer.status, customer.get_status_display())),
                ("Type", customer.get_client_type_display()),
                ("Segment", customer.segment),
                ("Dealer", customer.dealer or "", dealer),
                ("Account manager", customer.account_manager or ""),
                ("Group", customer.parent or "", parent),
                ("Tags", ", ".join(customer.tags)),
                ("Campaign", customer.campaign),
            ],
        )

    def services(self) -> list[Panel]:
        """Return numbers, features and tariffs, the running ones first."""
        pk = self.object.pk
        mine = {"customer": self.object}
        return [
            TablePanel(
                "Numbers",
                NUMBERS,
                NumberAssignment.objects.filter(**mine).order_by("-end_date", "number__number"),
                limit=25,
                more_url=f"{reverse('number-list')}?customer={self.object.code}",
                empty=EmptyState("This customer has no numbers yet."),
                actions=self.offer("Add a number", "customer-number", pk),
            ),
            TablePanel(
                "Features",
                (*FEATURES, DETAILS),
                feature_rows(self.today, **mine).order_by("-end_date", "feature_type__name"),
                limit=25,
                more_url=f"{reverse('feature-list')}?customer={self.object.code}",
                empty=EmptyState("This customer has no features yet."),
                actions=self.offer("Add a feature", "customer-feature", pk),
            ),
            TablePanel(
                "Tariffs",
                TARIFFS,
                tariff_rows(self.today, **mine),
                empty=EmptyState(
                    "No tariff of its own: calls are priced by the default tariff, if there is one."
                ),
                actions=self.offer("Give a tariff", "customer-tariff", pk),
            ),
        ]

    def notes(self) -> HtmlPanel:
        """Return the notes, newest first."""
        notes = (
            CustomerNote.objects.filter(customer=self.object).select_related("author").order_by("-at")[:50]
        )
        actions = self.offer("Add a note", "customer-note", self.object.pk)
        return HtmlPanel("billing/_notes.html", {"notes": list(notes)}, "Notes", actions=actions)

    def offer(self, label: str, url: str, *args: Any) -> Sequence[Action]:
        """Return a panel's action for those who may change the book."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        return (Action(label, reverse(url, args=args)),)


def contact(customer: Customer) -> Facts:
    """Return how to reach the customer."""
    return Facts(
        "Contact",
        [
            ("E-mail", customer.email, f"mailto:{customer.email}" if customer.email else ""),
            ("Phone", customer.phone),
            ("Address", ", ".join(filter(None, [*customer.address.splitlines(), customer.postcode]))),
            ("VAT number", customer.vat_number),
        ],
    )


urls: list[URLPattern] = [
    path("customers/", CustomerList.as_view(), name="customer-list"),
    path("customers/add/", CustomerForm.as_view(), name="customer-add"),
    path("customers/<int:pk>/", CustomerPage.as_view(), name="customer"),
    path("customers/<int:pk>/edit/", CustomerForm.as_view(), name="customer-edit"),
    path("customers/<int:pk>/status/", ChangeStatus.as_view(), name="customer-status"),
    path("customers/<int:pk>/note/", AddNote.as_view(), name="customer-note"),
    path("customers/<int:pk>/numbers/add/", AddNumber.as_view(), name="customer-number"),
    path("customers/<int:pk>/features/add/", StartFeature.as_view(), name="customer-feature"),
    path("customers/<int:pk>/tariffs/add/", AssignTariff.as_view(), name="customer-tariff"),
    path("customers/<int:pk>/contracts/add/", AddContract.as_view(), name="customer-contract"),
]
