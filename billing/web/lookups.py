"""Columns and lookups that several pages of the book share."""

from datetime import date
from typing import Any

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404

from billing.models import Feature, FeaturePrice, Number, Tariff, TariffAssignment
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Int, Money, Percent, Text
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.scope import Scope, current
from resellerkpi.ui.forms import ScopedChoiceField

MONEY, WHOLESALE, EDIT = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.EDIT_BOOK

#: Whose: (number) assignments of a customer, or of a number, or features of either.
NUMBERS: tuple[Column, ...] = (
    Code(name="number", source="number__number", url="number"),
    Choice(name="type", source="number__type", choices=Number.Type.choices),
    Text(name="description", source="number__description"),
    Text(name="site"),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)
FEATURES: tuple[Column, ...] = (
    Text(name="feature_type", source="feature_type__name", label="Feature", url="feature-type"),
    Code(name="number", source="number__number", url="number"),
    Int(name="quantity"),
    Money(
        name="price",
        source="shown_price",
        currency="shown_currency",
        decimals=2,
        needs=MONEY,
        help="Its own price, or the list price today.",
    ),
    Money(name="cost", source="shown_cost", currency="shown_currency", decimals=2, needs=WHOLESALE),
    Percent(name="discount", source="discount_share", needs=MONEY),
    Code(name="currency", source="shown_currency", needs=MONEY),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)
#: A link to the feature's own page, where it is changed and ended.
DETAILS = Text(name="details", source="details_label", label="Terms", url="feature", sortable=False)
#: Whether a tariff is still sold; what is superseded still prices whoever is on it.
TARIFF_STATES = (("current", "In use"), ("superseded", "Superseded"))
TARIFFS: tuple[Column, ...] = (
    Text(name="tariff", source="tariff__name", url="tariff"),
    Choice(name="state", source="tariff_state", choices=TARIFF_STATES),
    Text(name="call_class", label="Class of calls", help="Blank: every class of call."),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)


class TariffField(ScopedChoiceField):
    """A choice of tariffs in which superseded ones say so; wholesale ones only for those who may see them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Tariff, **options)

    def _get_queryset(self) -> Any:
        rows = open_tariffs(current()).filter(**self.only)
        return rows.order_by(F("superseded_on").desc(nulls_first=True), "name", "pk")

    queryset = property(_get_queryset, ScopedChoiceField._set_queryset)  # type: ignore[assignment]

    def label_from_instance(self, obj: Any) -> str:
        """Return the name, with the day it was superseded."""
        return (
            f"{obj.name} (superseded {day_words(obj.superseded_on)})" if obj.superseded_on else str(obj.name)
        )


def open_tariffs(scope: Scope) -> QuerySet[Any]:
    """Return the tariffs a person may know of: wholesale ones only with that capability."""
    rows = Tariff.objects.all()
    return rows if scope.can(WHOLESALE) else rows.filter(kind=Tariff.Kind.RETAIL)


def find_tariff(scope: Scope, pk: int) -> Tariff:
    """Return a tariff the person may know of; raises Http404."""
    row: Tariff | None = (
        open_tariffs(scope).select_related("parent", "carrier", "successor").filter(pk=pk).first()
    )
    if row is None:
        raise Http404
    return row


def tariff_state(today: date, of: str = "") -> Case:
    """Return the state of a tariff on a day (TARIFF_STATES); `of` is the way to it, such as "tariff__"."""
    old = When(**{f"{of}superseded_on__lte": today}, then=Value("superseded"))
    return Case(old, default=Value("current"))


def tariff_rows(today: date, **whose: Any) -> QuerySet[Any]:
    """Return tariffs given to somebody, with the state of each today; the latest first."""
    rows = TariffAssignment.objects.filter(**whose).annotate(tariff_state=tariff_state(today, "tariff__"))
    return rows.order_by("-start_date")


def current_on(today: date) -> Q:
    """Return the condition of a dated row that it runs on a day."""
    return Q(start_date__lte=today) & (Q(end_date__isnull=True) | Q(end_date__gt=today))


def running(model: Any, today: date, key: str = "customer") -> Coalesce:
    """Return how many rows of a dated model run today for the row at hand, by its link `key`."""
    counted = (
        model.objects.filter(current_on(today), **{key: OuterRef("pk")})
        .order_by()
        .values(key)
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Coalesce(Subquery(counted), 0)


def price_today(field: str, today: date, feature_type: str = "feature_type") -> Subquery:
    """Return the list price (or cost) in force today of the feature type the row points to."""
    prices = FeaturePrice.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=today),
        feature_type=OuterRef(feature_type),
        valid_from__lte=today,
    )
    return Subquery(prices.order_by("-valid_from").values(field)[:1])


def feature_rows(today: date, **whose: Any) -> QuerySet[Any]:
    """Return features with the price and cost each has today."""
    return Feature.objects.filter(**whose).annotate(
        shown_price=Coalesce(F("price"), price_today("price", today)),
        shown_cost=Coalesce(F("cost"), price_today("cost", today)),
        discount_share=F("discount_percent") / 100,
        shown_currency=F("feature_type__currency"),
        details_label=Value("Details"),
        details_id=F("pk"),
    )
