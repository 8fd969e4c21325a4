"""`run -- COMMAND`: the command with both servers running."""

import os
import signal
import subprocess
import sys
from types import FrameType

from resellerkpi.local.problems import LocalProblemError
from resellerkpi.local.processes import die_with_parent_now
from resellerkpi.local.services import services

#: Makes glibc give large blocks back once they are free: else a process keeps what a large file took.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "8388608", "MALLOC_TRIM_THRESHOLD_": "67108864"}


def say(line: str) -> None:
    """Tell the person at the keyboard, on standard error."""
    print(f"· {line}", file=sys.stderr, flush=True)


def run(command: list[str]) -> int:
    """Run the command with the servers' addresses in its environment and return its exit code."""
    if not command:
        raise LocalProblemError("Say which command to run: python -m resellerkpi.local run -- COMMAND.")
    with services(say) as running:
        return run_to_end(command, with_our_python(running.environment))


def with_our_python(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment in which `python` is this interpreter, and large memory that was freed is given back."""
    path = os.pathsep.join([os.path.dirname(sys.executable), environment.get("PATH", os.defpath)])
    return GIVE_BACK | environment | {"PATH": path}


def run_to_end(command: list[str], environment: dict[str, str]) -> int:
    """Run a command in the foreground, pass on what asks us to stop, and return its exit code."""
    try:
        process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent_now())
    except OSError as error:
        raise LocalProblemError(f"{command[0]} cannot be started: {error.strerror}.") from error

    def pass_on(number: int, frame: FrameType | None) -> None:
        if (
            number != signal.SIGINT or not sys.stdin or not sys.stdin.isatty()
        ):  # a terminal tells the child itself
            process.send_signal(number)

    before = {
        number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
