"""PostgreSQL and Valkey together: started unless given by the environment or already running, stopped by who started them."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from resellerkpi.local.places import Places, find_places, load_secrets
from resellerkpi.local.postgres import Postgres
from resellerkpi.local.problems import LocalProblemError
from resellerkpi.local.processes import Child
from resellerkpi.local.valkey import Valkey

WAIT_SECONDS = 120


class Service(Protocol):
    """What both servers have in common."""

    name: str

    def environment(self) -> dict[str, str]:
        """Return the addresses."""

    def running(self) -> bool:
        """Say whether it answers."""

    def start(self) -> Child:
        """Start it and wait until it answers."""


@contextmanager
def services(say: Callable[[str], None], inherited: dict[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Give the environment for children while both servers run; addresses that are set already are kept."""
    environment = dict(os.environ) if inherited is None else dict(inherited)
    places = find_places(environment)
    with ExitStack() as stack:
        if not environment.get("DATABASE_URL"):
            fast = environment.get("RESELLERKPI_FAST_DB") == "1"
            environment.pop("DATABASE_OWNER_URL", None)
            environment |= stack.enter_context(_served(Postgres(places, fast=fast), places, say))
        if not environment.get("REDIS_URL"):
            environment |= stack.enter_context(_served(Valkey(places), places, say))
        yield environment | _settings(environment, places)


def _settings(environment: dict[str, str], places: Places) -> dict[str, str]:
    defaults = {"DEBUG": "false", "ALLOWED_HOSTS": "127.0.0.1,localhost,[::1]"}
    found = {name: environment.get(name) or value for name, value in defaults.items()}
    found["SECRET_KEY"] = environment.get("SECRET_KEY") or load_secrets(places.var)["secret_key"]
    found["RESELLERKPI_VAR"] = str(places.var)
    return found


@contextmanager
def _served(service: Service, places: Places, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Use the running server, or start it and stop it at the end; the lock tells which command is responsible."""
    with (places.base / f"{service.name}.lock").open("a") as lock:
        if not _is_ours(service, lock.fileno(), say):
            yield service.environment()
            return
        child = None if service.running() else _start(service, say)
        try:
            yield service.environment()
        finally:
            stop(service, child)


def _is_ours(service: Service, lock: int, say: Callable[[str], None]) -> bool:
    """Say whether this command is the one that starts and stops the server; else wait until it answers."""
    deadline = time.monotonic() + WAIT_SECONDS
    told = False
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if service.running():
                return False
            if not told:
                say(f"Waiting for another command that is starting {service.name}")
                told = True
            time.sleep(0.2)
        else:
            return True
    raise LocalProblemError(f"Another command holds {service.name} but it does not answer: stop that command first.")


def _start(service: Service, say: Callable[[str], None]) -> Child:
    began = time.monotonic()
    child = service.start()
    say(f"Started {service.name} in {time.monotonic() - began:.1f} s")
    return child


def stop(service: Service, child: Child | None) -> None:
    """Stop the server: our child, or one whose launcher was killed."""
    if child is not None:
        child.stop()
    elif isinstance(service, Postgres) and (pid := service.running_pid()):
        os.kill(pid, signal.SIGINT)
    elif isinstance(service, Valkey):
        service.shut_down()
