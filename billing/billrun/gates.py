"""What should be in order before bills are produced: dates, files, billing errors, prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Count, Exists, F, OuterRef, Q, Sum

from billing.models import BillingRun, Call, Carrier, CdrFile, Feature, FeaturePrice
from resellerkpi.core.columns import day, figure
from resellerkpi.core.periods import Period, local_day


class GateState(StrEnum):
    """Whether a gate is open."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that was looked at: its state in a sentence, and the page (URL name) where it is mended."""

    name: str
    state: GateState
    words: str
    page: str = ""


def check(run: BillingRun, *, now: datetime) -> list[Gate]:
    """Look at everything a run depends on, in the order in which it is mended."""
    period = Period(run.period_start, run.period_end, run.reseller.zone)
    return [_dates(run, period, now), *_files(period), _errors(period), _prices(period), _earlier(run)]


def blocking(gates: Iterable[Gate]) -> list[Gate]:
    """Return the gates that stop a run unless somebody accepts them."""
    return [gate for gate in gates if gate.state == GateState.ERROR]


def _dates(run: BillingRun, period: Period, now: datetime) -> Gate:
    if now < period.ends_at:
        words = f"The period ends on {day(period.last_day)}: calls after now will be missing."
        return Gate("Dates", GateState.WARN, words)
    due = f"due {day(run.due_date)}" if run.due_date else "due by each customer's terms"
    return Gate("Dates", GateState.OK, f"{period}; invoices dated {day(run.invoice_date)}, {due}.")


def _files(period: Period) -> Iterator[Gate]:
    """Yield a gate for each supplier whose files a run needs: files that reach the period's last day."""
    for carrier in Carrier.objects.filter(required_for_run=True).order_by("name"):
        files = CdrFile.objects.filter(
            carrier=carrier,
            state=CdrFile.State.LOADED,
            first_call_at__lt=period.ends_at,
            last_call_at__gte=period.starts_at,
        )
        last = files.order_by("-last_call_at").values_list("last_call_at", flat=True).first()
        name = f"Files of {carrier.name}"
        if last is None:
            yield Gate(
                name, GateState.ERROR, f"No call file of {carrier.name} for {period} is here.", "cdr-upload"
            )
        elif last < period.ends_at - timedelta(days=1):
            words = f"The files of {carrier.name} reach {day(local_day(last, period.zone))} only."
            yield Gate(name, GateState.WARN, words, "cdr-upload")
        else:
            yield Gate(name, GateState.OK, f"{figure(files.count(), 0)} files reach the end of the period.")


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


def _prices(period: Period) -> Gate:
    """Count features in service during the period that have no price."""
    priced = FeaturePrice.objects.filter(
        feature_type=OuterRef("feature_type"), valid_from__lt=period.end
    ).filter(Q(valid_to__isnull=True) | Q(valid_to__gt=period.start))
    count = (
        Feature.objects.filter(not_charged=False, price__isnull=True, start_date__lt=period.end)
        .filter(Q(end_date__isnull=True) | Q(end_date__gt=period.start), ~Exists(priced))
        .count()
    )
    if not count:
        return Gate("Prices", GateState.OK, "Every feature in service has a price.")
    words = f"{figure(count, 0)} features in service have no price and will not be charged."
    return Gate("Prices", GateState.WARN, words, "feature-type-list")


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
