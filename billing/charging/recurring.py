"""Recurring charges of features: what should be charged by a day less what is charged already.

A feature is charged for its days, half-open, in its interval from the customer's billing day, in advance (periods
begun by the day) or in arrears (periods ended by it). Part periods are pro-rated; a price change inside a period
splits it; each charge is rounded half-up once. Days charged that are no longer served are credited at the price
they were charged at, rounded on their own. Days already charged are never charged again, so generating twice adds
nothing. A feature that continues another has no activation, and its periods run on from the other's.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from billing.charging.book import KEPT, Charged, Terms, load_terms
from billing.charging.coverage import Span, add, overlap, remove
from billing.charging.prorate import (
    Interval,
    Method,
    Mode,
    Part,
    Service,
    first_boundary,
    fraction,
    part_amount,
    periods,
)
from billing.charging.store import Draft, store
from billing.charging.termination import charge_terminations
from billing.models import ChargeKind
from billing.models.locks import hold_money
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import places

COST_PLACES = 6
ONE = Fraction(1)


def generate_charges(reseller: Reseller, *, until: date) -> int:
    """Make the charges due by a day that are not there yet; return how many."""
    hold_money(reseller.pk)
    drafts = [draft for terms in load_terms(reseller.pk, until) for draft in charges_of(terms, until)]
    return store(reseller.pk, drafts) + charge_terminations(reseller.pk, until)


def charges_of(terms: Terms, until: date) -> Iterator[Draft]:
    """Yield the charges and credits of one feature that are due by a day and not there yet. Pure."""
    row = terms.row
    if row.continues is None and not terms.has_activation and (terms.is_package or row.activation_fee):
        yield _one_off(
            terms,
            row.activation_fee,
            Decimal(0),
            f"Activation of {row.name}",
            "activation",
            is_activation=True,
        )
    if terms.is_once:
        price = next((p for p in terms.prices if _holds(p.start, p.end, row.start)), None)
        if row.continues is None and not terms.has_once and price:
            yield _one_off(terms, price.price, price.cost, row.name, "once")
        return
    covered = _covered(terms)
    yield from _credits(terms, covered)
    for whole in _parts(_resumed(terms.service, terms.settled_to), until):
        if terms.mode is Mode.ARREARS and whole.end > until:
            break
        part = _from_start(terms, whole)
        if part is None:
            continue
        for span in _missing(terms, part, covered):
            yield from _priced(terms, part, span)


def _from_start(terms: Terms, part: Part) -> Part | None:
    """Return the days of a part that are the feature's own, not those of the one it continues.

    Without pro-rating the period in which the change falls is the earlier feature's whole.
    """
    if part.start >= terms.row.start:
        return part
    if part.end <= terms.row.start or terms.method is Method.NONE:
        return None
    return replace(part, start=terms.row.start)


def _covered(terms: Terms) -> list[Span]:
    if terms.settled_to:
        return [(terms.row.start, terms.settled_to)]
    covered: list[Span] = []
    for charged in terms.charged:
        covered = add(covered, charged.span) if charged.sign > 0 else remove(covered, charged.span)
    return covered


@lru_cache(maxsize=KEPT)
def _parts(service: Service, until: date) -> tuple[Part, ...]:
    return tuple(periods(service, until=until))


@lru_cache(maxsize=KEPT)
def _share(part: Part, interval: str, method: Method) -> Fraction:
    return fraction(part, Interval(interval), method)


@lru_cache(maxsize=KEPT)
def _resumed(service: Service, settled_to: date | None) -> Service:
    """Return the service, from where it is charged to if that is a boundary: past periods need no new look."""
    if settled_to is None or (service.end is not None and service.end <= settled_to):
        return service
    later = Service(settled_to, service.end, service.interval, service.anchor_day)
    first = first_boundary(service)
    months = (settled_to.year - first.year) * 12 + settled_to.month - first.month
    in_step = months % {"month": 1, "quarter": 3, "year": 12}[service.interval.value] == 0
    return later if in_step and first_boundary(later) == settled_to else service


def _missing(terms: Terms, part: Part, covered: list[Span]) -> list[Span]:
    """Return the part's days that are not charged; without pro-rating, all or, if any is charged, none."""
    whole = (part.start, part.end)
    if terms.method is Method.NONE:
        period = (part.period_start, part.period_end)
        return [] if any(overlap(period, span) for span in covered) else [whole]
    left = [whole]
    for span in covered:
        left = remove(left, span)
    return left


