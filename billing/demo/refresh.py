"""Has the demo's leaks looked for, and its KPIs, post-billing reports and reviews made by whoever keeps them."""

from collections.abc import Iterable
from datetime import datetime

from billing.checks.register import run
from billing.checks.registry import of_family
from billing.models import BillingRun, Finding
from resellerkpi.core.jobs import HANDLERS, Task
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

KIND, POST_BILLING, REVIEWS = "kpis.refresh", "reports.post_billing", "reports.demo"
#: Latest runs of each reseller that have their post-billing report.
REPORTED = 3


def refresh_kpis(codes: Iterable[str], *, at: datetime | None = None) -> int:
    """Run the snapshot job of each reseller, now or as if it were `at`; return how many ran, 0 without such a job."""
    return _run(KIND, codes, at)


def review_months(codes: Iterable[str], *, at: datetime | None = None) -> int:
    """Have the past reviews of each reseller made, and its figures again; return how many, 0 without such a job."""
    made = _run(REVIEWS, codes, at)
    if made:
        refresh_kpis(codes, at=at)
    return made


def _run(kind: str, codes: Iterable[str], at: datetime | None) -> int:
    if kind not in HANDLERS:
        return 0
    ran = 0
    for reseller in Reseller.objects.filter(code__in=list(codes)).order_by("pk"):
        scope = Scope.of(reseller.pk, why="command demo")
        task = Task(job_id=f"demo-{reseller.code}", stored_scope=scope)
        HANDLERS.get(kind)(task, **({"at": at.isoformat()} if at else {}))
        ran += 1
    return ran


def report_runs(codes: Iterable[str]) -> int:
    """Run the post-billing job of each reseller's latest runs; return how many ran, 0 without such a job."""
    if POST_BILLING not in HANDLERS:
        return 0
    ran = 0
    for reseller in Reseller.objects.filter(code__in=list(codes)).order_by("pk"):
        scope = Scope.of(reseller.pk, why="command demo")
        with enter(scope):
            latest = BillingRun.objects.exclude(state__in=["draft", "checked"]).order_by("-period_start")
            runs = list(latest.values_list("pk", flat=True)[:REPORTED])
        for run_id in runs:
            HANDLERS.get(POST_BILLING)(Task(job_id=f"demo-run-{run_id}", stored_scope=scope), run_id=run_id)
            ran += 1
    return ran


def find_leaks(codes: Iterable[str], *, at: datetime) -> int:
    """Run the checks of leakage and the watches of each reseller as at an instant; return how much they found."""
    checks = [*of_family(Finding.Family.LEAKAGE), *of_family(Finding.Family.WATCH)]
    found = 0
    for reseller in Reseller.objects.filter(code__in=list(codes)).order_by("pk"):
        with enter(Scope.of(reseller.pk, why="command demo")):
            found += run(reseller, checks, now=at).found
    return found
