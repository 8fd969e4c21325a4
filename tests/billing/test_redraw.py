"""Allowances: worked months, priorities, pools, billed calls, order of files; and a naive oracle call by call."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.models import Bundle, ChangedDay, Feature, Invoice, RatingBatch
from billing.rating.book import RatingBook
from billing.rating.book_rows import BookRows
from billing.rating.calls import Calls
from billing.rating.dated import FOREVER
from billing.rating.draws import Usage, draw_month
from billing.rating.pools import Allowance, pools_of
from billing.rating.redraw import redraw_allowances
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import MB, UNIT, at, chunk_of, day, rate, tariff
from tests.billing.rating_world import World, calls
from tests.oracles import NaiveCall, naive_price

MARCH = (date(2026, 3, 1), date(2026, 3, 31))


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


def surf(world, code="U1"):
    """Give a user the Surf plan: 500 minutes, 50 messages, 15 GB; 0.03 each over, 10 per GB begun."""
    plan = world.reseller.pk and getattr(world, "plan", None)
    if plan is None:
        plan = world.tariff(f"Surf {code}", places=2, data_per_period=True, data_unit_mb=1024, currency="USD")
        world.rate(plan, "", "0.03", initial_increment=60, next_increment=60)
        world.rate(plan, "", "0.03", service="sms")
        world.rate(plan, "", "10", service="data")
        world.plan = plan
        world.pack = world.package(seconds="30000", sms="50", data="15360")
    customer = world.customer(code, currency="USD")
    number = world.number(code, customer)
    world.assign(plan, customer=customer)
    world.feature(world.pack, customer)
    return customer, number


def sums_by_service(field):
    found = calls("service", field)
    return {
        name: sum(value for service, value in found if service == name) for name in ("voice", "sms", "data")
    }


def voice(seconds, when, key, party="U1"):
    return {
        "identity_1": party,
        "dialled": "",
        "duration": seconds,
        "started_at": at(when),
        "dedupe_key": key,
    }


def test_a_month_of_minutes_messages_and_data_comes_out_as_the_plan_says(world):
    surf(world)
    talk = [voice(59, f"2026-03-{1 + n // 24:02d}T{n % 24:02d}:00", n) for n in range(504)]
    texts = [{**voice(0, "2026-03-20T10:00", 1000 + n), "service": "sms"} for n in range(53)]
    data = [
        {
            **voice(0, f"2026-03-{5 + n:02d}T10:00", 2000 + n),
            "service": "data",
            "volume": int(Decimal("800.25") * MB),
        }
        for n in range(20)
    ]
    world.supply(chunk_of(*talk, *texts, *data))
    assert redraw_allowances(world.reseller, None, *MARCH) == 500 + 50 + 20
    by_service = {
        name: sum((r for s, r in calls("service", "retail") if s == name), Decimal(0))
        for name in ("voice", "sms", "data")
    }
    # 504 calls of 59 s are 504 minutes: 4 over; 3 messages over; 16,005 MB are 645 over, 1 GB begun
    assert by_service == {"voice": Decimal("0.12"), "sms": Decimal("0.09"), "data": Decimal("10")}
    drawn = {
        name: sum((r for s, r in calls("service", "drawn") if s == name), Decimal(0))
        for name in ("voice", "sms", "data")
    }
    assert drawn == {"voice": 30_000, "sms": 50, "data": 15_360}
    assert redraw_allowances(world.reseller, None, *MARCH) == 0


def test_the_call_that_crosses_the_end_of_the_allowance_is_split(world):
    surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=90)
    world.supply(chunk_of(voice(61, "2026-03-01T10:00", 1), voice(10, "2026-03-02T10:00", 2)))
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("billed_seconds", "drawn", "retail", "state") == [
        (120, 90, Decimal("0.02"), "rated"),  # 30 s left at 0.03: 0.015
        (60, 0, Decimal("0.03"), "rated"),
    ]


def test_a_month_is_the_resellers_own_and_each_has_its_allowance(world):
    surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=60)
    world.supply(
        chunk_of(
            voice(60, "2026-03-31T22:59:59", 1),
            voice(60, "2026-03-31T23:00:00", 2),
            voice(60, "2026-04-30T22:59", 3),
        )
    )
    redraw_allowances(world.reseller, None, date(2026, 3, 5), date(2026, 4, 2))
    assert [row[0] for row in calls("retail")] == [0, 0, Decimal("0.03")]


def test_an_allowance_serves_while_the_feature_runs_and_the_first_month_may_be_pro_rated(world):
    surf(world)
    Feature.objects.update(start_date=date(2026, 3, 11), end_date=date(2026, 3, 30))
    Bundle.objects.filter(unit="seconds").update(amount=31 * 60)
    world.supply(chunk_of(*(voice(600, f"2026-03-{n:02d}T10:00", n) for n in (10, 12, 13, 14, 30))))
    redraw_allowances(world.reseller, None, *MARCH)
    assert [row[0] for row in calls("drawn")] == [0, 600, 600, 600, 0]
    Bundle.objects.filter(unit="seconds").update(prorate_first=True)  # 21 of 31 days: 1,260 s
    redraw_allowances(world.reseller, None, *MARCH)
    assert [row[0] for row in calls("drawn")] == [0, 600, 600, 60, 0]


def test_draws_come_off_again_when_the_feature_ends(world):
    surf(world)
    world.supply(chunk_of(voice(60, "2026-03-01T10:00", 1)))
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("retail", "drawn", "state") == [(0, 60, "rated")]
    Feature.objects.all().delete()
    assert redraw_allowances(world.reseller, None, *MARCH) == 1
    assert calls("retail", "drawn", "bundle_id", "state") == [(Decimal("0.03"), 0, None, "rated")]


def test_free_and_unanswered_calls_draw_nothing(world):
    surf(world)
    world.rate(world.plan, "44800", "0")
    free = {**voice(600, "2026-03-01T10:00", 1), "dialled": "+448001111"}
    world.supply(chunk_of(free, {**voice(60, "2026-03-01T11:00", 2), "answered": False}))
    assert redraw_allowances(world.reseller, None, *MARCH) == 0
    assert calls("state", "drawn", "reason") == [("zero", 0, ""), ("zero", 0, "unanswered")]


def test_per_number_pools_serve_their_own_number_and_shared_ones_all(world):
    customer, first = surf(world)
    second = world.number("U2", customer)
    Feature.objects.all().delete()
    Bundle.objects.filter(unit="seconds").update(amount=60, shared=False)
    for number in (first, second):
        world.feature(world.pack, customer, number=number)
    talk = [voice(60, f"2026-03-{n:02d}T10:00", n, "U1" if n < 4 else "U2") for n in range(1, 6)]
    world.supply(chunk_of(*talk))
    redraw_allowances(world.reseller, None, *MARCH)
    assert [row[0] for row in calls("drawn")] == [60, 0, 0, 60, 0]
    Bundle.objects.filter(unit="seconds").update(shared=True)
    redraw_allowances(world.reseller, [customer.pk], *MARCH)
    assert [row[0] for row in calls("drawn")] == [60, 60, 0, 0, 0]


def test_what_is_billed_stays_and_comes_off_the_allowance(world):
    customer, _ = surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=120)
    Bundle.objects.filter(unit="data").update(amount=100)
    mobile = {"service": "data", "volume": 150 * MB}
    world.supply(chunk_of(voice(60, "2026-03-10T10:00", 1), {**voice(0, "2026-03-10T11:00", 5), **mobile}))
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("drawn", "retail") == [(60, 0), (100, 10)]
    batch = RatingBatch.objects.order_by("-pk").first().pk
    Invoice.objects.create(
        **world.own,
        customer=customer,
        invoice_date=date(2026, 4, 1),
        due_date=date(2026, 4, 15),
        currency="USD",
        usage_before=datetime(2026, 4, 1, tzinfo=UTC),
        usage_batch=batch,
    )
    late = {**mobile, "volume": 974 * MB}
    world.supply(
        chunk_of(
            voice(90, "2026-03-01T10:00", 2),
            {**voice(0, "2026-03-02T11:00", 6), **late},
            {**voice(0, "2026-03-03T11:00", 7), **mobile},
        )
    )
    assert redraw_allowances(world.reseller, None, *MARCH) == 2
    assert calls("dedupe_key", "drawn", "retail") == [
        (2, 60, Decimal("0.03")),
        (6, 0, 0),  # 50 MB of the GB were billed: 974 fill it up to the brim
        (7, 0, 10),
        (1, 60, 0),
        (5, 100, 10),
    ]


def test_money_draws_last_on_the_price(world):
    surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=60)
    world.supply(
        chunk_of(
            voice(60, "2026-03-01T10:00", 1),
            voice(60, "2026-03-02T10:00", 2),
            voice(120, "2026-03-03T10:00", 3),
        )
    )
    Bundle.objects.create(**world.own, feature_type=world.pack, unit="money", amount="0.05", priority=0)
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("drawn", "retail") == [(60, 0), (Decimal("0.03"), 0), (Decimal("0.02"), Decimal("0.04"))]
    assert redraw_allowances(world.reseller, None, *MARCH) == 0


def test_changed_days_are_noted(world):
    surf(world)
    world.supply(chunk_of(voice(60, "2026-03-31T23:30:00", 1)))
    redraw_allowances(world.reseller, None, date(2026, 4, 1), date(2026, 4, 30))
    assert list(ChangedDay.objects.values_list("day", flat=True)) == [date(2026, 4, 1)]


def test_another_resellers_calls_stay(world):
    surf(world)
    world.supply(chunk_of(voice(60, "2026-03-01T10:00", 1)))
    other = World.make("beta")
    with enter(Scope.of(other.reseller.pk)):
        other.begin()
        assert redraw_allowances(other.reseller, None, *MARCH) == 0
    assert Reseller.objects.count() == 2
    assert calls("drawn") == [(0,)]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_and_number_of_files_do_not_matter(db, seed):
    random = Random(seed)
    rows = [
        {
            **voice(random.randint(0, 200), f"2026-03-01T10:00:0{random.randint(0, 3)}", 7919 * n % 1009),
            "identity_1": random.choice(["U1", "U2"]),
            "service": random.choice(["voice", "sms", "data"]),
            "volume": random.randint(0, 200) * MB,
        }
        for n in range(40)
    ]
    results = []
    for turn in range(3):
        made = World.make(f"house-{turn}")
        with enter(Scope.of(made.reseller.pk)):
            made.begin()
            for code in ("U1", "U2"):
                surf(made, code)
            Bundle.objects.filter(unit="seconds").update(amount=450)
            Bundle.objects.filter(unit="sms").update(amount=3)
            Bundle.objects.filter(unit="data").update(amount=900)
            for part in (rows[: 20 * turn], rows[20 * turn :]):
                if part:
                    made.supply(chunk_of(*part))
                    redraw_allowances(made.reseller, None, *MARCH)
            results.append(calls("dedupe_key", "billed_seconds", "drawn", "retail", "state"))
            assert redraw_allowances(made.reseller, None, *MARCH) == 0
        random.shuffle(rows)
    assert results[0] == results[1] == results[2]
    assert len({row[2] for row in results[0]}) > 4


@dataclass
class NaivePack:
    """A bundle with what is left of it."""

    id: int
    unit: str
    left: Fraction
    step: int
    call_class: str
    prefix: str


def naive_month(rows, packs, rates, unit):
    """Draw and price a customer's calls one by one; data is summed to whole units."""
    out, data = [], Fraction(0)
    for service, seconds, dialled, call_class in rows:
        price, fee = rates[service]
        own = NaiveCall(seconds=seconds, rate=price, fee=fee, initial=60, next=60, places=2)
        billed = naive_price(own)[0] if service == "voice" else 0
        need = {"voice": billed, "sms": 1, "data": seconds}[service]
        covered, first, drawn = 0, 0, 0
        for pack in packs:
            serves = pack.call_class in ("", call_class) and dialled.startswith(pack.prefix)
            kind = {"seconds": "voice", "calls": "voice", "sms": "sms", "data": "data"}[pack.unit]
            if not serves or kind != service or need == covered:
                continue
            if pack.unit == "calls":
                taken, units = (need - covered, 1) if pack.left >= 1 else (0, 0)
                pack.left -= units
            else:
                steps = min(math.ceil(Fraction(need - covered, pack.step)), math.floor(pack.left / pack.step))
                pack.left -= steps * pack.step
                taken = units = min(need - covered, steps * pack.step)
            covered += taken
            if units and first in (0, pack.id):
                first = pack.id
            if units and (first == pack.id or pack.unit == next(p.unit for p in packs if p.id == first)):
                drawn += units
        if service == "voice":
            amount = naive_price(replace(own, bundle=covered))[1]
        elif service == "sms":
            amount = (1 - covered) * price
        else:
            before, data = data, data + seconds - covered
            amount = (math.ceil(data / unit) - math.ceil(before / unit)) * price
        out.append((drawn, first, amount))
    return out


