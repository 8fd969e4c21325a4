"""When schedules come due: clock changes, month ends, and properties over many zones and years."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.timing import DAILY, MONTHLY, QUARTERLY, WEEKLY, Rule

LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "UTC",
)


def dues(rule: Rule, since: datetime, count: int) -> list[str]:
    """Return the next due instants as local text."""
    found = []
    for _ in range(count):
        since = rule.after(since)
        found.append(since.astimezone(rule.zone).strftime("%d %b %H:%M %z"))
    return found


def test_half_past_two_on_the_night_the_clocks_go_forward() -> None:
    rule = Rule(DAILY, time(2, 30), BERLIN)
    assert dues(rule, datetime(2026, 3, 27, 12, tzinfo=UTC), 3) == [
        "28 Mar 02:30 +0100",
        "29 Mar 03:30 +0200",
        "30 Mar 02:30 +0200",
    ]


def test_half_past_two_on_the_night_the_clocks_go_back_comes_once() -> None:
    rule = Rule(DAILY, time(2, 30), BERLIN)
    assert dues(rule, datetime(2026, 10, 24, 12, tzinfo=UTC), 3) == [
        "25 Oct 02:30 +0200",
        "26 Oct 02:30 +0100",
        "27 Oct 02:30 +0100",
    ]


def test_the_31st_means_the_last_day_of_each_month() -> None:
    rule = Rule(MONTHLY, time(7), LONDON, month_day=31)
    assert [d[:6] for d in dues(rule, datetime(2028, 1, 5, tzinfo=UTC), 5)] == [
        "31 Jan",
        "29 Feb",
        "31 Mar",
        "30 Apr",
        "31 May",
    ]


def test_quarters_begin_in_january_april_july_and_october() -> None:
    rule = Rule(QUARTERLY, time(6, 15), LONDON, month_day=3)
    assert dues(rule, datetime(2026, 1, 3, 6, 15, tzinfo=UTC), 4) == [
        "03 Apr 06:15 +0100",
        "03 Jul 06:15 +0100",
        "03 Oct 06:15 +0100",
        "03 Jan 06:15 +0000",
    ]


def test_a_weekday_keeps_its_local_time_over_the_clock_change() -> None:
    rule = Rule(WEEKLY, time(8), LONDON, weekday=0)
    assert dues(rule, datetime(2026, 10, 18, tzinfo=UTC), 3) == [
        "19 Oct 08:00 +0100",
        "26 Oct 08:00 +0000",
        "02 Nov 08:00 +0000",
    ]


def test_what_was_missed_is_counted_and_the_latest_stands() -> None:
    rule = Rule(DAILY, time(7), LONDON)
    first, now = datetime(2026, 11, 20, 7, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert rule.missed(first, now) == (datetime(2026, 11, 23, 7, tzinfo=UTC), 3)
    assert rule.missed(first, datetime(2026, 11, 20, 7, 4, tzinfo=UTC)) == (first, 0)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(DAILY, time(7), LONDON), "Every day at 07:00 (Europe/London)"),
        (Rule(WEEKLY, time(7), LONDON, weekday=4), "Every Friday at 07:00 (Europe/London)"),
        (
            Rule(MONTHLY, time(7), LONDON, month_day=31),
            "Every month on the last day at 07:00 (Europe/London)",
        ),
        (
            Rule(QUARTERLY, time(7), LONDON),
            "Every quarter on day 1 of its first month at 07:00 (Europe/London)",
        ),
    ],
)
def test_a_rule_says_when(rule: Rule, words: str) -> None:
    assert str(rule) == words


rules = st.builds(
    Rule,
    frequency=st.sampled_from([DAILY, WEEKLY, MONTHLY, QUARTERLY]),
    at=st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    weekday=st.integers(0, 6),
    month_day=st.integers(1, 31),
)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)).map(lambda d: d.replace(tzinfo=UTC))  # noqa: DTZ001  the strategy's bounds are naive
#: How long a rule may rest: a day and a clock change, a week, a month, a quarter.
LONGEST = {DAILY: 26, WEEKLY: 7 * 24 + 2, MONTHLY: 31 * 24 + 2, QUARTERLY: 92 * 24 + 2}


def naive_day(rule: Rule, day: date) -> bool:
    """Say whether a local day is one of the rule's, from the calendar alone."""
    last = monthrange(day.year, day.month)[1]
    of_month = day.day == min(rule.month_day, last)
    return {
        DAILY: True,
        WEEKLY: day.weekday() == rule.weekday,
        MONTHLY: of_month,
        QUARTERLY: of_month and day.month in (1, 4, 7, 10),
    }[rule.frequency]


@settings(max_examples=300, deadline=None)
@given(rule=rules, since=instants)
def test_the_next_turn_is_later_on_a_day_of_the_rule_at_its_time(rule: Rule, since: datetime) -> None:
    due = rule.after(since)
    local = due.astimezone(rule.zone)
    assert since < due <= since + timedelta(hours=LONGEST[rule.frequency])
    assert naive_day(rule, local.date())
    wanted = datetime.combine(local.date(), rule.at)
    moved = local.replace(tzinfo=None) - wanted
    there = datetime.combine(local.date(), rule.at, tzinfo=rule.zone)
    exists = there.astimezone(UTC).astimezone(rule.zone).replace(tzinfo=None) == wanted
    assert moved == timedelta(0) if exists else timedelta(0) < moved <= timedelta(hours=1)
    assert local.fold == 0


@settings(max_examples=60, deadline=None)
@given(rule=rules, since=instants)
def test_no_turn_is_passed_over_and_none_comes_twice(rule: Rule, since: datetime) -> None:
    until = since + timedelta(days=200)
    found, at = [], since
    while (at := rule.after(at)) <= until:
        found.append(at)
    first = since.astimezone(rule.zone).date() - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(204) if naive_day(rule, first + timedelta(days=n))]
    expected = [due for due in map(rule.on, days) if since < due <= until]
    assert found == expected
    assert len({due.astimezone(rule.zone).date() for due in found}) == len(found)
