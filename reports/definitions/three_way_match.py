"""The Three-way match report."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from itertools import chain
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from billing.charging.three_way import billed_in_books, match, supplied_in_books
from billing.models import Carrier, FeatureType, ServiceMatch
from reports.customers import CustomerFilters
from reports.fields import CodesField, SeveralField
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Bucket, Choice, Code, Decimal, Int, Money, Row, Text
from resellerkpi.core.periods import add_months

State, Finding, Attention = ServiceMatch.State, ServiceMatch.Finding, ServiceMatch.Attention
PROVIDED, BILLED, SUPPLIER, RISK = "Provided", "Billed to the customer", "Charged by the supplier", "At risk"
MONEY, COST = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
#: Sums of a service in its own currency, and in its supplier's.
OURS, THEIRS = ("expected_price", "billed", "waiting"), ("expected_cost", "supplied")
COUNTS = ("services", "losing")
#: Filters that do not narrow the services.
WHOLE = {"period", "on_or_after", "before", "zone", "group_by", "compare", "currency"}


class MatchFilters(CustomerFilters):
    """Filters of customers, and by supplier, feature type, state and finding."""

    default_period = "last_month"
    carrier = CodesField(Carrier, required=False, label="Suppliers")
    feature_type = CodesField(FeatureType, required=False, label="Feature types")
    state = SeveralField(required=False, label="Match states", choices=State.choices)
    finding = SeveralField(required=False, label="Findings", choices=Finding.choices)
    attention = SeveralField(required=False, label="Attention", choices=Attention.choices)

    @property
    def months(self) -> tuple[date, date]:
        """The months in which days of the interval fall: the first, and the first behind them."""
        first, last = self.interval.start.replace(day=1), self.interval.end
        return first, last if last.day == 1 else add_months(last.replace(day=1), 1)

    @property
    def narrows(self) -> bool:
        """Whether anything but the period is asked for."""
        return any(value for name, value in self.cleaned_data.items() if name not in WHOLE)

    def services(self) -> QuerySet[Any]:
        """Return the services that the filters leave."""
        asked, (first, end) = self.cleaned_data, self.months
        wanted = {
            "carrier__code__in": asked["carrier"],
            "feature_type__code__in": asked["feature_type"],
            "state__in": asked["state"],
            "finding__in": asked["finding"],
            "attention__in": asked["attention"],
        }
        narrowed = Q(**{lookup: value for lookup, value in wanted.items() if value})
        return ServiceMatch.objects.filter(self.of_customers(), narrowed, month__gte=first, month__lt=end)


class ThreeWayMatch(Report):
    """Was each service provided, billed to the customer and charged by the supplier, and what does it cost where not?

    One line per service and month, what costs most first; the months in which days of the period fall are matched anew.
    What a supplier charges in a currency of its own stands in a line of its own.
    """

    slug = "three-way-match"
    name = "Three-way match"
    family = "Margin and suppliers"
    needs = COST
    keys = ("key", "month", "currency")
    dimensions = (
        *time_dimensions("month", grains=("year", "quarter", "month")),
        dimension("state", "State", "state", choices=State.choices),
        dimension("finding", "Finding", "finding", choices=Finding.choices),
        dimension("attention", "Attention", "attention", choices=Attention.choices),
        dimension("carrier", "Supplier", "carrier__name"),
        dimension("feature_type", "Feature type", "feature_type__name"),
        *customer_dimensions(),
    )
    columns = (
        Bucket(name="month", label="Month", grain="month"),
        Text(name="service", label="Service", url="match-service"),
        Code(name="key", label="Key", hidden=True, help="Tells one service from another."),
        Text(name="customer_name", label="Customer", url="customer"),
        Code(name="code", label="Account", help="The customer's account code."),
        Code(name="number_text", label="Number", url="number"),
        Text(name="carrier_name", label="Supplier"),
        Choice(name="state", label="State", choices=State.choices, help="Which of the three there are."),
        Choice(name="finding", label="Finding", choices=Finding.choices, help="What is to be said of it."),
        Choice(name="attention", label="Attention", choices=Attention.choices),
        Choice(name="supplier", label="Supplier's bill", choices=ServiceMatch.Supplier.choices, hidden=True),
        Code(name="currency", label="Currency"),
        Int(name="services", label="Services", total=SUM, help="Services by months."),
        Int(name="losing", label="Losing", total=SUM, help="Those of them that lose money."),
        Int(name="days", label="Days", group=PROVIDED, help="Days in service in the month."),
        Decimal(name="quantity", label="Quantity", group=PROVIDED, help="Units by days of the month."),
        Money(
            name="expected_price",
            label="Expected price",
            total=SUM,
            group=PROVIDED,
            needs=MONEY,
            help="The price by days; the list's where it is marked as not charged or has a price of 0 of its own.",
        ),
        Money(
            name="expected_cost",
            label="Expected cost",
            total=SUM,
            group=PROVIDED,
            needs=COST,
            help="The cost by days.",
        ),
        Money(
            name="billed",
            label="Billed",
            total=SUM,
            group=BILLED,
            needs=MONEY,
            help="Recurring charges on issued invoices for the month's days, less credits and credit notes.",
        ),
        Money(
            name="waiting",
            label="Waits",
            total=SUM,
            group=BILLED,
            needs=MONEY,
            help="Charges for the month's days that are on no issued invoice yet.",
        ),
        Decimal(name="billed_quantity", label="Quantity billed", group=BILLED, needs=MONEY, hidden=True),
        Money(
            name="supplied",
            label="Charged",
            total=SUM,
            group=SUPPLIER,
            needs=COST,
            help="Rentals and credits on suppliers' bills for the month's days, before VAT.",
        ),
        Decimal(name="supplied_quantity", label="Quantity charged", group=SUPPLIER, hidden=True),
        Money(
            name="at_risk",
            label="A month",
            total=SUM,
            group=RISK,
            needs=COST,
            help="What it costs in the month.",
        ),
        Int(name="months", label="Months", group=RISK, help="Months on end in this state, up to this one."),
        Money(
            name="to_date", label="To date", group=RISK, needs=COST, help="What was at risk in those months."
        ),
    )
    charts = (
        Preset("findings", Bar(x="finding", y=("at_risk",), title="At risk by finding")),
        Preset("states", Bar(x="state", y=("services",), title="Services by state")),
        Preset("by-finding", Bar(x="by_finding", y=("at_risk",), title="At risk by finding")),
        Preset("by-state", Bar(x="by_state", y=("services",), title="Services by state")),
        Preset("by-carrier", Bar(x="by_carrier", y=("at_risk",), title="At risk by supplier")),
        Preset("by-month", Bar(x="by_month", y=("at_risk",), title="At risk by month"), grain="month"),
    )

    class Filters(MatchFilters):
        """Filters of the match."""

    def rows(self, f: MatchFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Match the months and return their services, or groups of them."""
        match(f.reseller, *f.months, now=f.now)
        home, away = _at_home(f.services()), _abroad(f.services())
        if f.groups:
            names = [name for d in f.groups for name in d.lookups]
            return _merged(names, chain(_summed(f, home), _summed(f, away)))
        return chain(_told(home), _told(away))

    def tie_outs(
        self,
        f: MatchFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare all services with recurring lines of invoices and with rentals on suppliers' bills."""
        if f.narrows:
            return []
        first, end = f.months
        books = {
            "billed": ("Billed against recurring lines of invoices", billed_in_books(f.reseller, first, end)),
            "supplied": ("Charged against suppliers' bills", supplied_in_books(f.reseller, first, end)),
        }
        ours = {total["currency"]: total for total in totals}
        return [
            TieOut(name, currency, D(ours.get(currency, {}).get(field, 0)), found.get(currency, D(0)))
            for field, (name, found) in books.items()
            for currency in sorted({*ours, *found})
        ]


def _at_home(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return services with their amounts in the customer's currency; what is in another is left out."""
    return _priced(rows, "currency", OURS, THEIRS, Q(cost_currency=F("currency")))


def _abroad(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return services whose supplier charges in another currency, with the amounts in that one alone."""
    return _priced(rows.exclude(cost_currency=F("currency")), "cost_currency", THEIRS, OURS, Q(pk=None))


def _priced(
    rows: QuerySet[Any], currency: str, whole: Sequence[str], partly: Sequence[str], when: Q
) -> QuerySet[Any]:
    """Return rows with `in_…` amounts: the `whole` ones, the `partly` ones only when they are in the same currency."""
    at: dict[str, Any] = {f"in_{name}": F(name) for name in whole}
    at |= {f"in_{name}": Case(When(when, then=F(name)), default=Value(D(0))) for name in partly}
    risk = Q(risk_currency=F(currency))
    at["in_at_risk"] = Case(When(risk, then=F("at_risk")), default=Value(D(0)))
    at["in_to_date"] = Case(When(risk, then=F("to_date")), default=Value(D(0)))
    one = Value(1 if currency == "currency" else 0)
    lost = Case(When(risk & Q(attention=Attention.LOSS), then=Value(1)), default=Value(0))
    return rows.annotate(**at, in_currency=F(currency), in_services=one, in_losing=lost)


def _told(rows: QuerySet[Any]) -> Iterable[Row]:
    """Return the report's own rows, what costs most first."""
    names = {
        "service": Coalesce("feature_type__name", "line__description", Value("Not a feature")),
        "service_id": F("pk"),
        "customer_name": F("customer__name"),
        "customer_name_id": F("customer_id"),
        "code": F("customer__code"),
        "number_text": F("number__number"),
        "number_text_id": F("number_id"),
        "carrier_name": F("carrier__name"),
    }
    amounts = (*COUNTS, *OURS, *THEIRS, "at_risk", "to_date", "currency")
    own = ("month", "key", "state", "finding", "attention", "supplier", "days", "quantity", "billed_quantity",
           "supplied_quantity", "months")  # fmt: skip
    found = rows.order_by("month", "-in_at_risk", "-in_supplied", "key")
    for row in found.values(*own, *(f"in_{name}" for name in amounts), **names).iterator(chunk_size=2_000):
        for name in amounts:
            row[name] = row.pop(f"in_{name}")
        yield row


def _summed(f: MatchFilters, rows: QuerySet[Any]) -> Iterable[dict[str, Any]]:
    """Return the sums of each group and currency."""
    sums = {name: Sum(f"in_{name}") for name in (*COUNTS, *OURS, *THEIRS, "at_risk")}
    grouped = f.grouped(rows).annotate(currency=F("in_currency"))
    return grouped.annotate(**sums)


def _merged(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterable[Row]:
    """Return groups in order, those of one currency from both sides put together."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (*(row[name] for name in names), row["currency"])
        if key not in found:
            found[key] = row
            continue
        for name in (*COUNTS, *OURS, *THEIRS, "at_risk"):
            found[key][name] += row[name]
    order = sorted(found, key=lambda key: [(v is None, "" if v is None else v) for v in key])
    return [found[key] for key in order]
