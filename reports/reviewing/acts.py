"""What people do in a review: note on a step, sign a week off, open it again, note an action and close it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum

from billing.models import Observation
from billing.observed import REVIEW_MINUTES, REVIEW_WEEKS
from kpis.reading import Reader
from reports.models import Evidence, ReviewAction, ReviewMark, Run, SignedWeek
from reports.registry import REPORTS
from reports.reviewing.days import Week
from reports.reviewing.figures import Figures
from reports.reviewing.look import StepLook, WeekLook
from reports.reviewing.steps import KpiLine
from reports.run import start
from resellerkpi.core.access import Capability
from resellerkpi.core.audit import record
from resellerkpi.core.models import Artifact, Reseller, User
from resellerkpi.core.periods import add_months, local_day
from resellerkpi.core.scope import current

MOST_MINUTES = 600


class BadReview(ValueError):
    """Raised for what cannot be done in a review; worded for the user."""


@dataclass(frozen=True)
class Note:
    """What a person writes on a step."""

    done: bool = False
    note: str = ""
    minutes: int | None = None
    assignee: User | None = None


def _may(capability: Capability, words: str) -> None:
    if not current().can(capability):
        raise BadReview(words)


@transaction.atomic
def write(week: Week, step: str, note: Note, *, now: datetime, user: User | None) -> ReviewMark:
    """Keep what a person wrote on a step; raises BadReview once the week is signed off."""
    _may(Capability.BILL, "You may look at the review, not work in it.")
    if _signed(week) is not None:
        raise BadReview("This week is signed off; an owner can open it again.")
    mark, _ = ReviewMark.objects.select_for_update().get_or_create(
        reseller_id=current().reseller_id, month=week.month, week=week.number, step=step
    )
    was_done = mark.done_at is not None
    mark.note, mark.minutes, mark.assignee = note.note, note.minutes, note.assignee
    if note.done and not was_done:
        mark.done_at, mark.done_by = now, user
    elif not note.done:
        mark.done_at = mark.done_by = None
    mark.save()
    if note.done != was_done:
        record(
            "Review step done" if note.done else "Review step open again",
            f"{week.key} week {week.number}: {step}",
        )
    return mark


def _signed(week: Week) -> SignedWeek | None:
    found: SignedWeek | None = SignedWeek.objects.filter(
        month=week.month, week=week.number, reopened_at=None
    ).first()
    return found


@transaction.atomic
def sign(look: WeekLook, *, reseller: Reseller, now: datetime, user: User | None) -> SignedWeek:
    """Sign a week off as it stands: its figures and a run of each of its reports are kept for ever.

    Raises BadReview while a step needs a look, before the week begins, and when it is signed already.
    """
    _may(Capability.BILL, "You may look at the review, not sign it off.")
    week, today = look.week, local_day(now, reseller.zone)
    Reseller.objects.select_for_update().get(pk=reseller.pk)
    if _signed(week) is not None:
        raise BadReview("This week is signed off already.")
    if today < week.begins:
        raise BadReview("This week has not begun yet.")
    if not look.is_ready:
        raise BadReview(
            f"{look.open} of {len(look.steps)} steps need{'s' if look.open == 1 else ''} a look first."
        )
    signed = SignedWeek.objects.create(
        reseller=reseller,
        month=week.month,
        week=week.number,
        due=week.due,
        signed_at=now,
        signed_by=user,
        by_name=str(user) if user else "Command line",
        on_time=today <= week.due,
        minutes=look.minutes,
        shown=[kept(step) for step in look.steps],
    )
    _keep_runs(signed, look, now=now, user=user)
    _count(week, signed, today=today)
    record("Review week signed off", signed, on_time=signed.on_time, minutes=signed.minutes)
    return signed


def kept(look: StepLook) -> dict[str, Any]:
    """Return a step as a signed week keeps it."""
    mark = look.mark
    return {
        "slug": look.step.slug,
        "title": look.step.title,
        "help": look.step.help,
        "planned": look.step.minutes,
        "state": look.state,
        "why": look.why,
        "note": mark.note if mark else "",
        "minutes": look.minutes,
        "assignee": str(mark.assignee) if mark and mark.assignee else "",
        "done_by": str(mark.done_by) if mark and mark.done_by else "",
        "figures": [figure.kept() for figure in look.figures],
    }


def _keep_runs(signed: SignedWeek, look: WeekLook, *, now: datetime, user: User | None) -> None:
    """Run each report of the week once and keep the runs for ever."""
    made: dict[str, Run] = {}
    for step in look.steps:
        for link in step.links:
            key = repr((link.slug, sorted(link.params.items())))
            if key not in made:
                made[key] = start(REPORTS.get(link.slug), link.params, now=now, user=user)
                Evidence.objects.create(
                    reseller_id=signed.reseller_id, signed=signed, step=step.step.slug, run=made[key]
                )
    runs = [run.pk for run in made.values()]
    Run.objects.filter(pk__in=runs).update(kept_until=None)
    Artifact.objects.filter(pk__in=[run.artifact_id for run in made.values() if run.artifact_id]).update(
        expires_at=None
    )


def _count(week: Week, signed: SignedWeek | None, *, today: date) -> None:
    """Tell the KPIs how a week stands: 1 signed on time, 0 late or missed, nothing while it is open."""
    place: dict[str, Any] = {
        "reseller_id": current().reseller_id,
        "date": week.due,
        "dimension": "week",
        "key": str(week.number),
        "currency": "",
    }
    if signed is None and today <= week.due:
        Observation.objects.filter(metric__in=(REVIEW_WEEKS.slug, REVIEW_MINUTES.slug), **place).delete()
        return
    values = {REVIEW_WEEKS.slug: int(signed is not None and signed.on_time)}
    if signed is not None:
        values[REVIEW_MINUTES.slug] = signed.minutes
    for metric, value in values.items():
        Observation.objects.update_or_create(metric=metric, **place, defaults={"value": value})


def count_missed(weeks: Sequence[Week], *, today: date) -> int:
    """Tell the KPIs of weeks that went by unsigned; return how many there are."""
    missed = [w for w in weeks if w.standing in ("missed", "overdue")]
    for week in missed:
        _count(week, None, today=today)
    return len(missed)


@transaction.atomic
def reopen(week: Week, *, why: str, reseller: Reseller, now: datetime, user: User | None) -> SignedWeek:
    """Open a signed week again with a reason; what was signed stays with its evidence. Only an owner may."""
    _may(Capability.MANAGE, "Only an owner may open a signed week again.")
    if not why.strip():
        raise BadReview("Say why it is opened again.")
    signed = _signed(week)
    if signed is None:
        raise BadReview("This week is not signed off.")
    signed.reopened_at, signed.reopened_by, signed.reopened_why = now, user, why.strip()[:300]
    signed.save(update_fields=["reopened_at", "reopened_by", "reopened_why"])
    _count(week, None, today=local_day(now, reseller.zone))
    record("Review week opened again", signed, why=why)
    return signed


@dataclass(frozen=True)
class Plan:
    """What is to be done, by whom, until when, and which KPI it is to move."""

    what: str
    who: User | None = None
    due: date | None = None
    kpi: str = ""


def note_action(
    week: Week, step: str, plan: Plan, *, reseller: Reseller, now: datetime, user: User | None
) -> ReviewAction:
    """Note an action on a step, with the value its KPI has in the last full month."""
    _may(Capability.BILL, "You may look at the review, not work in it.")
    point = value_of(plan.kpi, week.month, reseller=reseller, now=now) if plan.kpi else None
    action = ReviewAction.objects.create(
        reseller=reseller,
        month=week.month,
        week=week.number,
        step=step,
        what=plan.what,
        who=plan.who,
        due=plan.due,
        kpi=plan.kpi,
        currency=point.currency if point else "",
        value_month=point.month if point else None,
        value_then=point.value if point else None,
        noted_at=now,
        noted_by=user,
    )
    record("Review action noted", action, week=f"{week.key} week {week.number}", kpi=plan.kpi)
    return action


def value_of(slug: str, month: date, *, reseller: Reseller, now: datetime, currency: str = "") -> Any:
    """Return a KPI's kept point in the last full month before a review's, None where there is none."""
    figures = Figures(Reader(reseller, current(), now), month, [KpiLine(slug)])
    return figures.at(slug, add_months(month, -1), currency=currency)


def close_action(
    action: ReviewAction, *, outcome: str, reseller: Reseller, now: datetime, user: User | None
) -> None:
    """Close an action with what came of it and its KPI's value by then."""
    _may(Capability.BILL, "You may look at the review, not work in it.")
    if action.closed_at is not None:
        raise BadReview("This action is closed already.")
    month = local_day(now, reseller.zone).replace(day=1)
    point = (
        value_of(action.kpi, month, reseller=reseller, now=now, currency=action.currency)
        if action.kpi
        else None
    )
    action.closed_at, action.closed_by, action.outcome = now, user, outcome.strip()[:300]
    action.value_closed = point.value if point else None
    action.save(update_fields=["closed_at", "closed_by", "outcome", "value_closed"])
    record("Review action closed", action, outcome=outcome)


def minutes_of(month: date) -> int:
    """Return the minutes written down in a month's review."""
    return int(ReviewMark.objects.filter(month=month).aggregate(found=Sum("minutes"))["found"] or 0)
