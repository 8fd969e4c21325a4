"""The Revenue per customer report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from functools import cached_property
from typing import Any

from billing.models import Customer
from kpis.asked import Figure
from kpis.compute import compute
from kpis.facts import months_between
from kpis.kpi import KPIS
from kpis.labels import labels
from kpis.reading import Reader
from reports.customers import CustomerFilters
from reports.grouping import dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Line, Stack
from resellerkpi.core.columns import SUM, Code, Decimal, Money, Percent
from resellerkpi.core.periods import containing
from resellerkpi.core.scope import current

#: What customers are told apart by: the KPI's own slices.
SLICES = {
    "segment": "Segment",
    "dealer": "Dealer",
    "client_type": "Client type",
    "tag": "Tag",
    "package": "Package",
    "status": "State",
    "region": "Region",
}
#: Slices in which one customer may stand several times, so that rows do not add up to all.
SEVERAL = ("tag", "package")
TIMES = ("year", "quarter", "month")
AGAINST = "Beside all customers"
PLACES = D("0.000001")


class RevenueFilters(CustomerFilters):
    """Filters of customers; what is counted is the KPI's, so groups are those the KPI has."""

    default_period = "last_12_months"

    def clean(self) -> dict[str, Any]:
        """Refuse two slices of customers at once."""
        data = super().clean()
        if len([slug for slug in data.get("group_by") or () if slug in SLICES]) > 1:
            self.add_error("group_by", "Choose one thing of customers only, beside a time.")
        return data

    @property
    def slice(self) -> str:
        """The slice asked for, "" for all customers together."""
        return next((d.slug for d in self.groups if d.slug in SLICES), "")

    @property
    def grain(self) -> str:
        """The finest time asked for, "" for the whole period."""
        return next((d.slug for d in reversed(self.groups) if d.slug in TIMES), "")

    @property
    def months(self) -> list[date]:
        """The months of the period up to the open one."""
        last = min(self.interval.end - timedelta(days=1), self.as_of)
        return months_between(self.interval.start, last) if self.interval.start <= last else []

    @cached_property
    def figures(self) -> dict[tuple[str, str, date, str], Figure]:
        """The KPI's parts by slice ("" for all), key, month and currency, of the customers asked for."""
        kpi = KPIS.get("arpu")
        if not self.months:
            return {}
        asked = Reader(self.reseller, current(), self.now).closes_of(self.months)
        if chosen := self.of_customers(""):
            ids = Customer.objects.filter(chosen).values_list("pk", flat=True)
            asked = replace(asked, only=tuple(ids))
        found = compute([kpi], asked, ["", self.slice])[kpi.slug]
        return {(c.dimension, c.key, c.month, c.currency): figure for c, figure in found.items()}


