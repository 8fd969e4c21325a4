"""What must hold of any price: more never costs less, order and cutting change nothing, nothing is lost."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating.bands import split_at_bands, standard_bands
from billing.rating.price import Rates, Terms, price_pieces
from billing.rating.rate import rate_calls
from tests.billing.rating_book import at, book_of, chunk_of, money, rate, tariff
from tests.billing.test_price import price_all
from tests.oracles import NaiveCall

LONDON = ZoneInfo("Europe/London")
amounts = st.integers(0, 10**9)
priced = st.builds(
    NaiveCall,
    seconds=st.integers(1, 20_000),
    rate=amounts,
    fee=amounts,
    minimum=amounts,
    maximum=st.one_of(st.just(-1), amounts),
    initial=st.integers(0, 120),
    next=st.integers(1, 90),
    free=st.integers(0, 200),
    places=st.integers(0, 8),
    rounding=st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(priced, st.integers(1, 3_000))
def test_a_longer_call_is_billed_and_costs_no_less(call, more):
    short, long = price_all([call, replace(call, seconds=call.seconds + more)]).amount.tolist()
    assert short <= long
    billed = price_all([call, replace(call, seconds=call.seconds + more)]).billed_seconds.tolist()
    assert billed[0] <= billed[1]
    assert billed[0] >= call.seconds - call.free


@settings(max_examples=150, deadline=None)
@given(priced, st.data())
def test_an_allowance_that_covers_more_leaves_no_more_to_pay(call, data):
    billed = int(price_all([call]).billed_seconds[0])
    some = data.draw(st.integers(0, billed))
    more = data.draw(st.integers(some, billed))
    first, second = price_all([replace(call, bundle=some), replace(call, bundle=more)]).amount.tolist()
    assert second <= first


@settings(max_examples=100, deadline=None)
@given(st.lists(priced, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_a_price_does_not_depend_on_the_calls_beside_it(calls, random):
    order = list(range(len(calls)))
    random.shuffle(order)
    together = price_all(calls)
    turned = price_all([calls[n] for n in order])
    assert turned.amount.tolist() == together.amount[order].tolist()
    assert [int(price_all([call]).amount[0]) for call in calls] == together.amount.tolist()


times = st.integers(1_767_225_600, 1_798_761_600)  # 2026
calls = st.lists(st.tuples(times, st.integers(0, 40_000), st.booleans()), min_size=1, max_size=10)


def split_book(*, split: bool, evening: str = "0.01"):
    rates = [
        rate(1, 1, "44", "0.03", band="Day"),
        rate(2, 1, "44", evening, band="Evening"),
        rate(3, 1, "44", "0.02", band="Weekend"),
    ]
    bands = standard_bands()
    return book_of(tariffs=[tariff(1, bands=bands, holidays="GB-ENG", split=split, places=8)], rates=rates)


def rows(made):
    return chunk_of(
        *({"started_at": at, "duration": seconds, "answered": answered} for at, seconds, answered in made)
    )


@settings(max_examples=60, deadline=None)
@given(calls)
def test_cutting_at_bands_loses_no_second_and_stays_between_the_cheapest_and_the_dearest(made):
    frame = rate_calls(rows(made), split_book(split=True))
    for row, (_, seconds, answered) in zip(frame.itertuples(), made, strict=True):
        assert row.billed_seconds == (seconds if answered else 0)
        whole = row.billed_seconds * money("0.01") // 60
        assert whole <= row.retail <= -(-row.billed_seconds * money("0.03") // 60)


@settings(max_examples=60, deadline=None)
@given(calls)
def test_cutting_changes_nothing_where_all_bands_cost_the_same(made):
    same = [rate(n, 1, "44", "0.0271", band=band.name) for n, band in enumerate(standard_bands(), 1)]
    frames = [
        rate_calls(rows(made), book_of(tariffs=[tariff(1, bands=standard_bands(), split=split)], rates=same))
        for split in (False, True)
    ]
    assert frames[0].retail.tolist() == frames[1].retail.tolist()


@settings(max_examples=60, deadline=None)
@given(calls, st.integers(0, 10))
def test_a_file_in_parts_is_rated_as_one_and_no_row_is_lost(made, at):
    chunk, book = rows(made), split_book(split=True)
    whole = rate_calls(chunk, book)
    parts = [rate_calls(part, book) for part in (chunk.iloc[:at], chunk.iloc[at:])]
    for name in ("line", "retail", "billed_seconds", "state", "reason", "rate_id", "customer_id"):
        assert [value for part in parts for value in part[name]] == whole[name].tolist()
    assert len(whole) == len(made)
    assert set(whole.state) <= {"rated", "zero", "excluded", "error"}
    assert np.all((whole.state == "rated") == (whole.retail != 0))


def test_pieces_that_fit_one_by_one_but_not_together_are_exact():
    seconds = np.full(3, 4_000)
    whole, _ = price_pieces(
        answered=True,
        rates=Rates(per_minute=0),
        terms=Terms(),
        piece_call=np.zeros(3, dtype=np.int64),
        piece_seconds=seconds,
        piece_rates=Rates(per_minute=np.full(3, 10**15)),
    )
    assert whole.amount.tolist() == [3 * 4_000 * 10**15 // 60]


def test_a_call_that_begins_as_its_band_begins_is_one_piece():
    evening = np.array([at("2026-03-10T19:00:00Z")])
    pieces = split_at_bands(evening, np.array([60]), LONDON, standard_bands())
    assert (pieces.offset.tolist(), pieces.seconds.tolist(), pieces.band.tolist()) == ([0], [60], [1])


def test_a_markup_is_put_on_a_cost_that_names_no_currency():
    book = book_of(tariffs=[tariff(1, markup=2_500)], rates=[])
    cost = {"cost": money("0.10"), "has_cost": True}
    frame = rate_calls(chunk_of({**cost, "cost_currency": ""}, {**cost, "cost_currency": "EUR"}), book)
    assert frame.retail.tolist() == [money("0.125"), 0]
    assert frame.state.tolist() == ["rated", "error"]
