"""Keys by which machines read KPIs."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from resellerkpi.core.models.people import User
from resellerkpi.core.models.tenants import TenantModel


class ApiKey(TenantModel):
    """A key for machines; only its hash is kept, `hint` are the last characters that tell it apart.

    It reads KPIs with the capabilities it `sees`, for one dealer's customers when `dealer_id` is set. Only a key made
    for it (`in_address`) opens a page by `?key=`.
    """

    name = models.CharField(max_length=80)
    hint = models.CharField(max_length=8)
    token_hash = models.CharField(max_length=64)
    sees = ArrayField(models.CharField(max_length=20), default=list)
    dealer_id = models.BigIntegerField(null=True, blank=True)
    in_address = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller", "token_hash"], name="api_key_token_once"),
            models.CheckConstraint(name="api_key_expiry", condition=Q(expires_at__gt=F("created_at"))),
        ]

    def __str__(self) -> str:
        return self.name
