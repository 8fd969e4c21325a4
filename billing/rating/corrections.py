"""What issued bills should have been by the book as it stands: billed calls never change, so the difference of each
invoice is proposed as a credit or a charge.

An invoice is compared as a whole: its calls are priced again with the allowances of their months, summed and rounded
line by line as bills are, and what its usage lines came to and what was corrected before is taken off.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from django.db import connection
from django.db.models import Max, Min, Sum
from numpy.typing import NDArray

from billing.models import ChargeKind, Invoice, InvoiceLine
from billing.models.corrected import corrected_before, credited_usage
from billing.rating.held import blocks
from billing.rating.repricing import Books, reprice
from billing.rating.selection import RerateSelection, billing_invoices
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import places, round_half_up
from resellerkpi.core.periods import Period, month_of

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Line: TypeAlias = tuple[int, str, str]
Progress = Callable[[int, int, str], None]
GRAIN = Decimal(10**8)
_MARKS = """
SELECT customer_id, currency, extract(epoch FROM usage_before)::bigint, usage_batch, id FROM billing_invoice
WHERE reseller_id = %s AND customer_id = ANY(%s) AND usage_before IS NOT NULL
ORDER BY customer_id, currency, usage_before, usage_batch, id
"""


@dataclass(frozen=True, slots=True)
class Correction:
    """An issued invoice whose usage would come to something else now; `amount` is what is still to be charged.

    `right` is its usage by the book as it stands, `billed` what its usage lines say, `before` earlier corrections.
    `credited` is what credit notes took back of its usage: whether for the same reason only the clerk knows, so that
    it is shown and not taken off.
    """

    invoice_id: int
    customer_id: int
    currency: str
    calls: int
    billed: Decimal
    right: Decimal
    before: Decimal
    credited: Decimal = Decimal(0)

    @property
    def amount(self) -> Decimal:
        """Return what is to be charged, negative for a credit."""
        return self.right - self.billed - self.before


@dataclass
class Proposal:
    """The corrections found, and what was left alone: invoices that are drafts still or void, and calls that can no
    longer be priced, or belong to another customer or currency now.
    """

    corrections: list[Correction] = field(default_factory=list)
    drafts: int = 0
    left: int = 0


@dataclass
class _Bill:
    """An invoice, and its usage as it would be: sums by line in 1e-8, and how many calls differ."""

    invoice: Invoice
    billed: Decimal
    lines: dict[Line, int] = field(default_factory=lambda: defaultdict(int))
    changed: int = 0


class _Cover:
    """Which invoice covers each call: the first whose watermarks both lie beyond it."""

    def __init__(self, reseller: Reseller, customers: list[int], own: dict[int, str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_MARKS, [reseller.pk, customers])
            rows = cursor.fetchall()
        self.marks: dict[tuple[int, str], list[tuple[int, int, int]]] = defaultdict(list)
        for customer, currency, before, batch, invoice in rows:
            self.marks[customer, currency].append((before, batch, invoice))
        self.own = own

    def of(self, frame: pd.DataFrame) -> Ints:
        """Return the invoice of each call, 0 for calls that are not billed."""
        found = np.zeros(len(frame), dtype=np.int64)
        parties = frame.groupby(["old_customer_id", "old_currency"], sort=False).indices
        for party, rows in parties.items():
            key: Any = party
            customer, currency = key
            marks = self.marks.get((customer, currency or self.own.get(customer, "")))
            if marks:
                before, batch, invoices = (np.array(column) for column in zip(*marks, strict=True))
                by_start = np.searchsorted(before, frame["started_at"].to_numpy()[rows], side="right")
                by_batch = np.searchsorted(batch, frame["batch_id"].to_numpy()[rows], side="left")
                found[rows] = np.append(invoices, 0)[np.maximum(by_start, by_batch)]
        return np.where(np.isin(frame["old_state"].to_numpy(dtype=object), ["rated", "zero"]), found, 0)


def propose(reseller: Reseller, where: RerateSelection, progress: Progress | None = None) -> Proposal:
    """Compare the invoices that cover calls of a selection with what they should be now; nothing is written."""
    ids = billing_invoices(reseller, where)
    issued = Invoice.objects.filter(pk__in=ids, state=Invoice.State.ISSUED).select_related("customer")
    lines = InvoiceLine.objects.filter(invoice__in=issued, kind=ChargeKind.USAGE)
    billed = dict(lines.order_by().values("invoice").annotate(net=Sum("net")).values_list("invoice", "net"))
    bills = {row.pk: _Bill(row, billed.get(row.pk, Decimal(0))) for row in issued}
    proposal = Proposal(drafts=Invoice.objects.filter(pk__in=ids, state=Invoice.State.DRAFT).count())
    span = lines.aggregate(first=Min("service_start"), end=Max("service_end"))
    if bills and span["first"] and span["end"]:
        _price(reseller, proposal, bills, _months(reseller, span["first"], span["end"]), progress)
    before, credited = corrected_before(bills), credited_usage(bills)
    for pk, bill in bills.items():
        right = _rounded(bill)
        found = Correction(
            pk,
            bill.invoice.customer_id,
            bill.invoice.currency,
            bill.changed,
            bill.billed,
            right,
            before.get(pk, Decimal(0)),
            credited.get(pk, Decimal(0)),
        )
        if found.amount:
            proposal.corrections.append(found)
    return proposal


def _price(
    reseller: Reseller,
    proposal: Proposal,
    bills: dict[int, _Bill],
    months: list[Period],
    progress: Progress | None,
) -> None:
    """Sum what the calls of the bills come to now."""
    customers = sorted({bill.invoice.customer_id for bill in bills.values()})
    own = {bill.invoice.customer_id: bill.invoice.customer.currency for bill in bills.values()}
    cover = _Cover(reseller, customers, own)
    for done, month in enumerate(months):
        books = Books(reseller, month)
        for block in blocks(reseller, month, customers, None):
            frame = reprice(books, block, lambda calls: np.isin(cover.of(calls), list(bills)))
            _sum(proposal, bills, frame, cover.of(frame))
        if progress is not None:
            progress(done + 1, len(months) + 1, "Comparing issued bills")


def _sum(proposal: Proposal, bills: dict[int, _Bill], frame: pd.DataFrame, invoice: Ints) -> None:
    """Add the calls of a block to the bills that cover them."""
    rows = np.flatnonzero(frame["chosen"].to_numpy(dtype=bool))
    mine = frame.iloc[rows].assign(invoice=invoice[rows])
    currency = np.array([bills[pk].invoice.currency for pk in mine["invoice"].tolist()], dtype=object)
    lost = (
        (mine["new_state"] == "error")
        | (mine["new_customer_id"] != mine["old_customer_id"])
        | ((mine["new_currency"] != currency) & (mine["new_currency"] != ""))
    ).to_numpy(dtype=bool) & mine["touched"].to_numpy(dtype=bool)
    proposal.left += int(lost.sum())
    kept = lost | ~mine["touched"].to_numpy(dtype=bool)
    now: dict[str, Any] = {
        name: np.where(kept, mine[f"old_{name}"].to_numpy(), mine[f"new_{name}"].to_numpy())
        for name in ("retail", "number_id", "call_class")
    }
    table = mine.assign(**now)
    table["changed"] = (table["retail"] != table["old_retail"]).astype(np.int64)
    groups = table.groupby(["invoice", "number_id", "service", "call_class"], sort=False)
    for at, row in groups[["retail", "changed"]].sum().iterrows():
        key: Any = at
        pk, number, service, call_class = key
        bills[pk].lines[int(number), str(service), str(call_class)] += int(row["retail"])
        bills[pk].changed += int(row["changed"])


def _rounded(bill: _Bill) -> Decimal:
    """Return what the lines come to, each rounded half up as on a bill."""
    digits = 0 if places(bill.invoice.currency) == 0 else 2
    return sum((round_half_up(Decimal(line) / GRAIN, digits) for line in bill.lines.values()), Decimal(0))


def _months(reseller: Reseller, first: date, end: date) -> list[Period]:
    found: list[Period] = []
    at = first
    while at < end:
        found.append(month_of(at, reseller.zone))
        at = found[-1].end
    return found
