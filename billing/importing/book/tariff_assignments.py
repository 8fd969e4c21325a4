"""Import of tariff assignments: which tariff prices whose calls, from which day."""

from collections import defaultdict
from datetime import date
from typing import Any

from django.db import connection

from billing.importing.tables.fields import Field, day, text
from billing.importing.tables.kind import Counts, Kind, Row, Work, last_days
from billing.importing.tables.numbers import number
from billing.importing.tables.staging import staged, upsert
from billing.models import TariffAssignment

_Target = tuple[int | None, int | None, str]


def _target(row: Row) -> _Target:
    return row["customer_id"], row["number_id"], row["call_class"] or ""


def check(rows: list[Row], work: Work) -> None:
    """Refuse lines for both or neither of customer and number, and another tariff from the same day."""
    last_days(rows, work, first="start_date", end="end_date")
    for row in rows:
        if (row["customer"] is None) == (row["number"] is None):
            work.refuse(row, "customer", "Name either a customer or a number.")
    _end_by_the_next(rows)
    known = _known(work)
    for row in rows:
        other = known.get((_target(row), row["start_date"]))
        if other is not None and other != row["tariff_id"]:
            work.refuse(row, "tariff", f"Another tariff is assigned from {row['start_date']} already.")


def _end_by_the_next(rows: list[Row]) -> None:
    """Let each open assignment of the file end where the next of the same target starts."""
    groups: dict[_Target, list[Row]] = defaultdict(list)
    for row in rows:
        groups[_target(row)].append(row)
    for group in groups.values():
        group.sort(key=lambda row: row["start_date"])
        for row, following in zip(group, group[1:], strict=False):
            if row["end_date"] is None and row["start_date"] < following["start_date"]:
                row["end_date"] = following["start_date"]


def _known(work: Work) -> dict[tuple[_Target, date], int]:
    customers = list(work.ids.get("customer", {}).values())
    numbers = list(work.ids.get("number", {}).values())
    fields = ("customer_id", "number_id", "call_class", "start_date", "tariff_id")
    found: Any = (
        TariffAssignment.objects.filter(customer_id__in=customers)
        .values_list(*fields)
        .union(TariffAssignment.objects.filter(number_id__in=numbers).values_list(*fields))
    )
    return {((customer, number, kind), start): tariff for customer, number, kind, start, tariff in found}


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new assignments, ending the open one that each replaces on the day that it starts."""
    _end_replaced(rows, work.reseller.pk)
    counts = Counts()
    for target in ("customer_id", "number_id"):
        values = [
            {
                target: row[target],
                "call_class": row["call_class"] or "",
                "start_date": row["start_date"],
                "end_date": row["end_date"],
                "tariff_id": row["tariff_id"],
            }
            for row in rows
            if row[target] is not None
        ]
        key = (target, "call_class", "start_date")
        counts += upsert(TariffAssignment, values, key=key, reseller_id=work.reseller.pk)
    return counts


_END = """
UPDATE billing_tariffassignment t SET end_date = s.start_date
FROM (
    SELECT DISTINCT ON (a.id) a.id, n.start_date
    FROM stage_replacing n
    JOIN billing_tariffassignment a ON a.reseller_id = %s AND a.end_date IS NULL AND a.call_class = n.call_class
     AND a.customer_id IS NOT DISTINCT FROM n.customer_id AND a.number_id IS NOT DISTINCT FROM n.number_id
     AND a.start_date < n.start_date
    ORDER BY a.id, n.start_date
) s
WHERE t.reseller_id = %s AND t.id = s.id
"""


def _end_replaced(rows: list[Row], reseller_id: int) -> None:
    columns = {"customer_id": "bigint", "number_id": "bigint", "call_class": "text", "start_date": "date"}
    values = [(*_target(row), row["start_date"]) for row in rows]
    with staged("replacing", columns, values), connection.cursor() as cursor:
        cursor.execute(_END, [reseller_id, reseller_id])


KIND = Kind(
    slug="tariff-assignments",
    title="Tariff assignments",
    purpose="Which tariff prices a customer's or a number's calls, from which day.",
    order=70,
    key=("customer", "number", "call_class", "start_date"),
    check=check,
    load=load,
    days=("start_date", "end_date"),
    fields=(
        Field(name="customer", parse=text(60), reference="customer", aliases=("account", "customer code"),
              example="C1001", help="Either a customer or a number."),
        Field(name="number", parse=number, reference="number", aliases=("cli",), example=""),
        Field(name="tariff", parse=text(120), required=True, reference="tariff", aliases=("plan", "price list"),
              example="Standard retail"),
        Field(name="call_class", parse=text(30), example="", help="Empty: every class of call."),
        Field(name="start_date", parse=day, required=True, aliases=("start", "from", "valid from"),
              example="2026-10-01"),
        Field(name="end_date", parse=day, aliases=("end", "to", "valid to"), example="",
              help="First day it no longer holds."),
        Field(name="last_day", parse=day, example="", help="Instead of the end: the last day it holds."),
    ),
)  # fmt: skip
