"""What a month would have cost with other prices: the calls that were made, by a proposed tariff or deck.

It is a question, not a correction: billed calls count too, and nothing is written. Calls are read month by month in
blocks of customers, so that memory is bounded by a block (about 250,000 calls, or the calls of one customer's month).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from billing.rating.held import Block, blocks
from billing.rating.overlay import Overlay
from billing.rating.repricing import Books, reprice
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, month_of

Bools: TypeAlias = NDArray[np.bool_]
Progress = Callable[[int, int, str], None]
FIGURES = ("calls", "seconds", "old_retail", "new_retail", "old_cost", "new_cost")
MONEY = FIGURES[2:]
GRAIN = Decimal(10**8)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: over which months, with what laid over the book, of which customers and carriers (None: all).

    With `buying`, costs are compared by the wholesale tariffs on both sides, wherever they have a rate; without, cost
    is what carriers reported, else expected, and stays.
    """

    period: Period
    overlay: Overlay
    customers: Sequence[int] | None = None
    carriers: Sequence[int] | None = None
    buying: bool = False


@dataclass
class Answer:
    """What came out: figures by customer and currency, and by destination and currency; money in 1e-8.

    `unpriced` calls have no rate in what is proposed (and none of their money), `uncovered` ones none in the proposed
    deck (their cost stays); `stale` ones would come out differently by the book as it stands.
    """

    by_customer: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    by_destination: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    unpriced: int = 0
    uncovered: int = 0
    stale: int = 0
    calls: int = 0

    def add(self, customers: Any, destinations: Any, currencies: Any, figures: dict[str, Any]) -> None:
        """Add figures of calls to both tables."""
        for keys, table in ((customers, self.by_customer), (destinations, self.by_destination)):
            frame = pd.DataFrame({"key": keys, "currency": currencies, **figures})
            for at, row in frame.groupby(["key", "currency"], sort=False).sum().iterrows():
                key: Any = at
                total = table.setdefault(key, [0] * len(FIGURES))
                for name, value in row.items():
                    total[FIGURES.index(name)] += int(value)


def ask(reseller: Reseller, question: Question, progress: Progress | None = None) -> Answer:
    """Price the calls of the question's months both ways."""
    answer = Answer()
    work: list[tuple[Books, Block]] = []
    for month in question.period.buckets("month"):
        whole = month_of(month.start, reseller.zone)
        books = Books(reseller, whole, question.overlay)
        work += [(books, block) for block in blocks(reseller, whole, question.customers, question.carriers)]
    total = sum(block.calls for _, block in work)
    for books, block in work:
        _count(answer, reprice(books, block), question, reseller)
        answer.calls += block.calls
        if progress is not None:
            progress(answer.calls, total, f"{answer.calls:,} calls priced both ways")
    return answer


def _count(answer: Answer, frame: pd.DataFrame, question: Question, reseller: Reseller) -> None:
    """Add a block's calls to the answer: retail of customers who are touched, cost of all the question reads."""
    old_cost, old_currency, new_cost, new_currency, uncovered = _costs(frame, question.buying)
    counted = frame["touched"].to_numpy(dtype=bool) | question.buying
    rows = np.flatnonzero(counted)
    if not len(rows):
        return
    customers = frame["old_customer_id"].to_numpy()[rows]
    destinations = _destinations(frame)[rows]
    retail = {name: frame[f"{name}_currency"].to_numpy(dtype=object)[rows] for name in ("old", "new")}
    anywhere = np.where(new_currency == "", old_currency, new_currency)[rows]
    shown = _first(
        retail["new"], retail["old"], anywhere, np.full(len(rows), reseller.currency, dtype=object)
    )
    talked = (frame["answered"] & (frame["service"] == "voice")).to_numpy(dtype=bool)
    seconds = np.where(talked, frame["duration"].to_numpy(), 0)[rows]
    parts: list[tuple[Any, dict[str, Any]]] = [
        (shown, {"calls": np.ones(len(rows), dtype=np.int64), "seconds": seconds}),
        (_first(retail["old"], shown), {"old_retail": frame["old_retail"].to_numpy()[rows]}),
        (_first(retail["new"], shown), {"new_retail": frame["new_retail"].to_numpy()[rows]}),
        (_first(old_currency[rows], shown), {"old_cost": old_cost[rows]}),
        (_first(new_currency[rows], shown), {"new_cost": new_cost[rows]}),
    ]
    for currency, figures in _together(parts):
        answer.add(customers, destinations, currency, figures)
    failed = (frame["new_state"] == "error") & (frame["old_state"] != "error") & frame["touched"]
    answer.unpriced += int(failed.sum())
    answer.uncovered += int((uncovered & counted).sum())
    answer.stale += int((frame["stale"].to_numpy(dtype=bool) & counted).sum())


def _together(parts: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
    """Join figures whose currencies are the same call by call: usually all of them."""
    found: list[tuple[Any, dict[str, Any]]] = []
    for currency, figures in parts:
        same = next((known for at, known in found if np.array_equal(at, currency)), None)
        if same is None:
            found.append((currency, dict(figures)))
        else:
            same.update(figures)
    return found


def _costs(frame: pd.DataFrame, buying: bool) -> tuple[Any, Any, Any, Any, Bools]:
    """Return old cost and currency, new cost and currency, and which calls the proposed deck does not cover."""
    reported, has_cost = frame["cost"].to_numpy(), frame["has_cost"].to_numpy(dtype=bool)
    held, has_held = frame["old_expected_cost"].to_numpy(), frame["old_has_expected"].to_numpy(dtype=bool)
    currency = frame["old_cost_currency"].to_numpy(dtype=object)
    if not buying:
        cost = np.where(has_cost, reported, np.where(has_held, held, 0))
        return cost, currency, cost, currency, np.zeros(len(frame), dtype=bool)
    known = frame["base_has_expected"].to_numpy(dtype=bool)
    old = np.where(known, frame["base_expected_cost"].to_numpy(), np.where(has_cost, reported, 0))
    old_currency = np.where(known, frame["base_cost_currency"].to_numpy(dtype=object), currency)
    priced = frame["new_has_expected"].to_numpy(dtype=bool)
    new = np.where(priced, frame["new_expected_cost"].to_numpy(), old)
    new_currency = np.where(priced, frame["new_cost_currency"].to_numpy(dtype=object), old_currency)
    return old, old_currency, new, new_currency, known & ~priced


def _destinations(frame: pd.DataFrame) -> Any:
    """Return where calls went: as held, else as the proposal names it."""
    held = frame["old_destination"].to_numpy(dtype=object)
    return _first(
        held, frame["new_destination"].to_numpy(dtype=object), np.full(len(frame), "Not known", object)
    )


def _first(*columns: Any) -> Any:
    """Return the first text of each row that is not empty."""
    found = columns[0]
    for column in columns[1:]:
        found = np.where(found == "", column, found)
    return found


def amounts(figures: Sequence[int]) -> dict[str, Any]:
    """Return figures by name, money as exact decimals."""
    named: dict[str, Any] = dict(zip(FIGURES, figures, strict=True))
    return {name: Decimal(value) / GRAIN if name in MONEY else value for name, value in named.items()}


def by_currency(answer: Answer) -> dict[str, dict[str, Any]]:
    """Return the totals of each currency."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(FIGURES))
    for (_, currency), figures in answer.by_customer.items():
        sums[currency] = [a + b for a, b in zip(sums[currency], figures, strict=True)]
    return {currency: amounts(sums[currency]) for currency in sorted(sums)}
