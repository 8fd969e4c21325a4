"""The fraud watch: kept hours follow the calls, limits warn once, what people do about it, two workers at once."""

import threading
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from billing.models import Call, ChangedDay, Customer, FraudAlert, SpendLimit, UsageHour
from billing.watch.act import resolve
from billing.watch.alerts import look
from billing.watch.calls import calls_of
from billing.watch.hours import keep_up
from billing.watch.limits import uses_of
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, make_customer, make_house, rate_batch
from tests.billing.watch_world import make_lines, quiet

ZONE = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 25, 12, 5, tzinfo=UTC)
TODAY = date(2026, 11, 25)


def scope(house: Reseller) -> Any:
    """Enter the house."""
    return enter(Scope.of(house.pk, why="test"))


def mark(house: Reseller, *days: date) -> None:
    """Note days as changed, as loading and pricing calls do."""
    for day in days:
        ChangedDay.objects.update_or_create(reseller=house, day=day)


def limit(house: Reseller, customer: Customer | None, amount: str, **fields: Any) -> SpendLimit:
    """Set a limit since long ago."""
    values: dict[str, Any] = {"start_date": date(2026, 1, 1), "per": "day", **fields}
    return SpendLimit.objects.create(reseller=house, customer=customer, amount=D(amount), **values)


def alerts() -> list[tuple[str, str, str, D]]:
    """Return the warnings: whose, mark, period, money."""
    rows = FraudAlert.objects.order_by("label", "period", "pk")
    return [(a.label, a.mark, f"{a.period}", a.retail) for a in rows]


CASES: tuple[dict[str, Any], ...] = (
    {"dialled": "+5371234567", "destination": "Cuba", "call_class": "International"},
    {"dialled": "+5371234567", "destination": "", "state": "error", "reason": "no_rate", "cost": D("0.9")},
    {"dialled": "+449098790001", "destination": "Premium 090", "call_class": "Premium"},
    {"dialled": "+441632960001", "destination": "UK geographic", "expected_cost": D("0.004")},
    {"dialled": "118500", "destination": ""},
    {"service": "sms", "dialled": "+33612345678", "destination": "France"},
    {"service": "data", "dialled": "", "destination": "UK data"},
    {"state": "excluded", "reason": "internal", "dialled": "201"},
    {"state": "zero", "reason": "unanswered", "answered": False, "dialled": "+33112345678"},
    {"direction": "in", "dialled": "+441632960001", "reason": "inbound", "state": "zero"},
)  # fmt: skip


def naive_sums(calls: list[Call]) -> dict[tuple[Any, ...], list[Any]]:
    """Sum calls by hour in plain Python."""
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, D(0), D(0)])
    for call in calls:
        if call.state == "excluded" or not call.answered or call.direction != "out":
            continue
        at = call.started_at.astimezone(ZONE)
        abroad = call.dialled.startswith("+") and not call.dialled.startswith("+44")
        kind = {"sms": "message", "data": "data"}.get(call.service) or (
            "premium" if call.call_class == "Premium" else "abroad" if abroad else "national"
        )
        digits = call.dialled[:4] if call.dialled.startswith("+") else call.dialled[:3]
        to = call.destination or f"numbers beginning {digits}"
        found = sums[call.customer_id, at.date(), at.weekday() * 24 + at.hour, kind, to]
        for place, value in enumerate(
            (1, call.duration, call.retail, call.cost or call.expected_cost or D(0))
        ):
            found[place] += value
    return sums


@pytest.mark.django_db
def test_kept_hours_are_the_calls_again_over_a_change_of_clocks_and_corrections() -> None:
    house = make_house()
    random = Random(5)
    with scope(house):
        customers = [make_customer(house, code) for code in ("C1", "C2")]
        calls = []
        for n in range(240):
            at = datetime(2026, 10, 24, 20, tzinfo=UTC) + timedelta(minutes=13 * n)
            case = CASES[n % len(CASES)]
            price = "0" if case.get("state") else f"{random.randint(1, 900) / 1000}"
            calls.append(a_call(customers[n % 2], f"{at:%Y-%m-%d %H:%M}", price, **case))
        rate_batch(house, *calls)
        days = sorted({call.started_at.astimezone(ZONE).date() for call in calls})
        mark(house, *days)

        def kept() -> dict[tuple[Any, ...], list[Any]]:
            names = (
                "customer_id",
                "day",
                "slot",
                "kind",
                "destination",
                "calls",
                "seconds",
                "retail",
                "cost",
            )
            return {row[:5]: list(row[5:]) for row in UsageHour.objects.values_list(*names)}

        assert keep_up(house, today=TODAY) == len(days) == 3
        assert kept() == naive_sums(calls)
        assert keep_up(house, today=TODAY) == 0

        Call.objects.filter(pk=calls[0].pk).update(retail=D("9.5"))
        calls[0].retail = D("9.5")
        mark(house, days[0])
        assert keep_up(house, today=TODAY) == 1
        assert kept() == naive_sums(calls)

        assert keep_up(house, today=date(2027, 6, 1)) == 0
        mark(house, date(2027, 5, 31))
        assert keep_up(house, today=date(2027, 6, 1)) == 1
        assert kept() == {}


