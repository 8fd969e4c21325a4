"""Find the Chromium of the browser tests, installing Debian's as root when there is none; prints its path."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from resellerkpi.local.problems import LocalProblemError, need

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ADVICE = "No Chromium for the browser tests was found: install it, or set CHROMIUM to its path."


def find(environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the path of $CHROMIUM, else of the system's browser, empty when there is none."""
    named = environment.get("CHROMIUM", "")
    if named:
        path = which(named)
        need(path, f"CHROMIUM names {named}, which is not a program.")
        return path or ""
    return next((path for name in (*NAMES, *MAC_PATHS) if (path := which(name))), "")


def install() -> None:
    """Install Debian's Chromium; its messages go to standard error."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LocalProblemError(ADVICE)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium", "fonts-liberation"]):
        done = subprocess.run(["apt-get", "-q", *words], env=environment, stdout=sys.stderr, check=False)
        need(done.returncode == 0, f"`apt-get {words[0]}` did not succeed. {ADVICE}")


def main() -> int:
    """Print the path of the browser and return the exit code."""
    try:
        path = find(os.environ)
        if not path:
            install()
            path = find(os.environ)
        need(path, ADVICE)
    except LocalProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
