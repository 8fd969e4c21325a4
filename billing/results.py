"""Results of long questions: kept as files of the house, so that a page shows them as they came out, for a year."""

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from resellerkpi.core.artifacts import path_of, sha256, store
from resellerkpi.core.models import Artifact, Job

KEPT = timedelta(days=366)
MEDIA = "application/json"


def keep_result(payload: dict[str, Any], *, name: str, now: datetime) -> str:
    """Keep a result of plain values and return its id; the same content is kept once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        path.write_text(json.dumps(payload, ensure_ascii=False, sort_keys=True), encoding="utf-8")
        known = Artifact.objects.filter(name=name[:200], sha256=sha256(path), media_type=MEDIA).first()
        if known is not None:
            Artifact.objects.filter(pk=known.pk).update(expires_at=now + KEPT)
            return str(known.pk)
        return str(store(path, name=name, media_type=MEDIA, expires_at=now + KEPT).pk)


def read_result(job: Job) -> dict[str, Any] | None:
    """Return the result that a finished job kept, None when there is none (any more)."""
    artifact = Artifact.objects.filter(pk=job.result.get("artifact")).first()
    path = path_of(artifact) if artifact is not None else None
    if path is None or not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
