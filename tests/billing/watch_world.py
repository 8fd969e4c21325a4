"""Random weeks of usage for the fraud watch, quiet or with planted fraud, and its rules again in plain Python."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal as D
from math import ceil, sqrt
from random import Random

from billing.models import Customer, Number, NumberAssignment, UsageHour
from resellerkpi.core.models import Reseller
from tests.billing.money import make_customer

FIRST, UNTIL = date(2026, 11, 2), date(2026, 11, 30)
BEGIN = FIRST - timedelta(days=91 + 28)
OFFICE = (0,) * 7 + (1, 4, 8, 10, 9, 6, 7, 9, 8, 6, 3, 1) + (0,) * 5
#: Name, kind, pounds a minute, share of a quiet customer's calls.
PLACES = (
    ("UK geographic", "national", D("0.018"), 60),
    ("UK mobile", "national", D("0.065"), 30),
    ("Ireland", "abroad", D("0.025"), 5),
    ("France", "abroad", D("0.02"), 3),
    ("India", "abroad", D("0.042"), 1),
    ("Premium 090", "premium", D("1.60"), 1),
)


@dataclass
class Line:
    """A number of the world with how many calls it makes on a working day."""

    customer: Customer
    number: Number
    daily: int


def make_lines(house: Reseller, random: Random, *, customers: int = 6, numbers: int = 2) -> list[Line]:
    """Make customers with numbers in service since long ago, of different sizes."""
    lines = []
    for c in range(customers):
        customer = make_customer(house, f"C{c}")
        for n in range(numbers):
            number = Number.objects.create(reseller=house, number=f"+4420794{c:03}{n:02}")
            NumberAssignment.objects.create(
                reseller=house, number=number, customer=customer, start_date=date(2025, 1, 1)
            )
            lines.append(Line(customer, number, random.choice((2, 4, 8, 15, 40))))
    return lines


def quiet(
    line: Line, random: Random, *, begin: date = BEGIN, until: date = UNTIL, growth: float = 0.0
) -> list[UsageHour]:
    """Return a steady customer's hours: office days, busier Mondays, a few calls at weekends, a holiday week.

    `growth` is by how much calls grow each week. The clocks change on 25 October within these days.
    """
    counted: dict[tuple[date, int, int], int] = defaultdict(int)
    for at in range((until - begin).days):
        day = begin + timedelta(days=at)
        weekday = day.weekday()
        share = (1.5, 1, 1, 1, 0.9, 0.15, 0.08)[weekday] * (1 + growth) ** (at / 7)
        if date(2026, 8, 24) <= day < date(2026, 9, 1):
            share *= 0.1
        mean = line.daily * share
        for _ in range(max(0, round(random.gauss(mean, sqrt(mean) * 1.3)))):
            clock = random.choices(range(24), OFFICE)[0]
            place = random.choices(range(len(PLACES)), [p[3] for p in PLACES])[0]
            counted[day, clock, place] += 1
    return [
        an_hour(
            line, day, clock, place=PLACES[place][:3], calls=calls, minutes=calls * random.choice((1, 2, 3))
        )
        for (day, clock, place), calls in counted.items()
    ]


def an_hour(
    line: Line, day: date, clock: int, *, place: tuple[str, str, D], calls: int, minutes: int
) -> UsageHour:
    """Return an hour of calls to a place (name, kind, price a minute) that cost half of their price."""
    name, kind, price = place
    retail = price * minutes
    return UsageHour(
        reseller_id=line.customer.reseller_id,
        customer=line.customer,
        number=line.number,
        day=day,
        slot=day.weekday() * 24 + clock,
        kind=kind,
        destination=name,
        currency="GBP",
        cost_currency="GBP",
        calls=calls,
        seconds=minutes * 60,
        retail=retail,
        cost=retail / 2,
    )


def by_days(start: date, days: int) -> list[date]:
    """Return days in a row."""
    return [start + timedelta(days=n) for n in range(days)]


Flags = dict[str, set[int]]


def naive_flags(hours: Iterable[UsageHour], *, first: date = FIRST, until: date = UNTIL) -> Flags:
    """Return the ids of hours flagged by each rule, worked out hour by hour from docs/fraud.md."""
    held = list(hours)
    past = [h for h in held if first - timedelta(days=91) <= h.day < first]
    window = [h for h in held if first <= h.day < until]
    flags: Flags = defaultdict(set)
    if not past or min(h.day for h in past) > first - timedelta(days=28):
        return flags
    lines: dict[tuple[int, int | None], list[UsageHour]] = defaultdict(list)
    for hour in _calls([*past, *window]):
        lines[hour.customer_id, hour.number_id].append(hour)
    for mine in lines.values():
        if sum(worth(h) for h in mine if h.day >= first) >= 5:
            _of_line(mine, _calls(past), first, flags)
    _destinations(held, min(first, until - timedelta(days=28)), until, flags)
    _callbacks(past, window, flags)
    return flags


def _calls(hours: Iterable[UsageHour]) -> list[UsageHour]:
    """Return calls and messages: what is asked of a number leaves data out."""
    return [hour for hour in hours if hour.kind != "data"]


def worth(hour: UsageHour) -> D:
    """Return the dearer of price and cost."""
    return max(hour.retail, hour.cost)


def _dear(hour: UsageHour) -> bool:
    return hour.kind in ("abroad", "premium")


def _second(values: Iterable[D | int]) -> D | int:
    ordered = sorted(values)
    return ordered[-2] if len(ordered) > 1 else 0


def _percentile(values: Iterable[D | int]) -> D | int:
    ordered = sorted(values)
    return ordered[ceil(0.995 * len(ordered)) - 1] if ordered else 0


def _of_line(mine: list[UsageHour], past: list[UsageHour], first: date, flags: Flags) -> None:
    before = [h for h in mine if h.day < first]
    known = (first - min(h.day for h in before)).days if before else 0
    recent = [h for h in past if h.day >= first - timedelta(days=28)]
    for group, least in (("dear", 5), ("all", 20)):
        chosen = [h for h in mine if group == "all" or _dear(h)]
        cells: dict[tuple[date, int], int] = defaultdict(int)
        for hour in chosen:
            cells[hour.day, hour.slot] += hour.calls
        for (day, slot), calls in cells.items():
            if day < first or calls < least:
                continue
            near: dict[date, int] = defaultdict(int)
            for (other, at), n in cells.items():
                apart = (at % 24 - slot % 24) % 24
                if other < first and (at >= 120) == (slot >= 120) and apart in (0, 1, 23):
                    near[other] = max(near[other], n)
            peak = _second(near.values())
            if known < 28:
                peak = max(peak, _everybody(recent, group, slot))
            mean = sum(n for (d, s), n in cells.items() if d < first and s == slot) / 13
            if calls > 2 * peak and calls > mean + 5 * sqrt(mean + 1):
                flags[f"hours_{group}"] |= {h.pk for h in chosen if (h.day, h.slot) == (day, slot)}
    _spent(mine, recent, first, known, flags)
    _woken(mine, first, flags)


def _everybody(recent: list[UsageHour], group: str, slot: int) -> D | int:
    cells: dict[tuple[int, int | None, date, int], int] = defaultdict(int)
    for hour in recent:
        if group == "all" or _dear(hour):
            cells[hour.customer_id, hour.number_id, hour.day, hour.slot] += hour.calls
    same = [n for (*_, s), n in cells.items() if s % 24 == slot % 24 and (s >= 120) == (slot >= 120)]
    return _percentile(same)


def _spent(mine: list[UsageHour], recent: list[UsageHour], first: date, known: int, flags: Flags) -> None:
    days: dict[date, D] = defaultdict(D)
    for hour in mine:
        days[hour.day] += worth(hour)
    peak = _second(m for d, m in days.items() if d < first)
    if known < 28:
        everybody: dict[tuple[int, int | None, date], D] = defaultdict(D)
        for hour in recent:
            everybody[hour.customer_id, hour.number_id, hour.day] += worth(hour)
        peak = max(peak, _percentile(everybody.values()))
    odd = {d for d, m in days.items() if d >= first and m >= 20 and m > 3 * peak}
    flags["day"] |= {h.pk for h in mine if h.day in odd}


def _woken(mine: list[UsageHour], first: date, flags: Flags) -> None:
    """Every number of these worlds has been in service since 2025."""
    if any(first - timedelta(days=28) <= h.day < first for h in mine):
        return
    begun = min(h.day for h in mine if h.day >= first)
    days = [h for h in mine if begun <= h.day < begun + timedelta(days=3)]
    if sum(worth(h) for h in days if _dear(h)) >= 10:
        flags["silence"] |= {h.pk for h in days}


def _destinations(held: list[UsageHour], since: date, until: date, flags: Flags) -> None:
    past = [h for h in held if since - timedelta(days=91) <= h.day < since]
    callers = {h.customer_id for h in past if h.day >= since - timedelta(days=29)}
    groups: dict[tuple[int, str], list[UsageHour]] = defaultdict(list)
    for hour in held:
        if since <= hour.day < until and _dear(hour):
            groups[hour.customer_id, hour.destination].append(hour)
    for (customer, destination), mine in groups.items():
        money = sum(worth(h) for h in mine)
        know = {h.customer_id for h in past if h.destination == destination and _dear(h)}
        if sum(h.calls for h in mine) < 3 or money < 5 or customer in know:
            continue
        own = [h.day for h in past if h.customer_id == customer]
        little = not own or (since - min(own)).days < 28
        common = len(know) * 100 >= 5 * len(callers)
        if not (little and common) and (money >= 15 or not (little or common)):
            flags["destination"] |= {h.pk for h in mine}


def _callbacks(past: list[UsageHour], window: list[UsageHour], flags: Flags) -> None:
    def lines(hours: Iterable[UsageHour]) -> dict[tuple[str, date], set[tuple[int, int | None]]]:
        found: dict[tuple[str, date], set[tuple[int, int | None]]] = defaultdict(set)
        for hour in hours:
            if _dear(hour):
                found[hour.destination, hour.day].add((hour.customer_id, hour.number_id))
        return found

    before = lines(past)
    for (destination, day), callers in lines(window).items():
        peak = _second(len(c) for (name, _), c in before.items() if name == destination)
        if len(callers) >= 6 and len(callers) > 3 * peak:
            flags["callback"] |= {
                h.pk for h in window if _dear(h) and (h.destination, h.day) == (destination, day)
            }
