"""Compares a deck with the rates of its tariff and writes the difference: rates end and start, none is rewritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from billing.importing.decks.rates import Rate
from billing.importing.tables.problems import Problems
from billing.importing.tables.staging import staged
from billing.models import Tariff

_COLUMNS = {
    "service": "text", "key_kind": "text", "key": "text", "band": "text", "destination": "text", "call_class": "text",
    "price": "numeric", "connection_fee": "numeric", "minimum_charge": "numeric", "maximum_charge": "numeric",
    "initial_increment": "integer", "next_increment": "integer", "free_seconds": "integer", "ends": "boolean",
    "line": "integer",
}  # fmt: skip

# Every rate of the deck beside the rate in force on its day, if any.
_COMPARED = """
CREATE TEMP TABLE deck_compared ON COMMIT DROP AS
SELECT s.*, r.id AS held_id, r.valid_from AS held_from, r.valid_to AS held_to, r.price AS held_price,
       (r.call_class, r.price, r.connection_fee, r.minimum_charge, r.maximum_charge, r.initial_increment,
        r.next_increment, r.free_seconds)
       IS NOT DISTINCT FROM
       (s.call_class::varchar, s.price, s.connection_fee, s.minimum_charge, s.maximum_charge, s.initial_increment,
        s.next_increment, s.free_seconds) AS same,
       (SELECT min(n.valid_from) FROM billing_tariffrate n
        WHERE n.reseller_id = %(house)s AND n.tariff_id = %(tariff)s AND n.service = s.service
          AND n.key_kind = s.key_kind AND n.key = s.key AND n.band = s.band AND n.valid_from > %(day)s) AS next_from
FROM stage_deck s
LEFT JOIN billing_tariffrate r
  ON r.reseller_id = %(house)s AND r.tariff_id = %(tariff)s AND r.service = s.service AND r.key_kind = s.key_kind
 AND r.key = s.key AND r.band = s.band AND r.valid_from <= %(day)s AND (r.valid_to IS NULL OR r.valid_to > %(day)s)
"""

_CLASHES = """
SELECT line, key, held_price FROM deck_compared
WHERE held_id IS NOT NULL AND (ends OR NOT same) AND held_from = %(day)s ORDER BY line
"""

_JUMPS = """
SELECT line, key, held_price, price FROM deck_compared
WHERE NOT ends AND held_price > 0 AND price > 0 AND (price > 20 * held_price OR held_price > 20 * price) ORDER BY line
"""

# Rates that end: replaced, ended by the deck, of a band the deck no longer tells apart, or missing in a whole deck.
_END = """
UPDATE billing_tariffrate r SET valid_to = %(day)s
WHERE r.reseller_id = %(house)s AND r.tariff_id = %(tariff)s AND r.valid_from < %(day)s
  AND (r.valid_to IS NULL OR r.valid_to > %(day)s)
  AND (r.id IN (SELECT held_id FROM deck_compared WHERE held_id IS NOT NULL AND (ends OR NOT same))
       OR r.id IN (
            SELECT o.id FROM billing_tariffrate o
            JOIN (SELECT DISTINCT service, key_kind, key FROM deck_compared WHERE NOT ends) k
              ON k.service = o.service AND k.key_kind = o.key_kind AND k.key = o.key
            WHERE o.reseller_id = %(house)s AND o.tariff_id = %(tariff)s
              AND NOT EXISTS (SELECT 1 FROM deck_compared b WHERE b.service = o.service AND b.key_kind = o.key_kind
                              AND b.key = o.key AND b.band = o.band))
       OR (%(complete)s
           AND EXISTS (SELECT 1 FROM deck_compared c WHERE c.service = r.service AND c.key_kind = r.key_kind)
           AND NOT EXISTS (SELECT 1 FROM deck_compared c WHERE c.service = r.service AND c.key_kind = r.key_kind
                           AND c.key = r.key)))
"""

_START = """
INSERT INTO billing_tariffrate (reseller_id, tariff_id, service, key_kind, key, destination, call_class, band, price,
    connection_fee, minimum_charge, maximum_charge, initial_increment, next_increment, free_seconds, valid_from,
    valid_to)
SELECT %(house)s, %(tariff)s, service, key_kind, key, destination, call_class, band, price, connection_fee,
       minimum_charge, maximum_charge, initial_increment, next_increment, free_seconds, %(day)s,
       CASE WHEN held_id IS NULL THEN next_from ELSE held_to END
FROM deck_compared WHERE NOT ends AND (held_id IS NULL OR NOT same)
"""


@dataclass(frozen=True)
class Difference:
    """What a deck does to its tariff: rates that are new, changed, ended without a successor, the same."""

    new: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            self.new + other.new,
            self.changed + other.changed,
            self.ended + other.ended,
            self.unchanged + other.unchanged,
        )


def apply_deck(
    tariff: Tariff, rates: Sequence[Rate], *, complete: bool, accept_outliers: bool, problems: Problems
) -> Difference:
    """Write the difference, one effective day after the other; with problems the caller must roll back."""
    difference = Difference()
    for day in sorted({rate.valid_from for rate in rates}):
        of_day = [rate for rate in rates if rate.valid_from == day]
        values = [[getattr(rate, name) for name in _COLUMNS] for rate in of_day]
        with staged("deck", _COLUMNS, values):
            difference += _apply_day(tariff, day, complete, accept_outliers, problems)
    return difference


def _apply_day(
    tariff: Tariff, day: date, complete: bool, accept_outliers: bool, problems: Problems
) -> Difference:
    about: dict[str, Any] = {
        "house": tariff.reseller_id,
        "tariff": tariff.pk,
        "day": day,
        "complete": complete,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COMPARED, about)
        cursor.execute("ANALYZE deck_compared")
        cursor.execute(_CLASHES, about)
        for line, key, price in cursor.fetchall():
            problems.add(line, "effective_date", f"“{key}” already starts on {day} at {price.normalize():f}; a rate is "
                         "never rewritten: choose a later day.")  # fmt: skip
        if not accept_outliers:
            cursor.execute(_JUMPS)
            for line, key, old, new in cursor.fetchall():
                problems.add(line, "price", f"“{key}” goes from {old.normalize():f} to {new.normalize():f}: has a "
                             "decimal point been lost? Accept outliers if this is right.")  # fmt: skip
        difference = Difference()
        if not problems:
            difference = _write(cursor, about)
        cursor.execute("DROP TABLE deck_compared")
    return difference


def _write(cursor: Any, about: dict[str, Any]) -> Difference:
    cursor.execute(
        "SELECT count(*) FILTER (WHERE NOT ends AND held_id IS NULL), count(*) FILTER (WHERE NOT ends AND NOT same AND"
        " held_id IS NOT NULL), count(*) FILTER (WHERE NOT ends AND same) FROM deck_compared"
    )
    new, changed, unchanged = cursor.fetchone()
    cursor.execute(_END, about)
    ended = cursor.rowcount - changed
    cursor.execute(_START, about)
    return Difference(new=new, changed=changed, ended=ended, unchanged=unchanged)
