"""Working days, Monday to Friday, counted through; money that comes at a weekend counts on the Monday after it."""

from datetime import date, timedelta


def workday_index(day: date) -> int:
    """Return the running number of a day; a Saturday and a Sunday have that of the Monday after."""
    week, weekday = divmod(day.toordinal() - 1, 7)
    return week * 5 + min(weekday, 5)


def last_whole(day: date) -> int:
    """Return the running number of the last working day that is over at the end of a day."""
    return workday_index(day + timedelta(days=1)) - 1


def workday(index: int) -> date:
    """Return the day that has a running number."""
    week, weekday = divmod(index, 5)
    return date.fromordinal(week * 7 + weekday + 1)
