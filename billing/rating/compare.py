"""Compares two tariffs, or one at two dates, by the price of one call to every prefix that either knows.

Each side looks its rate up as rating does: the longest prefix in the tariff itself, then in its parents, in the
band chosen, with the access charge on service charges. Columns only, so that a world deck compares in a moment.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from billing.models import Tariff
from billing.rating.book import Tariffs
from billing.rating.book_rows import read_tariffs, with_parents
from billing.rating.dated import FOREVER, day_number
from billing.rating.keys import BASE, NONE, SIGNS, WIDTH, Dialled
from billing.rating.price import Rates, Terms, price_calls
from billing.rating.stage import read_columns
from resellerkpi.core.models import Reseller

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

UNIT = 10**8
MINUTE = 60
ONLY_LEFT, ONLY_RIGHT, DEARER, CHEAPER, SAME = "left", "right", "dearer", "cheaper", "same"
OUTCOMES = (ONLY_LEFT, ONLY_RIGHT, DEARER, CHEAPER, SAME)

_READ = {
    "tariff_id": "bigint",
    "is_code": "bigint",
    "key": "text",
    "banded": "bigint",
    "price": "bigint",
    "fee": "bigint",
    "minimum": "bigint",
    "maximum": "bigint",
    "initial": "bigint",
    "next": "bigint",
    "free": "bigint",
    "is_service_charge": "bigint",
    "start": "bigint",
    "end": "bigint",
    "destination": "text",
    "call_class": "text",
}
_RATES = """
SELECT tariff_id, (key_kind = 'code')::int, key, (band <> '')::int, (price * 100000000)::bigint,
    (connection_fee * 100000000)::bigint, (minimum_charge * 100000000)::bigint,
    coalesce((maximum_charge * 100000000)::bigint, -1), initial_increment, next_increment, free_seconds,
    is_service_charge::int, valid_from - date '1970-01-01', coalesce(valid_to - date '1970-01-01', %s),
    destination, call_class
