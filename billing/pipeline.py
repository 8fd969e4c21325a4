"""The order of the stages from a supplier's file to priced calls: parse, rate, store, draw allowances, count."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from django.db import connection
from django.db.models import Max, Min

from billing.importing import counts, load
from billing.importing.ahead import ahead
from billing.importing.formats import FORMATS
from billing.importing.mapping import format_of
from billing.importing.parse import CHUNK_ROWS, Chunk, read_chunks
from billing.importing.refused import FileRefused
from billing.importing.registry import Format
from billing.importing.remove import remove_calls
from billing.models import Call, Carrier, CdrFile, ChangedDay, Feature, RatingBatch
from billing.models.locks import share_usage
from billing.rating.book import RatingBook
from billing.rating.months import out_of_step
from billing.rating.rate import rate_calls
from billing.rating.redraw import redraw_allowances
from billing.rating.rerate import RerateResult, rerate
from billing.rating.selection import RerateSelection
from resellerkpi.core.artifacts import sha256
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.models import Reseller, User
from resellerkpi.core.periods import midnight, month_of

Progress = Callable[[int, int, str], None]
#: Rated calls, and the same as they go into the staging table.
Rated: TypeAlias = tuple[pd.DataFrame, pa.Buffer]
UNREADABLE = "unreadable"


@dataclass
class _Load:
    """One file on its way in: its rows, and whom and when it touches."""

    reseller: Reseller
    file: CdrFile
    batch: RatingBatch
    book: RatingBook | None = None
    book_days: tuple[date, date] | None = None
    months: set[date] = field(default_factory=set)
    customers: set[int] = field(default_factory=set)
    tallies: list[counts.Tally] = field(default_factory=list)
    first: int | None = None
    last: int | None = None


def chosen_format(format_name: str, mapping: dict[str, Any] | None) -> Format:
    """Return the format named, or the one a mapping declares; raises LookupError or MappingRefused."""
    return format_of(mapping) if mapping is not None else FORMATS.get(format_name)


def import_cdrs(
    *,
    reseller: Reseller,
    carrier: Carrier,
    path: Path,
    now: datetime,
    format_name: str = "",
    mapping: dict[str, Any] | None = None,
    name: str = "",
    user: User | None = None,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> dict[str, Any]:
    """Load a file of call records in the scope and transaction in force, and return its counts and money.

    Raises FileRefused, with nothing kept, when the file as a whole cannot be taken.
    """
    fmt = chosen_format(format_name, mapping)
    share_usage(reseller.pk)
    load.one_at_a_time(carrier.pk)
    size = path.stat().st_size
    digest = sha256(path)
    _refuse_repeated(reseller, carrier, digest)
    file = CdrFile(
        reseller=reseller,
        carrier=carrier,
        format=fmt.name,
        name=(name or path.name)[:200],
        size=size,
        sha256=digest,
        currency=reseller.currency,
        loaded_by=user,
    )
    file.save()
    work = _Load(reseller, file, RatingBatch.objects.create(reseller=reseller, kind="import", file=file))
    load.make_stage()
    with _ids(file):
        chunks = ahead(read_chunks(path, fmt, carrier, now=now, chunk_rows=chunk_rows))
        for chunk, rated in _priced(work, chunks):
            _load_chunk(work, chunk, rated)
            if progress is not None:
                progress(chunk.position, max(size, chunk.position), f"{file.rows:,} rows read")
    return _finish(work, now)


def _refuse_repeated(reseller: Reseller, carrier: Carrier, digest: str) -> None:
    earlier = CdrFile.objects.filter(carrier=carrier, sha256=digest).first()
    if earlier is not None:
        day = earlier.loaded_at.astimezone(reseller.zone).date() if earlier.loaded_at else None
        when = f" on {day_words(day)}" if day else ""
        raise FileRefused(f"This file was already loaded{when} as {earlier.name}.")


@contextmanager
def _ids(file: CdrFile) -> Iterator[None]:
    """Bound the ids of the calls made inside."""
    file.first_call_id = _next_id()
    yield
    file.last_call_id = _next_id()


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('billing_call_id_seq')")
        return int(cursor.fetchone()[0])


def _priced(work: _Load, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Rated | None]]:
    """Yield each chunk with its events rated, None when it has none; the next is rated while this one is stored."""
    with ThreadPoolExecutor(1) as thread:
        before: tuple[Chunk, Future[Rated | None]] | None = None
        for chunk in chunks:
            started = chunk.frame["started_at"].to_numpy()
            book = _book_for(work, started) if len(started) else None
            this = (chunk, thread.submit(_rate, chunk.frame, book))
            if before is not None:
                yield before[0], before[1].result()
            before = this
        if before is not None:
            yield before[0], before[1].result()


def _rate(frame: pd.DataFrame, book: RatingBook | None) -> Rated | None:
    if book is None:
        return None
    rated = rate_calls(frame, book)
    return rated, load.as_csv(rated)


def _load_chunk(work: _Load, chunk: Chunk, priced: Rated | None) -> None:
    """Store the rated events of a chunk and keep the rows that are none."""
    file, frame = work.file, chunk.frame
    load.keep_unread(file, chunk.rejects)
    file.rejects += len(chunk.rejects)
    file.rows += chunk.rows
    file.heading = file.heading or chunk.heading
    if priced is None:
        return
    rated, content = priced
    started = frame["started_at"].to_numpy()
    load.make_partitions(started, work.months)
    so_far = None if work.first is None or work.last is None else (work.first, work.last)
    stored = load.store(rated, file, work.batch, content=content, stored=so_far)
    file.duplicates += len(frame) - len(stored)
    if len(stored):
        work.tallies += load.tallies(stored)
        load.by_day(stored, work.reseller.zone, file.days)
        first, last = int(started.min()), int(started.max())
        work.first = first if work.first is None else min(work.first, first)
        work.last = last if work.last is None else max(work.last, last)
        work.customers.update(pd.unique(rated["customer_id"]).tolist())


def _book_for(work: _Load, started: "np.ndarray[Any, np.dtype[np.int64]]") -> RatingBook:
    """Return the book of the months of these calls, read again only when they leave the days it covers."""
    days = [_instant(int(t)).astimezone(work.reseller.zone).date() for t in (started.min(), started.max())]
    if (
        work.book is None
        or work.book_days is None
        or days[0] < work.book_days[0]
        or days[1] > work.book_days[1]
    ):
        first, last = _month_of(days[0])[0], _month_of(days[1])[1]
        if work.book_days is not None:
            first, last = min(first, work.book_days[0]), max(last, work.book_days[1])
        work.book = RatingBook.load(work.reseller, work.file.carrier, first, last)
        work.book_days = (first, last)
    return work.book


def _month_of(day: date) -> tuple[date, date]:
    """Return the first and the last day of a day's month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, ZoneInfo("UTC"))


