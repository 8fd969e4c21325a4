"""Runs every bench of this folder, each in a process of its own, one JSON line each; ends with 1 when one misses.

`python -m bench price supply` runs only those named.
"""

import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterable

import bench

PREFIX = "bench_"


def names(wanted: Iterable[str]) -> list[str]:
    """Return the benches to run, all when none is named; raises SystemExit for an unknown one."""
    found = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    known = sorted(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise SystemExit(f"There is no bench “{unknown[0]}”. Known: {', '.join(known)}.")
    return [name for name in known if not wanted or name in set(wanted)]


def is_good(line: str) -> bool:
    """Say whether a line of a bench's output is no missed limit."""
    try:
        figure = json.loads(line)
    except ValueError:
        return True
    return not isinstance(figure, dict) or bool(figure.get("ok", True))


def run(name: str) -> bool:
    """Run one bench, pass its lines on and say whether it ended well and kept its limits."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{PREFIX}{name}"], stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    return done.returncode == 0 and all(map(is_good, done.stdout.splitlines()))


if __name__ == "__main__":
    results = [run(name) for name in names(sys.argv[1:])]
    raise SystemExit(0 if all(results) else 1)
