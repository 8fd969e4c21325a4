"""When the weeks of a review are: due days of the month, where a week stands today."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from reports.models import ReviewSettings, SignedWeek
from resellerkpi.core.periods import add_months, local_day

DAYS = (7, 14, 21, 28)
FOUR = (1, 2, 3, 4)
#: How a week stands: value to (words, the mark's colour).
STANDINGS = {
    "signed": ("Signed on time", "good"),
    "late": ("Signed late", "attention"),
    "now": ("This week", "attention"),
    "overdue": ("Overdue", "bad"),
    "missed": ("Missed", "bad"),
    "ahead": ("To come", "quiet"),
    "before": ("Not kept", "quiet"),
}


@dataclass(frozen=True)
class Week:
    """One week of a review: first day, due day, where it stands and how it was signed, if it was."""

    month: date
    number: int
    begins: date
    due: date
    standing: str
    signed: SignedWeek | None = None

    @property
    def words(self) -> str:
        """Where it stands, in words."""
        return STANDINGS[self.standing][0]

    @property
    def colour(self) -> str:
        """The meaning of where it stands."""
        return STANDINGS[self.standing][1]

    @property
    def key(self) -> str:
        """The month as an address writes it."""
        return f"{self.month:%Y-%m}"


def due_days() -> tuple[int, ...]:
    """Return the reseller's four due days of a month."""
    row = ReviewSettings.objects.first()
    return tuple(row.days) if row and row.days else DAYS


def due_of(month: date, week: int, days: Sequence[int]) -> date:
    """Return a week's due day; a day beyond the month's end means its last."""
    last = add_months(month, 1) - timedelta(days=1)
    return month.replace(day=min(days[week - 1], last.day))


def begins_of(month: date, week: int, days: Sequence[int]) -> date:
    """Return a week's first day: the one after the week before was due."""
    return month if week == 1 else due_of(month, week - 1, days) + timedelta(days=1)


def is_on_time(due: date, now: datetime, zone: ZoneInfo) -> bool:
    """Say whether something done now is done by the end of the local due day."""
    return local_day(now, zone) <= due


def weeks_of(months: Iterable[date], today: date, *, whole: bool = False) -> dict[date, list[Week]]:
    """Return the four weeks of each month, `whole` with what was signed; three queries whatever their number."""
    months = sorted(months)
    days, began = due_days(), first_month()
    rows = SignedWeek.objects.filter(reopened_at=None, month__range=(months[0], months[-1]))
    rows = rows.select_related("signed_by") if whole else rows.defer("shown")
    signed = {(row.month, row.week): row for row in rows}
    return {m: [_week(m, n, days, signed, today, began) for n in FOUR] for m in months}


def first_month() -> date | None:
    """Return the month of the first review signed, None before any."""
    first: date | None = SignedWeek.objects.order_by("month").values_list("month", flat=True).first()
    return first


def _week(
    month: date,
    number: int,
    days: Sequence[int],
    signed: Mapping[tuple[date, int], SignedWeek],
    today: date,
    began: date | None,
) -> Week:
    row = signed.get((month, number))
    due, begins = due_of(month, number, days), begins_of(month, number, days)
    if row is not None:
        due = row.due
        standing = "signed" if row.on_time else "late"
    elif today < begins:
        standing = "ahead"
    elif today <= due:
        standing = "now"
    elif began is None or month < began:
        standing = "before"
    else:
        standing = "overdue" if month == today.replace(day=1) else "missed"
    return Week(month, number, begins, due, standing, row)


def turn(weeks: Sequence[Week]) -> Week | None:
    """Return the week whose turn it is in a month: the first that is not signed; None when all are."""
    waiting = [w for w in weeks if w.signed is None]
    kept = [w for w in waiting if w.standing != "before"]
    return next(iter([*kept, *waiting[-1:]]), None)
