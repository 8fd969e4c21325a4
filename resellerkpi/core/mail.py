"""The only door for mail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.mime.image import MIMEImage
from email.utils import formataddr, parseaddr
from pathlib import Path
from smtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from typing import Any

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, SafeMIMEMultipart, get_connection
from django.template.loader import render_to_string

Attachment = tuple[str, Path, str]
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False)


class NotSent(Exception):
    """Base of what keeps a mail from going out; the sentence is shown to the sender."""


class NoServer(NotSent):
    """Raised when nothing was handed over and a later try may do better."""


class Refused(NotSent):
    """Raised when the server will not take this mail for this address, now or later."""


class Unsure(NotSent):
    """Raised when the server broke off while it took the mail: it may have arrived."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the body, named there as `cid:<name>`."""

    name: str
    path: Path


class _Letter(EmailMultiAlternatives):
    """A mail whose HTML part carries its pictures beside it (multipart/related)."""

    pictures: Sequence[Picture] = ()

    def _create_alternatives(self, msg: Any) -> Any:
        made: Any = super()._create_alternatives(msg)  # type: ignore[misc]
        if not self.pictures:
            return made
        html = made.get_payload()[-1]
        related = SafeMIMEMultipart(_subtype="related", encoding=self.encoding or settings.DEFAULT_CHARSET)
        related.attach(html)
        for picture in self.pictures:
            part = MIMEImage(picture.path.read_bytes(), "png")
            part.add_header("Content-ID", f"<{picture.name}>")
            part.add_header("Content-Disposition", "inline", filename=f"{picture.name}.png")
            related.attach(part)
        made.set_payload([*made.get_payload()[:-1], related])
        return made


def rendered(template: str, context: dict[str, Any]) -> tuple[str, str]:
    """Return a mail's plain text and its HTML with the styles written into the elements."""
    text = render_to_string(f"mail/{template}.txt", context)
    return text, _INLINER.inline(render_to_string(f"mail/{template}.html", context))


def send(
    template: str,
    *,
    to: Sequence[str],
    subject: str,
    context: dict[str, Any],
    attachments: Sequence[Attachment] = (),
    from_name: str = "",
) -> None:
    """Send one mail from `mail/<template>.txt` and `.html` with files (name, path, media type) attached."""
    text, html = rendered(template, context)
    post(to=to, subject=subject, text=text, html=html, attachments=attachments, from_name=from_name)


def post(
    *,
    to: Sequence[str],
    subject: str,
    text: str,
    html: str,
    attachments: Sequence[Attachment] = (),
    pictures: Sequence[Picture] = (),
    from_name: str = "",
    reply_to: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Hand one mail to the server; raises NoServer, Refused or Unsure with a sentence."""
    message = _Letter(
        subject=" ".join(subject.split()),
        body=text,
        from_email=sender(from_name),
        to=list(to),
        reply_to=[reply_to] if reply_to else None,
        headers=dict(headers or {}),
    )
    message.pictures = pictures
    message.attach_alternative(html, "text/html")
    for name, path, media_type in attachments:
        message.attach(name, path.read_bytes(), media_type)
    _hand_over(message)


def sender(name: str) -> str:
    """Return the house's own address under a name."""
    own, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((name or own, address))


def _hand_over(message: EmailMultiAlternatives) -> None:
    """Open the connection first: what fails there was surely not sent."""
    connection = get_connection()
    try:
        connection.open()
    except OSError as failed:
        raise NoServer(f"No mail server answers ({_words(failed)}).") from failed
    message.connection = connection
    try:
        message.send()
    except SMTPRecipientsRefused as refused:
        code, said = next(iter(refused.recipients.values()), (0, b""))
        kind = Refused if code >= 500 else NoServer
        raise kind(f"The mail server refused the address: {code} {_text(said)}") from refused
    except SMTPResponseException as answered:
        final = answered.smtp_code >= 500 and isinstance(answered, SMTPDataError)
        words = f"The mail server refused the mail: {answered.smtp_code} {_text(answered.smtp_error)}"
        raise (Refused if final else NoServer)(words) from answered
    except (SMTPServerDisconnected, OSError) as broken:
        words = "The mail server broke off while it took the mail: it may or may not have arrived."
        raise Unsure(words) from broken
    finally:
        _hang_up(connection)


def _hang_up(connection: Any) -> None:
    try:
        connection.close()
    except OSError:
        connection.connection = None


def _text(said: Any) -> str:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join(words.split())[:200]


def _words(failed: OSError) -> str:
    if isinstance(failed, SMTPResponseException):
        return f"{failed.smtp_code} {_text(failed.smtp_error)}"
    if isinstance(failed, SMTPException):
        return _text(failed)
    return failed.strerror or type(failed).__name__
