"""A small book and chunks of calls for the tests of rating; money in the book is written in currency units."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from billing.rating.book import RatingBook
from billing.rating.book_rows import (
    AssignmentRow,
    BookRows,
    ChoiceRow,
    NumberRow,
    RateRow,
    TariffRow,
)
from billing.rating.dated import FOREVER, day_number

UNIT = 10**8
MB = 10**6
MARCH = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)

CALL: dict[str, Any] = {
    "line": 1,
    "uid": "",
    "group_uid": "",
    "service": "voice",
    "direction": "out",
    "started_at": int(MARCH.timestamp()),
    "identity_1": "+442079460001",
    "identity_2": "",
    "identity_3": "",
    "cli": "",
    "dialled": "+447700900123",
    "answered": True,
    "duration": 60,
    "volume": 0,
    "charge_code": "",
    "band": "",
    "destination": "",
    "cost": 0,
    "has_cost": False,
    "cost_currency": "",
    "surcharge": 0,
    "excluded": "",
    "dedupe_key": 0,
}


def chunk_of(*calls: dict[str, Any]) -> pd.DataFrame:
    """Return a chunk of calls given by what differs from the usual one."""
    rows = [{**CALL, "line": line, "dedupe_key": line, **call} for line, call in enumerate(calls, 1)]
    return pd.DataFrame(rows, columns=list(CALL))


def at(text: str) -> int:
    """Return the instant of an ISO time (UTC unless it says otherwise) in epoch seconds."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def day(text: str) -> int:
    """Return the day number of an ISO date; "" is the end of time."""
    return day_number(date.fromisoformat(text) if text else None)


def money(text: str | int) -> int:
    """Return an amount in 1e-8."""
    return int(Decimal(text) * UNIT)


def tariff(id: int, **fields: Any) -> TariffRow:
    """Return a retail tariff of 4 places, half up."""
    return TariffRow(
        **{
            "id": id,
            "parent_id": 0,
            "kind": "retail",
            "currency": "GBP",
            "carrier_id": 0,
            "is_default": False,
            "number_type": "",
            "places": 4,
            "rounding": "half_up",
            "split": False,
            "charge_unanswered": False,
            "fee_inside": True,
            "data_unit": MB,
            "per_period": False,
            "markup": None,
            "zone": "Europe/London",
            "holidays": "",
            "superseded": FOREVER,
            **fields,
        }
    )


def rate(id: int, tariff_id: int, key: str, price: str, **fields: Any) -> RateRow:
    """Return a voice rate by prefix, per second, without fees, for ever."""
    for name in ("fee", "minimum", "maximum"):
        if name in fields:
            fields[name] = money(fields[name])
    return RateRow(
        **{
            "id": id,
            "tariff_id": tariff_id,
            "service": "voice",
            "kind": "prefix",
            "key": key,
            "band": "",
            "price": money(price),
            "fee": 0,
            "minimum": 0,
            "maximum": -1,
            "initial": 1,
            "next": 1,
            "free": 0,
            "start": day("2020-01-01"),
            "end": FOREVER,
            "destination": "",
            "call_class": "",
            **fields,
        }
    )


def book_of(**changes: Any) -> RatingBook:
    """Return a book with one number of customer 7 on tariff 1, changed as told."""
    rows: dict[str, Any] = {
        "carrier_id": 5,
        "numbers": [NumberRow(11, "+442079460001", "geographic")],
        "assignments": [AssignmentRow(11, 7, day("2026-01-01"), FOREVER)],
        "choices": [ChoiceRow(0, 7, "", 1, day("2026-01-01"), FOREVER)],
        "tariffs": [tariff(1)],
        "rates": [
            rate(101, 1, "44", "0.02"),
            rate(102, 1, "447", "0.10", call_class="mobile", destination="UK mobile"),
        ],
        **changes,
    }
    return RatingBook.build(BookRows(**rows))
