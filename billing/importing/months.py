"""Room for calls ahead of time: the partitions of this month and the next ones, made before the first call comes."""

from datetime import date, timedelta

from django.db import connection

AHEAD = 2


def months_from(day: date, ahead: int = AHEAD) -> list[date]:
    """Return the first day of a day's month and of so many months after it."""
    months = [day.replace(day=1)]
    for _ in range(ahead):
        months.append((months[-1] + timedelta(days=31)).replace(day=1))
    return months


def make_room(today: date) -> list[date]:
    """Make the partitions of calls of this month and the next ones where they are missing; return those made."""
    with connection.cursor() as cursor:
        made = []
        for month in months_from(today):
            cursor.execute("SELECT make_call_partition(%s)", [month])
            made += [month] if cursor.fetchone()[0] else []
    return made
