"""Why customers leave and stay: churn by reason over time, their words, who they went to, what keeps the others."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, F
from django.urls import reverse

from billing.models import Customer, CustomerEvent
from kpis.campaigns import points_by
from kpis.models import StayAnswer
from kpis.web.campaigns import MonthsPage
from kpis.web.columns import Month
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Stack
from resellerkpi.core.columns import SUM, Choice, Column, Date, Int, Text
from resellerkpi.core.periods import add_months
from resellerkpi.ui.panels import ChartPanel, EmptyState, Panel, TablePanel

R = CustomerEvent.Reason
#: Reasons that are not the customer's own choice, and those that are a kind of their own.
GROUPS = {R.NON_PAYMENT: "Involuntary", R.CEASED_TRADING: "Involuntary", R.PORT_OUT: "Ported out"}
LISTED = 50


def group_of(reason: str) -> str:
    """Return whether a customer of a reason left of its own will."""
    if not reason or reason == "unknown":
        return "Not said"
    return next((group for known, group in GROUPS.items() if known == reason), "Voluntary")


class Why(MonthsPage):
    """Why customers leave and stay."""

    capability = Capability.VIEW_KPIS
    title = "Why customers leave and stay"
    purpose = (
        "Customers lost by reason over time, what they said, who they went to, and what keeps the others."
    )

    def get_context(self) -> dict[str, Any]:
        """Return the panels over the months asked for."""
        months, problem = self.months()
        panels: list[Panel] = [self.chooser(months, problem), *self.lost(months)]
        first, end = months[0], add_months(months[-1], 1)
        panels += [competitors(first, end), leavers(first, end), *stayers(first, end)]
        return {"panels": panels, "back": ("KPIs", reverse("kpi-list"))}

    def lost(self, months: Sequence[date]) -> list[Panel]:
        """Return customers lost by reason, month by month and in all of them."""
        points = points_by(self.reader(), ["customers_lost"], months, "reason").get("customers_lost", [])
        by_month: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
        by_reason: defaultdict[str, Decimal] = defaultdict(Decimal)
        for p in points:
            if p.numerator:
                by_month[p.month, p.key] += p.numerator
                by_reason[p.key] += p.numerator
        names = {**dict(R.choices), "unknown": "Not said", "": "Not said"}
        ranked = sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
        rows = [
            {"month": m, "reason": names.get(k, k), "count": by_month[m, k]}
            for k, _ in ranked
            for m in months
        ]
        columns: list[Column] = [Month(name="month", label="Month"), Text(name="reason", label="Reason")]
        chart = ChartPanel(
            "Customers lost",
            Stack(x="month", y=("count",), series="reason", title="Customers lost by reason"),
            rows,
            [*columns, Int(name="count", label="Customers", total=SUM)],
            note="Involuntary: did not pay, ceased trading. The reason is asked for when a customer is ceased.",
            empty=EmptyState("No customer was lost in these months."),
        )
        told = [{"reason": names.get(k, k), "group": group_of(k), "count": n} for k, n in ranked]
        shown: list[Column] = [columns[1], Text(name="group", label="Left")]
        table = TablePanel(
            "By reason", [*shown, Int(name="count", label="Customers", total=SUM)], told, wide=False
        )
        return [chart, table] if told else [chart]


def ceased(first: date, end: date) -> Any:
    """Return the customers' leaving in some months."""
    return CustomerEvent.objects.filter(
        status=Customer.Status.CEASED, date__gte=first, date__lt=end, customer__is_test=False
    )


def competitors(first: date, end: date) -> TablePanel:
    """Return who they went to."""
    rows = (
        ceased(first, end)
        .exclude(competitor="")
        .values("competitor")
        .annotate(customers=Count("pk"))
        .order_by("-customers", "competitor")
    )
    columns = [
        Text(name="competitor", label="Competitor"),
        Int(name="customers", label="Customers", total=SUM),
    ]
    return TablePanel(
        "Who they went to", columns, list(rows), wide=False, empty=EmptyState("Nobody named a competitor.")
    )


def leavers(first: date, end: date) -> TablePanel:
    """Return who left, why, and what they said."""
    rows = ceased(first, end).order_by("-date", "pk")
    told = rows.values(
        "date", "reason", "competitor", "words", name=F("customer__name"), who=F("customer_id")
    )
    columns = [
        Text(name="name", label="Customer"),
        Date(name="date", label="Left"),
        Choice(name="reason", label="Reason", choices=tuple(R.choices)),
        Text(name="competitor", label="Went to"),
        Text(name="words", label="In their words"),
    ]
    listed = [{**row, "pk": row["who"]} for row in told[:LISTED]]
    title = f"Who left, the last {LISTED}" if len(listed) == LISTED else "Who left"
    return TablePanel(
        title, columns, listed, row_url="customer", empty=EmptyState("Nobody left in these months.")
    )


def stayers(first: date, end: date) -> list[Panel]:
    """Return what keeps customers, and what they said."""
    rows = StayAnswer.objects.filter(
        answered_at__date__gte=first, answered_at__date__lt=end, customer__is_test=False
    )
    counts = rows.values("reason").annotate(answers=Count("pk")).order_by("-answers", "reason")
    reason = Choice(name="reason", label="What keeps them", choices=tuple(StayAnswer.Reason.choices))
    told = rows.order_by("-answered_at", "pk").values(
        "reason", "words", name=F("customer__name"), who=F("customer_id"), date=F("answered_at__date")
    )
    listed = [{**row, "pk": row["who"]} for row in told[:LISTED]]
    empty = EmptyState("No customer has been asked. Ask from a customer's page: “Why do they stay?”.")
    words = Text(name="words", label="In their words")
    columns = [Text(name="name", label="Customer"), Date(name="date", label="Answered"), reason, words]
    return [
        TablePanel(
            "What keeps customers",
            [reason, Int(name="answers", label="Answers", total=SUM)],
            list(counts),
            empty=empty,
        ),
        *([TablePanel("Who stays, and why", columns, listed, row_url="customer")] if listed else []),
    ]
