"""Which key of a breakdown stands where in a month, and how far it moved since the month before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from kpis.series import Point
from resellerkpi.core.periods import add_months

#: Where a figure of a breakdown stands: key, currency, month.
Place = tuple[str, str, date]


@dataclass(frozen=True)
class Rank:
    """The place of a key in a month, 1 the largest figure; `before` is that of the month before, None when it had none.

    `is_new` says that other keys had figures in the month before and this one had not.
    """

    place: int
    before: int | None = None
    is_new: bool = False

    @property
    def moved(self) -> int | None:
        """How many places the key rose since the month before; below 0 it fell."""
        return None if self.before is None else self.before - self.place

    def __str__(self) -> str:
        if self.before is not None:
            return f"{self.place} (was {self.before})"
        return f"{self.place} (new)" if self.is_new else str(self.place)


Ranks = Mapping[Place, Rank]


def ranks(points: Iterable[Point]) -> Ranks:
    """Return the rank of each key that has a figure, by month and currency; equal figures share the better place.

    What stands under no key (no product, no dealer) is no competitor and has no rank.
    """
    values: dict[tuple[str, date], dict[str, Decimal]] = defaultdict(dict)
    for point in points:
        value = point.value
        if point.key and value is not None and (point.numerator or point.denominator):
            values[point.currency, point.month][point.key] = value
    places = {at: _places(of) for at, of in values.items()}
    found: dict[Place, Rank] = {}
    for (currency, month), of in places.items():
        before = places.get((currency, add_months(month, -1)), {})
        for key, place in of.items():
            found[key, currency, month] = Rank(place, before.get(key), bool(before) and key not in before)
    return found


def _places(values: Mapping[str, Decimal]) -> dict[str, int]:
    """Return the place of each key among some figures: one more than there are larger figures."""
    first: dict[Decimal, int] = {}
    for place, value in enumerate(sorted(values.values(), reverse=True), start=1):
        first.setdefault(value, place)
    return {key: first[value] for key, value in values.items()}
