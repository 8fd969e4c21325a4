"""The Collections forecast report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal as D
from functools import cached_property
from typing import Any

from django.db.models import F, Sum
from django.db.models.functions import TruncMonth

from billing.models import Allocation, Customer
from kpis.asked import Figure
from kpis.compute import compute
from kpis.definitions.forecast import NINE_OF_TEN
from kpis.facts import months_between
from kpis.kpi import KPIS
from kpis.reading import Reader
from reports.customers import CustomerFilters
from reports.grouping import dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Money, Percent
from resellerkpi.core.periods import add_months, containing
from resellerkpi.core.scope import current

EXPECTED, ITEM, CAME = "cash_expected", "cash_expected_item", "cash_from_debt"
TIMES = ("year", "quarter", "month")
RANGE, ERROR = "Range", "How good it was"
CENT, ZERO = D("0.01"), D(0)
#: Kind of payer ("" for all), its month, its currency.
Place = tuple[str, date, str]


@dataclass
class Sums:
    """What was expected of some months and methods, its variance, what came, and how far off each month was."""

    expected: D = ZERO
    variance: D = ZERO
    came: D = ZERO
    missed: D = ZERO
    inside: int = 0
    forecasts: int = 0

    def add(self, expected: D, variance: D, came: D) -> None:
        """Take one month of a method, or of all methods, into account."""
        self.expected, self.variance, self.came = (
            self.expected + expected,
            self.variance + variance,
            self.came + came,
        )
        self.missed += abs(came - expected)
        half = NINE_OF_TEN * variance.sqrt()
        self.inside += max(expected - half, ZERO).quantize(CENT) <= came <= (expected + half).quantize(CENT)
        self.forecasts += 1

    def row(self) -> dict[str, Any]:
        """Return the fields of a report's row."""
        half = NINE_OF_TEN * self.variance.sqrt()
        return {
            "expected": self.expected,
            "low": max(self.expected - half, ZERO).quantize(CENT),
            "high": (self.expected + half).quantize(CENT),
            "came": self.came,
            "difference": self.came - self.expected,
            "missed": self.missed,
            "inside": self.inside,
            "forecasts": self.forecasts,
        }


class ForecastFilters(CustomerFilters):
    """Filters of customers; what was expected and what came are the KPIs'."""

    default_period = "last_12_months"

    @property
    def months(self) -> list[date]:
        """The months of the period that are over."""
        last = min(self.interval.end - timedelta(days=1), self.as_of)
        touched = months_between(self.interval.start, last) if self.interval.start <= last else []
        return [month for month in touched if add_months(month, 1) <= self.as_of]

    @property
    def by_method(self) -> bool:
        """Whether rows tell methods of payment apart."""
        return any(d.slug == "method" for d in self.groups)

    @property
    def grain(self) -> str:
        """The finest time asked for, "" for the whole period."""
        return next((d.slug for d in reversed(self.groups) if d.slug in TIMES), "")

    @cached_property
    def figures(self) -> dict[str, dict[Place, Figure]]:
        """The KPIs' figures by method ("" for all), month and currency, from the month before the first on."""
        if not self.months:
            return {EXPECTED: {}, ITEM: {}, CAME: {}}
        months = [add_months(self.months[0], -1), *self.months]
        asked = Reader(self.reseller, current(), self.now).closes_of(months)
        if chosen := self.of_customers(""):
            ids = Customer.objects.filter(chosen).values_list("pk", flat=True)
            asked = replace(asked, only=tuple(ids))
        slice_ = "method" if self.by_method else ""
        found = compute([KPIS.get(slug) for slug in (EXPECTED, ITEM, CAME)], asked, [slice_])
        return {
            slug: {(c.key, c.month, c.currency): f for c, f in figures.items() if c.dimension == slice_}
            for slug, figures in found.items()
        }

    @cached_property
    def sums(self) -> dict[Place, Sums]:
        """What each group expected and got, by method, bucket and currency."""
        expected, item, came = (self.figures[slug] for slug in (EXPECTED, ITEM, CAME))
        made = {(key, add_months(month, 1), currency) for key, month, currency in expected}
        found: dict[Place, Sums] = {}
        for key, month, currency in sorted(made | {*came}):
            if month not in self.months:
                continue
            before = (key, add_months(month, -1), currency)
            hoped, got = _top(expected.get(before)), _top(came.get((key, month, currency)))
            if hoped or got:
                bucket = containing(month, self.grain, self.tz).start if self.grain else self.interval.start
                sums = found.setdefault((key, bucket, currency), Sums())
                sums.add(hoped.quantize(CENT), _top(item.get(before)), got)
        return found