def _finish(work: _Load, now: datetime) -> dict[str, Any]:
    file, batch, reseller = work.file, work.batch, work.reseller
    if work.first is not None and work.last is not None:
        file.first_call_at, file.last_call_at = _instant(work.first), _instant(work.last)
        batch.first_call_at, batch.last_call_at = file.first_call_at, file.last_call_at
    batch.calls = file.rows - file.rejects - file.duplicates
    batch.save(update_fields=["first_call_at", "last_call_at", "calls"])
    tallies = counts.added(work.tallies)
    counts.write(file, tallies)
    file.state, file.loaded_at = CdrFile.State.LOADED, now
    file.save()
    days = sorted(date.fromisoformat(day) for day in file.days)
    if days:
        load.analyse(days[0], days[-1], file.rows)
    if _settle(reseller, days, work.customers - {0}):
        file.refresh_from_db()
        tallies = counts.tally(file)
    result = result_of(file, tallies)
    record("usage.import", file.name, rows=file.rows, duplicate=file.duplicates, error=result["error"])
    return result


def _settle(reseller: Reseller, days: list[date], customers: set[int]) -> bool:
    """Draw the allowances of customers anew in the months of these days and mark the days as changed.

    Returns whether calls changed by it; then the files of those months are counted again.
    """
    _mark(reseller, days)
    if not days or not customers:
        return False
    first, last = _month_of(days[0])[0], _month_of(days[-1])[1]
    if not redraw_allowances(reseller, sorted(customers), first, last):
        return False
    _recount(reseller, first, last)
    return True


def _recount(reseller: Reseller, first: date, last: date) -> None:
    """Count again the files that hold calls of these days, both included."""
    start, end = midnight(first, reseller.zone), midnight(last + timedelta(days=1), reseller.zone)
    counts.recount(reseller.pk, counts.files_between(reseller.pk, start, end))


def _mark(reseller: Reseller, days: list[date]) -> None:
    ChangedDay.objects.bulk_create(
        [ChangedDay(reseller=reseller, day=day) for day in days],
        update_conflicts=True,
        unique_fields=["reseller", "day"],
        update_fields=["changed_at"],
    )


