"""The Cohort retention report."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms

from kpis.facts import months_between
from kpis.kpi import KPIS
from kpis.reading import Reader
from reports.filters import ReportFilters
from reports.report import Preset, Report
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Bucket, Code, Column, Int, Money, Percent
from resellerkpi.core.periods import add_months, containing
from resellerkpi.core.scope import current

MONEY, CUSTOMERS = "mrr", "customers"
KPI_OF = {CUSTOMERS: "cohort_retention_customers", MONEY: "cohort_retention_mrr"}
LONGEST = 36
AFTER = "Still here after so many months"


def _after(count: int) -> Percent:
    return Percent(
        name=f"after_{count}",
        label=str(count),
        parts=(f"left_{count}", f"of_{count}"),
        group=AFTER,
        absent="",
        decimals=0,
        help=f"What is left {count} months later, divided by what the same months began with.",
    )


AFTER_ALL = tuple(_after(count) for count in range(1, LONGEST + 1))


def _cohort(grain: str) -> Bucket:
    return Bucket(
        name="cohort", label="Came in", grain=grain, help="When the customers' first service began."
    )


SIZE = Int(
    name="size",
    label="Customers",
    total=SUM,
    help="Customers who came and were still there at the month's close.",
)
BEGAN = Money(
    name="began",
    label="First MRR",
    total=SUM,
    help="MRR of these customers at the close of the month they came.",
)


class CohortRetention(Report):
    """How many of the customers of a month, or how much of their recurring revenue, is still there months later.

    A row is the customers who came in one month, a column the months after it. The total row divides sums: all that is
    left after so many months by all that began early enough to tell. Months that are not over are left blank.
    """

    slug = "cohorts"
    name = "Cohort retention"
    family = "Recurring revenue"
    needs = Capability.VIEW_KPIS
    keys = ("cohort",)
    columns = (_cohort("month"), Code(name="currency", label="Currency"), SIZE, BEGAN, *AFTER_ALL)
    charts = (
        Preset("size", Bar(x="cohort", y=("size",), title="Customers by the month they came"), grain="month"),
    )

    class Filters(ReportFilters):
        """What to follow, how long, and how rows are put together."""

        default_period = "last_12_months"

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            if not current().can(Capability.VIEW_MONEY):
                self.fields["what"].choices = [(CUSTOMERS, "Customers")]  # type: ignore[attr-defined]  # a choice field

        what = forms.ChoiceField(
            required=False,
            label="Follow",
            choices=[(CUSTOMERS, "Customers"), (MONEY, "Monthly recurring revenue")],
        )
        together = forms.ChoiceField(
            required=False,
            label="One row per",
            choices=[("month", "Month"), ("quarter", "Quarter"), ("year", "Year")],
        )
        months = forms.IntegerField(required=False, label="Months to follow", min_value=1, max_value=LONGEST)

        def defaults(self) -> dict[str, list[str]]:
            """Follow the customers of each month for a year."""
            return super().defaults() | {"what": [CUSTOMERS], "together": ["month"], "months": ["12"]}

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return as many months as are asked for, of customers or of money."""
        asked = f.cleaned_data
        head = (Code(name="currency", label="Currency"), BEGAN) if asked["what"] == MONEY else (SIZE,)
        return (_cohort(asked["together"]), *head, *AFTER_ALL[: asked["months"]])

    def rows(self, f: ReportFilters) -> Iterator[dict[str, Any]]:
        """Yield one row per cohort and currency, out of the figures of the KPI."""
        asked, period = f.cleaned_data, f.interval
        cohorts = months_between(period.start, period.end - timedelta(days=1))
        open_month = f.as_of.replace(day=1)
        months = months_between(
            cohorts[0], min(add_months(cohorts[-1], asked["months"]), add_months(open_month, -1))
        )
        kpi = KPIS.get(KPI_OF[asked["what"]])
        reader = Reader(f.reseller, current(), f.now)
        points = reader.points([kpi], months, ["cohort"])[kpi.slug]["cohort"] if months else []
        found: dict[tuple[date, str], dict[str, Any]] = {}
        began = "began" if asked["what"] == MONEY else "size"
        for point in points:
            came, after = _place(point.key, point.month)
            if came not in cohorts or not 0 <= after <= asked["months"] or not point.denominator:
                continue
            first = containing(came, asked["together"], f.tz).start
            row = found.setdefault(
                (first, point.currency), {"cohort": first, "currency": point.currency, began: 0}
            )
            if after == 0:
                row[began] += point.denominator if began == "began" else int(point.denominator)
                continue
            for name, value in ((f"left_{after}", point.numerator), (f"of_{after}", point.denominator)):
                row[name] = (row.get(name) or 0) + (value or 0)
        yield from (found[key] for key in sorted(found))


def _place(key: str, month: date) -> tuple[date, int]:
    """Return the month of a cohort's key and how many months after it a month is."""
    came = date(int(key[:4]), int(key[5:]), 1)
    return came, (month.year - came.year) * 12 + month.month - came.month
