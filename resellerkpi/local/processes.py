"""Child processes that die with the launcher: each in its session, each with its stop signal."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resellerkpi.local.accounts import Account
from resellerkpi.local.problems import LocalProblemError

PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOPBACK = "127.0.0.1"
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    """A running child, the signal that asks it to stop and the seconds it may take."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 15.0

    def alive(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the signal that asks it to stop."""
        if self.alive():
            self.process.send_signal(self.stop_signal)

    def finish(self) -> None:
        """Wait for its end, and kill what is left of its session after its patience."""
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            kill_group(self.process.pid)
            self.process.wait()

    def stop(self) -> None:
        """Ask it to stop and wait for its end."""
        self.ask_to_stop()
        self.finish()


def wait_until(child: Child, ready: Callable[[], bool], seconds: float) -> bool:
    """Wait until a child is ready; stop it and say False when it ends or takes longer."""
    deadline = time.monotonic() + seconds
    try:
        while child.alive() and time.monotonic() < deadline:
            if ready():
                return True
            time.sleep(0.05)
    except BaseException:
        child.stop()
        raise
    child.stop()
    return False


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Stop in peace: whoever presses Ctrl-C once more waits for the end of what is being stopped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def kill_group(pid: int) -> None:
    """Kill a process that leads a session, and all in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # when all of it has ended already
        os.killpg(pid, signal.SIGKILL)


def die_with_parent(parent: int, stop_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child does first: ask Linux for the signal on the parent's death."""

    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def die_with_parent_now() -> Callable[[], None]:
    """Return the same for a child of this very process that ends on SIGTERM."""
    return die_with_parent(os.getpid(), signal.SIGTERM)


def identity_options(account: Account | None) -> dict[str, int | list[int]]:
    """Return the options of subprocess that drop to the account's rights."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def spawn(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    account: Account | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    patience: float = 15.0,
    text: str = "",
) -> Child:
    """Start a child whose output goes to the end of its log; `text` is fed to its standard input."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid(), stop_signal),
                **identity_options(account),  # type: ignore[call-overload]
            )
        except OSError as error:
            raise LocalProblemError(f"{command[0]} cannot be started: {error.strerror}.") from error
    assert process.stdin is not None
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended at once: whoever waits for it says so, with its log
    return Child(name, process, log, stop_signal, patience)


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on the port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(wanted: object = None) -> int:
    """Return the wanted port when it is free, else any free one."""
    if isinstance(wanted, int) and 0 < wanted < 65536 and port_is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(port: int, timeout: float = 1.0) -> bool:
    """Say whether something accepts connections on the port of the loopback address."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout):
            return True
    except OSError:
        return False


def command_of(pid: int) -> str:
    """Return the command line of a process, empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    found = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def last_lines(path: Path, count: int = 3) -> str:
    """Return the end of a log, joined, for a message."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return " / ".join(line.strip() for line in lines[-count:])
