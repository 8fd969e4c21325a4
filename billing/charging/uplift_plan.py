"""What a rise of prices would do, worked out and not written: new list prices, new own prices, who is left out.

A new price is the old one raised by the per cent and rounded half up to the step asked for; discounts and quantities
stay. Without a segment list prices rise, and whoever is left out keeps today's price as a price of its own. For one
segment list prices stay and its customers get prices of their own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q

from billing.models import Feature, FeaturePrice, FeatureType, PriceUplift
from resellerkpi.core.money import round_half_up

MONTHS = {"month": 1, "quarter": 3, "year": 12}
OWN_KEPT = "have a price of their own, which stays"
IN_TERM = "are in their minimum term and keep today’s price"
NO_PRICE = "have no price on that day"
PRICED_THEN = "have a list price that begins on that day already"
UNCHANGED = "come to the same price after rounding"


@dataclass(frozen=True)
class UpliftScope:
    """Whose prices rise: feature types (none named: all), one segment or all, own prices, those in a minimum term."""

    types: tuple[int, ...] = ()
    segment: str = ""
    own_prices: bool = True
    in_term: bool = True
    notice_days: int = 30

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "UpliftScope":
        """Read what an uplift keeps."""
        return cls(**{**stored, "types": tuple(stored.get("types", ()))})


class NewPrice(NamedTuple):
    """A list price that ends and the one that begins in its place."""

    price_id: int
    type_id: int
    name: str
    old: Decimal
    new: Decimal


class Rise(NamedTuple):
    """One feature and what it costs a month before and after, by its list price or by one of its own."""

    feature_id: int
    customer_id: int
    type_id: int
    type_name: str
    currency: str
    own: Decimal | None
    before: Decimal
    after: Decimal


@dataclass
class UpliftPlan:
    """List prices, features (`own` is the price a feature gets as its own), how many are left out and why."""

    prices: list[NewPrice] = field(default_factory=list)
    rises: list[Rise] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def own_prices(self) -> dict[int, Decimal]:
        """The features that get a price of their own, by id."""
        return {rise.feature_id: rise.own for rise in self.rises if rise.own is not None}

    def sums(self, key: str) -> list[dict[str, Any]]:
        """Return features, price a month before and after and the difference by "type" or "customer", per currency."""
        found: dict[tuple[int, str], dict[str, Any]] = {}
        for rise in self.rises:
            what = rise.type_id if key == "type" else rise.customer_id
            row = found.setdefault(
                (what, rise.currency),
                {"id": what, "name": rise.type_name, "currency": rise.currency, "features": 0,
                 "before": Decimal(0), "after": Decimal(0)},
            )  # fmt: skip
            row["features"] += 1
            row["before"] += rise.before
            row["after"] += rise.after
        return [row | {"difference": row["after"] - row["before"]} for row in found.values()]


def raised(price: Decimal, percent: Decimal, step: Decimal) -> Decimal:
    """Return a price raised by a per cent, half up to a multiple of the step."""
    return round_half_up(price * (100 + percent) / 100 / step, 0) * step


def notice_by(uplift: PriceUplift) -> date:
    """Return the last day on which customers must be told."""
    return uplift.effective_date - timedelta(days=UpliftScope.of(uplift.scope).notice_days)


def plan_uplift(uplift: PriceUplift) -> UpliftPlan:
    """Work an uplift out over the book as it stands, in four queries."""
    scope, on, plan = UpliftScope.of(uplift.scope), uplift.effective_date, UpliftPlan()
    listed, blocked = _list_prices(scope, on)
    if not scope.segment:
        for price in listed.values():
            new = raised(price.price, uplift.percent, uplift.round_to)
            if price.feature_type_id not in blocked and new != price.price:
                plan.prices.append(
                    NewPrice(price.pk, price.feature_type_id, price.feature_type.name, price.price, new)
                )
    new_lists = {price.type_id: price.new for price in plan.prices}
    for feature in _features(scope, on):
        kind = feature.feature_type_id
        own, old = feature.price, feature.price
        if old is None and kind in listed:
            old = listed[kind].price
        if old is None:
            plan.left_out[NO_PRICE] += 1
            continue
        in_term = feature.minimum_term_end is not None and feature.minimum_term_end > on
        outcome = _outcome(
            uplift, scope, old, own is None, in_term, kind in blocked, new_lists.get(kind, old)
        )
        if outcome.why:
            plan.left_out[outcome.why] += 1
        if outcome.own is not None or outcome.new != old:
            plan.rises.append(_rise(feature, outcome.own, old, outcome.new))
    return plan


class Outcome(NamedTuple):
    """The price a feature has then, the one it gets as its own (None: none), and why it is left out, if it is."""

    new: Decimal
    own: Decimal | None = None
    why: str = ""


def _outcome(
    uplift: PriceUplift,
    scope: UpliftScope,
    old: Decimal,
    by_list: bool,
    in_term: bool,
    blocked: bool,
    new_list: Decimal,
) -> Outcome:
    """Say what becomes of a feature's price."""
    excluded = in_term and not scope.in_term
    if by_list and not scope.segment:
        if blocked:
            return Outcome(old, why=PRICED_THEN)
        if excluded:
            return Outcome(old, own=old if new_list != old else None, why=IN_TERM)
        return Outcome(new_list, why="" if new_list != old else UNCHANGED)
    if excluded:
        return Outcome(old, why=IN_TERM)
    if not by_list and not scope.own_prices:
        return Outcome(old, why=OWN_KEPT)
    new = raised(old, uplift.percent, uplift.round_to)
    return Outcome(new, own=new) if new != old else Outcome(old, why=UNCHANGED)


def _rise(feature: Feature, own: Decimal | None, old: Decimal, new: Decimal) -> Rise:
    share = feature.quantity * (100 - feature.discount_percent) / 100 / MONTHS[feature.feature_type.interval]
    return Rise(
        feature.pk, feature.customer_id, feature.feature_type_id, feature.feature_type.name,
        feature.feature_type.currency, own, round_half_up(old * share, 6), round_half_up(new * share, 6),
    )  # fmt: skip


def _list_prices(scope: UpliftScope, on: date) -> tuple[dict[int, FeaturePrice], set[int]]:
    """Return the list price in force that day of each type in scope, and the types that get one that day anyway."""
    found: dict[int, FeaturePrice] = {}
    blocked: set[int] = set()
    rows = FeaturePrice.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=on), valid_from__lte=on)
    rows = rows.exclude(feature_type__interval=FeatureType.Interval.ONCE).select_related("feature_type")
    if scope.types:
        rows = rows.filter(feature_type__in=scope.types)
    for price in rows.order_by("feature_type__name", "pk"):
        found[price.feature_type_id] = price
        if price.valid_from == on:
            blocked.add(price.feature_type_id)
    return found, blocked


def _features(scope: UpliftScope, on: date) -> Iterable[Feature]:
    """Return the charged features that began before the day and run on it, in scope."""
    rows = Feature.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gt=on), start_date__lt=on, not_charged=False
    ).exclude(feature_type__interval=FeatureType.Interval.ONCE)
    if scope.types:
        rows = rows.filter(feature_type__in=scope.types)
    if scope.segment:
        rows = rows.filter(customer__segment=scope.segment)
    return rows.select_related("feature_type").order_by("pk").iterator(chunk_size=5_000)
