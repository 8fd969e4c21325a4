"""Passes a carrier's charges on to customers: one charge each, with its cost, on the customer's next bill.

The price is the carrier's suggested one, or its cost and a percentage; it is rounded half-up once, to the customer's
currency. Another currency is turned at the latest exchange rate up to the bill's date; without one the charge stays.
What a feature of the customer charges already (for a charge that names only a number: a line on it), and calls, which
call files bill, are not passed on unless asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from billing.charging.store import Draft, store
from billing.models import CarrierCharge, Charge, ChargeKind, Feature, FeaturePrice, FeatureType
from billing.models.exchange import Quote, quotes
from billing.models.locks import hold_money
from resellerkpi.core.audit import record
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import places, round_half_up
from resellerkpi.core.planner import joined_by_hash

COST_PLACES, UNIT_PLACES = 6, 10
Kind = CarrierCharge.Kind


class PassingRefused(ValueError):
    """Raised when charges cannot be passed on or taken back; the sentence is for the user."""


@dataclass(frozen=True)
class Terms:
    """How charges are priced: as the carrier suggests, or at cost and `percent`; `doubles` passes on those too that
    a feature or a call file bills already.
    """

    suggested: bool = True
    percent: Decimal = Decimal(0)
    doubles: bool = False


class Proposal(NamedTuple):
    """What becomes of a charge: amount and cost in the customer's currency, the rate used, or why it stays."""

    row: CarrierCharge
    amount: Decimal
    cost: Decimal
    currency: str
    quote: Quote | None
    warning: str
    problem: str

    @property
    def passes(self) -> bool:
        """Whether it is passed on."""
        return not self.problem


class Passed(NamedTuple):
    """How passing on ended: charges made, those that stayed."""

    passed: int
    stayed: int


def proposals(ids: Sequence[int], terms: Terms) -> list[Proposal]:
    """Return for each charge that is not passed on yet what would become of it, in the order of the bill."""
    rows = list(
        CarrierCharge.objects.filter(pk__in=list(ids), charge__isnull=True)
        .select_related("invoice", "customer", "number", "feature", "feature__feature_type")
        .order_by("invoice_id", "line")
    )
    rates = _rates(rows)
    own = _with_own_price(rows)
    return [_proposal(row, terms, rates, row.pk in own) for row in rows]


def pass_on(reseller: Reseller, ids: Sequence[int], terms: Terms) -> Passed:
    """Make the charges of customers; each carrier's charge is passed on once, however often it is asked for."""
    hold_money(reseller.pk)
    found = proposals(ids, terms)
    drafts = [_draft(proposal) for proposal in found if proposal.passes]
    store(reseller.pk, drafts)
    with joined_by_hash() as cursor:
        cursor.execute(_LINK, [reseller.pk, reseller.pk, [p.row.pk for p in found if p.passes]])
        passed = cursor.rowcount
    if passed:
        rates = {
            f"{p.row.invoice.currency} to {p.currency} of {p.quote.day}"
            for p in found
            if p.quote and p.passes
        }
        how = "as suggested" if terms.suggested else f"cost plus {terms.percent} %"
        record("carrier_charges.passed_on", how, charges=passed, rates=", ".join(sorted(rates)))
    return Passed(passed, len(found) - len(drafts))


def take_back(reseller: Reseller, ids: Sequence[int]) -> int:
    """Take back what is on no bill yet; return how many. Raises PassingRefused when all of it is on bills."""
    hold_money(reseller.pk)
    rows = CarrierCharge.objects.filter(pk__in=list(ids), charge__isnull=False)
    made = list(rows.filter(charge__invoice_line__isnull=True).values_list("pk", "charge_id"))
    if not made:
        raise PassingRefused("What was passed on is on a bill already; credit the bill instead.")
    CarrierCharge.objects.filter(pk__in=[pk for pk, _ in made]).update(charge=None)
    Charge.objects.filter(pk__in=[charge for _, charge in made]).delete()
    record("carrier_charges.taken_back", "Not billed yet", charges=len(made))
    return len(made)


_LINK = """
UPDATE billing_carriercharge row SET charge_id = charge.id
FROM billing_charge charge
WHERE row.reseller_id = %s AND charge.reseller_id = %s AND row.id = ANY (%s) AND row.charge_id IS NULL
    AND charge.source_key = 'carrier:' || row.id
"""


def _rates(rows: Iterable[CarrierCharge]) -> dict[tuple[str, str, date], Quote]:
    """Return the exchange rates of the charges by currencies and day of the bill; one query a bill date."""
    wanted: dict[date, set[tuple[str, str]]] = {}
    for row in rows:
        if row.customer and row.customer.currency != row.invoice.currency:
            wanted.setdefault(row.invoice.invoice_date, set()).add(
                (row.invoice.currency, row.customer.currency)
            )
    return {
        (source, target, on): quote
        for on, pairs in wanted.items()
        for source, target, quote in quotes(sorted(pairs), on)
    }


