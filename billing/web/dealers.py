"""Dealers: the list and one dealer with its customers."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse

from billing.models import Customer, Dealer
from billing.web.editing import RecordForm, list_actions
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Decimal, Flag, Int, Text
from resellerkpi.ui.filters import ScopedFilterSet, SearchFilter, YesNoFilter
from resellerkpi.ui.forms import Gated, house_field
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import percent
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, PEOPLE = Capability.VIEW_MONEY, Capability.VIEW_PEOPLE


class DealerFilters(ScopedFilterSet):
    """Which dealers to list."""

    q = SearchFilter("name", "code", label="Name or code")
    active = YesNoFilter("is_active", label="Active")


class DealerList(ListPage):
    """All dealers; a dealer sees itself."""

    capability = Capability.VIEW_BOOK
    title = "Dealers"
    purpose = "Who introduces customers, how many, and for what commission."
    filterset = DealerFilters
    row_url = "dealer"
    order = ("name",)
    columns = (
        Text(name="name", label="Dealer"),
        Code(name="code"),
        Int(name="customers", source="n_customers", total="sum", help="Active customers today."),
        Decimal(name="commission_recurring", label="On recurring", unit="%", needs=MONEY, group="Commission"),
        Decimal(name="commission_usage", label="On usage", unit="%", needs=MONEY, group="Commission"),
        Text(name="email", label="E-mail", needs=PEOPLE),
        Code(name="phone", needs=PEOPLE, hidden=True),
        Flag(name="is_active", label="Active"),
    )
    empty = EmptyState("There are no dealers. Add one if partners introduce customers to you.")

    def queryset(self) -> QuerySet[Any]:
        """Return the dealers with their active customers."""
        customers = (
            Customer.objects.filter(dealer=OuterRef("pk"), status=Customer.Status.ACTIVE)
            .order_by()
            .values("dealer")
            .annotate(n=Count("pk"))
            .values("n")
        )
        return Dealer.objects.annotate(n_customers=Coalesce(Subquery(customers), 0))

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "dealers", add_label="Add a dealer", add_url="dealer-add")


CUSTOMERS: tuple[Column, ...] = (
    Text(name="name", label="Customer"),
    Code(name="code", label="Account"),
    Choice(name="status", choices=Customer.Status.choices),
    Text(name="segment"),
)


class DealerPage(DetailPage):
    """One dealer."""

    capability = Capability.VIEW_BOOK
    model = Dealer

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {"back": ("Dealers", reverse("dealer-list")), "purpose": f"Code {self.object.code}"}

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        return (Action("Change details", reverse("dealer-edit", args=[self.object.pk])),)

    def panels(self) -> list[Panel]:
        """Return terms, contact and customers."""
        dealer = self.object
        panels: list[Panel] = []
        if self.scope.can(MONEY):
            rates = [
                ("On recurring charges", percent(dealer.commission_recurring / 100, 2)),
                ("On usage", percent(dealer.commission_usage / 100, 2)),
            ]
            panels.append(Facts("Commission", rates))
        if self.scope.can(PEOPLE):
            mail = f"mailto:{dealer.email}" if dealer.email else ""
            panels.append(Facts("Contact", [("E-mail", dealer.email, mail), ("Phone", dealer.phone)]))
        rows = Customer.objects.filter(dealer=dealer).order_by("name", "pk")
        more = f"{reverse('customer-list')}?dealer={dealer.pk}"
        empty = EmptyState("This dealer has no customers yet.")
        table = TablePanel(
            "Customers", CUSTOMERS, rows, row_url="customer", limit=25, more_url=more, empty=empty
        )
        return [*panels, table]


class DealerFields(Gated, forms.ModelForm):
    """The details of a dealer."""

    needs = {"email": PEOPLE, "phone": PEOPLE, "commission_recurring": MONEY, "commission_usage": MONEY}

    class Meta:
        model = Dealer
        formfield_callback = house_field
        fields = ("code", "name", "email", "phone", "commission_recurring", "commission_usage", "is_active")
        labels = {
            "email": "E-mail",
            "commission_recurring": "Commission on recurring charges (%)",
            "commission_usage": "Commission on usage (%)",
            "is_active": "Active",
        }


class DealerForm(RecordForm):
    """Add or change a dealer."""

    model, form_class, what = Dealer, DealerFields, "a dealer"
    list_url, detail_url = "dealer-list", "dealer"


urls: list[URLPattern] = [
    path("dealers/", DealerList.as_view(), name="dealer-list"),
    path("dealers/add/", DealerForm.as_view(), name="dealer-add"),
    path("dealers/<int:pk>/", DealerPage.as_view(), name="dealer"),
    path("dealers/<int:pk>/edit/", DealerForm.as_view(), name="dealer-edit"),
]
