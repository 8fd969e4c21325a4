"""`demo`: the believable reseller, built once and then served with its worker and its schedule."""

import argparse
import hashlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resellerkpi.local.places import PROJECT
from resellerkpi.local.problems import LocalProblemError, need
from resellerkpi.local.processes import (
    LOOPBACK,
    Child,
    die_with_parent_now,
    free_port,
    last_lines,
    port_is_free,
    spawn,
    undisturbed,
)
from resellerkpi.local.run import say, with_our_python
from resellerkpi.local.services import Running, services

DEFAULT_PORT = 8000
SIZES = ("small", "full")
LOGIN = ("email", "password", "name", "role")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of the demo."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument(
        "--no-serve", action="store_true", help="build the demo, print one JSON line and stop"
    )
    parser.add_argument(
        "--port", type=int, help=f"port of the web server (default {DEFAULT_PORT}, else a free one)"
    )
    parser.add_argument("--seed", type=int, help="seed of the generated data")
    parser.add_argument("--size", choices=SIZES, help="how much to generate")
    return parser.parse_args(arguments)


def demo(arguments: list[str]) -> int:
    """Build the demo where there is none yet, then serve it until Ctrl-C; return the exit code."""
    options = parse(arguments)
    port = choose_port(options.port, serve=not options.no_serve)
    with services(say) as running:
        running.environment = with_our_python(running.environment) | {"RESELLERKPI_DEMO": "1"}
        running.environment.setdefault("PUBLIC_URL", address(port))
        facts = build(running, options)
        if options.no_serve:
            print(json.dumps({**facts, "address": address(port)}), flush=True)
            return 0
        with _processes(running, port) as children:
            _announce(port, facts)
            _watch([*children, *running.children])
    return 0


def address(port: int) -> str:
    """Return the address of the web server."""
    return f"http://{LOOPBACK}:{port}"


def choose_port(wanted: int | None, *, serve: bool) -> int:
    """Return the port to serve on; a port asked for must be free, the default one may give way to another."""
    if wanted is not None:
        need(0 < wanted < 65536, f"{wanted} is no port: give one from 1 to 65535.")
        need(not serve or port_is_free(wanted), f"Port {wanted} is in use: give another with --port.")
        return wanted
    if not serve or port_is_free(DEFAULT_PORT):
        return DEFAULT_PORT
    port = free_port()
    say(f"Port {DEFAULT_PORT} is in use: serving on {port} instead")
    return port


def build(running: Running, options: argparse.Namespace) -> dict[str, object]:
    """Migrate, collect the static files and generate the data; return what the generator reports."""
    say("Preparing the database")
    _manage(running, "setup_database")
    _collect_static(running)
    say("Looking for the demo's data")
    words = [
        word
        for name in ("seed", "size")
        if (value := getattr(options, name))
        for word in (f"--{name}", str(value))
    ]
    return last_object(_manage(running, "demo", *words))


def last_object(output: str) -> dict[str, object]:
    """Return the JSON object on the last line of a command's output."""
    lines = output.strip().splitlines()
    try:
        facts = json.loads(lines[-1]) if lines else None
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise LocalProblemError("`manage.py demo` did not end with a JSON object.")
    return facts


def _manage(running: Running, *words: str) -> str:
    """Run one management command to its end and return what it prints; its progress goes to the screen."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *words],
        env=running.environment,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=die_with_parent_now(),
    )
    need(done.returncode == 0, f"`manage.py {words[0]}` did not succeed: its message is above.")
    return done.stdout


def _collect_static(running: Running) -> None:
    stamp = running.places.var / "static.stamp"
    now = static_fingerprint(PROJECT)
    if (
        (running.places.var / "static").is_dir()
        and stamp.exists()
        and stamp.read_text(encoding="ascii") == now
    ):
        return
    say("Collecting style sheets and scripts")
    _manage(running, "collectstatic", "--noinput", "--verbosity", "0")
    stamp.write_text(now, encoding="ascii")


def static_fingerprint(project: Path) -> str:
    """Return a hash that moves when a static file or an installed package does."""
    digest = hashlib.sha256((project / "requirements.lock").read_bytes())
    digest.update((project / "resellerkpi/settings.py").read_bytes())
    for path in sorted((project / "static").rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    return digest.hexdigest()


def commands(port: int) -> dict[str, list[str]]:
    """Return the command of each process that serves the demo."""
    celery = [sys.executable, "-m", "celery", "-A", "resellerkpi"]
    scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
    web = ["--bind", f"{LOOPBACK}:{port}", "--workers", "2", "--threads", "4", "--timeout", "120"]
    web += ["--graceful-timeout", "5", "--no-control-socket"]
    return {
        "web": [sys.executable, "-m", "gunicorn", "resellerkpi.wsgi", *web],
        "worker": [
            *celery,
            "worker",
            "--concurrency",
            "1",
            "--loglevel",
            "INFO",
            "--without-mingle",
            "--without-gossip",
        ],
        "beat": [*celery, "beat", "--scheduler", scheduler, "--loglevel", "INFO", "--pidfile", ""],
    }


@contextmanager
def _processes(running: Running, port: int) -> Iterator[list[Child]]:
    """Run the web server, the worker and the schedule; all are asked to stop at once, then awaited."""
    children: list[Child] = []
    try:
        for name, command in commands(port).items():
            say(f"Starting {name}")
            log = running.places.log(name)
            children.append(spawn(name, command, log=log, environment=running.environment, folder=PROJECT))
        _wait_for_web(children[0], port)
        yield children
    finally:
        say("Stopping")
        with undisturbed():
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.finish()


def _wait_for_web(web: Child, port: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        _check_alive([web])
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except OSError:
            time.sleep(0.2)
        else:
            return
        finally:
            connection.close()
    raise LocalProblemError(f"The web server does not answer: see {web.log}.")


def _announce(port: int, facts: dict[str, object]) -> None:
    lines = [
        "",
        f"ResellerKPI is at {address(port)}",
        *login_lines(facts.get("logins")),
        "",
        "Ctrl-C stops everything.",
    ]
    print("\n".join(lines), flush=True)


def login_lines(logins: object) -> list[str]:
    """Return one line for each login that the generator reports."""
    found = [login for login in logins if isinstance(login, dict)] if isinstance(logins, list) else []
    return [
        "  {email}  password {password}  ({name}, {role})".format_map(
            {name: str(login.get(name, "")) for name in LOGIN}
        )
        for login in found
    ]


def _watch(children: list[Child]) -> None:
    """Wait until Ctrl-C, or until a process ends that should not."""
    try:
        while True:
            _check_alive(children)
            time.sleep(0.5)
    except KeyboardInterrupt:
        say("Ctrl-C")


def _check_alive(children: list[Child]) -> None:
    for child in children:
        if not child.alive():
            raise LocalProblemError(
                f"{child.name} has ended by itself ({last_lines(child.log, 1)}): see {child.log}."
            )
