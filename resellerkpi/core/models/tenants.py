"""The tenant: a reseller, and the base of everything that belongs to one."""

from zoneinfo import ZoneInfo

from django.db import models

from resellerkpi.core.querysets import ScopedManager


class Reseller(models.Model):
    """A telecom reseller: brand, legal identity, zone, currency and billing defaults."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    legal_name = models.CharField(max_length=200, blank=True)
    address = models.TextField(blank=True)
    vat_number = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, default="GB")
    time_zone = models.CharField(max_length=60, default="Europe/London")
    currency = models.CharField(max_length=3, default="GBP")
    colour = models.CharField(max_length=7, default="#0f5c8c")
    from_name = models.CharField(max_length=120, blank=True)
    portal_host = models.CharField(max_length=200, blank=True)
    invoice_prefix = models.CharField(max_length=12, default="INV-")
    terms_days = models.PositiveSmallIntegerField(default=14)
    vat_rate = models.DecimalField(max_digits=5, decimal_places=2, default=20)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """The reseller's time zone: days and months are its own."""
        return ZoneInfo(self.time_zone)


class TenantModel(models.Model):
    """A row that belongs to one reseller; `objects` refuses to work without a scope.

    `dealer_path` and `customer_path` say how a dealer's or portal customer's scope narrows the rows.
    """

    dealer_path: str | None = None
    customer_path: str | None = None

    reseller = models.ForeignKey(Reseller, on_delete=models.CASCADE, related_name="+", db_index=False)

    objects = ScopedManager()

    class Meta:
        abstract = True
