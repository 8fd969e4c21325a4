"""Reminders of the week that is due, by mail, once to each person; and the weeks that went by."""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from reports.models import ReviewMark, ReviewReminder, ReviewSettings
from reports.reviewing import acts, days
from reports.reviewing.days import Week
from reports.reviewing.steps import WEEKS
from resellerkpi.core.access import Role
from resellerkpi.core.mail import NoServer, NotSent, send
from resellerkpi.core.models import Membership, Reseller
from resellerkpi.core.periods import add_months, local_day

#: Local hour from which people are mailed; a mail that met no server is tried so many times.
HOUR, MOST_TRIES = 7, 5


def due_week(reseller: Reseller, *, now: datetime) -> Week | None:
    """Return the unsigned week that people are to be reminded of now: from the day before it is due to that day."""
    row = ReviewSettings.objects.first()
    if (row is not None and not row.reminds) or (row is None and days.first_month() is None):
        return None
    local = now.astimezone(reseller.zone)
    month = local.date().replace(day=1)
    weeks = days.weeks_of([month], local.date())[month]
    coming = [w for w in weeks if w.standing == "now" and local.date() >= w.due - timedelta(days=1)]
    return coming[0] if coming and local.hour >= HOUR else None


def people_of(week: Week, reseller: Reseller) -> list[str]:
    """Return whom to remind: those who have a step of the week that is not done, else owners and billing."""
    marks = ReviewMark.objects.filter(month=week.month, week=week.number, done_at=None)
    here = Membership.objects.filter(reseller=reseller, user__is_active=True)
    held = here.filter(user__in=marks.exclude(assignee=None).values("assignee"))
    chosen = held if held.exists() else here.filter(role__in=(Role.OWNER, Role.FINANCE))
    return list(chosen.order_by("pk").values_list("user__email", flat=True))


def write_down(reseller: Reseller, *, now: datetime) -> list[ReviewReminder]:
    """Write down who is to be reminded now, each once; return those who have not got their mail."""
    week = due_week(reseller, now=now)
    if week is None:
        return []
    ReviewReminder.objects.bulk_create(
        (
            ReviewReminder(
                reseller=reseller, month=week.month, week=week.number, recipient=address, made_at=now
            )
            for address in people_of(week, reseller)
        ),
        ignore_conflicts=True,
    )
    rows = ReviewReminder.objects.filter(month=week.month, week=week.number, taken_at=None)
    return list(rows.filter(attempts__lt=MOST_TRIES).order_by("pk"))


def take(pk: int, *, now: datetime) -> bool:
    """Take a reminder in hand; only one of two workers can."""
    return bool(ReviewReminder.objects.filter(pk=pk, taken_at=None).update(taken_at=now))


def hand_over(reminder: ReviewReminder, reseller: Reseller) -> NotSent | None:
    """Send one reminder; return what kept it from going out."""
    subject = f"{reseller.name}: week {reminder.week} of the review is due"
    week = f"{reminder.month:%Y-%m}", reminder.week
    context = {
        "subject": subject,
        "reseller": reseller,
        "reminder": reminder,
        "title": WEEKS[reminder.week],
        "url": settings.PUBLIC_URL.rstrip("/") + reverse("review-week", args=week),
    }
    name = reseller.from_name or reseller.name
    try:
        send("review_due", to=[reminder.recipient], subject=subject, context=context, from_name=name)
    except NotSent as failed:
        return failed
    return None


def settle(pk: int, failed: NotSent | None, *, now: datetime) -> int:
    """Write down how a mail went; one that met no server may be tried again, any other is not. Return 1 for sent."""
    row = ReviewReminder.objects.get(pk=pk)
    row.attempts += 1
    row.error = str(failed)[:300] if failed else ""
    if failed is None:
        row.sent_at = now
    elif isinstance(failed, NoServer):
        row.taken_at = None
    row.save()
    return int(failed is None)


def count_missed_weeks(reseller: Reseller, *, now: datetime) -> int:
    """Tell the KPIs of the weeks of this month and the last that went by unsigned, once reviews are kept."""
    began = days.first_month()
    if began is None:
        return 0
    today = local_day(now, reseller.zone)
    this = today.replace(day=1)
    found = days.weeks_of([add_months(this, -1), this], today)
    return sum(acts.count_missed(weeks, today=today) for month, weeks in found.items() if month >= began)
