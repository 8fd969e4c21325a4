"""Allowances drawn in call order, and volume summed over a period: worked figures and agreement with the
naive oracle.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating.allowances import NO_GROUP, AllowanceError, call_order, cumulative_units, draw
from tests.oracles import naive_draw

MEGABYTE = 10**6
GIGABYTE = 1024 * MEGABYTE


def ints(*values):
    return np.array(values, dtype=np.int64)


def test_the_call_that_crosses_the_end_is_covered_in_part():
    drawn = draw(ints(0, 0, 0, 1), ints(60, 50, 10, 30), ints(100, 20))
    assert drawn.covered.tolist() == [60, 40, 0, 20]
    assert drawn.used.tolist() == [60, 40, 0, 20]


def test_whole_steps_strand_a_remainder_and_use_more_than_the_call():
    drawn = draw(ints(0, 0), ints(10, 70), ints(130), step=60)
    assert drawn.covered.tolist() == [10, 60]
    assert drawn.used.tolist() == [60, 60]  # the last 10 seconds are never drawn


def test_calls_of_no_group_draw_nothing_and_used_up_allowances_give_nothing():
    drawn = draw(ints(NO_GROUP, NO_GROUP, 0, 1), ints(5, 5, 5, 5), ints(-3, 0))
    assert drawn.covered.tolist() == [0, 0, 0, 0]
    assert draw(ints(NO_GROUP), ints(5), ints()).covered.tolist() == [0]
    assert draw(ints(), ints(), ints(4)).covered.tolist() == []


def test_two_bundles_are_drawn_one_after_the_other():
    need = ints(60, 60)
    first = draw(ints(0, 0), need, ints(70))
    second = draw(ints(0, 0), need - first.covered, ints(30))
    assert (first.covered + second.covered).tolist() == [60, 40]


def test_call_order_is_by_group_start_and_id_whatever_the_file():
    assert call_order(ints(1, 0, 0, 0), ints(5, 9, 7, 7), ints(1, 2, 4, 3)).tolist() == [3, 2, 1, 0]


def test_wrong_columns_are_refused():
    with pytest.raises(AllowanceError, match="in order"):
        draw(ints(1, 0), ints(1, 1), ints(1, 1))
    with pytest.raises(AllowanceError, match="at least 1"):
        draw(ints(0), ints(1), ints(1), step=0)
    with pytest.raises(AllowanceError, match="less than nothing"):
        draw(ints(0), ints(-1), ints(1))
    with pytest.raises(AllowanceError, match="too large"):
        draw(ints(0, 0), ints(2**61, 2**61), ints(1))
    with pytest.raises(AllowanceError, match="above zero"):
        cumulative_units(ints(0), ints(1), 0)


def test_megabytes_are_summed_for_the_month_and_rounded_up_to_gigabytes():
    group = ints(0, 0, 0, 1)
    volume = ints(15 * GIGABYTE - 1, 1, 1, GIGABYTE + 1)
    units = cumulative_units(group, volume, GIGABYTE, allowance=ints(15 * GIGABYTE, 0))
    assert units.tolist() == [0, 0, 1, 2]  # one byte over is a whole gigabyte
    assert cumulative_units(group, volume, GIGABYTE).tolist() == [15, 0, 1, 2]
    opened = cumulative_units(ints(0), ints(2), GIGABYTE, opening=ints(GIGABYTE - 1))
    assert opened.tolist() == [1]
    assert cumulative_units(ints(0), ints(2), GIGABYTE, opening=ints(GIGABYTE - 2)).tolist() == [0]


rows = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 500)), max_size=40).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)
limits = st.lists(st.integers(0, 2_000), min_size=5, max_size=5)


@given(rows, limits, st.integers(1, 70))
@settings(deadline=None, max_examples=200)
def test_drawing_agrees_with_drawing_call_by_call(pairs, allowances, step):
    drawn = draw(ints(*(g for g, _ in pairs)), ints(*(n for _, n in pairs)), ints(*allowances), step)
    expected = naive_draw(pairs, dict(enumerate(allowances)), step)
    assert list(zip(drawn.covered.tolist(), drawn.used.tolist(), strict=True)) == expected


@given(rows, limits, limits, st.integers(1, 300), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_summed_units_add_up_to_the_periods_figure_in_any_order(pairs, allowances, openings, unit, random):
    shuffled = sorted(random.sample(pairs, len(pairs)), key=lambda pair: pair[0])
    group, volume = ints(*(g for g, _ in shuffled)), ints(*(v for _, v in shuffled))
    units = cumulative_units(group, volume, unit, ints(*allowances), ints(*openings))
    assert all(count >= 0 for count in units.tolist())
    for number, (allowance, opening) in enumerate(zip(allowances, openings, strict=True)):
        total = sum(v for g, v in pairs if g == number)
        after, before = max(opening + total - allowance, 0), max(opening - allowance, 0)
        assert units[group == number].sum() == -(-after // unit) - -(-before // unit)
