"""From where on usage is unusual: the one place that holds the figures (docs/fraud.md says why)."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

#: Days of history that usage is compared with: 13 whole weeks.
HISTORY = 91
#: A number or customer with fewer days of history is compared with all numbers of the reseller as well.
LITTLE = 28


@dataclass(frozen=True)
class Bounds:
    """What usage must pass to be told; money is the dearer of price and cost, in the customer's own currency.

    `dear_calls` and `calls` are the fewest calls in an hour (to international and premium destinations, to any),
    `times` how often the second busiest hour or day must be passed, `spread` the widths of a Poisson count above its
    mean. `common` is the share (%) of customers from which on a destination is no surprise in itself. `lines` are
    the numbers that call one destination on a day.
    """

    money: Decimal = Decimal(5)
    day_money: Decimal = Decimal(20)
    dear_calls: int = 5
    calls: int = 20
    destination_calls: int = 3
    times: int = 2
    day_times: int = 3
    spread: int = 5
    common: int = 5
    common_times: int = 3
    lines: int = 6

    def params(self) -> dict[str, Any]:
        """Return the figures by name, for SQL."""
        return asdict(self)


BOUNDS = Bounds()
