"""The embedded PostgreSQL: its data folder, its roles, its start and its stop."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from resellerkpi.local.accounts import owner_account
from resellerkpi.local.binaries import PostgresPrograms, postgres_programs
from resellerkpi.local.places import Places, load_secrets, read_json, write_json
from resellerkpi.local.problems import LocalProblemError, need
from resellerkpi.local.processes import (
    LOOPBACK,
    Child,
    answers,
    command_of,
    free_port,
    identity_options,
    last_lines,
    spawn,
    wait_until,
)

DATABASE = "resellerkpi"
ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    "max_wal_size": "2GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
ROLES = """
CREATE ROLE rk_owner LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD '{owner_password}';
CREATE ROLE rk_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD '{app_password}';
ALTER ROLE rk_admin PASSWORD '{admin_password}';
ALTER SCHEMA public OWNER TO rk_owner;
CREATE DATABASE resellerkpi OWNER rk_owner TEMPLATE template1;
"""


class Postgres:
    """One PostgreSQL server on its data folder; an ordinary role for the app, an owner for migrations."""

    name = "postgres"

    def __init__(self, places: Places, *, fast: bool = False) -> None:
        """Prepare for the folders; `fast` gives up safety on a power cut (tests only)."""
        self.places = places
        self.fast = fast
        self.data = places.base / "postgres"
        self.state = places.var / "postgres.json"
        self.account = owner_account(self.data, places.account)

    @property
    def port(self) -> int:
        """The port the server has or had last, 0 before the first start."""
        port = read_json(self.state).get("port")
        return port if isinstance(port, int) else 0

    def environment(self) -> dict[str, str]:
        """Return the addresses of the database for the app's role and for the owner's."""
        passwords = load_secrets(self.places.var)
        return {
            "DATABASE_URL": database_url("rk_app", passwords["app_password"], self.port),
            "DATABASE_OWNER_URL": database_url("rk_owner", passwords["owner_password"], self.port),
        }

    def running(self) -> bool:
        """Say whether a server on this data folder accepts connections."""
        pid, port, status = postmaster(self.data)
        return pid > 0 and status == "ready" and "postgres" in command_of(pid) and answers(port)

    def running_pid(self) -> int:
        """Return the process id of the server on this data folder, 0 when there is none."""
        pid, _, _ = postmaster(self.data)
        return pid if pid and "postgres" in command_of(pid) else 0

    def start(self) -> Child:
        """Start the server, making the data folder on first use, and wait until it answers."""
        programs = postgres_programs(self.places)
        self._clear_stale_pid_file()
        self._make_data_folder(programs)
        for _ in range(3):
            port = free_port(self.port)
            write_json(self.state, {"port": port, "data": str(self.data), "programs": str(programs.folder)})
            child = self._spawn(programs, port)
            if wait_until(child, self.running, 60):
                return child
            if "could not bind" not in last_lines(child.log, 6):
                break
        raise LocalProblemError(f"PostgreSQL did not start ({last_lines(child.log)}): see {child.log}.")

    def _spawn(self, programs: PostgresPrograms, port: int) -> Child:
        settings = SETTINGS | (FAST_SETTINGS if self.fast else {}) | {"port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return spawn(
            self.name,
            [programs.postgres, "-D", str(self.data), *options],
            log=self.places.log(self.name),
            environment=_bare_environment(),
            folder=Path("/"),
            account=self.account,
            stop_signal=signal.SIGINT,
            patience=40.0,
        )

    def _clear_stale_pid_file(self) -> None:
        """Wait for a server that is still stopping, then remove the note that a killed one left behind."""
        deadline = time.monotonic() + 30
        while self.running_pid() and time.monotonic() < deadline:
            time.sleep(0.1)
        need(
            not self.running_pid(),
            f"A PostgreSQL on {self.data} neither answers nor ends: stop it, then try again.",
        )
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_data_folder(self, programs: PostgresPrograms) -> None:
        version = self.data / "PG_VERSION"
        if version.exists():
            major = version.read_text(encoding="ascii").strip()
            need(
                major == str(programs.major),
                f"{self.data} was made by PostgreSQL {major} and {programs.major} is installed: "
                "run `make clean` to begin anew, or install the former.",
            )
            return
        folder = self.places.server_folder("postgres.new")
        shutil.rmtree(folder)
        folder = self.places.server_folder("postgres.new")
        self.account = owner_account(folder, self.account)
        self._run([programs.initdb, "-D", str(folder), *initdb_options(programs.major)])
        (folder / "pg_hba.conf").write_text(ACCESS, encoding="ascii")
        single = [programs.postgres, "--single", "-D", str(folder), "-c", "exit_on_error=on"]
        self._run([*single, "template1"], text=ROLES.format(**load_secrets(self.places.var)))
        folder.rename(self.data)

    def _run(self, command: list[str], text: str = "") -> None:
        try:
            done = subprocess.run(
                command,
                input=text,
                capture_output=True,
                text=True,
                check=False,
                env=_bare_environment(),
                cwd="/",
                **identity_options(self.account),  # type: ignore[call-overload]
            )
        except OSError as error:
            raise LocalProblemError(f"{command[0]} cannot be started: {error.strerror}.") from error
        complaint = re.search(r"\b(?:ERROR|FATAL|PANIC): .*", done.stderr)
        if done.returncode or complaint:
            reason = complaint.group(0) if complaint else " / ".join(done.stderr.strip().splitlines()[-2:])
            raise LocalProblemError(f"The database folder {self.data} could not be made: {reason}")


def _bare_environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def initdb_options(major: int) -> list[str]:
    """Return the options that make the same database on every platform: UTF-8, code-point order, no ICU."""
    options = ["-U", "rk_admin", "--encoding=UTF8", "--auth=trust", "--no-sync", "--locale=C"]
    if major >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    elif sys.platform == "linux":
        options += ["--lc-ctype=C.UTF-8"]
    return options


def database_url(role: str, password: str, port: int, database: str = DATABASE) -> str:
    """Return the address of a database on the loopback address."""
    return f"postgres://{role}:{password}@{LOOPBACK}:{port}/{database}"


def postmaster(data: Path) -> tuple[int, int, str]:
    """Return the process id, port and status that a server noted in its data folder, or (0, 0, "")."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0, 0, ""
    if len(lines) < 8 or not lines[0].strip().isdigit() or not lines[3].strip().isdigit():
        return (int(lines[0]), 0, "") if lines and lines[0].strip().isdigit() else (0, 0, "")
    return int(lines[0]), int(lines[3]), lines[7].strip()
