"""Links by which outsiders open one frozen run: made, rotated, revoked, resolved; only a hash of the token is kept."""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from reports.models import Export, Run, ShareLink, ShareView
from reports.packing import unpack_all
from reports.render import FORMATS, Showing, existing
from reports.run import MOST_AT_ONCE, NotAllowed
from resellerkpi.core.access import OUTSIDER, Capability
from resellerkpi.core.audit import record
from resellerkpi.core.columns import Column, visible
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.scope import Scope, current

DEFAULT_DAYS = 30
MOST_DAYS = 366
SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


class BadLink(ValueError):
    """Raised for a link that cannot be made; the sentence is shown to the user."""


def offered(run: Run) -> list[tuple[Column, bool]]:
    """Return the columns the scope's holder may share, each with whether outsiders get it by default."""
    return offered_of(unpack_all(run.columns))


def offered_of(columns: Sequence[Column]) -> list[tuple[Column, bool]]:
    """Return those of some columns that the scope's holder may share, each with whether outsiders get it by default."""
    mine = [c for c in visible(columns, current().capabilities) if not c.hidden]
    default = {c.name for c in visible(mine, OUTSIDER)}
    return [(column, column.name in default) for column in mine]


def mint(
    run: Run,
    *,
    now: datetime,
    days: int = DEFAULT_DAYS,
    columns: Sequence[str] | None = None,
    password: str = "",
    label: str = "",
) -> tuple[ShareLink, str]:
    """Make a link to a ready run and return it with its token, which nobody can read again."""
    scope = current()
    if not scope.can(Capability.SHARE):
        raise NotAllowed("You may not make links for outsiders.")
    if not run.is_ready or not 1 <= days <= MOST_DAYS:
        raise BadLink(f"A link needs a finished report and an expiry of 1 to {MOST_DAYS} days.")
    mine = offered(run)
    wanted = {c.name for c, default in mine if default} if columns is None else set(columns)
    names = [c.name for c, _ in mine if c.name in wanted]
    if not names:
        raise BadLink("Choose at least one column to show.")
    token = secrets.token_urlsafe(32)
    link = ShareLink.objects.create(
        reseller_id=run.reseller_id,
        run=run,
        label=label,
        token_hash=hash_of(token),
        password=make_password(password) if password else "",
        columns=names,
        created_by_id=scope.user_id,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    Run.objects.filter(pk=run.pk, kept_until__lt=link.expires_at).update(kept_until=link.expires_at)
    record("Report shared", run.title, link=link.pk, columns=", ".join(names), until=link.expires_at)
    _prepare_files(link)
    return link, token


def _prepare_files(link: ShareLink) -> None:
    """Have the files of a large run made beforehand: a stranger can start no job."""
    if link.run.row_count <= MOST_AT_ONCE:
        return
    for kind in ("csv", "xlsx"):
        if existing(showing_of(link), kind) is None:
            params = {"run": str(link.run_id), "kind": kind, "names": link.columns, "outside": True}
            enqueue("reports.export", params, title=f"Files of the link to {link.run.title}")


def rotate(link: ShareLink, *, now: datetime) -> str:
    """Give a live link a new token and return it; the old one opens nothing any more."""
    if link.revoked_at is not None or link.expires_at <= now:
        raise BadLink("This link is dead; make a new one.")
    token = secrets.token_urlsafe(32)
    link.token_hash, link.rotated_at = hash_of(token), now
    link.save(update_fields=["token_hash", "rotated_at"])
    record("Report link rotated", link.run.title, link=link.pk)
    return token


def revoke(link: ShareLink, *, now: datetime) -> None:
    """Kill a link for good."""
    if link.revoked_at is None:
        link.revoked_at = now
        link.save(update_fields=["revoked_at"])
        record("Report link revoked", link.run.title, link=link.pk)


def address_of(token: str) -> str:
    """Return the whole address a token opens."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('shared-view')}?id={token}"


def hash_of(token: str) -> str:
    """Return the SHA-256 that is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def reseller_of(token: str, *, now: datetime) -> int | None:
    """Return whose link a token opens now, None for any other text: the same one look-up for both, in any scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT share_reseller(%s, %s)", [hash_of(token), now])
        found: int | None = cursor.fetchone()[0]
    return found


def outsider_scope(reseller_id: int) -> Scope:
    """Return the scope in which a link is opened: one reseller, outsider's eyes, whoever reads."""
    return Scope((reseller_id,), capabilities=OUTSIDER, why="share link")


def opened(token: str) -> ShareLink:
    """Return the link of a token; inside its outsider_scope."""
    found: ShareLink = ShareLink.objects.select_related("run", "run__artifact", "reseller").get(
        token_hash=hash_of(token)
    )
    return found


def right_password(link: ShareLink, password: str) -> bool:
    """Say whether a password opens a link."""
    return check_password(password, link.password)


def proof(link: ShareLink) -> str:
    """Return what a browser keeps to show that it gave the password; it dies with the token and the password."""
    return salted_hmac("share link", f"{link.token_hash}{link.password}", algorithm="sha256").hexdigest()


def proven(link: ShareLink, kept: str) -> bool:
    """Say whether what a browser kept is the proof."""
    return constant_time_compare(kept, proof(link))


def showing_of(link: ShareLink, sort: str = "") -> Showing:
    """Return what a link shows of its run."""
    return Showing(link.run, tuple(link.columns), sort, outside=True)


def log_opening(link: ShareLink, what: str, *, address: str, user_id: int | None, now: datetime) -> None:
    """Write down an opening: the network and a mark of the address, never the address itself."""
    ShareView.objects.create(
        reseller_id=link.reseller_id,
        link=link,
        at=now,
        what=what,
        network=network_of(address),
        visitor=salted_hmac("share visitor", address, algorithm="sha256").hexdigest()[:16],
        user_id=user_id,
    )


def made_here(run: Run, sha: str, showings: Iterable[Showing]) -> str:
    """Return the kind of the file (csv, xlsx) with a SHA-256 among those made of some showings, "" for none."""
    if not SHA256.fullmatch(sha):
        return ""
    keys = {showing.key(kind): kind for showing in showings for kind in FORMATS}
    found = Export.objects.filter(run=run, key__in=list(keys), artifact__sha256=sha.lower())
    return keys.get(found.values_list("key", flat=True).first() or "", "")


def showings_of(link: ShareLink) -> Iterator[Showing]:
    """Yield what a link shows in each order."""
    plain = showing_of(link)
    yield plain
    for column in plain.columns:
        yield from (showing_of(link, f"{sign}{column.name}") for sign in ("", "-"))


def network_of(address: str) -> str:
    """Return the network an address is in (/24 or /48), "" for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    size = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network(f"{parsed}/{size}", strict=False))
