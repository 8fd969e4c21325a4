"""How a bench tells what it found: one JSON line of figures, the ratio taken within the run."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: How many calls a month of the benches has; fewer make them quicker and their figures rougher.
CALLS = int(os.environ.get("BENCH_CALLS", "2000000"))


@dataclass
class Watch:
    """The seconds a piece of work took."""

    seconds: float = 0.0


@contextmanager
def watch() -> Iterator[Watch]:
    """Time the work inside."""
    timed = Watch()
    begun = time.perf_counter()
    yield timed
    timed.seconds = time.perf_counter() - begun


def tell(
    name: str, value: float, unit: str, *, ratio: float, limit: float, ok: bool | None = None, **more: object
) -> dict[str, object]:
    """Print and return one figure; it is good when the ratio is within the limit, unless told otherwise."""
    line = {
        "name": name,
        "value": round(value),
        "unit": unit,
        "ratio": round(ratio, 2),
        "limit": limit,
        "ok": ratio <= limit if ok is None else ok,
        **more,
    }
    print(json.dumps(line), flush=True)
    return line
