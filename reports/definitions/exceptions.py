"""The Exceptions report."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest, Least

from billing.charging.allocation import waiting
from billing.models import Call, CarrierCharge, Feature, FeaturePrice
from reports.failed import REPAIR, FailedFilters, failed_calls, missing, repair_of, tied
from reports.fields import SeveralField
from reports.grouping import customer_dimensions, dimension, grouped_rows
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Column, Date, Int, Money, Row, Text
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import current

UNMATCHED_USAGE, NO_PRICE_USAGE = "unmatched_usage", "no_price_usage"
UNMATCHED_PRODUCT, NO_PRICE_PRODUCT = "unmatched_product", "no_price_product"
KINDS = (
    (UNMATCHED_USAGE, "Unmatched usage"),
    (NO_PRICE_USAGE, "Unpriced usage"),
    (UNMATCHED_PRODUCT, "Unmatched products"),
    (NO_PRICE_PRODUCT, "Unpriced products"),
)
UNMATCHED = (Call.Reason.UNKNOWN_CLI, Call.Reason.INACTIVE)
NOBODY_THEN = "Nobody had the number in these days."
UNASKED = "The customer has no product for it, and the line no price."
UNPRICED = "No price of its own and none in the price list."
SUMS = ("count", "amount")


class ExceptionFilters(FailedFilters):
    """Filters of calls, and the kinds of exceptions; filters that only calls have leave products out."""

    kind = SeveralField(required=False, label="Kinds", choices=KINDS)

    def wants(self, *kinds: str) -> bool:
        """Say whether any of the kinds is asked for."""
        asked = self.cleaned_data
        usage_only = asked["service"] or asked["call_class"] or asked["destination"]
        if usage_only and not {UNMATCHED_USAGE, NO_PRICE_USAGE} & {*kinds}:
            return False
        return not asked["kind"] or bool({*kinds} & {*asked["kind"]})


class Exceptions(Report):
    """What would be left out of the bills: usage, products and supplier charges that match nobody or have no price.

    Usage counts calls that started in the period, supplier charges those of bills dated in it, products those in
    service in it. Each row leads to the page where it is put right. Look at it just before a bill run.
    """

    slug = "exceptions"
    name = "Exceptions"
    family = "Usage"
    needs = Capability.VIEW_USAGE
    keys = ("kind", "reason", "item", "place", "supplier", "currency")
    compares_rows = True
    measures = SUMS
    dimensions = (
        dimension("kind", "Kind", "kind", choices=KINDS),
        dimension("reason", "Reason", "reason"),
        dimension("supplier", "Supplier", "supplier", needs=Capability.VIEW_WHOLESALE),
        *customer_dimensions(""),
    )
    columns = (
        Choice(
            name="kind",
            label="Kind",
            choices=KINDS,
            help="Usage is calls, messages and data; products are those in the book and lines of supplier bills.",
        ),
        Code(name="item", label="Service item", help="The number or reference it is about."),
        Text(name="reason", label="Why"),
        REPAIR,
        Text(
            name="place",
            label="Prefix or product",
            help="Of usage without a price the destination, charge code or first digits; else the product.",
        ),
        Text(name="customer_name", label="Customer", url="customer"),
        Text(name="supplier", label="Supplier", needs=Capability.VIEW_WHOLESALE),
        Int(name="count", label="Lines", total=SUM, help="Calls, lines of supplier bills, or products."),
        Code(name="currency", label="Currency"),
        Money(
            name="amount",
            label="Cost at least",
            total=SUM,
            needs=Capability.VIEW_WHOLESALE,
            help="What suppliers charge for it as far as it is known, before VAT.",
        ),
        Date(name="first", label="First", level=True, help="Its first day."),
        Date(name="last", label="Last", level=True, help="Its last day."),
    )
    charts = (
        Preset("kinds", Bar(x="kind", y=("count",), title="Exceptions by kind")),
        Preset("reasons", Bar(x="reason", y=("count",), title="Exceptions by reason")),
        Preset("by-kind", Bar(x="by_kind", y=("count",), title="Exceptions by kind")),
        Preset("by-customer", Bar(x="by_customer", y=("count",), title="Exceptions by customer")),
        Preset("cost", Bar(x="by_kind", y=("amount",), title="Cost at least by kind")),
    )

    class Filters(ExceptionFilters):
        """Filters of calls, and the kinds of exceptions."""

        default_period = "last_month"

    def shown(self, f: ExceptionFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns; of groups there is no one page of repair."""
        return [c for c in self.columns if not f.groups or c.name != REPAIR.name]

    def rows(self, f: ExceptionFilters) -> Iterable[Row]:  # type: ignore[override]  # this report's form
        """Return the exceptions kind by kind, the most frequent first; or groups of them."""
        found = [*_usage(f)]
        if current().can(Capability.VIEW_WHOLESALE):
            found += [*_unmatched_charges(f), *_unasked_charges(f)]
        found += _unpriced_features(f)
        order = [kind for kind, _ in KINDS]
        found.sort(key=lambda r: (order.index(r["kind"]), -r["count"], r["item"], r["place"]))
        if not f.groups:
            return found
        own = (
            {**r, "by_kind": r["kind"], "by_reason": r["reason"], "by_supplier": r["supplier"]} for r in found
        )
        return grouped_rows(f.groups, f.tz, own, sums=SUMS, least=("first",), most=("last",))

    def tie_outs(
        self,
        f: ExceptionFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare the calls with those that the call files count as unpriced, when only usage is asked for."""
        if {*f.cleaned_data["kind"]} != {UNMATCHED_USAGE, NO_PRICE_USAGE}:
            return []
        return tied(f, sum(total["count"] for total in totals))


def _usage(f: ExceptionFilters) -> Iterable[dict[str, Any]]:
    """Return calls that match nobody or have no price, by what is missing."""
    calls = failed_calls(f)
    if not f.wants(UNMATCHED_USAGE):
        calls = calls.exclude(reason__in=UNMATCHED)
    if not f.wants(NO_PRICE_USAGE):
        calls = calls.filter(reason__in=UNMATCHED)
    rows = (
        calls.order_by()
        .values("reason", "customer_id", missed=missing(), customer_name=F("customer__name"))
        .annotate(
            line=F("billed_party"),
            supplier=F("carrier__name"),
            currency=F("costed_in"),
            count=Count("pk"),
            amount=Sum("supplied"),
            from_=Min("started_at"),
            to=Max("started_at"),
            **repair_of(),
        )
    )
    for row in rows:
        unmatched = row["reason"] in UNMATCHED
        yield {
            **row,
            "kind": UNMATCHED_USAGE if unmatched else NO_PRICE_USAGE,
            "reason": Call.Reason(row["reason"]).label,
            "item": row["missed"] if unmatched else row["line"],
            "place": "" if unmatched or row["reason"] == Call.Reason.NO_TARIFF else row["missed"],
            "customer_name_id": row["customer_id"],
            "first": local_day(row["from_"], f.tz),
            "last": local_day(row["to"], f.tz),
        }


def _charges(f: ExceptionFilters, rows: QuerySet[CarrierCharge]) -> QuerySet[CarrierCharge]:
    period, carriers = f.interval, f.cleaned_data.get("carrier")
    rows = rows.filter(
        f.of_customers(), invoice__invoice_date__gte=period.start, invoice__invoice_date__lt=period.end
    )
    return rows.filter(invoice__carrier__code__in=carriers) if carriers else rows


def _told(rows: QuerySet[CarrierCharge], kind: str, why: str) -> Iterable[dict[str, Any]]:
    """Return supplier charges by their reference and product."""
    found = rows.order_by().values(
        "customer_id",
        "reason",
        item=F("reference"),
        place=Coalesce("product", "description"),
        customer_name=F("customer__name"),
        supplier=F("invoice__carrier__name"),
        currency=F("invoice__currency"),
    )
    for row in found.annotate(
        count=Count("pk"),
        amount=Sum("amount"),
        first=Min("service_start"),
        last=Max("service_end"),
        repair_id=Max("pk"),
    ):
        yield {
            **row,
            "kind": kind,
            "reason": why or row["reason"] or NOBODY_THEN,
            "last": row["last"] - timedelta(days=1),
            "customer_name_id": row["customer_id"],
            "repair": "Say what the charge is for" if kind == UNMATCHED_PRODUCT else "Pass the charge on",
            "repair_url": "carrier-charge",
        }


def _unmatched_charges(f: ExceptionFilters) -> Iterable[dict[str, Any]]:
    """Return supplier charges of which nobody knows what they are for, or that were for a number nobody had."""
    if not f.wants(UNMATCHED_PRODUCT):
        return ()
    return _told(_charges(f, waiting()), UNMATCHED_PRODUCT, "")


def _unasked_charges(f: ExceptionFilters) -> Iterable[dict[str, Any]]:
    """Return supplier charges for a customer that nothing asks the customer for."""
    if not f.wants(NO_PRICE_PRODUCT):
        return ()
    kinds = (CarrierCharge.Kind.RENTAL, CarrierCharge.Kind.ONE_OFF)
    begun = Feature.objects.filter(not_charged=False, start_date__lt=OuterRef("service_end"))
    served = begun.filter(Q(end_date__isnull=True) | Q(end_date__gt=OuterRef("service_start")))
    rows = CarrierCharge.objects.filter(
        ~Exists(served.filter(customer=OuterRef("customer"), number=OuterRef("number"))),
        state=CarrierCharge.State.ALLOCATED, kind__in=kinds, customer__isnull=False,
        feature__isnull=True, retail__isnull=True, charge__isnull=True,
    )  # fmt: skip
    return _told(_charges(f, rows), NO_PRICE_PRODUCT, UNASKED)


def _unpriced_features(f: ExceptionFilters) -> Iterable[dict[str, Any]]:
    """Return products in service in the period that have no price on their first or last day of it."""
    if not f.wants(NO_PRICE_PRODUCT):
        return ()
    period, carriers = f.interval, f.cleaned_data.get("carrier")
    ends = min(period.end, f.as_of + timedelta(days=1))
    if ends <= period.start:
        return ()
    rows = Feature.objects.filter(f.of_customers(), price__isnull=True, not_charged=False)
    rows = rows.filter(Q(end_date__isnull=True) | Q(end_date__gt=period.start), start_date__lt=ends)
    if carriers:
        rows = rows.filter(pk__in=Feature.objects.filter(supplies__carrier__code__in=carriers).values("pk"))
    rows = rows.annotate(first=Greatest("start_date", period.start), beyond=Least("end_date", ends))
    rows = rows.filter(~_priced("first") | ~_priced("beyond", before=True))
    found = rows.order_by("feature_type__name", "pk").values(
        "first", "beyond", "customer_id", "reference", "pk", currency=F("customer__currency"),
        name=F("feature_type__name"), customer_name=F("customer__name"), line=F("number__number"),
    )  # fmt: skip
    return [
        {
            **row,
            "kind": NO_PRICE_PRODUCT,
            "reason": UNPRICED,
            "item": row["line"] or row["reference"] or "",
            "place": row["name"],
            "supplier": "",
            "count": 1,
            "last": row["beyond"] - timedelta(days=1),
            "customer_name_id": row["customer_id"],
            "repair": "Give the product a price",
            "repair_url": "feature",
            "repair_id": row["pk"],
        }
        for row in found
    ]


def _priced(day: str, *, before: bool = False) -> Exists:
    """Return whether the price list has a price on a day of the row, or on the one before it."""
    begun = {"valid_from__lt" if before else "valid_from__lte": OuterRef(day)}
    lasts = {"valid_to__gte" if before else "valid_to__gt": OuterRef(day)}
    prices = FeaturePrice.objects.filter(Q(valid_to__isnull=True) | Q(**lasts), **begun)
    return Exists(prices.filter(feature_type=OuterRef("feature_type")))
