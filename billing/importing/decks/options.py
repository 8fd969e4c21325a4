"""What a deck is for and what was agreed to about it, and how it ended."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Self

from billing.importing.decks.difference import Difference
from billing.importing.tables.problems import Problem

SHOWN = 100
#: A deck that ends more than so many per cent of a tariff's prices, or raises them by more on average, is asked about.
MOST_ENDED, MOST_RISE = 20, 10
REPEATS = ("ask", "first", "last", "dearest")


@dataclass(frozen=True, kw_only=True)
class DeckOptions:
    """What a deck is for: its tariff, the day it holds from, and what was agreed to.

    `divide` divides every amount of the deck, `divide_outliers` those out of range (1: not). `names_like` is the tariff
    whose destinations name the prefixes of a deck that has none; `matches` says for names what they are there (a
    destination, prefixes, or "-" for left out). `repeats` says which of unequal lines of a prefix counts. A `guarded`
    deck asks about prefixes that are absent from it (`absent`: keep or end) and stops before large effects, unless
    `accept_effect`.
    """

    tariff: str
    wholesale: bool = False
    effective: date | None = None
    currency: str = ""
    carrier: str = ""
    accept_outliers: bool = False
    complete: bool = False
    dry_run: bool = False
    divide: int = 1
    divide_outliers: int = 1
    names_like: str = ""
    matches: Dict[str, str] = field(default_factory=dict)
    repeats: str = "ask"
    absent: str = ""
    guarded: bool = False
    accept_effect: bool = False

    @classmethod
    def of(cls, given: Dict[str, Any], *, dry_run: bool = False) -> Self:
        """Build options from plain values, the day as ISO text."""
        effective = date.fromisoformat(given["effective"]) if given.get("effective") else None
        return cls(**{**given, "effective": effective, "dry_run": dry_run})


@dataclass(frozen=True)
class DeckOutcome:
    """How a deck ended: rows = loaded + collapsed + refused, counted in rates.

    `unmatched` are names that were found nowhere, each with the nearest name there is.
    """

    rows: int = 0
    loaded: int = 0
    collapsed: int = 0
    difference: Difference = field(default_factory=Difference)
    problems: tuple[Problem, ...] = ()
    outliers: int = 0
    unmatched: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON, with the first problems."""
        rise = self.difference.average_rise
        return {
            "rows": self.rows,
            "loaded": self.loaded,
            "collapsed": self.collapsed,
            "new": self.difference.new,
            "changed": self.difference.changed,
            "ended": self.difference.ended,
            "unchanged": self.difference.unchanged,
            "absent": self.difference.absent,
            "average_rise": None if rise is None else f"{rise:f}",
            "refused": self.rows - self.loaded - self.collapsed if self.problems else 0,
            "outliers": self.outliers,
            "unmatched": len(self.unmatched),
            "cautions": cautions(self.difference),
            "error_count": len(self.problems),
            "errors": [problem.as_dict() for problem in self.problems[:SHOWN]],
        }


class DeckStopped(RuntimeError):
    """Raised to undo what was written of a deck that turns out to be a question, or was only looked at."""

    def __init__(self, outcome: DeckOutcome) -> None:
        super().__init__("The deck was not loaded.")
        self.outcome = outcome


def cautions(difference: Difference) -> list[str]:
    """Return what is unusual enough about a deck to be ticked before it is loaded."""
    found = []
    if difference.held and difference.ended * 100 > MOST_ENDED * difference.held:
        share = Decimal(difference.ended * 100) / difference.held
        found.append(
            f"It ends {difference.ended:,} of the tariff’s {difference.held:,} prices ({share:.0f} %)."
        )
    rise = difference.average_rise
    if rise is not None and rise > MOST_RISE:
        found.append(f"It raises prices by {rise:.1f} % on average.")
    return found
