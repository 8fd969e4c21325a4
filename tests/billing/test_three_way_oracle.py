"""The three-way match agrees with plain Python on random books; no charge or line is lost or counted twice."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest

from billing.charging.three_way import billed_in_books, match, supplied_in_books
from billing.models import (
    Carrier,
    CarrierCharge,
    CarrierInvoice,
    Charge,
    Feature,
    FeatureType,
    Number,
    NumberAssignment,
    ServiceMatch,
)
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, feature_type, make_book
from tests.billing.match_world import billed_to, charge, supplier_line
from tests.billing.money import make_customer

pytestmark = pytest.mark.django_db
D = Decimal
FIRST, END = date(2026, 3, 1), date(2026, 9, 1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTHS = [add_months(FIRST, n) for n in range(6)]
Key = tuple[str, date]


@pytest.fixture(scope="module", params=range(3))
def seed(request: Any) -> int:
    return int(request.param)


@pytest.fixture
def world(seed: int, tmp_path: Path) -> Iterator[Book]:
    made, random = make_book(tmp_path), Random(seed)
    with enter(Scope.of(made.house.pk)):
        _fill(made, random)
        yield made


def _day(random: Random) -> date:
    return FIRST + timedelta(days=random.randint(-40, 190))


def _fill(book: Book, random: Random) -> None:
    own = {"reseller": book.house}
    carrier = Carrier.objects.create(**own, code="NW", name="Northwire")
    bill = CarrierInvoice.objects.create(
        **own, carrier=carrier, number="1", invoice_date=FIRST, currency="GBP"
    )
    people = [make_customer(book.house, f"A{n}") for n in range(3)]
    billed_to(book.house, END)
    types = [
        feature_type(book, f"T{n}", f"Type {n}", price, cost, kind=kind, carrier=carrier)
        for n, (kind, price, cost) in enumerate(
            [
                ("line", "16.55", "10.2"),
                ("package", "8", "0"),
                ("feature", "3.50", "1.10"),
                ("line", "1.5", "0.35"),
            ]
        )
    ]
    for n in range(12):
        number = Number.objects.create(**own, number=f"+44163296{n:04}")
        start, end = sorted((_day(random), _day(random) + timedelta(days=1)))
        who = random.choice(people)
        stop = end + timedelta(days=1) if random.random() < 0.6 else None
        NumberAssignment.objects.create(**own, number=number, customer=who, start_date=start, end_date=stop)
        for _ in range(random.choice((0, 1, 1, 2))):
            _service(book, random, who, number if random.random() < 0.8 else None, random.choice(types))
        for _ in range(random.randint(0, 3)):
            span = sorted((_day(random), _day(random)))
            known = {"customer": random.choice((who, who, None)), "number": number}
            supplier_line(bill, span[0], span[1] + timedelta(days=1), str(random.randint(-2, 30)), **known)
    for feature in random.sample(list(Feature.objects.all()), 6):
        known = {"customer": feature.customer, "number": feature.number, "feature": feature}
        supplier_line(bill, FIRST, END, "33.33", **known)
    supplier_line(bill, FIRST, date(2026, 4, 9), "7.77", reference="LOOSE")
    supplier_line(bill, FIRST, END, "5.00", customer=people[0], quantity=2)


def _service(book: Book, random: Random, who: Any, number: Any, kind: FeatureType) -> None:
    start = _day(random)
    end = start + timedelta(days=random.randint(10, 150)) if random.random() < 0.7 else None
    first = Feature.objects.create(
        reseller=book.house, customer=who, number=number, feature_type=kind, start_date=start, end_date=end,
        quantity=random.randint(1, 3), price=random.choice((None, None, D("9.99"), D(0))),
        discount_percent=random.choice((0, 0, 10)), not_charged=random.random() < 0.1,
    )  # fmt: skip
    made = [first]
    if end is not None and random.random() < 0.4:
        made.append(
            Feature.objects.create(
                reseller=book.house,
                customer=who,
                number=number,
                feature_type=kind,
                start_date=end,
                quantity=2,
                continues=first,
            )  # fmt: skip
        )
    for feature in made:
        for _ in range(random.randint(0, 2)):
            span = sorted((_day(random), _day(random)))
            charge(
                feature, span[0], span[1] + timedelta(days=1), f"{random.randint(1, 90)}.{random.randint(10, 99)}",
                issued=random.random() < 0.8,
            )  # fmt: skip


def six(value: Fraction) -> Decimal:
    """Round half up (away from zero) to six places."""
    exact = Decimal(abs(value.numerator)) / Decimal(value.denominator)
    rounded = exact.quantize(D("0.000001"), ROUND_HALF_UP)
    return -rounded if value < 0 else rounded


def parts(amount: Decimal, start: date, end: date) -> Iterator[tuple[date, Decimal, int]]:
    """Yield each month's part of an amount, what is reached at its end less at its start, and its days."""
    for month in MONTHS:
        until = add_months(month, 1)
        low, high = max(start, month), min(end, until)
        if low < high:
            reached = [six(Fraction(amount) * (day - start).days / (end - start).days) for day in (low, high)]
            yield month, reached[1] - reached[0], (high - low).days


