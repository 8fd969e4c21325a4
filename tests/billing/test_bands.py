"""Time bands: worked instants, both daylight-saving nights, bank holidays, and calls cut at boundaries."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating.bands import (
    EVERY_DAY,
    MONDAY_TO_FRIDAY,
    NO_BAND,
    SATURDAY_SUNDAY,
    BandError,
    HolidayRegion,
    TimeBand,
    bands_at,
    split_at_bands,
    standard_bands,
)
from tests.oracles import naive_band

LONDON = ZoneInfo("Europe/London")
ENGLAND = HolidayRegion("GB", "ENG")
DAY, EVENING, WEEKEND = 0, 1, 2
HOLIDAYS_2026 = {
    date(2026, 1, 1),
    date(2026, 4, 3),
    date(2026, 4, 6),
    date(2026, 5, 4),
    date(2026, 5, 25),
    date(2026, 8, 31),
    date(2026, 12, 25),
    date(2026, 12, 26),
    date(2026, 12, 28),
}
FIRST, LAST = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp()) for month in (1, 12))


def instants(*texts: str):
    return np.array([int(datetime.fromisoformat(text).timestamp()) for text in texts], dtype=np.int64)


@pytest.mark.parametrize(
    ("moment", "band"),
    [
        ("2026-11-20T07:00:00+00:00", DAY),  # a Friday: the start is inclusive
        ("2026-11-20T18:59:59+00:00", DAY),
        ("2026-11-20T19:00:00+00:00", EVENING),  # the end is exclusive
        ("2026-11-20T06:59:59+00:00", EVENING),
        ("2026-11-20T23:59:59+00:00", EVENING),
        ("2026-11-21T00:00:00+00:00", WEEKEND),
        ("2026-11-22T23:59:59+00:00", WEEKEND),
        ("2026-11-23T00:00:00+00:00", EVENING),
        ("2026-07-01T06:00:00+00:00", DAY),  # 07:00 in London in summer
        ("2026-07-01T18:00:00+00:00", EVENING),
        ("2026-05-25T12:00:00+01:00", WEEKEND),  # spring bank holiday, a Monday
        ("2026-05-24T23:30:00+00:00", WEEKEND),  # already Monday in London
    ],
)
def test_the_band_of_an_instant(moment, band):
    assert bands_at(instants(moment), LONDON, standard_bands(), ENGLAND).tolist() == [band]


def test_without_a_region_a_bank_holiday_is_an_ordinary_weekday():
    assert bands_at(instants("2026-05-25T12:00:00+01:00"), LONDON, standard_bands()).tolist() == [DAY]


def test_scotland_keeps_its_own_holidays():
    second_of_january = instants("2026-01-02T12:00:00+00:00")
    assert bands_at(second_of_january, LONDON, standard_bands(), ENGLAND).tolist() == [DAY]
    assert bands_at(second_of_january, LONDON, standard_bands(), HolidayRegion("GB", "SCT")).tolist() == [
        WEEKEND
    ]


@pytest.mark.parametrize(
    ("moment", "regions"),
    [
        ("2026-03-17T12:00:00+00:00", {"NIR"}),  # St Patrick's Day
        ("2026-07-13T12:00:00+01:00", {"NIR"}),  # Battle of the Boyne, observed on the Monday
        ("2026-04-06T12:00:00+01:00", {"ENG", "WLS", "NIR"}),  # Easter Monday
        ("2026-08-03T12:00:00+01:00", {"SCT"}),  # summer bank holiday in Scotland
        ("2026-08-31T12:00:00+01:00", {"ENG", "WLS", "NIR"}),
        ("2026-11-30T12:00:00+00:00", {"SCT"}),  # St Andrew's Day
        ("2026-12-28T12:00:00+00:00", {"ENG", "WLS", "SCT", "NIR"}),  # for Boxing Day, a Saturday
    ],
)
def test_each_part_of_the_kingdom_keeps_its_own_holidays(moment, regions):
    at = instants(moment)
    kept = {
        part
        for part in ("ENG", "WLS", "SCT", "NIR")
        if bands_at(at, LONDON, standard_bands(), HolidayRegion("GB", part)).tolist() == [WEEKEND]
    }
    assert kept == regions


def test_an_instant_outside_all_bands_has_none_and_equal_priorities_take_the_first():
    office = (TimeBand("Office", MONDAY_TO_FRIDAY, 540, 1020), TimeBand("Same", MONDAY_TO_FRIDAY, 540, 1020))
    moments = instants("2026-11-20T09:00:00+00:00", "2026-11-20T17:00:00+00:00")
    assert bands_at(moments, LONDON, office).tolist() == [0, NO_BAND]


def test_bands_that_cannot_be_are_refused():
    with pytest.raises(BandError, match="Time band Never must start and end at different minutes"):
        TimeBand("Never", EVERY_DAY, 60, 60)
    with pytest.raises(BandError, match="No bank holidays are known for XX"):
        bands_at(instants("2026-11-20T09:00:00+00:00"), LONDON, standard_bands(), HolidayRegion("XX"))


def cut(started, seconds, bands=None, zone=LONDON):
    pieces = split_at_bands(
        instants(started), np.array([seconds], dtype=np.int64), zone, bands or standard_bands(), ENGLAND
    )
    return list(zip(pieces.offset.tolist(), pieces.seconds.tolist(), pieces.band.tolist(), strict=True))


def test_a_call_that_runs_into_a_bank_holiday_is_cut_at_local_midnight():
    christmas_eve, sunday = "2026-12-24T23:58:00+00:00", "2026-05-24T22:58:00+00:00"
    assert cut(christmas_eve, 300) == [(0, 120, EVENING), (120, 180, WEEKEND)]
    assert cut(sunday, 300) == [(0, 300, WEEKEND)]  # a Sunday, then the spring bank holiday
    assert cut("2026-12-28T23:59:00+00:00", 120) == [(0, 60, WEEKEND), (60, 60, EVENING)]  # and out of it


def test_a_band_that_ends_at_midnight_hands_over_to_the_next_day():
    late = (TimeBand("Late", EVERY_DAY, 18 * 60, 1440), TimeBand("Early", EVERY_DAY, 0, 6 * 60))
    assert bands_at(
        instants("2026-11-20T23:59:59+00:00", "2026-11-21T00:00:00+00:00"), LONDON, late
    ).tolist() == [0, 1]
    assert cut("2026-11-20T23:59:00+00:00", 90, late) == [(0, 60, 0), (60, 30, 1)]
    assert cut("2026-07-01T22:59:00+00:00", 90, late) == [(0, 60, 0), (60, 30, 1)]  # midnight of summer time


def test_a_call_is_cut_where_its_band_changes():
    assert cut("2026-11-20T18:59:04+00:00", 176) == [(0, 56, DAY), (56, 120, EVENING)]
    assert cut("2026-11-20T18:00:00+00:00", 3600) == [(0, 3600, DAY)]  # ends as the evening begins
    assert cut("2026-11-20T19:00:00+00:00", 5) == [(0, 5, EVENING)]
    assert cut("2026-11-20T18:59:59+00:00", 0) == [(0, 0, DAY)]
    assert cut("2026-11-20T18:00:00+00:00", 86_400 * 3) == [
        (0, 3_600, DAY),
        (3_600, 5 * 3_600, EVENING),
        (6 * 3_600, 48 * 3_600, WEEKEND),
        (54 * 3_600, 7 * 3_600, EVENING),
        (61 * 3_600, 11 * 3_600, DAY),
    ]


def test_the_nights_of_daylight_saving():
    two = (TimeBand("Before two", EVERY_DAY, 0, 120), TimeBand("After two", EVERY_DAY, 120, 1440))
    spring, autumn = "2026-03-29T00:30:00+00:00", "2026-10-25T00:30:00+01:00"
    assert cut(spring, 3_600, two) == [(0, 1_800, 0), (1_800, 1_800, 1)]  # 01:00 is 02:00
    assert cut(autumn, 3 * 3_600, two) == [
        (0, 9_000, 0),
        (9_000, 1_800, 1),
    ]  # the hour from 01:00 comes twice
    half = (TimeBand("First half", EVERY_DAY, 60, 90), TimeBand("Else", EVERY_DAY, 0, 1440, priority=-1))
    assert cut(autumn, 3 * 3_600, half) == [
        (0, 1_800, 1),
        (1_800, 1_800, 0),
        (3_600, 1_800, 1),
        (5_400, 1_800, 0),  # 01:00 again
        (7_200, 3_600, 1),
    ]


def test_calls_are_cut_each_on_its_own_and_keep_their_order():
    started = instants("2026-11-20T18:59:00+00:00", "2026-11-20T12:00:00+00:00", "2026-11-20T06:59:00+00:00")
    pieces = split_at_bands(started, np.array([120, 60, 120]), LONDON, standard_bands(), None)
    assert pieces.call.tolist() == [0, 0, 1, 2, 2]
    assert pieces.seconds.tolist() == [60, 60, 60, 60, 60]
    assert pieces.band.tolist() == [DAY, EVENING, DAY, EVENING, DAY]


def test_no_calls_have_no_bands():
    nothing = np.zeros(0, dtype=np.int64)
    assert bands_at(nothing, LONDON, standard_bands()).tolist() == []
    assert split_at_bands(nothing, nothing, LONDON, standard_bands()).call.tolist() == []


zones = st.sampled_from(
    ["Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca"]
)
minutes = st.integers(0, 1439)
time_bands = st.lists(
    st.builds(
        TimeBand,
        st.just("Band"),
        st.integers(0, EVERY_DAY) | st.sampled_from([MONDAY_TO_FRIDAY, SATURDAY_SUNDAY, EVERY_DAY]),
        st.integers(0, 700),
        st.integers(701, 1440),
        st.booleans(),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@given(st.lists(st.integers(FIRST, LAST), min_size=1, max_size=10), zones, time_bands)
@settings(deadline=None, max_examples=100)
def test_bands_agree_with_looking_at_each_local_clock(moments, zone, bands):
    found = bands_at(np.array(moments), ZoneInfo(zone), bands, ENGLAND).tolist()
    assert found == [naive_band(moment, ZoneInfo(zone), bands, HOLIDAYS_2026) for moment in moments]


@given(st.integers(FIRST, LAST), st.integers(0, 20_000), zones, time_bands)
@settings(deadline=None, max_examples=60)
def test_every_second_of_a_split_call_is_in_the_band_of_its_piece(started, seconds, zone, bands):
    pieces = split_at_bands(np.array([started]), np.array([seconds]), ZoneInfo(zone), bands, ENGLAND)
    assert pieces.seconds.sum() == seconds
    assert pieces.offset.tolist() == (np.cumsum(pieces.seconds) - pieces.seconds).tolist()
    assert np.all(pieces.band[1:] != pieces.band[:-1])
    assert len(pieces.seconds) == 1 or pieces.seconds.min() > 0
    sample = {0, *range(59 - started % 60, seconds, 60), *range(60 - started % 60, seconds, 60)} & set(
        range(max(seconds, 1))
    )
    for offset in sorted(sample):
        piece = np.searchsorted(pieces.offset, offset, side="right") - 1
        expected = naive_band(started + offset, ZoneInfo(zone), bands, HOLIDAYS_2026)
        assert pieces.band[piece] == expected
