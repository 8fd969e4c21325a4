"""What changed since a run was frozen: the same query run again, both compared, each difference with its cause."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reports import differences
from reports.causes import Causes, Event, kinds
from reports.differences import Comparing, Entry
from reports.filters import FREE
from reports.frozen import Freezer, Frozen, fields_of
from reports.models import Comparison, Run
from reports.packing import pack, unpack_all
from reports.registry import REPORTS
from reports.render import frozen_of
from reports.run import MEDIA, BadQuery, begin, columns_of, freeze, query, scratch
from resellerkpi.core.artifacts import path_of, store
from resellerkpi.core.columns import Choice, Code, Column, Decimal, Int, Money, Row, Text, visible
from resellerkpi.core.models import User
from resellerkpi.core.scope import Scope, current, enter

LINES: tuple[Column, ...] = (
    Int(name="entry", label="No."),
    Choice(name="change", label="Change", choices=list(kinds().items())),
    Text(name="row", label="Row"),
    Text(name="column", label="Column"),
    Text(name="before", label="Before"),
    Text(name="after", label="After"),
    Decimal(name="difference", label="Difference", decimals=6),
    Code(name="currency", label="Currency"),
    Text(name="cause", label="Cause"),
    Text(name="difference_words", label="Difference as shown", hidden=True),
    Text(name="url", label="Where", hidden=True),
)


class NothingToCompare(ValueError):
    """Raised when a run cannot be compared; the sentence is shown to the user."""


def scope_for(run: Run) -> Scope:
    """Return the scope in which a run's query is run again: the reader's, narrowed to the dealer it was made for."""
    scope = current()
    return scope if run.dealer_id is None else replace(scope, dealer_id=run.dealer_id)


def compare(
    run: Run, *, now: datetime, user: User | None, most: int | None = None, request: str | None = None
) -> Comparison:
    """Run a run's query again, over the same days, and keep the differences; raises TooManyRows over `most`."""
    if not run.is_ready or run.report not in REPORTS:
        raise NothingToCompare(
            "This result cannot be compared: its report is not ready or not part of this release."
        )
    if run.kept_until and run.kept_until < now:
        raise NothingToCompare("This result is past the day until which it was kept.")
    with enter(scope_for(run)):
        fresh = _fresh(run, now=now, user=user, most=most)
        return _found(run, fresh, now=now, user=user, request=request)


def params_of(run: Run) -> dict[str, list[str]]:
    """Return a run's query with its interval nailed to the days it had."""
    fixed: dict[str, list[str]] = {"zone": [run.zone]}
    if run.period_start and run.period_end:
        fixed |= {
            "period": [FREE],
            "on_or_after": [run.period_start.isoformat()],
            "before": [run.period_end.isoformat()],
        }
    return {**run.params, **fixed}


def _fresh(run: Run, *, now: datetime, user: User | None, most: int | None) -> Run:
    report, params = REPORTS.get(run.report), params_of(run)
    try:
        f = query(report, params, now=now)
    except BadQuery as bad:
        raise NothingToCompare(f"The query cannot be run any more. {bad}") from None
    if set(params) - set(f.fields):
        raise NothingToCompare(
            "The query uses a filter that you may not use, so you would compare other rows."
        )
    fresh = begin(report, f, now=now, user=user)
    freeze(fresh, report, f, most=most)
    return fresh


def _found(run: Run, fresh: Run, *, now: datetime, user: User | None, request: str | None) -> Comparison:
    columns = common(run, fresh)
    comparing = Comparing(frozen_of(run), frozen_of(fresh), columns, run.keys)
    rows = comparing.rows()
    causes = Causes(run, REPORTS.get(run.report), columns)
    with scratch() as path:
        _write(path, comparing, rows, causes, run.zone)
        artifact = store(
            path, name=f"{run.report}-changes.parquet", media_type=MEDIA, expires_at=run.kept_until
        )
    return Comparison.objects.create(
        reseller_id=run.reseller_id,
        run=run,
        fresh=fresh,
        columns=[pack(c) for c in columns],
        artifact=artifact,
        added=len(rows.added),
        removed=len(rows.removed),
        changed=len(rows.changed),
        totals=differences.totals(run.totals, fresh.totals, columns),
        notes=notes(run, fresh),
        user=user,
        made_at=now,
        request=request,
    )


def common(run: Run, fresh: Run) -> list[Column]:
    """Return the columns of both runs that the scope's holder may see, as the old run had them."""
    there = {data["name"] for data in fresh.columns}
    return [c for c in columns_of(run) if c.name in there]


def notes(run: Run, fresh: Run) -> list[str]:
    """Return what the reader must know before the rows: another definition, columns that are not in both."""
    found = []
    if run.version != fresh.version:
        found.append(
            f"The report's definition went from version {run.version} to {fresh.version}: figures may differ for that."
        )
    before, now = ({c.name: c.title for c in columns_of(made)} for made in (run, fresh))
    for had, has, words in ((before, now, "before"), (now, before, "now")):
        alone = [title for name, title in had.items() if name not in has]
        if alone:
            found.append(f"Only {words}: {', '.join(alone)}.")
    return found


def _write(path: Path, comparing: Comparing, rows: differences.Rows, causes: Causes, zone: str) -> None:
    with Freezer(path, fields_of(LINES, zone)) as freezer:
        for _ in freezer.passing(_lines(comparing, rows, causes)):
            pass


def _lines(comparing: Comparing, rows: differences.Rows, causes: Causes) -> Iterator[Row]:
    number = 0
    for entries in comparing.entries(rows):
        for entry, why in zip(entries, causes.of(entries), strict=True):
            number += 1
            yield from _of_entry(number, entry, why)


def _of_entry(number: int, entry: Entry, why: Sequence[Event]) -> Iterator[Row]:
    head = {"entry": number, "change": entry.kind, "row": entry.label}
    if not entry.cells:
        yield head | {"cause": why[0].words, "url": why[0].url}
    for cell, event in zip(entry.cells, why, strict=False):
        column, difference = cell.column, cell.difference
        currency = column.currency_of(entry.row) if isinstance(column, Money) else ""
        yield head | {
            "column": column.title,
            "before": _shown(column, entry.row, cell.before),
            "after": _shown(column, entry.row, cell.after),
            "difference": difference,
            "difference_words": _signed(column, entry.row, difference),
            "currency": currency,
            "cause": event.words,
            "url": event.url,
        }


def _shown(column: Column, row: Row, value: Any) -> str:
    """Return a value as its column shows it; a ratio that was worked out already is shown as it is."""
    plain = replace(column, parts=None) if column.parts else column
    return plain.display({**row, column.name: value})


def _signed(column: Column, row: Row, difference: Any) -> str:
    if difference is None:
        return ""
    words = _shown(column, row, difference)
    return f"+{words}" if difference > 0 else words


def lines(comparison: Comparison) -> Frozen:
    """Open the differences of a comparison."""
    return Frozen(path_of(comparison.artifact))


def open_to(comparison: Comparison, scope: Scope) -> bool:
    """Say whether a scope's holder may see every compared column."""
    columns = unpack_all(comparison.columns)
    return len(visible(columns, scope.capabilities)) == len(columns)
