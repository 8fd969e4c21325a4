"""Features customers have and the catalogue they come from."""

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, NullIf
from django.urls import URLPattern, path, reverse

from billing.book import set_price
from billing.models import Feature, FeaturePrice, FeatureType
from billing.web.allowances import package_allowances
from billing.web.editing import BookForm, RecordForm, find, list_actions
from billing.web.lookups import DETAILS, FEATURES, current_on, feature_rows, price_today
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Flag, Int, Money, Percent, Text
from resellerkpi.ui.filters import OneOf, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import Gated, house_field
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import percent
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, WHOLESALE, MARGIN = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.VIEW_MARGIN
STATES = (("current", "Current"), ("ended", "Ended or not begun"))


class FeatureFilters(ScopedFilterSet):
    """Which features to list."""

    customer = SearchFilter("customer__code", "customer__name", label="Customer")
    feature_type = ScopedChoiceFilter(FeatureType, "feature_type", label="Feature")
    state = OneOf("end_date", STATES, label="State", method="by_state")

    def by_state(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to features that run today, or do not."""
        return rows.filter(is_current=value == "current")


class FeatureList(ListPage):
    """All features customers have."""

    capability = Capability.VIEW_BOOK
    title = "Features"
    purpose = "What each customer has from the catalogue, since when and at what price."
    filterset = FeatureFilters
    order = ("customer__name", "feature_type__name")
    columns = (
        Text(name="customer", source="customer__name", url="customer"),
        *FEATURES,
        DETAILS,
        Choice(name="interval", source="feature_type__interval", choices=FeatureType.Interval.choices),
    )
    empty = EmptyState(
        "No customer has a feature yet. Import your list, or add features on a customer's page."
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the features with today's prices."""
        return feature_rows(self.today).annotate(is_current=current_on(self.today))

    def actions(self) -> Sequence[Action]:
        """Offer import."""
        return list_actions(self.scope, "features")


class TypeFilters(ScopedFilterSet):
    """Which catalogue entries to list."""

    q = SearchFilter("name", "code", label="Name or code")
    kind = OneOf("kind", FeatureType.Kind.choices, label="Kind")


class FeatureTypeList(ListPage):
    """The catalogue."""

    capability = Capability.VIEW_BOOK
    title = "Feature types"
    purpose = "The catalogue: what can be sold, at what price, and how many customers have it."
    filterset = TypeFilters
    row_url = "feature-type"
    order = ("name",)
    columns = (
        Text(name="name", label="Feature type"),
        Code(name="code"),
        Choice(name="kind", choices=FeatureType.Kind.choices),
        Choice(name="interval", choices=FeatureType.Interval.choices),
        Money(name="price", source="list_price", decimals=2, needs=MONEY),
        Money(name="cost", source="list_cost", decimals=2, needs=WHOLESALE),
        Percent(
            name="margin",
            source="margin_share",
            needs=MARGIN,
            help="(Price less cost) over price, list prices.",
        ),
        Code(name="currency", needs=MONEY),
        Int(name="in_use", source="n_in_use", total="sum", help="How many customers have today."),
        Flag(name="is_available", label="On sale", hidden=True),
    )
    empty = EmptyState("The catalogue is empty. Add an entry, or import your list.")

    def queryset(self) -> QuerySet[Any]:
        """Return the catalogue with today's prices and take-up."""
        rows = FeatureType.objects.annotate(
            list_price=price_today("price", self.today, "pk"),
            list_cost=price_today("cost", self.today, "pk"),
            n_in_use=in_use(self.today),
        )
        return rows.annotate(
            margin_share=(F("list_price") - F("list_cost")) / NullIf(F("list_price"), Value(D(0)))
        )

    def actions(self) -> Sequence[Action]:
        """Offer import and adding."""
        return list_actions(
            self.scope, "feature-types", add_label="Add a feature type", add_url="feature-type-add"
        )


def in_use(today: Any) -> Coalesce:
    """Return how many pieces of the type at hand customers have today."""
    counted = (
        Feature.objects.filter(current_on(today), feature_type=OuterRef("pk"))
        .order_by()
        .values("feature_type")
        .annotate(n=Sum("quantity"))
        .values("n")
    )
    return Coalesce(Subquery(counted), 0)


PRICES: tuple[Column, ...] = (
    Date(name="valid_from", label="From"),
    Date(name="valid_to", label="Until"),
    Money(name="price", currency="feature_type__currency", needs=MONEY),
    Money(name="cost", currency="feature_type__currency", needs=WHOLESALE),
)
TAKERS: tuple[Column, ...] = (Text(name="customer", source="customer__name", url="customer"), *FEATURES[1:])


class FeatureTypePage(DetailPage):
    """One catalogue entry: price history, allowances, who has it."""

    capability = Capability.VIEW_BOOK
    model = FeatureType
    related = ("carrier",)

    def get_context(self) -> dict[str, Any]:
        """Lead back to the catalogue."""
        return {
            "back": ("Feature types", reverse("feature-type-list")),
            "purpose": f"Code {self.object.code}",
        }

    def actions(self) -> Sequence[Action]:
        """Offer the changes by hand."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        return (Action("Change details", reverse("feature-type-edit", args=[self.object.pk])),)

    def panels(self) -> list[Panel]:
        """Return terms, prices, allowances, takers."""
        kind = self.object
        takers = feature_rows(self.today, feature_type=kind).filter(current_on(self.today))
        panels: list[Panel] = [self.terms(takers)]
        if self.scope.can(MONEY):
            panels.append(self.prices())
        if kind.kind == FeatureType.Kind.PACKAGE:
            panels.append(package_allowances(kind, self.scope))
        more = f"{reverse('feature-list')}?feature_type={kind.pk}"
        empty = EmptyState("No customer has it today.")
        rows = takers.order_by("customer__name")
        return [*panels, TablePanel("Who has it", TAKERS, rows, limit=25, more_url=more, empty=empty)]

    def terms(self, takers: QuerySet[Any]) -> Facts:
        """Return how it is charged and how many customers have it."""
        kind = self.object
        customers = takers.aggregate(n=Sum("quantity"), customers=Count("customer", distinct=True))
        return Facts(
            "Terms",
            [
                ("Kind", kind.get_kind_display()),
                ("Charged", f"{kind.get_interval_display()}, {kind.get_timing_display().lower()}"),
                ("Part periods", kind.get_prorate_display()),
                ("Goes with a number", "Yes" if kind.per_number else "No"),
                (
                    "Minimum term",
                    f"{kind.minimum_term_months} months" if kind.minimum_term_months else "None",
                ),
                ("Leaving early costs", leaving_words(kind) if self.scope.can(MONEY) else ""),
                ("In use today", f"{customers['n'] or 0:,} with {customers['customers']:,} customers"),
            ],
        )

    def prices(self) -> TablePanel:
        """Return the price history."""
        rows = FeaturePrice.objects.filter(feature_type=self.object).order_by("-valid_from")
        actions: Sequence[Action] = ()
        if self.scope.can(Capability.EDIT_BOOK):
            actions = (Action("New price", reverse("feature-price-add", args=[self.object.pk])),)
        empty = EmptyState("It has no price yet and is charged nothing.")
        return TablePanel("Prices over time", PRICES, rows, actions=actions, empty=empty, wide=False)


def leaving_words(kind: FeatureType) -> str:
    """Return what ending it inside its term costs, in words; empty when nothing."""
    if not kind.termination_percent or not kind.minimum_term_months:
        return ""
    return f"{percent(kind.termination_percent / 100)} of what the rest of the term would have cost"


class TypeFields(Gated, forms.ModelForm):
    """A catalogue entry."""

    needs = {
        "activation_fee": MONEY,
        "carrier": Capability.EDIT_BOOK,
        "carrier_product": Capability.EDIT_BOOK,
        "termination_percent": MONEY,
    }

    class Meta:
        model = FeatureType
        formfield_callback = house_field
        fields = (
            "code",
            "name",
            "kind",
            "per_number",
            "currency",
            "interval",
            "timing",
            "prorate",
            "activation_fee",
            "minimum_term_months",
            "termination_percent",
            "carrier",
            "carrier_product",
            "is_available",
        )
        labels = {
            "per_number": "Goes with a number",
            "prorate": "Part periods",
            "minimum_term_months": "Minimum term (months)",
            "termination_percent": "Leaving early costs (% of the rest of the term)",
            "carrier_product": "The carrier's name for it",
            "is_available": "On sale",
        }


class FeatureTypeForm(RecordForm):
    """Add or change a catalogue entry."""

    model, form_class, what = FeatureType, TypeFields, "a feature type"
    list_url, detail_url = "feature-type-list", "feature-type"


class PriceFields(Gated, forms.ModelForm):
    """A list price from a day on."""

    needs = {"cost": WHOLESALE}

    class Meta:
        model = FeaturePrice
        formfield_callback = house_field
        fields = ("price", "cost", "valid_from")
        labels = {"valid_from": "From"}


class AddPrice(BookForm):
    """A new list price; the one before ends on the same day."""

    form_class = PriceFields
    title = "New price"
    purpose = "Customers without a price of their own pay it from this day."

    def form_kwargs(self) -> dict[str, Any]:
        """Find the catalogue entry of the address."""
        self.kind = find(FeatureType, self.kwargs["pk"])
        self.cancel_url = reverse("feature-type", args=[self.kind.pk])
        self.back = (str(self.kind), self.cancel_url)
        return {"instance": FeaturePrice(feature_type=self.kind)}

    def save(self, form: Any) -> str:
        """End the price before and keep the new one."""
        set_price(form.save(commit=False))
        return self.succeed(self.cancel_url, "The new price is saved.")


urls: list[URLPattern] = [
    path("features/", FeatureList.as_view(), name="feature-list"),
    path("feature-types/", FeatureTypeList.as_view(), name="feature-type-list"),
    path("feature-types/add/", FeatureTypeForm.as_view(), name="feature-type-add"),
    path("feature-types/<int:pk>/", FeatureTypePage.as_view(), name="feature-type"),
    path("feature-types/<int:pk>/edit/", FeatureTypeForm.as_view(), name="feature-type-edit"),
    path("feature-types/<int:pk>/prices/add/", AddPrice.as_view(), name="feature-price-add"),
]
