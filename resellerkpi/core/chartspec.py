"""Charts by field names only; no drawing library here."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What to draw: `x`, one or more `y` fields or one `series` field to split by, a title."""

    x: str
    y: tuple[str, ...]
    series: str = ""
    title: str = ""
    unit: str = ""


class Line(Chart):
    """A line over time."""


class Bar(Chart):
    """Bars from zero."""


class Stack(Chart):
    """Stacked bars of parts that sum to a whole."""


@dataclass(frozen=True, kw_only=True)
class Curve(Chart):
    """A line over a measured `x`: rows as they stand, from nothing to all, none summed; `even` names the diagonal."""

    even: str = ""
