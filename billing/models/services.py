"""What each customer has: numbers, features, tariffs, contracts, all over half-open date ranges."""

from django.db import models
from django.db.models import F, Q

from billing.models.catalogue import FeatureType, Tariff
from billing.models.overlap import no_overlap
from billing.models.parties import Carrier, Customer
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel

OPEN_OR_AFTER_START = Q(end_date__isnull=True) | Q(end_date__gt=F("start_date"))


class Number(TenantModel):
    """A billable line: an E.164 number, a circuit or account reference. `number` is stored as calls carry it."""

    class Type(models.TextChoices):
        """What kind of line it is."""

        GEOGRAPHIC = "geographic", "Geographic"
        NON_GEOGRAPHIC = "non_geographic", "Non-geographic"
        FREEPHONE = "freephone", "Freephone"
        MOBILE = "mobile", "Mobile or SIM"
        SIP = "sip", "SIP trunk or channel"
        BROADBAND = "broadband", "Broadband"
        DATA_SIM = "data_sim", "Data SIM"
        OTHER = "other", "Other"

    number = models.CharField(max_length=60)
    type = models.CharField(max_length=16, choices=Type.choices, default=Type.GEOGRAPHIC)
    description = models.CharField(max_length=120, blank=True)
    monthly_cost = models.DecimalField(max_digits=12, decimal_places=4, default=0)

    dealer_path = "assignments__customer__dealer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "number"], name="number_once")]

    def __str__(self) -> str:
        return self.number


class NumberIdentity(TenantModel):
    """Another name under which a carrier's records carry a number (circuit, extension, account hint)."""

    number = Link(Number, on_delete=models.CASCADE, related_name="identities")
    identity = models.CharField(max_length=60)

    dealer_path = "number__assignments__customer__dealer_id"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "identity"], name="identity_once")]

    def __str__(self) -> str:
        return self.identity


class NumberAssignment(TenantModel):
    """Whose number it is, from a day up to (not including) another; two never overlap."""

    number = Link(Number, on_delete=models.CASCADE, related_name="assignments")
    customer = Link(Customer, on_delete=models.PROTECT, related_name="assignments")
    site = models.CharField(max_length=80, blank=True)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            no_overlap("assignment_no_overlap", "number_id", "start_date", "end_date"),
            models.CheckConstraint(name="assignment_dates", condition=OPEN_OR_AFTER_START),
        ]
        indexes = [
            models.Index(fields=["reseller", "number", "start_date"], name="assignment_number"),
            models.Index(fields=["reseller", "customer"], name="assignment_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.number} to {self.customer}"


class Feature(TenantModel):
    """Something a customer has from the catalogue, from a day up to (not including) another.

    A dated change of its price or quantity ends the row and starts one that `continues` it: no new activation, no
    early-termination charge, the same minimum term. One that ends before `minimum_term_end`, the first day on which
    it may end free of charge, is charged `termination_percent` of what the rest of the term would have cost, unless
    `termination_waived` says that this end is free.
    """

    customer = Link(Customer, on_delete=models.PROTECT, related_name="features")
    number = Link(Number, null=True, blank=True, on_delete=models.PROTECT, related_name="features")
    feature_type = Link(FeatureType, on_delete=models.PROTECT, related_name="features")
    quantity = models.PositiveIntegerField(default=1)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)
    price = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    discount_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    minimum_term_end = models.DateField(null=True, blank=True)
    termination_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0, db_default=0)
    termination_waived = models.BooleanField(default=False, db_default=False)
    not_charged = models.BooleanField(default=False)
    reference = models.CharField(max_length=80, blank=True)
    continues = Link("self", null=True, blank=True, on_delete=models.PROTECT, related_name="continued_by")

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(name="feature_dates", condition=OPEN_OR_AFTER_START),
            models.CheckConstraint(name="feature_quantity", condition=Q(quantity__gte=1)),
            models.CheckConstraint(
                name="feature_discount_percent",
                condition=Q(discount_percent__gte=0, discount_percent__lte=100),
            ),
            models.CheckConstraint(
                name="feature_termination_percent", condition=Q(termination_percent__gte=0)
            ),
            models.UniqueConstraint(fields=["reseller", "continues"], name="feature_continued_once"),
        ]
        indexes = [
            models.Index(fields=["reseller", "customer", "start_date"], name="feature_customer"),
            models.Index(fields=["reseller", "feature_type", "start_date"], name="feature_type_start"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_type} for {self.customer}"


class Supply(TenantModel):
    """Which carrier supplies a number or a feature over which dates: past margin keeps its supplier."""

    number = Link(Number, null=True, blank=True, on_delete=models.CASCADE, related_name="supplies")
    feature = Link(Feature, null=True, blank=True, on_delete=models.CASCADE, related_name="supplies")
    carrier = Link(Carrier, on_delete=models.PROTECT, related_name="supplies")
    reference = models.CharField(max_length=80, blank=True)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="supply_of_one",
                condition=Q(number__isnull=False, feature__isnull=True)
                | Q(number__isnull=True, feature__isnull=False),
            ),
            models.CheckConstraint(name="supply_dates", condition=OPEN_OR_AFTER_START),
            no_overlap(
                "supply_number_no_overlap",
                "number_id",
                "start_date",
                "end_date",
                condition=Q(number__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["reseller", "carrier"], name="supply_carrier")]

    def __str__(self) -> str:
        return f"{self.carrier} supplies {self.number or self.feature}"


class TariffAssignment(TenantModel):
    """Which tariff prices a customer's or a number's calls of a class (blank = every class) over which dates."""

    customer = Link(
        Customer, null=True, blank=True, on_delete=models.CASCADE, related_name="tariff_assignments"
    )
    number = Link(Number, null=True, blank=True, on_delete=models.CASCADE, related_name="tariff_assignments")
    tariff = Link(Tariff, on_delete=models.PROTECT, related_name="assignments")
    call_class = models.CharField(max_length=30, blank=True)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)

    dealer_path = "customer__dealer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tariff_assignment_of_one",
                condition=Q(number__isnull=False, customer__isnull=True)
                | Q(number__isnull=True, customer__isnull=False),
            ),
            models.CheckConstraint(name="tariff_assignment_dates", condition=OPEN_OR_AFTER_START),
            models.UniqueConstraint(
                fields=["reseller", "customer", "number", "call_class", "start_date"],
                name="tariff_assignment_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tariff} for {self.customer or self.number}"


class Contract(TenantModel):
    """What a customer has committed to, until when."""

    customer = Link(Customer, on_delete=models.CASCADE, related_name="contracts")
    reference = models.CharField(max_length=80)
    start_date = models.DateField()
    minimum_term_end = models.DateField(null=True, blank=True)
    notice_days = models.PositiveSmallIntegerField(default=30)

    dealer_path = "customer__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "customer", "reference"], name="contract_once")
        ]

    def __str__(self) -> str:
        return self.reference
