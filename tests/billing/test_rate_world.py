"""Random worlds of tariffs against a naive oracle, call by call: whose tariff, inheritance, service and access charges,
own prices by customer, number and class, defaults by carrier and number type, markups by class.
"""

from random import Random

import pytest

from billing.rating.book import RatingBook
from billing.rating.book_rows import AssignmentRow, BookRows, ChoiceRow, NumberRow
from billing.rating.dated import FOREVER
from billing.rating.rate import rate_calls
from tests.billing.rating_book import at, book_of, chunk_of, day, money, rate, tariff
from tests.oracles import NaiveCall, naive_price, naive_round

CARRIER = 5
CLASSES = ("", "ngn", "mobile", "premium")
TYPES = ("geographic", "mobile")
NUMBERS = tuple(NumberRow(20 + n, f"+44200000000{n}", TYPES[n % 2]) for n in range(4))
DIALLED = ("+44843000001", "+447700900123", "+4420000", "+44871", "+1202555", "+3312", "")
KEYS = ("44", "447", "4484", "44843", "44871", "1", "4420", "")
DAYS = ("2026-03-09", "2026-03-10")
MARCH_10 = day("2026-03-10")
ROUNDINGS = {"half_up": 0, "half_even": 1, "up": 2, "down": 3}


def a_world(random: Random) -> BookRows:
    """Return a book in which everything that chooses a price is drawn by lot."""
    tariffs = [
        tariff(
            n,
            parent_id=random.choice([0, *range(1, n)]),
            places=random.choice([2, 3, 4, 6]),
            rounding=random.choice(list(ROUNDINGS)),
            is_default=random.random() < 0.5,
            carrier_id=random.choice([0, 0, CARRIER, 6]),
            number_type=random.choice(["", *TYPES]),
            access=random.choice([None, None, money(0), money("0.05"), money("0.1234567")]),
            markup=random.choice([None, None, 2500, -1]),
            markups=tuple(
                (name, random.choice([0, 1250, -999])) for name in CLASSES[1:] if random.random() < 0.3
            ),
            superseded=random.choice([FOREVER, FOREVER, MARCH_10]),
        )
        for n in range(1, 7)
    ]
    buying = tariff(9, kind="wholesale", carrier_id=CARRIER, access=money("0.5"), places=6)
    rates = [_rate(random, n, random.randint(1, 6), 1) for n in range(100, 118)]
    return BookRows(
        carrier_id=CARRIER,
        numbers=NUMBERS,
        assignments=[AssignmentRow(row.id, random.choice([7, 8]), 0, FOREVER) for row in NUMBERS],
        choices=[_choice(random) for _ in range(random.randint(0, 6))],
        tariffs=[*tariffs, buying],
        rates=[*rates, *(_rate(random, n, 9, 0) for n in range(900, 905))],
    )


def _rate(random: Random, id: int, owner: int, flags: int):
    return rate(
        id,
        owner,
        random.choice(KEYS),
        random.choice(["0.13", "0.0777", "1", "0"]),
        is_service_charge=random.random() < (0.5 if flags else 0.3),
        call_class=random.choice(CLASSES),
        fee=random.choice(["0", "0.0123"]),
        minimum=random.choice(["0", "0.2"]),
        initial=random.choice([1, 30, 60]),
        next=random.choice([1, 6]),
        free=random.choice([0, 0, 10]),
        start=random.choice([0, 0, MARCH_10]),
        end=random.choice([FOREVER, FOREVER, MARCH_10 + 1]),
    )._replace(maximum=random.choice([-1, money("0.9")]))


def _choice(random: Random) -> ChoiceRow:
    number = random.choice([0, 0, *(row.id for row in NUMBERS)])
    customer = 0 if number else random.choice([7, 8])
    span = random.choice([(0, FOREVER), (0, MARCH_10), (MARCH_10, FOREVER)])
    return ChoiceRow(number, customer, random.choice(CLASSES), random.randint(1, 6), *span)


