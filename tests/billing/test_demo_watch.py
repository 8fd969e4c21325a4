"""The fraud watch warns of what was planted in the demo, in words and with its money, and of nothing else."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from math import floor
from typing import Any

import pytest

from billing.models import Call, Finding, FraudAlert, SpendLimit
from billing.watch.unusual import unusual
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight
from resellerkpi.core.scope import Scope, enter
from tests.billing.conftest import DEMO_DAY

pytestmark = pytest.mark.slow
NIGHT = date(2026, 11, 20)
Usage = dict[tuple[str, str, int, str, str], list[Decimal]]


@pytest.fixture
def harbour(built: dict[str, Any]) -> Iterator[Reseller]:
    """The first reseller of the demo, inside its scope."""
    house = Reseller.objects.get(code="harbour")
    with enter(Scope.of(house.pk, why="test")):
        yield house


def november(house: Reseller) -> Usage:
    """Sum November's answered outgoing usage by customer, number, day, hour and destination: calls, price and cost."""
    sums: Usage = defaultdict(lambda: [Decimal(0)] * 3)
    calls = Call.objects.filter(
        answered=True,
        direction="out",
        customer__isnull=False,
        started_at__gte=midnight(date(2026, 11, 1), house.zone),
    )
    rows = calls.exclude(state="excluded").select_related("customer", "number")
    for call in rows.iterator():
        at = call.started_at.astimezone(house.zone)
        where = call.destination, "abroad" if call.call_class == "International" else ""
        key = (call.customer.code, str(call.number or ""), at.day * 24 + at.hour, *where)
        cost = call.cost or call.expected_cost or Decimal(0)
        sums[key] = [a + b for a, b in zip(sums[key], (1, call.retail, cost), strict=True)]
    return sums


def test_exactly_the_planted_warnings_are_given_and_stand_in_the_register(
    built: dict[str, Any], harbour: Reseller
) -> None:
    planted = json.loads((built["folder"] / "planted.json").read_text())["warnings"]
    alerts = FraudAlert.objects.order_by("pk")
    assert {(a.mark, a.subject) for a in alerts} == {(w["mark"], w["subject"]) for w in planted}
    assert sorted(a.mark for a in alerts) == ["over", "over", "unusual"]
    found = Finding.objects.filter(check_slug="fraud_watch", state="open")
    assert {(f.why, f.money_to_date) for f in found} == {
        (a.why, a.retail.quantize(Decimal("0.01"))) for a in alerts
    }
    with enter(Scope.of(Reseller.objects.get(code="moorland").pk, why="test")):
        assert not FraudAlert.objects.exists()


def test_the_hack_is_told_with_all_its_calls_and_their_money(harbour: Reseller) -> None:
    """The day was dear as a whole, so an ordinary call of that number on it belongs to the warning, too."""
    hack, hours = FraudAlert.objects.get(mark="unusual"), range(NIGHT.day * 24, NIGHT.day * 24 + 24)
    code, number = hack.subject.split(" ")
    mine = {key: v for key, v in november(harbour).items() if key[:2] == (code, number) and key[2] in hours}
    calls, retail, cost = (sum(column, Decimal(0)) for column in zip(*mine.values(), strict=True))
    assert (hack.calls, hack.retail, hack.cost) == (calls, retail, cost)
    night = sum(
        v[0] for (_, _, hour, _, kind), v in mine.items() if kind == "abroad" and hour % 24 in (1, 2, 3)
    )
    assert (night, calls) == (38, 39)
    assert retail > cost > 20
    assert hack.why.startswith(
        "38 calls to Jamaica and Kenya mobile on Friday 20 Nov 2026, 01:00 to 04:00; in three months this number made "
        "no international or premium calls around these hours."
    )


def test_limits_are_reached_by_just_the_two_who_passed_them(harbour: Reseller) -> None:
    """What counts is the dearer of price and cost of each hour and destination."""
    days: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    month: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
    for (code, _, hour, _, kind), (_, retail, cost) in november(harbour).items():
        days[code, hour // 24] += max(retail, cost) if kind else 0
        month[code] = [month[code][0] + max(retail, cost), month[code][1] + retail]
    over = {a.subject.partition(",")[0]: a for a in FraudAlert.objects.filter(mark="over")}
    everybodys, own = SpendLimit.objects.get(customer=None), SpendLimit.objects.exclude(customer=None).get()
    reached = {code: day for (code, day), spent in days.items() if spent >= everybodys.amount}
    assert reached == {FraudAlert.objects.get(mark="unusual").customer.code: NIGHT.day}
    assert not any(
        spent * 100 >= everybodys.amount * 80 for (code, _), spent in days.items() if code not in reached
    )
    assert set(over) == {*reached, own.customer.code}
    assert over[own.customer.code].retail == month[own.customer.code][1]
    assert own.amount == floor(month[own.customer.code][1] * Decimal("0.9")) == 6


def test_the_weeks_before_are_quiet(harbour: Reseller) -> None:
    ends = [DEMO_DAY - timedelta(days=7 + 28 * n) for n in range(3)]
    found = [one for end in ends for one in unusual(harbour, first=end - timedelta(days=28), until=end)]
    assert [(one.subject, one.why) for one in found] == []
