"""Jobs: rows with an owner, run in their scope, once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from celery import current_app
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from billing.models import Dealer
from resellerkpi.core.access import Role
from resellerkpi.core.artifacts import path_of, store
from resellerkpi.core.jobs import (
    FOLLOW_UPS,
    HANDLERS,
    TASK,
    JobRefused,
    Task,
    after,
    ask_to_cancel,
    enqueue,
    job,
    live_progress,
)
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.scope import Scope, enter
from resellerkpi.core.tasks import enqueue_for_everyone, run_job

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def house() -> Reseller:
    return Reseller.objects.create(code="alpha", name="Alpha")


@pytest.fixture
def kind() -> Iterator[str]:
    """Register a job that adds a dealer, refuses or breaks on demand."""

    @job("test.add")
    def add(task: Task, *, code: str) -> dict[str, Any]:
        if code == "refuse":
            raise JobRefused("That code is not welcome.")
        if code == "break":
            raise RuntimeError("secret detail")
        task.progress(1, 2, "half way")
        with task.scope() as scope:
            Dealer.objects.get_or_create(reseller_id=scope.reseller_id, code=code, defaults={"name": code})
        return {"code": code}

    yield "test.add"
    HANDLERS.remove("test.add")
    FOLLOW_UPS.pop("test.add", None)


def start(house: Reseller, kind: str, **params: Any) -> str:
    """Enqueue in the house's scope; the eager worker has run it when this returns."""
    with enter(Scope.of(house.pk, role=Role.OWNER)):
        return str(enqueue(kind, params, title="Add a dealer").pk)


def end(house: Reseller, job_id: str) -> Job:
    """Read the job back."""
    with enter(Scope.of(house.pk)):
        return Job.objects.get(pk=job_id)


def test_a_job_runs_after_commit_in_its_scope(house: Reseller, kind: str) -> None:
    row = end(house, start(house, kind, code="D1"))
    assert (row.state, row.result, row.done, row.total) == (Job.State.DONE, {"code": "D1"}, 2, 2)
    with enter(Scope.of(house.pk)):
        assert list(Dealer.objects.values_list("code", flat=True)) == ["D1"]


def test_a_rolled_back_request_starts_nothing(house: Reseller, kind: str) -> None:
    with enter(Scope.of(house.pk)):
        enqueue(kind, {"code": "D1"}, title="Never")
        transaction.set_rollback(True)
    with enter(Scope.of(house.pk)):
        assert Job.objects.count() == 0
        assert Dealer.objects.count() == 0


def test_running_twice_is_running_once(house: Reseller, kind: str) -> None:
    job_id = start(house, kind, code="D1")
    finished = end(house, job_id).finished_at
    run_job(job_id=job_id, reseller_id=house.pk)
    assert end(house, job_id).finished_at == finished
    with enter(Scope.of(house.pk)):
        assert Dealer.objects.count() == 1


def test_a_refusal_is_told_and_a_fault_is_not_leaked(house: Reseller, kind: str) -> None:
    assert end(house, start(house, kind, code="refuse")).error == "That code is not welcome."
    broken = end(house, start(house, kind, code="break"))
    assert broken.state == Job.State.FAILED
    assert "secret" not in broken.error


def test_follow_ups_get_the_result(house: Reseller, kind: str) -> None:
    seen: list[dict[str, Any]] = []
    after("test.add")(seen.append)
    start(house, kind, code="D1")
    start(house, kind, code="refuse")
    assert seen == [{"code": "D1"}]


def test_a_cancelled_job_changes_nothing(house: Reseller, kind: str, settings: Any) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    with enter(Scope.of(house.pk)):
        row = Job.objects.create(
            reseller=house, kind=kind, title="x", params={"code": "D1"}, scope={"reseller_ids": [house.pk]}
        )
        ask_to_cancel(row)
        assert live_progress(row) == {"done": 0, "total": 0, "message": ""}
    run_job(job_id=str(row.pk), reseller_id=house.pk)
    assert end(house, str(row.pk)).state == Job.State.CANCELLED
    with enter(Scope.of(house.pk)):
        assert Dealer.objects.count() == 0


def test_an_unknown_kind_is_refused_at_once(house: Reseller) -> None:
    with enter(Scope.of(house.pk)), pytest.raises(LookupError, match="no job called"):
        enqueue("nothing.such", {}, title="x")


def test_the_timetable_starts_a_job_once_for_each_reseller(house: Reseller, kind: str) -> None:
    other = Reseller.objects.create(code="beta", name="Beta")
    with patch.object(current_app.tasks[TASK], "delay"):
        enqueue_for_everyone(kind)
        enqueue_for_everyone(kind)
    for reseller in (house, other):
        with enter(Scope.of(reseller.pk)):
            assert Job.objects.filter(kind=kind).count() == 1


def test_a_sweep_fails_jobs_whose_worker_died_and_removes_old_files(house: Reseller, tmp_path: Path) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    old = tmp_path / "old.csv"
    old.write_text("x")
    with enter(Scope.of(house.pk)):
        dead = Job.objects.create(reseller=house, kind="x", title="x", state="running", started_at=long_ago)
        kept = store(old, name="old.csv", media_type="text/csv", expires_at=long_ago)
        place = path_of(kept)
        assert place.exists()
    result = end(house, start(house, "house.sweep")).result
    assert result == {"failed": 1, "removed": 1}
    assert end(house, str(dead.pk)).state == Job.State.FAILED
    assert not place.exists()


def test_a_job_of_a_killed_worker_is_taken_up_when_its_heartbeat_has_run_out(
    house: Reseller, kind: str
) -> None:
    with enter(Scope.of(house.pk)):
        row = Job.objects.create(
            reseller=house,
            kind=kind,
            title="x",
            params={"code": "D1"},
            scope={"reseller_ids": [house.pk], "role": "owner"},
            state=Job.State.RUNNING,
        )
    beat = f"job:{row.pk}:beat"
    cache.set(beat, True)
    with patch.object(current_app.tasks[TASK], "apply_async") as again:
        run_job(job_id=str(row.pk), reseller_id=house.pk)
    assert again.call_args.kwargs["kwargs"] == {"job_id": str(row.pk), "reseller_id": house.pk}
    assert end(house, str(row.pk)).state == Job.State.RUNNING
    cache.delete(beat)
    run_job(job_id=str(row.pk), reseller_id=house.pk)
    assert end(house, str(row.pk)).state == Job.State.DONE
