"""The register: findings open, stay, close, come back, lapse; twice is once; two workers make one row."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from importlib import import_module
from threading import Barrier, Event, Thread
from time import sleep
from typing import Any

import pytest
from django.db import connection

from billing.checks.acts import ActRefused, accept, give, recover, write_note
from billing.checks.declare import CHECKS, Ask, Check, Family, Found, Setting, check
from billing.checks.register import run
from billing.checks.thresholds import set_thresholds
from billing.models import Finding, FindingEvent
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import make_house

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
LEAK = Found("0123", "0123", date(2026, 1, 1), "It leaks.", D("10.005"), D("30"), "GBP")


class World:
    """What a made-up check finds, and what it was asked."""

    def __init__(self) -> None:
        self.found: list[Found] = [LEAK]
        self.asked: list[Ask] = []
        self.check: Check

    def run(self, house: Reseller, *, day: int = 0, **more: Any) -> dict[str, int]:
        """Run the check so many days after the first time."""
        return run(house, [self.check], now=NOW + timedelta(days=day), **more).as_dict()


@pytest.fixture
def world(request: Any) -> Iterator[World]:
    world = World()

    @check(
        slug="made_up",
        name="Made up",
        family=getattr(request, "param", Family.LEAKAGE),
        page="billing-errors",
        settings=(Setting("days", D(14), "Days"),),
    )
    def made_up(ask: Ask) -> Iterator[Found]:
        """Whatever the test says."""
        world.asked.append(ask)
        yield from world.found

    world.check = CHECKS.get("made_up")
    yield world
    CHECKS.remove("made_up")


@pytest.fixture
def house(db: None) -> Iterator[Reseller]:
    house = make_house()
    with enter(Scope.of(house.pk)):
        yield house


def history() -> list[str]:
    return list(FindingEvent.objects.order_by("at", "pk").values_list("kind", flat=True))


def test_a_finding_opens_and_a_second_run_changes_nothing_but_when_it_was_seen(
    world: World, house: Reseller
) -> None:
    assert world.run(house) == {"found": 1, "opened": 1, "reopened": 0, "fixed": 0}
    first = Finding.objects.values().get()
    assert (first["money_per_month"], first["money_to_date"], first["state"]) == (
        D("10.01"),
        D("30.00"),
        "open",
    )
    assert (first["family"], first["level"], first["page"]) == ("leakage", "warning", "billing-errors")
    assert world.run(house, day=1) == {"found": 1, "opened": 0, "reopened": 0, "fixed": 0}
    again = Finding.objects.values().get()
    assert again.pop("last_seen") - first.pop("last_seen") == timedelta(days=1)
    assert again == first
    assert history() == ["opened"]


def test_it_closes_when_the_check_passes_and_comes_back_as_the_same_finding(
    world: World, house: Reseller
) -> None:
    world.run(house)
    pk = Finding.objects.get().pk
    world.found = []
    assert world.run(house, day=1)["fixed"] == 1
    closed = Finding.objects.get()
    assert (closed.state, closed.closed_at) == ("fixed", NOW + timedelta(days=1))
    assert world.run(house, day=2)["fixed"] == 0
    world.found = [replace(LEAK, period=date(2026, 3, 1), money_to_date=D(7))]
    assert world.run(house, day=3)["reopened"] == 1
    back = Finding.objects.get()
    assert (back.pk, back.state, back.closed_at, back.first_seen) == (pk, "open", None, NOW)
    assert (back.period, back.money_to_date) == (date(2026, 3, 1), D("7.00"))
    assert history() == ["opened", "fixed", "reopened"]


def test_an_accepted_finding_stands_until_its_day(world: World, house: Reseller) -> None:
    world.run(house)
    pk = Finding.objects.get().pk
    accept(pk, until=date(2026, 3, 12), reason=" Agreed with them ", now=NOW, today=NOW.date())
    world.run(house, day=1)
    assert Finding.objects.get().state == "accepted"
    world.run(house, day=2)
    assert (Finding.objects.get().state, history()) == ("open", ["opened", "accepted", "lapsed"])
    told = FindingEvent.objects.get(kind="accepted").text
    assert told == "Until 12 Mar 2026: Agreed with them"
    assert AuditEvent.objects.get(action="finding.accepted").details["reason"] == "Agreed with them"


def test_an_accepted_finding_that_is_no_longer_found_is_fixed(world: World, house: Reseller) -> None:
    world.run(house)
    accept(Finding.objects.get().pk, until=date(2026, 6, 1), reason="x", now=NOW, today=NOW.date())
    world.found = []
    world.run(house, day=1)
    assert Finding.objects.get().state == "fixed"


def test_a_recovered_finding_comes_back_only_when_the_leak_has_grown(world: World, house: Reseller) -> None:
    world.run(house)
    pk = Finding.objects.get().pk
    recover(pk, amount=D("20.005"), words="Charged in March", now=NOW)
    world.run(house, day=1)
    kept = Finding.objects.get()
    assert (kept.state, kept.recovered, kept.closed_at) == ("recovered", D("20.01"), NOW)
    world.found = [replace(LEAK, money_to_date=D("30.01"))]
    world.run(house, day=2)
    back = Finding.objects.get()
    assert (back.state, back.recovered, back.closed_at) == ("open", D("20.01"), None)
    later = NOW + timedelta(days=3)
    with pytest.raises(ActRefused, match="more than it has cost"):
        recover(pk, amount=D(5), words=" ", now=later)
    with pytest.raises(ActRefused, match="Somebody noted money"):
        recover(pk, amount=D("0.01"), words="", now=later, seen=D(0))
    recover(pk, amount=D(5), words="With the rest of March", now=later, seen=D("20.01"))
    assert Finding.objects.get().recovered == D("25.01")
    assert history() == ["opened", "recovered", "reopened", "recovered"]


def test_acts_that_make_no_sense_are_refused_and_leave_no_trace(world: World, house: Reseller) -> None:
    world.run(house)
    pk = Finding.objects.get().pk
    for act in (
        lambda: accept(pk, until=NOW.date(), reason="x", now=NOW, today=NOW.date()),
        lambda: accept(pk, until=date(2027, 1, 1), reason=" ", now=NOW, today=NOW.date()),
        lambda: recover(pk, amount=D(0), words="", now=NOW),
        lambda: recover(pk, amount=D(10) ** 16, words="", now=NOW),
        lambda: write_note(pk, words="  ", now=NOW),
    ):
        with pytest.raises(ActRefused):
            act()
    give(pk, owner=None, now=NOW)
    write_note(pk, words="Rang them.", now=NOW)
    assert history() == ["opened", "note"]
    recover(pk, amount=D(1), words="", now=NOW)
    with pytest.raises(ActRefused, match="closed"):
        accept(pk, until=date(2027, 1, 1), reason="x", now=NOW, today=NOW.date())


def told(
    house: Reseller, subject: str, state: str, money: int, *events: tuple[str, int | None], **more: Any
) -> None:
    """Write a finding and its events, a day each, as a release without a ledger left them."""
    closed = {"closed_at": NOW} if state in ("fixed", "recovered") else {}
    row = Finding.objects.create(
        reseller=house, check_slug="made_up", family="leakage", level="error", subject=subject, label=subject,
        why="It leaks.", period=date(2026, 1, 1), money_to_date=D(money), currency="GBP", state=state,
        first_seen=NOW, last_seen=NOW + timedelta(days=9), **closed, **more,
    )  # fmt: skip
    FindingEvent.objects.bulk_create(
        FindingEvent(reseller=house, finding=row, at=NOW + timedelta(days=n), kind=kind, amount=amount)
        for n, (kind, amount) in enumerate(events)
    )


def test_events_from_before_the_ledger_are_told_what_they_moved(world: World, house: Reseller) -> None:
    """What moved adds up to what stands open, so that the next run finds nothing that it does not know."""
    back = {"recovered": D(20), "recovered_at_money": D(30)}
    told(house, "grown", "open", 42, ("opened", 30), ("note", None))
    told(house, "went on", "open", 42, ("opened", 25), ("recovered", 20), ("reopened", 33), **back)
    told(
        house, "mended", "open", 8, ("opened", 30), ("recovered", 20), ("fixed", 30), ("reopened", 8), **back
    )
    told(house, "left", "accepted", 30, ("opened", 30), ("accepted", None),
         accepted_until=date(2027, 1, 1), accepted_reason="Known")  # fmt: skip
    told(house, "gone", "recovered", 30, ("opened", 30), ("fixed", 30), ("recovered", 20), **back)
    with connection.cursor() as cursor:
        cursor.execute(import_module("billing.migrations.0016_register_ledger").TOLD)
    moved: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for event in FindingEvent.objects.select_related("finding").order_by("at", "pk"):
        moved[event.finding.subject].append((event.kind, event.money_moved, event.count_moved))
    assert moved == {
        "grown": [("opened", 30, 1), ("note", 0, 0), ("changed", 12, 0)],
        "went on": [("opened", 25, 1), ("recovered", -25, -1), ("reopened", 3, 1), ("changed", 9, 0)],
        "mended": [("opened", 30, 1), ("recovered", -30, -1), ("fixed", 0, 0), ("reopened", 8, 1)],
        "left": [("opened", 30, 1), ("accepted", -30, -1)],
        "gone": [("opened", 30, 1), ("fixed", -30, -1), ("recovered", 0, 0)],
    }
    names = ("subject", "open_money", "open_since")
    assert list(Finding.objects.filter(state="open").order_by("pk").values_list(*names)) == [
        ("grown", 42, date(2026, 3, 10)), ("went on", 12, date(2026, 3, 12)), ("mended", 8, date(2026, 3, 13)),
    ]  # fmt: skip
    rows = Finding.objects.values_list("subject", "money_to_date")
    world.found = [replace(LEAK, subject=subject, money_to_date=money) for subject, money in rows]
    assert world.run(house, day=9) == {"found": 5, "opened": 0, "reopened": 0, "fixed": 0}
    assert FindingEvent.objects.count() == sum(len(events) for events in moved.values())


@pytest.mark.parametrize("world", [Family.PRE_BILLING], indirect=True)
def test_before_billing_each_period_has_findings_of_its_own(world: World, house: Reseller) -> None:
    january, february = (parse_month(text, house.zone) for text in ("2026-01", "2026-02"))
    world.run(house, period=january)
    world.run(house, period=february)
    assert set(Finding.objects.values_list("period", flat=True)) == {january.start, february.start}
    world.found = []
    world.run(house, period=february)
    assert dict(Finding.objects.values_list("period", "state")) == {
        january.start: "open",
        february.start: "fixed",
    }


def test_other_checks_findings_are_left_alone_and_a_subject_comes_once(world: World, house: Reseller) -> None:
    world.run(house)
    run(house, [], now=NOW)
    assert Finding.objects.get().state == "open"
    world.found = [LEAK, LEAK]
    with pytest.raises(ValueError, match="twice"):
        world.run(house)


def test_a_check_is_asked_with_the_resellers_own_threshold(world: World, house: Reseller) -> None:
    world.run(house)
    set_thresholds(reseller_id=house.pk, check=world.check, values={"days": D(30)})
    world.run(house)
    assert [ask.settings["days"] for ask in world.asked] == [D(14), D(30)]
    assert [str(ask.period) for ask in world.asked] == ["February 2026"] * 2


def test_queries_do_not_grow_with_the_findings(
    world: World, house: Reseller, django_assert_num_queries: Any
) -> None:
    def many(count: int) -> list[Found]:
        return [replace(LEAK, subject=str(n)) for n in range(count)]

    for count in (3, 300):
        world.found = many(count)
        world.run(house)
        with django_assert_num_queries(4):
            world.run(house, day=1)


def test_what_a_person_does_while_a_run_works_is_not_overwritten(world: World, committed_db: None) -> None:
    """Given money got back but not yet committed, when the nightly run finds the leak grown, it waits and sees it."""
    house, noted, looked = make_house(), Event(), Event()
    with enter(Scope.of(house.pk)):
        world.run(house)
        pk = Finding.objects.get().pk

    def person() -> None:
        with enter(Scope.of(house.pk)):
            recover(pk, amount=D(30), words="", now=NOW)
            noted.set()
            assert looked.wait(10)
            sleep(0.3)
        connection.close()

    def grown(ask: Ask) -> Iterator[Found]:
        looked.set()
        yield replace(LEAK, money_to_date=D(42))

    thread = Thread(target=person)
    thread.start()
    assert noted.wait(10)
    with enter(Scope.of(house.pk)):
        run(house, [replace(world.check, find=grown)], now=NOW + timedelta(days=1))
    thread.join()
    with enter(Scope.of(house.pk)):
        kept = Finding.objects.get()
        assert (kept.state, kept.recovered, kept.open_money) == ("open", 30, 12)
        assert history() == ["opened", "recovered", "reopened"]
        assert sum(FindingEvent.objects.values_list("money_moved", flat=True)) == 12


def test_two_workers_at_once_make_one_row(world: World, committed_db: None) -> None:
    house, barrier = make_house(), Barrier(2)

    def work() -> None:
        barrier.wait()
        with enter(Scope.of(house.pk)):
            world.run(house)
        connection.close()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with enter(Scope.of(house.pk)):
        assert (Finding.objects.count(), history()) == (1, ["opened"])
