"""Finds the time band of calls (day, evening, weekend, bank holiday) in a tariff's zone, and cuts calls at
band boundaries.

Bands are local civil time: a band's start is inclusive and its end exclusive, weekend is all Saturday and
Sunday, and a bank holiday beats a weekday by priority. The zone's changes of offset are tabulated once for
each batch, so both daylight-saving nights come out right.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

MINUTES_PER_DAY = 1440
NO_BAND = -1

MONDAY_TO_FRIDAY = 0b0011111
SATURDAY_SUNDAY = 0b1100000
EVERY_DAY = 0b1111111

_DAY = 86_400
_EPOCH = date(1970, 1, 1)

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


class BandError(ValueError):
    """A time band that no call can be matched with."""


@dataclass(frozen=True, slots=True)
class TimeBand:
    """Part of the week at one price: weekday bits (Monday is 1), minutes of the local day, and whether
    bank holidays belong to it.
    """

    name: str
    weekdays: int
    start_minute: int = 0
    end_minute: int = MINUTES_PER_DAY
    holidays: bool = False
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse minutes outside the day and bands of no length; an end before the start passes midnight
        on the same calendar days.
        """
        in_day = 0 <= self.start_minute < MINUTES_PER_DAY and 0 < self.end_minute <= MINUTES_PER_DAY
        if not in_day or self.start_minute == self.end_minute:
            raise BandError(f"Time band {self.name} must start and end at different minutes of the day.")


@dataclass(frozen=True, slots=True)
class HolidayRegion:
    """Whose bank holidays count: an ISO country and, where they differ, its subdivision (GB, ENG)."""

    country: str
    subdivision: str | None = None


@dataclass(frozen=True, slots=True)
class Pieces:
    """Calls cut at band boundaries: row number of the call, seconds from its start, seconds in the piece,
    band code.
    """

    call: Ints
    offset: Ints
    seconds: Ints
    band: Ints


def standard_bands(day_start: int = 7 * 60, day_end: int = 19 * 60) -> tuple[TimeBand, ...]:
    """Return the bands usual in the UK: day on Monday to Friday (07:00 to 19:00 unless told), evening,
    weekend with bank holidays.
    """
    return (
        TimeBand("Day", MONDAY_TO_FRIDAY, day_start, day_end),
        TimeBand("Evening", MONDAY_TO_FRIDAY, day_end, day_start),
        TimeBand("Weekend", SATURDAY_SUNDAY, holidays=True, priority=10),
    )


def bands_at(
    started: Ints, zone: ZoneInfo, bands: tuple[TimeBand, ...], region: HolidayRegion | None = None
) -> Ints:
    """Return the position in `bands` of the band in force at each instant (seconds since 1970, UTC), or
    NO_BAND; highest priority first.
    """
    found = np.full(len(started), NO_BAND, dtype=np.int64)
    if not len(started):
        return found
    local = started + offsets_at(started, zone)
    day = local // _DAY
    minute = (local - day * _DAY) // 60
    weekday = (day + 3) % 7  # 1 January 1970 was a Thursday
    holiday = _on_holiday(day, region)
    for code in sorted(range(len(bands)), key=lambda position: bands[position].priority, reverse=True):
        hit = _matches(bands[code], weekday, minute, holiday)
        found[hit & (found == NO_BAND)] = code
    return found


def band_week(bands: tuple[TimeBand, ...]) -> list[list[tuple[int, int, int]]]:
    """Return for Monday to Sunday, then for a bank holiday that falls on a Monday, which band holds when: runs of
    (first minute, end minute, position in `bands` or NO_BAND).
    """
    minute = np.arange(MINUTES_PER_DAY, dtype=np.int64)
    days = []
    for weekday, is_holiday in [*((day, False) for day in range(7)), (0, True)]:
        found = np.full(MINUTES_PER_DAY, NO_BAND, dtype=np.int64)
        for code in sorted(range(len(bands)), key=lambda position: bands[position].priority, reverse=True):
            hit = _matches(
                bands[code], np.full_like(minute, weekday), minute, np.full(len(minute), is_holiday)
            )
            found[hit & (found == NO_BAND)] = code
        edges = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist(), MINUTES_PER_DAY]
        days.append([(start, end, int(found[start])) for start, end in pairwise(edges)])
    return days


