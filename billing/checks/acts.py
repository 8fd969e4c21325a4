"""What people do with findings: take them on, accept them for a time, note money got back; each is audited."""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.checks.ledger import at_stake, entered
from billing.models import CreditNote, Finding, FindingEvent, Invoice
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day
from resellerkpi.core.models import User
from resellerkpi.core.scope import current

PENNY = Decimal("0.01")
LARGEST = Decimal(10) ** 15
State, Kind = Finding.State, FindingEvent.Kind


class ActRefused(ValueError):
    """Raised for what cannot be done with a finding, in one sentence for whoever asked; `field` of the form it is."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


def held(finding_id: int) -> Finding:
    """Return a finding, locked for the transaction; raises Finding.DoesNotExist outside the scope."""
    return Finding.objects.select_for_update(of=("self",)).get(pk=finding_id)


def accept(finding_id: int, *, until: date, reason: str, now: datetime, today: date) -> Finding:
    """Leave a finding alone until a day, for a reason; refused for one that is closed or for a day that is over."""
    finding = held(finding_id)
    if finding.state not in Finding.STANDING:
        raise ActRefused("This finding is closed: there is nothing left to accept.")
    if until <= today:
        raise ActRefused("Accept it until a day that is still to come.")
    if until > today + Finding.LONGEST:
        raise ActRefused("Accept it for ten years at most.")
    if not reason.strip():
        raise ActRefused("Say why it may stand until then.")
    was, finding.state = finding.state, State.ACCEPTED
    finding.accepted_until, finding.accepted_reason = until, reason.strip()[:300]
    finding.accepted_by_id = current().user_id
    _note(finding, Kind.ACCEPTED, now, f"Until {day(until)}: {finding.accepted_reason}", was=was)
    finding.save(update_fields=["state", "accepted_until", "accepted_reason", "accepted_by", "open_money"])
    record("finding.accepted", finding, until=until, reason=finding.accepted_reason)
    return finding


def recover(
    finding_id: int,
    *,
    amount: Decimal,
    words: str,
    now: datetime,
    invoice: Invoice | None = None,
    credit_note: CreditNote | None = None,
    seen: Decimal | None = None,
) -> Finding:
    """Note money got back and close the finding; it opens again only when the leak goes on growing.

    `invoice` or `credit_note` is the document of the finding's customer on which it came, if it came on one. `seen` is
    what had been noted when whoever asks looked: money that somebody else noted meanwhile is not noted twice.
    """
    if not 0 < amount < LARGEST:
        raise ActRefused("Say how much came back, more than 0.", field="amount")
    finding = held(finding_id)
    if seen is not None and seen != finding.recovered:
        raise ActRefused(
            "Somebody noted money as got back since you opened this page. Is yours more of it? Then send it again."
        )
    document = invoice or credit_note
    if document is not None and document.customer_id != finding.customer_id:
        raise ActRefused("Choose an invoice or a credit note of the leak’s own customer.", field="document")
    got = amount.quantize(PENNY, ROUND_HALF_UP)
    if finding.money_to_date is not None and got > at_stake(finding) and not words.strip():
        raise ActRefused("That is more than it has cost to date: say here why.", field="words")
    finding.recovered += got
    finding.recovered_at_money = finding.money_to_date
    if finding.state in Finding.STANDING:
        finding.closed_at = now
    was, finding.state = finding.state, State.RECOVERED
    more = {"amount": got, "invoice": invoice, "credit_note": credit_note}
    _note(finding, Kind.RECOVERED, now, words, was=was, **more)
    finding.save(update_fields=["recovered", "recovered_at_money", "closed_at", "state", "open_money"])
    record("finding.recovered", finding, amount=got, words=words, on=document and document.number)
    return finding


def give(finding_id: int, *, owner: User | None, now: datetime) -> Finding:
    """Give a finding to somebody, or to nobody; nothing is noted when it is theirs already."""
    finding = held(finding_id)
    if finding.owner_id == (owner.pk if owner else None):
        return finding
    finding.owner = owner
    finding.save(update_fields=["owner"])
    _note(finding, Kind.OWNER, now, f"Now with {owner.name or owner.email}" if owner else "Now with nobody")
    record("finding.owner", finding, owner=owner.email if owner else None)
    return finding


def write_note(finding_id: int, *, words: str, now: datetime) -> Finding:
    """Write a note on a finding's history; an empty one is refused."""
    if not words.strip():
        raise ActRefused("Write something first.")
    finding = held(finding_id)
    _note(finding, Kind.NOTE, now, words.strip())
    record("finding.note", finding)
    return finding


def _note(
    finding: Finding, kind: str, now: datetime, text: str, *, was: str | None = None, **more: Any
) -> None:
    """Write an event; `was` is the state before an act that changed it."""
    event = FindingEvent(
        reseller_id=finding.reseller_id,
        finding=finding,
        at=now,
        kind=kind,
        by_id=current().user_id,
        text=text[:1000],
        **more,
    )
    if was is not None:
        entered(event, was=was)
    event.save()
