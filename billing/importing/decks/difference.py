"""What a deck does to its tariff, in figures."""

from dataclasses import dataclass, fields
from decimal import Decimal


@dataclass(frozen=True)
class Difference:
    """What a deck does to its tariff: rates that are new, changed, ended without a successor, the same.

    `held` rates are in force on its day, of which it lacks `absent`; `compared` have a price before and after, whose
    changes in per cent add up to `rises`.
    """

    new: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    held: int = 0
    absent: int = 0
    compared: int = 0
    rises: Decimal = Decimal(0)

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def average_rise(self) -> Decimal | None:
        """Return by how many per cent prices change on average, each rate counting once; None without any."""
        return round(self.rises / self.compared, 2) if self.compared else None
