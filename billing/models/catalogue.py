"""What is sold and at what price: tariffs, rates, time bands, feature types, bundles.

Dated rows end, they are never rewritten: `valid_to` is exclusive.
"""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.models.overlap import no_overlap
from billing.models.parties import Carrier
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel, User

ZERO_RATE: dict[str, Any] = {"max_digits": 18, "decimal_places": 8, "default": 0}


class Tariff(TenantModel):
    """A retail or wholesale price list; a rate not found in it is looked for in its parent.

    `access_charge` is what a minute costs on top of a rate that is a service charge (UK 084, 087, 09, 118); a
    tariff without one takes its parent's.
    """

    class Kind(models.TextChoices):
        """Which side of the trade the tariff is on."""

        RETAIL = "retail", "Retail (what customers pay)"
        WHOLESALE = "wholesale", "Wholesale (what we pay)"

    class Rounding(models.TextChoices):
        """How the price of a call is rounded."""

        HALF_UP = "half_up", "Half up"
        HALF_EVEN = "half_even", "Half to even"
        UP = "up", "Up"
        DOWN = "down", "Down"

    class BandRule(models.TextChoices):
        """Which time band prices a call that crosses a boundary."""

        START = "start", "Band at the start of the call"
        SPLIT = "split", "Split at the boundary"

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RETAIL)
    currency = models.CharField(max_length=3, default="GBP")
    parent = Link("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    carrier = Link(Carrier, null=True, blank=True, on_delete=models.PROTECT, related_name="tariffs")
    is_default = models.BooleanField(default=False)
    default_number_type = models.CharField(max_length=16, blank=True)
    time_zone = models.CharField(max_length=60, default="Europe/London")
    holidays = models.CharField(max_length=10, default="GB-ENG", blank=True)
    places = models.PositiveSmallIntegerField(default=4)
    rounding = models.CharField(max_length=10, choices=Rounding.choices, default=Rounding.HALF_UP)
    band_rule = models.CharField(max_length=6, choices=BandRule.choices, default=BandRule.START)
    charge_unanswered = models.BooleanField(default=False)
    fee_inside_allowance = models.BooleanField(default=True)
    data_unit_mb = models.DecimalField(max_digits=12, decimal_places=6, default=1)
    data_per_period = models.BooleanField(default=False)
    markup_percent = models.DecimalField(max_digits=7, decimal_places=2, null=True, blank=True)
    access_charge = models.DecimalField(max_digits=18, decimal_places=8, null=True, blank=True)
    superseded_on = models.DateField(null=True, blank=True)
    successor = Link("self", null=True, blank=True, on_delete=models.PROTECT, related_name="predecessors")

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "name"], name="tariff_name"),
            models.CheckConstraint(name="tariff_places", condition=Q(places__lte=6)),
            models.CheckConstraint(name="tariff_data_unit", condition=Q(data_unit_mb__gt=0)),
        ]

    def __str__(self) -> str:
        return self.name


class TariffMarkup(TenantModel):
    """What is put on the wholesale cost of a call of a class when the tariff has no rate; it stands before the
    tariff's own `markup_percent`, which is for every other class.
    """

    tariff = Link(Tariff, on_delete=models.CASCADE, related_name="markups")
    call_class = models.CharField(max_length=30)
    percent = models.DecimalField(max_digits=7, decimal_places=2)

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "tariff", "call_class"], name="tariff_markup_once"),
            models.CheckConstraint(name="tariff_markup_percent", condition=Q(percent__gt=-100)),
        ]

    def __str__(self) -> str:
        return f"{self.call_class} {self.percent} %"


class TimeBand(TenantModel):
    """A time band of a tariff: weekdays (bit 0 = Monday), local minutes of the day, holidays; higher priority wins."""

    tariff = Link(Tariff, on_delete=models.CASCADE, related_name="bands")
    code = models.CharField(max_length=12)
    weekdays = models.PositiveSmallIntegerField(default=127)
    start_minute = models.PositiveSmallIntegerField(default=0)
    end_minute = models.PositiveSmallIntegerField(default=1440)
    on_holidays = models.BooleanField(default=False)
    priority = models.PositiveSmallIntegerField(default=0)

    dealer_path = ""

    class Meta:
        indexes = [models.Index(fields=["reseller", "tariff"], name="time_band_tariff")]
        constraints = [
            models.CheckConstraint(
                name="time_band_minutes",
                condition=Q(start_minute__lt=F("end_minute"), end_minute__lte=1440, weekdays__lte=127),
            )
        ]

    def __str__(self) -> str:
        return self.code