@pytest.mark.django_db
def test_limits_warn_at_their_share_and_when_reached_once_and_never_again() -> None:
    house = make_house()
    with scope(house):
        one, two = make_customer(house, "C1"), make_customer(house, "C2")
        limit(house, None, "10")
        limit(house, None, "1000", per="month", covers="abroad")
        limit(house, two, "50", end_date=date(2026, 11, 25))
        limit(house, two, "8", start_date=date(2026, 11, 25))
        limit(house, one, "4", covers="destination", destination="cuba", warn_percent=50)
        limit(house, one, "1", currency="USD", covers="premium")
        abroad = {"dialled": "+5371234567", "destination": "Cuba"}

        def call(customer: Customer, at: str, price: str, **fields: Any) -> None:
            rate_batch(house, a_call(customer, at, price, **fields))
            mark(house, date.fromisoformat(at[:10]))

        call(one, "2026-11-25 09:00", "7.99")
        call(two, "2026-11-24 09:00", "39.99")
        call(two, "2026-11-25 09:00", "8.00")
        assert look(house, now=NOW).new == 1
        assert alerts() == [("Customer C2", "over", "2026-11-25", D("8"))]
        assert FraudAlert.objects.get().why == (
            "Customer C2 has reached its limit for all usage on 25 Nov 2026: 100\N{NO-BREAK SPACE}% of it, with 1 call."
        )

        call(one, "2026-11-25 10:00", "2.00", **abroad)
        assert look(house, now=NOW).new == 2
        call(one, "2026-11-25 10:30", "2.00", **abroad)
        call(one, "2026-11-25 10:40", "1.00", **abroad)
        looked = look(house, now=NOW + timedelta(hours=1))
        assert (looked.days, looked.new, looked.known) == (1, 2, 1)
        assert look(house, now=NOW + timedelta(hours=2)).new == 0
        assert alerts() == [
            ("Customer C1", "near", "2026-11-25", D("9.99")),
            ("Customer C1", "near", "2026-11-25", D("2.00")),
            ("Customer C1", "over", "2026-11-25", D("12.99")),
            ("Customer C1", "over", "2026-11-25", D("5.00")),
            ("Customer C2", "over", "2026-11-25", D("8.00")),
        ]

        used = {
            (u.per, u.covers, u.own): (u.spent, u.percent) for u in uses_of(house.pk, one.pk, today=TODAY)
        }
        assert used == {
            ("day", "all", False): (D("12.99"), 129),
            ("day", "destination", True): (D("5.00"), 125),
            ("day", "premium", True): (D("0"), 0),
            ("month", "abroad", False): (D("5.00"), 0),
        }
        for alert in FraudAlert.objects.filter(mark="over"):
            behind = list(calls_of(house, [alert]))
            assert (len(behind), sum(row["retail"] for row in behind)) == (alert.calls, alert.retail)


