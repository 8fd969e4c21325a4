"""The leakage register once more, naively: one leak at a time through what happened to it, in order of time."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis.worlds import MONTHS
from tests.kpis.worlds_units import slug_of

D = Decimal
Cells = dict[tuple[str, date, str], tuple[D, D | None]]
SLUGS = {
    *("leaks_found", "leaks_found_count", "leaks_recovered", "leaks_closed"),
    *("leaks_open", "leaks_open_count", "leaks_age"),
}
Told = tuple[date, str, int]


def story(steps: list[Told], until: date) -> tuple[list[Told], int | None, date | None]:
    """Return what happened up to a day: (day, what, money) lines; the money open then, None unless open; since when."""
    told: list[Told] = []
    state, cost, back, is_open = "", 0, 0, 0
    since, ends = None, None
    for day, what, money in steps:
        if day > until:
            break
        if what == "found":
            came_back = state == "recovered" and money > back
            if state in ("", "fixed") or came_back:
                back = back if came_back else 0
                told += [(day, "found", money - back), (day, "times", 1)]
                state, since, is_open = "open", day, money - back
            elif state == "open" or (state == "accepted" and ends and ends <= day):
                now = max(money - back, 0)
                grown = now - is_open if state == "open" else 0
                told.append((day, "found" if grown > 0 else "closed", abs(grown)))
                if state == "accepted":
                    told.append((day, "closed", -now))
                state, is_open = "open", now
            cost = money
        elif what == "gone" and state in ("open", "accepted"):
            told.append((day, "closed", is_open))
            state, is_open, back = "fixed", 0, 0
        elif what == "recover" and state:
            told += [(day, "recovered", money), (day, "closed", is_open - money)]
            state, is_open, back = "recovered", 0, cost
        elif what == "accept" and state in ("open", "accepted"):
            told.append((day, "closed", is_open))
            state, is_open, ends = "accepted", 0, day + timedelta(days=money)
    return told, is_open if state == "open" else None, since


def unbilled(steps: list[Told], month: date) -> D:
    """Return what a leak costs a month, when it had begun and was not closed by the month's end, as it is known now."""
    seen = [step for step in steps if step[1] == "found"]
    closed: date | None = None
    is_open = False
    for day, what, _ in steps:
        if what in ("gone", "recover") and is_open:
            closed, is_open = day, False
        elif what == "found" and not is_open and story(steps, day)[1] is not None:
            closed, is_open = None, True
    if not seen or seen[-1][0].replace(day=1) > o.close(month) or (closed and closed <= o.close(month)):
        return D(0)
    return (D(seen[-1][2]) / 4).quantize(D("0.01"), ROUND_HALF_UP)


def band(days: int) -> str:
    """Return how long a leak has been open, in bands."""
    return next((name for last, name in ((30, "0-30"), (60, "31-60"), (90, "61-90")) if days <= last), "91+")


WHAT = {
    "leaks_found": "found",
    "leaks_found_count": "times",
    "leaks_recovered": "recovered",
    "leaks_closed": "closed",
}


def lines(slug: str, book: Any, month: date) -> Iterator[tuple[Any, str, str, D, D | None]]:
    """Yield a figure's parts leak by leak: its place, the days open as a band, currency, top, bottom."""
    for place, (_, currency, steps) in enumerate(book.get("units", {}).get("leaks", [])):
        day = o.close(month)
        told, is_open, since = story(steps, day)
        if slug in WHAT:
            total = sum(m for at, what, m in told if what == WHAT[slug] and at >= month)
            yield place, "", "" if slug.endswith("count") else currency, D(total), None
        elif is_open is not None and since is not None:
            age = (day - since).days
            if slug == "leaks_age":
                yield place, "", "", D(age), D(1)
            else:
                counted = slug == "leaks_open_count"
                yield place, band(age), "" if counted else currency, D(1 if counted else is_open), None


def expected(slug: str, book: Any, dimension: str) -> Cells:
    """Return the parts of a figure of the register, without zero rows."""
    found: Cells = {}
    for month in MONTHS:
        for place, age, currency, top, bottom in lines(slug, book, month):
            at = book["units"]["leaks"][place][0]
            c = book["customers"][at] if at < len(book["customers"]) else None
            key = {"": "", "leak": slug_of(place), "open_for": age}.get(dimension, "")
            if dimension not in ("", "leak", "open_for") and c and not c["is_test"]:
                key = o.key_of(c, month, dimension)
            old = found.get((key, month, currency), (D(0), None))
            below = None if bottom is None else bottom + (old[1] or D(0))
            found[key, month, currency] = (old[0] + top, below)
    return {cell: pair for cell, pair in found.items() if any(pair)}