def result_of(file: CdrFile, tallies: list[counts.Tally] | None = None) -> dict[str, Any]:
    """Return a file's rows by outcome, seconds and money as they are now; the outcomes add up to the rows.

    `seconds` and money are of all its calls, those in error too; `error` counts rows that could not be read and
    calls that could not be priced.
    """
    tallies = counts.tally(file) if tallies is None else tallies
    errors: dict[str, int] = {}
    for each in tallies:
        if each.state == Call.State.ERROR:
            errors[each.reason] = errors.get(each.reason, 0) + each.calls
    if file.rejects:
        errors[UNREADABLE] = file.rejects
    sums = counts.by_currency(tallies)
    currency = file.currency if file.currency in sums or len(sums) != 1 else next(iter(sums))
    cost, retail = sums.get(currency, (Decimal(0), Decimal(0)))
    result = {
        "rows": file.rows,
        "rated": file.rated,
        "zero": file.zero,
        "excluded": file.excluded,
        "duplicate": file.duplicates,
        "error": file.rejects + file.unpriced,
        "seconds": file.seconds,
        "cost": f"{cost:.6f}",
        "retail": f"{retail:.6f}",
        "currency": currency,
        "errors": errors,
    }
    if len(sums) > 1:
        result["by_currency"] = {c: {"cost": f"{a:.6f}", "retail": f"{b:.6f}"} for c, (a, b) in sums.items()}
    return result


def rerate_calls(
    *,
    reseller: Reseller,
    where: RerateSelection,
    apply: bool,
    now: datetime,
    progress: Progress | None = None,
) -> RerateResult:
    """Rate calls again as the book stands now and count their files again; without `apply` nothing is kept."""
    result = rerate(reseller, where=where, apply=apply, now=now, progress=progress)
    if apply and result.changed and result.first_day and result.last_day:
        _recount(reseller, _month_of(result.first_day)[0], _month_of(result.last_day)[1])
        record("usage.rerate", "calls", **{k: v for k, v in where.as_params().items() if isinstance(v, str)})
    return result


def rerate_after_repair(
    *,
    reseller: Reseller,
    now: datetime,
    reasons: Sequence[str] | None = None,
    identities: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> RerateResult | None:
    """Rate again the calls in error, of these reasons and billed parties when given; None when there are no calls."""
    files = CdrFile.objects.aggregate(first=Min("first_call_at"), last=Max("last_call_at"))
    if files["first"] is None:
        return None
    where = RerateSelection(
        first=files["first"].astimezone(reseller.zone).date(),
        last=files["last"].astimezone(reseller.zone).date(),
        states=(Call.State.ERROR,),
        reasons=None if reasons is None else tuple(reasons),
        identities=None if identities is None else tuple(identities),
    )
    return rerate_calls(reseller=reseller, where=where, apply=True, now=now, progress=progress)


def remove_cdrs(*, reseller: Reseller, file: CdrFile) -> dict[str, Any]:
    """Take out a file's calls that no invoice covers, and say how many were kept because they are billed."""
    share_usage(reseller.pk)
    load.one_at_a_time(file.carrier_id)
    name, pk = file.name, file.pk
    done = remove_calls(file, zone=reseller.time_zone)
    if done.kept:
        counts.recount(reseller.pk, [pk])
    _settle(reseller, sorted(done.days), set(done.customers))
    record("usage.remove", name, removed=done.removed, kept=done.kept)
    return {"name": name, "removed": done.removed, "kept": done.kept}


def draw_package(*, reseller: Reseller, package: int, first: date | None, today: date) -> int:
    """Draw the allowances of everybody who has a package anew from a day on (None: from the first calls) up to today;
    return how many calls changed.
    """
    begun = CdrFile.objects.aggregate(first=Min("first_call_at"))["first"]
    start = first or (begun.astimezone(reseller.zone).date() if begun else today)
    customers = (
        Feature.objects.filter(feature_type_id=package).values_list("customer_id", flat=True).distinct()
    )
    return _draw(reseller, sorted(customers), start, today) if start <= today else 0


def draw_standing(*, reseller: Reseller, today: date) -> int:
    """Draw this month and the last for whoever has an allowance that is not as the packages stand; return how many
    calls changed.
    """
    month = month_of(today, reseller.zone)
    changed = 0
    for period in (month.previous(), month):
        customers = out_of_step(reseller, period)
        changed += _draw(reseller, customers, period.start, period.last_day) if customers else 0
    return changed


def _draw(reseller: Reseller, customers: list[int], first: date, last: date) -> int:
    changed = redraw_allowances(reseller, customers, first, last)
    if changed:
        _recount(reseller, _month_of(first)[0], _month_of(last)[1])
    return changed
