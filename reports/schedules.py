"""Reports that go out by themselves: saved, claimed when due, run in the owner's rights of the day, stopped on errors.

A turn is made in the transaction that moves its schedule on, so two schedulers make one. `now` is a parameter.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal as D
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from reports.filters import FREE, Params
from reports.layout import columns_of_query
from reports.models import Run, Schedule, ScheduleTurn
from reports.registry import REPORTS
from reports.rights import RightsLost, narrowed, rights_of
from reports.run import BadQuery, NotAllowed, allowed, query
from reports.timing import Rule
from resellerkpi.core.access import Capability
from resellerkpi.core.audit import record
from resellerkpi.core.columns import Column, day
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Job
from resellerkpi.core.scope import Scope, current

MOST_FAILURES = 5
RETRIES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
KEPT = timedelta(days=400)
MOST_AT_ONCE = 50
State = ScheduleTurn.State


class BadSchedule(ValueError):
    """Raised for a schedule that cannot be kept; the sentence is shown to the user."""


@dataclass(frozen=True)
class Plan:
    """What a person decides about a schedule besides the report's query."""

    name: str
    frequency: str
    time: time
    zone: str
    recipients: Sequence[str]
    formats: Sequence[str]
    columns: Sequence[str]
    weekday: int = 0
    month_day: int = 1
    note: str = ""
    send: str = Schedule.Send.ALWAYS
    total: str = ""
    amount: D | None = None


def create(*, report: str, params: Params, plan: Plan, now: datetime) -> Schedule:
    """Save a schedule of the scope's person; its first turn is the next due time."""
    scope = current()
    _may(scope, report)
    schedule = Schedule(
        reseller_id=scope.reseller_id,
        report=report,
        params=dict(params),
        owner_id=scope.user_id,
        role=scope.role or "",
        dealer_id=scope.dealer_id,
        created_at=now,
    )
    _put(schedule, plan, now=now)
    schedule.save()
    record("Report scheduled", schedule.name, when=rule_of(schedule), to=", ".join(plan.recipients))
    return schedule


def change(schedule: Schedule, plan: Plan, *, now: datetime) -> None:
    """Save what a person changed; from then on it runs in that person's name."""
    scope = current()
    _may(scope, schedule.report)
    schedule.owner_id, schedule.role, schedule.dealer_id = scope.user_id, scope.role or "", scope.dealer_id
    _put(schedule, plan, now=now)
    schedule.save()
    record("Schedule changed", schedule.name, when=rule_of(schedule), to=", ".join(plan.recipients))


def _may(scope: Scope, report: str) -> None:
    if not scope.can(Capability.SHARE) or not allowed(REPORTS.get(report), scope):
        raise NotAllowed("You may not send this report by mail.")


def _put(schedule: Schedule, plan: Plan, *, now: datetime) -> None:
    for name, value in vars(plan).items():
        setattr(schedule, name, list(value) if isinstance(value, list | tuple) else value)
    if plan.send not in (Schedule.Send.ABOVE, Schedule.Send.BELOW):
        schedule.total, schedule.amount = "", None
    schedule.next_run_at = rule_of(schedule).after(now)


def rule_of(schedule: Schedule) -> Rule:
    """Return when a schedule comes due."""
    return Rule(
        schedule.frequency, schedule.time, ZoneInfo(schedule.zone), schedule.weekday, schedule.month_day
    )


def pause(schedule: Schedule, *, now: datetime, why: str = "") -> None:
    """Let a schedule rest; `why` is empty when a person asked for it."""
    if schedule.paused_at is None:
        schedule.paused_at, schedule.paused_why = now, why[:300]
        schedule.save(update_fields=["paused_at", "paused_why"])
        ScheduleTurn.objects.filter(schedule=schedule).update(retry_at=None)
        record("Schedule paused", schedule.name, why=why)


def resume(schedule: Schedule, *, now: datetime) -> None:
    """Start a resting schedule again, in the name of who resumes it: nothing that fell into the rest is made up for."""
    scope = current()
    _may(scope, schedule.report)
    schedule.owner_id, schedule.role, schedule.dealer_id = scope.user_id, scope.role or "", scope.dealer_id
    schedule.paused_at, schedule.paused_why, schedule.failures, schedule.last_error = None, "", 0, ""
    schedule.next_run_at = rule_of(schedule).after(now)
    schedule.save()
    record("Schedule resumed", schedule.name)


