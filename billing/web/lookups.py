"""Columns and lookups that several pages of the book share."""

from datetime import date
from typing import Any

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from billing.models import Feature, FeaturePrice, Number
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Int, Money, Percent, Text

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
#: A link to end what still runs; for those who may change the book.
END = Text(name="end", source="end_label", label="Change", url="feature-end", needs=EDIT, sortable=False)
TARIFFS: tuple[Column, ...] = (
    Text(name="tariff", source="tariff__name", url="tariff"),
    Text(name="call_class", label="Class of calls", help="Blank: every class of call."),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)


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
        end_label=Case(When(end_date__isnull=True, then=Value("End"))),
        end_id=Case(When(end_date__isnull=True, then=F("pk"))),
    )
