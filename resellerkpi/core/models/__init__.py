"""Core models: resellers, people, keys, jobs, files, audit."""

from resellerkpi.core.models.artifacts import Artifact
from resellerkpi.core.models.audit import AuditEvent
from resellerkpi.core.models.jobs import Job
from resellerkpi.core.models.keys import ApiKey
from resellerkpi.core.models.people import Membership, User
from resellerkpi.core.models.tenants import Reseller, TenantModel

__all__ = ["ApiKey", "Artifact", "AuditEvent", "Job", "Membership", "Reseller", "TenantModel", "User"]