def delete(schedule: Schedule) -> None:
    """Forget a schedule with its history; runs and mails stay."""
    record("Schedule deleted", schedule.name, to=", ".join(schedule.recipients))
    schedule.delete()


def claim_due(*, now: datetime) -> list[ScheduleTurn]:
    """Make a turn of each schedule of the scope that is due and move it on; hand the turns to jobs on commit.

    Rows another scheduler holds are left to it. Turns that fell into a stand-still are counted and made up for once.
    """
    due = Schedule.objects.select_for_update(skip_locked=True).filter(paused_at=None, next_run_at__lte=now)
    turns = []
    for schedule in due.order_by("next_run_at", "pk")[:MOST_AT_ONCE]:
        rule = rule_of(schedule)
        latest, skipped = rule.missed(schedule.next_run_at, now)
        turns.append(_turn(schedule, due_at=latest, skipped=skipped))
        schedule.next_run_at = rule.after(now)
        schedule.save(update_fields=["next_run_at"])
    return [*turns, *_claim_retries(now)]


def lost(*, now: datetime) -> list[ScheduleTurn]:
    """Fail the turns whose work died or was stopped on the way; return those whose schedule stopped with it."""
    ended = ScheduleTurn.objects.filter(
        state=State.WAITING, job__state__in=[Job.State.FAILED, Job.State.CANCELLED]
    )
    stopped = []
    for turn in ended.select_for_update(skip_locked=True, of=("self",)).select_related("schedule", "job"):
        if turn.job.state == Job.State.CANCELLED:
            settle(turn, State.STOPPED, "Stopped by hand.", now=now)
        elif fail(turn, turn.job.error, now=now):
            stopped.append(turn)
    return stopped


def _claim_retries(now: datetime) -> list[ScheduleTurn]:
    again = ScheduleTurn.objects.select_for_update(skip_locked=True, of=("self",)).filter(retry_at__lte=now)
    turns = list(again.select_related("schedule").order_by("retry_at", "pk")[:MOST_AT_ONCE])
    for turn in turns:
        turn.retry_at, turn.state = None, State.WAITING
        turn.save(update_fields=["retry_at", "state"])
        _enqueue(turn)
    return turns


def run_now(schedule: Schedule, *, now: datetime) -> ScheduleTurn:
    """Make a turn at once, whether the schedule rests or not; its next turn stays where it is."""
    _may(current(), schedule.report)
    record("Schedule run by hand", schedule.name)
    return _turn(schedule, due_at=now, by_hand=True)


def _turn(schedule: Schedule, *, due_at: datetime, skipped: int = 0, by_hand: bool = False) -> ScheduleTurn:
    turn = ScheduleTurn.objects.create(
        reseller_id=schedule.reseller_id,
        schedule=schedule,
        due_at=due_at,
        skipped=skipped,
        by_hand=by_hand,
        request=uuid.uuid4(),
    )
    _enqueue(turn)
    return turn


def _enqueue(turn: ScheduleTurn) -> None:
    schedule = turn.schedule
    turn.job = enqueue(
        "reports.scheduled",
        {"turn": turn.pk},
        title=f"Schedule: {schedule.name}",
        back_url=reverse("schedule", args=[schedule.pk]),
    )
    turn.save(update_fields=["job"])


def scope_of(schedule: Schedule) -> Scope:
    """Return in whose rights a schedule runs today; raises RightsLost when they do not suffice any more."""
    held = rights_of(schedule.owner, schedule.reseller_id, why="schedule")
    scope = narrowed(held, role=schedule.role, dealer_id=schedule.dealer_id)
    if schedule.report not in REPORTS:
        raise RightsLost("The report is not part of this release any more.")
    if not scope.can(Capability.SHARE):
        raise RightsLost(f"{schedule.owner} may not send reports by mail any more.")
    if not allowed(REPORTS.get(schedule.report), scope):
        raise RightsLost(f"{schedule.owner} may not see this report any more.")
    return scope


def columns_of(schedule: Schedule, *, now: datetime) -> list[Column]:
    """Return the columns that a schedule's query has for the scope's holder; none of a query that is bad by now."""
    report = REPORTS.get(schedule.report)
    try:
        return columns_of_query(report, query(report, schedule.params, now=now), current().capabilities)
    except BadQuery:
        return []


