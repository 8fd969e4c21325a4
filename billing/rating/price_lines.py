"""Prices calls given as JSON lines: the contract of the `price_calls` command.

Lines are priced in batches by the same columns as a file of calls. Lines with money finer than 1e-8 or beyond
ordinary size are priced by the same formulas in Python integers of 1e-18.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from itertools import islice
from typing import Any

import numpy as np

from billing.rating.price import NO_MAXIMUM, Column, Priced, Rates, Terms, price_calls
from billing.rating.rounding import DECIMALS, ROUNDINGS

BATCH = 50_000
FINE_DECIMALS = 18
MAX_DECIMALS = 100
MAX_DIGITS = 15
MAX_SECONDS = 10**12

_ORDINARY_MONEY = 10**12
_ORDINARY_SECONDS = 10**6


class LineError(ValueError):
    """A line that cannot be read, with the reason for the user."""


@dataclass(frozen=True, slots=True)
class Line:
    """One call to price: money in 1e-18 of the currency, times in whole seconds."""

    per_minute: int
    connection_fee: int
    minimum_charge: int
    maximum_charge: int | None
    initial_increment: int
    next_increment: int
    free_seconds: int
    places: int
    rounding: int
    charge_unanswered: bool
    seconds: int
    answered: bool

    @property
    def ordinary(self) -> bool:
        """Say whether the call fits the int64 columns in 1e-8."""
        money = (self.per_minute, self.connection_fee, self.minimum_charge, self.maximum_charge or 0)
        times = (self.seconds, self.initial_increment, self.next_increment, self.free_seconds)
        exact = all(not value % _FINE and abs(value) < _ORDINARY_MONEY * _FINE for value in money)
        return exact and max(times) < _ORDINARY_SECONDS and self.places <= DECIMALS


_FINE = 10 ** (FINE_DECIMALS - DECIMALS)


def price_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield for each line its answer as JSON and whether it is good: {"billed_seconds", "amount"}, or
    {"error": sentence}.
    """
    stream = (line for line in lines if line.strip())
    while batch := list(islice(stream, BATCH)):
        yield from _price_batch(batch)


def _price_batch(batch: list[str]) -> Iterator[tuple[str, bool]]:
    answers: list[str] = [""] * len(batch)
    good = [True] * len(batch)
    ordinary: list[tuple[int, Line]] = []
    fine: list[tuple[int, Line]] = []
    for row, text in enumerate(batch):
        try:
            line = _parse(text)
        except LineError as error:
            answers[row], good[row] = json.dumps({"error": str(error)}), False
            continue
        (ordinary if line.ordinary else fine).append((row, line))
    for chosen, decimals in ((ordinary, DECIMALS), (fine, FINE_DECIMALS)):
        if chosen:
            _answer(chosen, decimals, answers)
    return zip(answers, good, strict=True)


def _answer(chosen: list[tuple[int, Line]], decimals: int, answers: list[str]) -> None:
    """Price the lines in one go and write their answers."""
    priced = _price([line for _, line in chosen], decimals)
    for (row, line), billed, amount in zip(
        chosen, priced.billed_seconds.tolist(), priced.amount.tolist(), strict=True
    ):
        money = _shown(amount // 10 ** (decimals - line.places), line.places)
        answers[row] = json.dumps({"billed_seconds": billed, "amount": money})


def _shown(amount: int, places: int) -> str:
    """Write an amount counted in its last decimal place."""
    whole, part = divmod(abs(amount), 10**places)
    return f"{'-' if amount < 0 else ''}{whole}" + (f".{part:0{places}d}" if places else "")


def _price(lines: list[Line], decimals: int) -> Priced:
    fine = decimals != DECIMALS
    shrink = 1 if fine else _FINE

    def times(name: str) -> Column:
        return np.array([getattr(line, name) for line in lines], dtype=np.int64)

    def money(name: str) -> Column:
        values = [getattr(line, name) for line in lines]
        return np.array(
            [NO_MAXIMUM if value is None else value // shrink for value in values],
            dtype=object if fine else np.int64,
        )

    rates = Rates(
        per_minute=money("per_minute"),
        connection_fee=money("connection_fee"),
        minimum_charge=money("minimum_charge"),
        maximum_charge=money("maximum_charge"),
        initial_increment=times("initial_increment"),
        next_increment=times("next_increment"),
        free_seconds=times("free_seconds"),
        decimals=decimals,
    )
    terms = Terms(
        places=times("places"), rounding=times("rounding"), charge_unanswered=times("charge_unanswered") == 1
    )
    return price_calls(answered=times("answered") == 1, seconds=times("seconds"), rates=rates, terms=terms)


def _parse(text: str) -> Line:
    try:
        fields = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise LineError("The line is not valid JSON.") from error
    if not isinstance(fields, dict):
        raise LineError("The line is not a JSON object.")
    duration = _number(fields, "duration", None)
    rounding = fields.get("rounding") or "half_up"
    if not isinstance(rounding, str) or rounding not in ROUNDINGS:
        raise LineError(f"rounding is not one of {', '.join(ROUNDINGS)}.")
    return Line(
        per_minute=_money(fields, "rate_per_minute") + _money(fields, "access_charge"),
        connection_fee=_money(fields, "connection_fee"),
        minimum_charge=_not_negative("minimum_charge", _money(fields, "minimum_charge")),
        maximum_charge=_maximum(fields),
        initial_increment=_whole(fields, "initial_increment", 1),
        next_increment=_whole(fields, "next_increment", 1, least=1),
        free_seconds=_whole(fields, "free_seconds", 0),
        places=_whole(fields, "places", 4, most=12),
        rounding=int(ROUNDINGS[rounding]),
        charge_unanswered=_truth(fields, "charge_unanswered", default=False),
        seconds=_not_negative("duration", int(duration.to_integral_value(ROUND_CEILING))),
        answered=_truth(fields, "answered", default=True),
    )


def _number(fields: dict[str, Any], name: str, default: int | None) -> Decimal:
    value = fields.get(name)
    if value is None:
        if default is None:
            raise LineError(f"{name} is missing.")
        return Decimal(default)
    try:
        number = (
            Decimal(value)
            if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)
            else Decimal("NaN")
        )
    except InvalidOperation as error:
        raise LineError(f"{name} is not a number.") from error
    if not number.is_finite():
        raise LineError(f"{name} is not a number.")
    if number and number.adjusted() >= MAX_DIGITS:
        raise LineError(f"{name} is too large.")
    if number and number.adjusted() < -MAX_DECIMALS:
        raise LineError(f"{name} is too small.")
    return number


def _money(fields: dict[str, Any], name: str) -> int:
    """Return an amount in 1e-18 of the currency."""
    numerator, denominator = _number(fields, name, 0).as_integer_ratio()
    value, rest = divmod(numerator * 10**FINE_DECIMALS, denominator)
    if rest:
        raise LineError(f"{name} has more than {FINE_DECIMALS} decimal places.")
    return value


def _maximum(fields: dict[str, Any]) -> int | None:
    if fields.get("maximum_charge") is None:
        return None
    return _not_negative("maximum_charge", _money(fields, "maximum_charge"))


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise LineError(f"{name} must not be negative.")
    return value


def _whole(
    fields: dict[str, Any], name: str, default: int, *, least: int = 0, most: int = MAX_SECONDS
) -> int:
    number = _number(fields, name, default)
    if number != number.to_integral_value() or not least <= number <= most:
        raise LineError(f"{name} must be a whole number from {least} to {most}.")
    return int(number)


def _truth(fields: dict[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise LineError(f"{name} must be true or false.")
    return value
