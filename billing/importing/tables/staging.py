"""Set-based writing: rows go by COPY to a staging table of the transaction, then into their table in two statements."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

from django.db import connection
from django.db.models import NOT_PROVIDED, CharField, Field, Model, TextField
from django.utils import timezone
from psycopg2 import sql

from billing.importing.tables.kind import Counts

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextmanager
def staged(name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Iterator[sql.Identifier]:
    """Put rows in a temporary table of named, typed columns and yield its name; it is dropped at the end."""
    table = sql.Identifier(f"stage_{name}")
    typed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(t)) for c, t in columns.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(table, typed))  # type: ignore[arg-type]
        copied = StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in rows))
        command = sql.SQL("COPY {} FROM STDIN").format(table)
        cursor.cursor.copy_expert(command.as_string(cursor.cursor), copied)
        cursor.execute(sql.SQL("ANALYZE {}").format(table))  # type: ignore[arg-type]
        yield table
        cursor.execute(sql.SQL("DROP TABLE {}").format(table))  # type: ignore[arg-type]


def _copied(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        quoted = (str(v).replace("\\", "\\\\").replace('"', '\\"') for v in value)
        return ("{" + ",".join(f'"{v}"' for v in quoted) + "}").translate(_ESCAPES)
    if isinstance(value, date):
        return value.isoformat()
    return str(value).translate(_ESCAPES)


def upsert(
    model: type[Model],
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
    reseller_id: int,
    insert: bool = True,
    update: bool = True,
) -> Counts:
    """Insert the rows whose key is new, update those that differ, leave the rest; rows name database columns.

    A value None leaves an existing row's value alone and gives a new row the model's default. All rows have the
    same columns. The key holds no None.
    """
    if not rows:
        return Counts()
    columns = {str(f.column): f for f in model._meta.local_concrete_fields if f.column in rows[0]}
    types = {name: str(f.db_type(connection)) for name, f in columns.items()}
    values = [[row[name] for name in columns] for row in rows]
    with staged(model._meta.db_table, types, values) as stage:
        changed = _update(model, stage, columns, key, reseller_id) if update else 0
        new = _insert(model, stage, columns, key, reseller_id) if insert else 0
    return Counts(new=new, changed=changed, unchanged=len(rows) - new - changed)


def _same(key: Sequence[str]) -> sql.Composed:
    return sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in key)


def _update(
    model: type[Model],
    stage: sql.Identifier,
    columns: Mapping[str, Field],
    key: Sequence[str],
    reseller_id: int,
) -> int:
    names = [sql.Identifier(name) for name in columns if name not in key]
    if not names:
        return 0
    statement = sql.SQL(
        "UPDATE {table} t SET {sets} FROM {stage} s"
        " WHERE t.reseller_id = %s AND {same} AND ({old}) IS DISTINCT FROM ({new})"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        sets=sql.SQL(", ").join(sql.SQL("{0} = COALESCE(s.{0}, t.{0})").format(n) for n in names),
        stage=stage,
        same=_same(key),
        old=sql.SQL(", ").join(sql.SQL("t.{}").format(n) for n in names),
        new=sql.SQL(", ").join(sql.SQL("COALESCE(s.{0}, t.{0})").format(n) for n in names),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [reseller_id])  # type: ignore[arg-type]
        return cursor.rowcount


def _insert(
    model: type[Model],
    stage: sql.Identifier,
    columns: Mapping[str, Field],
    key: Sequence[str],
    reseller_id: int,
) -> int:
    targets, sources, values = [sql.Identifier("reseller_id")], [sql.SQL("%s")], [reseller_id]
    for f in model._meta.local_concrete_fields:
        if f.primary_key or f.column == "reseller_id":
            continue
        default = _default(f)
        staged_value = (
            sql.SQL("s.{}").format(sql.Identifier(f.column)) if f.column in columns else sql.SQL("NULL")
        )
        targets.append(sql.Identifier(f.column))
        sources.append(
            sql.SQL("COALESCE({}, %s::{})").format(staged_value, sql.SQL(str(f.db_type(connection))))
        )
        values.append(default)
    statement = sql.SQL(
        "INSERT INTO {table} ({targets}) SELECT {sources} FROM {stage} s WHERE NOT EXISTS"
        " (SELECT 1 FROM {table} t WHERE t.reseller_id = %s AND {same})"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        targets=sql.SQL(", ").join(targets),
        sources=sql.SQL(", ").join(sources),
        stage=stage,
        same=_same(key),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, reseller_id])  # type: ignore[arg-type]
        return cursor.rowcount


def _default(f: Field) -> Any:
    if getattr(f, "auto_now_add", False) or getattr(f, "auto_now", False):
        return timezone.now()
    if f.default is not NOT_PROVIDED:
        return f.get_default()
    return None if f.null or not isinstance(f, CharField | TextField) else ""
