"""What people do about warnings: lay one to rest with words, choose who is mailed."""

from collections.abc import Collection
from datetime import datetime

from billing.models import FraudAlert, Watcher
from resellerkpi.core.access import Capability, Role, capabilities
from resellerkpi.core.audit import record
from resellerkpi.core.models import Membership
from resellerkpi.core.scope import current

#: Roles that may see calls and run the report that is mailed.
TOLD = [
    role for role in Role if {Capability.VIEW_USAGE, Capability.RUN_REPORTS} <= capabilities(role)
    and role not in (Role.DEALER, Role.OPERATOR)
]  # fmt: skip


def resolve(alert: FraudAlert, *, words: str, now: datetime) -> None:
    """Lay a warning to rest; one that rests already keeps its words."""
    done = FraudAlert.objects.filter(pk=alert.pk, resolved_at=None).update(
        resolved_at=now, resolved_by_id=current().user_id, resolution=words[:300]
    )
    if done:
        record("Fraud warning resolved", alert.label, why=alert.why[:200], words=words)


def may_be_told() -> list[tuple[int, str, str]]:
    """Return id, name and address of the colleagues who may be mailed."""
    people = Membership.objects.filter(
        reseller_id=current().reseller_id, role__in=TOLD, user__is_active=True
    ).order_by("user__name", "user_id")
    return list(people.values_list("user_id", "user__name", "user__email"))


def watching() -> list[int]:
    """Return the ids of those who are mailed."""
    return list(Watcher.objects.order_by("user_id").values_list("user_id", flat=True))


def watchers() -> list[str]:
    """Return the addresses of those who are mailed and still may be."""
    chosen = set(watching())
    return [email for pk, _, email in may_be_told() if pk in chosen]


def set_watchers(chosen: Collection[int]) -> int:
    """Keep who is mailed from now on; return how many."""
    allowed = {pk for pk, _, _ in may_be_told()} & set(chosen)
    Watcher.objects.exclude(user_id__in=allowed).delete()
    rows = [Watcher(reseller_id=current().reseller_id, user_id=pk) for pk in sorted(allowed)]
    Watcher.objects.bulk_create(rows, ignore_conflicts=True)
    record("Fraud watch: people mailed", f"{len(allowed)} people")
    return len(allowed)
