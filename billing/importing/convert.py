"""Text to dates, durations, volumes and amounts, each distinct text once; what cannot be read is told by row."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
#: A pyarrow array of text.
Text: TypeAlias = Any

#: Amounts are int64 in 1e-8 of the currency, volumes int64 in 1e-6 MB; larger ones are refused.
AMOUNT = 10**8
VOLUME = 10**6
MAX_AMOUNT = 10**9
MAX_SECONDS = 31 * 86_400
MAX_VOLUME_MB = 10**9
EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(1990, 1, 1) - EPOCH).days
QUARTER = 900
#: 1 MB is 1,024 KB, as usage is billed.
PER_MB = {"mb": Decimal(1), "kb": Decimal(1) / 1024, "bytes": Decimal(1) / 1_048_576, "gb": Decimal(1024)}

_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AaPp][Mm])?\s*(Z|UTC|[+-]\d{2}:?\d{2})?", re.ASCII
)
_YMD = re.compile(r"(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})", re.ASCII)
_XXY = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})", re.ASCII)
_HMS = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2})(\.\d+)?)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)


class Unreadable(ValueError):
    """Raised for a text that is not what its column holds; the message is the row's reason."""


@dataclass
class Problems:
    """The rows of a block that could not be read, each with its first reason."""

    size: int
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, rows: NDArray[np.intp], reason: str) -> None:
        """Give rows a reason, unless they have one."""
        for row in rows.tolist():
            self.reasons.setdefault(row, reason)

    def mask(self) -> NDArray[np.bool_]:
        """Return which rows have a problem."""
        mask = np.zeros(self.size, dtype=bool)
        mask[list(self.reasons)] = True
        return mask


def by_distinct(texts: Text, work: Callable[[str], int], problems: Problems) -> Ints:
    """Work out an integer for each text, each distinct text once; an Unreadable becomes its rows' problem."""
    coded = texts.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    values = np.zeros(len(coded.dictionary), dtype=np.int64)
    bad: dict[int, str] = {}
    for place, text in enumerate(coded.dictionary.to_pylist()):
        try:
            values[place] = work(text.strip())
        except Unreadable as wrong:
            bad[place] = str(wrong)
    if bad:
        for row in np.flatnonzero(np.isin(codes, list(bad))).tolist():
            problems.reasons.setdefault(row, bad[int(codes[row])])
    return values[codes]


def amount(text: str, *, decimal: str = ".", scale: int = AMOUNT, limit: int = MAX_AMOUNT) -> int:
    """Return a decimal text in units of 1/scale, half-up beyond that; blank is 0."""
    if not text:
        return 0
    plain = text.strip("£$€ ")
    if decimal == ",":
        plain = plain.replace(".", "").replace(",", ".")
    elif _GROUPED.fullmatch(plain):
        plain = plain.replace(",", "")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise Unreadable(f"“{text[:40]}” is not an amount.") from None
    if not value.is_finite() or abs(value) >= limit:
        raise Unreadable(f"The amount {text[:40]} is too large.")
    return int((value * scale).to_integral_value(ROUND_HALF_UP))


def seconds(text: str, *, unit: str = "seconds", decimal: str = ".") -> int:
    """Return a duration in whole seconds, a started second counting; blank is 0, h:mm:ss is understood anywhere."""
    if not text:
        return 0
    clock = _HMS.fullmatch(text)
    if clock:
        first, second, third, part = clock.groups()
        whole = (
            int(first) * 60 + int(second)
            if third is None
            else int(first) * 3600 + int(second) * 60 + int(third)
        )
        whole += bool(part and part.strip(".0"))
    else:
        try:
            value = Decimal(text.replace(",", ".") if decimal == "," else text)
        except InvalidOperation:
            raise Unreadable(f"“{text[:40]}” is not a duration.") from None
        if not value.is_finite() or abs(value) > 10 * MAX_SECONDS:
            raise Unreadable(f"The duration {text[:40]} is longer than a month.")
        if value < 0:
            raise Unreadable(f"The duration {text[:40]} is negative.")
        value *= 60 if unit == "minutes" else 1
        whole = int(value) + (value != int(value))
    if whole > MAX_SECONDS:
        raise Unreadable(f"The duration {text[:40]} is longer than a month.")
    return whole


def volume(text: str, *, unit: str = "mb", decimal: str = ".") -> int:
    """Return a volume in 1e-6 MB, half-up; blank is 0."""
    if not text:
        return 0
    try:
        value = Decimal(text.replace(",", ".") if decimal == "," else text)
    except InvalidOperation:
        raise Unreadable(f"“{text[:40]}” is not a volume.") from None
    if not value.is_finite() or value < 0 or value * PER_MB[unit] > MAX_VOLUME_MB:
        raise Unreadable(f"The volume {text[:40]} is out of range.")
    return int((value * PER_MB[unit] * VOLUME).to_integral_value(ROUND_HALF_UP))


def day_number(text: str, *, day_first: bool, pattern: str = "") -> int:
    """Return a date as days since 1970: by a strptime pattern, year first, or day and month in the order given."""
    try:
        if pattern:
            return (datetime.strptime(text, pattern).date() - EPOCH).days  # noqa: DTZ007 - a plain day
        ymd = _YMD.fullmatch(text)
        if ymd:
            return (date(*map(int, ymd.groups())) - EPOCH).days
        xxy = _XXY.fullmatch(text)
        if xxy:
            one, two, year = map(int, xxy.groups())
            year += 2000 if year < 100 else 0
            return (date(year, *((two, one) if day_first else (one, two))) - EPOCH).days
    except ValueError:
        pass
    raise Unreadable(f"“{text[:40]}” is not a date." if text else "It has no date.")


def clock(text: str) -> int:
    """Return a time of day as seconds × 2, or with its UTC offset applied as seconds × 2 + 1; blank is midnight."""
    if not text:
        return 0
    found = _CLOCK.fullmatch(text)
    if not found:
        raise Unreadable(f"“{text[:40]}” is not a time of day.")
    hour, minute, second, half, offset = found.groups()
    hours = int(hour) if not half else int(hour) % 12 + 12 * (half.lower() == "pm")
    if hours > 23 or int(minute) > 59 or int(second or 0) > 59:
        raise Unreadable(f"“{text[:40]}” is not a time of day.")
    whole = hours * 3600 + int(minute) * 60 + int(second or 0)
    if offset is None:
        return whole * 2
    if offset[0] in "+-":
        shift = int(offset[1:3]) * 3600 + int(offset[-2:]) * 60
        whole -= shift if offset[0] == "+" else -shift
    return whole * 2 + 1


def to_utc(local: Ints, zone: ZoneInfo) -> Ints:
    """Turn local seconds since 1970 into UTC seconds; a time that comes twice in the autumn is the first of the two."""
    codes, quarters = pd.factorize(local // QUARTER)
    start = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    offsets = [
        (start + timedelta(seconds=int(q) * QUARTER)).replace(tzinfo=zone).utcoffset() for q in quarters
    ]
    shift = np.array([int(o.total_seconds()) if o is not None else 0 for o in offsets], dtype=np.int64)
    return local - shift[codes]


def check_range(days: Ints, last_day: int, problems: Problems) -> None:
    """Turn down days before 1990 and after the last day given."""
    problems.add(np.flatnonzero(days < FIRST_DAY), "Its date is before 1990.")
    problems.add(np.flatnonzero(days > last_day), "Its date is in the future.")
