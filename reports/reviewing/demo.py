"""Reviews of the demo: months signed by its people at their time, one week missed, this month's half done."""

from datetime import UTC, date, datetime, time, timedelta

from reports.models import ReviewAction, SignedWeek
from reports.reviewing import acts, days
from reports.reviewing.acts import Note, Plan
from reports.reviewing.days import Week
from reports.reviewing.look import LOOK, StepLook, look_at
from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User
from resellerkpi.core.periods import add_months, local_day
from resellerkpi.core.scope import Scope, current

PAST = 3
#: How many months ago which week was missed, and which was signed late.
MISSED, LATE = (2, 3), (1, 4)
#: What is written on steps that need a look, by step.
NOTES = {
    "error-rates": "Two ranges were not in the book; added, and the calls priced again.",
    "unusual-invoices": "Rang the customer: a new branch, the bill is right.",
    "unrated-after-files": "Asked the carrier whose number it is; its calls wait under Billing errors.",
    "leaks": "Went through the register: the larger ones are given out, the rest wait for next month.",
    "churn": "One moved away, one went to a cheaper line rental.",
    "declining-lines": "Asked to call the two largest before their contracts end.",
    "onboarding": "Mandate form sent again.",
    "old-tariffs": "Letters go out with the next bills.",
    "collection-success": "Three cards had expired; asked for Direct Debit.",
}
#: How many months ago, week, step, what, KPI, days until due, what came of it ("" while it is open).
PLANS = (
    (3, 1, "error-rates", "Get the missing ranges from the carrier", "unrated_calls", 21, "Ranges are in the book."),
    (2, 4, "collection-success", "Move card payers to Direct Debit", "payment_first_time_success", 60, ""),
    (1, 3, "old-tariffs", "Offer the new plan to who is on an old tariff", "old_tariff_customers", 45, ""),
)  # fmt: skip


def build(reseller: Reseller, *, now: datetime) -> int:
    """Sign the past months' weeks and begin this one's, once; return how many weeks were signed."""
    if SignedWeek.objects.exists():
        return 0
    today = local_day(now, reseller.zone)
    this = today.replace(day=1)
    people = _people(reseller)
    signed = 0
    for ago in range(PAST, -1, -1):
        month = add_months(this, -ago)
        for number in days.FOUR:
            due = days.due_of(month, number, days.DAYS)
            if (ago, number) == MISSED or due >= today:
                continue
            if ago == 0 and (number == 4 or days.due_of(month, number + 1, days.DAYS) >= today):
                _begin(reseller, month, number, people, now=now)
                continue
            at = _at(due, late=(ago, number) == LATE)
            _do(reseller, month, number, people, at=min(at, now))
            signed += 1
        _plan(reseller, ago, month, people, now=now)
    return signed


def _people(reseller: Reseller) -> list[User | None]:
    """Return who does the review: billing, then the owner."""
    rows = Membership.objects.filter(reseller=reseller, role__in=(Role.FINANCE, Role.OWNER)).select_related(
        "user"
    )
    found: list[User | None] = [m.user for m in sorted(rows, key=lambda m: (m.role != Role.FINANCE, m.pk))]
    return found or [None]


def _at(due: date, *, late: bool) -> datetime:
    return datetime.combine(due + timedelta(days=2 if late else -1), time(10, 30), tzinfo=UTC)


def _week(month: date, number: int, at: datetime) -> Week:
    return days.weeks_of([month], at.date())[month][number - 1]


def _scope(reseller: Reseller) -> Scope:
    return Scope.of(reseller.pk, user_id=current().user_id, why=current().why)


def _do(reseller: Reseller, month: date, number: int, people: list[User | None], *, at: datetime) -> None:
    """Do a week as its people did: write on every step, then sign."""
    who = people[number % 2 % len(people)]
    week = _week(month, number, at)
    look = look_at([week], reseller=reseller, scope=_scope(reseller), now=at)[0]
    for place, step in enumerate(look.steps):
        note = _note(step, step.step.minutes + (month.month + place) % 3 - 1, who)
        step.mark = acts.write(week, step.step.slug, note, now=at, user=who)
    acts.sign(look, reseller=reseller, now=at, user=who)


def _note(step: StepLook, minutes: int, who: User | None) -> Note:
    needed = step.state == LOOK
    text = NOTES.get(step.step.slug, "Looked at; nothing to do.") if needed else ""
    return Note(needed, text, max(minutes, 0) if step.step.minutes else 0, who)


def _begin(reseller: Reseller, month: date, number: int, people: list[User | None], *, now: datetime) -> None:
    """Begin a week: its first step is done, the second somebody's."""
    week = _week(month, number, now)
    look = look_at([week], reseller=reseller, scope=_scope(reseller), now=now)[0]
    first, second = look.steps[:2]
    acts.write(
        week,
        first.step.slug,
        Note(True, "The last payments are in.", 4, people[0]),
        now=now,
        user=people[0],
    )
    acts.write(week, second.step.slug, Note(False, "", None, people[-1]), now=now, user=people[0])


def _plan(reseller: Reseller, ago: int, month: date, people: list[User | None], *, now: datetime) -> None:
    for months, number, step, what, kpi, until, outcome in PLANS:
        if months != ago:
            continue
        at = _at(days.due_of(month, number, days.DAYS), late=False)
        plan = Plan(what, people[0], at.date() + timedelta(days=until), kpi)
        action: ReviewAction = acts.note_action(
            _week(month, number, at), step, plan, reseller=reseller, now=at, user=people[-1]
        )
        if outcome:
            closed = min(at + timedelta(days=until), now)
            acts.close_action(action, outcome=outcome, reseller=reseller, now=closed, user=people[0])
