"""The checks of the house that a step of the review may watch: what it is clear of when nothing is open."""

from billing.checks.registry import CHECKS, of_family
from billing.models import Finding

Family = Finding.Family
#: Families that keep one finding for each thing found until it is mended; those before billing belong to a run.
WATCHED: dict[str, str] = {Family.LEAKAGE: "Leakage", Family.WATCH: "Watch"}
ALL_LEAKS = "Leakage: any of them"


def choices() -> list[tuple[str, str]]:
    """Return what a step may watch: every leak together, then each check by its family."""
    each = [(c.slug, f"{words}: {c.name}") for family, words in WATCHED.items() for c in of_family(family)]
    return [("", "None"), (str(Family.LEAKAGE), ALL_LEAKS), *each]


def named(check: str) -> str:
    """Name what a step watches: one check, or all of a family; one of another release by its own name."""
    if check in CHECKS:
        return CHECKS.get(check).name
    return str(Family(check).label) if check in list(Family) else check


def family_of(check: str) -> str:
    """Return the family of a check, or of a step that watches all of it; "" for one of another release."""
    if check in list(Family):
        return check
    return CHECKS.get(check).family if check in CHECKS else ""
