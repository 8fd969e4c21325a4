"""Say in one sentence what is missing of Python; written so that any Python 3 can run it as a file."""

import importlib.util
import sys

OLDEST = (3, 11)


def complaint(version: "tuple[int, ...]", has_venv: bool) -> str:
    """Return what is wrong with a Python of the version, empty when nothing is."""
    found = "{}.{}".format(*version)
    if version < OLDEST:
        return "ResellerKPI needs Python 3.11 or later and this is " + found + "."
    if not has_venv:
        return "Python " + found + " has no venv module here: on Debian install python" + found + "-venv."
    return ""


if __name__ == "__main__":
    VENV = importlib.util.find_spec("ensurepip") is not None
    sys.exit(complaint(sys.version_info[:2], VENV) or 0)
