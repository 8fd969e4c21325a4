"""Keeps uploaded lists on disk between the steps of an import, under names nobody can guess."""

import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

KEPT_SECONDS = 2 * 24 * 3600
MOST_BYTES = 100 * 1024 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class UploadRefused(ValueError):
    """Raised for an upload that is not kept, with the reason for the user."""


def keep(chunks: Iterable[bytes], *, most: int = MOST_BYTES) -> tuple[str, Path]:
    """Write an upload of at most that many bytes to disk and return its token and place.

    Uploads left behind for two days go.
    """
    folder = _folder()
    _sweep(folder)
    token = secrets.token_urlsafe(32)
    size = 0
    with os.fdopen(os.open(folder / token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                forget(token)
                raise UploadRefused(f"The file is larger than {most // 1024 // 1024} MB; load it by command.")
            out.write(chunk)
    if not size:
        forget(token)
        raise UploadRefused("The file is empty.")
    return token, folder / token


def path_of(token: str) -> Path | None:
    """Return where an upload lies, None when it is gone or the token is none."""
    path = _folder() / token if _TOKEN.fullmatch(token) else None
    return path if path is not None and path.is_file() else None


def forget(token: str) -> None:
    """Remove an upload."""
    if _TOKEN.fullmatch(token):
        (_folder() / token).unlink(missing_ok=True)


def _folder() -> Path:
    folder = Path(settings.VAR_DIR) / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _sweep(folder: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for path in folder.iterdir():
        if _TOKEN.fullmatch(path.name) and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
