"""Changing the template: a step kept, added, put back to the default; the days on which weeks are due."""

from collections.abc import Sequence
from dataclasses import replace

from django.db import transaction
from django.utils.text import slugify

from reports.models import ReviewSettings, ReviewStep
from reports.reviewing.acts import BadReview
from reports.reviewing.days import FOUR
from reports.reviewing.steps import Step
from resellerkpi.core.audit import record
from resellerkpi.core.scope import current

MOST_STEPS = 60
RESERVED = ("sign", "reopen", "add", "days")


@transaction.atomic
def keep(step: Step) -> ReviewStep:
    """Keep a step in place of the default of its slug, or as the reseller's own; signed weeks stay as they were."""
    row, _ = ReviewStep.objects.update_or_create(
        reseller_id=current().reseller_id,
        slug=step.slug,
        defaults={
            "week": step.week,
            "position": step.position,
            "title": step.title,
            "help": step.help,
            "cadence": step.cadence,
            "kpis": [line.kept() for line in step.kpis],
            "reports": [line.kept() for line in step.reports],
            "check_slug": step.check,
            "minutes": step.minutes,
            "role": step.role,
            "in_use": step.in_use,
        },
    )
    record("Review step changed", step.title, step=step.slug, in_use=step.in_use)
    return row


def add(step: Step, taken: Sequence[str]) -> ReviewStep:
    """Add a step of the reseller's own under a slug of its title; raises BadReview when there are too many."""
    if len(taken) >= MOST_STEPS:
        raise BadReview(f"A template has at most {MOST_STEPS} steps.")
    base = slugify(step.title)[:30] or "step"
    names = (base, *(f"{base}-{n}" for n in range(2, MOST_STEPS + 3)))
    return keep(replace(step, slug=next(n for n in names if n not in taken and n not in RESERVED)))


@transaction.atomic
def forget(slug: str) -> None:
    """Put a changed step back to the default, or remove one of the reseller's own."""
    row = ReviewStep.objects.filter(slug=slug).first()
    if row is None:
        raise BadReview("This step is as it was made.")
    row.delete()
    record("Review step put back", row.title, step=slug)


@transaction.atomic
def keep_days(days: Sequence[int], *, reminds: bool) -> None:
    """Keep the days on which the four weeks are due; raises BadReview unless each comes after the one before."""
    if len(days) != len(FOUR) or list(days) != sorted(set(days)) or not 1 <= days[0] <= days[-1] <= 31:
        raise BadReview("Each week must be due later than the one before, from the 1st to the 31st.")
    ReviewSettings.objects.update_or_create(
        reseller_id=current().reseller_id, defaults={"days": list(days), "reminds": reminds}
    )
    record("Review days changed", ", ".join(map(str, days)), reminds=reminds)