class Naive:
    """The match, one feature, charge and line at a time."""

    def __init__(self) -> None:
        self.features = list(Feature.objects.select_related("feature_type").order_by("pk"))
        by_pk = {f.pk: f for f in self.features}
        self.root = {f.pk: self._root(f, by_pk) for f in self.features}
        self.facts: dict[Key, dict[str, Any]] = defaultdict(lambda: defaultdict(Fraction))
        self.paid: dict[Key, Decimal] = defaultdict(Decimal)
        self.held = list(NumberAssignment.objects.all())
        for row in Charge.objects.all():
            for month, amount, _ in parts(row.amount, row.service_start, row.service_end):
                fact = self.facts[f"feature:{self.root[row.feature_id]}", month]
                fact["billed" if row.invoice_line_id else "waiting"] += Fraction(amount)
                self.paid[f"feature:{self.root[row.feature_id]}", month] += amount
        for feature in self.features:
            self._provide(feature)
        numbers = {row.number_id for row in CarrierCharge.objects.filter(feature=None, number__isnull=False)
                   for _ in parts(row.amount, row.service_start, row.service_end)}  # fmt: skip
        for held in self.held:
            for month, _, days in parts(D(0), held.start_date, held.end_date or date(2030, 1, 1)):
                key = self.of_number(held.number_id, held.customer_id, month)
                if held.number_id in numbers and key.startswith("number"):
                    self.facts[key, month]["days"] += days
        for row in CarrierCharge.objects.all():
            for month, amount, _ in parts(row.amount, row.service_start, row.service_end):
                self.facts[self.of_line(row, month), month]["supplied"] += Fraction(amount)

    @staticmethod
    def _root(feature: Feature, by_pk: dict[int, Feature]) -> int:
        while feature.continues_id:
            feature = by_pk[feature.continues_id]
        return feature.pk

    def _provide(self, f: Feature) -> None:
        listed = f.feature_type.prices.get()
        price = f.price if f.price else listed.price
        for month, _, days in parts(D(0), f.start_date, f.end_date or date(2030, 1, 1)):
            fact = self.facts[f"feature:{self.root[f.pk]}", month]
            share = Fraction(days * f.quantity, (add_months(month, 1) - month).days)
            fact["days"] += days
            fact["price"] += Fraction(price) * share * (1 - Fraction(f.discount_percent) / 100)
            fact["cost"] += Fraction(listed.cost) * share

    def of_line(self, row: CarrierCharge, month: date) -> str:
        """Return the service that a line is for in a month."""
        if row.state != "allocated":
            return f"line:{row.pk}"
        if row.feature_id:
            return f"feature:{self.root[row.feature_id]}"
        if row.number_id:
            return self.of_number(row.number_id, row.customer_id, month)
        return f"customer:{row.customer_id}"

    def of_number(self, number: int, customer: int | None, month: date) -> str:
        """Return what stands for a number: what rents it, the number in use, or what rented it last."""
        until = add_months(month, 1)
        rented: dict[tuple[int, int], list[Feature]] = defaultdict(list)
        for f in self.features:
            fits = f.number_id == number and customer in (None, f.customer_id)
            if fits and f.feature_type.kind in ("line", "package"):
                rented[self.root[f.pk], f.customer_id].append(f)
        ranked = []
        for (root, _), versions in rented.items():
            start = min(f.start_date for f in versions)
            end = max(f.end_date or date.max for f in versions)
            runs, began = start < until and end > month, start < until
            billed = self.paid[f"feature:{root}", month] != 0
            line = versions[0].feature_type.kind == "line"
            ranked.append(
                ((not runs, not billed, not line, not began, -start.toordinal(), root), runs or billed, began)
            )
        in_use = any(
            h.number_id == number and h.customer_id == customer and h.start_date < until
            and (h.end_date is None or h.end_date > month) for h in self.held
        )  # fmt: skip
        if ranked:
            best, serves, began = min(ranked)
            if serves or (began and not in_use):
                return f"feature:{best[-1]}"
        return f"number:{number}:{customer or 0}"

    def rows(self) -> dict[Key, tuple[Any, ...]]:
        """Return state, days, expected price and cost, billed, waiting and supplied of each service that has any."""
        found = {}
        for (key, month), fact in self.facts.items():
            there = {
                "p": fact["days"] > 0,
                "b": fact["billed"] + fact["waiting"] != 0,
                "s": fact["supplied"] != 0,
            }
            if any(there.values()):
                state = (
                    "open" if key.startswith("line") else "".join(name for name, yes in there.items() if yes)
                )
                amounts = (fact[name] for name in ("price", "cost", "billed", "waiting", "supplied"))
                found[key, month] = (state, int(fact["days"]), *(six(amount) for amount in amounts))
        return found


