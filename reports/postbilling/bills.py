"""The bills of runs, each beside its customer's earlier ones: one query, whatever the size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import ChargeKind
from kpis.options import Options
from resellerkpi.core.periods import Period
from resellerkpi.core.planner import joined_by_hash
from resellerkpi.core.scope import current

#: Unpaid on earlier invoices is pointed out above this amount (SAFE's post-billing report).
UNPAID = Decimal(5)
ZERO, CENT = Decimal(0), Decimal("0.01")
KINDS = tuple(kind.value for kind in ChargeKind)
#: Runs that are billed, in the order of their cycle, and those asked for with the three before each.
_RUNS = """
WITH numbered AS MATERIALIZED (
    SELECT id, reseller_id, cycle, name, invoice_date,
        row_number() OVER (PARTITION BY reseller_id, cycle ORDER BY period_start) AS place
    FROM billing_billingrun WHERE reseller_id = ANY (%(resellers)s) AND state IN ('billed', 'confirmed', 'sent')
), asked AS MATERIALIZED (
    SELECT * FROM numbered WHERE CASE WHEN %(run)s::bigint IS NULL
        THEN invoice_date >= %(start)s AND invoice_date < %(end)s ELSE id = %(run)s END
), looked AS MATERIALIZED (
    SELECT DISTINCT n.* FROM numbered n JOIN asked a ON a.reseller_id = n.reseller_id AND a.cycle = n.cycle
        AND n.place BETWEEN a.place - 3 AND a.place
), bills AS (
    SELECT i.id, i.run_id, i.customer_id, i.number, i.currency, i.net, i.vat, i.gross, k.name, k.invoice_date,
        sum(i.net) OVER (mine RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING) AS previous,
        count(*) OVER past AS runs, avg(i.net) OVER past AS mean,
        CASE WHEN %(anomaly_population)s THEN stddev_pop(i.net) OVER past
            ELSE stddev_samp(i.net) OVER past END AS spread
    FROM billing_invoice i JOIN looked k ON k.id = i.run_id
    WHERE i.reseller_id = ANY (%(resellers)s) AND (%(ids)s::bigint[] IS NULL OR i.customer_id = ANY (%(ids)s))
    WINDOW mine AS (PARTITION BY i.customer_id, i.currency, k.cycle ORDER BY k.place),
        past AS (mine RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING)
), here AS MATERIALIZED (SELECT * FROM bills WHERE run_id IN (SELECT id FROM asked))"""
#: What lines of each kind come to, what earlier invoices have open, whether the customer had left by the bill's day.
_AROUND = """, kinds AS (
    SELECT l.invoice_id, {kinds} FROM billing_invoiceline l JOIN here h ON h.id = l.invoice_id
    WHERE l.reseller_id = ANY (%(resellers)s) GROUP BY 1
), settled AS (
    SELECT invoice_id, sum(amount) AS amount FROM billing_allocation
    WHERE reseller_id = ANY (%(resellers)s) AND date <= %(day)s AND (ended_date IS NULL OR ended_date > %(day)s)
    GROUP BY 1
), debt AS (
    SELECT i.customer_id, i.currency, i.invoice_date, i.gross - coalesce(s.amount, 0) AS amount
    FROM billing_invoice i LEFT JOIN settled s ON s.invoice_id = i.id
    WHERE i.reseller_id = ANY (%(resellers)s) AND i.state <> 'draft' AND i.invoice_date <= %(day)s
        AND i.gross > coalesce(s.amount, 0)
), unpaid AS (
    SELECT h.id, sum(d.amount) AS amount FROM here h JOIN debt d ON d.customer_id = h.customer_id
        AND d.currency = h.currency AND d.invoice_date < h.invoice_date GROUP BY 1
), gone AS (
    SELECT DISTINCT ON (h.id) h.id, e.status = 'ceased' AS ceased FROM here h JOIN billing_customerevent e
        ON e.reseller_id = ANY (%(resellers)s) AND e.customer_id = h.customer_id AND e.date <= h.invoice_date
    ORDER BY h.id, e.date DESC
)
SELECT h.id, h.name, h.customer_id, coalesce(h.number, ''), h.currency, h.net, h.vat, h.gross, h.previous, h.runs,
    h.mean, h.spread, coalesce(u.amount, 0), coalesce(g.ceased, false), {sums}
FROM here h LEFT JOIN kinds k ON k.invoice_id = h.id LEFT JOIN unpaid u ON u.id = h.id LEFT JOIN gone g ON g.id = h.id
ORDER BY h.customer_id, h.currency, h.id"""
BILLS = _RUNS + _AROUND.format(
    kinds=", ".join(f"sum(l.net) FILTER (WHERE l.kind = '{kind}') AS {kind}" for kind in KINDS),
    sums=", ".join(f"coalesce(k.{kind}, 0)" for kind in KINDS),
)


@dataclass(frozen=True)
class Bill:
    """One bill of a run, money before VAT where not said otherwise; `previous` and `mean` are of earlier runs.

    `mean` and `spread` (the standard deviation) are those of the three runs before, None unless each has a bill.
    """

    invoice_id: int
    run: str
    customer_id: int
    number: str
    currency: str
    net: Decimal
    vat: Decimal
    gross: Decimal
    previous: Decimal | None
    mean: Decimal | None
    spread: Decimal | None
    unpaid: Decimal
    is_final: bool
    kinds: tuple[Decimal, ...]
    stands_out: bool

    @property
    def off(self) -> Decimal | None:
        """How far the bill is off the mean of the three runs before."""
        return None if self.mean is None else self.net - self.mean


def bills(options: Options, *, day: date, run_id: int | None = None, dated: Period | None = None,
          customer_ids: Sequence[int] | None = None) -> list[Bill]:  # fmt: skip
    """Return the bills of a run, or of runs dated in a period; what is unpaid is that at the end of `day`.

    A bill stands out when it is off the mean of the customer's bills in the three runs before by more than their
    standard deviation, by an amount and by a part of the mean (settings), all three; without each of them it does not.
    """
    values = {
        "resellers": list(current().reseller_ids),
        "run": run_id,
        "start": dated.start if dated else day,
        "end": dated.end if dated else day,
        "ids": list(customer_ids) if customer_ids is not None else None,
        "day": day,
        "anomaly_population": options.anomaly_population,
    }
    with joined_by_hash() as cursor:
        cursor.execute(BILLS, values)
        return [_bill(row, options) for row in cursor.fetchall()]


def _bill(row: tuple[Any, ...], options: Options) -> Bill:
    net, previous, runs, mean, spread = row[5], *row[8:12]
    known = runs == 3
    off = abs(net - mean) if known else ZERO
    return Bill(
        invoice_id=row[0],
        run=row[1],
        customer_id=row[2],
        number=row[3],
        currency=row[4],
        net=net,
        vat=row[6],
        gross=row[7],
        previous=previous,
        mean=mean.quantize(CENT) if known else None,
        spread=spread.quantize(CENT) if known else None,
        unpaid=row[12],
        is_final=row[13],
        kinds=row[14:],
        stands_out=bool(
            known
            and off > spread
            and off >= options.anomaly_amount
            and off >= options.anomaly_percent * abs(mean) / 100
        ),
    )
