"""Has the KPI snapshots of the demo made by whoever keeps them, without knowing who that is."""

from collections.abc import Iterable

from resellerkpi.core.jobs import HANDLERS, Task
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope

KIND = "kpis.refresh"


def refresh_kpis(codes: Iterable[str]) -> int:
    """Run the snapshot job of each reseller here and now; return how many ran, 0 when no app offers the job."""
    if KIND not in HANDLERS:
        return 0
    ran = 0
    for reseller in Reseller.objects.filter(code__in=list(codes)).order_by("pk"):
        scope = Scope.of(reseller.pk, why="command demo")
        HANDLERS.get(KIND)(Task(job_id=f"demo-{reseller.code}", stored_scope=scope))
        ran += 1
    return ran
