"""Rates a chunk of calls in memory against a book: whose they are, which rate, what they cost (3-engine section 2).

Matching errors come in repair order. A call that was not answered, or came in, is free and never an error. Prices
are before allowances, which are drawn later in call order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from billing.models import Call
from billing.rating.amounts import access_charges, mark_up, markups_of, price_rows
from billing.rating.book import NO_MARKUP, VOICE, RatingBook
from billing.rating.calls import Calls
from billing.rating.dated import NONE
from billing.rating.keys import Distinct
from billing.rating.match import (
    Choice,
    Lines,
    choose_by_class,
    choose_tariffs,
    find_rates,
    match_lines,
)

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

REASONS = ("", *Call.Reason.values)
STATES = tuple(Call.State.values)
_REASON = {value: position for position, value in enumerate(REASONS)}
_STATE = {value: position for position, value in enumerate(STATES)}


@dataclass(frozen=True, slots=True)
class Found:
    """Per call: tariff and rate that price it, and the wholesale rate; -1 for none."""

    tariff: Ints
    rate: Ints
    cost_rate: Ints


def rate_calls(chunk: pd.DataFrame, book: RatingBook) -> pd.DataFrame:
    """Return the chunk with customer, number, rates, destination, class, price, expected cost, state and reason.

    Ids are 0 for none. `retail` is in 1e-8 of `currency`, before allowances; `expected_cost` by the carrier's
    tariff, where `has_expected`. `band` stays what the file says; a clock's band is that of the rate.
    """
    calls = Calls.of(chunk, book)
    excluded = Distinct.of(chunk["excluded"])
    outgoing = excluded.is_blank() & (chunk["direction"] == "out").to_numpy(dtype=bool)
    lines = match_lines(chunk, calls.day, book)
    found = _find(calls, outgoing, lines, book)
    costs = price_rows(calls, found.cost_rate, book)
    access = access_charges(found.tariff, found.rate, book)
    priced = price_rows(calls if access is None else replace(calls, access=access), found.rate, book)
    amount, marked = _fall_back(chunk, calls, found, costs.amount, priced.amount, book)
    reason = _reasons(calls, outgoing, excluded, lines, found, marked)
    failed = np.isin(
        reason, [_REASON[r] for r in ("unknown_cli", "inactive", "no_tariff", "no_rate", "unknown_type")]
    )
    amount = np.where(failed | ~outgoing, 0, amount)
    state = np.full(len(calls), _STATE["zero"])
    state[amount != 0] = _STATE["rated"]
    state[failed] = _STATE["error"]
    state[~excluded.is_blank()] = _STATE["excluded"]
    reason = np.where((state == _STATE["rated"]), 0, reason)
    billed = np.where(marked & (calls.service == VOICE), calls.seconds, priced.billed)
    return chunk.assign(
        **_parties(lines, book),
        **_rates(chunk, found, book),
        billed_seconds=np.where(failed | ~outgoing, 0, billed),
        access_charge=0 if access is None else np.where(failed | ~outgoing, 0, access),
        retail=amount,
        expected_cost=costs.amount,
        has_expected=found.cost_rate != NONE,
        state=_words(STATES, state),
        reason=_words(REASONS, reason),
    )


def _find(calls: Calls, outgoing: Bools, lines: Lines, book: RatingBook) -> Found:
    """Find the wholesale rate, the tariff and the retail rate of each outgoing call."""
    wholesale = book.wholesale.find_by_group(
        np.zeros(len(calls), dtype=np.int64), np.zeros(1, np.int64), calls.day
    )
    cost_rate = find_rates(calls, np.where(outgoing, wholesale, NONE), book)
    choice = choose_tariffs(lines, calls.day, book)
    choice = Choice(np.where(outgoing, choice.tariff, NONE), choice.of_number)
    rate = find_rates(calls, choice.tariff, book)
    if len(book.classes) == 1:
        return Found(choice.tariff, rate, cost_rate)
    place = {name: position for position, name in enumerate(book.classes)}
    classes = np.array([*(place.get(name, 0) for name in book.rates.classes), 0], dtype=np.int64)
    call_class = np.where(rate != NONE, classes[rate], classes[cost_rate])
    tariff = choose_by_class(choice, np.where(outgoing, call_class, 0), lines, calls.day, book)
    moved = np.flatnonzero(tariff != choice.tariff)
    if len(moved):
        rate[moved] = find_rates(calls.take(moved), tariff[moved], book)
    return Found(tariff, rate, cost_rate)


def _fall_back(
    chunk: pd.DataFrame, calls: Calls, found: Found, expected: Ints, amount: Ints, book: RatingBook
) -> tuple[Ints, Bools]:
    """Price by a markup over wholesale cost where there is no rate; say which calls.

    The markup is the tariff's for the call's class, else its general one. The class is that of the wholesale rate.
    """
    marked = np.zeros(len(calls), dtype=bool)
    open_ = np.flatnonzero((found.rate == NONE) & (found.tariff != NONE) & calls.answered)
    markup = markups_of(found.tariff[open_], found.cost_rate[open_], book)
    rows, markup = open_[markup != NO_MARKUP], markup[markup != NO_MARKUP]
    if not len(rows):
        return amount, marked
    currencies = np.array([*book.tariffs.currencies, ""], dtype=object)
    wanted = currencies[found.tariff[rows]]
    reported = chunk["cost_currency"].to_numpy(dtype=object)[rows]
    has_cost = chunk["has_cost"].to_numpy(dtype=bool)[rows] & ((reported == wanted) | (reported == ""))
    cost_tariff = np.append(book.rates.tariff, NONE)[found.cost_rate[rows]]
    has_expected = (found.cost_rate[rows] != NONE) & (currencies[cost_tariff] == wanted)
    cost = np.where(has_cost, chunk["cost"].to_numpy(dtype=np.int64)[rows], expected[rows])
    known = has_cost | has_expected
    rows, cost, markup = rows[known], cost[known], markup[known]
    marked[rows] = True
    amount = amount.copy()
    amount[rows] = mark_up(cost, markup, found.tariff[rows], book)
    return amount, marked


def _reasons(
    calls: Calls, outgoing: Bools, excluded: Distinct, lines: Lines, found: Found, marked: Bools
) -> Ints:
    """Return why each call is left out, free or in error (position in REASONS); the first that holds."""
    unnamed = (calls.dialled.codes == 0) & calls.code.is_blank()
    priced = (found.rate != NONE) | marked
    left_out = np.array([_REASON.get(value, 0) for value in excluded.values], dtype=np.int64)[excluded.codes]
    conditions: Sequence[tuple[Bools, Ints | int]] = (
        (~excluded.is_blank(), left_out),
        (~outgoing, _REASON["inbound"]),
        (~calls.answered, _REASON["unanswered"]),
        (lines.number == NONE, _REASON["unknown_cli"]),
        (lines.assignment == NONE, _REASON["inactive"]),
        (found.tariff == NONE, _REASON["no_tariff"]),
        (~priced & (unnamed | (calls.service == NONE)), _REASON["unknown_type"]),
        (~priced, _REASON["no_rate"]),
    )
    reason = np.zeros(len(calls), dtype=np.int64)
    for holds, value in reversed(conditions):
        reason = np.where(holds, value, reason)
    return reason


def _parties(lines: Lines, book: RatingBook) -> dict[str, Any]:
    """Return the text that was matched (else the first candidate), the customer and the number."""
    texts = ["", *(text for column in lines.identities for text in column.values)]
    offsets = np.cumsum([1, *(len(column.values) for column in lines.identities)])
    party = np.zeros(len(lines.number), dtype=np.int64)
    for order, column in enumerate(lines.identities):
        chosen = (lines.candidate == order) | ((lines.candidate == NONE) & (party == 0) & ~column.is_blank())
        party = np.where(chosen, column.codes + offsets[order], party)
    return {
        "billed_party": _words(texts, party),
        "customer_id": np.append(book.assignment_customer, 0)[lines.assignment],
        "number_id": np.append(book.number_ids, 0)[lines.number],
    }


def _rates(chunk: pd.DataFrame, found: Found, book: RatingBook) -> dict[str, Any]:
    """Return the ids of both rates, and destination, class and currencies as text."""
    rates, currencies = book.rates, ["", *book.tariffs.currencies]
    either = np.where(found.rate != NONE, found.rate, found.cost_rate)
    given = Distinct.of(chunk["destination"])
    destination = np.where(given.is_blank(), either + 1, given.codes + len(rates.destinations) + 1)
    owner = np.append(rates.tariff, NONE)
    tariff = np.where(found.rate != NONE, owner[found.rate], found.tariff)
    reported = Distinct.of(chunk["cost_currency"])
    cost_currency = np.where(
        reported.is_blank(), owner[found.cost_rate] + 1, reported.codes + len(currencies)
    )
    return {
        "rate_id": np.append(rates.ids, 0)[found.rate],
        "cost_rate_id": np.append(rates.ids, 0)[found.cost_rate],
        "destination": _words(["", *rates.destinations, *given.values], destination),
        "call_class": _words(["", *rates.classes], either + 1),
        "currency": _words(currencies, tariff + 1),
        "cost_currency": _words([*currencies, *reported.values], cost_currency),
    }


def _words(values: Sequence[str], codes: Ints) -> Any:
    """Return a text column from positions in its distinct values."""
    words = pa.array(values, type=pa.large_string()).take(pa.array(codes))
    return pd.array(words, dtype="str")
