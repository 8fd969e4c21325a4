"""Reads the independent reference cases, which live outside the project (RESELLERKPI_REFERENCE)."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

REFERENCE = os.environ.get("RESELLERKPI_REFERENCE")
MISSING = "The reference cases are not on this machine: set RESELLERKPI_REFERENCE."


def load_cases(name: str) -> list[dict[str, Any]]:
    """Return the cases of one file, numbers as exact decimals; none when the reference is not there."""
    if not REFERENCE:
        return []
    text = (Path(REFERENCE) / "oracles" / name).read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal, parse_int=int)


def exempt_ids(exemptions: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the ids of all exemptions."""
    return {case for cases in exemptions.values() for case in cases}
