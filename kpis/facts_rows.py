"""Rows of several kinds under one another, to be summed together: each fills some columns and leaves the others null.

Sums pass over nulls at next to no cost; a zero is an addition, and the kind of a row told by its name a comparison, for
every row and column: of half a million rows with twenty columns that was a third of the work.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: What is not said to be another type is an amount.
AMOUNT = "numeric"
KEYS = {
    "month": "date",
    "day": "date",
    "customer_id": "bigint",
    "feature_type_id": "bigint",
    "currency": "text",
}


@dataclass(frozen=True)
class Entries:
    """The rows as SQL, and the sums of their columns, which are never null."""

    rows: str
    sums: str


def keys(dated: str, whose: str) -> dict[str, str]:
    """Return the keys of a kind of rows: month and day of one alias, customer and currency of another."""
    of = {"month": dated, "day": dated, "customer_id": whose, "currency": whose}
    return {name: f"{alias}.{name}" for name, alias in of.items()}


def entries(types: Mapping[str, str], *kinds: tuple[str, Mapping[str, str]]) -> Entries:
    """Put kinds of rows under one another: of each FROM and what follows, and SQL per column it fills.

    `types` are those of columns that are no amounts.
    """
    found = dict.fromkeys(name for _, filled in kinds for name in filled)
    columns = {name: KEYS.get(name, types.get(name, AMOUNT)) for name in found}
    rows = [
        " ".join(
            [
                "SELECT",
                ", ".join(
                    f"({filled.get(name, 'NULL')})::{kind} AS {name}" for name, kind in columns.items()
                ),
                source,
            ]
        )
        for source, filled in kinds
    ]
    sums = [f"coalesce(sum(e.{name}), 0)::{columns[name]} AS {name}" for name in found if name not in KEYS]
    return Entries(" UNION ALL ".join(rows), ", ".join(sums))
