"""The Feature take-up report."""

from collections.abc import Iterable, Sequence
from decimal import Decimal as D
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from billing.models import FeatureType
from kpis.models import CustomerFact, FeatureFact
from reports.customers import CustomerFilters
from reports.fields import WordsField
from reports.report import Preset, Report
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Column, Int, Money, Percent, Text

HAVE, BRINGS = "Who has it", "What it brings a month"
ADDED = ("feature", "package")


class TakeUp(Report):
    """Which features customers take, what they bring, how they grow, and who has not got one yet.

    As things stand at the close of the last month of the period (today while it is open); growth is since the period
    began. Choose a feature under “Who has not got” for the list of customers to offer it to.
    """

    slug = "take-up"
    name = "Feature take-up"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    keys = ("feature_code", "code", "currency")
    columns = (
        Text(name="feature", label="Feature"),
        Code(name="feature_code", label="Code", help="The feature's code in the catalogue."),
        Choice(name="product", label="Kind", choices=FeatureType.Kind.choices),
        Text(name="customer_name", label="Customer", url="customer"),
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="dealer", label="Dealer", help="The customer's dealer today."),
        Int(name="numbers", label="Numbers", help="Numbers the customer holds."),
        Int(name="features", label="Features", help="Other features and packages the customer has."),
        Code(name="currency", label="Currency"),
        Int(name="customers", label="Customers", group=HAVE, help="Customers who have the feature."),
        Percent(
            name="adoption", label="Of active", group=HAVE, help="Of all active customers. Under 15 % is low."
        ),
        Percent(
            name="eligible",
            label="Of those with numbers",
            group=HAVE,
            help="Customers with a number who have the feature, of all active customers with a number.",
        ),
        Int(name="quantity", label="In service", total=SUM, help="Quantity in service."),
        Int(
            name="growth",
            label="Change",
            total=SUM,
            help="Quantity in service less that when the period began.",
        ),
        Money(name="mrr", label="MRR", total=SUM, group=BRINGS, help="Recurring revenue of the feature."),
        Money(
            name="margin",
            label="Margin",
            total=SUM,
            group=BRINGS,
            needs=Capability.VIEW_MARGIN,
            help="MRR less what suppliers charge for the feature a month.",
        ),
        Money(
            name="revenue",
            label="Invoiced",
            total=SUM,
            help="Net of the period's invoice lines for it, less credit notes.",
        ),
    )
    charts = (
        Preset("customers", Bar(x="feature", y=("customers",), title="Customers by feature")),
        Preset("mrr", Bar(x="feature", y=("mrr",), title="MRR by feature")),
    )

    class Filters(CustomerFilters):
        """Filters of customers, and the feature to offer."""

        default_period = "last_12_months"
        missing = WordsField(
            FeatureType,
            "code",
            required=False,
            label="Who has not got",
            help_text="Lists the customers to offer it to.",
        )

    def shown(self, f: CustomerFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns of features, or of the customers who lack one."""
        people = ("customer_name", "code", "dealer", "numbers", "features")
        if f.cleaned_data["missing"]:
            return [c for c in self.columns if c.name in people]
        return [c for c in self.columns if c.name not in people]

    def rows(self, f: CustomerFilters) -> Iterable[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Return features, the most taken first, or the customers who lack one, those with most numbers first."""
        people = CustomerFact.objects.filter(f.of_customers(), month__gte=_first(f), month__lt=f.interval.end)
        last = people.order_by("-month").values_list("month", flat=True).first()
        if last is None:
            return ()
        people = people.filter(month=last, active=True)
        if f.cleaned_data["missing"]:
            return _without(people, f.cleaned_data["missing"])
        base = people.aggregate(active=Count("pk"), numbered=Count("pk", filter=Q(numbers__gt=0)))
        return [_told(row, base) for row in _features(f, last)]


def _first(f: CustomerFilters) -> Any:
    return f.interval.start.replace(day=1)


def _features(f: CustomerFilters, last: Any) -> QuerySet[Any]:
    """Return the sums of each feature over the period; what stands is of its last month, what grew since its first."""
    rows = FeatureFact.objects.filter(f.of_customers(), month__gte=_first(f), month__lte=last)
    numbered = CustomerFact.objects.filter(
        customer=OuterRef("customer"), month=OuterRef("month"), numbers__gt=0
    )
    rows = rows.filter(feature_type__kind__in=ADDED).annotate(numbered=Exists(numbered))
    began = rows.order_by("month").values_list("month", flat=True).first()
    now, has = Q(month=last), Q(month=last, quantity__gt=0)
    names = {
        "feature": F("feature_type__name"),
        "feature_code": F("feature_type__code"),
        "product": F("feature_type__kind"),
    }
    found = (
        rows.order_by()
        .values("currency", **names)
        .annotate(
            customers=Count("customer", distinct=True, filter=has),
            with_numbers=Count("customer", distinct=True, filter=has & Q(numbered=True)),
            growth=Coalesce(Sum("quantity", filter=now), 0)
            - Coalesce(Sum("quantity_past", filter=Q(month=began)), 0),
            spent=Sum("cost", filter=now, default=D(0)),
        )
    )
    found = found.annotate(
        quantity=Sum("quantity", filter=now, default=0),
        mrr=Sum("mrr", filter=now, default=D(0)),
        revenue=Sum("revenue", default=D(0)),
    )
    return found.order_by("-customers", "feature", "feature_code")


def _told(row: dict[str, Any], base: dict[str, int]) -> dict[str, Any]:
    shares = {"adoption": _share(row["customers"], base["active"])}
    shares["eligible"] = _share(row["with_numbers"], base["numbered"])
    return {**row, **shares, "margin": row["mrr"] - row["spent"]}


def _share(part: int, whole: int) -> D | None:
    return (D(part) / whole).quantize(D("0.000001")) if whole else None


def _without(people: QuerySet[Any], code: str) -> QuerySet[Any]:
    """Return the customers with a number who have not got a feature."""
    having = FeatureFact.objects.filter(
        customer=OuterRef("customer"), month=OuterRef("month"), feature_type__code=code, quantity__gt=0
    )
    names = {
        "customer_name": F("customer__name"),
        "customer_name_id": F("customer_id"),
        "code": F("customer__code"),
    }
    found = people.filter(~Exists(having), numbers__gt=0).order_by("-numbers", "customer__code")
    return found.values("numbers", "features", dealer=F("customer__dealer__name"), **names)
