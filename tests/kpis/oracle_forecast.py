"""The cash forecast once more, naively: chances by method out of plain lists, then one open invoice at a time."""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis.oracle_more import Out, Row, back
from tests.kpis.worlds import shares

D = Decimal
LAG = {"direct_debit": 3, "cheque": 3}
SLUGS = {"cash_expected", "cash_expected_item"}


def rounded(value: D) -> D:
    """Round to six places."""
    return value.quantize(D("0.000001"), ROUND_HALF_UP)


def share(top: Any, bottom: Any) -> D:
    """Return a share of at most one, to six places."""
    return min(D(1), rounded(D(top) / D(bottom)))


def chances(people: list[Row], method: str, month: date) -> tuple[D, D]:
    """Return the share of what is coming and of what is late; the worlds' tries have no invoice to be regained."""
    first = [
        outcome
        for c in people
        for day, outcome, how, _, n in c["attempts"]
        if how == method and n == 1 and outcome in ("paid", "failed") and back(month, 12) <= day < month
    ]
    paid = first.count("paid")
    if first:
        return share(paid, len(first)), D(int(paid == len(first)))
    owed = early = had = D(0)
    for c in people:
        for b in o.bills(c) if c["payment_method"] == method else []:
            due = b["date"] + timedelta(days=b["terms"])
            if b["net"] > 0 and back(month, 13) <= due < back(month, 1):
                last = due + timedelta(days=30)
                cash = [(s, a) for s, e, a in shares(b) if s <= last and (e is None or e > last)]
                owed += b["net"]
                early += sum((a for s, a in cash if s <= due), D(0))
                had += sum((a for _, a in cash), D(0))
    return (
        share(had, owed) if owed > 0 else D(1),
        share(had - early, owed - early) if owed > early else D(1),
    )


def until(month: date) -> date:
    """Return the last day looked at: the close of the month after, from an open month thirty days on."""
    day = o.close(month)
    whole = day + timedelta(days=1) == back(month, -1)
    return back(month, -2) - timedelta(days=1) if whole else day + timedelta(days=30)


def expected(slug: str, people: list[Row], c: Row, month: date) -> Out:
    """Return what a customer's open invoices are expected to bring, and the variance of it."""
    day, method = o.close(month), c["payment_method"]
    coming, late = chances(people, method, month)
    found: Out = []
    for b in o.bills(c):
        due, amount = b["date"] + timedelta(days=b["terms"]), o.owed(b, day)
        if (
            due >= day - timedelta(days=90)
            and amount > 0
            and max(due, day) + timedelta(days=LAG.get(method, 0)) <= until(month)
        ):
            chance = late if due < day else coming
            mean, variance = rounded(amount * chance), rounded(amount * amount * chance * (1 - chance))
            ratio = slug == "cash_expected_item"
            found.append((method, b["currency"], variance if ratio else mean, mean if ratio else None))
    return found


def from_debt(c: Row, month: date) -> Out:
    """Return cash of the month on invoices dated before it."""
    return [
        (c["payment_method"], b["currency"], o._cash(b, month), None) for b in o.bills(c) if b["date"] < month
    ]
