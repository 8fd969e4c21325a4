"""The Margin report."""

from collections.abc import Iterable
from decimal import Decimal as D

from django import forms
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce

from reports.calls import BILLED, CALL_DIMENSIONS, COSTS, CallFilters, calls_of, summed
from reports.report import Preset, Report
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Int, Minutes, Money, Percent, Row

WHOLESALE, EARNED, UNDER = "Wholesale", "Margin", "Sold under cost"


class Margin(Report):
    """What calls earn: retail less wholesale by customer, supplier, destination or class, and what is sold under cost.

    Of priced calls; those of test accounts are left out, as they are of the KPIs.
    """

    slug = "margin"
    name = "Margin of calls"
    family = "Usage"
    needs = Capability.VIEW_MARGIN
    dimensions = CALL_DIMENSIONS
    default_groups = ("customer",)
    billed = BILLED
    columns = (
        Int(name="calls", label="Calls", total=SUM, help="Priced calls, free ones too."),
        Minutes(
            name="billed", label="Billed duration", total=SUM, help="Duration the price is worked out on."
        ),
        Money(
            name="retail",
            label="Retail",
            total=SUM,
            needs=Capability.VIEW_MONEY,
            help="What customers are charged for the calls, before VAT and after allowances.",
        ),
        Money(
            name="expected",
            label="Expected",
            total=SUM,
            group=WHOLESALE,
            needs=Capability.VIEW_WHOLESALE,
            help="What the calls should cost by the supplier's price list.",
        ),
        Money(
            name="reported",
            label="Reported",
            total=SUM,
            group=WHOLESALE,
            needs=Capability.VIEW_WHOLESALE,
            help="What the supplier's call records say the calls cost.",
        ),
        Money(
            name="cost",
            label="Cost",
            total=SUM,
            group=WHOLESALE,
            needs=Capability.VIEW_WHOLESALE,
            help="The cost counted: reported, or expected for calls without a reported cost.",
        ),
        Money(
            name="margin",
            label="Margin",
            total=SUM,
            group=EARNED,
            needs=Capability.VIEW_MARGIN,
            help="Retail less cost.",
        ),
        Percent(
            name="margin_percent",
            label="Margin %",
            parts=("margin", "retail"),
            group=EARNED,
            needs=Capability.VIEW_MARGIN,
            help="Margin divided by retail.",
        ),
        Percent(
            name="markup",
            label="Markup %",
            parts=("margin", "cost"),
            group=EARNED,
            needs=Capability.VIEW_MARGIN,
            help="Margin divided by cost.",
        ),
        Int(
            name="losing",
            label="Calls under cost",
            total=SUM,
            group=UNDER,
            needs=Capability.VIEW_MARGIN,
            help="Calls that cost more than they are sold for, both in one currency.",
        ),
        Money(
            name="lost",
            label="Lost on them",
            total=SUM,
            group=UNDER,
            needs=Capability.VIEW_MARGIN,
            help="By how much those calls cost more than they are sold for.",
        ),
    )
    charts = (
        Preset("customers", Bar(x="by_customer", y=("margin",), title="Margin by customer")),
        Preset("suppliers", Bar(x="by_carrier", y=("margin",), title="Margin by supplier")),
        Preset("destinations", Bar(x="by_destination", y=("margin",), title="Margin by destination")),
        Preset("classes", Bar(x="by_class", y=("margin",), title="Margin by class of call")),
        Preset("months", Bar(x="by_month", y=("margin",), title="Margin by month"), grain="month"),
    )

    class Filters(CallFilters):
        """Filters of calls, and the list of what is sold under cost."""

        default_period = "last_month"
        below = forms.BooleanField(required=False, label="Only calls sold under their cost")

    def rows(self, f: CallFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return the sums of each group."""
        under = Q(supplied__gt=F("retail"), currency=F("cost_currency"))
        calls = calls_of(f).filter(state__in=("rated", "zero")).exclude(customer__is_test=True)
        if f.cleaned_data["below"]:
            calls = calls.filter(under)
        lost = Sum(f.money("supplied", places=6) - f.money("retail", places=6), filter=under)
        sums = {
            "losing": Count("pk", filter=under),
            "lost": Coalesce(lost, Value(D(0))),
            "calls": Count("pk"),
            "billed": Sum("billed_seconds"),
        }
        costs = {**COSTS, "expected": "supplied_expected", "reported": "supplied_reported"}
        return summed(f, calls, sums, costs)
