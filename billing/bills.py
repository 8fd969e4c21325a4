"""The order of the stages that make bills: charges, drafts, issue, ledger, allocation.

Beside billing.pipeline (calls), the only module that knows it. Each step is one transaction of the caller: lock the
run, look at its state, write, audit; so it happens once, however often or by however many it is asked for.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db.models import Count, Sum

from billing.billrun.build import build_invoices, hold_still
from billing.billrun.runs import (
    RunRefused,
    check_run,
    lock_run,
    mark_billed,
    mark_confirmed,
    prepare_run,
    refuse_open_errors,
    send_run,
    stands_at_least,
)
from billing.billrun.undo import remove_drafts
from billing.charging.recurring import generate_charges
from billing.invoicing.credit import credit_invoice
from billing.invoicing.issue import IssueRefused, issue_drafts, take_back
from billing.models import BillingRun, CreditNote, Invoice
from billing.receivables.allocate import allocate_oldest_first
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import Scope, enter

State = BillingRun.State
UNTIL = (State.BILLED, State.CONFIRMED, State.SENT)


def produce(run_id: int, *, now: datetime) -> BillingRun:
    """Charge features up to the run's end and make its draft invoices out of everything unbilled."""
    run = lock_run(run_id, State.CHECKED)
    refuse_open_errors(run)
    hold_still(run.reseller)
    generate_charges(run.reseller, until=run.period_end)
    batch = build_invoices(run.reseller, run)
    mark_billed(run, usage_batch=batch, now=now)
    return run


def confirm(run_id: int, *, now: datetime) -> BillingRun:
    """Issue the drafts with their numbers, post them, and let waiting credit settle them."""
    run = lock_run(run_id, State.BILLED)
    customers = issue_drafts(run.reseller, run, now=now)
    allocate_oldest_first(run.reseller, customer_ids=customers)
    mark_confirmed(run, now=now)
    return run


def undo(run_id: int) -> BillingRun:
    """Take the bills of a run away while none of them was sent; issued numbers are given back."""
    run = lock_run(run_id, State.CHECKED, State.BILLED, State.CONFIRMED)
    hold_still(run.reseller)
    _refuse_if_billed_after(run)
    customers: list[int] = []
    if run.state == State.CONFIRMED:
        try:
            customers = take_back(run.reseller, run)
        except IssueRefused as refused:
            raise RunRefused(str(refused)) from refused
    remove_drafts(run)
    if customers:
        allocate_oldest_first(run.reseller, customer_ids=customers)
    return run


def credit(
    invoice_id: int, *, reason: str, on: date, now: datetime, lines: dict[int, Decimal] | None = None
) -> CreditNote:
    """Credit an invoice, whole or by line; what it does not need settles the customer's other invoices."""
    note = credit_invoice(invoice_id, reason=reason, on=on, now=now, lines=lines)
    allocate_oldest_first(note.reseller, customer_ids=[note.customer_id])
    return note


def bill(
    reseller: Reseller, period: Period, *, until: str, now: datetime, scope: Scope, accept: str = ""
) -> BillingRun:
    """Take the period's run from where it stands to a state, each step in a transaction of its own."""
    with enter(scope):
        run_id = prepare_run(reseller, period).pk
    steps: list[tuple[str, Callable[..., BillingRun]]] = [
        (State.CHECKED, partial(check_run, accept=accept)),
        (State.BILLED, produce),
        (State.CONFIRMED, confirm),
        (State.SENT, send_run),
    ]
    for state, step in steps[: 1 + [state for state, _ in steps].index(State(until))]:
        with enter(scope):
            run = BillingRun.objects.select_for_update().get(pk=run_id)
            if not stands_at_least(run, state):
                run = step(run_id, now=now)
    return run


def summary(run: BillingRun) -> dict[str, Any]:
    """Return a run's control totals: money as strings of the reseller's currency, others beside it by currency."""
    sums = (
        Invoice.objects.filter(run=run)
        .values("currency")
        .annotate(invoices=Count("id"), net=Sum("net"), vat=Sum("vat"), gross=Sum("gross"))
        .order_by("currency")
    )
    by_currency = {
        row["currency"]: {"invoices": row["invoices"]}
        | {key: str(row[key]) for key in ("net", "vat", "gross")}
        for row in sums
    }
    own = run.reseller.currency
    reasons = run.not_produced.values("reason").annotate(count=Count("id")).order_by("reason")
    nothing = {"invoices": 0, "net": "0.00", "vat": "0.00", "gross": "0.00"}
    result = {"currency": own, **by_currency.pop(own, nothing)}
    result["not_produced"] = {row["reason"]: row["count"] for row in reasons}
    return {**result, "other_currencies": by_currency} if by_currency else result


def _refuse_if_billed_after(run: BillingRun) -> None:
    later = BillingRun.objects.filter(cycle=run.cycle, period_start__gt=run.period_start, state__in=UNTIL)
    newest = later.order_by("period_start").first()
    if newest and run.state != State.CHECKED:
        raise RunRefused(f"{newest.name} has been billed after this run; undo that one first.")
