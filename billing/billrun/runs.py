"""The life of a bill run: draft, checked, billed, confirmed, sent. Each step locks the run and looks at its state."""

from datetime import date, datetime

from billing.billrun.gates import blocking, check
from billing.billrun.prebilling import accept as accept_findings
from billing.billrun.prebilling import stopping
from billing.models import BillingRun, Invoice
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import current

State = BillingRun.State
ORDER = [State.DRAFT, State.CHECKED, State.BILLED, State.CONFIRMED, State.SENT]


class RunRefused(ValueError):
    """A step that a bill run cannot take, with the reason for the user."""


def prepare_run(
    reseller: Reseller,
    period: Period,
    *,
    invoice_date: date | None = None,
    due_date: date | None = None,
    cycle: str = "monthly",
    message: str = "",
) -> BillingRun:
    """Return the run of a period and cycle, made as a draft if it is not there; invoices are dated the period's end.

    Without a due date each customer's own terms count from the invoice date.
    """
    run, made = BillingRun.objects.get_or_create(
        reseller=reseller,
        cycle=cycle,
        period_start=period.start,
        defaults={
            "name": str(period),
            "period_end": period.end,
            "invoice_date": invoice_date or period.end,
            "due_date": due_date,
            "message": message,
        },
    )
    if made:
        record("run.prepared", run, period_start=run.period_start, period_end=run.period_end)
    return run


def lock_run(run_id: int, *states: str) -> BillingRun:
    """Lock a run for a step; raises RunRefused unless it stands in one of the states."""
    run = BillingRun.objects.select_for_update().get(pk=run_id)
    if run.state not in states:
        wanted = " or ".join(State(state).label.lower() for state in states)
        raise RunRefused(f"This run is {run.get_state_display().lower()}; it would have to be {wanted}.")
    return run


def change_dates(run_id: int, *, invoice_date: date, due_date: date | None, message: str) -> BillingRun:
    """Change what may change until bills are produced: the dates lock then."""
    run = lock_run(run_id, State.DRAFT, State.CHECKED)
    if invoice_date < run.period_start:
        raise RunRefused("The invoices cannot be dated before the period begins.")
    if due_date and due_date < invoice_date:
        raise RunRefused("The due date cannot be before the invoice date.")
    run.invoice_date, run.due_date, run.message = invoice_date, due_date, message
    run.save(update_fields=["invoice_date", "due_date", "message"])
    record("run.changed", run, invoice_date=invoice_date, due_date=due_date)
    return run


def check_run(run_id: int, *, accept: str = "", now: datetime) -> BillingRun:
    """Mark a run as checked; errors of its gates must be accepted with a reason, kept with the person's name.

    The reason is that of every error of the pre-billing report too that nobody has accepted by then.
    """
    run = lock_run(run_id, State.DRAFT, State.CHECKED)
    errors = blocking(check(run, now=now))
    if errors and not accept.strip():
        raise RunRefused(f"{errors[0].words} Mend it, or accept it with a reason.")
    run.state, run.checked_by_id = State.CHECKED, current().user_id
    run.accepted_errors = accept.strip()[:300] if errors else ""
    if errors:
        accept_findings(run, stopping(run), reason=accept, now=now)
    run.save(update_fields=["state", "checked_by", "accepted_errors"])
    record("run.checked", run, errors=len(errors), accepted=run.accepted_errors)
    return run


def refuse_open_errors(run: BillingRun) -> None:
    """Raise RunRefused while errors of the run's pre-billing report are neither mended nor accepted."""
    first = stopping(run).order_by("check_slug", "label", "pk").first()
    if first is not None:
        raise RunRefused(f"{first.label}: {first.why} Mend it, or accept it in the pre-billing report.")


def mark_billed(run: BillingRun, *, usage_batch: int, now: datetime) -> None:
    """Note that the bills of a locked run are produced."""
    run.state, run.usage_batch, run.billed_at = State.BILLED, usage_batch, now
    run.save(update_fields=["state", "usage_batch", "billed_at"])
    record("run.billed", run, invoices=run.invoices.count(), not_produced=run.not_produced.count())


def mark_confirmed(run: BillingRun, *, now: datetime) -> None:
    """Note that the invoices of a locked run are issued."""
    run.state, run.confirmed_at, run.confirmed_by_id = State.CONFIRMED, now, current().user_id
    run.save(update_fields=["state", "confirmed_at", "confirmed_by"])
    record("run.confirmed", run, invoices=run.invoices.count())


def send_run(run_id: int, *, now: datetime) -> BillingRun:
    """Mark the invoices of a confirmed run as sent; from then on only credit notes correct them."""
    run = lock_run(run_id, State.CONFIRMED)
    Invoice.objects.filter(run=run, sent_at__isnull=True).exclude(state=Invoice.State.DRAFT).update(
        sent_at=now
    )
    run.state, run.sent_at = State.SENT, now
    run.save(update_fields=["state", "sent_at"])
    record("run.sent", run)
    return run


def stands_at_least(run: BillingRun, state: str) -> bool:
    """Say whether the run has come to a state or beyond."""
    return ORDER.index(State(run.state)) >= ORDER.index(State(state))
