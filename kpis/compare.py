"""Changes between two months, and whether they are good news."""

from dataclasses import dataclass
from decimal import Decimal

from kpis.kpi import Good, Kpi, Unit
from kpis.series import Point

HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Delta:
    """A change: the figure before, the difference, the growth (None for rates and from nothing), and what it means.

    The difference of a rate is in percentage points; `verdict` is good, bad, flat or watch.
    """

    before: Decimal
    change: Decimal
    growth: Decimal | None
    verdict: str


def delta(kpi: Kpi, now: Point | None, before: Point | None) -> Delta | None:
    """Return the change between two points, None when either has no value."""
    if now is None or before is None or now.value is None or before.value is None:
        return None
    change = now.value - before.value
    if kpi.unit is Unit.PERCENT:
        return Delta(before.value, change * HUNDRED, None, _verdict(kpi, change))
    growth = change / before.value if before.value > 0 else None
    return Delta(before.value, change, growth, _verdict(kpi, change))


def compound(kpi: Kpi, now: Point | None, before: Point | None, months: int) -> Decimal | None:
    """Return the growth of a month that, compounded over so many months, leads from one point to the other (CMGR).

    None for rates, and where either has no value above nought.
    """
    if kpi.unit is Unit.PERCENT or now is None or before is None:
        return None
    if not now.value or not before.value or now.value < 0 or before.value < 0:
        return None
    return (now.value / before.value) ** (Decimal(1) / months) - 1


def _verdict(kpi: Kpi, change: Decimal) -> str:
    if change == 0:
        return "flat"
    if kpi.good is Good.WATCH:
        return "watch"
    return "good" if (change > 0) == (kpi.good is Good.UP) else "bad"
