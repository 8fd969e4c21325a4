"""Stores rated calls: COPY into a staging table, INSERT of what is not there yet, and what was there told by line."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from django.db import IntegrityError, connection, transaction

from billing.importing.counts import Tally
from billing.importing.records import Reject
from billing.models import CdrFile, RatingBatch

#: Columns of the chunk as they are staged: money and volume as whole numbers, ids 0 for none.
STAGED = {
    "started_at": "bigint",
    "dedupe_key": "bigint",
    "customer_id": "bigint",
    "number_id": "bigint",
    "rate_id": "bigint",
    "cost_rate_id": "bigint",
    "line": "integer",
    "duration": "integer",
    "billed_seconds": "integer",
    "answered": "boolean",
    "service": "text",
    "direction": "text",
    "state": "text",
    "reason": "text",
    "uid": "text",
    "group_uid": "text",
    "billed_party": "text",
    "cli": "text",
    "dialled": "text",
    "charge_code": "text",
    "destination": "text",
    "call_class": "text",
    "band": "text",
    "currency": "text",
    "cost_currency": "text",
    "volume": "bigint",
    "retail": "bigint",
    "cost": "bigint",
    "expected_cost": "bigint",
    "surcharge": "bigint",
    "access_charge": "bigint",
}
NULLABLE = {"cost": "has_cost", "expected_cost": "has_expected"}
LINKS = ("customer_id", "number_id", "rate_id", "cost_rate_id")
MONEY = ("retail", "surcharge", "cost", "expected_cost")
OUTCOME = ("state", "reason", "currency", "cost_currency")
MILLION = 10**6
QUARTER = 900
STAGE = "cdr_stage"
COPY_BLOCK = 1 << 20
CONTENT_LOCK = 7307
WORTH_ANALYSING = 5_000
WORTH_LOOKING_UP = 1_000
#: The first and the last second of a number of calls.
Span: TypeAlias = tuple[int, int]

_TABLE = ", ".join(f"{name} {kind}" for name, kind in STAGED.items())


def _value(name: str) -> str:
    if name == "started_at":
        return "to_timestamp(started_at)"
    if name in MONEY:
        return f"{name} * 0.00000001"
    if name == "access_charge":
        return "nullif(access_charge, 0) * 0.00000001"
    return "volume * 0.000001" if name == "volume" else name


_INSERT = (
    f"INSERT INTO billing_call (reseller_id, carrier_id, file_id, batch_id, {', '.join(STAGED)})"  # noqa: S608 - our names
    f" SELECT %s, %s, %s, %s, {', '.join(map(_value, STAGED))} FROM {STAGE}"
)
_UNLESS_THERE = " ON CONFLICT (reseller_id, started_at, dedupe_key) DO NOTHING"
_SOME_THERE = """
SELECT EXISTS (SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS row (dedupe_key, started_at) JOIN billing_call call
    ON call.reseller_id = %s AND call.dedupe_key = row.dedupe_key AND call.started_at = to_timestamp(row.started_at))
"""
_KEEP_REPEATED = (
    "INSERT INTO billing_cdrreject (reseller_id, file_id, line, outcome, reason, raw)"  # noqa: S608 - our names
    " SELECT %s, %s, stage.line, 'duplicate', left('Already loaded: line ' || call.line || CASE"
    " WHEN call.file_id = %s THEN ' of this file' ELSE ' of ' || coalesce(file.name, 'another file') END, 200), ''"
    f" FROM {STAGE} stage JOIN billing_call call ON call.reseller_id = %s"
    " AND call.dedupe_key = stage.dedupe_key AND call.started_at = to_timestamp(stage.started_at)"
    " LEFT JOIN billing_cdrfile file ON file.id = call.file_id"
    " WHERE (call.file_id, call.line) <> (%s, stage.line) RETURNING line"
)
_KEEP_UNREAD = """
INSERT INTO billing_cdrreject (reseller_id, file_id, line, outcome, reason, raw)
SELECT %s, %s, line, 'error', reason, raw FROM unnest(%s::int[], %s::text[], %s::text[]) AS row (line, reason, raw)
"""
REASON_WIDTH, RAW_WIDTH = 200, 10_000


def one_at_a_time(carrier_id: int) -> None:
    """Let files of a carrier be loaded one after the other, so that equal calls in two of them meet in order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [CONTENT_LOCK, carrier_id])


