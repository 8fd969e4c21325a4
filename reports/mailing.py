"""Sending a frozen run by mail: one mail per person, logged, never twice for the same request."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.urls import reverse

from reports.letters import Message, Why, write
from reports.models import MailDelivery, Run
from reports.packing import unpack_all
from reports.run import NotAllowed
from resellerkpi.core.access import Capability, capabilities
from resellerkpi.core.audit import record
from resellerkpi.core.columns import visible
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.mail import NoServer, NotSent, Refused, post
from resellerkpi.core.models import Job, Membership
from resellerkpi.core.scope import current

MOST_PEOPLE = 50
State = MailDelivery.State
ENDINGS = {NoServer: State.FAILED, Refused: State.REFUSED}
NOTHING_TO_SEE = "This colleague's role may see none of the columns."
CUT_OFF = "The worker stopped while it sent this: it may or may not have arrived."


class BadAddresses(ValueError):
    """Raised for addresses that cannot be mailed; the sentence is shown to the user."""


def addresses(text: str) -> list[str]:
    """Read e-mail addresses separated by commas, semicolons or spaces; each once."""
    found = list(dict.fromkeys(a.lower() for a in text.replace(",", " ").replace(";", " ").split()))
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            raise BadAddresses(f"“{address}” is not an e-mail address.") from None
    if not 1 <= len(found) <= MOST_PEOPLE:
        raise BadAddresses(f"Give 1 to {MOST_PEOPLE} e-mail addresses.")
    return found


def ask(
    run: Run, *, to: Sequence[str], formats: Sequence[str], names: Sequence[str], note: str, now: datetime
) -> Job:
    """Write down who is to get a run and hand the sending to a job."""
    scope = current()
    if not scope.can(Capability.SHARE):
        raise NotAllowed("You may not send reports by mail.")
    request = str(uuid.uuid4())
    write_down(run, request=request, to=to, formats=formats, now=now)
    record("Report mailed", run.title, to=", ".join(to), formats=", ".join(formats))
    params = {
        "run": str(run.pk),
        "request": request,
        "formats": list(formats),
        "names": list(names),
        "note": note,
    }
    return enqueue(
        "reports.mail", params, title=f"Mail: {run.title}", back_url=reverse("run-result", args=[run.pk])
    )


def write_down(run: Run, *, request: str, to: Sequence[str], formats: Sequence[str], now: datetime) -> None:
    """Write down who is to get a run on a request; those written down before stay as they are."""
    MailDelivery.objects.bulk_create(
        (
            MailDelivery(
                reseller_id=run.reseller_id,
                run=run,
                request=request,
                recipient=address,
                formats=", ".join(formats),
                asked_by_id=current().user_id,
                asked_at=now,
            )
            for address in to
        ),
        ignore_conflicts=True,
    )


def try_again(request: str, *, now: datetime) -> None:
    """Let those who got nothing for want of a server have another try; what was cut off while it went out is not."""
    deliveries = MailDelivery.objects.filter(request=request)
    deliveries.filter(state=State.SENDING).update(state=State.UNSURE, error=CUT_OFF)
    deliveries.filter(state=State.FAILED).update(state=State.PENDING, error="", asked_at=now)


def letters(
    run: Run,
    *,
    request: str,
    names: Sequence[str],
    formats: Sequence[str],
    note: str,
    why: Why,
    now: datetime,
) -> Iterator[tuple[str, Message]]:
    """Yield each address that waits with what it is to get: the columns chosen, less what a colleague's role hides."""
    waiting = MailDelivery.objects.filter(request=request, state=State.PENDING).order_by("pk")
    addresses = list(waiting.values_list("recipient", flat=True))
    roles = colleagues(addresses)
    written: dict[tuple[tuple[str, ...], bool], Message] = {}
    for address in addresses:
        known = roles.get(address)
        shown = names if known is None else _open_to(run, names, known)
        if not shown:
            waiting.filter(recipient=address).update(state=State.REFUSED, error=NOTHING_TO_SEE)
            continue
        key = (tuple(shown), known is not None)
        if key not in written:
            written[key] = write(
                run,
                request=request,
                names=shown,
                formats=formats,
                note=note,
                why=why,
                colleague=key[1],
                now=now,
            )
        waiting.filter(recipient=address).update(letter=written[key].letter)
        yield address, written[key]


def colleagues(addresses: Sequence[str]) -> dict[str, str]:
    """Return the roles of those addresses that belong to people of the scope's reseller."""
    found = Membership.objects.filter(reseller_id=current().reseller_id, user__is_active=True)
    pairs = found.filter(user__email__in=addresses).values_list("user__email", "role")
    return {email.lower(): role for email, role in pairs}


def _open_to(run: Run, names: Sequence[str], role: str) -> list[str]:
    may = {c.name for c in visible(unpack_all(run.columns), capabilities(role))}
    return [name for name in names if name in may]


def claim(request: str, address: str) -> bool:
    """Take a waiting delivery; False when it was taken before."""
    waiting = MailDelivery.objects.filter(request=request, recipient=address, state=State.PENDING)
    return bool(waiting.update(state=State.SENDING))


def settle(request: str, address: str, *, failed: NotSent | None, now: datetime) -> None:
    """Write down how a delivery ended."""
    state = State.SENT if failed is None else ENDINGS.get(type(failed), State.UNSURE)
    delivery = MailDelivery.objects.get(request=request, recipient=address)
    delivery.state, delivery.error = state, str(failed or "")[:300]
    delivery.sent_at = None if failed else now
    delivery.attempts += 1
    delivery.save(update_fields=["state", "error", "sent_at", "attempts"])


def hand_over(address: str, message: Message) -> NotSent | None:
    """Send one mail and return None, or what went wrong."""
    try:
        post(
            to=[address],
            subject=message.subject,
            text=message.text,
            html=message.html,
            attachments=message.attachments,
            pictures=message.pictures,
            from_name=message.from_name,
            reply_to=message.reply_to,
            headers={"Auto-Submitted": "auto-generated"},
        )
    except NotSent as failed:
        return failed
    return None


def outcomes(request: str) -> dict[str, Any]:
    """Return how many of a request's mails ended in each state."""
    states = list(MailDelivery.objects.filter(request=request).values_list("state", flat=True))
    return {state.value: states.count(state) for state in State if state in states}
