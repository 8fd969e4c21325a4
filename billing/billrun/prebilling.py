"""The pre-billing report of a run: what the checks before billing find in its period, and what of it is accepted.

Findings are kept by period, so that what stood when the bills were made stays to be read. A run that is not billed
yet is looked at again when the book, the calls or the day have changed; who sees only a part of the book never looks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from billing.checks.register import run as run_checks
from billing.checks.registry import of_family
from billing.models import BillingRun, Finding, FindingEvent
from billing.models.freshness import fingerprint
from billing.models.locks import hold_findings
from resellerkpi.core.audit import record
from resellerkpi.core.periods import Period, local_day
from resellerkpi.core.scope import current

FAMILY = Finding.Family.PRE_BILLING
State, Level, Kind = Finding.State, Finding.Level, FindingEvent.Kind
OPEN_RUN = (BillingRun.State.DRAFT, BillingRun.State.CHECKED)
#: What the checks read besides what calls are priced by.
READ = (
    "billing_customer", "billing_customerevent", "billing_contract", "billing_mandate", "billing_featuretype",
    "billing_featureprice", "billing_carrier", "billing_supply", "billing_carriercharge", "billing_checksetting",
)  # fmt: skip

#: The day up to which something is accepted for one run only.
FOREVER = Finding.FOREVER


class AcceptRefused(ValueError):
    """Findings that cannot be accepted as asked, with the reason for the user and the field it is about."""

    def __init__(self, words: str, *, field: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True, slots=True)
class Tally:
    """What stands of a run's findings: errors and warnings that are open, and how many are accepted."""

    errors: int
    warnings: int
    accepted: int


def look(run: BillingRun, *, now: datetime) -> None:
    """Run the checks over a run's period and keep what they find; acceptances of earlier runs go on to their date."""
    period = Period(run.period_start, run.period_end, run.reseller.zone)
    seen = Finding.objects.filter(family=FAMILY, period=run.period_start).values_list("pk", flat=True)
    before = set(seen)
    run_checks(run.reseller, of_family(FAMILY), now=now, period=period)
    _go_on_accepting(run, before, now)
    run.looked_at, run.looked_on = now, _mark(run, now)
    run.save(update_fields=["looked_at", "looked_on"])


def look_if_changed(run: BillingRun, *, now: datetime) -> None:
    """Look at a run that is not billed when something changed since it was looked at last."""
    scope = current()
    if run.state in OPEN_RUN and scope.dealer_id is None and scope.customer_id is None:
        if run.looked_on != _mark(run, now):
            look(run, now=now)


def findings(run: BillingRun) -> QuerySet[Finding]:
    """Return what stands of a run's findings, open or accepted."""
    return Finding.objects.filter(family=FAMILY, period=run.period_start, state__in=Finding.STANDING)


def tally(found: Iterable[Finding]) -> Tally:
    """Count what is open by level, and what is accepted."""
    rows = list(found)
    still = [row.level for row in rows if row.state == State.OPEN]
    accepted = sum(row.state == State.ACCEPTED for row in rows)
    return Tally(still.count(Level.ERROR), still.count(Level.WARNING), accepted)


def stopping(run: BillingRun) -> QuerySet[Finding]:
    """Return the errors that stop a run: those that nobody has accepted."""
    return findings(run).filter(level=Level.ERROR, state=State.OPEN)


def accept(
    run: BillingRun, found: QuerySet[Finding], *, reason: str, until: date | None = None, now: datetime
) -> int:
    """Accept findings of a run with a reason, kept with name and time; return how many.

    They stay accepted up to the day `until`, in later runs too; without one for this run alone. Raises AcceptRefused.
    """
    today = local_day(now, run.reseller.zone)
    words = reason.strip()
    if not words:
        raise AcceptRefused("Say why they may pass.", field="reason")
    if until is not None and until <= today:
        raise AcceptRefused("The day has to lie after today.", field="until")
    if until is not None and until > today + Finding.LONGEST:
        raise AcceptRefused("Accept them for ten years at most.", field="until")
    hold_findings(run.reseller_id)
    rows = list(found.filter(state=State.OPEN).order_by("pk").select_for_update())
    fields = {"accepted_until": until or FOREVER, "accepted_reason": words[:300]}
    Finding.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.ACCEPTED, accepted_by_id=current().user_id, **fields
    )
    _write(rows, Kind.ACCEPTED, now, words)
    record("run.findings_accepted", run, findings=len(rows), reason=words, until=until)
    return len(rows)


def take_back(run: BillingRun, found: QuerySet[Finding], *, now: datetime) -> int:
    """Open accepted findings of a run again; return how many."""
    hold_findings(run.reseller_id)
    rows = list(found.filter(state=State.ACCEPTED).order_by("pk").select_for_update())
    Finding.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.OPEN)
    _write(rows, Kind.LAPSED, now, "Taken back")
    record("run.findings_opened", run, findings=len(rows))
    return len(rows)


def with_acceptance(found: QuerySet[Finding]) -> QuerySet[Any]:
    """Add to findings when they were accepted last."""
    accepted = FindingEvent.objects.filter(finding=OuterRef("pk"), kind=Kind.ACCEPTED).order_by("-at", "-pk")
    return found.select_related("accepted_by").annotate(accepted_at=Subquery(accepted.values("at")[:1]))


def _go_on_accepting(run: BillingRun, before: set[int], now: datetime) -> None:
    """Accept what was found for the first time now and is accepted in an earlier run up to a later day."""
    today = local_day(now, run.reseller.zone)
    new = list(findings(run).filter(state=State.OPEN).exclude(pk__in=before))
    earlier = Finding.objects.filter(
        family=FAMILY,
        period__lt=run.period_start,
        state=State.ACCEPTED,
        accepted_until__gt=today,
        accepted_until__lt=FOREVER,
    )
    known = {(row.check_slug, row.subject, row.level): row for row in earlier.order_by("period")}
    rows = []
    for row in new:
        old = known.get((row.check_slug, row.subject, row.level))
        if old is not None:
            row.state, row.accepted_until = State.ACCEPTED, old.accepted_until
            row.accepted_reason, row.accepted_by_id = old.accepted_reason, old.accepted_by_id
            rows.append(row)
    fields = ["state", "accepted_until", "accepted_reason", "accepted_by"]
    Finding.objects.bulk_update(rows, fields, batch_size=1_000)
    _write(rows, Kind.ACCEPTED, now, "Accepted in an earlier run")


def _write(rows: Sequence[Finding], kind: str, now: datetime, text: str) -> None:
    """Write down what happened to findings."""
    by = current().user_id
    FindingEvent.objects.bulk_create(
        FindingEvent(reseller_id=row.reseller_id, finding=row, at=now, kind=kind, by_id=by, text=text)
        for row in rows
    )


def _mark(run: BillingRun, now: datetime) -> str:
    """Return what stands for all that the checks read, as it is now."""
    today = local_day(now, run.reseller.zone)
    return f"{today}:{fingerprint(run.reseller_id, READ)}"[:80]
