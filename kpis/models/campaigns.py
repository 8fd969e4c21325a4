"""Campaigns: what customers and marketing figures name, with the source they belong to."""

from django.db import models
from django.db.models import F, Q

from resellerkpi.core.models import TenantModel


class Campaign(TenantModel):
    """A campaign under the name that customers and observations give it; `source` is where its people come from."""

    name = models.CharField(max_length=80)
    source = models.CharField(max_length=80, blank=True)
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True, help_text="The day after its last day.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "name"], name="campaign_once"),
            models.CheckConstraint(
                condition=Q(end_date__isnull=True)
                | Q(start_date__isnull=True)
                | Q(end_date__gt=F("start_date")),
                name="campaign_days",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="campaign_named"),
        ]

    def __str__(self) -> str:
        return self.name