class RevenuePerCustomer(Report):
    """What a customer brings a month, by segment, dealer, client type, tag or package: the KPI month by month.

    Service revenue divided by the average of the customers active at the start and at the close of each month, as the
    KPI “Revenue per customer” counts. By tag and by package a customer stands under each it has.
    """

    slug = "revenue-per-customer"
    name = "Revenue per customer"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *time_dimensions("month", grains=TIMES),
        *(dimension(slug, label, slug, family="Customers") for slug, label in SLICES.items()),
    )
    default_groups = ("month", "segment")
    measures = ("revenue", "customers", "arpu")
    columns = (
        Code(name="currency", label="Currency"),
        Decimal(
            name="customers",
            label="Customer months",
            decimals=1,
            total=SUM,
            help="Average of the customers active at the start and at the close of the month, added over months.",
        ),
        Money(
            name="revenue",
            label="Service revenue",
            total=SUM,
            help="Recurring, usage, pass-through and credit lines of the month's invoices, less credit notes, before "
            "VAT. One-off and hand-entered charges are left out.",
        ),
        Money(
            name="arpu",
            label="Revenue per customer",
            parts=("revenue", "customers"),
            help="Service revenue divided by customer months: what one customer brings a month.",
        ),
        Money(
            name="overall",
            label="All",
            level=True,
            group=AGAINST,
            help="Revenue per customer of all customers asked for, over the same months.",
        ),
        Percent(
            name="index",
            label="Of all",
            level=True,
            group=AGAINST,
            help="Revenue per customer divided by that of all: over 100 % the slice brings more than the average.",
        ),
        Percent(
            name="share",
            label="Share",
            level=True,
            group=AGAINST,
            help="Service revenue divided by that of all customers asked for, over the same months.",
        ),
    )
    charts = (
        *(
            Preset(
                f"{slug}-arpu",
                Line(
                    x="by_month", y=("arpu",), series=f"by_{slug}", title=f"Revenue per customer by {words}"
                ),
            )
            for slug, words in ((s, label.lower()) for s, label in SLICES.items())
        ),
        *(
            Preset(
                f"{slug}-revenue",
                Stack(x="by_month", y=("revenue",), series=f"by_{slug}", title=f"Service revenue by {words}"),
            )
            for slug, words in ((s, label.lower()) for s, label in SLICES.items() if s not in SEVERAL)
        ),
        Preset("arpu", Line(x="by_month", y=("arpu",), title="Revenue per customer")),
    )

    class Filters(RevenueFilters):
        """Filters of customers; groups are those the KPI has."""

    def rows(self, f: RevenueFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield the groups by time, then from the one with most revenue per customer down."""
        whole = _summed(f, "")
        found = _summed(f, f.slice)
        named = labels(f.slice, {key for _, key, _ in found}) if f.slice else {}
        for (bucket, key, currency), (revenue, customers) in sorted(found.items(), key=_order):
            all_revenue, all_customers = whole.get((bucket, "", currency), (D(0), D(0)))
            overall = _part(all_revenue, all_customers)
            row = {"currency": currency, "customers": customers, "revenue": revenue, "overall": overall}
            row |= {"index": _part(_part(revenue, customers), overall), "share": _part(revenue, all_revenue)}
            row |= {f"by_{grain}": containing(bucket, grain, f.tz).start for grain in TIMES}
            yield {**row, f"by_{f.slice}": named.get(key, "")}

    def tie_outs(
        self,
        f: RevenueFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare service revenue with the KPI's of all customers; a slice with several keys of one does not add up."""
        if f.slice in SEVERAL:
            return []
        whole: dict[str, D] = {}
        for (_, _, currency), (revenue, _) in _summed(f, "").items():
            whole[currency] = whole.get(currency, D(0)) + revenue
        return [
            TieOut(
                "Service revenue against the KPI",
                t["currency"],
                D(t["revenue"]),
                whole.get(t["currency"], D(0)),
            )
            for t in totals
        ]


def _summed(f: RevenueFilters, dimension_: str) -> dict[tuple[date, str, str], tuple[D, D]]:
    """Return revenue and customer months by bucket, key and currency."""
    found: dict[tuple[date, str, str], tuple[D, D]] = {}
    for (of, key, month, currency), figure in f.figures.items():
        if of != dimension_ or month not in f.months:
            continue
        bucket = containing(month, f.grain, f.tz).start if f.grain else f.interval.start
        revenue, customers = found.get((bucket, key, currency), (D(0), D(0)))
        found[bucket, key, currency] = (revenue + figure.top, customers + (figure.bottom or D(0)))
    return found


def _order(item: tuple[tuple[date, str, str], tuple[D, D]]) -> tuple[Any, ...]:
    (bucket, key, currency), (revenue, customers) = item
    return bucket, currency, -(_part(revenue, customers) or D(0)), key


def _part(top: D | None, bottom: D | None) -> D | None:
    """Return a ratio to six places, None of nothing."""
    return (top / bottom).quantize(PLACES) if top is not None and bottom else None
