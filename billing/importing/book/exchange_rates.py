"""Import of exchange rates: the European Central Bank's wide file, or one rate on each line."""

import re

from billing.importing.tables.fields import Field, currency, day, exact, text
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.reading import Cell, Line, Table
from billing.importing.tables.staging import upsert
from billing.models import ExchangeRate

_ABSENT = ("", "N/A", "n/a", "-")


def narrow(table: Table) -> Table:
    """Turn a table with a column for each currency into one rate on each line; others stay as they are."""
    at = {i: head.upper() for i, head in enumerate(table.heads) if re.fullmatch(r"[A-Za-z]{3}", head)}
    if len(at) < 2 or not table.heads or table.heads[0].casefold() not in ("date", "day"):
        return table
    lines: list[Line] = []
    for line in table.lines:
        for index, code in at.items():
            cell: Cell = line.cells[index] if index < len(line.cells) else ""
            if cell not in _ABSENT:
                lines.append(Line(line.number, [line.cells[0], code, cell]))
    return Table(["date", "currency", "rate"], lines)


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new rates and correct known ones."""
    values = [
        {
            "date": row["date"],
            "base": row["base"] or "EUR",
            "currency": row["currency"],
            "rate": row["rate"],
            "source": row["source"],
        }
        for row in rows
    ]
    return upsert(ExchangeRate, values, key=("date", "base", "currency"), reseller_id=work.reseller.pk)


def check(rows: list[Row], work: Work) -> None:
    """Refuse rates that are not positive."""
    for row in rows:
        if row["rate"] is not None and row["rate"] <= 0:
            work.refuse(row, "rate", "A rate must be more than zero.")


KIND = Kind(
    slug="exchange-rates",
    title="Exchange rates",
    purpose="Daily reference rates: the ECB's file as it is, or one rate on each line.",
    order=110,
    key=("date", "currency", "base"),
    load=load,
    check=check,
    reshape=narrow,
    fields=(
        Field(name="date", parse=day, required=True, aliases=("day",), example="2026-10-30"),
        Field(name="currency", parse=currency, required=True, example="USD"),
        Field(name="rate", parse=exact(8), required=True, example="1.1172", help="Units of the currency for one base."),
        Field(name="base", parse=currency, example="EUR", help="EUR when empty."),
        Field(name="source", parse=text(40), example="ECB"),
    ),
)  # fmt: skip
