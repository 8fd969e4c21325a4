"""Prices the calls of some customers again in memory, by the book or with an overlay on it; nothing is written.

Both are rated by the path of every call (`rate_calls`), and allowances are drawn over all calls of a customer whose
prices move, as they would have been.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from billing.rating.book import RatingBook
from billing.rating.book_rows import read_book, read_prices
from billing.rating.held import Block, read_held
from billing.rating.overlay import Overlay
from billing.rating.rate import rate_calls
from billing.rating.redraw import draw_calls
from billing.rating.rerate import differs
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
#: Which calls are priced anew; the others keep what they have and what they drew. None: all.
Chosen: TypeAlias = Callable[[pd.DataFrame], Bools] | None

KEPT = ("customer_id", "rate_id", "number_id", "call_class", "currency", "state", "reason", "retail", "access_charge",
        "expected_cost", "has_expected", "billed_seconds")  # fmt: skip
_MOVES = ("rate_id", "retail", "currency", "state", "access_charge", "billed_seconds")


@dataclass
class Books:
    """The books of a month by carrier: as it stands, and as it would be."""

    reseller: Reseller
    month: Period
    overlay: Overlay = field(default_factory=Overlay)
    _books: dict[int, tuple[RatingBook, RatingBook]] = field(default_factory=dict)

    def of(self, carrier_id: int) -> tuple[RatingBook, RatingBook]:
        """Return both books for calls of a carrier."""
        if carrier_id not in self._books:
            rows = read_book(self.reseller, carrier_id, self.month.start, self.month.last_day)
            base = RatingBook.build(rows)
            same = self.overlay == Overlay()
            self._books[carrier_id] = base, base if same else RatingBook.build(self.overlay.over(rows))
        return self._books[carrier_id]

    def prices(self, rate_ids: set[int]) -> RatingBook:
        """Return a book of the rates named, for drawing."""
        held = {pk for pk in rate_ids if pk > 0}
        rows = read_prices(self.reseller, held, self.month.start, self.month.last_day)
        return RatingBook.build(self.overlay.over(rows))


def reprice(books: Books, block: Block, chosen: Chosen = None) -> pd.DataFrame:
    """Return the calls of a block in call order: as held (old_), by the book (base_) and as they would be (new_).

    `moved` says whether the overlay moves what a call costs its customer (all calls, without an overlay); `stale`
    whether the book as it stands would price the call differently already. `touched` are the calls of customers with
    a moved call: the others keep the retail they have.
    """
    frames = [_rated(books, block, carrier) for carrier in block.carriers]
    frame = pd.concat([part for part in frames if len(part)], ignore_index=True)
    frame = frame.sort_values(["started_at", "dedupe_key"], ignore_index=True, kind="stable")
    open_ = np.ones(len(frame), dtype=bool) if chosen is None else chosen(frame)
    customers = np.unique(frame["old_customer_id"].to_numpy()[frame["moved"].to_numpy() & open_])
    touched = np.isin(frame["old_customer_id"].to_numpy(), customers[customers > 0])
    retail = frame["old_retail"].to_numpy(dtype=np.int64).copy()
    anew = touched & open_
    retail[anew] = frame["new_retail"].to_numpy(dtype=np.int64)[anew]
    drawn = np.flatnonzero(touched & _priced(frame, open_))
    if len(drawn):
        prices = _draw(books, frame.iloc[drawn], open_[drawn], sorted(int(pk) for pk in customers if pk))
        mine = open_[drawn]
        retail[drawn[mine]] = prices[mine]
    currency = np.where(
        anew, frame["new_currency"].to_numpy(dtype=object), frame["old_currency"].to_numpy(dtype=object)
    )
    return frame.assign(new_retail=retail, new_currency=currency, touched=touched, chosen=open_)


def _rated(books: Books, block: Block, carrier: int) -> pd.DataFrame:
    """Rate the calls of one carrier by both books."""
    chunk = read_held(books.reseller, books.month, carrier, block.customers)
    if chunk.empty:
        return chunk
    book, proposed = books.of(carrier)
    base = rate_calls(chunk, book)
    new = base if proposed is book else rate_calls(chunk, proposed)
    found: dict[str, Any] = {f"new_{name}": new[name] for name in KEPT}
    moved = np.full(len(chunk), proposed is book)
    for name in _MOVES:
        moved |= (new[name] != base[name]).to_numpy(dtype=bool)
    stale = differs(base, book)
    return chunk.assign(
        **found,
        moved=moved,
        stale=stale,
        base_expected_cost=base["expected_cost"],
        base_has_expected=base["has_expected"],
        base_cost_currency=_currencies(base["cost_rate_id"].to_numpy(), book),
        new_cost_currency=_currencies(new["cost_rate_id"].to_numpy(), proposed),
        new_destination=new["destination"],
    )


def _currencies(rates: Ints, book: RatingBook) -> NDArray[np.object_]:
    """Return the currency of the tariff that each rate stands in, "" for no rate."""
    names = np.array(["", *book.tariffs.currencies], dtype=object)
    order = np.argsort(book.rates.ids, kind="stable")
    ids = book.rates.ids[order]
    if not len(ids):
        return np.full(len(rates), "", dtype=object)
    at = np.minimum(np.searchsorted(ids, rates), len(ids) - 1)
    place = np.where(ids[at] == rates, book.rates.tariff[order][at] + 1, 0)
    return np.asarray(names[place], dtype=object)


def _priced(frame: pd.DataFrame, open_: Bools) -> Bools:
    """Say which calls allowances see: outgoing ones with a price, or free."""
    state = np.where(
        open_, frame["new_state"].to_numpy(dtype=object), frame["old_state"].to_numpy(dtype=object)
    )
    return np.isin(state, ["rated", "zero"]) & (frame["direction"] == "out").to_numpy(dtype=bool)


def _draw(books: Books, frame: pd.DataFrame, open_: Bools, customers: list[int]) -> Ints:
    """Return what the calls cost after allowances; those that are not open keep what they drew."""
    held: dict[str, Any] = {
        name: frame[name].to_numpy(dtype=np.int64)
        for name in ("id", "started_at", "dedupe_key", "duration", "volume")
    }
    held["answered"] = frame["answered"].to_numpy(dtype=np.int64)
    held["customer_id"] = frame["old_customer_id"].to_numpy(dtype=np.int64)
    held["open"] = open_.astype(np.int64)
    for name in ("number_id", "rate_id", "retail", "access_charge", "billed_seconds"):
        held[name] = np.where(open_, frame[f"new_{name}"], frame[f"old_{name}"]).astype(np.int64)
    for name in ("bundle_id", "drawn"):
        held[name] = np.where(open_, 0, frame[f"old_{name}"]).astype(np.int64)
    texts = {
        name: pa.Array.from_pandas(frame[name]) for name in ("service", "dialled", "charge_code", "band")
    }
    unit = pd.Series(np.where(open_, "", frame["old_unit"].to_numpy(dtype=object)), dtype="str")
    call_class = np.where(
        open_, frame["new_call_class"].to_numpy(dtype=object), frame["old_call_class"].to_numpy(dtype=object)
    )
    table = pa.table(
        {**texts, "unit": pa.Array.from_pandas(unit), "call_class": pa.array(call_class.tolist())}
    )
    book = books.prices(set(np.unique(held["rate_id"]).tolist()) - {0})
    return draw_calls(books.reseller, customers, books.month, table, held, book).retail
