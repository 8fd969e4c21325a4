"""Who changed what, when."""

from django.db import models

from resellerkpi.core.fields import Link
from resellerkpi.core.models.people import User
from resellerkpi.core.models.tenants import TenantModel


class AuditEvent(TenantModel):
    """One act, written in the domain function that performed it; append-only by grant."""

    at = models.DateTimeField()
    user = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=80)
    subject = models.CharField(max_length=200)
    details = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["reseller", "-at"], name="audit_reseller_at")]

    def __str__(self) -> str:
        return f"{self.action}: {self.subject}"
