"""Where run-time data lies: the var folder, and a folder for the servers that their account can reach."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from resellerkpi.local.accounts import Account, can_reach, server_account
from resellerkpi.local.problems import LocalProblemError, need

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC_PLACES = (Path("/var/lib"), Path("/var/tmp"))
SECRET_NAMES = ("admin_password", "owner_password", "app_password", "valkey_password", "secret_key")


@dataclass(frozen=True)
class Places:
    """The folders of one installation: `var` is ours, `base` holds what the servers own."""

    var: Path
    base: Path
    account: Account | None

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.var / "log"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def server_folder(self, name: str) -> Path:
        """Return a folder that the servers' account owns, made on first use."""
        folder = self.base / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.account:
            self.account.give(folder, 0o700)
        return folder


def find_places(environment: dict[str, str] | None = None) -> Places:
    """Return the folders in force, making them on first use."""
    environment = dict(os.environ) if environment is None else environment
    var = Path(environment.get("RESELLERKPI_VAR") or PROJECT / "var").expanduser().resolve()
    (var / "log").mkdir(parents=True, exist_ok=True)
    account = server_account()
    return Places(var=var, base=choose_base(var, account), account=account)


def choose_base(var: Path, account: Account | None, public: tuple[Path, ...] = PUBLIC_PLACES) -> Path:
    """Return var itself, or where the servers' account cannot reach it a private folder in a public place."""
    if account is None:
        return var
    with (var / "place.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands that begin together choose once
        recorded = read_json(var / "place.json").get("base")
        if isinstance(recorded, str) and Path(recorded).is_dir() and can_reach(Path(recorded), account):
            return Path(recorded)
        return var if can_reach(var, account) else _outside_base(var, account, public)


def _outside_base(var: Path, account: Account, public: tuple[Path, ...]) -> Path:
    parent = next((place for place in public if place.is_dir() and can_reach(place, account)), None)
    if parent is None:
        raise LocalProblemError(f"The account {account.name}, which runs the servers, cannot reach {var}.")
    prefix = f"resellerkpi-{hashlib.sha256(str(var).encode()).hexdigest()[:12]}-"
    for leftover in parent.glob(f"{prefix}*"):
        _remove_leftover(leftover, account)
    base = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    account.give(base, 0o700)
    write_json(var / "place.json", {"base": str(base)})
    return base


def _remove_leftover(base: Path, account: Account) -> None:
    """Remove the servers' folder of a var folder that is gone, unless a server still runs on it."""
    if base.is_symlink() or base.stat().st_uid != account.uid:
        return
    with ExitStack() as stack:
        for path in base.glob("*.lock"):
            lock = stack.enter_context(path.open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        shutil.rmtree(base, ignore_errors=True)


def read_json(path: Path) -> dict[str, object]:
    """Return a JSON object from a file, empty when there is none or it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, object], mode: int = 0o644) -> None:
    """Replace a file by a JSON object in one step."""
    temporary = _write_beside(path, value, mode)
    temporary.replace(path)


def _write_beside(path: Path, value: dict[str, object], mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=1) + "\n")
    return temporary


def load_secrets(var: Path) -> dict[str, str]:
    """Return the passwords and the secret key of the installation, made once and readable by us alone."""
    path = var / "secrets.json"
    if not path.exists():
        temporary = _write_beside(path, {name: secrets.token_hex(24) for name in SECRET_NAMES}, 0o600)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # another command made it first: use that one
        finally:
            temporary.unlink()
    found = {name: str(value) for name, value in read_json(path).items()}
    need(
        set(SECRET_NAMES) <= set(found),
        f"{path} cannot be read or is incomplete: restore it, or run `make clean` to begin anew.",
    )
    return found