class CollectionForecast(Report):
    """What open invoices were expected to bring, month by month, and what then came: how far off the forecast was.

    What is expected of a month is the KPI “Cash expected in the month to come” at the close of the month before; what
    came is the KPI “Cash from earlier invoices”. Whole months that are over; the method is the customer's today.
    """

    slug = "collections-forecast"
    name = "Collections: forecast and actual"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *time_dimensions("month", grains=TIMES),
        dimension("method", "Method", "method", choices=Customer.Method.choices, family="Collections"),
    )
    default_groups = ("month", "method")
    measures = ("expected", "came", "error")
    columns = (
        Code(name="currency", label="Currency"),
        Money(
            name="expected",
            label="Expected",
            total=SUM,
            help="Cash expected of the month from the invoices that were open at the close of the month before.",
        ),
        Money(
            name="low",
            label="Low",
            level=True,
            group=RANGE,
            help="In nine of ten months more comes than this.",
        ),
        Money(
            name="high",
            label="High",
            level=True,
            group=RANGE,
            help="In nine of ten months less comes than this.",
        ),
        Money(
            name="came",
            label="Came",
            total=SUM,
            help="Cash of the month for invoices dated before it, less what of such was taken back.",
        ),
        Money(name="difference", label="Difference", total=SUM, help="Came less expected."),
        Percent(
            name="bias",
            label="Difference %",
            parts=("difference", "came"),
            group=ERROR,
            help="Difference divided by what came: months that were too high and too low cancel out.",
        ),
        Percent(
            name="error",
            label="Error",
            parts=("missed", "came"),
            group=ERROR,
            help="The differences of the months without their sign, added up, divided by what came.",
        ),
        Percent(
            name="within",
            label="Within the range",
            parts=("inside", "forecasts"),
            decimals=0,
            group=ERROR,
            help="Months, by method where they are told apart, in which no less than low and no more than high came.",
        ),
    )
    charts = (
        Preset(
            "months", Bar(x="by_month", y=("expected", "came"), title="Expected and what came"), grain="month"
        ),
        Preset(
            "methods", Bar(x="by_method", y=("expected", "came"), title="Expected and what came, by method")
        ),
    )

    class Filters(ForecastFilters):
        """Filters of customers."""

    def rows(self, f: ForecastFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield the groups by time, then by method."""
        for (key, bucket, currency), sums in sorted(
            f.sums.items(), key=lambda i: (i[0][1], i[0][0], i[0][2])
        ):
            buckets = {f"by_{grain}": containing(bucket, grain, f.tz).start for grain in TIMES}
            yield {"currency": currency, "by_method": key, **buckets, **sums.row()}

    def tie_outs(
        self,
        f: ForecastFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare what came with the settlements themselves."""
        held = _settled(f) if f.months else {}
        return [
            TieOut(
                "Came against the settlements",
                t["currency"],
                D(t["came"]),
                held.get(t["currency"], ZERO),
            )
            for t in totals
        ]

    def notes(self, f: ForecastFilters) -> list[tuple[str, str, bool]]:  # type: ignore[override]  # this report's form
        """Say when the month under way is left out."""
        if f.interval.end <= f.as_of.replace(day=1):
            return []
        return [
            ("Left out", "The month under way and later ones: what comes in them is not known yet.", False)
        ]


def _top(figure: Figure | None) -> D:
    return figure.top if figure else ZERO


def _settled(f: ForecastFilters) -> dict[str, D]:
    """Return cash settled with invoices dated before its month, less what was taken back, by currency."""
    start, end = f.months[0], add_months(f.months[-1], 1)
    rows = Allocation.objects.filter(
        f.of_customers("invoice__customer"), payment__isnull=False, invoice__customer__is_test=False
    ).exclude(invoice__state="draft")
    found: dict[str, D] = {}
    for path, sign in (("date", 1), ("ended_date", -1)):
        moved = rows.filter(**{f"{path}__gte": start, f"{path}__lt": end})
        moved = moved.filter(invoice__invoice_date__lt=TruncMonth(path))
        for r in moved.order_by().values(money=F("invoice__currency")).annotate(sum=Sum("amount")):
            found[r["money"]] = found.get(r["money"], ZERO) + sign * r["sum"]
    return found