def split_at_bands(
    started: Ints,
    seconds: Ints,
    zone: ZoneInfo,
    bands: tuple[TimeBand, ...],
    region: HolidayRegion | None = None,
) -> Pieces:
    """Cut each call where its band changes; a call inside one band, or of zero seconds, is one piece."""
    if not len(started):
        return Pieces(*(np.zeros(0, dtype=np.int64) for _ in range(4)))
    ended = started + seconds
    changes = _changes(int(started.min()), int(ended.max()), zone, bands, region)
    low = np.searchsorted(changes, started, side="right")
    high = np.maximum(np.searchsorted(changes, ended, side="left"), low)
    count = high - low + 1
    call = np.repeat(np.arange(len(started)), count)
    ordinal = np.arange(len(call)) - np.repeat(np.cumsum(count) - count, count)
    padded = np.append(changes, np.iinfo(np.int64).max)
    begin = np.where(ordinal == 0, started[call], padded[np.maximum(low[call] + ordinal - 1, 0)])
    end = np.where(ordinal == count[call] - 1, ended[call], padded[low[call] + ordinal])
    return Pieces(call, begin - started[call], end - begin, bands_at(begin, zone, bands, region))


def _matches(band: TimeBand, weekday: Ints, minute: Ints, holiday: Bools) -> Bools:
    days = (np.right_shift(band.weekdays, weekday) & 1) == 1
    if band.holidays:
        days |= holiday
    after, before = minute >= band.start_minute, minute < band.end_minute
    return days & ((after & before) if band.start_minute < band.end_minute else (after | before))


def _changes(
    first: int, last: int, zone: ZoneInfo, bands: tuple[TimeBand, ...], region: HolidayRegion | None
) -> Ints:
    """Return the instants after `first` and up to `last` at which the band in force changes."""
    edges = {
        0,
        *(band.start_minute for band in bands),
        *(band.end_minute % MINUTES_PER_DAY for band in bands),
    }
    minutes = np.array(sorted(edges), dtype=np.int64) * 60
    starts, offsets = _offset_table(zone, first, last)
    parts = [np.array([first], dtype=np.int64)]
    for (begin, end), offset in zip(pairwise([*starts.tolist(), last + 1]), offsets.tolist(), strict=True):
        days = np.arange((begin + offset) // _DAY, (end + offset) // _DAY + 1, dtype=np.int64) * _DAY
        instants = (days[:, None] + minutes[None, :]).ravel() - offset
        parts.append(np.append(instants[(instants >= begin) & (instants < end)], begin))
    candidates = np.unique(np.concatenate(parts))
    candidates = candidates[candidates >= first]
    codes = bands_at(candidates, zone, bands, region)
    return candidates[1:][codes[1:] != codes[:-1]]


def offsets_at(instants: Ints, zone: ZoneInfo) -> Ints:
    """Return the zone's offset from UTC at each instant, in seconds."""
    starts, offsets = _offset_table(zone, int(instants.min()), int(instants.max()))
    if len(offsets) == 1:
        return np.broadcast_to(offsets, len(instants))
    return offsets[np.searchsorted(starts, instants, side="right") - 1]


def _offset_table(zone: ZoneInfo, first: int, last: int) -> tuple[Ints, Ints]:
    """Return the instants from which each offset of the zone holds between two instants, and those
    offsets, in seconds.
    """
    day = first - first % _DAY
    starts, offsets = [day], [_offset(zone, day)]
    while day <= last:
        day += _DAY
        if _offset(zone, day) != offsets[-1]:
            starts.append(_transition(zone, day - _DAY, day))
            offsets.append(_offset(zone, day))
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _transition(zone: ZoneInfo, before: int, after: int) -> int:
    """Return the first second of the new offset between two instants of different offsets."""
    old = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


@lru_cache(maxsize=100_000)
def _offset(zone: ZoneInfo, instant: int) -> int:
    moment = datetime.fromtimestamp(instant, UTC).astimezone(zone)
    return (moment.utcoffset() or timedelta()) // timedelta(seconds=1)


def _on_holiday(day: Ints, region: HolidayRegion | None) -> Bools:
    """Say for each local day (days since 1970) whether it is a bank holiday of the region."""
    if region is None:
        return np.zeros(len(day), dtype=bool)
    years = range(
        (_EPOCH + timedelta(days=int(day.min()))).year, (_EPOCH + timedelta(days=int(day.max()))).year + 1
    )
    known = [number for year in years for number in _holiday_days(region, year)]
    return np.asarray(np.isin(day, np.array(known, dtype=np.int64)))


@lru_cache(maxsize=1_000)
def _holiday_days(region: HolidayRegion, year: int) -> tuple[int, ...]:
    try:
        found = holidays.country_holidays(region.country, subdiv=region.subdivision, years=year)
    except NotImplementedError as error:
        raise BandError(
            f"No bank holidays are known for {region.country} {region.subdivision or ''}".strip() + "."
        ) from error
    return tuple((day - _EPOCH).days for day in found)
