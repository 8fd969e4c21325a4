"""Proration: worked stubs, clamped anchors, target dates, and agreement with looking at each day."""

import itertools
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.charging.prorate import (
    Interval,
    Method,
    Mode,
    ProrateError,
    Service,
    fraction,
    part_amount,
    periods,
    prorate,
)
from tests.oracles import naive_boundaries

FAR = date(2030, 1, 1)


def charge(start, end, target, *, interval="month", anchor=1, mode="advance", method="actual", amount="100"):
    service = Service(
        date.fromisoformat(start), date.fromisoformat(end) if end else None, Interval(interval), anchor
    )
    charges = prorate(
        amount=Decimal(amount),
        service=service,
        mode=Mode(mode),
        method=Method(method),
        target=date.fromisoformat(target),
    )
    return [(c.start.isoformat(), c.end.isoformat(), str(c.fraction), str(c.amount)) for c in charges]


def test_a_start_inside_the_month_pays_its_days_and_then_whole_months():
    assert charge("2026-10-15", None, "2026-12-01", amount="31.00") == [
        ("2026-10-15", "2026-11-01", "17/31", "17.00"),
        ("2026-11-01", "2026-12-01", "1", "31.00"),
        ("2026-12-01", "2027-01-01", "1", "31.00"),
    ]


def test_arrears_wait_for_the_end_of_the_period():
    assert charge("2026-10-15", None, "2026-11-30", mode="arrears") == [
        ("2026-10-15", "2026-11-01", "17/31", "54.84")
    ]
    assert charge("2026-10-15", None, "2026-10-31", mode="arrears") == []
    assert charge("2026-10-01", "2026-10-11", "2026-10-10", mode="arrears") == []
    assert charge("2026-10-01", "2026-10-11", "2026-10-11", mode="arrears") == [
        ("2026-10-01", "2026-10-11", "10/31", "32.26")
    ]


def test_three_whole_months_have_no_stub():
    assert [row[2] for row in charge("2012-03-02", "2012-06-02", "2012-12-01", anchor=2)] == ["1", "1", "1"]


def test_an_anchor_of_31_falls_on_the_last_day_of_shorter_months():
    assert [row[:3] for row in charge("2026-01-31", None, "2026-04-30", anchor=31)] == [
        ("2026-01-31", "2026-02-28", "1"),
        ("2026-02-28", "2026-03-31", "1"),
        ("2026-03-31", "2026-04-30", "1"),
        ("2026-04-30", "2026-05-31", "1"),
    ]
    assert charge("2025-03-31", None, "2025-05-30", anchor=31, mode="arrears")[-1][1] == "2025-04-30"


def test_a_leading_stub_is_divided_by_the_interval_that_ends_at_the_first_boundary():
    assert charge("2011-02-14", None, "2011-02-14", anchor=31)[0][:3] == ("2011-02-14", "2011-02-28", "14/31")
    assert charge("2012-05-12", None, "2012-05-12", interval="year", amount="2399.95") == [
        ("2012-05-12", "2013-05-01", "354/365", "2327.62")
    ]
    assert charge("2012-05-12", "2012-05-22", FAR.isoformat())[0][2] == "10/31"


def test_quarters_and_years_run_from_the_anchor_of_the_starts_month():
    assert [
        row[:3] for row in charge("2011-01-31", "2011-05-10", "2011-05-21", interval="quarter", anchor=7)
    ] == [
        ("2011-01-31", "2011-04-07", "11/15"),
        ("2011-04-07", "2011-05-10", "33/91"),
    ]


def test_months_of_30_days_and_no_proration():
    assert charge("2023-05-15", "2023-05-23", "2023-06-01", anchor=15, method="30", amount="19.95")[0][
        2:
    ] == ("4/15", "5.32")
    assert charge("2023-02-23", "2023-03-15", "2023-06-01", anchor=23, method="30")[0][2] == "11/15"
    assert (
        charge("2026-01-31", "2026-02-01", "2026-06-01", method="30")[0][2] == "0"
    )  # the 31st is not counted
    assert charge("2026-05-01", "2026-05-31", "2026-06-01", method="30")[0][2] == "1"
    assert charge("2026-10-15", None, "2026-10-15", method="none")[0][2:] == ("1", "100.00")


