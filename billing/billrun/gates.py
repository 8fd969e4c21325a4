"""What should be in order before bills are produced: dates, files, billing errors, the pre-billing report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Count, F, Max, Q, Sum

from billing.billrun.prebilling import findings, look_if_changed, tally
from billing.checks.words import counted
from billing.models import BillingRun, Call, Carrier, CdrFile, Finding
from resellerkpi.core.columns import day, figure
from resellerkpi.core.periods import Period, local_day

#: The check of suppliers that have sent nothing: its findings may be accepted.
NO_FILES = "missing_call_files"


class GateState(StrEnum):
    """Whether a gate is open."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that was looked at: its state in a sentence, and the page (URL name, its run) where it is mended."""

    name: str
    state: GateState
    words: str
    page: str = ""
    run_id: int | None = None


def check(run: BillingRun, *, now: datetime) -> list[Gate]:
    """Look at everything a run depends on, in the order in which it is mended."""
    look_if_changed(run, now=now)
    period = Period(run.period_start, run.period_end, run.reseller.zone)
    found = list(findings(run))
    return [
        _dates(run, period, now),
        *_files(period, found),
        _errors(period),
        _report(run, found),
        _earlier(run),
    ]


def blocking(gates: Iterable[Gate]) -> list[Gate]:
    """Return the gates that stop a run unless somebody accepts them."""
    return [gate for gate in gates if gate.state == GateState.ERROR]


def _dates(run: BillingRun, period: Period, now: datetime) -> Gate:
    if now < period.ends_at:
        words = f"The period ends on {day(period.last_day)}: calls after now will be missing."
        return Gate("Dates", GateState.WARN, words)
    due = f"due {day(run.due_date)}" if run.due_date else "due by each customer's terms"
    return Gate("Dates", GateState.OK, f"{period}; invoices dated {day(run.invoice_date)}, {due}.")


def _files(period: Period, found: list[Finding]) -> Iterator[Gate]:
    """Yield a gate for each supplier whose files a run needs: files that reach the period's last day."""
    accepted = {
        row.subject for row in found if row.check_slug == NO_FILES and row.state == row.State.ACCEPTED
    }
    in_period = Q(files__state=CdrFile.State.LOADED, files__first_call_at__lt=period.ends_at) & Q(
        files__last_call_at__gte=period.starts_at
    )
    carriers = Carrier.objects.filter(required_for_run=True).annotate(
        last=Max("files__last_call_at", filter=in_period), loaded=Count("files", filter=in_period)
    )
    for carrier in carriers.order_by("name", "pk"):
        name = f"Files of {carrier.name}"
        if carrier.last is None:
            state = GateState.WARN if carrier.code in accepted else GateState.ERROR
            yield Gate(name, state, f"No call file of {carrier.name} for {period} is here.", "cdr-upload")
        elif carrier.last < period.ends_at - timedelta(days=1):
            words = f"The files of {carrier.name} reach {day(local_day(carrier.last, period.zone))} only."
            yield Gate(name, GateState.WARN, words, "cdr-upload")
        else:
            words = f"{figure(carrier.loaded, 0)} files reach the end of the period."
            yield Gate(name, GateState.OK, words)


def _errors(period: Period) -> Gate:
    """Count the period's calls that could not be priced, with what they cost at least."""
    calls = Call.objects.filter(
        state=Call.State.ERROR, started_at__gte=period.starts_at, started_at__lt=period.ends_at
    )
    found = (
        calls.values("cost_currency").annotate(calls=Count("id"), cost=Sum("cost")).order_by("cost_currency")
    )
    rows = list(found)
    count = sum(row["calls"] for row in rows)
    if not count:
        return Gate("Billing errors", GateState.OK, "Every call of the period is priced.")
    costs = " and ".join(f"{figure(row['cost'], 2)} {row['cost_currency']}" for row in rows if row["cost"])
    words = f"{figure(count, 0)} calls of the period are not priced" + (
        f" and cost {costs} at least." if costs else "."
    )
    return Gate("Billing errors", GateState.ERROR, words, "billing-errors")


def _report(run: BillingRun, found: list[Finding]) -> Gate:
    """Sum up what the checks before billing found: an error that nobody accepted stops the run."""
    name, page = "Pre-billing report", "run-prebilling"
    stands = tally(found)
    accepted = f"{figure(stands.accepted, 0)} accepted" if stands.accepted else ""
    parts = [
        counted(stands.errors, "error") if stands.errors else "",
        counted(stands.warnings, "warning") if stands.warnings else "",
        accepted,
    ]
    words = ", ".join(part for part in parts if part)
    if stands.errors:
        return Gate(name, GateState.ERROR, f"{words}: mend or accept the errors.", page, run.pk)
    if stands.warnings:
        return Gate(name, GateState.WARN, f"{words}: look before you bill.", page, run.pk)
    return Gate(name, GateState.OK, f"Nothing is open: {words}." if words else "All clean.", page, run.pk)


def _earlier(run: BillingRun) -> Gate:
    """Say whether an earlier run waits for its confirmation."""
    waiting = (
        BillingRun.objects.filter(cycle=run.cycle, period_start__lt=run.period_start)
        .filter(state__in=[BillingRun.State.CHECKED, BillingRun.State.BILLED])
        .order_by(F("period_start").desc())
        .first()
    )
    if waiting is None:
        return Gate("Earlier runs", GateState.OK, "Nothing earlier is waiting.")
    return Gate("Earlier runs", GateState.WARN, f"The run {waiting.name} is not confirmed yet.", "run-list")
