"""One customer's next bill as it stands now: the steps of a bill run for that customer alone, taken back at once.

Charges, calls, VAT and the reasons for no bill come from the very statements that produce bills. It takes no lock:
while a run is being made it waits three seconds, then says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Q, Sum

from billing.billrun.build import BILLED_STATES, build_invoices
from billing.billrun.preview import Bill, read_bills
from billing.charging.book import load_terms
from billing.charging.recurring import charges_of
from billing.charging.store import store
from billing.charging.termination import charge_terminations
from billing.models import BillingRun, Charge, Customer
from resellerkpi.core.periods import Period, month_of

NOTHING = Q(is_activation=True, amount=0)
WAIT = "3s"


class BusyNow(RuntimeError):
    """Bills are being produced at this moment, worded for the user."""


class Preview(NamedTuple):
    """The bills of a customer that a run over a period would make now."""

    period: Period
    bills: list[Bill]


def waiting(customer: Customer) -> dict[str, Decimal]:
    """Return the charges made and not yet billed, by currency; those of periods to come are not made yet."""
    found = Charge.objects.filter(customer=customer, invoice_line=None).exclude(NOTHING)
    sums = found.values("currency").annotate(total=Sum("amount")).order_by("currency")
    return {row["currency"]: row["total"] for row in sums}


def next_period(customer: Customer, today: date) -> Period:
    """Return the month of the customer's next bill: this month, or the one after the last billed."""
    zone = customer.reseller.zone
    billed = BillingRun.objects.filter(cycle=customer.billing_cycle, state__in=BILLED_STATES)
    last = billed.order_by("-period_start").values_list("period_end", flat=True).first()
    return month_of(max(today, last) if last else today, zone)


def preview_bill(customer: Customer, *, today: date, change: Callable[[], object] | None = None) -> Preview:
    """Return the next bill as it stands now; `change` is done first, to see what the bill would be with it.

    Everything is rolled back. Raises BusyNow, and whatever the change refuses with.
    """
    period = next_period(customer, today)
    try:
        with _taken_back():
            if change is not None:
                change()
            _charge(customer, period.end)
            run = _run(customer, period)
            build_invoices(customer.reseller, run, customer_id=customer.pk)
            return Preview(period, read_bills())
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", "") != "55P03":
            raise
        raise BusyNow("Bills are being made right now; look again in a moment.") from error


@contextmanager
def _taken_back() -> Iterator[None]:
    """Roll back what is done inside, and wait little for others."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{WAIT}'")
        try:
            yield
        finally:
            transaction.set_rollback(True)


def _charge(customer: Customer, until: date) -> None:
    terms = load_terms(customer.reseller_id, until, customer_id=customer.pk)
    store(customer.reseller_id, [draft for each in terms for draft in charges_of(each, until)])
    charge_terminations(customer.reseller_id, until, customer_id=customer.pk)


def _run(customer: Customer, period: Period) -> BillingRun:
    run, _ = BillingRun.objects.get_or_create(
        reseller=customer.reseller,
        cycle=customer.billing_cycle,
        period_start=period.start,
        defaults={"name": str(period), "period_end": period.end, "invoice_date": period.end},
    )
    return run
