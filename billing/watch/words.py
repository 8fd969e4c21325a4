"""Why usage stands out, in plain words: one sentence for each rule, the worst first."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from billing.watch.bounds import LITTLE
from resellerkpi.core.columns import day as day_words

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDER = ("callback", "silence", "hours_dear", "destination", "day", "hours_all")
Told = Sequence[tuple[Any, Any]]


def reasons(told: Iterable[tuple[Any, Any]]) -> str:
    """Return the sentences for flagged hours, each with what a rule said of it; dear hours are not told twice."""
    by_rule: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for hour, flag in told:
        by_rule[flag.rule].append((hour, flag))
    dear = {hour.id for hour, _ in by_rule["hours_dear"]}
    by_rule["hours_all"] = [(hour, flag) for hour, flag in by_rule["hours_all"] if hour.id not in dear]
    return " ".join(SENTENCES[rule](by_rule[rule]) for rule in ORDER if by_rule[rule])


def places(hours: Iterable[Any]) -> str:
    """Name where calls went, the most called first."""
    called: Counter[str] = Counter()
    for hour in hours:
        called[hour.destination] += hour.calls
    names = [name for name, _ in sorted(called.items(), key=lambda pair: (-pair[1], pair[0]))]
    more = f" and {len(names) - 2} more destinations" if len(names) > 3 else ""
    shown = names[:2] if more else names
    return ", ".join(shown) + more if more or len(shown) < 2 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def when(day: date, clocks: Iterable[int]) -> str:
    """Name a day and the span of its hours."""
    held = sorted(clocks)
    return f"{WEEKDAYS[day.weekday()]} {day_words(day)}, {held[0]:02}:00 to {(held[-1] + 1) % 24:02}:00"


def calls_of(hours: Iterable[Any]) -> str:
    """Count calls in words."""
    number = sum(hour.calls for hour in hours)
    return "1 call" if number == 1 else f"{number:,} calls"


def history(known: int | None, who: str = "number") -> str:
    """Say what usage was held against: three months of its own, or everybody's where it has little history."""
    if known is None:
        return f"this {who} has no history, so it is held against all numbers here, where"
    if known < LITTLE:
        return f"this {who} has only {known} days of history, so it is held against all numbers here as well, where"
    return f"in three months this {who}"


def _span(told: Told) -> tuple[list[Any], Any]:
    """Return the hours of the worst day of flagged hours and the night they run into, with the day's flag."""
    by_day: dict[date, int] = defaultdict(int)
    for hour, _ in told:
        by_day[hour.day] += hour.calls
    worst = min(by_day, key=lambda day: (-by_day[day], day))
    return [hour for hour, _ in told if hour.day == worst], next(flag for h, flag in told if h.day == worst)


def _more(told: Told, shown: Sequence[Any]) -> str:
    others = {hour.day for hour, _ in told} - {hour.day for hour in shown}
    if not others:
        return ""
    return f" So on {len(others)} more day{'s' if len(others) > 1 else ''}."


def _hours(told: Told, what: str) -> str:
    shown, flag = _span(told)
    peak = max(int(f.peak) for h, f in told if h.day == shown[0].day)
    span = when(shown[0].day, {hour.slot % 24 for hour in shown})
    own = flag.known is not None and flag.known >= LITTLE
    if peak == 0:
        usual = (
            f"made no {what} around these hours"
            if own
            else f"hardly any number makes {what} around these hours"
        )
    else:
        usual = (
            f"made at most {peak:,} an hour around then, but for one day"
            if own
            else (f"{peak:,} an hour is the most around then")
        )
    return (
        f"{calls_of(shown)} to {places(shown)} on {span}; {history(flag.known)} {usual}.{_more(told, shown)}"
    )


def _dear(told: Told) -> str:
    return _hours(told, "international or premium calls")


def _all(told: Told) -> str:
    return _hours(told, "calls")


def _day(told: Told) -> str:
    shown, flag = _span(told)
    if flag.known is not None and flag.known >= LITTLE:
        usual = (
            "cost more than three times its second dearest day of three months"
            if flag.peak
            else ("cost money, after three months with next to none")
        )
    else:
        usual = f"cost more than three times what is usual: {history(flag.known)} a day that dear is rare"
    return f"The {calls_of(shown)} on {day_words(shown[0].day)} {usual}.{_more(told, shown)}"


def _destination(told: Told) -> str:
    hours = [hour for hour, _ in told]
    first, last = hours[0].day, hours[-1].day
    span = f"on {day_words(first)}" if first == last else f"from {day_words(first)} to {day_words(last)}"
    known = told[0][1].known
    rare = all(not flag.shared for _, flag in told)
    if known is None or known < LITTLE:
        return f"{calls_of(hours)} to {places(hours)} {span}, where few customers here call; this customer is new."
    others = " and no other customer here did" if rare else ""
    return f"{calls_of(hours)} to {places(hours)} {span}; in three months this customer had not called there{others}."


def _silence(told: Told) -> str:
    hours = [hour for hour, _ in told]
    known = told[0][1].known
    before = "three months" if known is None else "four weeks"
    return f"{calls_of(hours)} to {places(hours)} from {day_words(hours[0].day)} on, after {before} without a call."


def _callback(told: Told) -> str:
    shown, flag = _span(told)
    lines = len({(hour.customer_id, hour.number_id) for hour in shown})
    customers = len({hour.customer_id for hour in shown})
    whose = "1 customer" if customers == 1 else f"{customers:,} customers"
    usual = f"at most {int(flag.peak):,} a day" if flag.peak else "none"
    return (
        f"{lines:,} numbers of {whose} called {shown[0].destination} on {day_words(shown[0].day)}; in three months it "
        f"was {usual}, but for one day. Missed calls that bait a call back look like this.{_more(told, shown)}"
    )


SENTENCES = {
    "callback": _callback,
    "silence": _silence,
    "hours_dear": _dear,
    "destination": _destination,
    "day": _day,
    "hours_all": _all,
}