def test_the_match_agrees_with_plain_python(world: Book) -> None:
    match(world.house, FIRST, END, now=NOW)
    stored = ServiceMatch.objects.values_list(
        "key", "month", "state", "days", "expected_price", "expected_cost", "billed", "waiting", "supplied"
    )
    ours = {(key, month): tuple(facts) for key, month, *facts in stored}
    assert ours == Naive().rows()


def test_every_charge_and_every_line_is_in_one_service(world: Book) -> None:
    match(world.house, FIRST, END, now=NOW)
    rows = list(ServiceMatch.objects.all())
    issued = Charge.objects.exclude(invoice_line=None)
    asked = sum(
        (a for row in issued for _, a, _ in parts(row.amount, row.service_start, row.service_end)), D(0)
    )
    lines = CarrierCharge.objects.all()
    costs = sum(
        (a for row in lines for _, a, _ in parts(row.amount, row.service_start, row.service_end)), D(0)
    )
    assert sum(row.billed for row in rows) == asked == billed_in_books(world.house, FIRST, END)["GBP"]
    assert sum(row.supplied for row in rows) == costs == supplied_in_books(world.house, FIRST, END)["GBP"]


def test_what_is_at_risk_adds_up_over_months_on_end(world: Book) -> None:
    match(world.house, FIRST, END, now=NOW)
    rows = {(row.key, row.month): row for row in ServiceMatch.objects.all()}
    for (key, month), row in rows.items():
        run = [rows[key, add_months(row.since, n)] for n in range(row.months)]
        assert run[-1].month == month
        assert sum(each.at_risk for each in run if each.risk_currency == row.risk_currency) == row.to_date
        assert len({(each.days > 0, "b" in each.state) for each in run}) == 1
