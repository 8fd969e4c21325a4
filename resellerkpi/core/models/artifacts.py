"""Files we keep."""

import uuid

from django.db import models

from resellerkpi.core.models.tenants import TenantModel


class Artifact(TenantModel):
    """A stored file: an export, an uploaded call file, an invoice PDF. Content lives under ARTIFACT_DIR."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["reseller", "created_at"], name="artifact_reseller_created")]

    def __str__(self) -> str:
        return self.name
