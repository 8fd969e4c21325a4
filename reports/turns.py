"""One turn of a schedule: the run, the condition, the mails, and what is told when it fails."""

from datetime import datetime
from typing import Any

import structlog
from django.utils import timezone

from reports import mailing, schedules
from reports.delivery import deliver
from reports.letters import Message, Why
from reports.models import MailDelivery, Run, Schedule, ScheduleTurn
from reports.registry import REPORTS
from reports.rights import RightsLost
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import Task
from resellerkpi.core.mail import NotSent, send
from resellerkpi.core.models import Membership, User
from resellerkpi.core.scope import Scope, enter

log = structlog.get_logger(__name__)
BROKEN = "Something went wrong while the report was made; the operator's log says what."
Waiting = list[tuple[str, Message]]
State = ScheduleTurn.State


def take(task: Task, *, turn_id: int, now: datetime) -> dict[str, Any]:
    """Run a waiting turn to its end; one that ended before is left alone. Return how many mails ended how."""
    with task.scope():
        turn = _turn(turn_id)
        if turn is None or turn.state != State.WAITING:
            return {}
        scope, lost = _rights(turn)
        if scope is None:
            schedules.stop(turn, lost, now=now)
            told = letter_to(turn.schedule, lost)
    if scope is None:
        return _tell(told)
    try:
        with enter(scope):
            waiting = _prepared(turn, now=now)
    except (ValueError, PermissionError) as refused:
        return _failed(task, turn, str(refused), now=now)
    except Exception:
        log.exception("schedule failed", schedule=turn.schedule_id, turn=turn.pk)
        return _failed(task, turn, BROKEN, now=now)
    if waiting is None:
        return {}
    deliver(task, scope, request=str(turn.request), waiting=waiting)
    return _ended(task, turn, now=now)


def _turn(turn_id: int) -> ScheduleTurn | None:
    turns = ScheduleTurn.objects.select_related("schedule__owner", "schedule__reseller", "run")
    found: ScheduleTurn | None = turns.select_for_update(of=("self",)).filter(pk=turn_id).first()
    return found


def _rights(turn: ScheduleTurn) -> tuple[Scope | None, str]:
    """Return in whose rights the turn runs, or None and what was lost of them."""
    try:
        return schedules.scope_of(turn.schedule), ""
    except RightsLost as lost:
        return None, str(lost)


def _prepared(turn: ScheduleTurn, *, now: datetime) -> Waiting | None:
    """Make the run (once) and its letters in the owner's scope; None when the condition keeps them back."""
    schedule = turn.schedule
    made = turn.run or _run(turn, now=now)
    kept_back = schedules.why_not(schedule, made)
    if kept_back:
        schedules.settle(turn, State.NOTHING, kept_back, now=now)
        return None
    request = str(turn.request)
    mailing.write_down(made, request=request, to=schedule.recipients, formats=schedule.formats, now=now)
    if turn.attempts:
        mailing.try_again(request, now=now)
    waiting = mailing.letters(
        made,
        request=request,
        names=[name for name in schedule.columns if name in {c["name"] for c in made.columns}],
        formats=schedule.formats,
        note=schedule.note,
        why=why(turn, now=now),
        now=now,
    )
    return list(waiting)


def _run(turn: ScheduleTurn, *, now: datetime) -> Run:
    schedule = turn.schedule
    params = schedules.params_of(turn, now=now)
    made = run(REPORTS.get(schedule.report), params, now=now, user=schedule.owner)
    made.kept_until = now + schedules.KEPT
    made.save(update_fields=["kept_until"])
    turn.run = made
    turn.save(update_fields=["run"])
    return made


def why(turn: ScheduleTurn, *, now: datetime) -> Why:
    """Say why a turn's mail is sent, and how to stop it."""
    schedule = turn.schedule
    owner = str(schedule.owner) if schedule.owner else ""
    when = str(schedules.rule_of(schedule))
    return Why(
        f"You get this because {owner} set up “{schedule.name}”: {when[:1].lower()}{when[1:]}.",
        by_name=owner,
        by_email=schedule.owner.email if schedule.owner else "",
        stop_url=schedules.address_of(schedule),
        late=schedules.late_words(turn, now=now),
    )


def _ended(task: Task, turn: ScheduleTurn, *, now: datetime) -> dict[str, Any]:
    with task.scope():
        ended = mailing.outcomes(str(turn.request))
        sent, asked, error = ended.get("sent", 0), sum(ended.values()), _first_error(turn)
        good = bool(sent) and not ended.get("failed")
        if good:
            schedules.settle(turn, State.SENT, f"{sent:,} of {asked:,} mails went out.", now=now)
    return ended if good else _failed(task, turn, error or "Nobody was there to be mailed.", now=now)


def _first_error(turn: ScheduleTurn) -> str:
    bad = MailDelivery.objects.filter(request=turn.request).exclude(error="").order_by("state", "pk")
    return str(bad.values_list("error", flat=True).first() or "")


def _failed(task: Task, turn: ScheduleTurn, error: str, *, now: datetime) -> dict[str, Any]:
    """Count the failure; tell the owner when the schedule stopped with it."""
    with task.scope():
        stopped = schedules.fail(turn, error, now=now)
        told = (
            letter_to(turn.schedule, f"It failed {schedules.MOST_FAILURES} times in a row: {error}")
            if stopped
            else None
        )
    return {"failed": 1} | (_tell(told) if told else {})


def letter_to(schedule: Schedule, reason: str) -> dict[str, Any]:
    """Return the mail that tells its owner, or the reseller's owners, that a schedule stopped."""
    reseller = schedule.reseller
    subject = f"{reseller.name}: the schedule “{schedule.name}” has stopped"
    return {
        "to": people(schedule),
        "subject": subject,
        "from_name": reseller.from_name or reseller.name,
        "context": {
            "subject": subject,
            "reseller": reseller,
            "schedule": schedule,
            "reason": reason,
            "url": schedules.address_of(schedule),
        },
    }


def people(schedule: Schedule) -> list[str]:
    """Return who is told about a schedule: its owner, or the reseller's owners when that person has left."""
    here = Membership.objects.filter(reseller_id=schedule.reseller_id, user__is_active=True)
    owner: User | None = schedule.owner
    if owner and owner.is_active and (owner.is_operator or here.filter(user=owner).exists()):
        return [owner.email]
    return list(here.filter(role=Role.OWNER).order_by("pk").values_list("user__email", flat=True))


def _tell(told: dict[str, Any]) -> dict[str, Any]:
    """Mail each person by itself; the page says the same, so a mail that cannot go out is only logged."""
    for address in told["to"]:
        try:
            send("schedule_stopped", **{**told, "to": [address]})
        except NotSent as failed:
            log.warning("owner of a stopped schedule was not told", error=str(failed))
    return {"stopped": 1}


def tell_of_lost(task: Task) -> None:
    """Fail the turns whose worker died, and tell the owners of schedules that stopped with it."""
    with task.scope():
        told = [letter_to(t.schedule, t.words) for t in schedules.lost(now=timezone.now())]
    for letter in told:
        _tell(letter)
