"""Periods: half-open ranges of local days in a zone; instants are UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

GRAINS = ("day", "week", "month", "quarter", "year")
PRESETS = (
    "this_month",
    "last_month",
    "last_3_months",
    "last_12_months",
    "this_quarter",
    "last_quarter",
    "this_year",
    "last_year",
    "this_week",
    "last_week",
    "today",
    "yesterday",
)


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all time zones; Python looks through a folder of six hundred files for them."""
    return frozenset(available_timezones())


class BadPeriod(ValueError):
    """Raised for a period nobody can mean; worded for the user."""


@dataclass(frozen=True, order=True)
class Period:
    """The days from `start` up to, not including, `end` in a time zone."""

    start: date
    end: date
    zone: ZoneInfo = ZoneInfo("Europe/London")

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise BadPeriod(f"The period must end after it starts ({self.start} to {self.end}).")

    @property
    def days(self) -> int:
        """Number of local days."""
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The last day inside the period, for people."""
        return self.end - timedelta(days=1)

    @property
    def starts_at(self) -> datetime:
        """The instant (UTC) at which the period begins."""
        return midnight(self.start, self.zone)

    @property
    def ends_at(self) -> datetime:
        """The instant (UTC) at which the period has ended (exclusive)."""
        return midnight(self.end, self.zone)

    def previous(self) -> "Period":
        """Return the period of the same kind just before: months step by months, else by days."""
        months = self._whole_months()
        if months:
            return Period(add_months(self.start, -months), self.start, self.zone)
        return Period(self.start - (self.end - self.start), self.start, self.zone)

    def year_ago(self) -> "Period":
        """Return the same period a year earlier."""
        return Period(add_months(self.start, -12), add_months(self.end, -12), self.zone)

    def buckets(self, grain: str) -> Iterator["Period"]:
        """Yield the calendar buckets the period covers, clipped to it."""
        at = self.start
        while at < self.end:
            bucket = containing(at, grain, self.zone)
            yield Period(max(bucket.start, self.start), min(bucket.end, self.end), self.zone)
            at = bucket.end

    def _whole_months(self) -> int:
        if self.start.day == 1 and self.end.day == 1:
            return (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        return 0

    def __str__(self) -> str:
        if self._whole_months() == 1:
            return f"{self.start:%B %Y}"
        if self.days == 1:
            return f"{self.start.day} {self.start:%b %Y}"
        return f"{self.start.day} {self.start:%b %Y} to {self.last_day.day} {self.last_day:%b %Y}"


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant in UTC at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the local day of an instant."""
    return instant.astimezone(zone).date()


def add_months(day: date, months: int) -> date:
    """Step by calendar months, clamping to the month's last day; beyond the calendar it is the calendar's last day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if index >= date.max.year * 12 + date.max.month - 1:
        return date.max
    first_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (first_next - timedelta(days=1)).day))


def month_of(day: date, zone: ZoneInfo) -> Period:
    """Return the calendar month a day lies in."""
    start = day.replace(day=1)
    return Period(start, add_months(start, 1), zone)


def containing(day: date, grain: str, zone: ZoneInfo) -> Period:
    """Return the day, ISO week, month, quarter or year that contains a day."""
    if grain == "day":
        return Period(day, day + timedelta(days=1), zone)
    if grain == "week":
        start = day - timedelta(days=day.weekday())
        return Period(start, start + timedelta(days=7), zone)
    months = {"month": 1, "quarter": 3, "year": 12}[grain]
    start = date(day.year, (day.month - 1) // months * months + 1, 1)
    return Period(start, add_months(start, months), zone)


def parse_month(text: str, zone: ZoneInfo) -> Period:
    """Read "2026-10" as that month; raises BadPeriod with a sentence."""
    match = re.fullmatch(r"(\d{4})-(\d{2})", text.strip())
    if not match or not 1 <= int(match[2]) <= 12 or not 1990 <= int(match[1]) <= 2199:
        raise BadPeriod(f"“{text}” is not a month; write it as 2026-10.")
    return month_of(date(int(match[1]), int(match[2]), 1), zone)


def parse_period(text: str, *, today: date, zone: ZoneInfo) -> Period:
    """Read a preset (last_month…), a month "2026-10", or "2026-10-01..2026-11-01" (end exclusive)."""
    text = text.strip()
    if text in PRESETS:
        return preset(text, today=today, zone=zone)
    if ".." in text:
        first, _, last = text.partition("..")
        try:
            return Period(date.fromisoformat(first), date.fromisoformat(last), zone)
        except BadPeriod:
            raise
        except ValueError:
            raise BadPeriod(f"“{text}” is not a period; write it as 2026-10-01..2026-11-01.") from None
    return parse_month(text, zone)


def preset(name: str, *, today: date, zone: ZoneInfo) -> Period:
    """Return a relative period as seen from a day."""
    day, week, quarter, year = (
        containing(today, grain, zone) for grain in ("day", "week", "quarter", "year")
    )
    month = month_of(today, zone)
    return {
        "today": day,
        "yesterday": day.previous(),
        "this_week": week,
        "last_week": week.previous(),
        "this_quarter": quarter,
        "last_quarter": quarter.previous(),
        "this_month": month,
        "last_month": month.previous(),
        "last_3_months": Period(add_months(month.start, -3), month.start, zone),
        "last_12_months": Period(add_months(month.start, -12), month.start, zone),
        "this_year": year,
        "last_year": year.previous(),
    }[name]
