"""Reads what decides recurring charges: features with their terms, dated prices, and what is charged already."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from django.db import connection

from billing.charging.coverage import Span
from billing.charging.prorate import Interval, Method, Mode, Service
from billing.models import Feature, FeaturePrice, FeatureType

BEGINNING = date.min
MODES = {mode.value: mode for mode in Mode}
METHODS = {method.value: method for method in Method}
KEPT = 4_096


class Price(NamedTuple):
    """Price and cost of one interval over dates (end exclusive, None while open)."""

    start: date
    end: date | None
    price: Decimal
    cost: Decimal


class Charged(NamedTuple):
    """A recurring charge (sign 1) or a credit of one (sign -1) that exists; unit cost is per interval and piece."""

    start: date
    end: date
    sign: int
    unit_price: Decimal
    quantity: Decimal

    @property
    def span(self) -> Span:
        """The days it charges or credits."""
        return (self.start, self.end)


class FeatureRow(NamedTuple):
    """A feature as read from the book."""

    id: int
    customer_id: int
    number_id: int | None
    type_id: int
    quantity: int
    start: date
    end: date | None
    price: Decimal | None
    cost: Decimal | None
    discount: Decimal
    name: str
    kind: str
    interval: str
    timing: str
    prorate: str
    currency: str
    activation_fee: Decimal
    anchor_day: int
    continues: int | None


FIELDS = (
    "id",
    "customer_id",
    "number_id",
    "feature_type_id",
    "quantity",
    "start_date",
    "end_date",
    "price",
    "cost",
    "discount_percent",
    "feature_type__name",
    "feature_type__kind",
    "feature_type__interval",
    "feature_type__timing",
    "feature_type__prorate",
    "feature_type__currency",
    "feature_type__activation_fee",
    "customer__billing_day",
    "continues_id",
)


@lru_cache(maxsize=KEPT)
def service_of(start: date, end: date | None, interval: str, anchor_day: int) -> Service:
    """Return the days and rhythm of a service; many features share them."""
    return Service(start, end, Interval(interval), anchor_day)


@dataclass(slots=True)
class Terms:
    """A feature with its prices in order and what is charged already.

    `origin` is where its periods are counted from: its start, or for a feature that continues another in the same
    rhythm, the origin of that one.
    `settled_to` says that exactly the days from its start up to there are charged; otherwise `charged` tells.
    """

    row: FeatureRow
    prices: list[Price]
    origin: date
    settled_to: date | None = None
    charged: list[Charged] = field(default_factory=list)
    has_activation: bool = False
    has_once: bool = False

    @property
    def is_once(self) -> bool:
        """Whether it is charged once, at its start."""
        return self.row.interval == FeatureType.Interval.ONCE

    @property
    def is_package(self) -> bool:
        """Whether starting it is an activation and each charge a renewal."""
        return self.row.kind == FeatureType.Kind.PACKAGE

    @property
    def service(self) -> Service:
        """The days and rhythm of the service, from its origin on."""
        return service_of(self.origin, self.row.end, self.row.interval, self.row.anchor_day)

    @property
    def mode(self) -> Mode:
        """Charged before or after the period served."""
        return MODES[self.row.timing]

    @property
    def method(self) -> Method:
        """How part periods are charged."""
        return METHODS[self.row.prorate]


def load_terms(reseller_id: int, until: date, *, customer_id: int | None = None) -> list[Terms]:
    """Return the features to charge that began by a day, in the order of their making; all or one customer's."""
    prices = list_prices()
    features = Feature.objects.filter(not_charged=False, start_date__lte=until)
    if customer_id is not None:
        features = features.filter(customer_id=customer_id)
    found = features.order_by("pk").values_list(*FIELDS)
    rows = {row.id: row for row in (FeatureRow(*row) for row in found.iterator())}
    origins = origins_of(rows)
    known: dict[tuple[object, ...], list[Price]] = {}
    terms: dict[int, Terms] = {}
    for row in rows.values():
        own = (row.type_id, row.price, row.cost, row.discount)
        if own not in known:
            known[own] = own_prices(row, prices[row.type_id])
        terms[row.id] = Terms(row, known[own], origins.get(row.id, row.start))
    _add_charged(reseller_id, terms, customer_id)
    return list(terms.values())


