"""The Billing errors report."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Count, Max, Min, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import BillingRun
from billing.rating.errors import ORDER
from reports.calls import CALL_DIMENSIONS
from reports.failed import BILLED, FAILED, REPAIR, FailedFilters, failed_calls, missing, repair_of, tied
from reports.fields import ANY, SeveralField
from reports.filters import ReportFilters
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Stack
from resellerkpi.core.columns import SUM, Column, DateTime, Int, Minutes, Money, Row
from resellerkpi.core.periods import Period

WHEN = "Calls were made"


class ErrorFilters(FailedFilters):
    """Filters of calls, the sections, and the bill run that the calls belong in."""

    section = SeveralField(required=False, label="Sections", choices=[(r, r.label) for r in ORDER])
    run = forms.ChoiceField(
        required=False,
        label="Bill run",
        help_text="Only calls of the run's period, whose bills they are left out of.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        runs = BillingRun.objects.order_by("-period_start", "name", "cycle")
        self.fields["run"].choices = [ANY, *((_key(r), r.name) for r in runs)]  # type: ignore[attr-defined]  # a choice field

    @property
    def period_of_run(self) -> Period | None:
        """The period of the bill run asked for."""
        cycle, _, start = str(self.cleaned_data["run"] or "").rpartition(" ")
        run = BillingRun.objects.filter(cycle=cycle, period_start=start).first() if start else None
        return run and Period(run.period_start, run.period_end, self.reseller.zone)


def _key(run: BillingRun) -> str:
    return f"{run.cycle} {run.period_start.isoformat()}"


class BillingErrors(Report):
    """Calls that could not be priced: what is missing, in the order in which repairs help, and where to repair it.

    A repair prices its calls at once. Group by section alone for the summary, by section and item for what to repair
    (as at first), by item and call for the calls themselves.
    """

    slug = "billing-errors"
    name = "Billing errors"
    family = "Usage"
    needs = Capability.VIEW_USAGE
    dimensions = (*FAILED, *(d for d in CALL_DIMENSIONS if d.slug not in ("state", "reason")))
    default_groups = ("section", "item")
    billed = BILLED
    measures = ("calls", "seconds", "cost", "costless")
    columns = (
        REPAIR,
        Int(
            name="calls", label="Calls", total=SUM, help="Calls, messages and data sessions without a price."
        ),
        Int(
            name="items",
            label="Items",
            level=True,
            help="How many different things are missing: numbers, customers without a tariff, destinations.",
        ),
        Minutes(name="seconds", label="Duration", total=SUM, help="Duration of the calls as recorded."),
        Money(
            name="cost",
            label="Cost at least",
            total=SUM,
            needs=Capability.VIEW_WHOLESALE,
            help="What suppliers report for the calls, else what their price list says. Calls without either count "
            "nothing, so it may be more.",
        ),
        Int(
            name="costless",
            label="Without a cost",
            total=SUM,
            needs=Capability.VIEW_WHOLESALE,
            help="Calls whose cost is not known.",
        ),
        DateTime(
            name="first", label="First", level=True, group=WHEN, help="Start of the first of the calls."
        ),
        DateTime(name="last", label="Last", level=True, group=WHEN, help="Start of the last of the calls."),
    )
    charts = (
        Preset("sections", Bar(x="by_section", y=("calls",), title="Calls without a price by section")),
        Preset("items", Bar(x="by_item", y=("calls",), title="Calls without a price by item")),
        Preset(
            "months",
            Stack(x="by_month", y=("calls",), series="by_section", title="Calls without a price by month"),
        ),
        Preset("cost", Bar(x="by_section", y=("cost",), title="Cost at least by section")),
    )

    class Filters(ErrorFilters):
        """Filters of calls, the sections, and the bill run that the calls belong in."""

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns: of one item where it is repaired, of several how many they are."""
        of_items = any(d.slug in ("item", "call") for d in f.groups)
        left_out = "items" if of_items else REPAIR.name
        return [c for c in self.columns if c.name != left_out]

    def rows(self, f: ErrorFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return the sums of each group."""
        sums = {
            "calls": Count("pk"),
            "items": Count(missing(), distinct=True),
            "seconds": Sum("duration"),
            "cost": Coalesce(Sum(f.money("supplied", places=6)), Value(D(0))),
            "costless": Count("pk", filter=Q(supplied_reported=None, supplied_expected=None)),
            "first": Min("started_at"),
            "last": Max("started_at"),
        }
        found = f.grouped(f.priced(_failed(f))).annotate(**sums, **repair_of())
        if [d.slug for d in f.groups] == ["section", "item"]:
            return found.order_by("section_order", "-calls", "by_item", "currency")
        return found

    def tie_outs(
        self,
        f: ErrorFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare the calls with those that the call files count as unpriced, when nothing is left out."""
        narrowed = f.cleaned_data["section"] or f.cleaned_data["run"]
        return [] if narrowed else tied(f, sum(total["calls"] for total in totals))


def _failed(f: ErrorFilters) -> QuerySet[Any]:
    """Return the calls asked for."""
    calls = failed_calls(f)
    if f.cleaned_data["section"]:
        calls = calls.filter(reason__in=f.cleaned_data["section"])
    if period := f.period_of_run:
        calls = calls.filter(started_at__gte=period.starts_at, started_at__lt=period.ends_at)
    return calls
