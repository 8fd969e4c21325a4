"""What the post-billing report of a bill run found when the bills were produced."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from billing.models import BillingRun
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel


class PostBilling(TenantModel):
    """The figures of a run's post-billing report, worked out once after the bills were produced.

    `figures` holds sums, counts, the bills that need a look and the forecast as plain values; amounts are texts.
    """

    run = Link(BillingRun, on_delete=models.CASCADE, related_name="+")
    made_at = models.DateTimeField()
    figures = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reseller", "run"], name="post_billing_once")]

    def __str__(self) -> str:
        return f"Post-billing of {self.run}"