class TariffRate(TenantModel):
    """The price of one destination: keyed by dialled prefix or by the supplier's charge code, in a band, over dates.

    `price` is per minute for voice, per event for SMS, per tariff data unit for data. With `is_service_charge` the
    price is the called provider's service charge and the customer's tariff adds its own access charge.
    """

    class Service(models.TextChoices):
        """What kind of event is priced."""

        VOICE = "voice", "Voice"
        SMS = "sms", "SMS"
        DATA = "data", "Data"

    class KeyKind(models.TextChoices):
        """How the rate is found."""

        PREFIX = "prefix", "Dialled prefix"
        CODE = "code", "Supplier's charge code"

    tariff = Link(Tariff, on_delete=models.CASCADE, related_name="rates")
    service = models.CharField(max_length=5, choices=Service.choices, default=Service.VOICE)
    key_kind = models.CharField(max_length=6, choices=KeyKind.choices, default=KeyKind.PREFIX)
    key = models.CharField(max_length=40, blank=True)
    destination = models.CharField(max_length=120, blank=True)
    call_class = models.CharField(max_length=30, blank=True)
    band = models.CharField(max_length=12, blank=True)
    price = models.DecimalField(**ZERO_RATE)
    connection_fee = models.DecimalField(**ZERO_RATE)
    minimum_charge = models.DecimalField(**ZERO_RATE)
    maximum_charge = models.DecimalField(max_digits=18, decimal_places=8, null=True, blank=True)
    initial_increment = models.PositiveIntegerField(default=1)
    next_increment = models.PositiveIntegerField(default=1)
    free_seconds = models.PositiveIntegerField(default=0)
    is_service_charge = models.BooleanField(default=False, db_default=False)
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "tariff", "service", "key_kind", "key", "band", "valid_from"],
                name="rate_once",
            ),
            models.CheckConstraint(
                name="rate_increments", condition=Q(initial_increment__gte=1, next_increment__gte=1)
            ),
            models.CheckConstraint(
                name="rate_dates", condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.destination or self.key} {self.price}"


class FeatureType(TenantModel):
    """A catalogue entry: call recording, line rental, call plan, handset… A package carries allowances.

    `termination_percent` of what the rest of a minimum term would have cost is charged to who leaves inside it.
    """

    class Kind(models.TextChoices):
        """What the entry is."""

        LINE = "line", "Line or channel"
        FEATURE = "feature", "Feature"
        PACKAGE = "package", "Package with allowance"
        HARDWARE = "hardware", "Hardware"

    class Interval(models.TextChoices):
        """How often it is charged."""

        MONTH = "month", "Monthly"
        QUARTER = "quarter", "Quarterly"
        YEAR = "year", "Yearly"
        ONCE = "once", "Once"

    class Timing(models.TextChoices):
        """Before or after the period served."""

        ADVANCE = "advance", "In advance"
        ARREARS = "arrears", "In arrears"

    class Prorate(models.TextChoices):
        """How part periods are charged."""

        ACTUAL = "actual", "By actual days"
        THIRTY = "30", "By a 30-day month"
        NONE = "none", "Full price"

    code = models.CharField(max_length=60)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.FEATURE)
    per_number = models.BooleanField(default=False)
    currency = models.CharField(max_length=3, default="GBP")
    interval = models.CharField(max_length=8, choices=Interval.choices, default=Interval.MONTH)
    timing = models.CharField(max_length=8, choices=Timing.choices, default=Timing.ADVANCE)
    prorate = models.CharField(max_length=6, choices=Prorate.choices, default=Prorate.ACTUAL)
    activation_fee = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    minimum_term_months = models.PositiveSmallIntegerField(default=0)
    termination_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0, db_default=0)
    carrier = Link(Carrier, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    carrier_product = models.CharField(max_length=80, blank=True)
    ladder = models.CharField(max_length=40, blank=True)
    level = models.PositiveSmallIntegerField(null=True, blank=True)
    own_name = models.BooleanField(default=True)
    own_bill = models.BooleanField(default=True)
    own_support = models.BooleanField(default=True)
    is_available = models.BooleanField(default=True)

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "code"], name="feature_type_code"),
            models.CheckConstraint(
                name="feature_type_termination_percent",
                condition=Q(termination_percent__gte=0, termination_percent__lte=100),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FeatureImplication(TenantModel):
    """Having one feature type implies having another (a call plan implies its line)."""

    feature_type = Link(FeatureType, on_delete=models.CASCADE, related_name="implications")
    implied = Link(FeatureType, on_delete=models.CASCADE, related_name="implied_by")

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "feature_type", "implied"], name="feature_implication_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.feature_type} implies {self.implied}"


