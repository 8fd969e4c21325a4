"""The launcher's commands: run, demo, clean."""

import signal
import sys
from types import FrameType

from resellerkpi.local.clean import clean
from resellerkpi.local.demo import demo
from resellerkpi.local.problems import LocalProblemError
from resellerkpi.local.processes import STOP_SIGNALS
from resellerkpi.local.run import run

USAGE = """usage: python -m resellerkpi.local run -- COMMAND...   run a command with both servers at hand
       python -m resellerkpi.local demo [OPTIONS]       build the demo and serve it (demo --help)
       python -m resellerkpi.local clean                remove all run-time data"""


def main(arguments: list[str]) -> int:
    """Carry out one command and return its exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return _carry_out(arguments)
    except LocalProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _carry_out(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "run":
        return run(rest[1:] if rest[:1] == ["--"] else rest)
    if name == "demo":
        return demo(rest)
    if name == "clean":
        return clean()
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
