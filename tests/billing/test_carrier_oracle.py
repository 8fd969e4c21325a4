"""A naive allocation in plain Python agrees with the product's on random books, and no penny of a bill is lost."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db.models import Sum

from billing.charging.allocation import (
    CHANGED_HANDS,
    NO_REFERENCE,
    NOT_THEN,
    SEVERAL,
    UNKNOWN,
    allocate_charges,
)
from billing.charging.allocation_hand import Target, allocate_by_hand, leave_out
from billing.charging.passing import Terms, pass_on
from billing.models import (
    Carrier,
    CarrierCharge,
    Charge,
    Feature,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
)
from resellerkpi.core.scope import Scope, enter
from tests.billing.carrier_bills import Book, a_line, feature_type, make_book
from tests.billing.money import make_customer

pytestmark = pytest.mark.django_db
START = date(2026, 1, 1)
SPELLINGS = ("{}", "{} ", "({})", "{}".lower())


@pytest.fixture(params=range(5))
def world(request: Any, tmp_path: Path) -> Iterator[tuple[Book, Random]]:
    """A book full of clashes: few references, many of each, short ranges."""
    made, random = make_book(tmp_path), Random(request.param)
    with enter(Scope.of(made.house.pk)):
        _people(made, random)
        yield made, random


def _people(book: Book, random: Random) -> None:
    own = {"reseller": book.house}
    carriers = [Carrier.objects.create(**own, code=code, name=code) for code in ("NW", "EU")]
    customers = [make_customer(book.house, f"A{n}") for n in range(3)]
    types = [
        feature_type(book, f"T{n}", f"Type {n}", "1", "0", carrier_product=product, carrier=carrier)
        for n, (product, carrier) in enumerate([("P1", None), ("P2", carriers[0]), ("P1", carriers[1])])
    ]
    for n in range(8):
        number = Number.objects.create(**own, number=f"+44163296000{n}" if n % 2 else f"CCT/{n}")
        at = START
        while at < date(2026, 11, 1) and random.random() < 0.9:
            end = at + timedelta(days=random.randint(20, 200))
            who = random.choice(customers)
            NumberAssignment.objects.create(
                **own,
                number=number,
                customer=who,
                start_date=at,
                end_date=end if random.random() < 0.9 else None,
            )
            _features(book, random, who, number, types, at)
            at = end + timedelta(days=random.choice((0, 0, 30)))
            if NumberAssignment.objects.filter(number=number, end_date__isnull=True).exists():
                break
        if random.random() < 0.4:
            NumberIdentity.objects.get_or_create(
                **own, identity=f"ID {random.randint(1, 5)}", defaults={"number": number}
            )
        start = START + timedelta(days=random.randint(0, 200))
        Supply.objects.create(
            **own, number=number, carrier=random.choice(carriers), reference=f"R-{random.randint(1, 5)}",
            start_date=start, end_date=random.choice((None, start + timedelta(days=60))),
        )  # fmt: skip
    for feature in Feature.objects.order_by("pk")[:6]:
        Supply.objects.create(
            **own, feature=feature, carrier=random.choice(carriers), reference=f"R-{random.randint(4, 8)}",
            start_date=START,
        )  # fmt: skip


def _features(book: Book, random: Random, who: Any, number: Number, types: list[Any], at: date) -> None:
    for kind in random.sample(types, random.randint(0, 2)):
        cut = at + timedelta(days=random.randint(10, 60))
        reference = random.choice(("", "", f"O-{random.randint(1, 3)}"))
        of = {"reseller": book.house, "customer": who, "feature_type": kind, "reference": reference}
        of["number"] = random.choice((number, number, None))
        first = Feature.objects.create(**of, start_date=at, end_date=random.choice((None, cut)))
        if first.end_date and random.random() < 0.5:
            Feature.objects.create(**of, start_date=cut, continues=first)


def _bill(random: Random) -> list[str]:
    lines = []
    for n in range(60):
        reference = random.choice(
            [f"R-{random.randint(1, 8)}", f"CCT {random.randint(0, 8)}", f"01632 96000{random.randint(0, 9)}",
             f"id{random.randint(1, 6)}", f"O{random.randint(1, 4)}", "", "-"]
        )  # fmt: skip
        amount = f"{random.randint(-500, 2000) or 1}.{random.randint(0, 99):02}"
        first = START + timedelta(days=random.randint(0, 300))
        period = f"{first:%Y-%m}"
        lines.append(
            a_line(
                random.choice(SPELLINGS).format(reference), amount, carrier=random.choice(("NW", "EU")),
                period=period, product=random.choice(("", "P1", "p2")), description=f"L{n}", retail=amount,
                currency="GBP", bill=random.choice(("N1", "N2")),
            )
        )  # fmt: skip
    return lines


def _plain(text: str) -> str:
    return re.sub(r"[\s().\-/]", "", text).upper()


def _runs(row: Any, charge: CarrierCharge) -> bool:
    return row.start_date < charge.service_end and (
        row.end_date is None or row.end_date > charge.service_start
    )


@dataclass
class Everything:
    """The whole book, read once."""

    supplies: list[Supply]
    numbers: list[Number]
    identities: list[NumberIdentity]
    assignments: list[NumberAssignment]
    features: list[Feature]


def everything() -> Everything:
    return Everything(
        list(Supply.objects.select_related("feature")),
        list(Number.objects.all()),
        list(NumberIdentity.objects.all()),
        list(NumberAssignment.objects.all()),
        list(Feature.objects.select_related("feature_type").order_by("pk")),
    )


def naive(charge: CarrierCharge, book: Everything) -> tuple[Any, ...]:
    """Allocate one charge by looking at everything, one after the other: (state, customer, number, feature, why)."""
    name = _plain(charge.reference)
    names = {name, f"+44{name[1:]}" if name.startswith("0") and name.isdigit() else name} - {""}
    carrier = charge.invoice.carrier_id
    numbers, named, before = set(), [], False
    for supply in book.supplies:
        if supply.carrier_id == carrier and _plain(supply.reference) in names:
            before = True
            if _runs(supply, charge):
                numbers |= {supply.number_id} - {None}
                named += [supply.feature] if supply.feature else []
    numbers |= {n.pk for n in book.numbers if _plain(n.number) in names}
    numbers |= {i.number_id for i in book.identities if _plain(i.identity) in names}
    features = book.features
    for feature in features:
        if feature.reference and _plain(feature.reference) in names:
            before = True
            named.append(feature)
    for feature in features:
        if feature.continues_id and any(f.pk == feature.continues_id for f in named):
            named.append(feature)
    running = {f.pk: f for f in named if _runs(f, charge)}
    found = {(f.customer_id, f.number_id, f.pk) for f in running.values() if f.continues_id not in running}
    for number in numbers:
        held = [a for a in book.assignments if a.number_id == number and _runs(a, charge)]
        for who in {a.customer_id for a in held} or {None}:
            fits = {
                f.pk: f
                for f in features
                if f.customer_id == who and f.number_id == number and _runs(f, charge) and charge.product
                and f.feature_type.carrier_product.lower() == charge.product.lower()
                and f.feature_type.carrier_id in (None, carrier)
            }  # fmt: skip
            heads = [f for f in fits.values() if f.continues_id not in fits]
            found.add((who, number, heads[0].pk if len(heads) == 1 else None))
    finer = {(who, number) for who, number, feature in found if feature}
    found = {c for c in found if c[2] or c[:2] not in finer}
    if len(found) == 1:
        return ("allocated", *found.pop(), "")
    why = SEVERAL
    if len(found) > 1 and len({c[1] for c in found}) == 1 and None not in {c[1] for c in found}:
        why = CHANGED_HANDS if len({c[0] for c in found}) > 1 else SEVERAL
    elif not found:
        why = NO_REFERENCE if not charge.reference else NOT_THEN if before else UNKNOWN
    return ("open", None, None, None, why)


def stands(charge: CarrierCharge) -> tuple[Any, ...]:
    return (charge.state, charge.customer_id, charge.number_id, charge.feature_id, charge.reason)


def test_the_product_allocates_as_the_naive_one(world: tuple[Book, Random]) -> None:
    book, random = world
    book.good(*_bill(random))
    rows = list(CarrierCharge.objects.select_related("invoice").order_by("pk"))
    known = everything()
    assert {row.pk: stands(row) for row in rows} == {row.pk: naive(row, known) for row in rows}
    assert len({row.reason for row in rows}) >= 4
    assert len({row.feature_id for row in rows}) >= 2
    before = {row.pk: stands(row) for row in rows}
    allocate_charges(book.house)
    assert {row.pk: stands(row) for row in CarrierCharge.objects.all()} == before


def test_what_is_allocated_open_and_left_out_is_the_bill(world: tuple[Book, Random]) -> None:
    book, random = world
    lines = _bill(random)
    book.good(*lines)
    written = sum(Decimal(line.split(",")[9]) for line in lines)
    pks = list(CarrierCharge.objects.order_by("pk").values_list("pk", flat=True))
    random.shuffle(pks)
    leave_out(book.house, pks[:7], reason="Disputed")
    anybody = Feature.objects.order_by("pk").first()
    allocate_by_hand(book.house, pks[7:15], Target(feature=anybody))
    passed = pass_on(book.house, pks, Terms(doubles=True))
    pass_on(book.house, pks, Terms(doubles=True))
    by_state = dict(CarrierCharge.objects.values_list("state").annotate(Sum("amount")).order_by())
    assert sum(by_state.values()) == written
    assert set(by_state) == {"open", "allocated", "ignored"}
    assert Charge.objects.count() == passed.passed
    billed = CarrierCharge.objects.filter(charge__isnull=False)
    assert billed.count() == passed.passed
    assert Charge.objects.aggregate(s=Sum("amount"))["s"] == billed.aggregate(s=Sum("retail"))["s"]
    assert Charge.objects.aggregate(s=Sum("cost"))["s"] == billed.aggregate(s=Sum("amount"))["s"]
    assert not billed.exclude(state="allocated").exists()
