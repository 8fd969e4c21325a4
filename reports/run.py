"""Running a report: query, rows once through, frozen with totals, tie-outs, hash and who asked for it."""

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from reports.currency import Rates
from reports.filters import COVERS, Params, ReportFilters
from reports.frozen import Freezer, amounts_of, fields_of
from reports.layout import columns_of_query, keys, rows_of_query
from reports.models import Run
from reports.packing import pack, unpack_all
from reports.registry import REPORTS
from reports.report import Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.artifacts import path_of, store
from resellerkpi.core.columns import Column, Row, totals, visible
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Artifact, Reseller, User
from resellerkpi.core.scope import Scope, current

MOST_AT_ONCE = 5_000
KEPT = timedelta(days=30)
MEDIA = "application/vnd.apache.parquet"
Progress = Callable[[int, int, str], None]


class BadQuery(ValueError):
    """Raised for a query nobody can mean; the sentences are worded for the user."""


class NotAllowed(PermissionError):
    """Raised when a person may not run or see a report."""


class TooManyRows(Exception):
    """Raised when a report has more rows, or takes longer, than a page may wait for."""


def allowed(report: Report, scope: Scope) -> bool:
    """Say whether the scope's holder may run the report and see its runs."""
    return scope.can(Capability.RUN_REPORTS) and scope.can(report.needs)


def query(report: Report, params: Params, *, now: datetime) -> ReportFilters:
    """Return the checked query of a report; raises BadQuery with a sentence for each mistake."""
    f = report.Filters(params, reseller=Reseller.objects.get(pk=current().reseller_id), now=now)
    if f.is_valid():
        return f
    found = [
        str(text) if name == "__all__" else f"{f.fields[name].label}: {text}"
        for name, texts in f.errors.items()
        for text in texts
    ]
    raise BadQuery(" ".join(found))


def run(report: Report, params: Params, *, now: datetime, user: User | None = None) -> Run:
    """Run a report in the scope in force, whatever its size, and return the frozen run."""
    f = query(report, params, now=now)
    made = begin(report, f, now=now, user=user)
    freeze(made, report, f)
    return made


def start(report: Report, params: Params, *, now: datetime, user: User | None = None, then: str = "") -> Run:
    """Run a report of at most MOST_AT_ONCE rows at once; hand a larger or slow one to a job, return the waiting run.

    `then` is what follows a result's address where the job leads in the end: "export.csv?sort=net", "?chart=blank".
    """
    f = query(report, params, now=now)
    made = begin(report, f, now=now, user=user)
    try:
        if report.slow:
            raise TooManyRows
        freeze(made, report, f, most=MOST_AT_ONCE)
    except TooManyRows:
        made.job = enqueue(
            "reports.run",
            {"run": str(made.pk), "then": then},
            title=made.title,
            back_url=f"/reports/{report.slug}/",
        )
        made.save(update_fields=["job"])
    return made


def finish(made: Run, progress: Progress) -> None:
    """Freeze a waiting run, as a job does; a ready one is left alone."""
    if made.is_ready:
        return
    report = REPORTS.get(made.report)
    freeze(made, report, query(report, made.params, now=made.as_of), progress=progress)


def begin(report: Report, f: ReportFilters, *, now: datetime, user: User | None) -> Run:
    """Write down that a query is run, by whom and when; its rows are frozen next."""
    scope = current()
    if not allowed(report, scope):
        raise NotAllowed(f"You may not run the report “{report.name}”.")
    forget_expired(now)
    period = f.interval
    return Run.objects.create(
        reseller_id=scope.reseller_id,
        report=report.slug,
        version=report.version,
        title=f"{report.name}: {period}"[:120],
        params=f.params(),
        filters=[(label, value, f.needs.get(name, ""), f.may_go(name)) for name, label, value in f.told()],
        zone=f.cleaned_data["zone"],
        period_start=period.start,
        period_end=period.end,
        user=user,
        by_name=str(user) if user else "Command line",
        role=scope.role or "",
        dealer_id=scope.dealer_id,
        as_of=now,
        kept_until=now + KEPT,
    )