class Oracle:
    """The price of one call by the words of the specification."""

    def __init__(self, rows: BookRows) -> None:
        self.rows = rows
        self.tariffs = {row.id: row for row in rows.tariffs}

    def line(self, id: int):
        found = []
        while id:
            found.append(self.tariffs[id])
            id = self.tariffs[id].parent_id
        return found

    def rate_of(self, id: int, dialled: str, when: int):
        for owner in self.line(id):
            held = [
                r
                for r in self.rows.rates
                if r.tariff_id == owner.id and r.start <= when < r.end and dialled.startswith(r.key)
            ]
            if held:
                best = max(len(r.key) for r in held)
                return max((r for r in held if len(r.key) == best), key=lambda r: (r.start, self.place(r)))
        return None

    def place(self, row):
        return self.rows.rates.index(row)

    def assigned(self, number: int, customer: int, call_class: str, when: int) -> int:
        held = [
            c
            for c in self.rows.choices
            if (c.number_id, c.customer_id, c.call_class) == (number, customer, call_class)
            and c.start <= when < c.end
        ]
        return max(held, key=lambda c: (c.start, c.end, c.tariff_id)).tariff_id if held else 0

    def default(self, number_type: str, when: int) -> int:
        for carrier in (CARRIER, 0):
            for kind in (number_type, ""):
                held = [
                    t
                    for t in self.rows.tariffs
                    if t.is_default
                    and t.kind == "retail"
                    and (t.carrier_id, t.number_type) == (carrier, kind)
                    if when < t.superseded
                ]
                if held:
                    return min(held, key=lambda t: (t.superseded, t.id)).id
        return 0

    def tariff_of(self, number, customer: int, dialled: str, when: int) -> int:
        plain = (
            self.assigned(number.id, 0, "", when)
            or self.assigned(0, customer, "", when)
            or self.default(number.type, when)
        )
        found = (self.rate_of(plain, dialled, when) if plain else None) or self.rate_of(9, dialled, when)
        if found is None or not found.call_class:
            return plain
        own = self.assigned(number.id, 0, found.call_class, when) or self.assigned(number.id, 0, "", when)
        return own or self.assigned(0, customer, found.call_class, when) or plain

    def price(self, number, customer: int, dialled: str, when: int, seconds: int):
        """Return state, reason, rate id and price in 1e-8."""
        chosen = self.tariff_of(number, customer, dialled, when)
        if not chosen:
            return "error", "no_tariff", 0, 0
        found, cost = self.rate_of(chosen, dialled, when), self.rate_of(9, dialled, when)
        line = self.line(chosen)
        if found is not None:
            access = next((t.access for t in line if t.access is not None), 0)
            amount = self.amount(found, seconds, access if found.is_service_charge else 0)
            return "rated" if amount else "zero", "", found.id, amount
        markup = self.markup(line, cost.call_class if cost else "")
        if markup is None or cost is None:
            return "error", "no_rate" if dialled else "unknown_type", 0, 0
        exact = money_of(self.amount(cost, seconds, 0)) * (10_000 + markup) / 10_000
        amount = int(naive_round(exact, line[0].places, ROUNDINGS[line[0].rounding]) * 10**8)
        return "rated" if amount else "zero", "", 0, amount

    def markup(self, line, call_class: str):
        of_class = [dict(t.markups)[call_class] for t in line if call_class in dict(t.markups)]
        return next(iter([*of_class, *(t.markup for t in line if t.markup is not None)]), None)

    def amount(self, row, seconds: int, access: int) -> int:
        owner = self.tariffs[row.tariff_id]
        return naive_price(
            NaiveCall(
                seconds=seconds,
                rate=row.price + access,
                fee=row.fee,
                minimum=row.minimum,
                maximum=row.maximum,
                initial=row.initial,
                next=row.next,
                free=row.free,
                places=owner.places,
                rounding=ROUNDINGS[owner.rounding],
            )
        )[1]


def money_of(units: int):
    """Return an amount of 1e-8 as a fraction."""
    return naive_round(units, 8, 0) / 10**8


@pytest.mark.parametrize("seed", range(60))
def test_a_naive_oracle_agrees_in_random_worlds(seed):
    random = Random(seed)
    rows = a_world(random)
    owner = {row.number_id: row.customer_id for row in rows.assignments}
    calls = [
        (random.choice(NUMBERS), random.choice(DIALLED), random.choice(DAYS), random.randint(0, 500))
        for _ in range(40)
    ]
    frame = rate_calls(
        chunk_of(
            *(
                {"identity_1": n.text, "dialled": d, "started_at": at(f"{w}T12:00"), "duration": s}
                for n, d, w, s in calls
            )
        ),
        RatingBook.build(rows),
    )
    oracle = Oracle(rows)
    expected = [oracle.price(n, owner[n.id], d.lstrip("+"), day(w), s) for n, d, w, s in calls]
    found = zip(frame.state, frame.reason, frame.rate_id, frame.retail, strict=True)
    assert list(found) == expected


