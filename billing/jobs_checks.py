"""Background work of the checks: the register is brought up to date after calls, bills and repairs, and each night."""

from typing import Any

from django.utils import timezone

from billing.checks.register import run
from billing.checks.registry import of_family
from billing.models import Finding
from resellerkpi.core.jobs import Task, after, enqueue, job
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.scope import current

KIND = "checks.run"
CHANGERS = (
    "book.import", "usage.import", "usage.remove", "usage.repair", "usage.rerate", "bills.produce", "prices.uplift",
    "match.months",
)  # fmt: skip


@job(KIND, cron="10 3 * * *")
def run_checks(task: Task) -> dict[str, Any]:
    """Run the checks of leakage and the watches; twice in a row is once."""
    task.progress(0, 1, "Looking for leaks")
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        checks = [*of_family(Finding.Family.LEAKAGE), *of_family(Finding.Family.WATCH)]
        done = run(reseller, checks, now=timezone.now()).as_dict()
    task.progress(1, 1, f"{done['found']} findings")
    return done


def ask_for_checks(result: dict[str, Any]) -> None:
    """Enqueue the checks for the scope's reseller unless they wait already."""
    waiting = Job.objects.filter(kind=KIND, state=Job.State.WAITING, reseller_id=current().reseller_id)
    if not waiting.exists():
        enqueue(KIND, {}, title="Look for leaks")


for _kind in CHANGERS:
    after(_kind)(ask_for_checks)
