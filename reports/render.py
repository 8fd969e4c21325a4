"""A frozen run as people get it: redacted, sorted, and as CSV, XLSX and JSON files made once and kept."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal as D
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from reports.frozen import Frozen
from reports.models import Export, Run
from reports.packing import unpack_all
from reports.registry import REPORTS
from reports.run import MEDIA as PARQUET
from reports.run import Progress, scratch
from resellerkpi.core.access import OUTSIDER, Capability
from resellerkpi.core.artifacts import path_of, store
from resellerkpi.core.batches import Batch, size_of
from resellerkpi.core.columns import Column, day, visible
from resellerkpi.core.models import Artifact
from resellerkpi.core.scope import current
from resellerkpi.core.sheets import MEDIA, Words, pour_csv, pour_xlsx, write_json
from resellerkpi.core.xls import pour_xls

#: Larger runs are sorted once into a copy: the rows of a page would lie all over the file.
SORTED_AT_ONCE = 20_000
FORMATS = ("csv", "xlsx", "xls", "json")


@dataclass(frozen=True)
class Showing:
    """What is displayed of a run: which columns in which order; every file of it shows the same.

    `names` None means every column the holder may see that is not hidden at first; `outside` leaves out who ran it and
    links into the house.
    """

    run: Run
    names: tuple[str, ...] | None = None
    sort: str = ""
    outside: bool = False
    watch: Progress | None = field(default=None, compare=False)

    @cached_property
    def columns(self) -> list[Column]:
        """The columns shown, those nobody here may see left out."""
        found = unpack_all(self.run.columns)
        if not self.outside:
            found = visible(found, current().capabilities)
        if self.names is None:
            found = [c for c in found if not c.hidden]
        else:
            found = [replace(c, hidden=False) for c in found if c.name in self.names]
        return [replace(c, url="") for c in found] if self.outside else found

    @cached_property
    def frozen(self) -> Frozen:
        """The frozen rows."""
        return frozen_of(self.run)

    @cached_property
    def sorted_by(self) -> Column | None:
        """The column the rows are sorted by; None for their own order or a column that is not shown."""
        name = self.sort.lstrip("-")
        return next((c for c in self.columns if c.name == name and c.sortable), None)

    @cached_property
    def order(self) -> Sequence[int] | None:
        """Row positions in the order shown."""
        if self.sorted_by is None:
            return None
        return self.frozen.order(self.sorted_by, descending=self.sort.startswith("-"))

    @cached_property
    def source(self) -> tuple[Frozen, Sequence[int] | None]:
        """The frozen rows and the order to read them in; of a large run a sorted copy, made once and kept with it."""
        if self.sorted_by is None or self.run.row_count <= SORTED_AT_ONCE:
            return self.frozen, self.order
        key = hashlib.sha256(json.dumps(["sorted", self.sort]).encode()).hexdigest()
        artifact = _kept(self.run, key) or _keep(
            self.run, key, "parquet", lambda path: self.frozen.write_sorted(path, self.order or ())
        )
        return Frozen(path_of(artifact)), None

    def batches(self) -> Iterator[Batch]:
        """Yield the rows shown as batches; who watches is told after each."""
        done = 0
        frozen, order = self.source
        for batch in frozen.batches(order):
            yield batch
            done += size_of(batch)
            if self.watch:
                self.watch(done, self.run.row_count, f"{done:,} of {self.run.row_count:,} rows")

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows shown."""
        frozen, order = self.source
        return frozen.rows(start=start, stop=stop, order=order)

    def watched(self) -> Iterator[dict[str, Any]]:
        """Yield all rows; who watches is told now and then."""
        for done, row in enumerate(self.rows(), 1):
            yield row
            if self.watch and done % 1_000 == 0:
                self.watch(done, self.run.row_count, f"{done:,} of {self.run.row_count:,} rows")

    @cached_property
    def totals(self) -> list[dict[str, Any]]:
        """The total rows, of shown columns only."""
        open_to = {c.name for c in self.columns} | {"rows"}
        for column in self.columns:
            open_to |= set(column.parts or ()) | {str(getattr(column, "currency", ""))}
        words = {str(getattr(c, "currency", "")) for c in self.columns}
        return [
            {
                k: D(v) if isinstance(v, str) and k not in words else v
                for k, v in total.items()
                if k in open_to
            }
            for total in self.run.totals
        ]

    @property
    def filters(self) -> list[tuple[str, str]]:
        """The filters in force as (label, value); outsiders are not told those about what they may not see."""
        held = OUTSIDER if self.outside else current().capabilities
        return [
            (label, value)
            for label, value, needs, *_ in self.run.filters
            if not needs or Capability(needs) in held
        ]

    @property
    def about(self) -> list[tuple[str, str]]:
        """What the reader must know: query, interval covered, who and when, size, version, hash."""
        made, zone = self.run, ZoneInfo(self.run.zone)
        at = made.as_of.astimezone(zone)
        by = made.get_role_display() if self.outside else f"{made.by_name} ({made.get_role_display()})"
        covered = f"{day(made.data_from)} to {day(made.data_to)}" if made.data_from else "No dated rows"
        return [
            ("Report", made.title),
            *self.filters,
            *((label, text) for label, text, _ in made.notes),
            ("Data cover", covered),
            ("Generated by", by),
            ("Generated at", f"{day(at.date())} {at:%H:%M:%S} ({made.zone})"),
            ("Took", f"{made.duration_ms / 1000:.1f} seconds"),
            ("Rows", f"{made.row_count:,}"),
            ("Definition version", str(made.version)),
            ("SHA-256 of the frozen rows", made.sha256),
        ]

    def key(self, kind: str) -> str:
        """Return what tells this file of the run from its others."""
        told = [kind, [c.name for c in self.columns], self.sort if self.sorted_by else "", self.outside]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def frozen_of(made: Run) -> Frozen:
    """Open the frozen rows of a ready run."""
    if made.artifact is None:
        raise LookupError("The report is not ready yet.")
    return Frozen(path_of(made.artifact))


