"""A call file as chunks of events with typed columns, plus the rows that could not be read and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from django.conf import settings

from billing.importing import convert
from billing.importing.convert import EPOCH, Ints, Problems, Text
from billing.importing.layout import Layout
from billing.importing.records import Block, Reject, read_records
from billing.importing.refused import FileRefused
from billing.importing.registry import Format
from billing.importing.texts import BlockRows, blank, known, row_keys
from billing.models import Carrier
from billing.phones import PhoneBook

CHUNK_ROWS = 150_000
WIDTHS = {
    "uid": 120,
    "group_uid": 120,
    "cli": 60,
    "dialled": 60,
    "charge_code": 40,
    "destination": 120,
    "band": 12,
}
IDENTITY_WIDTH = 60
IDENTITIES = ("identity_1", "identity_2", "identity_3")


@dataclass
class Chunk:
    """Events of a file (columns: docs/formats.md) and the rows that are none; `position` bytes are read by then."""

    frame: pd.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0
    heading: str = ""

    @property
    def rows(self) -> int:
        """How many rows of the file the chunk accounts for."""
        return len(self.frame) + len(self.rejects)


def read_chunks(
    path: Path, fmt: Format, carrier: Carrier, *, now: datetime, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Chunk]:
    """Yield a file's events chunk by chunk; raises FileRefused for a file that cannot be one of this format.

    Times without a zone are in the format's, else the carrier's zone; numbers are written by the carrier's country.
    """
    reader = _Reader(fmt, carrier, now)
    for number, (layout, block) in enumerate(
        read_records(path, fmt, limit=settings.UPLOAD_MAX_BYTES, chunk_rows=chunk_rows)
    ):
        chunk = reader.chunk(layout, block)
        if number == 0 and chunk.rejects and chunk.frame.empty:
            first = chunk.rejects[0]
            raise FileRefused(
                f"No row of this file could be read. Line {first.line}: {first.reason}"
                f" Is it of the format “{fmt.label}”?"
            )
        yield chunk


class _Reader:
    """Turns blocks of text into events, remembering the numbers it has worked out."""

    def __init__(self, fmt: Format, carrier: Carrier, now: datetime) -> None:
        self.fmt, self.carrier = fmt, carrier
        self.zone = ZoneInfo(fmt.zone or carrier.time_zone)
        self.day_first = carrier.day_first if fmt.day_first is None else fmt.day_first
        self.last_day = ((now + timedelta(days=2)).date() - EPOCH).days
        self.phones = PhoneBook(carrier.country, carrier.strip_prefix)
        self.lines = PhoneBook(carrier.country, only_valid=True)

    def chunk(self, layout: Layout, block: Block) -> Chunk:
        """Convert a block; rows with a problem become rejects."""
        rows = BlockRows(block.table, layout, self.fmt.nulls)
        problems = Problems(block.table.num_rows)
        columns: dict[str, Text | Ints] = {"line": block.lines}
        columns |= self._texts(layout, rows)
        columns |= self._measures(rows, problems)
        columns["started_at"] = self._starts(rows, problems)
        columns["excluded"] = self._excluded(rows)
        columns["dedupe_key"] = row_keys(rows, layout, self.fmt, self.carrier.pk)
        frame = pa.table(columns).to_pandas()
        rejects = list(block.rejects)
        if problems.reasons:
            rejects += [Reject(int(block.lines[i]), block.raw(i), why) for i, why in problems.reasons.items()]
            frame = frame[~problems.mask()].reset_index(drop=True)
        rejects.sort(key=lambda reject: reject.line)
        return Chunk(frame, rejects, block.position, block.heading)

    def _texts(self, layout: Layout, rows: BlockRows) -> dict[str, Text]:
        fmt, size = self.fmt, rows.size
        texts = {name: rows.field(name, width) for name, width in WIDTHS.items()}
        if fmt.dialled_from is not None:
            texts["dialled"] = fmt.dialled_from(rows)
        elif fmt.dialled_default:
            texts["dialled"] = rows.first_filled(texts["dialled"], known(fmt.dialled_default, size))
        texts["dialled"] = rows.each(texts["dialled"], self.phones.e164, WIDTHS["dialled"])
        texts["cli"] = rows.each(texts["cli"], self.lines.e164, WIDTHS["cli"])
        for place, name in enumerate(IDENTITIES):
            columns = layout.identities[place] if place < len(layout.identities) else ()
            found = rows.first_filled(*columns) if columns else blank(size)
            texts[name] = rows.each(found, self.lines.e164, IDENTITY_WIDTH)
        texts["service"] = known(fmt.service, size)
        texts["direction"] = known(fmt.direction, size)
        if fmt.direction_in is not None:
            texts["direction"] = rows.where(fmt.direction_in(rows), "in", "out")
        currency = known(self.carrier.currency, size)
        given = rows.field("cost_currency", 3)
        texts["cost_currency"] = (
            rows.first_filled(given, currency) if "cost_currency" in layout.fields else currency
        )
        return texts

    def _measures(self, rows: BlockRows, problems: Problems) -> dict[str, Text | Ints]:
        fmt = self.fmt
        scale = convert.AMOUNT // (100 if fmt.cost_unit == "pence" else 1)
        money = partial(convert.amount, decimal=fmt.decimal, scale=scale)
        work: dict[str, Callable[[str], int]] = {
            "duration": partial(convert.seconds, unit=fmt.duration_unit, decimal=fmt.decimal),
            "volume": partial(convert.volume, unit=fmt.volume_unit, decimal=fmt.decimal),
            "cost": money,
        }
        found: dict[str, Text | Ints] = {
            name: convert.by_distinct(rows.field(name), how, problems) for name, how in work.items()
        }
        found["cost"] = found["cost"] * fmt.cost_sign
        found["has_cost"] = rows.filled("cost")
        found["answered"] = rows.answered(fmt.answered_values)
        surcharge = np.zeros(rows.size, dtype=np.int64)
        for column in fmt.surcharge_columns:
            surcharge += convert.by_distinct(rows.column(column), money, problems)
        if fmt.surcharge_where is not None:
            column, value = fmt.surcharge_where
            surcharge = np.where(rows.matches(column, f"^{value}$"), surcharge, 0)
        found["surcharge"] = surcharge * fmt.cost_sign
        return found

    def _starts(self, rows: BlockRows, problems: Problems) -> Ints:
        fmt = self.fmt
        if fmt.time_format == "epoch":
            found = convert.by_distinct(rows.field("started_at"), _epoch, problems)
            convert.check_range(found // 86_400, self.last_day, problems)
            return found
        days, times, pattern = rows.moments(fmt.time_format)
        day = partial(convert.day_number, day_first=self.day_first, pattern=pattern)
        dates = convert.by_distinct(days, day, problems)
        clocks = convert.by_distinct(times, convert.clock, problems)
        unread = problems.mask()
        convert.check_range(np.where(unread, convert.FIRST_DAY, dates), self.last_day, problems)
        local = np.where(problems.mask(), 0, dates * 86_400 + clocks // 2)
        return np.where(clocks % 2 == 1, local, convert.to_utc(local, self.zone))

    def _excluded(self, rows: BlockRows) -> Text:
        reasons = blank(rows.size)
        if self.fmt.excluded is not None:
            for mask, reason in self.fmt.excluded(rows):
                reasons = rows.first_filled(reasons, rows.where(mask, reason, ""))
        return reasons


def _epoch(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise convert.Unreadable(f"“{text[:40]}” is not a time in seconds since 1970.")
    return int(text)