@pytest.mark.django_db
def test_calls_without_a_price_count_at_what_the_carrier_charges() -> None:
    house = make_house()
    with scope(house):
        one, two = make_customer(house, "C1"), make_customer(house, "C2")
        limit(house, None, "10")

        def call(customer: Customer, price: str, cost: str, **fields: Any) -> None:
            fields = {"cost": D(cost), "cost_currency": "GBP", "dialled": "+447700900123", **fields}
            rate_batch(house, a_call(customer, "2026-11-25 09:00", price, **fields))
            mark(house, TODAY)
            look(house, now=NOW)

        call(one, "7.50", "3.00", destination="UK mobile")
        call(two, "7.50", "3.00", destination="UK mobile")
        call(two, "0", "9.00", destination="Cuba", cost_currency="USD")
        assert alerts() == []
        call(one, "0", "1.26", destination="UK geographic")
        assert alerts() == [("Customer C1", "near", "2026-11-25", D("7.50"))]
        call(one, "0", "5.00", state="error", reason="no_rate")
        [used] = uses_of(house.pk, one.pk, today=TODAY)
        assert (used.spent, used.retail, used.cost, used.over) == (D("13.76"), D("7.50"), D("9.26"), True)
        assert FraudAlert.objects.get(mark="over").why == (
            "Customer C1 has reached the limit for every customer for all usage on 25 Nov 2026, with 3 calls. Calls "
            "inside an allowance or without a price count at what the carrier charges for them."
        )


@pytest.mark.django_db
def test_unusual_usage_is_warned_of_with_its_calls_grows_and_is_laid_to_rest() -> None:
    house = make_house()
    random = Random(7)
    with scope(house):
        lines = make_lines(house, random, customers=3, numbers=1)
        UsageHour.objects.bulk_create(
            [hour for line in lines for hour in quiet(line, random, until=date(2026, 11, 22))]
        )
        about = {
            "number": lines[1].number,
            "dialled": "+5371234567",
            "destination": "Cuba",
            "cost_currency": "GBP",
        }

        def night(clock: int, calls: int) -> None:
            rate_batch(
                house,
                *(
                    a_call(lines[1].customer, f"2026-11-22 {clock:02}:{n:02}", "3.10", cost=D("2"), **about)
                    for n in range(calls)
                ),
            )
            mark(house, date(2026, 11, 22))
            look(house, now=NOW)

        night(2, 6)
        [alert] = FraudAlert.objects.all()
        assert (alert.mark, alert.calls, alert.retail, alert.cost) == ("unusual", 6, D("18.6"), D(12))
        assert alert.why.startswith("6 calls to Cuba on Sunday 22 Nov 2026, 02:00 to 03:00; in three months ")
        night(3, 8)
        [alert] = FraudAlert.objects.all()
        assert (alert.calls, alert.retail) == (14, D("43.4"))
        behind = list(calls_of(house, [alert]))
        assert sum(row["retail"] for row in behind) == alert.retail
        assert [f"{row['started_at']:%H:%M}" for row in behind][::13] == ["02:00", "03:07"]

        resolve(alert, words="Hacked switchboard, blocked.", now=NOW)
        resolve(alert, words="Again.", now=NOW)
        alert.refresh_from_db()
        assert alert.resolution == "Hacked switchboard, blocked."
        assert look(house, now=NOW).new == 0


@pytest.mark.django_db
def test_a_night_between_two_months_is_told_once_as_its_days_leave_the_window() -> None:
    house, random = make_house(), Random(7)
    with scope(house):
        line, *others = make_lines(house, random, customers=3, numbers=1)
        until = date(2026, 11, 30)
        hours = [hour for one in (line, *others) for hour in quiet(one, random, until=until)]
        UsageHour.objects.bulk_create(hours)
        about = {
            "number": line.number,
            "dialled": "+919812345678",
            "destination": "India",
            "cost_currency": "GBP",
        }
        night = [f"2026-11-30 23:{n:02}" for n in range(8)] + [f"2026-12-01 01:{n:02}" for n in range(40)]
        rate_batch(house, *(a_call(line.customer, at, "3.10", cost=D("2"), **about) for at in night))
        mark(house, date(2026, 11, 30), date(2026, 12, 1))
        told = []
        for day in (2, 7):
            looked = look(house, now=datetime(2026, 12, day, 12, tzinfo=UTC))
            told.append((looked.new, looked.known, [alert[1:] for alert in alerts()]))
        whole = [("unusual", "2026-11-01", D("148.8"))]
        assert told == [(1, 0, whole), (0, 1, whole)]


@pytest.mark.usefixtures("committed_db")
def test_two_workers_at_once_warn_once() -> None:
    house = make_house()
    with scope(house):
        customer = make_customer(house, "C1")
        limit(house, None, "5")
        rate_batch(house, a_call(customer, "2026-11-25 09:00", "6"))
        mark(house, TODAY)
    start, found = threading.Barrier(2), []

    def work() -> None:
        try:
            start.wait(10)
            with scope(house):
                found.append(look(house, now=NOW).new)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(found) == [0, 1]