def existing(showing: Showing, kind: str) -> Artifact | None:
    """Return the file of a showing if it was made before."""
    return _kept(showing.run, showing.key(kind))


def files_made(showing: Showing, kinds: Sequence[str] = FORMATS) -> list[tuple[str, str]]:
    """Return the files made of a showing so far, each by its name with its SHA-256."""
    keys = {showing.key(kind): kind for kind in kinds}
    made = Export.objects.filter(run=showing.run, key__in=list(keys)).order_by("pk")
    pairs = made.values_list("key", "artifact__sha256")
    return [(filename(showing.run, keys[key]), sha256) for key, sha256 in pairs]


def export(showing: Showing, kind: str) -> Artifact:
    """Return the file of a showing, made from the frozen rows alone the first time it is asked for."""
    return existing(showing, kind) or _keep(
        showing.run, showing.key(kind), kind, lambda path: write(showing, kind, path)
    )


def _kept(made: Run, key: str) -> Artifact | None:
    found = Export.objects.filter(run=made, key=key).select_related("artifact").first()
    return found.artifact if found else None


def _keep(made: Run, key: str, kind: str, fill: Callable[[Path], None]) -> Artifact:
    """Make a file of a run and keep it as long as the run; of two made at once the first one stays."""
    with scratch() as path:
        fill(path)
        name, media = filename(made, kind), MEDIA.get(kind, PARQUET)
        try:
            with transaction.atomic():
                artifact = store(path, name=name, media_type=media, expires_at=made.kept_until)
                Export.objects.create(reseller_id=made.reseller_id, run=made, key=key, artifact=artifact)
        except IntegrityError:
            path_of(artifact).unlink(missing_ok=True)
            return Export.objects.get(run=made, key=key).artifact
    return artifact


def filename(made: Run, kind: str) -> str:
    """Return the name a downloaded file gets."""
    if made.period_start is None or made.period_end is None:
        return f"{made.report}.{kind}"
    return f"{made.report}-{made.period_start}-to-{made.period_end}.{kind}"


def write(showing: Showing, kind: str, path: Path) -> None:
    """Write a showing to a file."""
    _WRITERS[kind](showing, path)


def _footer(showing: Showing) -> list[str]:
    """Return the lines below the rows: query, who and when, row count, hash, totals in words."""
    return [
        *(f"{name}: {value}" for name, value in showing.about),
        *(f"Total: {total_in_words(showing.columns, total)}" for total in showing.totals),
    ]


def _write_csv(showing: Showing, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        pour_csv(showing.columns, showing.batches(), out, _footer(showing))


def _words(showing: Showing) -> Words:
    title = REPORTS.get(showing.run.report).name if showing.run.report in REPORTS else showing.run.title
    about = [pair for pair in showing.about if pair[0] != "Rows"]
    footer = [
        f"{name}: {value}" for name, value in (*showing.filters, ("Rows", f"{showing.run.row_count:,}"))
    ]
    return Words(title, showing.totals, footer, about)


def _write_xlsx(showing: Showing, path: Path) -> None:
    pour_xlsx(showing.columns, showing.batches(), path, _words(showing))


def _write_xls(showing: Showing, path: Path) -> None:
    pour_xls(showing.columns, showing.batches(), path, _words(showing))


def _write_json(showing: Showing, path: Path) -> None:
    made = showing.run
    about: dict[str, Any] = {
        "report": made.report,
        "title": made.title,
        "version": made.version,
        "period": {"start": made.period_start, "end": made.period_end, "zone": made.zone},
        "data": {"from": made.data_from, "to": made.data_to},
        "filters": [{"name": n, "value": v} for n, v in showing.filters],
        "generated_at": made.as_of,
        "row_count": made.row_count,
        "sha256": made.sha256,
        "totals": [total_as_json(showing.columns, t) for t in showing.totals],
        "tie_outs": [] if showing.outside else made.tie_outs,
    }
    with path.open("w", encoding="utf-8") as out:
        write_json(showing.columns, showing.watched(), out, **about)


_WRITERS: dict[str, Callable[[Showing, Path], None]] = {
    "csv": _write_csv,
    "xlsx": _write_xlsx,
    "xls": _write_xls,
    "json": _write_json,
}


def total_as_json(columns: Sequence[Column], total: Mapping[str, Any]) -> dict[str, Any]:
    """Return a total row as JSON: money and ratios as text."""
    plain = {k: format(v, "f") if isinstance(v, D) else v for k, v in total.items()}
    ratios = {c.name: c.value(total) for c in columns if c.parts and c.has_total}
    return plain | {k: v if v is None else format(v.quantize(D("0.000001")), "f") for k, v in ratios.items()}


def total_in_words(columns: Sequence[Column], total: Mapping[str, Any]) -> str:
    """Return a total row as one line."""
    currency = next((str(v) for v in total.values() if isinstance(v, str)), "")
    parts = [f"{c.title} {c.display(total)}" for c in columns if c.has_total]
    return f"{total['rows']:,} rows{f' in {currency}' if currency else ''}; {', '.join(parts)}"
