"""Reads a month's calls, allowances and earlier draws of some customers as drawing needs them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from django.db import connection
from numpy.typing import NDArray

from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED
from billing.rating.book import SERVICES, RatingBook
from billing.rating.calls import Calls, local_days
from billing.rating.dated import NONE, day_number
from billing.rating.draws import UNITS, Usage
from billing.rating.keys import Dialled, Distinct
from billing.rating.pools import GRAINS, STORED_GRAIN, Allowance, Party
from billing.rating.stage import read_columns
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period

Ints: TypeAlias = NDArray[np.int64]

_ALLOWANCES = """
SELECT bundle.id, bundle.unit, bundle.amount, bundle.step, bundle.call_class, bundle.prefixes, bundle.priority,
    bundle.prorate_first, feature.customer_id,
    CASE WHEN bundle.shared THEN 0 ELSE coalesce(feature.number_id, 0) END,
    feature.quantity, feature.start_date, feature.end_date,
    CASE WHEN bundle.shared THEN bundle.member_cap END, bundle.rollover_months, bundle.rollover_cap,
    bundle.valid_from, bundle.valid_to, feature.id, coalesce(feature.continues_id, 0)
FROM billing_feature feature JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND feature.customer_id = ANY(%s)
  AND feature.start_date <= %s AND (feature.end_date IS NULL OR feature.end_date > %s)
  AND (bundle.valid_from IS NULL OR bundle.valid_from < %s)
  AND (bundle.valid_to IS NULL OR bundle.valid_to > %s OR bundle.rollover_months > 0)
ORDER BY feature.start_date, feature.id, bundle.id
"""
_CALLS = f"""
WITH billed AS ({BILLED})
SELECT call.id, extract(epoch FROM call.started_at)::bigint, call.dedupe_key, call.customer_id,
    coalesce(call.number_id, 0), coalesce(call.rate_id, 0), coalesce(call.bundle_id, 0),
    call.service, call.dialled, call.charge_code, call.band, call.call_class, call.state, call.currency,
    call.answered::int, call.duration, call.billed_seconds, (call.volume * 1000000)::bigint,
    (call.drawn * 1000000)::bigint, coalesce((call.access_charge * 100000000)::bigint, 0),
    (call.retail * 100000000)::bigint, ({UNBILLED})::int,
    coalesce(bundle.unit, '')
FROM billing_call call {JOIN_BILLED} LEFT JOIN billing_bundle bundle ON bundle.id = call.bundle_id
WHERE call.reseller_id = %s AND call.customer_id = ANY(%s) AND call.started_at >= %s AND call.started_at < %s
  AND call.state IN ('rated', 'zero') AND call.direction = 'out'
ORDER BY call.started_at, call.dedupe_key
"""  # noqa: S608 - fragments of our own
READ = {
    "id": "bigint",
    "started_at": "bigint",
    "dedupe_key": "bigint",
    "customer_id": "bigint",
    "number_id": "bigint",
    "rate_id": "bigint",
    "bundle_id": "bigint",
    "service": "text",
    "dialled": "text",
    "charge_code": "text",
    "band": "text",
    "call_class": "text",
    "state": "text",
    "currency": "text",
    "answered": "boolean",
    "duration": "bigint",
    "billed_seconds": "bigint",
    "volume": "bigint",
    "drawn": "bigint",
    "access_charge": "bigint",
    "retail": "bigint",
    "open": "boolean",
    "unit": "text",
}
_SECOND = """
SELECT draw.call_id, draw.bundle_id, coalesce(draw.number_id, 0), (draw.drawn * 1000000)::bigint, bundle.unit
FROM billing_seconddraw draw JOIN billing_bundle bundle ON bundle.id = draw.bundle_id
WHERE draw.reseller_id = %s AND draw.customer_id = ANY(%s) AND draw.started_at >= %s AND draw.started_at < %s
ORDER BY draw.call_id, draw.id
"""


@dataclass(slots=True)
class Held:
    """What the calls hold as they are: the table, its number columns, and per call the unit drawn (place in UNITS)."""

    table: pa.Table
    columns: dict[str, Any]
    unit: Ints

    @classmethod
    def of(cls, table: pa.Table, columns: dict[str, Any]) -> "Held":
        """Take columns read from the database, with the name of the unit drawn as one of them."""
        unit = Distinct.of(table["unit"]) if len(table) else Distinct(np.zeros(0, dtype=np.int64), [""])
        places = np.array([UNITS.index(name) for name in unit.values], dtype=np.int64)
        return cls(table, columns, places[unit.codes])

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]


@dataclass(slots=True)
class Billed:
    """What billed calls drew: units off the allowance by party and by number, units spared by party (all in the
    grain), what is covered of each call, and the calls that drew from several bundles.
    """

    used: dict[Party, int]
    by_number: dict[Party, int]
    spared: dict[Party, int]
    covered: Ints
    several: set[int]


def read_calls(reseller: Reseller, customers: Sequence[int], month: Period) -> Held:
    """Return the customers' priced calls of a month in drawing order."""
    span = [reseller.pk, reseller.pk, list(customers), month.starts_at, month.ends_at]
    table = read_columns(_CALLS, span, READ)
    columns = {name: table[name].to_numpy() for name, kind in READ.items() if kind != "text"}
    return Held.of(table, columns)


def read_allowances(reseller: Reseller, customers: Sequence[int], month: Period) -> list[Allowance]:
    """Return what packages give the customers in a month, those too that begin the day after it."""
    span = [month.end, month.start, month.end, month.start]
    found = []
    for row in fetch(_ALLOWANCES, [reseller.pk, list(customers), *span]):
        since = 0 if row[16] is None else day_number(row[16])
        dates = (day_number(row[11]), day_number(row[12]))
        found.append(Allowance._make((*row[:11], *dates, *row[13:16], since, day_number(row[17]), *row[18:])))
    return found


