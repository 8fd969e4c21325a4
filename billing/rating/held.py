"""Reads the calls of some customers as they are held, billed ones too: what a question about prices is asked of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from django.db import connection

from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED
from billing.rating.selection import CHUNK, READ
from billing.rating.stage import read_columns
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period

#: What drawing allowances and bills need of a call beyond what rating reads.
MORE = {
    "dedupe_key": ("bigint", "call.dedupe_key"),
    "batch_id": ("bigint", "call.batch_id"),
    "old_drawn": ("bigint", "(call.drawn * 1000000)::bigint"),
    "old_unit": ("text", "coalesce(bundle.unit, '')"),
    "unbilled": ("boolean", f"({UNBILLED})::int"),
}
KINDS = {name: kind for name, (kind, _) in {**READ, **MORE}.items()}
_CALLS = f"""
WITH billed AS ({BILLED})
SELECT {", ".join(expression for _, expression in {**READ, **MORE}.values())}
FROM billing_call call {JOIN_BILLED}
LEFT JOIN billing_tariffrate rate ON rate.id = call.rate_id
LEFT JOIN billing_tariffrate cost_rate ON cost_rate.id = call.cost_rate_id
LEFT JOIN billing_bundle bundle ON bundle.id = call.bundle_id
WHERE call.reseller_id = %s AND call.started_at >= %s AND call.started_at < %s AND call.carrier_id = %s
  AND (call.customer_id = ANY(%s) OR (%s AND call.customer_id IS NULL)) AND call.state <> 'excluded'
ORDER BY call.started_at, call.dedupe_key
"""  # noqa: S608 - fragments of our own
_PARTIES = """
SELECT coalesce(customer_id, 0), carrier_id, count(*) FROM billing_call
WHERE reseller_id = %s AND started_at >= %s AND started_at < %s AND state <> 'excluded'
  AND (%s::bigint[] IS NULL OR customer_id = ANY(%s)) AND (%s::bigint[] IS NULL OR carrier_id = ANY(%s))
GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Customers (0: nobody's) whose calls of a month are read together, their carriers, and how many calls they are."""

    customers: tuple[int, ...]
    carriers: tuple[int, ...]
    calls: int


def blocks(
    reseller: Reseller, month: Period, customers: Sequence[int] | None, carriers: Sequence[int] | None
) -> Iterator[Block]:
    """Yield the customers of a month's calls (None: all) in blocks of about CHUNK calls.

    All calls of a customer's month are in one block: its allowances are drawn over them.
    """
    chosen = [None if ids is None else list(ids) for ids in (customers, carriers) for _ in range(2)]
    with connection.cursor() as cursor:
        cursor.execute(_PARTIES, [reseller.pk, month.starts_at, month.ends_at, *chosen])
        counted = cursor.fetchall()
    ids: dict[int, int] = {}
    met: set[int] = set()
    for at, (customer, carrier, count) in enumerate(counted):
        ids[customer] = ids.get(customer, 0) + count
        met.add(carrier)
        ends = at + 1 == len(counted) or counted[at + 1][0] != customer
        if ends and (at + 1 == len(counted) or sum(ids.values()) >= CHUNK):
            yield Block(tuple(ids), tuple(sorted(met)), sum(ids.values()))
            ids, met = {}, set()


def read_held(reseller: Reseller, month: Period, carrier_id: int, customers: Sequence[int]) -> pd.DataFrame:
    """Return the calls of a carrier and of customers in a month, as a chunk with their present outcome beside it."""
    parameters = [reseller.pk, reseller.pk, month.starts_at, month.ends_at, carrier_id]
    return frame_of(read_columns(_CALLS, [*parameters, list(customers), 0 in customers], KINDS), KINDS)


def frame_of(table: pa.Table, kinds: dict[str, str]) -> pd.DataFrame:
    """Return columns read from the database as a chunk."""
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind == "text":
            columns[name] = pd.array(table[name].combine_chunks(), dtype="str")
        else:
            values = table[name].to_numpy()
            columns[name] = values.astype(bool) if kind == "boolean" else values.astype(np.int64)
    return pd.DataFrame(columns)
