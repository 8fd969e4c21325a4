"""Unusual usage: what the rules flag in a window of days, gathered into one finding for each number, with its money."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db import connection

from billing.watch.bounds import BOUNDS, HISTORY, LITTLE, Bounds
from billing.watch.rules_sql import RULES
from billing.watch.words import reasons
from resellerkpi.core.models import Reseller

#: The most hours of one finding that are kept to find its calls by.
MOST_CELLS = 2_000
#: Statistics of kept hours are rough while days are summed again; a nested loop over all of them would never end.
SETTINGS = "SET LOCAL jit = off"

DETAILS = """
SELECT hour.id, hour.customer_id, customer.code, customer.name, coalesce(hour.number_id, 0),
    coalesce(number.number, ''), hour.day, hour.slot, hour.kind, hour.destination, hour.currency, hour.cost_currency,
    hour.calls, hour.seconds, hour.retail, hour.cost
FROM billing_usagehour hour
JOIN billing_customer customer ON customer.id = hour.customer_id
LEFT JOIN billing_number number ON number.id = hour.number_id
WHERE hour.reseller_id = %s AND hour.id = ANY (%s)
ORDER BY hour.day, hour.slot, hour.customer_id, hour.number_id, hour.id
"""


class Hour(NamedTuple):
    """A kept hour that a rule flagged."""

    id: int
    customer_id: int
    code: str
    customer: str
    number_id: int
    number: str
    day: date
    slot: int
    kind: str
    destination: str
    currency: str
    cost_currency: str
    calls: int
    seconds: int
    retail: Decimal
    cost: Decimal


@dataclass(frozen=True)
class Flag:
    """What one rule says of an hour: what was usual at most, days of history, share of customers who call there."""

    rule: str
    peak: Decimal
    known: int | None
    shared: Decimal | None


@dataclass(frozen=True)
class Unusual:
    """Usage that stands out: whose, why in words, and the money of exactly the hours behind it, each counted once.

    `subject` tells it apart by account code, number or destination; `query` finds its calls in the list of calls.

    `customer_id` is None for a destination that numbers of many customers called. Money is in `currency` alone;
    `retail` may be 0 where no rate was found.
    """

    subject: str
    label: str
    why: str
    customer_id: int | None
    number_id: int | None
    rules: tuple[str, ...]
    first: date
    last: date
    calls: int
    retail: Decimal
    currency: str
    cost: Decimal
    cost_currency: str
    hours: list[dict[str, Any]]
    query: str


def window(*, first: date, until: date) -> dict[str, date]:
    """Return the days the rules ask about: volumes of the window, new destinations of at least its last four weeks."""
    since = min(first, until - timedelta(days=LITTLE))
    back = timedelta(days=HISTORY)
    return {"first": first, "until": until, "past": first - back, "since": since, "since_past": since - back}


def unusual(reseller: Reseller, *, first: date, until: date, bounds: Bounds = BOUNDS) -> list[Unusual]:
    """Return the unusual usage of the local days [first, until), dearest first; the kept hours must be up to date."""
    flags = flagged(reseller.pk, first=first, until=until, bounds=bounds)
    with connection.cursor() as cursor:
        cursor.execute(DETAILS, [reseller.pk, list(flags)])
        hours = [Hour(*row) for row in cursor.fetchall()]
    found = [_made(subject, members, flags) for subject, members in _subjects(hours, flags).items()]
    return sorted(found, key=lambda one: (-max(one.retail, one.cost), one.subject))


def flagged(reseller_id: int, *, first: date, until: date, bounds: Bounds = BOUNDS) -> dict[int, list[Flag]]:
    """Return what the rules say by id of the kept hour."""
    about = {
        "reseller": reseller_id,
        "little": LITTLE,
        "history": HISTORY,
        **window(first=first, until=until),
        **bounds.params(),
    }
    flags: dict[int, list[Flag]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        for rule in RULES:
            cursor.execute(rule, about)
            for name, pk, *said in cursor.fetchall():
                flags[pk].append(Flag(name, *said))
    return dict(flags)


def _subjects(hours: Iterable[Hour], flags: dict[int, list[Flag]]) -> dict[str, list[Hour]]:
    """Put hours together: by number, by customer where several numbers call a new destination, else by destination."""
    found: dict[str, list[Hour]] = defaultdict(list)
    shared: list[Hour] = []
    for hour in hours:
        rules = {flag.rule for flag in flags[hour.id]}
        if rules & {"hours_dear", "hours_all", "day", "silence"}:
            found[_number(hour)].append(hour)
        elif "destination" in rules:
            shared.append(hour)
        if "callback" in rules:
            found[f"calls back: {hour.destination}"].append(hour)
    numbers: dict[int, set[int]] = defaultdict(set)
    for hour in shared:
        numbers[hour.customer_id].add(hour.number_id)
    for hour in shared:
        own = _number(hour)
        alone = own in found or len(numbers[hour.customer_id]) == 1
        found[own if alone else f"account {hour.code}"].append(hour)
    return found


def _made(subject: str, hours: Sequence[Hour], flags: dict[int, list[Flag]]) -> Unusual:
    """Sum a subject's hours in the currency that most of them have and say why they stand out."""
    hours = sorted(hours, key=lambda hour: (hour.day, hour.slot, hour.id))
    bait = subject.startswith("calls back: ")
    told = [(hour, flag) for hour in hours for flag in flags[hour.id] if (flag.rule == "callback") == bait]
    currency = Counter(hour.currency for hour in hours).most_common(1)[0][0]
    bought = Counter(hour.cost_currency for hour in hours if hour.cost).most_common(1)
    paid_in = bought[0][0] if bought else ""
    one = hours[0]
    return Unusual(
        subject=subject,
        label=_label(subject, one, bait),
        why=reasons(told),
        customer_id=None if bait else one.customer_id,
        number_id=one.number_id or None if subject == _number(one) else None,
        rules=tuple(sorted({flag.rule for _, flag in told})),
        first=hours[0].day,
        last=hours[-1].day,
        calls=sum(hour.calls for hour in hours),
        retail=sum((hour.retail for hour in hours if hour.currency == currency), Decimal(0)),
        currency=currency,
        cost=sum((hour.cost for hour in hours if hour.cost_currency == paid_in), Decimal(0)),
        cost_currency=paid_in,
        hours=[
            {
                "day": hour.day.isoformat(),
                "slot": hour.slot,
                "customer_id": hour.customer_id,
                "number_id": hour.number_id,
                "destination": hour.destination,
            }
            for hour in hours[:MOST_CELLS]
        ],
        query=urlencode(_where(subject, one, bait)),
    )


def _number(hour: Hour) -> str:
    return f"{hour.code} {hour.number}".strip()


def _where(subject: str, hour: Hour, bait: bool) -> dict[str, str]:
    if bait:
        return {"dialled": hour.destination}
    return {"line": hour.number} if hour.number and subject == _number(hour) else {"customer": hour.code}


def _label(subject: str, hour: Hour, bait: bool) -> str:
    if bait:
        return f"Many numbers calling {hour.destination}"
    return f"{hour.customer}, {hour.number}" if hour.number and subject == _number(hour) else hour.customer
