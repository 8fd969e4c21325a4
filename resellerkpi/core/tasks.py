"""The one Celery task."""

import threading
from typing import Any

import structlog
from celery import current_app, shared_task
from django.core.cache import cache
from django.utils import timezone

from resellerkpi.core.access import Role
from resellerkpi.core.jobs import (
    FOLLOW_UPS,
    HANDLERS,
    TASK,
    JobCancelled,
    JobRefused,
    Task,
    enqueue,
    scope_of,
)
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.scope import Scope, enter

log = structlog.get_logger(__name__)
HEARTBEAT = 30


@shared_task(name=TASK, acks_late=True)
def run_job(*, job_id: str = "", reseller_id: int = 0, kind: str = "", **kwargs: Any) -> None:
    """Run one job's handler in its stored scope and write how it ended; a job already ended is left alone.

    Called with a `kind` instead (by the timetable) it enqueues that job once for each reseller.
    """
    if kind:
        enqueue_for_everyone(kind)
        return
    house = Scope.of(reseller_id, why="job bookkeeping")
    with enter(house):
        row = Job.objects.select_for_update().filter(pk=job_id).first()
        if row is None or row.is_final:
            return
        if _alive(job_id):
            _look_again(job_id, reseller_id)
            return
        row.state, row.started_at = Job.State.RUNNING, timezone.now()
        row.save(update_fields=["state", "started_at"])
        cache.set(f"job:{job_id}:beat", True, 4 * HEARTBEAT)
    task = Task(job_id=job_id, stored_scope=scope_of(row), title=row.title)
    stop = _beat(job_id)
    try:
        result = HANDLERS.get(row.kind)(task, **row.params) or {}
        ending: dict[str, Any] = {
            "state": Job.State.DONE,
            "result": result,
            "result_url": result.get("url", ""),
        }
    except JobCancelled as stopped:
        ending = {"state": Job.State.CANCELLED, "error": str(stopped)}
    except JobRefused as refused:
        ending = {"state": Job.State.FAILED, "error": str(refused)}
    except Exception:
        log.exception("job failed", kind=row.kind, job_id=job_id)
        ending = {"state": Job.State.FAILED, "error": "Something went wrong; nothing was changed. Try again."}
    finally:
        stop.set()
        cache.delete(f"job:{job_id}:beat")
    _finish(row, house, ending)
    if ending["state"] == Job.State.DONE:
        for follow_up in FOLLOW_UPS.get(row.kind, []):
            with task.scope():
                follow_up(ending["result"])


def enqueue_for_everyone(kind: str) -> None:
    """Enqueue a timetabled job for each reseller that has none of its kind waiting or running."""
    for reseller_id in Reseller.objects.order_by("pk").values_list("pk", flat=True):
        with enter(Scope.of(reseller_id, role=Role.OWNER, why="timetable")):
            busy = Job.objects.filter(kind=kind, state__in=[Job.State.WAITING, Job.State.RUNNING])
            if not busy.exists():
                enqueue(kind, {}, title=kind.replace(".", " ").replace("_", " ").capitalize())


def _finish(row: Job, house: Scope, ending: dict[str, Any]) -> None:
    latest = cache.get(f"job:{row.pk}") or {}
    counts = {k: latest[k] for k in ("done", "total", "message") if k in latest}
    if ending["state"] == Job.State.DONE and "total" in counts:
        counts["done"] = counts["total"]
    with enter(house):
        Job.objects.filter(pk=row.pk).update(finished_at=timezone.now(), **counts, **ending)


def _alive(job_id: str) -> bool:
    return bool(cache.get(f"job:{job_id}:beat"))


def _look_again(job_id: str, reseller_id: int) -> None:
    """Come back when the heartbeat of a worker that may have been killed has run out."""
    arguments = {"job_id": job_id, "reseller_id": reseller_id}
    current_app.tasks[TASK].apply_async(kwargs=arguments, countdown=5 * HEARTBEAT)


def _beat(job_id: str) -> threading.Event:
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT):
            cache.set(f"job:{job_id}:beat", True, 4 * HEARTBEAT)

    threading.Thread(target=beat, daemon=True).start()
    return stop