def make_stage() -> None:
    """Make the staging table of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {STAGE} ({_TABLE}) ON COMMIT DROP")


def make_partitions(started: "np.ndarray[Any, np.dtype[np.int64]]", made: set[date]) -> None:
    """Make the month partitions that calls starting at these instants need; `made` remembers those seen to."""
    months = {_month(int(day) * 86_400) for day in np.unique(started // 86_400)}
    with connection.cursor() as cursor:
        for month in sorted(months - made):
            cursor.execute("SELECT make_call_partition(%s)", [month])
    made |= months


def analyse(first: date, last: date, rows: int) -> None:
    """Give the planner fresh statistics of the months of a load that is worth it.

    That is WORTH_ANALYSING rows, and enough beside those that the month's statistics know of already.
    """
    if rows >= WORTH_ANALYSING:
        with connection.cursor() as cursor:
            cursor.execute("SELECT analyze_calls(%s, %s, %s)", [first, last, rows])


def _month(instant: int) -> date:
    return datetime.fromtimestamp(instant, UTC).date().replace(day=1)


def store(
    frame: pd.DataFrame,
    file: CdrFile,
    batch: RatingBatch,
    *,
    content: pa.Buffer | None = None,
    stored: Span | None = None,
) -> pd.DataFrame:
    """Add rated calls, each at most once for all files of the carrier; return those that are new.

    `content` is the frame as as_csv() writes it, `stored` the first and last start of what this file has stored so
    far. The lines of calls that were there already are kept as duplicates.
    """
    reseller, values = file.reseller_id, [file.reseller_id, file.carrier_id, file.pk, batch.pk]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {STAGE}")
        _copy(cursor, as_csv(frame) if content is None else content)
        if not _may_be_there(cursor, frame, file, stored):
            with suppress(IntegrityError), transaction.atomic():
                cursor.execute(_INSERT, values)
                return frame
        cursor.execute(_INSERT + _UNLESS_THERE, values)
        if cursor.rowcount == len(frame):
            return frame
        cursor.execute(_KEEP_REPEATED, [reseller, file.pk, file.pk, reseller, file.pk])
        repeated = [line for (line,) in cursor.fetchall()]
    return frame[~frame["line"].isin(repeated)]


def _may_be_there(cursor: Any, frame: pd.DataFrame, file: CdrFile, stored: Span | None) -> bool:
    """Say whether some of the calls may be stored already or repeat each other.

    A call of this carrier can only be there if it starts when a file of the carrier has calls; a few such calls are
    looked up, more are not worth it.
    """
    keys, starts = frame["dedupe_key"].to_numpy(), frame["started_at"].to_numpy()
    if bool(frame.duplicated(["dedupe_key", "started_at"]).any()):
        return True
    first, last = (datetime.fromtimestamp(int(at), UTC) for at in (starts.min(), starts.max()))
    files = CdrFile.objects.filter(
        carrier_id=file.carrier_id, first_call_at__lte=last, last_call_at__gte=first
    )
    spans = [
        (int(begun.timestamp()), int(ended.timestamp()))
        for begun, ended in files.values_list("first_call_at", "last_call_at")
        if begun and ended
    ]
    doubtful = np.zeros(len(frame), dtype=bool)
    for begun, ended in [*spans, *([stored] if stored else [])]:
        doubtful |= (starts >= begun) & (starts <= ended)
    if doubtful.sum() > WORTH_LOOKING_UP:
        return True
    asked = [keys[doubtful].tolist(), starts[doubtful].tolist(), file.reseller_id]
    cursor.execute(_SOME_THERE, asked)
    return bool(cursor.fetchone()[0])


def tallies(frame: pd.DataFrame) -> list[Tally]:
    """Add up rated calls by outcome and currency, money as it is stored: to six places, half away from zero."""
    money: dict[str, Any] = {}
    for name in ("cost", "retail"):
        value = frame[name].to_numpy()
        millionths = np.sign(value) * ((np.abs(value) + 50) // 100)
        money |= {f"{name}_units": millionths // MILLION, f"{name}_rest": millionths % MILLION}
    columns = {name: frame[name] for name in (*OUTCOME, "duration")}
    sums = (
        pd.DataFrame({**columns, **money, "calls": 1}, index=frame.index)
        .groupby(list(OUTCOME), observed=True)
        .sum()
    )
    return [
        Tally(
            **dict(zip(OUTCOME, map(str, key), strict=True)),
            calls=int(row["calls"]),
            seconds=int(row["duration"]),
            cost=Decimal(int(row["cost_units"])) + Decimal(int(row["cost_rest"])).scaleb(-6),
            retail=Decimal(int(row["retail_units"])) + Decimal(int(row["retail_rest"])).scaleb(-6),
        )
        for key, row in zip(sums.index, sums.to_dict("records"), strict=True)
    ]


def as_csv(frame: pd.DataFrame) -> pa.Buffer:
    """Write rated calls as the staging table takes them; needs no database."""
    columns = {name: _column(frame, name) for name in STAGED}
    out = pa.BufferOutputStream()
    pacsv.write_csv(pa.table(columns), out, pacsv.WriteOptions(include_header=False))
    return out.getvalue()


def _copy(cursor: Any, content: pa.Buffer) -> None:
    cursor.cursor.copy_expert(
        f"COPY {STAGE} FROM STDIN WITH (FORMAT csv)", pa.BufferReader(content), size=COPY_BLOCK
    )


def _column(frame: pd.DataFrame, name: str) -> pa.Array:
    values = pa.Array.from_pandas(frame[name])
    if name in LINKS:
        ids = frame[name].to_numpy()
        return pa.array(ids, mask=ids == 0)
    if name in NULLABLE:
        return pa.array(frame[name].to_numpy(), mask=~frame[NULLABLE[name]].to_numpy(dtype=bool))
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def by_day(frame: pd.DataFrame, zone: ZoneInfo, days: dict[str, list[int]]) -> None:
    """Add calls to the records, seconds and reported cost (in millionths) of each local day."""
    codes, quarters = pd.factorize(frame["started_at"].to_numpy() // QUARTER)
    instants = (datetime.fromtimestamp(int(q) * QUARTER, UTC) for q in quarters)
    names = np.array([at.astimezone(zone).date().isoformat() for at in instants])
    cost = (frame["cost"].to_numpy() + 50) // 100
    columns = {"day": names[codes], "records": 1, "seconds": frame["duration"].to_numpy(), "cost": cost}
    for day, row in pd.DataFrame(columns).groupby("day").sum().iterrows():
        have = days.get(str(day), [0, 0, 0])
        days[str(day)] = [
            old + int(row[name]) for old, name in zip(have, ("records", "seconds", "cost"), strict=True)
        ]


def keep_unread(file: CdrFile, rejects: Sequence[Reject]) -> None:
    """Keep rows that could not be read with their line, text and reason."""
    if not rejects:
        return
    lines = [reject.line for reject in rejects]
    reasons = [reject.reason[:REASON_WIDTH] for reject in rejects]
    raws = [reject.raw[:RAW_WIDTH].replace("\x00", "") for reject in rejects]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_UNREAD, [file.reseller_id, file.pk, lines, reasons, raws])
