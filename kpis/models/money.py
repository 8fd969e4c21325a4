"""Month-end facts of money and usage: billed, paid, owed, called."""

from django.db import models

from kpis.models.book import AMOUNT, Fact
from resellerkpi.core.models import Reseller, TenantModel


class MoneyFact(Fact):
    """A customer's money in a currency: billed, credited and paid in the month, owed at the close by age."""

    currency = models.CharField(max_length=3)
    invoices = models.IntegerField()
    net = models.DecimalField(**AMOUNT)
    gross = models.DecimalField(**AMOUNT)
    credited_net = models.DecimalField(**AMOUNT)
    average_invoices = models.IntegerField()
    average_net = models.DecimalField(**AMOUNT)
    service_net = models.DecimalField(**AMOUNT)
    paid = models.DecimalField(**AMOUNT)
    not_due = models.DecimalField(**AMOUNT)
    late_30 = models.DecimalField(**AMOUNT)
    late_60 = models.DecimalField(**AMOUNT)
    late_90 = models.DecimalField(**AMOUNT)
    late_more = models.DecimalField(**AMOUNT)
    credited_gross = models.DecimalField(**AMOUNT)
    settled_cash = models.DecimalField(**AMOUNT)
    settled_credit = models.DecimalField(**AMOUNT)
    refunded = models.DecimalField(**AMOUNT)
    written_off = models.DecimalField(**AMOUNT)
    on_account = models.DecimalField(**AMOUNT)
    disputed = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "currency"], name="money_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer} {self.currency} in {self.month:%Y-%m}"


class LineFact(Fact):
    """What a customer was billed in the month in a currency, by kind of line and class of call, ex VAT.

    Credit notes are lines of the kind credit_note, with a negative net.
    """

    currency = models.CharField(max_length=3)
    kind = models.CharField(max_length=12)
    call_class = models.CharField(max_length=30, blank=True)
    lines = models.IntegerField()
    net = models.DecimalField(**AMOUNT)
    cost = models.DecimalField(**AMOUNT)
    calls = models.BigIntegerField()
    seconds = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "currency", "kind", "call_class"],
                name="line_fact_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.net} {self.currency} in {self.month:%Y-%m}"


class UsageFact(Fact):
    """A customer's calls of the month by carrier, service, class and currency, rated or zero.

    Cost stands in its own currency; `estimated` is the part of it that no carrier reported.
    """

    carrier_id = models.BigIntegerField()
    service = models.CharField(max_length=5)
    call_class = models.CharField(max_length=30, blank=True)
    currency = models.CharField(max_length=3)
    calls = models.BigIntegerField()
    seconds = models.BigIntegerField()
    volume = models.DecimalField(**AMOUNT)
    retail = models.DecimalField(**AMOUNT)
    cost = models.DecimalField(**AMOUNT)
    estimated = models.DecimalField(**AMOUNT)
    losing = models.BigIntegerField()
    lost = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "carrier_id", "service", "call_class", "currency"],
                name="usage_fact_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.month:%Y-%m}"


class TrafficFact(TenantModel):
    """All calls of the month by carrier, service, destination, state, reason and currency, whosever they are."""

    reseller = models.ForeignKey(
        Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    month = models.DateField()
    day = models.DateField()
    carrier_id = models.BigIntegerField()
    service = models.CharField(max_length=5)
    destination = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=8)
    reason = models.CharField(max_length=16, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    calls = models.BigIntegerField()
    seconds = models.BigIntegerField()
    retail = models.DecimalField(**AMOUNT)
    cost = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("reseller", "month", "carrier_id", "service", "destination"),
                    *("state", "reason", "currency"),
                ],
                name="traffic_fact_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.calls} calls to {self.destination} in {self.month:%Y-%m}"


class CallingFact(Fact):
    """A customer's number that made or took calls in the month: how many, and the day of the last one."""

    number_id = models.BigIntegerField()
    calls = models.BigIntegerField()
    last_day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "number_id"], name="calling_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.month:%Y-%m}"


class DynamicsFact(Fact):
    """A customer's ledger balance at the close (plus is in credit), and refills and package charges of the month."""

    currency = models.CharField(max_length=3)
    balance = models.DecimalField(**AMOUNT)
    refills = models.IntegerField()
    refilled = models.DecimalField(**AMOUNT)
    activations = models.IntegerField()
    activated = models.DecimalField(**AMOUNT)
    renewals = models.IntegerField()
    renewed = models.DecimalField(**AMOUNT)
    charged = models.DecimalField(**AMOUNT)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "currency"], name="dynamics_fact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.balance} {self.currency} in {self.month:%Y-%m}"