def test_the_worlds_hold_what_they_are_for():
    kinds = set()
    for seed in range(60):
        rows = a_world(Random(seed))
        frame = rate_calls(
            chunk_of(*({"identity_1": n.text, "dialled": d} for n in NUMBERS for d in DIALLED)),
            RatingBook.build(rows),
        )
        kinds |= {("access", bool(value)) for value in frame.access_charge}
        kinds |= {("marked", row.rate_id == 0 and row.state == "rated") for row in frame.itertuples()}
        kinds |= {("reason", reason) for reason in frame.reason}
    assert {("access", True), ("marked", True), ("reason", "no_rate"), ("reason", "no_tariff")} <= kinds


NGN = {
    "tariffs": [tariff(1, parent_id=2), tariff(2, access=money("0.05"))],
    "rates": [
        rate(201, 2, "44843", "0.13", is_service_charge=True, initial=60, next=60, fee="0.10", minimum="0.50")
    ],
}


@pytest.mark.parametrize(
    ("seconds", "own", "expected"),
    [
        (61, None, "0.50"),  # 0.10 + 2 min at 0.18 = 0.46, the minimum holds
        (181, None, "0.82"),  # 0.10 + 4 min at 0.18
        (181, "0.10", "1.02"),  # the customer's own tariff says 0.10, not its parent's 0.05
        (181, "0", "0.62"),  # nothing is an access charge too
    ],
)
def test_service_and_access_charge_make_one_price_a_minute(seconds, own, expected):
    mine = tariff(1, parent_id=2, access=None if own is None else money(own))
    book = book_of(**NGN | {"tariffs": [mine, NGN["tariffs"][1]]})
    row = rate_calls(chunk_of({"dialled": "+44843000001", "duration": seconds}), book).iloc[0]
    assert (row.rate_id, row.retail) == (201, money(expected))
    assert row.access_charge == money("0.05" if own is None else own)


def test_an_access_charge_is_of_the_tariff_of_the_customer_not_of_the_tariff_that_has_the_rate():
    book = book_of(
        numbers=[NumberRow(11, "1", ""), NumberRow(12, "2", "")],
        assignments=[AssignmentRow(11, 7, 0, FOREVER), AssignmentRow(12, 7, 0, FOREVER)],
        choices=[ChoiceRow(0, 7, "", 1, 0, FOREVER), ChoiceRow(12, 0, "ngn", 3, 0, FOREVER)],
        tariffs=[
            tariff(1, parent_id=2, access=money("0.07")),
            tariff(2, access=money("0.05")),
            tariff(3, parent_id=1, access=money("0.09")),
        ],
        rates=[
            rate(201, 2, "44843", "0.13", is_service_charge=True, call_class="ngn"),
            rate(202, 2, "44", "0.01"),
        ],
    )
    calls = [{"identity_1": who, "dialled": to} for who in "12" for to in ("+44843", "+4420")]
    frame = rate_calls(chunk_of(*calls), book)
    assert frame.retail.tolist() == [money("0.20"), money("0.01"), money("0.22"), money("0.01")]
    assert frame.access_charge.tolist() == [money("0.07"), 0, money("0.09"), 0]


def test_a_wholesale_tariff_never_adds_an_access_charge():
    book = book_of(
        tariffs=[tariff(1), tariff(9, kind="wholesale", carrier_id=CARRIER, access=money("0.05"))],
        rates=[rate(901, 9, "44", "0.10", is_service_charge=True), rate(1, 1, "44", "0.2")],
    )
    frame = rate_calls(chunk_of({}), book)
    assert (frame.expected_cost[0], frame.retail[0], frame.access_charge[0]) == (
        money("0.10"),
        money("0.20"),
        0,
    )


def test_the_markup_of_a_class_stands_before_the_general_one():
    book = book_of(
        tariffs=[
            tariff(1, parent_id=2, markup=1000),
            tariff(2, markups=(("mobile", 5000),), markup=9900),
            tariff(9, kind="wholesale", carrier_id=CARRIER),
        ],
        rates=[
            rate(901, 9, "447", "0.10", call_class="mobile"),
            rate(902, 9, "44", "0.10", call_class="geo"),
        ],
    )
    frame = rate_calls(chunk_of({}, {"dialled": "+4420"}, {"dialled": "+1"}), book)
    assert frame.retail.tolist() == [money("0.15"), money("0.11"), 0]
    assert frame.call_class.tolist() == ["mobile", "geo", ""]
    assert (frame.state[2], frame.reason[2]) == ("error", "no_rate")


def test_a_markup_may_be_a_hundredth_of_a_per_cent_under_cost():
    book = book_of(
        tariffs=[tariff(1, markup=-1, places=6), tariff(9, kind="wholesale", carrier_id=CARRIER)],
        rates=[rate(901, 9, "44", "0.10")],
    )
    assert rate_calls(chunk_of({}), book).retail.tolist() == [money("0.09999")]
