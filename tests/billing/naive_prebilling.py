"""What the pre-billing checks must find, written again in plain Python: every row is read and looked at one by one.

Each function yields (subject, count, money a month, money to date, currency).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing.models import (
    Call,
    CarrierCharge,
    Contract,
    Customer,
    CustomerEvent,
    Feature,
    FeaturePrice,
    FeatureType,
    LedgerEntry,
    Mandate,
    Number,
    NumberAssignment,
    Supply,
    Tariff,
    TariffAssignment,
    TariffRate,
)
from resellerkpi.core.money import round_half_up
from resellerkpi.core.periods import Period

Row = tuple[str, int, Decimal | None, Decimal | None, str]
MONTHS = {"month": 1, "quarter": 3, "year": 12}
ZERO = Decimal(0)


def touches(start: date, end: date | None, first: date, last: date) -> bool:
    """Say whether the days from start to end share one with those from first to last; ends are exclusive."""
    return start < last and (end is None or end > first)


class Naive:
    """The book as lists, and what each check has to find in it."""

    def __init__(self, period: Period, today: date) -> None:
        self.period, self.today = period, today
        self.customers = {c.pk: c for c in Customer.objects.all()}
        self.held = list(NumberAssignment.objects.all())
        self.numbers = {n.pk: n for n in Number.objects.all()}
        self.calls = [c for c in Call.objects.all() if period.starts_at <= c.started_at < period.ends_at]
        self.features = [
            f for f in Feature.objects.select_related("feature_type") if self.bills(f.customer_id)
        ]
        self.given = list(TariffAssignment.objects.all())
        self.named = self.names()

    def names(self) -> dict[int, str]:
        """Return how each recurring feature in service is called: those alike are told apart by their order."""
        named: dict[int, str] = {}
        alike: Counter[str] = Counter()
        for feature, *_ in sorted(self.services(), key=lambda row: row[0].pk):
            line = [self.numbers[feature.number_id].number] if feature.number_id else []
            parts = (self.customers[feature.customer_id].code, feature.feature_type.code, *line)
            name = " ".join((*parts, str(feature.start_date)))
            alike[name] += 1
            named[feature.pk] = name if alike[name] == 1 else f"{name} {alike[name]}"
        return named

    def bills(self, customer_id: int | None) -> bool:
        """Say whether it is a customer that gets bills."""
        return customer_id is not None and not self.customers[customer_id].is_test

    def within(self, row: Any) -> bool:
        """Say whether a dated row shares a day with the period."""
        return touches(row.start_date, row.end_date, self.period.start, self.period.end)

    def summed(self, keys: dict[int, str]) -> Iterator[Row]:
        """Yield the calls by subject and currency of their cost."""
        found: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
        for call in self.calls:
            if call.pk in keys:
                cost = call.cost if call.cost is not None else call.expected_cost or ZERO
                found[keys[call.pk], call.cost_currency].append(cost)
        for (subject, currency), costs in found.items():
            yield in_pounds(subject, currency), len(costs), None, sum(costs, ZERO), currency

    def customers_without_tariff(self) -> Iterator[Row]:
        wrong = {
            c.pk: self.customers[c.customer_id].code
            for c in self.calls
            if c.state == "error" and c.reason == "no_tariff" and self.bills(c.customer_id)
        }
        yield from self.summed(wrong)

    def customers_without_tariff_or_calls(self) -> Iterator[Row]:
        with_calls = {c.customer_id for c in self.calls if c.reason == "no_tariff" and c.state == "error"}
        bare: dict[int, int] = defaultdict(int)
        for held in filter(self.within, self.held):
            kind = self.numbers[held.number_id].type
            day = min(held.end_date or self.period.end, self.period.end) - timedelta(days=1)
            own = [
                g for g in self.given
                if g.start_date <= day and (g.end_date is None or g.end_date > day)
                and (g.customer_id == held.customer_id or g.number_id == held.number_id)
            ]  # fmt: skip
            usual = [
                t for t in Tariff.objects.filter(is_default=True, kind="retail")
                if t.default_number_type in ("", kind) and (t.superseded_on is None or t.superseded_on > day)
            ]  # fmt: skip
            if kind != "broadband" and not own and not usual and self.bills(held.customer_id):
                bare[held.customer_id] += 1
        for customer_id, count in bare.items():
            if customer_id not in with_calls:
                yield self.customers[customer_id].code, count, None, None, ""

    def numbers_without_customer(self) -> Iterator[Row]:
        lines = {}
        for call in self.calls:
            if call.state == "error" and call.reason == "unknown_cli":
                lines[call.pk] = call.billed_party
            elif call.state == "error" and call.reason == "inactive":
                lines[call.pk] = self.numbers[call.number_id].number
        yield from self.summed(lines)

    def supplied_without_customer(self) -> Iterator[Row]:
        start, end = self.period.start, self.period.end
        for number in self.numbers.values():
            if any(h.number_id == number.pk and self.within(h) for h in self.held):
                continue
            billed: dict[str, Decimal] = defaultdict(Decimal)
            for charge in CarrierCharge.objects.filter(number=number, kind="rental").select_related(
                "invoice"
            ):
                if touches(charge.service_start, charge.service_end, start, end):
                    billed[charge.invoice.currency] += charge.amount
            billed = {currency: amount for currency, amount in billed.items() if amount > 0}
            rented = [
                s for s in Supply.objects.filter(number=number).select_related("carrier")
                if s.start_date < end and (s.end_date is None or s.end_date >= end)
            ]  # fmt: skip
            if not billed and rented and number.monthly_cost > 0:
                billed = {rented[0].carrier.currency: number.monthly_cost}
            for currency, amount in billed.items():
                yield in_pounds(number.number, currency), 1, amount, None, currency

    def listed(self, feature: Feature) -> FeaturePrice | None:
        """Return the list price of the latest day that a feature has in the period."""
        first = max(feature.start_date, self.period.start)
        last = min(feature.end_date or self.period.end, self.period.end)
        prices = FeaturePrice.objects.filter(feature_type_id=feature.feature_type_id).order_by("valid_from")
        found = [p for p in prices if touches(p.valid_from, p.valid_to, first, last)]
        return found[-1] if found else None

    def monthly(self, feature: Feature) -> tuple[Decimal, Decimal, Decimal]:
        """Return what a feature is sold for, has as a list price and costs, each a month."""
        listed = self.listed(feature)
        months = MONTHS[feature.feature_type.interval]
        own = feature.price if feature.price is not None else listed.price if listed else ZERO
        cost = feature.cost if feature.cost is not None else listed.cost if listed else ZERO
        share = (100 - feature.discount_percent) / Decimal(100)
        amounts = (own * share, listed.price if listed else ZERO, cost)
        price, list_price, cost = (round_half_up(a * feature.quantity / months, 6) for a in amounts)
        return price, list_price, cost

    def services(self) -> Iterator[tuple[Feature, Decimal, Decimal, Decimal]]:
        """Yield the recurring features in service with their price, list price and cost a month."""
        for feature in filter(self.within, self.features):
            if feature.feature_type.interval != "once":
                yield feature, *self.monthly(feature)

    def features_without_price(self) -> Iterator[Row]:
        start, end = self.period.start, self.period.end
        found: dict[int, int] = defaultdict(int)
        for feature in filter(self.within, self.features):
            prices = FeaturePrice.objects.filter(feature_type_id=feature.feature_type_id)
            listed = any(touches(p.valid_from, p.valid_to, start, end) for p in prices)
            past = feature.feature_type.interval == "once" and feature.start_date < start
            if not (feature.not_charged or feature.price is not None or listed or past):
                found[feature.feature_type_id] += 1
        for type_id, count in found.items():
            yield FeatureType.objects.get(pk=type_id).code, count, None, None, ""

    def features_not_charged(self) -> Iterator[Row]:
        for feature, price, _, _ in self.services():
            if feature.not_charged and price > 0:
                yield self.named[feature.pk], feature.quantity, price, None, feature.feature_type.currency

    def charges_without_service(self) -> Iterator[Row]:
        for feature, price, _, _ in self.services():
            first = max(feature.start_date, self.period.start)
            last = min(feature.end_date or self.period.end, self.period.end)
            events = CustomerEvent.objects.filter(customer_id=feature.customer_id, date__lte=first)
            latest = max(events, key=lambda e: e.date, default=None)
            left = latest is not None and latest.status == "ceased"
            gone = feature.number_id is not None and not any(
                h.number_id == feature.number_id and h.customer_id == feature.customer_id
                and touches(h.start_date, h.end_date, first, last)
                for h in self.held
            )  # fmt: skip
            if price > 0 and not feature.not_charged and (left or gone):
                yield self.named[feature.pk], feature.quantity, price, None, feature.feature_type.currency

    def recurring(self, *, free_before: date | None = None) -> dict[tuple[int, str], list[Decimal]]:
        """Return the prices a month by customer and currency; with a day, of what may end before it."""
        found: dict[tuple[int, str], list[Decimal]] = defaultdict(list)
        for feature, price, _, _ in self.services():
            term, end = feature.minimum_term_end, feature.end_date
            goes_on = end is None or end > self.period.end
            if free_before and not (price > 0 and goes_on and (term is None or term < free_before)):
                continue
            if not feature.not_charged:
                found[feature.customer_id, feature.feature_type.currency].append(price)
        return found

    def mandates_missing(self) -> Iterator[Row]:
        day = max(self.period.end, self.today)
        recurring = self.recurring()
        for customer in self.customers.values():
            mandates = Mandate.objects.filter(customer=customer)
            holds = any(m.start_date <= day and (m.end_date is None or m.end_date > day) for m in mandates)
            if customer.payment_method != "direct_debit" or customer.is_test or holds:
                continue
            price = sum(recurring.get((customer.pk, customer.currency), []), ZERO)
            entries = LedgerEntry.objects.filter(customer=customer, currency=customer.currency)
            owed = max(sum((e.amount for e in entries), ZERO), ZERO)
            if price > 0 or owed > 0:
                yield customer.code, 1, price, owed, customer.currency

    def terms(self, since: date, until: date) -> Iterator[Row]:
        """Yield the customers whose term ends between two days, with what they may then end."""
        for (customer_id, currency), prices in self.recurring(free_before=until).items():
            customer = self.customers[customer_id]
            ends = [c.minimum_term_end for c in Contract.objects.filter(customer=customer)]
            known = [day for day in (*ends, customer.contract_end) if day]
            if known and since <= max(known) < until:
                yield in_pounds(customer.code, currency), len(prices), sum(prices, ZERO), None, currency

    def contracts_ending(self) -> Iterator[Row]:
        yield from self.terms(self.period.start, self.period.end + timedelta(days=60))

    def past_contract_end(self) -> Iterator[Row]:
        yield from self.terms(date.min, self.period.start)

    def sold(self) -> Iterator[tuple[str, bool, int, Decimal, Decimal, str]]:
        """Yield subject, whether free, calls, retail, cost, currency of what was sold outside allowances."""
        found: dict[tuple[int, str, str, str, bool], list[Any]] = defaultdict(list)
        rates = {r.pk: r for r in TariffRate.objects.all()}
        names = dict(Tariff.objects.values_list("pk", "name"))
        for call in self.calls:
            cost = call.cost if call.cost is not None else call.expected_cost
            good = call.state in ("rated", "zero") and not call.reason and call.bundle_id is None
            if good and call.rate_id and cost is not None and call.currency == call.cost_currency:
                rate = rates[call.rate_id]
                free = not (rate.price or rate.connection_fee or rate.minimum_charge)
                found[rate.tariff_id, rate.service, rate.destination or rate.key, call.currency, free].append(
                    (call.retail, cost)
                )
        for (tariff, service, place, currency, free), pairs in found.items():
            retail, cost = (sum((pair[at] for pair in pairs), ZERO) for at in (0, 1))
            yield (
                in_pounds(f"{place} {service} {names[tariff]}", currency),
                free,
                len(pairs),
                retail,
                cost,
                currency,
            )

    def zero_rates(self) -> Iterator[Row]:
        for feature, price, listed, cost in self.services():
            known = feature.price is not None or self.listed(feature) is not None
            if known and not feature.not_charged and price == 0 and max(listed, cost) > 0:
                money = listed or cost
                yield self.named[feature.pk], feature.quantity, money, None, feature.feature_type.currency
        for subject, free, count, _, cost, currency in self.sold():
            if free and cost > 0:
                yield subject, count, None, cost, currency

    def negative_margins(self) -> Iterator[Row]:
        for feature, price, _, cost in self.services():
            if not feature.not_charged and 0 < price < cost:
                yield (
                    self.named[feature.pk],
                    feature.quantity,
                    cost - price,
                    None,
                    feature.feature_type.currency,
                )
        for subject, free, count, retail, cost, currency in self.sold():
            if not free and cost > retail:
                yield subject, count, None, cost - retail, currency

    def neighbours(self) -> Iterator[tuple[TariffAssignment, date | None]]:
        """Yield each tariff given with the day up to which those given before it reach, None for ever."""
        for given in self.given:
            before = [
                g for g in self.given
                if (g.customer_id, g.number_id, g.call_class) == (given.customer_id, given.number_id, given.call_class)
                and g.start_date < given.start_date
            ]  # fmt: skip
            if before:
                yield given, reach([g.end_date for g in before])

    def rates_beside(self) -> Iterator[tuple[TariffRate, date | None]]:
        """Yield each rate of the months around with the day up to which those before it of its key reach."""
        first, last = self.period.start - timedelta(days=92), self.period.end + timedelta(days=31)
        rates = [r for r in TariffRate.objects.all() if touches(r.valid_from, r.valid_to, first, last)]
        for rate in rates:
            before = [
                r for r in rates
                if (r.tariff_id, r.service, r.key_kind, r.key, r.band)
                == (rate.tariff_id, rate.service, rate.key_kind, rate.key, rate.band)
                and r.valid_from < rate.valid_from
            ]  # fmt: skip
            if before:
                yield rate, reach([r.valid_to for r in before])

    def gap(self, reached: date | None, begins: date) -> bool:
        """Say whether days of the period lie between two dates."""
        return (
            reached is not None
            and reached < begins
            and touches(reached, begins, self.period.start, self.period.end)
        )

    def overlap(self, reached: date | None, begins: date, ends: date | None) -> bool:
        """Say whether a span begins before the one before it ends, on days of the period."""
        if reached is not None and reached <= begins:
            return False
        last = min((day for day in (reached, ends) if day), default=None)
        return touches(begins, last, self.period.start, self.period.end)

    def tariff_gaps(self) -> Iterator[Row]:
        for given, reached in self.neighbours():
            if reached is None or not self.gap(reached, given.start_date):
                continue
            first, last = max(reached, self.period.start), min(given.start_date, self.period.end)
            mine = [
                h for h in self.held if whose(h, given) and touches(h.start_date, h.end_date, first, last)
            ]
            if mine:
                yield subject_of(given), 1, None, None, ""
        yield from self.by_tariff(r for r, reached in self.rates_beside() if self.gap(reached, r.valid_from))

    def tariff_overlaps(self) -> Iterator[Row]:
        for given, reached in self.neighbours():
            if self.overlap(reached, given.start_date, given.end_date):
                yield subject_of(given), 1, None, None, ""
        yield from self.by_tariff(
            r for r, reached in self.rates_beside() if self.overlap(reached, r.valid_from, r.valid_to)
        )

    def by_tariff(self, rates: Iterator[TariffRate]) -> Iterator[Row]:
        """Yield the tariffs of rates with how many of these they have."""
        for tariff_id, count in Counter(rate.tariff_id for rate in rates).items():
            yield f"Tariff {Tariff.objects.get(pk=tariff_id).name}", count, None, None, ""


def reach(ends: list[date | None]) -> date | None:
    """Return the latest end, None when one is open."""
    known = [day for day in ends if day is not None]
    return max(known) if len(known) == len(ends) else None


def whose(held: NumberAssignment, given: TariffAssignment) -> bool:
    """Say whether a tariff was given for a line that somebody has."""
    if given.number_id is not None:
        return held.number_id == given.number_id
    return held.customer_id == given.customer_id


def subject_of(given: TariffAssignment) -> str:
    """Return whose tariff it is, for which class, from when."""
    owner = given.number.number if given.number else given.customer.code
    return f"{owner} {given.call_class} {given.start_date}"


def in_pounds(subject: str, currency: str) -> str:
    """Return a subject, told apart by a currency that is not the reseller's."""
    return subject if currency in ("", "GBP") else f"{subject} ({currency})"