def _priced(terms: Terms, part: Part, span: Span) -> Iterator[Draft]:
    """Yield a charge for each price that holds inside the span; days without a price wait for one."""
    for price in terms.prices:
        held = overlap(span, (price.start, price.end or date.max))
        if held is None or (terms.method is Method.NONE and not _holds(price.start, price.end, span[0])):
            continue
        days = span if terms.method is Method.NONE else held
        share = _share(Part(*days, part.period_start, part.period_end), terms.row.interval, terms.method)
        yield _draft(
            terms,
            days,
            share,
            unit=(price.price, price.cost),
            bill_date=part.start if terms.mode is Mode.ADVANCE else part.end,
            is_renewal=terms.is_package and days[0] == part.start and not _is_cut(terms, part),
        )


def _is_cut(terms: Terms, part: Part) -> bool:
    """Say whether the part is the rest of a period that the feature it continues began."""
    return terms.origin < part.start == terms.row.start and part.start != part.period_start


def _credits(terms: Terms, covered: list[Span]) -> Iterator[Draft]:
    """Yield credits for days charged before the feature's start or from its end, latest charge first."""
    surplus = remove(covered, (terms.row.start, terms.row.end or date.max))
    for charged in reversed(terms.charged):
        if charged.sign < 0 or not surplus:
            continue
        for span in [shared for piece in surplus if (shared := overlap(piece, charged.span))]:
            surplus = remove(surplus, span)
            if terms.method is Method.NONE and span != charged.span:
                continue
            yield _credit(terms, charged, span)


def _credit(terms: Terms, charged: Charged, span: Span) -> Draft:
    row = terms.row
    schedule = Service(min(terms.origin, charged.start), None, terms.service.interval, row.anchor_day)
    part = next(part for part in periods(schedule, until=charged.start) if part.end > charged.start)
    share = fraction(Part(*span, part.period_start, part.period_end), schedule.interval, terms.method)
    cost = next((p.cost for p in terms.prices if _holds(p.start, p.end, span[0])), Decimal(0))
    return _draft(
        terms,
        span,
        share,
        unit=(charged.unit_price, cost),
        bill_date=span[0],
        quantity=charged.quantity,
        is_credit=True,
    )


def _draft(
    terms: Terms,
    span: Span,
    share: Fraction,
    *,
    unit: tuple[Decimal, Decimal],
    bill_date: date,
    quantity: Decimal | None = None,
    is_credit: bool = False,
    is_renewal: bool = False,
) -> Draft:
    """Make a charge (or, negative, a credit) of a share of unit price and cost: the rounding place “charge”."""
    row = terms.row
    count = Decimal(row.quantity) if quantity is None else quantity
    sign = -1 if is_credit else 1
    before = sum(c.span == span and c.sign == sign for c in terms.charged) if terms.charged else 0
    return Draft(
        customer_id=row.customer_id,
        feature_id=row.id,
        number_id=row.number_id,
        kind=ChargeKind.CREDIT if is_credit else ChargeKind.RECURRING,
        description=f"Credit: {row.name}" if is_credit else row.name,
        source_key=f"feature:{row.id}:{'credit' if is_credit else 'charge'}:{span[0]}:{span[1]}:{before}",
        service_start=span[0],
        service_end=span[1],
        bill_date=bill_date,
        quantity=count,
        unit_price=unit[0],
        amount=sign * part_amount(unit[0] * count, share, min(places(row.currency), 2)),
        cost=sign * part_amount(unit[1] * count, share, COST_PLACES),
        currency=row.currency,
        is_renewal=is_renewal,
    )


def _one_off(
    terms: Terms, price: Decimal, cost: Decimal, description: str, key: str, *, is_activation: bool = False
) -> Draft:
    """Make the charge of a feature's start; never pro-rated."""
    row = terms.row
    return Draft(
        customer_id=row.customer_id,
        feature_id=row.id,
        number_id=row.number_id,
        kind=ChargeKind.ONE_OFF,
        description=description,
        source_key=f"feature:{row.id}:{key}",
        service_start=row.start,
        service_end=row.start + timedelta(days=1),
        bill_date=row.start,
        quantity=Decimal(row.quantity),
        unit_price=price,
        amount=part_amount(price * row.quantity, ONE, min(places(row.currency), 2)),
        cost=part_amount(cost * row.quantity, ONE, COST_PLACES),
        currency=row.currency,
        is_activation=is_activation,
    )


def _holds(start: date, end: date | None, day: date) -> bool:
    return start <= day and (end is None or day < end)
