"""Storing and finding files; content lives on disk, under row-level security by its row."""

import hashlib
import os
import shutil
from datetime import datetime
from pathlib import Path

from django.conf import settings

from resellerkpi.core.models import Artifact
from resellerkpi.core.scope import current


def store(source: Path, *, name: str, media_type: str, expires_at: datetime | None = None) -> Artifact:
    """Move a finished file into the store and return its row; the scope's reseller owns it."""
    artifact = Artifact(
        reseller_id=current().reseller_id,
        name=name[:200],
        media_type=media_type,
        size=source.stat().st_size,
        sha256=sha256(source),
        expires_at=expires_at,
    )
    target = path_of(artifact)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)
    os.chmod(target, 0o600)
    artifact.save(force_insert=True)
    return artifact


def path_of(artifact: Artifact) -> Path:
    """Return where an artifact's content lies."""
    return Path(settings.ARTIFACT_DIR) / str(artifact.reseller_id) / artifact.id.hex[:2] / artifact.id.hex


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
