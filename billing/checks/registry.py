"""Every check: each module in `billing/checks/definitions` is found by itself, so that a check is one file."""

import pkgutil
from importlib import import_module

from billing.checks import definitions
from billing.checks.declare import CHECKS, Check

__all__ = ["CHECKS", "load", "of_family"]


def load() -> None:
    """Import every definition; running it again changes nothing."""
    for module in sorted(m.name for m in pkgutil.iter_modules(definitions.__path__)):
        import_module(f"{definitions.__name__}.{module}")


def of_family(family: str) -> list[Check]:
    """Return the checks of a family in the order of their names."""
    return sorted((c for c in CHECKS if c.family == family), key=lambda c: c.name)
