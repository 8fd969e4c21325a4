"""The Calls behind fraud warnings report."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import QuerySet

from billing.models import FraudAlert
from billing.watch.calls import calls_of
from reports.filters import ReportFilters
from reports.report import Report
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Choice, Code, DateTime, Int, Minutes, Money, Row, Text
from resellerkpi.core.periods import midnight

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE


class FraudCalls(Report):
    """The calls behind the fraud watch's warnings: one line per call and warning.

    Warnings first seen in the period. The watch mails this report with each new warning.
    """

    slug = "fraud-calls"
    name = "Calls behind fraud warnings"
    family = "Usage"
    needs = Capability.VIEW_USAGE
    keys = ("warning", "call_id")
    columns = (
        Text(name="warning", label="Warning", help="The customer, number or destination warned of."),
        Choice(name="mark", label="What", choices=FraudAlert.Mark.choices),
        DateTime(name="started_at", label="Started"),
        Code(name="code", label="Account"),
        Text(name="customer", label="Customer", url="customer"),
        Code(name="number", label="Number"),
        Code(name="dialled", label="Dialled"),
        Text(name="destination", label="Destination"),
        Minutes(name="seconds", label="Minutes", total=SUM),
        Money(name="retail", label="Price", decimals=4, total=SUM, needs=MONEY, help="Retail before VAT."),
        Code(name="currency", label="Currency", needs=MONEY),
        Money(
            name="cost", label="Cost", currency="cost_currency", decimals=4, needs=WHOLESALE,
            help="What the carrier charges, else the wholesale tariff's price.",
        ),
        Code(name="cost_currency", label="Cost currency", needs=WHOLESALE),
        Int(name="call_id", label="Call", hidden=True, help="The number of the call in this system."),
    )  # fmt: skip

    class Filters(ReportFilters):
        """The days on which warnings were first seen, or one warning."""

        warning = forms.IntegerField(
            required=False,
            label="Warning",
            min_value=1,
            max_value=2**62,
            help_text="The number of one warning.",
        )
        mail = forms.UUIDField(required=False, label="Mail", widget=forms.HiddenInput())

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the calls of each warning in order of time."""
        return calls_of(f.reseller, alerts(f))


def alerts(f: ReportFilters) -> QuerySet[Any]:
    """Return the warnings asked for, in the scope in force."""
    asked = f.cleaned_data
    if asked["mail"]:
        return FraudAlert.objects.filter(request=asked["mail"]).order_by("pk")
    if asked["warning"]:
        return FraudAlert.objects.filter(pk=asked["warning"])
    zone = f.interval.zone
    return FraudAlert.objects.filter(
        first_seen__gte=midnight(f.interval.start, zone), first_seen__lt=midnight(f.interval.end, zone)
    ).order_by("pk")