UNITS = st.sampled_from(["seconds", "calls", "sms", "data", "seconds"])
PACKS = st.lists(
    st.tuples(
        UNITS,
        st.integers(0, 700),
        st.sampled_from([1, 1, 60, 7]),
        st.sampled_from(["", "", "mobile"]),
        st.sampled_from(["", "", "44", "447"]),
    ),
    max_size=5,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["voice", "voice", "sms", "data"]),
        st.integers(0, 300),
        st.sampled_from(["4477", "4420", "33"]),
        st.sampled_from(["", "mobile"]),
    ),
    min_size=1,
    max_size=15,
)


@settings(deadline=None)
@given(CALLS, PACKS)
def test_a_naive_oracle_agrees_call_by_call(rows, packs):
    rates = {"voice": (3 * UNIT // 100, UNIT // 100), "sms": (3 * UNIT // 100, 0), "data": (10 * UNIT, 0)}
    book = RatingBook.build(
        BookRows(
            tariffs=[tariff(1, places=2, per_period=True, data_unit=100 * MB)],
            rates=[
                rate(n, 1, "", "0", service=service)._replace(price=price, fee=0, initial=60, next=60)
                for n, (service, (price, _)) in enumerate(rates.items(), 1)
            ],
        )
    )
    book.rates.fee[0] = rates["voice"][1]
    allowances = [
        Allowance(
            n,
            unit,
            Decimal(amount),
            Decimal(step if unit in ("seconds", "data") else 0),
            call_class,
            prefix,
            n,
            False,
            7,
            0,
            1,
            0,
            FOREVER,
        )
        for n, (unit, amount, step, call_class, prefix) in enumerate(packs, 1)
    ]
    usage = usage_from(rows, book)
    drawing = draw_month(usage, pools_of(allowances, day("2026-03-01"), day("2026-04-01"), {}), book)
    naive = naive_month(
        rows,
        [
            NaivePack(
                n, unit, Fraction(amount), step if unit in ("seconds", "data") else 1, call_class, prefix
            )
            for n, (unit, amount, step, call_class, prefix) in enumerate(packs, 1)
        ],
        rates,
        100,
    )
    found = zip((drawing.drawn // MB).tolist(), drawing.bundle.tolist(), drawing.retail.tolist(), strict=True)
    assert list(found) == naive


def usage_from(rows, book):
    """Return a customer's calls of one day as columns in drawing order."""
    chunk = chunk_of(
        *(
            {
                "service": service,
                "duration": size,
                "volume": size * MB,
                "dialled": dialled,
                "started_at": at("2026-03-05T10:00"),
            }
            for service, size, dialled, _ in rows
        )
    )
    calls_ = Calls.of(chunk, book)
    ones = np.ones(len(rows), dtype=np.int64)
    return Usage(
        calls=calls_,
        customer=ones * 7,
        number=ones,
        rate=calls_.service.copy(),
        call_class=[call_class for *_, call_class in rows],
        open=ones == 1,
        other=ones * 0,
        uncovered=calls_.volume,
    )
