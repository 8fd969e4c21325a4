"""Background work of billing: thin handlers that call one function of the pipeline."""

from datetime import date
from importlib import import_module
from typing import Any

from django.urls import reverse
from django.utils import timezone

from billing.billrun.runs import RunRefused, stands_at_least
from billing.bills import produce, summary
from billing.charging.uplift import UpliftRefused, apply_uplift
from billing.importing.months import make_room
from billing.importing.refused import FileRefused
from billing.importing.tables.mapping import Mapping
from billing.importing.uploads import forget, path_of
from billing.models import BillingRun, Carrier, CdrFile
from billing.pipeline_book import import_any
from resellerkpi.core.artifacts import sha256
from resellerkpi.core.jobs import JobRefused, Task, job
from resellerkpi.core.models import Job, Reseller, User
from resellerkpi.core.periods import local_day


@job("book.import")
def import_upload(
    task: Task,
    *,
    kind: str,
    token: str,
    mapping: dict[str, Any],
    options: dict[str, Any],
    url: str,
    name: str = "",
) -> dict[str, Any]:
    """Load an uploaded list or deck; a refused one is kept, so that its mapping can be mended."""
    path = path_of(token)
    if path is None:
        raise JobRefused("The uploaded file is gone; upload it again.")
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        today = local_day(timezone.now(), reseller.zone)
        read = Mapping.of(mapping)
        about: dict[str, Any] = {"mapping": read, "options": options, "today": today, "name": name}
        outcome = import_any(kind, path, reseller=reseller, **about)
    if outcome.problems:
        first = outcome.problems[0]
        where = f"Line {first.line}: " if first.line else ""
        more = f" And {len(outcome.problems) - 1} more." if len(outcome.problems) > 1 else ""
        raise JobRefused(f"Nothing was loaded. {where}{first.error}{more}")
    forget(token)
    return {**outcome.as_dict(), "url": url}


def _pipeline() -> Any:
    """Return the pipeline, loaded when a worker first needs it: columns of calls are no page's business."""
    return import_module("billing.pipeline")


@job("usage.import")
def import_usage(
    task: Task, *, token: str, name: str, carrier_id: int, format_name: str, mapping: dict[str, Any] | None
) -> dict[str, Any]:
    """Load an uploaded call file; done again after a crash it finds the file there and says so."""
    path = path_of(token)
    if path is None:
        raise JobRefused("The uploaded file is gone; upload it again.")
    with task.scope() as scope:
        carrier = Carrier.objects.get(pk=carrier_id)
        digest = sha256(path)
        begun = Job.objects.get(pk=task.job_id).created_at
        files = CdrFile.objects.filter(carrier=carrier, sha256=digest)
        mine = files.filter(loaded_at__gte=begun, name=name).first()
        if mine is not None:
            result = _pipeline().result_of(mine)
        else:
            about = {"format_name": format_name, "mapping": mapping, "name": name, "now": timezone.now()}
            try:
                result = _pipeline().import_cdrs(
                    reseller=Reseller.objects.get(pk=scope.reseller_id),
                    carrier=carrier,
                    path=path,
                    user=User.objects.filter(pk=scope.user_id or 0).first(),
                    progress=task.progress,
                    **about,
                )
            except FileRefused as refused:
                raise JobRefused(str(refused)) from None
        url = reverse("cdr-file", args=[files.get().pk])
    forget(token)
    return {**result, "url": url}


@job("usage.room", cron="20 1 * * *")
def make_room_for_calls(task: Task) -> dict[str, Any]:
    """Make the partitions of this month's and the coming months' calls before they are needed; they stay as they are.

    A file that comes for any other month makes its own.
    """
    with task.scope():
        made = make_room(timezone.now().date())
    return {"made": [f"{month:%Y-%m}" for month in made]}


@job("usage.remove")
def remove_usage(task: Task, *, file_id: int) -> dict[str, Any]:
    """Take a file's unbilled calls out; a file that is gone already has none."""
    with task.scope() as scope:
        file = CdrFile.objects.select_for_update().filter(pk=file_id).first()
        if file is None:
            return {"removed": 0, "kept": 0, "url": reverse("cdr-file-list")}
        done = _pipeline().remove_cdrs(reseller=Reseller.objects.get(pk=scope.reseller_id), file=file)
    return {**done, "url": reverse("cdr-file", args=[file_id]) if done["kept"] else reverse("cdr-file-list")}


@job("usage.repair")
def repair_usage(task: Task, *, reasons: list[str] | None, identities: list[str] | None) -> dict[str, Any]:
    """Rate again the calls in error that a repair was meant for."""
    with task.scope() as scope:
        result = _pipeline().rerate_after_repair(
            reseller=Reseller.objects.get(pk=scope.reseller_id),
            now=timezone.now(),
            reasons=reasons,
            identities=identities,
            progress=task.progress,
        )
    return {**(result.as_dict() if result else {}), "url": reverse("billing-errors")}


@job("allowances.draw")
def draw_package(task: Task, *, feature_type_id: int, first: str) -> dict[str, Any]:
    """Draw a package's allowances anew after a change of what it includes."""
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        changed = _pipeline().draw_package(
            reseller=reseller,
            package=feature_type_id,
            first=date.fromisoformat(first) if first else None,
            today=local_day(timezone.now(), reseller.zone),
        )
    return {"changed": changed, "url": reverse("feature-type", args=[feature_type_id])}


@job("allowances.standing", cron="40 1 * * *")
def draw_standing(task: Task) -> dict[str, Any]:
    """Draw the allowances of packages that began, ended or changed since calls were last supplied."""
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        today = local_day(timezone.now(), reseller.zone)
        return {"changed": _pipeline().draw_standing(reseller=reseller, today=today)}


@job("bills.produce")
def produce_bills(task: Task, *, run_id: int) -> dict[str, Any]:
    """Produce the draft bills of a run; one that is billed already is left as it is."""
    with task.scope():
        run = BillingRun.objects.select_for_update().get(pk=run_id)
        if not stands_at_least(run, BillingRun.State.BILLED):
            try:
                run = produce(run.pk, now=timezone.now())
            except RunRefused as refused:
                raise JobRefused(str(refused)) from None
        return {**summary(run), "run_id": run.pk, "url": reverse("run", args=[run.pk])}


@job("prices.uplift")
def raise_prices(task: Task, *, uplift_id: int) -> dict[str, Any]:
    """Put a price rise in force; one that is in force already is left as it is."""
    with task.scope():
        try:
            uplift = apply_uplift(uplift_id, now=timezone.now())
        except UpliftRefused as refused:
            raise JobRefused(str(refused)) from None
        done = uplift.summary
        return {
            "list_prices": len(done["price_ids"]),
            "own_prices": len(done["feature_ids"]),
            "url": reverse("uplift", args=[uplift.pk]),
        }
