"""Early-termination charges: what ending a feature inside its minimum term costs.

The charge is the feature's `termination_percent` of what would still have been charged up to the end of its term, by
the charge rules of the feature (interval, part periods, the customer's billing day) at the price of its last day:

    round half up(price x quantity x percent x (sum of the shares of the periods from its end to its term's end))

Without pro-rating the period already begun is charged whole anyway and does not count again. It is made once, when
the feature ends; an end that moves, or a charge that is waived, takes it back: what waits for the next bill is
removed, what is billed is credited. A feature that is continued by another has not ended.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from django.db.models import F, Q
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from billing.charging.book import FIELDS, FeatureRow, Terms, list_prices, origins_of, own_prices
from billing.charging.prorate import Method, Part, Service, fraction, part_amount, periods
from billing.charging.store import Draft, store
from billing.models import Charge, ChargeKind, Feature
from resellerkpi.core.money import places

KEY = "termination:"
ENDED = Q(end_date__isnull=False, continued_by__isnull=True, not_charged=False)
INSIDE_TERM = Q(termination_waived=False, termination_percent__gt=0, minimum_term_end__gt=F("end_date"))


class Term(NamedTuple):
    """How long a feature is committed (first day free to leave) and what share of the rest leaving earlier costs."""

    end: date
    percent: Decimal


def termination_amount(terms: Terms, term: Term, *, on: date) -> Decimal:
    """Return what it costs to end a feature on a day, before VAT. Pure."""
    if terms.is_once or on >= term.end or not term.percent:
        return Decimal(0)
    last = on - timedelta(days=1)
    price = next((p.price for p in terms.prices if p.start <= last and (p.end is None or last < p.end)), None)
    if price is None:
        return Decimal(0)
    whole = price * terms.row.quantity * term.percent / 100
    return part_amount(whole, _rest(terms, term, on), min(places(terms.row.currency), 2))


def _rest(terms: Terms, term: Term, on: date) -> Fraction:
    """Return how many periods, parts by their share, lie between the end and the end of the term."""
    service = Service(terms.origin, term.end, terms.service.interval, terms.row.anchor_day)
    shares = Fraction(0)
    for part in periods(service, until=term.end):
        if part.end <= on or (terms.method is Method.NONE and part.start < on):
            continue
        rest = Part(max(part.start, on), part.end, part.period_start, part.period_end)
        shares += fraction(rest, service.interval, terms.method)
    return shares


def terms_of(features: Iterable[int]) -> dict[int, tuple[Terms, Term | None]]:
    """Return the terms of charged features with their minimum terms, by id; as many queries as changes in a row."""
    wanted = {row.id: row for row in _rows(features)}
    rows, links = dict(wanted), {row.continues for row in wanted.values() if row.continues}
    while links - rows.keys():
        before = {row.id: row for row in _rows(links - rows.keys())}
        rows |= before
        links = {row.continues for row in before.values() if row.continues}
    origins, prices = origins_of(rows), list_prices()
    ends = Feature.objects.filter(pk__in=wanted).values_list("pk", "minimum_term_end", "termination_percent")
    return {
        pk: (
            Terms(
                wanted[pk],
                own_prices(wanted[pk], prices[wanted[pk].type_id]),
                origins.get(pk, wanted[pk].start),
            ),
            Term(until, percent) if until else None,
        )
        for pk, until, percent in ends
    }


def _rows(features: Iterable[int]) -> list[FeatureRow]:
    found = Feature.objects.filter(pk__in=list(features), not_charged=False).order_by("pk")
    return [FeatureRow(*row) for row in found.values_list(*FIELDS)]


def charge_terminations(reseller_id: int, until: date, *, customer_id: int | None = None) -> int:
    """Bring the early-termination charges of features ended by a day in step with their ends; return how many made.

    What an earlier call has charged up to a later day stays. The caller holds the money of the reseller.
    """
    mine = {} if customer_id is None else {"customer_id": customer_id}
    charged = _charged(mine)
    reached = max([until, *(made.on for each in charged.values() for made in each)])
    by_now = Q(end_date__lte=until) | Q(pk__in=charged, end_date__lte=reached)
    ended = Feature.objects.filter(ENDED & INSIDE_TERM, by_now, **mine)
    due = set(ended.values_list("pk", flat=True))
    drafts, gone = list[Draft](), list[int]()
    for pk, (terms, term) in terms_of(due | charged.keys()).items():
        amount = Decimal(0)
        if pk in due and terms.row.end is not None and term is not None:
            amount = termination_amount(terms, term, on=terms.row.end)
        billed = [made for made in charged[pk] if made.is_billed]
        waiting = [made for made in charged[pk] if not made.is_billed]
        if sum(made.amount for made in charged[pk]) == amount:
            continue
        gone += [made.id for made in waiting]
        drafts += _drafts(terms, amount - sum(made.amount for made in billed), before=len(billed))
    Charge.objects.filter(pk__in=gone).delete()
    return store(reseller_id, drafts)


class Made(NamedTuple):
    """An early-termination charge there is, or, negative, its credit."""

    id: int
    amount: Decimal
    on: date
    is_billed: bool


def _charged(mine: dict[str, int]) -> dict[int, list[Made]]:
    """Return the early-termination charges there are, by feature."""
    made = Charge.objects.filter(Exact(Left("source_key", len(KEY)), KEY), **mine).exclude(feature=None)
    charged: dict[int, list[Made]] = defaultdict(list)
    columns = ("feature_id", "pk", "amount", "bill_date", "invoice_line_id")
    for feature_id, pk, amount, on, line in made.values_list(*columns):
        charged[feature_id].append(Made(pk, amount, on, line is not None))
    return charged


def _drafts(terms: Terms, amount: Decimal, *, before: int) -> Iterator[Draft]:
    """Yield the charge, or the credit of one that is billed; `before` tells one from the other."""
    row = terms.row
    if not amount:
        return
    on = row.end or row.start
    name = f"Early-termination charge: {row.name}"
    yield Draft(
        customer_id=row.customer_id,
        feature_id=row.id,
        number_id=row.number_id,
        kind=ChargeKind.ONE_OFF if amount > 0 else ChargeKind.CREDIT,
        description=(name if amount > 0 else f"Credit: {name}")[:200],
        source_key=f"{KEY}{row.id}{f':{before + 1}' if before else ''}",
        service_start=on,
        service_end=on + timedelta(days=1),
        bill_date=on,
        quantity=Decimal(1),
        unit_price=amount,
        amount=amount,
        cost=Decimal(0),
        currency=row.currency,
    )
