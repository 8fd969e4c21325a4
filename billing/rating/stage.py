"""Moves columns between calls in the database and memory: COPY out of a query, COPY into a staging table."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
from django.db import connection

from billing.models import ChangedDay
from billing.rating.dated import day_of
from resellerkpi.core.models import Reseller

ARROW = {"bigint": pa.int64(), "integer": pa.int64(), "text": pa.large_string(), "boolean": pa.int64()}


def read_columns(select: str, parameters: Sequence[Any], kinds: Mapping[str, str]) -> pa.Table:
    """Return the rows of a query as columns of the kinds named (booleans as 0 and 1)."""
    out = io.BytesIO()
    with connection.cursor() as cursor:
        sql = cursor.cursor.mogrify(select, list(parameters)).decode()
        cursor.cursor.copy_expert(f"COPY ({sql}) TO STDOUT WITH (FORMAT csv)", out)
    schema = {name: ARROW[kind] for name, kind in kinds.items()}
    if not out.tell():
        return pa.table({name: pa.array([], type=kind) for name, kind in schema.items()})
    return pacsv.read_csv(
        pa.BufferReader(out.getbuffer()),
        read_options=pacsv.ReadOptions(column_names=list(kinds)),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(column_types=schema, strings_can_be_null=False),
    ).combine_chunks()


def make_stage(name: str, kinds: Mapping[str, str]) -> None:
    """Make an empty staging table of this transaction."""
    definition = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({definition}) ON COMMIT DROP")
        cursor.execute(f"TRUNCATE {name}")


def stage(name: str, kinds: Mapping[str, str], columns: Mapping[str, Any]) -> None:
    """Add the columns to a staging table."""
    out = pa.BufferOutputStream()
    table = pa.table({column: columns[column] for column in kinds})
    pacsv.write_csv(table, out, pacsv.WriteOptions(include_header=False))
    with connection.cursor() as cursor:
        cursor.cursor.copy_expert(
            f"COPY {name} FROM STDIN WITH (FORMAT csv)", pa.BufferReader(out.getvalue()), size=1 << 20
        )


def analyse(name: str) -> None:
    """Tell the planner what a staging table holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {name}")


def mark_days(reseller: Reseller, days: Iterable[int]) -> None:
    """Note that the local days (day numbers) have changed, for the snapshots."""
    ChangedDay.objects.bulk_create(
        [ChangedDay(reseller=reseller, day=day_of(day)) for day in sorted(set(days))],
        update_conflicts=True,
        unique_fields=["reseller", "day"],
        update_fields=["changed_at"],
    )
