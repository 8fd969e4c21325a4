"""The voice, event and data prices: worked figures, refusals, and agreement with the naive oracle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating.price import (
    PriceError,
    Rates,
    Terms,
    billed_seconds,
    price_calls,
    price_events,
    price_pieces,
    price_volume,
)
from billing.rating.rounding import Rounding, RoundingError, round_quotient
from tests.oracles import NaiveCall, NaivePiece, naive_billed, naive_price, naive_split_price

UNIT = 10**8
PENNY = 10**6


def ints(*values):
    return np.array(values, dtype=np.int64)


def price_all(calls: list[NaiveCall]):
    """Price oracle calls by the product, in one batch of columns."""
    column = {f.name: np.array([getattr(c, f.name) for c in calls]) for f in dataclasses.fields(NaiveCall)}
    rates = Rates(
        per_minute=column["rate"],
        connection_fee=column["fee"],
        minimum_charge=column["minimum"],
        maximum_charge=column["maximum"],
        initial_increment=column["initial"],
        next_increment=column["next"],
        free_seconds=column["free"],
    )
    terms = Terms(
        places=column["places"],
        rounding=column["rounding"],
        charge_unanswered=column["charge_unanswered"],
        fee_in_allowance=column["fee_in_allowance"],
    )
    return price_calls(
        answered=column["answered"],
        seconds=column["seconds"],
        rates=rates,
        terms=terms,
        bundle_seconds=column["bundle"],
    )


def amount_of(call: NaiveCall) -> int:
    return int(price_all([call]).amount[0])


@pytest.mark.parametrize(
    ("initial", "following", "seconds", "billed"),
    [
        (30, 6, 61, 66),
        (60, 60, 61, 120),
        (60, 1, 61, 61),
        (30, 6, 31, 36),
        (1, 1, 7, 7),
        (45, 30, 50, 75),
        (0, 60, 1, 60),
        (60, 1, 0, 0),
    ],
)
def test_billed_seconds_are_the_initial_increment_then_whole_next_ones(initial, following, seconds, billed):
    rates = Rates(per_minute=0, initial_increment=initial, next_increment=following)
    assert billed_seconds(ints(seconds), rates).tolist() == [billed]


def test_a_call_of_61_seconds_at_30_6_costs_66_seconds_and_the_fee():
    call = NaiveCall(seconds=61, rate=5 * PENNY, fee=2 * PENNY + PENNY // 2, initial=30, next=6)
    priced = price_all([call])
    assert priced.billed_seconds.tolist() == [66]
    assert priced.amount.tolist() == [8 * PENNY]  # 0.025 + 66 x 0.05 / 60


def test_division_by_sixty_is_exact_and_rounded_once():
    assert amount_of(NaiveCall(seconds=180, rate=10 * PENNY)) == 30 * PENNY  # not 0.3001
    assert amount_of(NaiveCall(seconds=670, rate=91 * PENNY, places=8)) == 1_016_166_667
    assert amount_of(NaiveCall(seconds=1, rate=1, places=8)) == 0


def test_unanswered_and_zero_seconds_are_free_unless_the_tariff_charges_the_fee():
    for call in (
        NaiveCall(seconds=30, rate=UNIT, answered=False, fee=5 * PENNY),
        NaiveCall(seconds=0, rate=UNIT, fee=5 * PENNY),
    ):
        assert amount_of(call) == 0
        assert amount_of(dataclasses.replace(call, charge_unanswered=True, minimum=UNIT)) == 5 * PENNY
        assert price_all([call]).billed_seconds.tolist() == [0]


def test_minimum_comes_before_maximum_and_both_before_rounding():
    assert amount_of(NaiveCall(seconds=10, rate=1_037 * PENNY // 100, minimum=3 * PENNY)) == 3 * PENNY
    assert amount_of(NaiveCall(seconds=60, rate=234 * PENNY, minimum=UNIT, maximum=2 * UNIT)) == 2 * UNIT
    assert amount_of(NaiveCall(seconds=60, rate=1, minimum=3 * UNIT, maximum=2 * UNIT)) == 2 * UNIT
    assert (
        amount_of(NaiveCall(seconds=60, rate=1, maximum=123_456_789, minimum=123_456_789, places=2))
        == 123 * PENNY
    )
    assert amount_of(NaiveCall(seconds=60, rate=UNIT, maximum=0)) == 0


def test_free_seconds_come_off_before_the_increments():
    call = NaiveCall(seconds=61, rate=60 * PENNY, fee=10 * PENNY, initial=0, next=60, free=60)
    assert price_all([call]).billed_seconds.tolist() == [60]
    assert amount_of(call) == 70 * PENNY


def test_a_call_inside_an_allowance_pays_the_fee_if_the_tariff_says_so_and_no_minimum():
    inside = NaiveCall(seconds=40, rate=UNIT, fee=7 * PENNY, minimum=50 * PENNY, bundle=40)
    assert amount_of(inside) == 7 * PENNY
    assert amount_of(dataclasses.replace(inside, fee_in_allowance=False)) == 0
    assert amount_of(dataclasses.replace(inside, bundle=0, free=60)) == 7 * PENNY
    assert (
        amount_of(dataclasses.replace(inside, bundle=39)) == 50 * PENNY
    )  # one second is paid for: the minimum holds
    assert price_all([dataclasses.replace(inside, bundle=39)]).paid_seconds.tolist() == [1]


@pytest.mark.parametrize(
    ("mode", "rounded"),
    [
        (Rounding.HALF_UP, [13, 12, -13, -12, 14]),
        (Rounding.HALF_EVEN, [12, 12, -12, -12, 14]),
        (Rounding.UP, [13, 13, -12, -12, 14]),
        (Rounding.DOWN, [12, 12, -13, -13, 13]),
    ],
)
def test_rounding_modes_at_the_half_on_both_sides_of_zero(mode, rounded):
    numerators = (
        ints(750_000_000, 749_999_999, -750_000_000, -749_999_999, 810_000_000) * 100
    )  # 12.5, a hair under, ... 13.5
    assert (round_quotient(numerators, 60, 0, mode) // UNIT).tolist() == rounded


def test_places_outside_the_unit_are_refused():
    with pytest.raises(RoundingError, match="between 0 and 8 decimal places"):
        round_quotient(ints(1), 60, 9, Rounding.UP)


def test_an_allowance_beyond_the_call_and_an_increment_of_nothing_are_refused():
    with pytest.raises(PriceError, match="more seconds than the call has"):
        price_all([NaiveCall(seconds=10, rate=1, bundle=11)])
    with pytest.raises(PriceError, match="at least 1 second"):
        price_all([NaiveCall(seconds=10, rate=1, next=0)])
    with pytest.raises(PriceError, match="more units than the event has"):
        price_events(units=ints(1), each=1, rates=Rates(per_minute=0), terms=Terms(), drawn=2)


def test_what_would_overflow_int64_is_still_exact():
    huge = NaiveCall(seconds=2**27, rate=2**38, places=8)  # 2,749 a minute for four years
    calls = [huge, NaiveCall(seconds=61, rate=7 * PENNY)]
    assert price_all(calls).amount.tolist() == [(2**65 + 30) // 60, 7_120_000]
    assert price_all(calls).amount.dtype == np.int64
    with pytest.raises(PriceError, match="beyond 92 billion"):
        price_all([NaiveCall(seconds=2**40, rate=2**40)])


def test_no_calls_cost_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    rates = Rates(per_minute=nothing)
    assert (
        price_calls(answered=nothing == 1, seconds=nothing, rates=rates, terms=Terms()).amount.tolist() == []
    )
    whole, paid = price_pieces(
        answered=True,
        rates=rates,
        terms=Terms(),
        piece_call=nothing,
        piece_seconds=nothing,
        piece_rates=rates,
    )
    assert (whole.amount.tolist(), paid.tolist()) == ([], [])


money = st.integers(0, 20 * UNIT) | st.sampled_from([0, 1, PENNY, UNIT // 3, 10**15])
naive_calls = st.builds(
    NaiveCall,
    seconds=st.integers(0, 7_200) | st.sampled_from([0, 1, 59, 60, 61]),
    rate=money | st.integers(-UNIT, UNIT),
    answered=st.booleans(),
    fee=money,
    minimum=money,
    maximum=st.just(-1) | money,
    initial=st.integers(0, 120),
    next=st.integers(1, 120),
    free=st.integers(0, 90),
    places=st.integers(0, 8),
    rounding=st.integers(0, 3),
    charge_unanswered=st.booleans(),
    fee_in_allowance=st.booleans(),
)


@st.composite
def calls_with_bundles(draw):
    call = draw(naive_calls)
    most = naive_billed(call.seconds - call.free, call.initial, call.next)
    return dataclasses.replace(call, bundle=draw(st.integers(0, most) | st.just(most) | st.just(0)))


@given(st.lists(calls_with_bundles(), min_size=1, max_size=20))
@settings(deadline=None, max_examples=200)
def test_columns_agree_with_the_naive_price_of_each_call(calls):
    priced = price_all(calls)
    expected = [naive_price(call) for call in calls]
    assert list(zip(priced.billed_seconds.tolist(), priced.amount.tolist(), strict=True)) == expected


@st.composite
def split_calls(draw):
    call = draw(naive_calls)
    sizes = draw(st.lists(st.integers(1, 200), min_size=1, max_size=5))
    pieces = [
        NaivePiece(n, draw(st.integers(0, UNIT)), draw(st.integers(0, 90)), draw(st.integers(1, 90)))
        for n in sizes
    ]
    call = dataclasses.replace(call, seconds=sum(sizes))
    whole, _ = naive_split_price(dataclasses.replace(call, answered=True), pieces)
    return dataclasses.replace(call, bundle=draw(st.integers(0, sum(whole)))), pieces


@given(st.lists(split_calls(), min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_split_calls_agree_with_pricing_increment_by_increment(cases):
    calls = [call for call, _ in cases]
    pieces = [piece for _, ps in cases for piece in ps]
    per_call = {f.name: np.array([getattr(c, f.name) for c in calls]) for f in dataclasses.fields(NaiveCall)}
    per_piece = {f.name: ints(*(getattr(p, f.name) for p in pieces)) for f in dataclasses.fields(NaivePiece)}
    whole, paid = price_pieces(
        answered=per_call["answered"],
        rates=Rates(
            per_minute=0,
            connection_fee=per_call["fee"],
            minimum_charge=per_call["minimum"],
            maximum_charge=per_call["maximum"],
            free_seconds=per_call["free"],
        ),
        terms=Terms(
            places=per_call["places"],
            rounding=per_call["rounding"],
            charge_unanswered=per_call["charge_unanswered"],
            fee_in_allowance=per_call["fee_in_allowance"],
        ),
        piece_call=np.repeat(np.arange(len(cases)), [len(ps) for _, ps in cases]),
        piece_seconds=per_piece["seconds"],
        piece_rates=Rates(
            per_minute=per_piece["rate"],
            initial_increment=per_piece["initial"],
            next_increment=per_piece["next"],
        ),
        bundle_seconds=np.where(per_call["answered"], per_call["bundle"], 0),
    )
    expected = [naive_split_price(call, ps) for call, ps in cases]
    assert whole.amount.tolist() == [amount for _, amount in expected]
    answered_paid = [n for (call, _), (ns, _) in zip(cases, expected, strict=True) for n in ns]
    assert paid.tolist() == answered_paid


def test_an_increment_begun_before_the_boundary_is_completed_at_its_own_price():
    whole, paid = price_pieces(  # 1 s of peak in 60 s blocks at 2, then 61 s off-peak in 30 s blocks at 1
        answered=True,
        rates=Rates(per_minute=0),
        terms=Terms(),
        piece_call=ints(0, 0),
        piece_seconds=ints(1, 61),
        piece_rates=Rates(
            per_minute=ints(2 * UNIT, UNIT), initial_increment=ints(60, 30), next_increment=ints(60, 30)
        ),
    )
    assert paid.tolist() == [60, 30]
    assert whole.amount.tolist() == [5 * UNIT // 2]
    assert whole.billed_seconds.tolist() == [90]


def test_split_calls_beyond_int64_are_exact():
    whole, _ = price_pieces(
        answered=True,
        rates=Rates(per_minute=0),
        terms=Terms(places=8),
        piece_call=ints(0, 0),
        piece_seconds=ints(2**30, 2**30),
        piece_rates=Rates(per_minute=ints(2**36, 2**37)),
    )
    assert whole.amount.tolist() == [(2**66 + 2**67 + 30) // 60]


def test_messages_are_priced_each_and_less_the_allowance():
    amounts = price_events(
        units=ints(1, 3, 5, 0),
        each=ints(3, 3, 3, 3) * PENNY,
        rates=Rates(per_minute=0),
        terms=Terms(places=2),
        drawn=ints(0, 1, 5, 0),
    )
    assert amounts.tolist() == [3 * PENNY, 6 * PENNY, 0, 0]


def test_data_is_priced_by_blocks_of_volume_in_the_tariffs_own_gigabyte():
    megabyte = 10**6
    amounts = price_volume(
        volume=ints(1, 20 * megabyte + 1, 1024 * megabyte, 10**12),
        unit=1024 * megabyte,
        block=megabyte,
        each=10 * UNIT,
        rates=Rates(per_minute=0),
        terms=Terms(),
    )
    assert amounts.tolist() == [
        980_000,
        20_510_000,
        10 * UNIT,
        976_562_500_000,
    ]  # 10/1024, 210/1024, 10, 10^7/1024
    with pytest.raises(PriceError, match="must be above zero"):
        price_volume(volume=ints(1), unit=0, block=1, each=1, rates=Rates(per_minute=0), terms=Terms())


def test_a_huge_volume_in_millionths_is_exact():
    amounts = price_volume(
        volume=ints(10**15 + 1),
        unit=10**9 + 7,
        block=1,
        each=3 * UNIT,
        rates=Rates(per_minute=0),
        terms=Terms(places=8),
    )
    assert amounts.tolist() == [((10**15 + 1) * 3 * UNIT * 2 + 10**9 + 7) // (2 * (10**9 + 7))]
