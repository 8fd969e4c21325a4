"""What came of allowances: a month's use of each, and what calls drew beyond the first allowance that served them.

Both are written by drawing (billing/rating/redraw.py) together with the calls, and follow from calls, packages and the
month before alone.
"""

from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.models.catalogue import Bundle
from billing.models.parties import Customer
from billing.models.services import Number
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel

UNITS: dict[str, Any] = {"max_digits": 18, "decimal_places": 6, "default": 0, "db_default": 0}


class AllowanceUse(TenantModel):
    """A local month of one allowance of one customer (and number, where it is not shared), in the bundle's unit.

    What was `granted`, `carried_in` and drawn by billed calls beyond both (`overdrawn`) is either `used`, `expired` or
    `carried_out`. `drawn` is what calls were spared; `used` may be more where an allowance is drawn in whole steps.
    `lots` lists what is carried out as [month of its grant (years times twelve and months), units in the grain of
    drawing]. Overflow is what no allowance covered of the calls that this one served last: units, calls and their
    price, None where they are of several currencies.
    """

    month = models.DateField()
    customer = Link(Customer, on_delete=models.CASCADE, related_name="allowance_use")
    bundle = Link(Bundle, on_delete=models.CASCADE, related_name="use")
    number = Link(Number, null=True, on_delete=models.CASCADE, related_name="+")
    granted = models.DecimalField(**UNITS)
    carried_in = models.DecimalField(**UNITS)
    used = models.DecimalField(**UNITS)
    drawn = models.DecimalField(**UNITS)
    overdrawn = models.DecimalField(**UNITS)
    expired = models.DecimalField(**UNITS)
    carried_out = models.DecimalField(**UNITS)
    lots = models.JSONField(default=list)
    overflow = models.DecimalField(**UNITS)
    overflow_calls = models.PositiveIntegerField(default=0, db_default=0)
    overflow_charge = models.DecimalField(**{**UNITS, "null": True})
    currency = models.CharField(max_length=3, blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "month", "customer", "bundle", "number"],
                name="allowance_use_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="allowance_use_adds_up",
                condition=Q(
                    granted=F("used") + F("expired") + F("carried_out") - F("carried_in") - F("overdrawn")
                ),
            ),
        ]
        indexes = [models.Index(fields=["reseller", "customer", "month"], name="allowance_use_customer")]

    def __str__(self) -> str:
        return f"{self.bundle.feature_type} of {self.customer}, {self.month:%B %Y}"


class SecondDraw(TenantModel):
    """What a call drew from another allowance than the one it names: in that bundle's unit."""

    call_id = models.BigIntegerField()
    started_at = models.DateTimeField()
    customer = Link(Customer, on_delete=models.CASCADE, related_name="+")
    bundle = Link(Bundle, on_delete=models.CASCADE, related_name="+")
    number = Link(Number, null=True, on_delete=models.CASCADE, related_name="+")
    drawn = models.DecimalField(**UNITS)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        indexes = [
            models.Index(fields=["reseller", "customer", "started_at"], name="second_draw_customer"),
            models.Index(fields=["reseller", "call_id"], name="second_draw_call"),
        ]

    def __str__(self) -> str:
        return f"{self.drawn} of {self.bundle}"