def freeze(
    made: Run, report: Report, f: ReportFilters, *, most: int | None = None, progress: Progress | None = None
) -> None:
    """Send the report's rows once through: to disk, to the totals, to the interval the data cover."""
    began = monotonic()
    columns, rates = columns_of_query(report, f, current().capabilities), Rates()
    with scratch() as path:
        rows = _Passage(report.dated, most, progress)
        with Freezer(path, fields_of(columns, made.zone)) as freezer:
            sums = totals(columns, freezer.passing(rows.watch(rows_of_query(report, f, rates))))
        made.artifact = store(
            path, name=f"{made.report}.parquet", media_type=MEDIA, expires_at=made.kept_until
        )
    made.columns = [pack(c) for c in columns]
    made.keys, made.notes = keys(report, f, columns), [*_notes(f, rates), *report.notes(f)]
    made.totals = [_stored(total, amounts_of(freezer.schema)) for total in sums]
    made.tie_outs = [_tie_out(t) for t in report.tie_outs(f, sums)]
    made.row_count, made.sha256 = freezer.count, made.artifact.sha256
    made.data_from, made.data_to = rows.first, rows.last
    made.duration_ms = round((monotonic() - began) * 1000)
    made.state = Run.State.READY
    made.save()


def _notes(f: ReportFilters, rates: Rates) -> list[tuple[str, str, bool]]:
    """Return the facts of a query beyond those of every run: the rates it used, and whether any lack."""
    found = []
    if f.to_currency:
        found.append(("Exchange rates", rates.words(f.to_currency), False))
        if rates.warning:
            found.append(("Amounts", rates.warning, True))
    return found


@dataclass
class _Passage:
    """Watches rows go by: how many, and which days they cover."""

    dated: str
    most: int | None
    progress: Progress | None
    first: date | None = None
    last: date | None = None

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield each row; raises TooManyRows after `most`."""
        total = rows.count() if self.progress and isinstance(rows, QuerySet) else 0
        seen = rows.iterator(chunk_size=2_000) if isinstance(rows, QuerySet) else rows
        for count, row in enumerate(seen, 1):
            if self.most is not None and count > self.most:
                raise TooManyRows
            if self.progress and count % 1_000 == 0:
                self.progress(count, max(total, count), f"{count:,} rows")
            self._cover(row.get(self.dated), row.get(self.dated))
            self._cover(*(row.get(name) for name in COVERS))
            yield row

    def _cover(self, first: date | None, last: date | None) -> None:
        if first is not None and last is not None:
            self.first = min(self.first or first, first)
            self.last = max(self.last or last, last)


def _stored(total: Mapping[str, Any], amounts: Collection[str]) -> dict[str, Any]:
    return {k: format(Decimal(v), "f") if k in amounts else v for k, v in total.items()}


def _tie_out(t: TieOut) -> dict[str, Any]:
    amounts = {"ours": t.ours, "ledger": t.ledger, "difference": t.difference}
    return {"name": t.name, "currency": t.currency, "ok": t.ok} | {
        k: format(v, "f") for k, v in amounts.items()
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a temporary file beside the artifacts; whatever is left of it is removed."""
    folder = Path(settings.ARTIFACT_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".report-")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def forget_expired(now: datetime, *, most: int = 20) -> int:
    """Delete runs of the scope that are kept no longer, with their files and dead links; return how many."""
    old = list(Run.objects.filter(kept_until__lt=now).order_by("kept_until")[:most])
    for made in old:
        artifacts = [
            made.artifact_id,
            *made.exports.values_list("artifact_id", flat=True),
            *made.letters.values_list("picture_id", flat=True),
            *made.comparisons.values_list("artifact_id", flat=True),
        ]
        made.delete()
        for artifact in Artifact.objects.filter(pk__in=[a for a in artifacts if a]):
            path = path_of(artifact)
            artifact.delete()
            transaction.on_commit(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]
    return len(old)


def columns_of(made: Run) -> list[Column]:
    """Return the columns of a run that the scope's holder may see."""
    return visible(unpack_all(made.columns), current().capabilities)
