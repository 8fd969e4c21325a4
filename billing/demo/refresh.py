"""Has the KPI snapshots of the demo made by whoever keeps them, without knowing who that is."""

from collections.abc import Iterable
from datetime import datetime

from resellerkpi.core.jobs import HANDLERS, Task
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope

KIND = "kpis.refresh"


def refresh_kpis(codes: Iterable[str], *, at: datetime | None = None) -> int:
    """Run the snapshot job of each reseller, now or as if it were `at`; return how many ran, 0 without such a job."""
    if KIND not in HANDLERS:
        return 0
    ran = 0
    for reseller in Reseller.objects.filter(code__in=list(codes)).order_by("pk"):
        scope = Scope.of(reseller.pk, why="command demo")
        task = Task(job_id=f"demo-{reseller.code}", stored_scope=scope)
        HANDLERS.get(KIND)(task, **({"at": at.isoformat()} if at else {}))
        ran += 1
    return ran
