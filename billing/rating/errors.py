"""Calls that could not be priced, in the order in which repairs help: what is missing, how many, at what cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max, Min

from billing.models import Call, CdrFile, Customer, Number
from billing.rating.dated import day_of
from resellerkpi.core.models import Reseller

#: The order of repair: a number first, then its owner, a tariff, a rate; the rest is the source's layout.
ORDER = (
    Call.Reason.UNKNOWN_CLI,
    Call.Reason.INACTIVE,
    Call.Reason.NO_TARIFF,
    Call.Reason.NO_RATE,
    Call.Reason.UNKNOWN_TYPE,
)
GROUPS = 5_000
NEAR = 7

_ITEMS = """
SELECT call.reason,
    CASE call.reason WHEN 'unknown_cli' THEN call.billed_party WHEN 'inactive' THEN call.number_id::text
        WHEN 'no_tariff' THEN call.customer_id::text
        WHEN 'no_rate' THEN coalesce(nullif(call.destination, ''), nullif(call.charge_code, ''),
                                     left(call.dialled, 7))
        ELSE call.service END AS item,
    call.cost_currency, count(*), sum(call.duration), sum(coalesce(call.cost, call.expected_cost, 0)),
    min(call.started_at), max(call.started_at), min(call.id), max(call.dialled)
FROM billing_call call
WHERE call.reseller_id = %s AND call.state = 'error' AND call.started_at >= %s AND call.started_at <= %s
GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT %s
"""
_NEAREST = """
SELECT wanted.identity, near.number, customer.id, customer.name
FROM unnest(%s::text[]) AS wanted (identity)
CROSS JOIN LATERAL (
    (SELECT number.id, number.number FROM billing_number number
     WHERE number.reseller_id = %s AND number.number <= wanted.identity ORDER BY number.number DESC LIMIT 1)
    UNION ALL
    (SELECT number.id, number.number FROM billing_number number
     WHERE number.reseller_id = %s AND number.number > wanted.identity ORDER BY number.number LIMIT 1)
) near
JOIN billing_numberassignment assigned ON assigned.number_id = near.id AND assigned.reseller_id = %s
    AND assigned.end_date IS NULL
JOIN billing_customer customer ON customer.id = assigned.customer_id
"""


@dataclass
class ErrorItem:
    """One missing thing: what it is called, its calls, their cost at least by currency, and when they were."""

    key: str
    name: str
    calls: int = 0
    seconds: int = 0
    costs: dict[str, Decimal] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    call_id: int = 0
    example: str = ""
    near_number: str = ""
    near_customer: str = ""
    near_customer_id: int = 0

    def add(self, row: tuple[Any, ...]) -> None:
        """Add the calls of one currency."""
        _, _, currency, calls, seconds, cost, first, last, call_id, dialled = row
        self.calls += calls
        self.seconds += seconds
        if cost:
            self.costs[currency] = self.costs.get(currency, Decimal(0)) + cost
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)
        self.call_id, self.example = self.call_id or call_id, self.example or dialled


@dataclass(frozen=True)
class ErrorGroup:
    """The errors of one reason with their distinct items, most calls first."""

    reason: str
    label: str
    items: tuple[ErrorItem, ...]

    @property
    def calls(self) -> int:
        """How many calls have this error."""
        return sum(item.calls for item in self.items)

    @property
    def costs(self) -> dict[str, Decimal]:
        """What the calls cost at least, by currency."""
        found: dict[str, Decimal] = {}
        for item in self.items:
            for currency, cost in item.costs.items():
                found[currency] = found.get(currency, Decimal(0)) + cost
        return found


def billing_errors(reseller: Reseller) -> list[ErrorGroup]:
    """Return the errors by reason in repair order; only the span of files that hold any is read."""
    span = error_span(reseller)
    if span is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, [reseller.pk, *span, GROUPS])
        rows = cursor.fetchall()
    found: dict[tuple[str, str], ErrorItem] = {}
    for row in rows:
        found.setdefault((row[0], row[1] or ""), ErrorItem(row[1] or "", row[1] or "")).add(row)
    groups = []
    for reason in ORDER:
        items = sorted(
            (item for (why, _), item in found.items() if why == reason),
            key=lambda item: (-item.calls, item.key),
        )
        if items:
            groups.append(ErrorGroup(reason, reason.label, _named(reason, tuple(items))))
    return groups


def error_span(reseller: Reseller) -> tuple[datetime, datetime] | None:
    """Return the first and last start of the calls of files that hold errors, None when none does."""
    files = CdrFile.objects.filter(reseller=reseller, unpriced__gt=0)
    span = files.aggregate(first=Min("first_call_at"), last=Max("last_call_at"))
    return None if span["first"] is None else (span["first"], span["last"])


def offer_owners(reseller: Reseller, items: Sequence[ErrorItem]) -> None:
    """Name for each unknown line the customer of the nearest number that begins with the same seven signs."""
    wanted = {item.key: item for item in items}
    with connection.cursor() as cursor:
        cursor.execute(_NEAREST, [list(wanted), *[reseller.pk] * 3])
        rows = cursor.fetchall()
    best: dict[str, int] = {}
    for identity, number, customer_id, customer in rows:
        common = _common(identity, number)
        if common >= NEAR and common > best.get(identity, 0):
            best[identity] = common
            item = wanted[identity]
            item.near_number, item.near_customer, item.near_customer_id = number, customer, customer_id


def first_day(reseller: Reseller, items: Sequence[ErrorItem]) -> date:
    """Return the local day of the first call of the items; the beginning of time when there is none."""
    starts = [item.first for item in items if item.first is not None]
    return min(starts).astimezone(reseller.zone).date() if starts else day_of(0)


def _named(reason: str, items: tuple[ErrorItem, ...]) -> tuple[ErrorItem, ...]:
    """Give items that are rows of the book their names."""
    models = {Call.Reason.INACTIVE: (Number, "number"), Call.Reason.NO_TARIFF: (Customer, "name")}
    if reason in models:
        model, name = models[Call.Reason(reason)]
        ids = [int(item.key) for item in items if item.key]
        names = dict(model.objects.filter(pk__in=ids).values_list("pk", name))
        for item in items:
            item.name = names.get(int(item.key or 0), "no longer in the book")
    return items


def _common(one: str, other: str) -> int:
    """Return how many signs two texts begin with in common."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
