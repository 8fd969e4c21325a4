"""The only door for mail."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

Attachment = tuple[str, Path, str]


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
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string(f"mail/{template}.txt", context),
        to=list(to),
    )
    if from_name:
        address = message.from_email.partition("<")[2].rstrip(">") or message.from_email
        message.from_email = f'"{from_name.replace(chr(34), "")}" <{address}>'
    message.attach_alternative(render_to_string(f"mail/{template}.html", context), "text/html")
    for name, path, media_type in attachments:
        message.attach(name, path.read_bytes(), media_type)
    message.send()
