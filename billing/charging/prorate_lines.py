"""Pro-rates charges given as JSON lines: the contract of the `prorate` command."""

import json
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from billing.charging.prorate import Interval, Method, Mode, PartCharge, ProrateError, Service, prorate

Choice = TypeVar("Choice", bound=StrEnum)

MAX_DAYS = 100_000  # 273 years
MAX_PLACES = 8
MAX_DECIMALS = 100
MAX_DIGITS = 15


class LineError(ValueError):
    """A line that cannot be read, with the reason for the user."""


def prorate_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield for each line its answer as JSON and whether it is good: {"charges": [...]} with money as
    strings, or {"error": sentence}.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            yield json.dumps({"charges": [_shown(charge) for charge in _charges(_fields(line))]}), True
        except (LineError, ProrateError) as error:
            yield json.dumps({"error": str(error)}), False


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise LineError("The line is not valid JSON.") from error
    if not isinstance(fields, dict):
        raise LineError("The line is not a JSON object.")
    return fields


def _charges(fields: dict[str, Any]) -> list[PartCharge]:
    start = _date(fields, "service_start")
    end = _date(fields, "service_end") if fields.get("service_end") is not None else None
    interval = _choice(fields, "interval", Interval, Interval.MONTH)
    anchor = start.day if fields.get("anchor_day") is None else _whole(fields, "anchor_day", 31)
    target = _date(fields, "target_date")
    if (min(target, end or target) - start).days > MAX_DAYS:
        raise LineError("The target date is too far from the service's start.")
    return prorate(
        amount=_amount(fields),
        service=Service(start, end, interval, anchor),
        mode=_choice(fields, "mode", Mode, Mode.ADVANCE),
        method=_choice(fields, "method", Method, Method.ACTUAL),
        target=target,
        places=2 if fields.get("places") is None else _whole(fields, "places", MAX_PLACES),
    )


def _shown(charge: PartCharge) -> dict[str, str]:
    return {
        "start": charge.start.isoformat(),
        "end": charge.end.isoformat(),
        "fraction": str(charge.fraction),
        "amount": format(charge.amount, "f"),
    }


def _date(fields: dict[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(fields[name])
    except KeyError as error:
        raise LineError(f"{name} is missing.") from error
    except (TypeError, ValueError) as error:
        raise LineError(f"{name} is not a date such as 2026-11-22.") from error


def _amount(fields: dict[str, Any]) -> Decimal:
    value = fields.get("amount")
    if value is None:
        raise LineError("amount is missing.")
    try:
        amount = (
            Decimal(value)
            if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)
            else Decimal("NaN")
        )
    except InvalidOperation as error:
        raise LineError("amount is not a number.") from error
    if not amount.is_finite() or (amount and not -MAX_DECIMALS <= amount.adjusted() < MAX_DIGITS):
        raise LineError("amount is not a number that can be charged.")
    return amount


def _whole(fields: dict[str, Any], name: str, most: int) -> int:
    value = fields[name]
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise LineError(f"{name} is not a whole number from 0 to {most}.")
    return number


def _choice(fields: dict[str, Any], name: str, choices: type[Choice], default: Choice) -> Choice:
    value = fields.get(name)
    if value is None:
        return default
    for choice in choices:
        if str(value) == choice.value:
            return choice
    raise LineError(f"{name} is not one of {', '.join(choice.value for choice in choices)}.")
