"""Unusual usage: planted fraud is found with its money, quiet customers are left alone, plain Python agrees."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal as D
from random import Random

import pytest

from billing.models import UsageHour
from billing.watch.unusual import Unusual, flagged, unusual
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import make_house
from tests.billing.watch_world import (
    FIRST,
    UNTIL,
    Line,
    an_hour,
    by_days,
    make_lines,
    naive_flags,
    quiet,
)

pytestmark = pytest.mark.django_db
CUBA = ("Cuba", "abroad", D("0.62"))
SATELLITE = ("Satellite", "abroad", D("4"))
PREMIUM = ("Premium 090", "premium", D("1.60"))
DATA = ("Data", "data", D("2"))
NATIONAL = ("UK mobile", "national", D("0.065"))
LATE = date(2026, 10, 30)
SUNDAY = date(2026, 11, 22)


def hack(line: Line) -> list[UsageHour]:
    """Plant a hacked switchboard: two hours of a Sunday night."""
    return [an_hour(line, SUNDAY, clock, place=CUBA, calls=19, minutes=95) for clock in (2, 3)]


def drip(line: Line) -> list[UsageHour]:
    """Plant one call a night for twelve nights."""
    return [an_hour(line, day, 23, place=CUBA, calls=1, minutes=3) for day in by_days(date(2026, 11, 9), 12)]


def burst(line: Line) -> list[UsageHour]:
    """Plant a day of long national calls."""
    return [
        an_hour(line, date(2026, 11, 18), clock, place=NATIONAL, calls=60, minutes=600) for clock in (10, 11)
    ]


def premium_night(line: Line) -> list[UsageHour]:
    """Plant premium calls at night, which the customer knows by day."""
    return [an_hour(line, date(2026, 11, 24), 3, place=PREMIUM, calls=8, minutes=40)]


FRAUDS: dict[str, tuple[Callable[[Line], list[UsageHour]], str, D]] = {
    "hack": (hack, "hours_dear", D("117.80")),
    "drip": (drip, "destination", D("22.32")),
    "burst": (burst, "hours_all", D("78.00")),
    "premium at night": (premium_night, "hours_dear", D("64.00")),
}


def stored(hours: list[UsageHour]) -> list[UsageHour]:
    """Keep hours of a world."""
    return UsageHour.objects.bulk_create(hours, batch_size=5_000)


@pytest.fixture
def house() -> Reseller:
    return make_house()


def found(house: Reseller) -> list[Unusual]:
    """Return what is unusual in the four weeks."""
    return unusual(house, first=FIRST, until=UNTIL)


@pytest.mark.parametrize("name", FRAUDS)
def test_planted_fraud_is_found_alone_with_exactly_its_money(house: Reseller, name: str) -> None:
    plant, rule, money = FRAUDS[name]
    with enter(Scope.of(house.pk, why="test")):
        random = Random(7)
        lines = make_lines(house, random, customers=4)
        lines[3].daily = 8
        stored([hour for line in lines for hour in quiet(line, random)])
        planted = stored(plant(lines[3]))

        [one] = found(house)

        assert one.customer_id == lines[3].customer.pk
        assert rule in one.rules
        others = sum(
            (h.retail for h in UsageHour.objects.filter(number=lines[3].number, day__in={p.day for p in planted})
             if h.pk not in {p.pk for p in planted}), D(0),
        )  # fmt: skip
        assert money <= one.retail <= money + others
        assert one.cost == one.retail / 2
        assert one.currency == "GBP"


def test_a_hack_at_night_is_said_in_words_a_clerk_can_read_out(house: Reseller) -> None:
    with enter(Scope.of(house.pk, why="test")):
        random = Random(7)
        lines = make_lines(house, random, customers=3)
        stored([hour for line in lines for hour in quiet(line, random)] + hack(lines[1]))

        [one] = found(house)

        assert one.label == "Customer C0, +442079400001"
        assert one.why.startswith(
            "38 calls to Cuba on Sunday 22 Nov 2026, 02:00 to 04:00; in three months this number made no "
            "international or premium calls around these hours. "
            "38 calls to Cuba on 22 Nov 2026; in three months this customer had not called there and no other "
            "customer here did."
        )
        assert (one.first, one.last) == (SUNDAY, SUNDAY)


def test_a_number_that_wakes_after_silence_and_bait_calls_are_found(house: Reseller) -> None:
    with enter(Scope.of(house.pk, why="test")):
        random = Random(3)
        lines = make_lines(house, random, customers=7, numbers=1)
        silent, rest = lines[0], lines[1:]
        bait = [an_hour(line, date(2026, 11, 12), 10, place=SATELLITE, calls=1, minutes=1) for line in rest]
        stored(
            [hour for line in rest for hour in quiet(line, random)]
            + [an_hour(silent, date(2026, 11, 16), 11, place=PREMIUM, calls=4, minutes=10)]
            + bait
        )

        by_subject = {one.subject: one for one in found(house)}

        woken = by_subject.pop(f"C0 {silent.number.number}")
        assert (woken.rules, woken.retail) == (("silence",), D("16.00"))
        assert woken.why == "4 calls to Premium 090 from 16 Nov 2026 on, after three months without a call."
        [bait_found] = by_subject.values()
        assert bait_found.subject == "calls back: Satellite"
        assert (bait_found.customer_id, bait_found.calls, bait_found.retail) == (None, 6, D("24.00"))
        assert bait_found.why.startswith("6 numbers of 6 customers called Satellite on 12 Nov 2026; ")


#: Seeds of quiet worlds: 12 numbers for four weeks each, and not one finding in these 288 number-weeks.
QUIET = range(6)


def test_quiet_customers_are_left_alone(house: Reseller) -> None:
    """Steady, growing and new customers over a holiday, busy Mondays and a change of clocks."""
    false = []
    with enter(Scope.of(house.pk, why="test")):
        lines = make_lines(house, Random(1))
        for seed in QUIET:
            random = Random(seed)
            UsageHour.objects.all().delete()
            hours = []
            for at, line in enumerate(lines):
                line.daily = random.choice((2, 4, 8, 15))
                begin = date(2026, 11, 9) if at == 0 else date(2026, 7, 6)
                hours += quiet(line, random, begin=begin, growth=0.03 if at in (1, 2) else 0.0)
            stored(hours)
            false += [(seed, one.label, one.why) for one in found(house)]
    assert false == []


@pytest.mark.parametrize("seed", range(6))
def test_plain_python_flags_the_same_hours_by_every_rule(house: Reseller, seed: int) -> None:
    random = Random(seed)
    with enter(Scope.of(house.pk, why="test")):
        lines = make_lines(house, random, customers=7, numbers=1)
        hours = []
        for at, line in enumerate(lines):
            begin = (date(2026, 10, 20), date(2026, 11, 5), date(2026, 6, 1))[min(at, 2)]
            hours += quiet(line, random, begin=begin) if at != 6 else []
        for plant, *_ in FRAUDS.values():
            hours += plant(random.choice(lines))
        day = random.choice(by_days(FIRST, 28))
        hours += [an_hour(line, day, 9, place=SATELLITE, calls=1, minutes=2) for line in lines]
        hours += [an_hour(lines[6], day, 12, place=PREMIUM, calls=3, minutes=7)]
        hours += [an_hour(random.choice(lines), d, 11, place=DATA, calls=30, minutes=30) for d in (day, LATE)]
        kept = stored(hours)

        flags = flagged(house.pk, first=FIRST, until=UNTIL)

        said = {(flag.rule, pk) for pk, found in flags.items() for flag in found}
        assert said == {(rule, pk) for rule, ids in naive_flags(kept).items() for pk in ids}
        assert {rule for rule, _ in said} >= {"hours_dear", "destination", "silence", "callback"}


def test_without_four_weeks_of_anybodys_history_nothing_is_said(house: Reseller) -> None:
    with enter(Scope.of(house.pk, why="test")):
        random = Random(2)
        [line] = make_lines(house, random, customers=1, numbers=1)
        stored(quiet(line, random, begin=date(2026, 10, 20)) + hack(line))
        assert found(house) == []
