"""Sending a frozen run by mail: one mail per person, logged, never twice for the same request."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.urls import reverse

from reports.models import MailDelivery, Run
from reports.render import Showing, export, filename, total_in_words
from reports.run import NotAllowed
from resellerkpi.core.access import Capability
from resellerkpi.core.artifacts import path_of
from resellerkpi.core.audit import record
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.mail import Attachment, send
from resellerkpi.core.models import Job
from resellerkpi.core.scope import current
from resellerkpi.core.sheets import MEDIA

MOST_PEOPLE = 50
MOST_BYTES = 10 * 1024 * 1024
ROWS_IN_MAIL = 10


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
    request = uuid.uuid4()
    MailDelivery.objects.bulk_create(
        MailDelivery(
            reseller_id=run.reseller_id,
            run=run,
            request=request,
            recipient=address,
            formats=", ".join(formats),
            asked_by_id=scope.user_id,
            asked_at=now,
        )
        for address in to
    )
    record("Report mailed", run.title, to=", ".join(to), formats=", ".join(formats))
    params = {
        "run": str(run.pk),
        "request": str(request),
        "formats": list(formats),
        "names": list(names),
        "note": note,
    }
    return enqueue(
        "reports.mail", params, title=f"Mail: {run.title}", back_url=reverse("run-result", args=[run.pk])
    )


def claim(request: str, address: str) -> bool:
    """Take a waiting delivery; False when it was taken before."""
    waiting = MailDelivery.objects.filter(
        request=request, recipient=address, state=MailDelivery.State.PENDING
    )
    return bool(waiting.update(state=MailDelivery.State.SENDING))


def settle(request: str, address: str, *, error: str, now: datetime) -> None:
    """Write down how a delivery ended."""
    state = MailDelivery.State.FAILED if error else MailDelivery.State.SENT
    MailDelivery.objects.filter(request=request, recipient=address).update(
        state=state, error=error[:300], sent_at=None if error else now
    )


def letter(run: Run, *, formats: Sequence[str], names: Sequence[str], note: str) -> dict[str, Any]:
    """Return what `mail.send` needs but the address: subject, body's context and files small enough to attach."""
    showing = Showing(run, tuple(names), outside=True)
    files: list[Attachment] = []
    for kind in formats:
        artifact = export(showing, kind)
        files.append((filename(run, kind), path_of(artifact), MEDIA[kind]))
    too_large = sum(path.stat().st_size for _, path, _ in files) > MOST_BYTES
    first = list(showing.rows(stop=ROWS_IN_MAIL))
    context = {
        "run": run,
        "reseller": run.reseller,
        "note": note,
        "about": showing.about,
        "heads": showing.columns,
        "table": [[(c, c.display(row)) for c in showing.columns] for row in first],
        "more": run.row_count - len(first),
        "totals": [total_in_words(showing.columns, total) for total in showing.totals],
        "files": [] if too_large else [name for name, _, _ in files],
        "too_large": too_large,
        "url": settings.PUBLIC_URL.rstrip("/") + reverse("run-result", args=[run.pk]),
    }
    return {
        "subject": f"{run.reseller.name}: {run.title}",
        "context": context,
        "attachments": [] if too_large else files,
        "from_name": run.reseller.from_name or run.reseller.name,
    }


def post(address: str, message: dict[str, Any]) -> str:
    """Send one mail and return "" or what went wrong."""
    try:
        send("report", to=[address], **message)
    except OSError as failed:
        return f"The mail server did not take it ({type(failed).__name__})."
    return ""
