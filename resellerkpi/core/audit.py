"""Writing audit events."""

from typing import Any

from django.utils import timezone

from resellerkpi.core.models import AuditEvent
from resellerkpi.core.scope import current


def record(action: str, subject: object, **details: Any) -> None:
    """Append one audit event in the scope in force; called inside the transaction of the act itself."""
    scope = current()
    AuditEvent.objects.create(
        reseller_id=scope.reseller_id,
        at=timezone.now(),
        user_id=scope.user_id,
        action=action,
        subject=str(subject)[:200],
        details={k: v if isinstance(v, int | bool | None) else str(v) for k, v in details.items()},
    )