def origins_of(rows: dict[int, FeatureRow]) -> dict[int, date]:
    """Return the days from which the periods of features that continue others are counted.

    One that continues another in the same rhythm goes on in its periods; a feature that is not among the rows, because
    it is not charged, begins none.
    """
    origins: dict[int, date] = {}
    for row in sorted((row for row in rows.values() if row.continues), key=lambda row: row.start):
        before = rows.get(row.continues or 0)
        same = before and (before.interval, before.timing, before.prorate) == (
            row.interval, row.timing, row.prorate,
        )  # fmt: skip
        origins[row.id] = origins.get(before.id, before.start) if before and same else row.start
    return origins


def own_prices(row: FeatureRow, listed: list[Price]) -> list[Price]:
    """Return the feature's prices over dates: the list's with its own price, cost and discount put in.

    A price of its own holds on every day, also where the list has none.
    """
    segments = listed if row.price is None else _without_gaps(listed)
    share = 1 - row.discount / 100
    return [
        Price(
            start,
            end,
            (price if row.price is None else row.price) * share,
            cost if row.cost is None else row.cost,
        )
        for start, end, price, cost in segments
    ]


def _without_gaps(listed: list[Price]) -> list[Price]:
    zero, filled, reached = Decimal(0), list[Price](), BEGINNING
    for segment in listed:
        if segment.start > reached:
            filled.append(Price(reached, segment.start, zero, zero))
        filled.append(segment)
        if segment.end is None:
            return filled
        reached = segment.end
    return [*filled, Price(reached, None, zero, zero)]


def list_prices() -> dict[int, list[Price]]:
    """Return the list prices of each feature type in order."""
    prices: dict[int, list[Price]] = defaultdict(list)
    listed = FeaturePrice.objects.order_by("feature_type_id", "valid_from")
    for type_id, *price in listed.values_list("feature_type_id", "valid_from", "valid_to", "price", "cost"):
        prices[type_id].append(Price(*price))
    return prices


SUMMARY = """
SELECT feature_id, min(service_start) FILTER (WHERE kind <> 'one_off'),
    max(service_end) FILTER (WHERE kind <> 'one_off'),
    sum((service_end - service_start) * CASE kind WHEN 'recurring' THEN 1 WHEN 'credit' THEN -1 ELSE 0 END),
    bool_or(is_activation), bool_or(kind = 'one_off' AND NOT is_activation)
FROM billing_charge
WHERE reseller_id = %s AND (%s OR customer_id = %s) AND feature_id IS NOT NULL AND left(source_key, 8) = 'feature:'
GROUP BY feature_id
"""

DETAILS = """
SELECT feature_id, service_start, service_end, CASE kind WHEN 'recurring' THEN 1 ELSE -1 END, unit_price, quantity
FROM billing_charge
WHERE reseller_id = %s AND feature_id = ANY (%s) AND left(source_key, 8) = 'feature:' AND kind <> 'one_off'
ORDER BY id
"""


def _add_charged(reseller_id: int, terms: dict[int, Terms], customer_id: int | None) -> None:
    """Fill in what is charged: in short where it is one run of days from the start, else charge by charge."""
    odd = []
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY, [reseller_id, customer_id is None, customer_id])
        for feature_id, first, last, days, activation, once in cursor.fetchall():
            term = terms.get(feature_id)
            if term is None:
                continue
            term.has_activation, term.has_once = activation, once
            if first is None:
                continue
            whole = first == term.row.start and days == (last - first).days
            if whole and (term.row.end is None or last <= term.row.end):
                term.settled_to = last
            else:
                odd.append(feature_id)
        cursor.execute(DETAILS, [reseller_id, odd])
        for feature_id, *charged in cursor.fetchall():
            terms[feature_id].charged.append(Charged(*charged))