def test_weeks_and_days_run_from_the_start():
    assert [row[:3] for row in charge("2026-11-03", "2026-11-13", "2026-12-01", interval="week")] == [
        ("2026-11-03", "2026-11-10", "1"),
        ("2026-11-10", "2026-11-13", "3/7"),
    ]
    assert len(charge("2026-11-03", "2026-11-13", "2026-12-01", interval="day", anchor=31)) == 10


def test_a_service_of_no_days_costs_nothing_and_one_before_its_target_neither():
    assert charge("2026-11-03", "2026-11-03", "2026-12-01") == []
    assert charge("2026-11-03", None, "2026-11-02") == []


def test_what_cannot_be_is_refused():
    with pytest.raises(ProrateError, match="ends before it starts"):
        charge("2026-11-03", "2026-11-02", "2026-12-01")
    with pytest.raises(ProrateError, match="from 1 to 31"):
        charge("2026-11-03", None, "2026-12-01", anchor=32)
    with pytest.raises(ProrateError, match="beyond the calendar"):
        charge("9999-12-03", None, "9999-12-31")
    with pytest.raises(ProrateError, match="beyond the calendar"):
        charge("9999-12-30", None, "9999-12-31", interval="week")


@pytest.mark.parametrize(
    ("amount", "share", "rounded"),
    [
        ("0.01", "1/2", "0.01"),
        ("-0.01", "1/2", "-0.01"),
        ("10", "1/3", "3.33"),
        ("-249.95", "20/31", "-161.26"),
    ],
)
def test_amounts_are_rounded_half_up_away_from_zero(amount, share, rounded):
    assert str(part_amount(Decimal(amount), Fraction(share))) == rounded


days = st.dates(date(2023, 1, 1), date(2028, 12, 31))
lengths = st.integers(1, 900)


@given(days, lengths, st.sampled_from([("month", 1), ("quarter", 3), ("year", 12)]), st.integers(1, 31))
@settings(deadline=None, max_examples=200)
def test_periods_agree_with_looking_at_each_day(start, length, interval, anchor):
    name, months = interval
    end = start + timedelta(days=length)
    parts = list(periods(Service(start, end, Interval(name), anchor), until=end))
    inside = [day for day in naive_boundaries(start, months, anchor, end) if start < day < end]
    assert [part.start for part in parts] == [start, *inside]
    assert [part.end for part in parts] == [*inside, end]
    for part in parts:
        share = fraction(part, Interval(name))
        assert 0 < share <= 1
        assert part.period_start <= part.start < part.end <= part.period_end
        assert (share == 1) == part.whole
        for method in Method:
            assert 0 <= fraction(part, Interval(name), method) <= 1


@given(days, lengths, st.integers(0, 900), st.sampled_from(list(Interval)), st.integers(1, 31))
@settings(deadline=None, max_examples=200)
def test_billing_often_or_once_charges_the_same(start, length, later, interval, anchor):
    service = Service(start, start + timedelta(days=length), interval, anchor)
    target = start + timedelta(days=later)

    def due(mode, until):
        return prorate(amount=Decimal(10), service=service, mode=mode, method=Method.ACTUAL, target=until)

    for mode in Mode:
        once, earlier = due(mode, target), due(mode, target - timedelta(days=17))
        assert once[: len(earlier)] == earlier
        assert all(a.end == b.start for a, b in itertools.pairwise(once))
    arrears = due(Mode.ARREARS, target)
    assert due(Mode.ADVANCE, target)[: len(arrears)] == arrears
    assert due(Mode.ARREARS, FAR + timedelta(days=900)) == due(Mode.ADVANCE, FAR + timedelta(days=900))
