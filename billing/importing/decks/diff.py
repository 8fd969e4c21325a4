"""Compares a deck with the rates of its tariff and writes the difference: rates end and start, none is rewritten."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from billing.importing.decks.difference import Difference
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
       r.connection_fee AS held_fee, r.destination AS held_name,
       EXISTS (SELECT 1 FROM billing_tariffrate n
        WHERE n.reseller_id = %(house)s AND n.tariff_id = %(tariff)s AND n.service = s.service
          AND n.key_kind = s.key_kind AND n.key = s.key AND n.is_service_charge AND n.valid_from <= %(day)s
          AND (n.valid_to IS NULL OR n.valid_to > %(day)s)) AS is_service,
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
    valid_to, is_service_charge)
SELECT %(house)s, %(tariff)s, service, key_kind, key, destination, call_class, band, price, connection_fee,
       minimum_charge, maximum_charge, initial_increment, next_increment, free_seconds, %(day)s,
       CASE WHEN held_id IS NULL THEN next_from ELSE held_to END, is_service
FROM deck_compared WHERE NOT ends AND (held_id IS NULL OR NOT same)
"""


_HELD = """
SELECT o.* FROM billing_tariffrate o
WHERE o.reseller_id = %(house)s AND o.tariff_id = %(tariff)s AND o.valid_from <= %(day)s
  AND (o.valid_to IS NULL OR o.valid_to > %(day)s)
  AND EXISTS (SELECT 1 FROM deck_compared c WHERE c.service = o.service AND c.key_kind = o.key_kind)
"""

# Rates in force whose key the deck lacks.
_ABSENT = f"""
SELECT h.* FROM ({_HELD}) h
WHERE NOT EXISTS (SELECT 1 FROM deck_compared c WHERE c.service = h.service AND c.key_kind = h.key_kind
                  AND c.key = h.key)
"""  # noqa: S608 - fragments of our own

_COUNTS = f"""
SELECT count(*) FILTER (WHERE NOT ends AND held_id IS NULL),
    count(*) FILTER (WHERE NOT ends AND NOT same AND held_id IS NOT NULL), count(*) FILTER (WHERE NOT ends AND same),
    (SELECT count(*) FROM ({_HELD}) held), (SELECT count(*) FROM ({_ABSENT}) absent),
    count(*) FILTER (WHERE NOT ends AND held_price > 0),
    coalesce(sum((price - held_price) / held_price * 100) FILTER (WHERE NOT ends AND held_price > 0), 0)
FROM deck_compared
"""  # noqa: S608 - fragments of our own

_LINES = f"""
SELECT CASE WHEN ends THEN 'ended' WHEN held_id IS NULL THEN 'new' WHEN same THEN 'unchanged' ELSE 'changed' END
    AS kind,
    service, key, band, coalesce(nullif(destination, ''), held_name, '') AS destination, held_price AS old_price,
    CASE WHEN ends THEN NULL ELSE price END AS new_price, held_fee AS old_fee,
    CASE WHEN ends THEN NULL ELSE connection_fee END AS new_fee
FROM deck_compared WHERE NOT (ends AND held_id IS NULL)
UNION ALL
SELECT CASE WHEN EXISTS (SELECT 1 FROM deck_compared c WHERE c.service = h.service AND c.key_kind = h.key_kind
        AND c.key = h.key) THEN 'ended' ELSE 'absent' END, service, key, band, destination, price, NULL,
    connection_fee, NULL
FROM ({_HELD}) h
WHERE NOT EXISTS (SELECT 1 FROM deck_compared c WHERE c.held_id = h.id)
"""  # noqa: S608 - fragments of our own


def apply_deck(
    tariff: Tariff,
    rates: Sequence[Rate],
    *,
    complete: bool,
    accept_outliers: bool,
    problems: Problems,
    lines: list[dict[str, Any]] | None = None,
) -> Difference:
    """Write the difference, one effective day after the other; with problems the caller must roll back.

    The lines of the difference are added to `lines` where they are wanted.
    """
    difference = Difference()
    for day in sorted({rate.valid_from for rate in rates}):
        of_day = [rate for rate in rates if rate.valid_from == day]
        values = [[getattr(rate, name) for name in _COLUMNS] for rate in of_day]
        about: dict[str, Any] = {
            "house": tariff.reseller_id,
            "tariff": tariff.pk,
            "day": day,
            "complete": complete,
        }
        with staged("deck", _COLUMNS, values):
            difference += _apply_day(about, accept_outliers, problems, lines)
    return difference


def _apply_day(
    about: dict[str, Any], accept_outliers: bool, problems: Problems, lines: list[dict[str, Any]] | None
) -> Difference:
    with connection.cursor() as cursor:
        cursor.execute(_COMPARED, about)
        cursor.execute("ANALYZE deck_compared")
        _question(cursor, about, accept_outliers, problems)
        if lines is not None:
            cursor.execute(_LINES, about)
            names = [column.name for column in cursor.description]
            lines += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        difference = Difference()
        if not problems:
            difference = _write(cursor, about)
        cursor.execute("DROP TABLE deck_compared")
    return difference


def _question(cursor: Any, about: dict[str, Any], accept_outliers: bool, problems: Problems) -> None:
    """Ask about rates that would be rewritten, and about those that jump."""
    cursor.execute(_CLASHES, about)
    for line, key, price in cursor.fetchall():
        problems.add(line, "effective_date", f"“{key}” already starts on {about['day']} at {price.normalize():f}; "
                     "a rate is never rewritten: choose a later day.")  # fmt: skip
    if accept_outliers:
        return
    cursor.execute(_JUMPS)
    for line, key, old, new in cursor.fetchall():
        problems.add(line, "price", f"“{key}” goes from {old.normalize():f} to {new.normalize():f}: has a "
                     "decimal point been lost? Accept outliers if this is right.")  # fmt: skip


def _write(cursor: Any, about: dict[str, Any]) -> Difference:
    cursor.execute(_COUNTS, about)
    new, changed, unchanged, held, absent, compared, rises = cursor.fetchone()
    cursor.execute(_END, about)
    ended = cursor.rowcount - changed
    cursor.execute(_START, about)
    return Difference(new, changed, ended, unchanged, held, absent, compared, rises)