def _with_own_price(rows: Sequence[CarrierCharge]) -> set[int]:
    """Return the charges whose feature has a price of its own, or the list's, on a day of theirs.

    A charge that names a number alone may be its line, unless the carrier's products say otherwise.
    """
    lines = _lines_of(rows)
    paid = {row.pk: _one(row.feature) or lines.get((row.number_id, row.customer_id), []) for row in rows}
    types = {f.feature_type_id for features in paid.values() for f in features if f.price is None}
    priced: dict[int, list[tuple[date, date | None]]] = {}
    listed = FeaturePrice.objects.filter(feature_type_id__in=types, price__gt=0)
    for type_id, start, end in listed.values_list("feature_type_id", "valid_from", "valid_to"):
        priced.setdefault(type_id, []).append((start, end))
    return {row.pk for row in rows if any(_pays(feature, row, priced) for feature in paid[row.pk])}


def _one(feature: Feature | None) -> list[Feature]:
    return [feature] if feature is not None else []


def _lines_of(rows: Sequence[CarrierCharge]) -> dict[tuple[int | None, int | None], list[Feature]]:
    """Return the lines, by number and customer, of charges that name no feature."""
    numbers = {row.number_id for row in rows if row.feature_id is None and row.number_id is not None}
    found: dict[tuple[int | None, int | None], list[Feature]] = {}
    lines = Feature.objects.filter(number__in=numbers, feature_type__kind=FeatureType.Kind.LINE)
    for line in lines.select_related("feature_type").order_by("pk"):
        found.setdefault((line.number_id, line.customer_id), []).append(line)
    return found


def _pays(feature: Feature, row: CarrierCharge, priced: dict[int, list[tuple[date, date | None]]]) -> bool:
    """Say whether the customer pays for a feature on a day of a charge that may be for it."""
    kind = feature.feature_type
    if feature.not_charged or kind.interval == FeatureType.Interval.ONCE:
        return False
    products = {row.product.lower(), kind.carrier_product.lower()}
    if row.feature_id is None and "" not in products and len(products) > 1:
        return False
    always: list[tuple[date, date | None]] = [(date.min, None)] if (feature.price or 0) > 0 else []
    spans = priced.get(feature.feature_type_id, []) if feature.price is None else always
    first = max(row.service_start, feature.start_date)
    until = min(row.service_end, feature.end_date or date.max)
    return first < until and any(start < until and (end is None or end > first) for start, end in spans)


def _proposal(
    row: CarrierCharge, terms: Terms, rates: dict[tuple[str, str, date], Quote], has_own: bool
) -> Proposal:
    source = row.invoice.currency
    currency = row.customer.currency if row.customer else source
    foreign = currency != source
    quote = rates.get((source, currency, row.invoice.invoice_date)) if foreign else None
    factor = quote.factor if quote else Decimal(1)
    asked = row.retail if terms.suggested else row.amount * (1 + terms.percent / 100)
    amount = round_half_up((asked or Decimal(0)) * factor, min(places(currency), 2))
    cost = round_half_up(row.amount * factor, COST_PLACES)
    warning = _warning(row, has_own)
    problem = _problem(row, asked, amount)
    if not problem and foreign and quote is None:
        problem = (
            f"There is no exchange rate from {source} to {currency} up to {day(row.invoice.invoice_date)}."
        )
    if not problem and warning and not terms.doubles:
        problem = warning
    return Proposal(row, amount, cost, currency, quote, warning, problem)


def _problem(row: CarrierCharge, asked: Decimal | None, amount: Decimal) -> str:
    if row.state == CarrierCharge.State.IGNORED:
        return "It is left out."
    if row.state == CarrierCharge.State.OPEN:
        return "It is not allocated yet."
    if row.customer is None:
        return "Nobody had the number in these days."
    if asked is None:
        return "The carrier suggests no price."
    return "It comes to nothing." if amount == 0 else ""


def _warning(row: CarrierCharge, has_own: bool) -> str:
    if row.kind == Kind.USAGE:
        return "Calls are billed from call files."
    if has_own and row.kind in (Kind.RENTAL, Kind.CREDIT):
        what = "this feature by its own price" if row.feature_id else "a line on this number"
        return f"The customer pays for {what} already."
    return ""


def _draft(proposal: Proposal) -> Draft:
    row = proposal.row
    is_credit = proposal.amount < 0
    values: dict[str, Any] = {
        "customer_id": row.customer_id,
        "feature_id": row.feature_id,
        "number_id": row.number_id,
        "kind": ChargeKind.CREDIT if is_credit else ChargeKind.CARRIER,
        "description": row.description,
        "source_key": f"carrier:{row.pk}",
        "service_start": row.service_start,
        "service_end": row.service_end,
        "bill_date": row.service_start,
        "quantity": row.quantity,
        "unit_price": round_half_up(proposal.amount / row.quantity, UNIT_PLACES),
        "amount": proposal.amount,
        "cost": proposal.cost,
        "currency": proposal.currency,
    }
    return Draft(**values)