def usage_of(held: Held, book: RatingBook) -> Usage:
    """Return the month's calls as drawing needs them."""
    table = held.table
    place = {rate: at for at, rate in enumerate(book.rates.ids.tolist())}
    ids, position = np.unique(held["rate_id"], return_inverse=True)
    rates = np.array([place.get(rate, NONE) for rate in ids.tolist()], dtype=np.int64)
    service = Distinct.of(table["service"])
    calls = Calls(
        started=held["started_at"],
        day=local_days(held["started_at"], book),
        seconds=held["duration"],
        volume=held["volume"],
        service=np.array([SERVICES.index(name) for name in service.values], dtype=np.int64)[service.codes],
        answered=held["answered"] == 1,
        dialled=Dialled.of(table["dialled"]),
        code=Distinct.of(table["charge_code"]),
        band=Distinct.of(table["band"]),
        access=held["access_charge"],
    )
    is_money, is_data = held.unit == UNITS.index("money"), held.unit == UNITS.index("data")
    return Usage(
        calls=calls,
        customer=held["customer_id"],
        number=held["number_id"],
        rate=rates[position],
        call_class=table["call_class"].to_pylist(),
        open=held["open"] == 1,
        other=held["retail"] + np.where(is_money, held["drawn"] * 100, 0),
        uncovered=held["volume"] - np.where(is_data, held["drawn"], 0),
    )


def billed_draws(
    reseller: Reseller, customers: Sequence[int], month: Period, held: Held, allowances: list[Allowance]
) -> Billed:
    """Return what the month's billed calls drew, each from its own bundles."""
    mine = (held["open"] == 0) & (held["bundle_id"] > 0)
    covered = np.where(mine, _in_grain(held["drawn"], held.unit), 0)
    covered = np.where(mine & (held.unit == UNITS.index("calls")), held["billed_seconds"], covered)
    covered = np.where(held.unit == UNITS.index("money"), 0, covered)
    if not mine.any():
        return Billed({}, {}, {}, covered, set())
    own = np.where(mine, held["drawn"], 0)
    found = fetch(_SECOND, _span(reseller, customers, month))
    several = np.flatnonzero(mine & np.isin(held["id"], [row[0] for row in found]))
    place = dict(zip(held["id"][several].tolist(), several.tolist(), strict=True))
    further = [row for row in found if row[0] in place]
    extra: list[tuple[int, int, int, int, int]] = []
    for call, bundle, _, drawn, unit in further:
        row, code = place[call], UNITS.index(unit)
        own[row] -= drawn if held.unit[row] == code else 0
        covered[row] = held["billed_seconds"][row] if unit == "calls" else covered[row]
        extra.append((bundle, int(held["customer_id"][row]), int(held["number_id"][row]), drawn, code))
    rows = np.flatnonzero(mine)
    columns = [
        held["bundle_id"][rows],
        held["customer_id"][rows],
        held["number_id"][rows],
        own[rows],
        held.unit[rows],
    ]
    draws = np.concatenate([np.stack(columns, axis=1), np.array(extra, dtype=np.int64).reshape(-1, 5)])
    return Billed(*_sums(draws, allowances), covered, {row[0] for row in further})


def _sums(
    draws: Ints, allowances: list[Allowance]
) -> tuple[dict[Party, int], dict[Party, int], dict[Party, int]]:
    """Add up draws (bundle, customer, number, millionths, unit) by party and by number, in whole steps and as drawn."""
    shared = {(row.bundle_id, row.customer_id) for row in allowances if not row.number_id}
    steps = {row.bundle_id: max(int(row.step * GRAINS[row.unit]), 1) for row in allowances}
    bundles, at = np.unique(draws[:, 0], return_inverse=True)
    step = np.array([steps.get(bundle, 1) for bundle in bundles.tolist()], dtype=np.int64)[at]
    drawn = _in_grain(draws[:, 3], draws[:, 4])
    parties, at = np.unique(draws[:, :3], axis=0, return_inverse=True)
    sums = np.zeros((2, len(parties)), dtype=np.int64)
    np.add.at(sums[0], at.reshape(-1), -(-drawn // step) * step)
    np.add.at(sums[1], at.reshape(-1), drawn)
    used: dict[Party, int] = defaultdict(int)
    spared: dict[Party, int] = defaultdict(int)
    by_number: dict[Party, int] = {}
    for (bundle, customer, number), taken, kept in zip(parties.tolist(), *sums.tolist(), strict=True):
        party = (bundle, customer, 0 if (bundle, customer) in shared else number)
        by_number[bundle, customer, number] = taken
        used[party] += taken
        spared[party] += kept
    return used, by_number, spared


def _in_grain(millionths: Ints, unit: Ints) -> Ints:
    """Return amounts in the grain of each one's unit."""
    grain = np.array([GRAINS.get(name, STORED_GRAIN) for name in UNITS], dtype=np.int64)[unit]
    coarse = STORED_GRAIN // np.minimum(grain, STORED_GRAIN)
    return np.where(grain > STORED_GRAIN, millionths * (grain // STORED_GRAIN), millionths // coarse)


def _span(reseller: Reseller, customers: Sequence[int], month: Period) -> list[Any]:
    return [reseller.pk, list(customers), month.starts_at, month.ends_at]


def fetch(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, list(parameters))
        return cursor.fetchall()