FROM billing_tariffrate
WHERE reseller_id = %s AND tariff_id = ANY(%s) AND service = 'voice' AND band IN ('', %s)
  AND valid_from <= %s AND (valid_to IS NULL OR valid_to > %s)
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A tariff as it stands on a day."""

    tariff: Tariff
    on: date


@dataclass(frozen=True)
class Comparison:
    """Per prefix or code: what a minute and the call cost on either side in 1e-8, 0 where there is no rate, and the
    outcome (position in OUTCOMES) of the right side against the left.
    """

    keys: list[str]
    destinations: list[str]
    classes: list[str]
    left_minute: Ints
    right_minute: Ints
    left: Ints
    right: Ints
    outcome: Ints

    def __len__(self) -> int:
        return len(self.keys)

    def counts(self) -> dict[str, int]:
        """Return how many prefixes have each outcome."""
        found = np.bincount(self.outcome, minlength=len(OUTCOMES)).tolist()
        return dict(zip(OUTCOMES, found, strict=True))

    def change(self) -> Ints:
        """Return by how much the right side is dearer; 0 where one side has no rate."""
        return np.where(self.outcome < OUTCOMES.index(DEARER), 0, self.right - self.left)


@dataclass(frozen=True)
class _Deck:
    """The rates of both sides as columns, and the tariffs they stand in.

    `identity` is one number for each distinct key: prefixes by their digits, other keys and charge codes by their text.
    """

    columns: dict[str, Ints]
    keys: pa.Array
    codes: Ints
    lengths: Ints
    plain: Bools
    identity: Ints
    tariffs: Tariffs
    place: dict[int, int]


def compare(reseller: Reseller, left: Side, right: Side, *, band: str, seconds: int) -> Comparison:
    """Compare the price of a call of some seconds in a band ("" for rates of any time) on both sides."""
    tariffs = read_tariffs(reseller)
    lines = [_line(side.tariff.pk, tariffs) for side in (left, right)]
    days = sorted(side.on for side in (left, right))
    needed = with_parents({left.tariff.pk, right.tariff.pk}, tariffs)
    table = read_columns(_RATES, [FOREVER, reseller.pk, needed, band, days[1], days[0]], _READ)
    deck = _deck(table, Tariffs.of(tariffs), {row.id: at for at, row in enumerate(tariffs)})
    held = [_held(deck, line, side.on) for line, side in zip(lines, (left, right), strict=True)]
    asked = _distinct(deck, np.concatenate([np.zeros(0, dtype=np.int64), *(rates for rates, _ in held)]))
    found = [_find(deck, rates, depth, asked) for rates, depth in held]
    minute, call = zip(
        *(_price(deck, rate, line[0], seconds) for rate, line in zip(found, lines, strict=True)), strict=True
    )
    rows = pa.array(asked)
    return Comparison(
        keys=deck.keys.take(rows).to_pylist(),
        destinations=table["destination"].take(rows).to_pylist(),
        classes=table["call_class"].take(rows).to_pylist(),
        left_minute=minute[0],
        right_minute=minute[1],
        left=call[0],
        right=call[1],
        outcome=_outcomes(found, call),
    )


def _line(start: int, rows: Any) -> list[int]:
    parents = {row.id: row.parent_id for row in rows}
    line: list[int] = []
    while start and start not in line:
        line.append(start)
        start = parents.get(start, 0)
    return line


def _deck(table: pa.Table, tariffs: Tariffs, place: dict[int, int]) -> _Deck:
    keys = table["key"].combine_chunks() if isinstance(table["key"], pa.ChunkedArray) else table["key"]
    columns = {name: table[name].to_numpy() for name, kind in _READ.items() if kind == "bigint"}
    bare = pc.utf8_ltrim(keys, characters="+")
    lengths = pc.utf8_length(bare).to_numpy(zero_copy_only=False).astype(np.int64)
    digits = pc.match_substring_regex(bare, f"^[{SIGNS}]*$").to_numpy(zero_copy_only=False)
    plain = digits & (lengths <= WIDTH) & (columns["is_code"] == 0)
    codes, odd = Dialled.of(keys).codes, keys.dictionary_encode().indices.to_numpy().astype(np.int64)
    identity = np.where(plain, codes, -1 - 2 * odd - columns["is_code"])
    return _Deck(columns, keys, codes, lengths, plain, identity, tariffs, place)


def _held(deck: _Deck, line: list[int], on: date) -> tuple[Ints, Ints]:
    """Return the rates of a side in force on its day, the best for each key of each tariff, and how far up each is."""
    day, columns = day_number(on), deck.columns
    depths = {tariff: depth for depth, tariff in enumerate(line)}
    ids, position = np.unique(columns["tariff_id"], return_inverse=True)
    depth = np.array([depths.get(tariff, NONE) for tariff in ids.tolist()], dtype=np.int64)[position]
    rows = np.flatnonzero((depth != NONE) & (columns["start"] <= day) & (day < columns["end"]))
    order = np.lexsort((columns["start"][rows], columns["banded"][rows], depth[rows], deck.identity[rows]))
    rows = rows[order]
    key = deck.identity[rows]
    last = np.append((key[1:] != key[:-1]) | (depth[rows][1:] != depth[rows][:-1]), True)[: len(rows)]
    rows = rows[last]
    return rows, depth[rows]


def _distinct(deck: _Deck, rows: Ints) -> Ints:
    """Return one row for each distinct key."""
    _, first = np.unique(deck.identity[rows], return_index=True)
    return rows[np.sort(first)]


def _find(deck: _Deck, rates: Ints, depth: Ints, asked: Ints) -> Ints:
    """Return the rate that prices each key asked for, NONE where there is none: nearest tariff first, then the longest
    prefix; codes, and keys that are not plain digits, are found by themselves only.
    """
    found = np.full(len(asked), NONE, dtype=np.int64)
    identity, dialled = deck.identity, deck.columns["is_code"][asked] == 0
    for level in range(int(depth.max(initial=-1)) + 1):
        mine = rates[depth == level]
        open_ = np.flatnonzero(found == NONE)
        keys = identity[mine]
        order = np.argsort(keys)
        found[open_] = _exact(identity[asked[open_]], keys[order], mine[order])
        plain = mine[deck.plain[mine]]
        for length in sorted(set(deck.lengths[plain].tolist()), reverse=True):
            left = np.flatnonzero((found == NONE) & dialled & (deck.lengths[asked] > length))
            stub = BASE ** (WIDTH - length)
            own = plain[deck.lengths[plain] == length]
            own = own[np.argsort(deck.codes[own])]
            found[left] = _exact(deck.codes[asked[left]] // stub * stub, deck.codes[own], own)
    return found


def _exact(wanted: Ints, keys: Ints, values: Ints) -> Ints:
    """Return the value of each key wanted among sorted keys, NONE where it is not there."""
    if not len(keys):
        return np.full(len(wanted), NONE, dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], NONE)


def _price(deck: _Deck, rate: Ints, leaf: int, seconds: int) -> tuple[Ints, Ints]:
    """Return what a minute costs and what the call costs, 0 where there is no rate."""
    columns, tariffs = deck.columns, deck.tariffs
    if not len(rate):
        return rate, rate
    owner = np.array([deck.place[tariff] for tariff in columns["tariff_id"][rate].tolist()], dtype=np.int64)
    access = int(tariffs.access[deck.place[leaf]])
    minute = columns["price"][rate] + np.where(columns["is_service_charge"][rate] == 1, access, 0)
    priced = price_calls(
        answered=True,
        seconds=np.full(len(rate), seconds, dtype=np.int64),
        rates=Rates(
            per_minute=minute,
            connection_fee=columns["fee"][rate],
            minimum_charge=columns["minimum"][rate],
            maximum_charge=columns["maximum"][rate],
            initial_increment=columns["initial"][rate],
            next_increment=columns["next"][rate],
            free_seconds=columns["free"][rate],
        ),
        terms=Terms(
            places=tariffs.places[owner],
            rounding=tariffs.rounding[owner],
            fee_in_allowance=tariffs.fee_inside[owner],
        ),
    )
    missing = rate == NONE
    return np.where(missing, 0, minute), np.where(missing, 0, priced.amount)


def _outcomes(rates: list[Ints], calls: tuple[Ints, ...]) -> Ints:
    """Return the position in OUTCOMES of each pair of prices."""
    left, right = calls
    names = np.select(
        [rates[1] == NONE, rates[0] == NONE, right > left, right < left],
        [0, 1, 2, 3],
        default=OUTCOMES.index(SAME),
    )
    return names.astype(np.int64)
