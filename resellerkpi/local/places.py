"""Where run-time data lies: the var folder, and a folder for the servers that their account can reach."""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from resellerkpi.local.accounts import Account, can_reach, server_account
from resellerkpi.local.problems import need

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC_PLACES = (Path("/var/lib"), Path("/var/tmp"))
SECRET_NAMES = (
    "admin_password",
    "owner_password",
    "app_password",
    "valkey_password",
    "secret_key",
)


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
    var = (
        Path(environment.get("RESELLERKPI_VAR") or PROJECT / "var")
        .expanduser()
        .absolute()
    )
    (var / "log").mkdir(parents=True, exist_ok=True)
    account = server_account()
    return Places(var=var, base=choose_base(var, account), account=account)


def choose_base(
    var: Path, account: Account | None, public: tuple[Path, ...] = PUBLIC_PLACES
) -> Path:
    """Return var itself, or where the servers' account cannot reach it a private folder in a public place."""
    record = var / "place.json"
    recorded = read_json(record).get("base")
    if (
        isinstance(recorded, str)
        and Path(recorded).is_dir()
        and (account is None or can_reach(Path(recorded), account))
    ):
        return Path(recorded)
    if account is None or can_reach(var, account):
        return var
    parent = next(
        (place for place in public if place.is_dir() and can_reach(place, account)),
        None,
    )
    need(
        parent,
        f"The account {account.name} that runs the servers can reach neither {var} nor a public folder.",
    )
    assert parent is not None
    base = parent / f"resellerkpi-{hashlib.sha256(str(var).encode()).hexdigest()[:12]}"
    base.mkdir(mode=0o700, exist_ok=True)
    owner = base.lstat().st_uid
    need(
        not base.is_symlink() and owner in {0, account.uid},
        f"{base} belongs to somebody else: remove it.",
    )
    account.give(base, 0o700)
    write_json(record, {"base": str(base)})
    return base


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
        temporary = _write_beside(
            path, {name: secrets.token_hex(24) for name in SECRET_NAMES}, 0o600
        )
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
