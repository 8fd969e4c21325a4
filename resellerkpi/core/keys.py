"""Keys for machines: made, revoked, resolved; only a hash of the token is kept."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection

from resellerkpi.core.access import Capability
from resellerkpi.core.audit import record
from resellerkpi.core.models import ApiKey
from resellerkpi.core.scope import Scope, current

DEFAULT_DAYS = 365
MOST_DAYS = 1_100
ALWAYS = frozenset({Capability.SIGNED_IN, Capability.VIEW_KPIS})
#: What a key may be made to see besides plain counts.
MAY_SEE = (Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.VIEW_MARGIN)
USED_EVERY = timedelta(minutes=1)


class BadKey(ValueError):
    """A key that cannot be made; the sentence is shown to the user."""


def mint(
    name: str,
    *,
    sees: Collection[str],
    now: datetime,
    days: int = DEFAULT_DAYS,
    in_address: bool = False,
    dealer_id: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its token, which nobody can read again; raises BadKey."""
    scope = current()
    if not name.strip():
        raise BadKey("Give the key a name that says who uses it.")
    if not 1 <= days <= MOST_DAYS:
        raise BadKey(f"A key lasts 1 to {MOST_DAYS} days.")
    beyond = [c for c in sees if c not in MAY_SEE or not scope.can(Capability(c))]
    if beyond or not scope.can(Capability.MANAGE):
        raise BadKey("A key cannot see more than you do.")
    token = f"rk_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        reseller_id=scope.reseller_id,
        name=name.strip(),
        hint=token[-4:],
        token_hash=hash_of(token),
        sees=sorted(sees),
        dealer_id=dealer_id,
        in_address=in_address,
        created_by_id=scope.user_id,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    record("Key made", key, sees=", ".join(key.sees), until=key.expires_at, in_address=in_address)
    return key, token


def revoke(key: ApiKey, *, now: datetime) -> None:
    """End a key for good."""
    if key.revoked_at is None:
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])
        record("Key revoked", key)


def hash_of(token: str) -> str:
    """Return the SHA-256 that is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def reseller_of(token: str, *, now: datetime) -> int | None:
    """Return whose key a token is now, None for any other text: the same one look-up for both, in any scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key_reseller(%s, %s)", [hash_of(token), now])
        found: int | None = cursor.fetchone()[0]
    return found


def lookup_scope(reseller_id: int) -> Scope:
    """Return the scope in which a key is read: one reseller, no capability."""
    return Scope((reseller_id,), why="key")


def key_of(token: str) -> ApiKey:
    """Return the key of a token; inside its lookup_scope."""
    found: ApiKey = ApiKey.objects.select_related("reseller").get(token_hash=hash_of(token))
    return found


def scope_of(key: ApiKey) -> Scope:
    """Return the scope in which a key reads."""
    sees = ALWAYS | {Capability(c) for c in key.sees if c in MAY_SEE}
    return Scope((key.reseller_id,), dealer_id=key.dealer_id, capabilities=sees, why="key")


def used(key: ApiKey, *, now: datetime) -> None:
    """Note that a key was used, once a minute at most."""
    if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
