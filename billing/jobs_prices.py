"""Background work about prices: previews of pricing calls again, applying them, what-if questions."""

from importlib import import_module
from typing import Any

from django.urls import reverse
from django.utils import timezone

from billing.importing.refused import FileRefused
from billing.importing.uploads import path_of
from billing.models.freshness import fingerprint
from billing.results import keep_result
from resellerkpi.core.jobs import JobRefused, Task, job
from resellerkpi.core.models import Job, Reseller
from resellerkpi.core.periods import local_day


def _prices() -> Any:
    """Return the price questions, loaded when a worker first needs them: columns of calls are no page's business."""
    return import_module("billing.pipeline_prices")


@job("usage.preview")
def preview_usage(task: Task, *, where: dict[str, Any]) -> dict[str, Any]:
    """Say what pricing calls again would do; the result is a page of its own."""
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        now = timezone.now()
        found = _prices().preview_rerate(reseller, where, now=now, progress=task.progress)
        artifact = keep_result(found, name=task.title or "Preview", now=now)
        url = reverse("rerate-result", args=[task.job_id])
    counts = {name: found[name] for name in ("looked_at", "changed", "billed")}
    return {**counts, "fingerprint": found["fingerprint"], "artifact": artifact, "url": url}


@job("usage.rerate")
def rerate_usage(task: Task, *, preview: str) -> dict[str, Any]:
    """Price the calls of a preview again; one whose book or calls have changed since is refused.

    Done again after a crash it finds the preview applied by itself and says what it did then.
    """
    with task.scope() as scope:
        seen = Job.objects.select_for_update().get(pk=preview, kind="usage.preview")
        url = reverse("rerate-result", args=[preview])
        applied = seen.result.get("applied")
        if applied:
            return {**applied, "url": url}
        if fingerprint(scope.reseller_id) != seen.result.get("fingerprint"):
            raise JobRefused("Prices or calls have changed since this preview; look at a new one first.")
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        now = timezone.now()
        done = _prices().apply_rerate(reseller, seen.params["where"], now=now, progress=task.progress)
        counts = {name: done[name] for name in ("looked_at", "changed", "billed")}
        seen.result = {
            **seen.result,
            "applied": counts,
            "applied_at": now.isoformat(),
            "after": fingerprint(reseller.pk),
        }
        seen.save(update_fields=["result"])
    return {**counts, "url": url}


@job("prices.what_if")
def ask_what_if(task: Task, *, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer a what-if question; the result is a page of its own and nothing else is written."""
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        prices = _prices()
        try:
            found = prices.what_if(reseller, asked, progress=task.progress)
        except (prices.QuestionRefused, FileRefused) as refused:
            raise JobRefused(str(refused)) from None
        artifact = keep_result(found, name=task.title or "What if", now=timezone.now())
        url = reverse("what-if-result", args=[task.job_id])
    return {"calls": found["calls"], "artifact": artifact, "url": url}


@job("tariff.compare")
def compare_tariff(
    task: Task, *, token: str, mapping: dict[str, Any], options: dict[str, Any], check_url: str = ""
) -> dict[str, Any]:
    """Compare an uploaded deck with its tariff and with last month's calls; the result is a page of its own."""
    path = path_of(token)
    if path is None:
        raise JobRefused("The uploaded file is gone; upload it again.")
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        now = timezone.now()
        about: dict[str, Any] = {
            "mapping": mapping,
            "options": options,
            "today": local_day(now, reseller.zone),
        }
        decks = import_module("billing.pipeline_decks")
        found = decks.compare_deck(reseller, path, **about, progress=task.progress)
        artifact = keep_result(found, name=task.title or "Deck", now=now)
        url = reverse("deck-difference", args=[task.job_id])
    counts = {name: found[name] for name in ("new", "changed", "ended", "unchanged", "absent", "error_count")}
    return {**counts, "fingerprint": found["fingerprint"], "artifact": artifact, "url": url}
