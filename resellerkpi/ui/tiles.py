"""The figure of a KPI as a tile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ARROWS = {"up": "\N{UPWARDS ARROW}", "down": "\N{DOWNWARDS ARROW}", "flat": "\N{RIGHTWARDS ARROW}"}
WORDS = {"good": "better", "bad": "worse", "flat": "neither better nor worse", "plain": ""}


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a figure moved: amount and per cent as text, direction up/down/flat, meaning good/bad/flat, since when."""

    amount: str
    percent: str = ""
    direction: str = "flat"
    meaning: str = "flat"
    against: str = ""

    @property
    def arrow(self) -> str:
        """The arrow of the direction."""
        return ARROWS[self.direction]

    @property
    def word(self) -> str:
        """What the change means, for those who do not see colour."""
        return WORDS[self.meaning]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure: label, value as people read it with its unit, change, 13 months as a small line, where it leads.

    `definition` is the published formula; `marks` are short words such as "estimated" or "small base".
    """

    label: str
    value: str
    unit: str = ""
    change: Change | None = None
    series: Sequence[Any] = ()
    url: str = ""
    definition: str = ""
    marks: Sequence[str] = ()
    target: str = ""
