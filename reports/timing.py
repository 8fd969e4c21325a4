"""When a schedule comes due: days of the calendar and a local time to instants, over clock changes and month ends.

A local time that the clocks skip counts with the offset before the change, one that comes twice counts the first
time: RFC 5545, section 3.3.5. A day of the month beyond its end means its last day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from resellerkpi.core.periods import add_months

DAILY, WEEKLY, MONTHLY, QUARTERLY = "daily", "weekly", "monthly", "quarterly"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_COUNTED = 10_000


@dataclass(frozen=True)
class Rule:
    """How often, on which day (0 is Monday; 31 is a month's last) and at what local time in which zone."""

    frequency: str
    at: time
    zone: ZoneInfo
    weekday: int = 0
    month_day: int = 1

    def after(self, instant: datetime) -> datetime:
        """Return the first due instant (UTC) later than another."""
        day = instant.astimezone(self.zone).date()
        return next(due for due in map(self.on, self._days(day)) if due > instant)

    def on(self, day: date) -> datetime:
        """Return the instant (UTC) at which the rule's time falls on a local day."""
        return datetime.combine(day, self.at, tzinfo=self.zone).astimezone(UTC)

    def _days(self, near: date) -> Iterator[date]:
        """Yield the rule's days in order, beginning before a day."""
        if self.frequency == DAILY:
            yield from (near + timedelta(days=n) for n in count(-2))
        if self.frequency == WEEKLY:
            first = near - timedelta(days=near.weekday()) + timedelta(days=self.weekday)
            yield from (first + timedelta(weeks=n) for n in count(-1))
        step = 3 if self.frequency == QUARTERLY else 1
        start = near.replace(month=(near.month - 1) // step * step + 1, day=1)
        for n in count(-1):
            month = add_months(start, n * step)
            last = add_months(month, 1) - timedelta(days=1)
            yield month.replace(day=min(self.month_day, last.day))

    def missed(self, due: datetime, now: datetime) -> tuple[datetime, int]:
        """Return the latest due instant up to now, and how many from `due` on lie before it."""
        skipped = 0
        while (later := self.after(due)) <= now and skipped < MOST_COUNTED:
            due, skipped = later, skipped + 1
        return due, skipped

    def __str__(self) -> str:
        at = f"{self.at:%H:%M} ({self.zone.key})"
        ordinal = "the last day" if self.month_day == 31 else f"day {self.month_day}"
        if 29 <= self.month_day <= 30:
            ordinal += " or the last day"
        return {
            DAILY: f"Every day at {at}",
            WEEKLY: f"Every {WEEKDAYS[self.weekday]} at {at}",
            MONTHLY: f"Every month on {ordinal} at {at}",
            QUARTERLY: f"Every quarter on {ordinal} of its first month at {at}",
        }[self.frequency]
