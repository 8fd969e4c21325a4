"""Background work: handlers by kind, enqueued on commit, watched through their row.

`@job("kind")` registers a handler `(task: Task, *, …params) -> dict | None`. A handler opens its own scope with
`task.scope()` for each transaction, reports with `task.progress(done, total, message)` and may be run twice with the
effect of once. `enqueue(...)` must be called inside a scope; the row is written with the caller's transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.db import transaction

from resellerkpi.core.access import Role
from resellerkpi.core.models import Job
from resellerkpi.core.registry import Registry
from resellerkpi.core.scope import Scope, current, enter

Handler = Callable[..., dict[str, Any] | None]
HANDLERS: Registry[Handler] = Registry("job")
TIMETABLE: dict[str, str] = {}
FOLLOW_UPS: dict[str, list[Callable[[dict[str, Any]], None]]] = {}
KEEP = 24 * 3600
TASK = "resellerkpi.run_job"


class JobCancelled(RuntimeError):
    """Raised inside a handler when its owner asked it to stop."""


class JobRefused(ValueError):
    """Raised by a handler for a reason the user can mend; the sentence is shown as it stands."""


@dataclass
class Task:
    """What a handler gets: its identity, its scope and a way to say how far it is."""

    job_id: str
    stored_scope: Scope
    title: str = ""
    _last: float = field(default=0.0)

    @contextmanager
    def scope(self) -> Iterator[Scope]:
        """Open a transaction in the job's scope."""
        with enter(self.stored_scope) as scope:
            yield scope

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Report progress at most once a second; raises JobCancelled when the owner asked to stop."""
        if monotonic() - self._last < 1 and done != total:
            return
        self._last = monotonic()
        cache.set(f"job:{self.job_id}", {"done": done, "total": total, "message": message}, KEEP)
        if cache.get(f"job:{self.job_id}:cancel"):
            raise JobCancelled("Stopped at the owner's request.")


def job(kind: str, *, cron: str = "") -> Callable[[Handler], Handler]:
    """Register a handler for a kind of job; `cron` ("minute hour day month weekday", UTC) runs it for each reseller."""

    def register(handler: Handler) -> Handler:
        if cron:
            TIMETABLE[kind] = cron
        return HANDLERS.add(kind, handler)

    return register


def after(kind: str) -> Callable[[Callable[[dict[str, Any]], None]], Callable[[dict[str, Any]], None]]:
    """Register follow-up work of an upper app: called in the job's scope with its result once it is done."""

    def register(follow_up: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        FOLLOW_UPS.setdefault(kind, []).append(follow_up)
        return follow_up

    return register


def enqueue(kind: str, params: dict[str, Any], *, title: str, back_url: str = "") -> Job:
    """Write the job's row and hand it to a worker when the caller's transaction commits."""
    HANDLERS.get(kind)
    scope = current()
    row = Job.objects.create(
        reseller_id=scope.reseller_id,
        kind=kind,
        title=title[:200],
        params=params,
        scope={**asdict(scope), "capabilities": sorted(scope.capabilities)},
        owner_id=scope.user_id,
        back_url=back_url,
    )
    transaction.on_commit(lambda: _send(str(row.id), scope.reseller_id))
    return row


def _send(job_id: str, reseller_id: int) -> None:
    current_app.tasks[TASK].delay(job_id=job_id, reseller_id=reseller_id)


def scope_of(row: Job) -> Scope:
    """Rebuild the scope a job was enqueued with."""
    data = row.scope
    return Scope.of(
        *data["reseller_ids"],
        role=Role(data["role"]) if data.get("role") else Role.VIEWER,
        user_id=data.get("user_id"),
        dealer_id=data.get("dealer_id"),
        customer_id=data.get("customer_id"),
        why=f"job {row.kind}",
    )


def live_progress(row: Job) -> dict[str, Any]:
    """Return done, total and message: the row's when it has ended, else the latest report."""
    if not row.is_final:
        latest = cache.get(f"job:{row.id}")
        if latest:
            return dict(latest)
    return {"done": row.done, "total": row.total, "message": row.message}


def ask_to_cancel(row: Job) -> None:
    """Ask a running job to stop at its next report; a waiting one stops at once."""
    cache.set(f"job:{row.id}:cancel", True, KEEP)
    Job.objects.filter(pk=row.pk, state=Job.State.WAITING).update(state=Job.State.CANCELLED)
