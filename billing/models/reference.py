"""Exchange rates, and what billing cannot know."""

from django.db import models
from django.db.models import Q

from resellerkpi.core.models import TenantModel


class ExchangeRate(TenantModel):
    """Units of `currency` for one `base` on a day, from a named source."""

    date = models.DateField()
    base = models.CharField(max_length=3, default="EUR")
    currency = models.CharField(max_length=3)
    rate = models.DecimalField(max_digits=18, decimal_places=8)
    source = models.CharField(max_length=40, default="ECB")

    dealer_path = ""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "date", "base", "currency"], name="rate_once_a_day"),
            models.CheckConstraint(name="exchange_rate_positive", condition=Q(rate__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.base}/{self.currency} {self.rate}"


class Observation(TenantModel):
    """One value that billing cannot know: metric, day, dimension, key (spend per campaign, visits per source…)."""

    metric = models.CharField(max_length=60)
    date = models.DateField()
    dimension = models.CharField(max_length=40, blank=True)
    key = models.CharField(max_length=80, blank=True)
    value = models.DecimalField(max_digits=18, decimal_places=6)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "metric", "date", "dimension", "key", "currency"], name="observation_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.date}: {self.value}"
