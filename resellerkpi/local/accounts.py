"""Who runs the servers: ourselves, or for root an unprivileged account."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from resellerkpi.local.problems import LocalProblemError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account of the operating system, without its supplementary groups."""

    name: str
    uid: int
    gid: int

    def give(self, path: Path, mode: int) -> None:
        """Hand a path over to the account with the mode."""
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)


def server_account() -> Account | None:
    """Return the account the servers run as, or None for our own."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalProblemError(
        "PostgreSQL does not run as root and this machine has no account named postgres or nobody: "
        "run the command as an ordinary user."
    )


def owner_account(folder: Path, otherwise: Account | None) -> Account | None:
    """Return the account that owns an existing data folder, or the other one where there is none yet."""
    if os.geteuid() != 0 or not folder.exists():
        return otherwise
    status = folder.stat()
    if status.st_uid == 0:
        return otherwise
    return Account(str(status.st_uid), status.st_uid, status.st_gid)


def can_reach(path: Path, account: Account) -> bool:
    """Say whether the account may enter a folder and every folder above it (by mode bits)."""
    resolved = path.resolve()
    return all(_may_enter(folder, account) for folder in (resolved, *resolved.parents) if folder.is_dir())


def _may_enter(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
