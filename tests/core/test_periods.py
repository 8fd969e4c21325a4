"""Periods: half-open, in a zone, months that step like months."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resellerkpi.core.periods import (
    GRAINS,
    BadPeriod,
    Period,
    add_months,
    containing,
    local_day,
    midnight,
    parse_month,
    parse_period,
)

LONDON = ZoneInfo("Europe/London")
DAYS = st.dates(date(1995, 1, 1), date(2150, 1, 1))


def test_a_summer_month_begins_an_hour_before_utc_midnight() -> None:
    march = parse_month("2022-03", LONDON)
    assert march.starts_at == datetime(2022, 3, 1, 0, 0, tzinfo=UTC)
    assert march.ends_at == datetime(2022, 3, 31, 23, 0, tzinfo=UTC)
    assert march.days == 31


def test_the_night_the_clocks_go_forward_has_23_hours() -> None:
    night = Period(date(2022, 3, 27), date(2022, 3, 28), LONDON)
    assert (night.ends_at - night.starts_at).total_seconds() == 23 * 3600


def test_a_call_just_after_local_midnight_belongs_to_the_new_day() -> None:
    assert local_day(datetime(2022, 6, 30, 23, 30, tzinfo=UTC), LONDON) == date(2022, 7, 1)
    assert midnight(date(2022, 7, 1), LONDON) == datetime(2022, 6, 30, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 1), -1, date(2025, 12, 1)),
        (date(2026, 11, 30), 12, date(2027, 11, 30)),
    ],
)
def test_months_clamp_to_the_last_day(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


def test_the_month_before_march_is_february() -> None:
    assert str(parse_month("2026-03", LONDON).previous()) == "February 2026"
    assert parse_month("2026-03", LONDON).year_ago().start == date(2025, 3, 1)


def test_a_quarter_steps_by_three_months() -> None:
    quarter = Period(date(2026, 1, 1), date(2026, 4, 1), LONDON)
    assert quarter.previous() == Period(date(2025, 10, 1), date(2026, 1, 1), LONDON)


@pytest.mark.parametrize("text", ["2026-13", "26-01", "", "2026-1", "last", "2026-02-01..2026-02-01", "a..b"])
def test_a_period_nobody_can_mean_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BadPeriod, match=r"\.?\)?\.$"):
        parse_period(text, today=date(2026, 11, 22), zone=LONDON)


def test_presets_are_seen_from_a_day() -> None:
    seen = parse_period("last_month", today=date(2026, 11, 22), zone=LONDON)
    assert (seen.start, seen.end) == (date(2026, 10, 1), date(2026, 11, 1))


@given(DAYS, st.sampled_from(GRAINS))
def test_a_bucket_contains_its_day_and_its_neighbour_begins_where_it_ends(day: date, grain: str) -> None:
    bucket = containing(day, grain, LONDON)
    assert bucket.start <= day < bucket.end
    assert containing(bucket.end, grain, LONDON).start == bucket.end


@given(DAYS, st.integers(1, 400), st.sampled_from(GRAINS))
def test_buckets_cover_a_period_without_gap_or_overlap(start: date, days: int, grain: str) -> None:
    period = Period(start, date.fromordinal(start.toordinal() + days), LONDON)
    buckets = list(period.buckets(grain))
    assert buckets[0].start == period.start
    assert buckets[-1].end == period.end
    assert all(a.end == b.start for a, b in zip(buckets, buckets[1:], strict=False))
