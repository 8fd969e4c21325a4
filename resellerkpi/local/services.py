"""PostgreSQL and Valkey together: started unless given or running already, stopped by who started them."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from resellerkpi.local.places import Places, find_places, load_secrets
from resellerkpi.local.postgres import Postgres
from resellerkpi.local.problems import LocalProblemError
from resellerkpi.local.processes import Child, undisturbed
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


@dataclass
class Running:
    """What runs: the environment for commands, and the servers that this command started."""

    places: Places
    environment: dict[str, str]
    children: list[Child] = field(default_factory=list)


@contextmanager
def services(say: Callable[[str], None], inherited: dict[str, str] | None = None) -> Iterator[Running]:
    """Run both servers while the block lasts; addresses that the environment names are kept instead."""
    environment = dict(os.environ) if inherited is None else dict(inherited)
    places = find_places(environment)
    running = Running(places, environment)
    with ExitStack() as stack:
        if not environment.get("DATABASE_URL"):
            fast = environment.get("RESELLERKPI_FAST_DB") == "1"
            environment.pop("DATABASE_OWNER_URL", None)
            stack.enter_context(_served(Postgres(places, fast=fast), running, say))
        if not environment.get("REDIS_URL"):
            stack.enter_context(_served(Valkey(places), running, say))
        environment |= _settings(environment, places)
        yield running


def _settings(environment: dict[str, str], places: Places) -> dict[str, str]:
    defaults = {"DEBUG": "false", "ALLOWED_HOSTS": "127.0.0.1,localhost,[::1]"}
    found = {name: environment.get(name) or value for name, value in defaults.items()}
    found["SECRET_KEY"] = environment.get("SECRET_KEY") or load_secrets(places.var)["secret_key"]
    found["RESELLERKPI_VAR"] = str(places.var)
    return found


@contextmanager
def _served(service: Service, running: Running, say: Callable[[str], None]) -> Iterator[None]:
    """Use the running server, or start it and stop it at the end; who holds the lock is responsible."""
    with (running.places.base / f"{service.name}.lock").open("a") as lock:
        if not _is_ours(service, lock.fileno(), say):
            running.environment |= service.environment()
            yield
            return
        child = None if service.running() else _start(service, say)
        running.children += [child] if child else []
        running.environment |= service.environment()
        try:
            yield
        finally:
            with undisturbed():
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
    raise LocalProblemError(
        f"Another command holds {service.name} but it does not answer: stop that command first."
    )


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
