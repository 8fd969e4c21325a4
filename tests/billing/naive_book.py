"""The book of a reseller as plain rows for the naive oracle, with the look-ups a clerk would do on paper.

Written from the specification and docs/money.md; it imports nothing of the product but the database connection.
"""

from collections import defaultdict
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

Row = dict[str, Any]
TABLES = (
    "customer", "carrier", "number", "numberidentity", "numberassignment", "tariff", "tariffmarkup", "timeband",
    "tariffrate", "tariffassignment", "bundle", "feature", "featuretype", "featureprice",
)  # fmt: skip
NEVER = date.max


def rows_of(sql: str, *values: Any) -> list[Row]:
    """Return the rows of a query as dictionaries."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def holds(row: Row, day: date, first: str, end: str) -> bool:
    """Say whether a half-open range holds a day; without a first day it has always begun, without an end it goes on."""
    return (row[first] is None or row[first] <= day) and (row[end] is None or day < row[end])


class NaiveBook:
    """Numbers, whose they are, tariffs and rates, features and their prices."""

    def __init__(self, reseller_id: int) -> None:
        """Read every table once."""
        (self.reseller,) = rows_of("SELECT * FROM core_reseller WHERE id = %s", reseller_id)
        self.zone = ZoneInfo(self.reseller["time_zone"])
        tables = {
            table: rows_of(f"SELECT * FROM billing_{table} WHERE reseller_id = %s ORDER BY id", reseller_id)
            for table in TABLES
        }
        by_id = {table: {row["id"]: row for row in rows} for table, rows in tables.items()}
        self.customers, self.numbers, self.tariffs = by_id["customer"], by_id["number"], by_id["tariff"]
        self.features, self.featuretypes = by_id["feature"], by_id["featuretype"]
        self.featureprices = by_id["featureprice"]
        self.names = {plain(row["identity"]): row["number_id"] for row in tables["numberidentity"]}
        self.names |= {plain(row["number"]): row["id"] for row in self.numbers.values()}
        self.rates: dict[tuple[int, str, str, str], list[Row]] = defaultdict(list)
        self.bands_of_file: dict[tuple[int, str], set[str]] = defaultdict(set)
        for row in tables["tariffrate"]:
            self.rates[row["tariff_id"], row["service"], row["key_kind"], row["key"]].append(row)
            self.bands_of_file[row["tariff_id"], row["service"]].add(row["band"])
        self.held = grouped(tables["numberassignment"], "number_id")
        self.of_number = grouped(tables["tariffassignment"], "number_id")
        self.of_customer = grouped(tables["tariffassignment"], "customer_id")
        self.bands = grouped(tables["timeband"], "tariff_id")
        self.markups = grouped(tables["tariffmarkup"], "tariff_id")
        self.features_of = grouped(tables["feature"], "customer_id")
        self.bundles_of = grouped(tables["bundle"], "feature_type_id")
        self.prices_of = grouped(tables["featureprice"], "feature_type_id")
        sql = "SELECT * FROM billing_charge WHERE reseller_id = %s AND feature_id IS NULL ORDER BY id"
        self.given = grouped(rows_of(sql, reseller_id), "customer_id")

    def day(self, moment: datetime) -> date:
        """Return the reseller's own day of an instant."""
        return moment.astimezone(self.zone).date()

    def line(self, tariff: Row) -> list[Row]:
        """Return a tariff and those it inherits from, nearest first."""
        found = [tariff]
        while found[-1]["parent_id"] and self.tariffs[found[-1]["parent_id"]] not in found:
            found.append(self.tariffs[found[-1]["parent_id"]])
        return found

    def inherited(self, tariff: Row, field: str) -> Any:
        """Return what the tariff or the nearest parent that has it says in a field."""
        return next((row[field] for row in self.line(tariff) if row[field] is not None), None)

    def customer_on(self, number_id: int, day: date) -> int | None:
        """Return whose number it was on a day."""
        held = [row for row in self.held[number_id] if holds(row, day, "start_date", "end_date")]
        return held[0]["customer_id"] if held else None

    def assigned(self, rows: list[Row], call_class: str, day: date) -> Row | None:
        """Return the tariff given for a class on a day; of several the one given last."""
        mine = [
            row
            for row in rows
            if row["call_class"] == call_class and holds(row, day, "start_date", "end_date")
        ]
        best = max(mine, key=lambda row: (row["start_date"], row["id"]), default=None)
        return self.tariffs[best["tariff_id"]] if best else None

    def default(self, carrier_id: int, number_type: str, day: date) -> Row | None:
        """Return the default tariff: of carrier and number type, of the carrier, of the type, of any."""
        for carrier in (carrier_id, None):
            for kind in (number_type, ""):
                fits = [
                    row
                    for row in self.tariffs.values()
                    if row["is_default"]
                    and row["kind"] == "retail"
                    and (row["carrier_id"], row["default_number_type"]) == (carrier, kind)
                ]
                if best := self.in_force(fits, day):
                    return best
        return None

    def wholesale(self, carrier_id: int, day: date) -> Row | None:
        """Return what the carrier sells by on a day."""
        fits = [
            row
            for row in self.tariffs.values()
            if row["kind"] == "wholesale" and row["carrier_id"] == carrier_id
        ]
        return self.in_force(fits, day)

    def in_force(self, tariffs: list[Row], day: date) -> Row | None:
        """Return of several tariffs the one that is superseded next after a day."""
        alive = [row for row in tariffs if (row["superseded_on"] or NEVER) > day]
        return min(alive, key=lambda row: (row["superseded_on"] or NEVER, row["id"]), default=None)


def plain(text: str) -> str:
    """Write a number or another name of a line without blanks, plus and case."""
    return "".join(text.split()).lstrip("+").casefold()


def grouped(rows: list[Row], field: str) -> dict[int, list[Row]]:
    """Group rows by a field, in the order of their ids."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[field]].append(row)
    return found
