"""Call files of the tests: one made-up sample per format, and small files written on the spot."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from billing.importing import formats
from billing.importing.mapping import format_of
from billing.importing.parse import read_chunks
from billing.importing.records import Reject
from billing.importing.registry import FORMATS, Format
from billing.models import Carrier

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "cdr"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAPPED = {
    "delimiter": ";",
    "decimal": ",",
    "duration_unit": "minutes",
    "columns": {
        "uid": "id",
        "identity": ["who"],
        "started_at": "when",
        "dialled": "to",
        "duration": "length",
        "cost": "price",
    },
}

__all__ = ["MAPPED", "NOW", "SAMPLES", "a_carrier", "formats", "read", "named"]


def a_carrier(**fields: Any) -> Carrier:
    """Return a British carrier that is in no database."""
    return Carrier(**{"id": 7, "code": "CARR", "name": "Carrier", **fields})


def named(name: str) -> Format:
    """Return a format; `mapped` is the mapping of the sample."""
    return format_of(MAPPED) if name == "mapped" else FORMATS.get(name)


def read(
    path: Path, fmt: Format, carrier: Carrier | None = None, **options: Any
) -> tuple[pd.DataFrame, list[Reject]]:
    """Read a whole file: its events in one frame, and the rows that are none."""
    frames, rejects = [], []
    for chunk in read_chunks(path, fmt, carrier or a_carrier(), now=NOW, **options):
        frames.append(chunk.frame)
        rejects += chunk.rejects
    return pd.concat(frames, ignore_index=True), rejects