def params_of(turn: ScheduleTurn, *, now: datetime) -> dict[str, list[str]]:
    """Return the query of a turn with its relative interval resolved on the due day in the schedule's zone."""
    schedule = turn.schedule
    asked = {**schedule.params, "zone": [schedule.zone]}
    interval = query(REPORTS.get(schedule.report), asked, now=min(turn.due_at, now)).interval
    return {
        **asked,
        "period": [FREE],
        "on_or_after": [interval.start.isoformat()],
        "before": [interval.end.isoformat()],
    }


def why_not(schedule: Schedule, run: Run) -> str:
    """Return why a run's mail is not sent on the schedule's condition, "" when it is."""
    if schedule.send == Schedule.Send.ALWAYS:
        return ""
    if schedule.send == Schedule.Send.ROWS:
        return "" if run.row_count else "There were no rows."
    limit, above = D(schedule.amount or 0), schedule.send == Schedule.Send.ABOVE
    found = [D(str(total[schedule.total])) for total in run.totals if schedule.total in total]
    if any(sum_ > limit if above else sum_ < limit for sum_ in found):
        return ""
    side = "above" if above else "below"
    return f"No total was {side} {limit:,.2f}."


def settle(turn: ScheduleTurn, state: str, words: str, *, now: datetime) -> None:
    """Write down that a turn came to its end without a failure."""
    turn.state, turn.words, turn.finished_at, turn.retry_at = state, words[:300], now, None
    turn.save(update_fields=["state", "words", "finished_at", "retry_at"])
    Schedule.objects.filter(pk=turn.schedule_id).update(failures=0, last_error="")


def stop(turn: ScheduleTurn, why: str, *, now: datetime) -> None:
    """Pause a turn's schedule for good reason and write it down."""
    turn.state, turn.words, turn.finished_at, turn.retry_at = State.STOPPED, why[:300], now, None
    turn.save(update_fields=["state", "words", "finished_at", "retry_at"])
    pause(turn.schedule, now=now, why=why)


def fail(turn: ScheduleTurn, error: str, *, now: datetime) -> bool:
    """Count a failure: try the turn again later, or stop the schedule after MOST_FAILURES; say whether it stopped."""
    schedule = Schedule.objects.select_for_update().get(pk=turn.schedule_id)
    schedule.failures, schedule.last_error = schedule.failures + 1, error[:300]
    schedule.save(update_fields=["failures", "last_error"])
    turn.state, turn.words, turn.finished_at = State.FAILED, error[:300], now
    turn.attempts += 1
    stopped = bool(schedule.failures >= MOST_FAILURES)
    turn.retry_at = None if stopped or turn.by_hand else _later(turn, schedule, now)
    turn.save(update_fields=["state", "words", "finished_at", "attempts", "retry_at"])
    if stopped:
        pause(schedule, now=now, why=f"It failed {MOST_FAILURES} times in a row: {error}")
    return stopped


def _later(turn: ScheduleTurn, schedule: Schedule, now: datetime) -> datetime | None:
    """Return when to try again: never past the schedule's next turn, which stands for it then."""
    at = now + RETRIES[min(turn.attempts, len(RETRIES)) - 1]
    return at if at < schedule.next_run_at else None


def recent(schedule: Schedule, most: int = 50) -> list[ScheduleTurn]:
    """Return a schedule's latest turns, the newest first."""
    return list(ScheduleTurn.objects.filter(schedule=schedule).order_by("-due_at", "-pk")[:most])


def late_words(turn: ScheduleTurn, *, now: datetime) -> str:
    """Say that a turn goes out late, and how many before it were left out; "" for one in time."""
    if turn.by_hand or (now - turn.due_at < timedelta(minutes=30) and not turn.skipped):
        return ""
    due = turn.due_at.astimezone(ZoneInfo(turn.schedule.zone))
    words = f"This mail was due on {day(due.date())} at {due:%H:%M} and comes late."
    if turn.skipped:
        words += f" {turn.skipped:,} before it {'was' if turn.skipped == 1 else 'were'} left out: one stands for them."
    return words


def address_of(schedule: Schedule) -> str:
    """Return the whole address of a schedule's page."""
    return settings.PUBLIC_URL.rstrip("/") + reverse("schedule", args=[schedule.pk])


def totals_offered(columns: Sequence[Column]) -> Mapping[str, str]:
    """Return the columns whose totals a condition can look at, by name."""
    return {c.name: c.title for c in columns if c.total}
