"""The Usage summary."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django.db.models import Count, Q, Sum

from billing.models import Call, CdrFile
from reports.calls import BILLED, CALL_DIMENSIONS, CallFilters, calls_of, summed
from reports.fields import SeveralField
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Decimal, Int, Minutes, Money, Percent, Row
from resellerkpi.core.scope import current

TRAFFIC, TIME, MONEY = "Traffic", "Time", "Money"


class UsageSummary(Report):
    """What was called, when and where to: attempts, answered calls, minutes, what was charged and what it cost.

    Group by month and compare with a year earlier for the trend; by destination or customer for what moves it.
    """

    slug = "usage"
    name = "Usage summary"
    family = "Usage"
    needs = Capability.VIEW_USAGE
    dimensions = CALL_DIMENSIONS
    default_groups = ("class",)
    billed = BILLED
    columns = (
        Int(
            name="attempts",
            label="Attempts",
            total=SUM,
            group=TRAFFIC,
            help="Calls, messages and data sessions that started in the period, whatever became of them.",
        ),
        Int(name="answered", label="Answered", total=SUM, group=TRAFFIC, help="Attempts that were answered."),
        Percent(
            name="asr",
            label="ASR",
            parts=("answered", "attempts"),
            group=TRAFFIC,
            help="Answer-seizure ratio: answered divided by attempts.",
        ),
        Minutes(
            name="seconds",
            label="Duration",
            total=SUM,
            group=TIME,
            help="Time from answer to end, as hours, minutes and seconds.",
        ),
        Minutes(
            name="acd",
            label="ACD",
            parts=("seconds", "answered"),
            group=TIME,
            help="Average call duration: duration divided by answered calls.",
        ),
        Minutes(
            name="billed",
            label="Billed duration",
            total=SUM,
            group=TIME,
            help="Duration after the increments of the tariff: what the price was worked out on.",
        ),
        Decimal(
            name="megabytes",
            label="Data (MB)",
            total=SUM,
            group=TIME,
            help="Volume of data sessions in megabytes.",
        ),
        Money(
            name="retail",
            label="Retail",
            total=SUM,
            group=MONEY,
            needs=Capability.VIEW_MONEY,
            help="What customers are charged for the calls, before VAT and after allowances.",
        ),
        Money(
            name="cost",
            label="Cost",
            total=SUM,
            group=MONEY,
            needs=Capability.VIEW_WHOLESALE,
            help="What suppliers report for the calls, else what their price list says.",
        ),
        Money(
            name="margin",
            label="Margin",
            total=SUM,
            group=MONEY,
            needs=Capability.VIEW_MARGIN,
            help="Retail less cost.",
        ),
        Percent(
            name="margin_percent",
            label="Margin %",
            parts=("margin", "retail"),
            group=MONEY,
            needs=Capability.VIEW_MARGIN,
            help="Margin divided by retail.",
        ),
    )
    charts = (
        Preset("classes", Bar(x="by_class", y=("billed",), title="Billed duration by class of call")),
        Preset("days", Bar(x="by_day", y=("billed",), title="Billed duration by day"), grain="day"),
        Preset("months", Bar(x="by_month", y=("retail",), title="Retail by month"), grain="month"),
        Preset("destinations", Bar(x="by_destination", y=("retail",), title="Retail by destination")),
        Preset("customers", Bar(x="by_customer", y=("retail",), title="Retail by customer")),
    )

    class Filters(CallFilters):
        """Filters of calls, and their state."""

        state = SeveralField(required=False, label="States of calls", choices=Call.State.choices)

    def rows(self, f: CallFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return the sums of each group."""
        calls = calls_of(f)
        if f.cleaned_data["state"]:
            calls = calls.filter(state__in=f.cleaned_data["state"])
        return summed(
            f,
            calls,
            {
                "attempts": Count("pk"),
                "seconds": Sum("duration", filter=Q(answered=True), default=0),
                "billed": Sum("billed_seconds"),
                "megabytes": Sum("volume"),
                # Last: its name hides the field from what stands behind it.
                "answered": Count("pk", filter=Q(answered=True)),
            },
        )

    def tie_outs(
        self,
        f: CallFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare the number of records with that of the files they came in, when all calls are asked for."""
        scope = current()
        if (
            f.narrows
            or scope.dealer_id
            or scope.customer_id
            or f.cleaned_data["zone"] != f.reseller.time_zone
        ):
            return []
        ours = sum(total["attempts"] for total in totals)
        return [TieOut("Records against the call files", "", D(ours), D(_records(f)))]


def _records(f: CallFilters) -> int:
    """Return how many records the call files hold for the days of the interval."""
    period = f.interval
    first, before = period.start.isoformat(), period.end.isoformat()
    files = CdrFile.objects.filter(first_call_at__lt=period.ends_at, last_call_at__gte=period.starts_at)
    return sum(
        of_day[0]
        for days in files.values_list("days", flat=True)
        for day, of_day in days.items()
        if first <= day < before
    )
