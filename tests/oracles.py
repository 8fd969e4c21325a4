"""Naive plain-Python billing to check the product against: one call or day at a time, fractions, no numpy."""

import math
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class NaiveCall:
    """One call and what it pays, money in 1e-8 of the currency."""

    seconds: int
    rate: int
    answered: bool = True
    fee: int = 0
    minimum: int = 0
    maximum: int = -1
    initial: int = 1
    next: int = 1
    free: int = 0
    places: int = 4
    rounding: int = 0
    charge_unanswered: bool = False
    fee_in_allowance: bool = True
    bundle: int = 0


def naive_round(value: Fraction, places: int, rounding: int) -> Fraction:
    """Round to decimal places: 0 half-up (away from zero), 1 half-even, 2 up, 3 down."""
    scaled = value * 10**places
    if rounding == 0:
        whole = math.floor(abs(scaled) + Fraction(1, 2)) * (1 if scaled >= 0 else -1)
    elif rounding == 1:
        whole = round(scaled)
    else:
        whole = math.ceil(scaled) if rounding == 2 else math.floor(scaled)
    return Fraction(whole, 10**places)


def naive_billed(seconds: int, initial: int, following: int) -> int:
    """Count increments one by one until they hold the seconds."""
    if seconds <= 0:
        return 0
    billed = initial
    while billed < seconds:
        billed += following
    return billed


def naive_price(call: NaiveCall) -> tuple[int, int]:
    """Return billed seconds and the amount in 1e-8 of the currency."""
    fee = Fraction(call.fee, 10**8)
    if not call.answered or call.seconds == 0:
        return 0, _finish(call, fee if call.charge_unanswered else Fraction(0), minimum=False)
    billed = naive_billed(call.seconds - call.free, call.initial, call.next)
    paid = billed - call.bundle
    if paid == 0:
        return billed, _finish(call, fee if call.fee_in_allowance else Fraction(0), minimum=False)
    return billed, _finish(call, fee + paid * Fraction(call.rate, 10**8) / 60, minimum=True)


def _finish(call: NaiveCall, price: Fraction, *, minimum: bool) -> int:
    if minimum and call.minimum > 0:
        price = max(price, Fraction(call.minimum, 10**8))
    if call.maximum >= 0:
        price = min(price, Fraction(call.maximum, 10**8))
    return int(naive_round(price, call.places, call.rounding) * 10**8)


@dataclass(frozen=True)
class NaivePiece:
    """A part of a call in one band, and what it pays."""

    seconds: int
    rate: int
    initial: int
    next: int


def naive_split_price(call: NaiveCall, pieces: list[NaivePiece]) -> tuple[list[int], int]:
    """Price one call of several pieces increment by increment; return paid seconds by piece and the
    amount.
    """
    ends, total = [], 0
    for piece in pieces:
        total += piece.seconds
        ends.append(total)
    billed = [0] * len(pieces)
    position, first = call.free, True
    while call.answered and position < total:
        number = next(i for i, end in enumerate(ends) if position < end)
        size = pieces[number].initial if first else pieces[number].next
        billed[number] += size
        position, first = position + size, False
    left = call.bundle
    for number, seconds in enumerate(billed):
        taken = min(left, seconds)
        billed[number], left = seconds - taken, left - taken
    fee = Fraction(call.fee, 10**8)
    if not call.answered or total == 0:
        return billed, _finish(call, fee if call.charge_unanswered else Fraction(0), minimum=False)
    if sum(billed) == 0:
        return billed, _finish(call, fee if call.fee_in_allowance else Fraction(0), minimum=False)
    cost = sum((n * Fraction(p.rate, 10**8) / 60 for n, p in zip(billed, pieces, strict=True)), fee)
    return billed, _finish(call, cost, minimum=True)


def naive_band(instant: int, zone: ZoneInfo, bands: Iterable, bank_holidays: set[date]) -> int:
    """Return the position of the band that holds the instant, -1 for none."""
    local = datetime.fromtimestamp(instant, UTC).astimezone(zone)
    minute = local.hour * 60 + local.minute
    best, best_priority = -1, -math.inf
    for code, band in enumerate(bands):
        on_day = bool(band.weekdays >> local.weekday() & 1) or (
            band.holidays and local.date() in bank_holidays
        )
        if band.start_minute < band.end_minute:
            in_time = band.start_minute <= minute < band.end_minute
        else:
            in_time = minute >= band.start_minute or minute < band.end_minute
        if on_day and in_time and band.priority > best_priority:
            best, best_priority = code, band.priority
    return best


def naive_draw(rows: list[tuple[int, int]], allowances: dict[int, int], step: int) -> list[tuple[int, int]]:
    """Draw (group, need) rows one by one; return units covered and units used up of each."""
    left = {group: allowance // step for group, allowance in allowances.items()}
    drawn = []
    for group, need in rows:
        steps = min(-(-need // step), left.get(group, 0))
        if group in left:
            left[group] -= steps
        drawn.append((min(need, steps * step), steps * step))
    return drawn


def naive_boundaries(start: date, months: int, anchor: int, until: date) -> list[date]:
    """Return the aligned days from the start until a day, found by looking at each day in turn."""
    found: list[date] = []
    day = start
    while day <= until:
        if day.day == min(anchor, monthrange(day.year, day.month)[1]):
            months_on = (day.year - start.year) * 12 + day.month - start.month
            first = found[0] if found else None
            if first is None:
                passed = min(anchor, monthrange(start.year, start.month)[1]) < start.day
                if months_on == (months if passed else 0):
                    found.append(day)
            elif ((day.year - first.year) * 12 + day.month - first.month) % months == 0:
                found.append(day)
        day += timedelta(days=1)
    return found
