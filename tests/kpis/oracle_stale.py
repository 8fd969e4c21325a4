"""Prices that were not looked at since what they are made from became dearer, naively."""

from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from tests.kpis import oracle as o
from tests.kpis import oracle_more as m
from tests.kpis.oracle_more import Out, Row, back
from tests.kpis.worlds import CATALOGUE, COST_RISE, MONTHS

D = Decimal
SLUGS = {"stale_tariffs", "stale_tariffs_loss"}
Cells = dict[tuple[str, date, str], tuple[D, D | None]]


def features(*, money: bool) -> Callable[[Row, date], Out]:
    """Return call recordings from the day on which they cost 0.75 more, at the same price."""

    def rule(c: Row, month: date) -> Out:
        day = o.close(month)
        held = sum(f[2] for f in m.live(c, day) if f[0] == "rec") if day >= COST_RISE else 0
        months = {"month": 1, "quarter": 3, "year": 12}[CATALOGUE["rec"][0]]
        loss = (D("0.75") * held / months).quantize(D("0.000001"), ROUND_HALF_UP)
        return [("rec", CATALOGUE["rec"][2] if money else "", loss if money else D(held), None)]

    return rule


def price(rates: list[tuple[date, str]], day: date) -> D | None:
    """Return the price on a day; before the first rate, the first one's."""
    at = [D(p) for since, p in sorted(rates) if since <= day]
    return at[-1] if at else next((D(p) for _, p in sorted(rates)), None)


def expected(slug: str, book: Row, dimension: str) -> Cells:
    """Return whether Spain is dearer than when it was last priced, and what a minute's rise loses a month."""
    units = book.get("units", {})
    bought, sold = units.get("bought", []), units.get("sold", [])
    found: Cells = {}
    for month in MONTHS:
        day = o.close(month)
        seconds = sum(
            60 for c in book["customers"] for _, at, _, _ in c["calls"] if back(month, 2) <= at <= day
        )
        since = max((at for at, _ in sold if at <= day), default=None)
        in_force = any(at <= day for at, _ in bought)
        now, then = price(bought, day), None if since is None else price(bought, since)
        if seconds and in_force and now is not None and then is not None and now > then:
            key = {"": "", "carrier": "K0", "destination": "Spain"}[dimension]
            loss = ((now - then) * seconds / 180).quantize(D("0.000001"), ROUND_HALF_UP)
            money = slug == "stale_tariffs_loss"
            found[key, month, "GBP" if money else ""] = (loss if money else D(1), None)
    return found
