"""Spend limits: the list, adding and changing one, and a customer's own with what is used of them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse

from billing.models import Customer, SpendLimit
from billing.watch.limits import uses_of
from billing.web.editing import RecordForm, list_actions
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Int, Money, Percent, Text
from resellerkpi.core.scope import Scope
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import ReferenceField, house_field
from resellerkpi.ui.panels import Action, EmptyState, TablePanel
from resellerkpi.ui.views import ListPage, whole

MONEY, WHOLESALE, EDIT = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.EDIT_BOOK
COUNTS = (
    "The price of the calls before VAT. Calls inside an allowance, or without a price, count at what the carrier "
    "charges for them."
)
EVERYBODY = "Every customer without its own"


class LimitFilters(ScopedFilterSet):
    """Which limits to list."""

    q = SearchFilter("customer__name", "customer__code", "destination", label="Customer or destination")
    per = OneOf("per", SpendLimit.Per.choices, label="Per")
    covers = OneOf("covers", SpendLimit.Covers.choices, label="What counts")


class SpendLimitList(ListPage):
    """All spend limits."""

    capability = MONEY
    title = "Spend limits"
    purpose = "How much customers may spend on calls before people are told. A limit warns; it stops no call."
    filterset = LimitFilters
    row_url = "spend-limit-edit"
    order = ("customer__name", "per", "covers", "destination", "-start_date")
    columns = (
        Text(name="whose", label="For"),
        Choice(name="covers", label="What counts", choices=SpendLimit.Covers.choices),
        Text(name="destination"),
        Choice(name="per", label="Per", choices=SpendLimit.Per.choices),
        Money(name="amount", label="Limit", help=COUNTS),
        Code(name="currency"),
        Int(name="warn_percent", label="Warn at (%)"),
        Date(name="start_date", label="From"),
        Date(name="end_date", label="Until"),
    )
    empty = EmptyState(
        "There are no spend limits yet. Begin with one for everybody, for example 80 a day on international calls.",
        "Add a limit",
        "/usage/spend-limits/add/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the limits with whose they are."""
        return SpendLimit.objects.annotate(whose=Coalesce("customer__name", Value(EVERYBODY)))

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(self.scope, "spend-limits", add_label="Add a limit", add_url="spend-limit-add")


class LimitFields(forms.ModelForm):
    """A spend limit."""

    customer = ReferenceField(
        Customer,
        by="code",
        what="customer with the account code",
        required=False,
        label="Account code",
        help_text="Leave empty for every customer that has no limit of its own for the same usage.",
    )

    class Meta:
        model = SpendLimit
        formfield_callback = house_field
        fields = (
            "customer", "covers", "destination", "per", "amount", "currency", "warn_percent", "start_date", "end_date",
        )  # fmt: skip
        labels = {
            "covers": "What counts",
            "amount": "Limit before VAT",
            "warn_percent": "Warn at (% of the limit)",
            "start_date": "From",
            "end_date": "Until",
        }
        help_texts = {
            "destination": "As your tariff names it, for example Cuba. Only where one destination counts.",
            "amount": COUNTS,
            "end_date": "The first day on which it no longer holds.",
            "currency": "Customers billed in another currency are not measured by it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["customer"] = self.instance.customer.code if self.instance.customer_id else ""

    def clean(self) -> dict[str, Any]:
        """Ask for a destination where one counts, and for days and a currency that make sense."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        named = bool(data.get("destination"))
        if (data.get("covers") == SpendLimit.Covers.DESTINATION) != named and "destination" in data:
            words = "Leave this empty unless one destination counts." if named else "Name the destination."
            self.add_error("destination", words)
        first, end = data.get("start_date"), data.get("end_date")
        if first and end and end <= first:
            self.add_error("end_date", "The end must come after the start.")
        code = str(data.get("currency") or "")
        if code and not (len(code) == 3 and code.isascii() and code.isalpha()):
            self.add_error("currency", "A currency has three letters, for example GBP.")
        return data | {"currency": code.upper()}


class SpendLimitForm(RecordForm):
    """Add or change a spend limit."""

    model, form_class, what = SpendLimit, LimitFields, "a spend limit"
    list_url = "spend-limit-list"

    def instance(self) -> Any:
        """Return the limit of the address; a new one begins today, like the one whose raising led here."""
        if "pk" in self.kwargs:
            return super().instance()
        like = SpendLimit.objects.filter(pk=whole(self.request.GET.get("like"), 0)).first()
        customer = Customer.objects.filter(
            code=self.request.GET.get("customer", "").replace("\0", "")
        ).first()
        given = {"start_date": self.today, "currency": self.reseller.currency, "customer": customer}
        if like is not None:
            given |= {n: getattr(like, n) for n in ("per", "covers", "destination", "amount", "currency")}
        return SpendLimit(**given)


USES: tuple[Column, ...] = (
    Text(name="what", label="What counts"),
    Text(name="when", label="When"),
    Money(name="spent", label="Used"),
    Money(name="amount", label="Limit"),
    Code(name="currency"),
    Percent(name="share", label="Share", decimals=0),
    Text(name="whose", label="Whose limit"),
)


def limits_panel(customer: Customer, scope: Scope, today: Any) -> TablePanel:
    """Return what a customer has used of each of its limits, its own and the reseller's.

    Who may not see costs sees the price of the calls alone.
    """
    knows = scope.can(WHOLESALE)
    rows = [
        {
            "what": one.what.capitalize(),
            "when": one.when,
            "spent": one.spent if knows else one.retail,
            "amount": one.amount,
            "currency": one.currency,
            "share": (one.spent if knows else one.retail) / one.amount,
            "whose": "Its own" if one.own else "Every customer's",
        }
        for one in uses_of(customer.reseller_id, customer.pk, today=today)
    ]
    add = f"{reverse('spend-limit-add')}?customer={customer.code}"
    actions = (Action("Add a limit", add),) if scope.can(EDIT) else ()
    empty = EmptyState("No spend limit holds for this customer: nobody is told when calls become dear.")
    return TablePanel("Spend limits", USES, rows, empty=empty, actions=actions)


urls: list[URLPattern] = [
    path("usage/spend-limits/", SpendLimitList.as_view(), name="spend-limit-list"),
    path("usage/spend-limits/add/", SpendLimitForm.as_view(), name="spend-limit-add"),
    path("usage/spend-limits/<int:pk>/", SpendLimitForm.as_view(), name="spend-limit-edit"),
]