class FeaturePrice(TenantModel):
    """The list price and supplier cost of a feature type per interval, over dates."""

    feature_type = Link(FeatureType, on_delete=models.CASCADE, related_name="prices")
    price = models.DecimalField(max_digits=18, decimal_places=6)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "feature_type", "valid_from"], name="price_once"),
            no_overlap("price_no_overlap", "feature_type_id", "valid_from", "valid_to"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_type} {self.price}"


class Bundle(TenantModel):
    """An allowance per month that comes with a package: minutes, calls, SMS, data or money.

    `amount` counts seconds, events, megabytes or currency units; blank destination or class means any.
    `step` draws in whole steps. Lower `priority` draws first. `shared` pools it across the customer's numbers,
    otherwise each package feature serves its own number. `member_cap` is the most that one number may draw from a
    shared pool in a month. What is left of a month may be used for `rollover_months` more, at most `rollover_cap`
    of it; what was carried over is drawn first. It holds from `valid_from` up to (not including) `valid_to`.
    """

    class Unit(models.TextChoices):
        """What the allowance counts."""

        SECONDS = "seconds", "Minutes (counted in seconds)"
        CALLS = "calls", "Calls"
        SMS = "sms", "SMS"
        DATA = "data", "Data (MB)"
        MONEY = "money", "Money"

    feature_type = Link(FeatureType, on_delete=models.CASCADE, related_name="bundles")
    unit = models.CharField(max_length=8, choices=Unit.choices)
    amount = models.DecimalField(max_digits=18, decimal_places=6)
    step = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    call_class = models.CharField(max_length=30, blank=True)
    prefixes = models.CharField(max_length=400, blank=True)
    shared = models.BooleanField(default=True)
    priority = models.PositiveSmallIntegerField(default=0)
    prorate_first = models.BooleanField(default=False)
    member_cap = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    rollover_months = models.PositiveSmallIntegerField(default=0, db_default=0)
    rollover_cap = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True)

    dealer_path = ""

    class Meta:
        indexes = [models.Index(fields=["reseller", "feature_type"], name="bundle_feature_type")]
        constraints = [
            models.CheckConstraint(name="bundle_amount", condition=Q(amount__gte=0)),
            models.CheckConstraint(
                name="bundle_caps",
                condition=(Q(member_cap__isnull=True) | Q(member_cap__gt=0))
                & (Q(rollover_cap__isnull=True) | Q(rollover_cap__gt=0))
                & Q(rollover_months__lte=12),
            ),
            models.CheckConstraint(
                name="bundle_dates",
                condition=Q(valid_from__isnull=True)
                | Q(valid_to__isnull=True)
                | Q(valid_to__gt=F("valid_from")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.get_unit_display()}"


class PriceUplift(TenantModel):
    """A rise of prices from a day on by an index (CPI, RPI) plus a margin; applied once, then a record of what it did.

    `percent` is the whole rise; `summary` holds the counts and sums of the preview that was applied.
    """

    name = models.CharField(max_length=80)
    index = models.CharField(max_length=12, blank=True)
    index_percent = models.DecimalField(max_digits=7, decimal_places=3, default=0)
    plus_percent = models.DecimalField(max_digits=7, decimal_places=3, default=0)
    percent = models.DecimalField(max_digits=7, decimal_places=3)
    effective_date = models.DateField()
    round_to = models.DecimalField(max_digits=8, decimal_places=4, default=Decimal("0.01"))
    scope = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)
    applied_at = models.DateTimeField(null=True)
    applied_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "name"], name="price_uplift_name"),
            models.CheckConstraint(name="price_uplift_round_to", condition=Q(round_to__gt=0)),
            models.CheckConstraint(name="price_uplift_percent", condition=Q(percent__gt=-100)),
        ]

    def __str__(self) -> str:
        return self.name
