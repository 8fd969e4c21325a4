"""The stay question: asked by a link that ends, opened without signing in, answered once; or written down by staff."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import connection

from billing.models import Customer
from kpis.models import StayAnswer
from resellerkpi.core import audit
from resellerkpi.core.mail import NotSent, send
from resellerkpi.core.scope import Scope, current

DAYS = 30
LONGEST = 2000


class CannotAsk(ValueError):
    """Raised when a customer cannot be asked by mail; worded for the user."""


def hash_of(token: str) -> str:
    """Return the SHA-256 that is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def write_down(customer: Customer, *, reason: str, words: str, now: datetime) -> StayAnswer:
    """Keep what a customer told staff."""
    made = StayAnswer.objects.create(
        reseller_id=customer.reseller_id, customer=customer, asked_at=now, asked_by_id=current().user_id,
        answered_at=now, reason=reason, words=words[:LONGEST],
    )  # fmt: skip
    audit.record("stay.answered", customer, reason=reason)
    return made


def ask(customer: Customer, *, now: datetime) -> tuple[StayAnswer, str]:
    """Make the question to a customer and return it with the token of its link; raises CannotAsk."""
    if not customer.email:
        raise CannotAsk("The customer has no e-mail address.")
    waiting = StayAnswer.objects.filter(customer=customer, answered_at__isnull=True, expires_at__gt=now)
    if waiting.exists():
        raise CannotAsk("The customer was asked already; the link still waits for an answer.")
    token = secrets.token_urlsafe(32)
    made = StayAnswer.objects.create(
        reseller_id=customer.reseller_id, customer=customer, asked_at=now, asked_by_id=current().user_id,
        token_hash=hash_of(token), expires_at=now + timedelta(days=DAYS),
    )  # fmt: skip
    audit.record("stay.asked", customer, until=made.expires_at)
    return made, token


def mail(asked: StayAnswer, *, url: str) -> None:
    """Send the question; raises CannotAsk when the mail cannot be handed over."""
    reseller = asked.reseller
    context = {"reseller": reseller, "customer": asked.customer, "url": url, "until": asked.expires_at}
    try:
        send(
            "stay",
            to=[asked.customer.email],
            subject=f"One question from {reseller.name}",
            context={**context, "subject": f"One question from {reseller.name}"},
            from_name=reseller.name,
        )
    except NotSent as failed:
        raise CannotAsk("The mail could not be sent; try again later.") from failed


def reseller_of(token: str, *, now: datetime) -> int | None:
    """Return whose question a token opens now, None for any other text: the same one look-up for both, in any scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT stay_reseller(%s, %s)", [hash_of(token), now])
        found: int | None = cursor.fetchone()[0]
    return found


def outsider_scope(reseller_id: int) -> Scope:
    """Return the scope in which a customer answers: one reseller, no rights, whoever reads."""
    return Scope((reseller_id,), capabilities=frozenset(), why="stay question")


def opened(token: str) -> StayAnswer:
    """Return the question of a token; call in its reseller's scope."""
    return StayAnswer.objects.select_related("customer", "reseller").get(token_hash=hash_of(token))


def answer(asked: StayAnswer, *, reason: str, words: str, now: datetime) -> bool:
    """Keep the answer unless there is one; return whether it was kept."""
    fresh = StayAnswer.objects.filter(pk=asked.pk, answered_at__isnull=True, expires_at__gt=now)
    kept = fresh.update(answered_at=now, reason=reason, words=words[:LONGEST])
    if kept:
        audit.record("stay.answered", asked.customer, reason=reason)
    return bool(kept)
