"""The ledger of the leakage register: each event says by how much the open money and the number of open leaks moved.

Open money is what a leak has cost to date without what had come back when it was closed the last time; a leak that is
accepted or closed has none. So up to any instant the events add up to what stood open then, and within a month
open at its start + found − got back − closed otherwise = open at its end.
"""

from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q, Sum

from billing.models import Finding, FindingEvent

ZERO = Decimal(0)
State, Kind = Finding.State, FindingEvent.Kind


def at_stake(row: Finding) -> Decimal:
    """Return what a leak has cost to date, in its currency, without what had come back; never less than 0."""
    return max(ZERO, (row.money_to_date or ZERO) - (row.recovered_at_money or ZERO))


def has_moved(row: Finding) -> bool:
    """Say whether an open leak's money is other than its last event left it."""
    return (
        row.family == Finding.Family.LEAKAGE and row.state == State.OPEN and at_stake(row) != row.open_money
    )


def entered(event: FindingEvent, *, was: str, found_on: date | None = None) -> FindingEvent:
    """Return an event that says what it moved, once its finding is in its new state; only leaks are kept so.

    `was` is the state before, "" of a new finding; `found_on` the reseller's day where this event finds the leak.
    """
    row = event.finding
    if row.family != Finding.Family.LEAKAGE:
        return event
    if event.kind == Kind.FIXED:
        row.recovered_at_money = None
    row.open_since = found_on or row.open_since
    before, row.open_money = row.open_money, at_stake(row) if row.state == State.OPEN else ZERO
    event.money_moved = row.open_money - before
    event.count_moved = int(row.state == State.OPEN) - int(was == State.OPEN)
    event.since = row.open_since
    return event


def movements(since: datetime, until: datetime) -> dict[str, tuple[Decimal, Decimal]]:
    """Return by currency what was found and what came back between two instants; as the KPIs of the register."""
    found = Q(kind__in=[Kind.OPENED, Kind.REOPENED, Kind.CHANGED], money_moved__gt=0)
    rows = (
        FindingEvent.objects.filter(finding__family=Finding.Family.LEAKAGE, at__gte=since, at__lt=until)
        .exclude(finding__currency="")
        .order_by("finding__currency")
        .values_list("finding__currency")
        .annotate(found=Sum("money_moved", filter=found), back=Sum("amount", filter=Q(kind=Kind.RECOVERED)))
    )
    return {currency: (money or ZERO, back or ZERO) for currency, money, back in rows if money or back}


def document_page(invoice: int | None, credit_note: int | None) -> str:
    """Return the name of the page of what brought money back: an invoice, a credit note, "" for words alone."""
    if invoice:
        return "invoice"
    return "credit-note" if credit_note else ""
