"""The mail of the fraud watch: each new warning claimed once, its calls frozen and attached, sent to who watches."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from billing.models import FraudAlert
from billing.watch.act import watchers
from reports.letters import Message, Why
from reports.mailing import letters, try_again, write_down
from reports.models import MailDelivery, Run
from reports.registry import REPORTS
from reports.run import run

REPORT = "fraud-calls"
#: Warnings older than this when somebody begins to watch are not mailed any more.
FRESH = timedelta(days=1)
#: How long a mail that found no server is tried again, each hour.
RETRIED = timedelta(days=2)
MOST_REASONS = 20


def waiting_requests(*, now: datetime) -> list[str]:
    """Return the requests whose mails found no server lately, and a new one if there is something to tell."""
    failed = MailDelivery.objects.filter(
        run__report=REPORT, state=MailDelivery.State.FAILED, asked_at__gte=now - RETRIED
    )
    found = [
        str(request) for request in failed.values_list("request", flat=True).distinct().order_by("request")
    ]
    if watchers() and unclaimed(now=now).exists():
        found.append(str(uuid.uuid4()))
    return found


def unclaimed(*, now: datetime) -> QuerySet[Any]:
    """Return the warnings nobody was mailed about yet."""
    return FraudAlert.objects.filter(request=None, resolved_at=None, first_seen__gte=now - FRESH)


def claim(request: str, *, now: datetime) -> list[FraudAlert]:
    """Take the new warnings for a mail, row by row: those another worker holds are its own to tell."""
    rows = list(unclaimed(now=now).select_for_update(skip_locked=True).order_by("pk"))
    FraudAlert.objects.filter(pk__in=[row.pk for row in rows]).update(request=request)
    return rows


def prepare(request: str, *, now: datetime) -> Sequence[tuple[str, Message]]:
    """Claim the new warnings, freeze their calls and write the mails, in one transaction; return those that wait.

    Done again with the same request after a crash it finds the frozen run and what is still to be sent.
    """
    made = _frozen(request) or _begun(request, now=now)
    if made is None:
        return []
    try_again(request, now=now)
    alerts = list(FraudAlert.objects.filter(request=request).order_by("-retail", "pk"))
    names = [column["name"] for column in made.columns if column["name"] != "call_id"]
    return list(
        letters(made, request=request, names=names, formats=["csv"], note=note(alerts), why=why(), now=now)
    )


def _frozen(request: str) -> Run | None:
    found: Run | None = Run.objects.filter(deliveries__request=request).select_related("reseller").first()
    return found


def _begun(request: str, *, now: datetime) -> Run | None:
    to = watchers()
    if not to or not claim(request, now=now):
        return None
    made = run(REPORTS.get(REPORT), {"mail": [request]}, now=now)
    write_down(made, request=request, to=to, formats=["csv"], now=now)
    return made


def note(alerts: Sequence[FraudAlert]) -> str:
    """Say each reason, the dearest first."""
    lines = [
        alert.why if alert.limit_id else f"{alert.label}: {alert.why}" for alert in alerts[:MOST_REASONS]
    ]
    if len(alerts) > MOST_REASONS:
        lines.append(f"And {len(alerts) - MOST_REASONS:,} more.")
    return "\n\n".join(lines)


def why() -> Why:
    """Say why the mail is sent and where it is stopped."""
    return Why(
        "You get this because you are among those the fraud watch mails; who is, is chosen at "
        f"{settings.PUBLIC_URL.rstrip('/')}{reverse('fraud-watchers')}"
    )
