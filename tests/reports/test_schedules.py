"""Schedules: due once under two schedulers, in the rights of the day, caught up once, stopped when they fail."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import time_machine
from django.db import connections

import reports.turns
from reports import schedules
from reports.jobs import run_scheduled, start_due
from reports.models import MailDelivery, Run, Schedule, ScheduleTurn
from reports.rights import RightsLost, narrowed
from reports.run import NotAllowed
from reports.schedules import Plan
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import Task
from resellerkpi.core.models import Job, Membership
from resellerkpi.core.scope import Scope, enter
from resellerkpi.core.tasks import run_job
from tests.reports.bills import Bill, make_bills
from tests.reports.smtp import Box, smtp_server
from tests.reports.test_report_mail import html_of, text_of
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
SAVED = datetime(2026, 11, 20, 12, tzinfo=UTC)
DUE = datetime(2026, 12, 1, 7, tzinfo=UTC)
NAMES = ["number", "customer_name", "currency", "net", "gross", "cost"]


@pytest.fixture
def box(settings: Any) -> Iterator[Box]:
    with smtp_server(settings) as box:
        yield box


@pytest.fixture
def world(box: Box) -> World:
    world = make_world()
    first, second, _ = world.alpha.customers
    make_bills(
        world.alpha,
        Bill("A-OCT", first, date(2026, 10, 31)),
        Bill("A-NOV1", first, date(2026, 11, 1)),
        Bill("A-NOV30", second, date(2026, 11, 30)),
        Bill("A-DEC", second, date(2026, 12, 1)),
    )
    return world


def save(world: World, **options: Any) -> Schedule:
    """Save Ana's schedule: last month's invoices at seven on the first of each month."""
    plan: dict[str, Any] = {
        "name": "Invoices of last month",
        "frequency": "monthly",
        "time": time(7),
        "zone": "Europe/London",
        "recipients": ["boss@alpha.example", "bank@firm.example"],
        "formats": ["csv"],
        "columns": NAMES,
    }
    with enter(Scope.of(world.alpha.reseller.pk, user_id=world.ana.pk, why="test")):
        return schedules.create(
            report="invoices",
            params={"period": ["last_month"]},
            plan=Plan(**{**plan, **options}),
            now=SAVED,
        )


def tick(world: World, now: datetime) -> None:
    """Let the timetable come by; the eager worker runs the turns as it goes."""
    with time_machine.travel(now, tick=False):
        with enter(world.alpha.scope()):
            task = Task(job_id=str(uuid.uuid4()), stored_scope=world.alpha.scope())
        start_due(task)


def turns(world: World) -> list[tuple[str, str]]:
    """Return the turns' states and words, in the order they came due."""
    with enter(world.alpha.scope()):
        return list(ScheduleTurn.objects.order_by("due_at").values_list("state", "words"))


def again(world: World, schedule: Schedule) -> Schedule:
    """Read a schedule again."""
    with enter(world.alpha.scope()):
        return Schedule.objects.get(pk=schedule.pk)


def test_a_turn_makes_the_run_of_the_month_before_and_mails_it(world: World, box: Box) -> None:
    schedule = save(world)
    assert schedule.next_run_at == DUE
    tick(world, DUE - timedelta(seconds=1))
    assert box.mails == []
    tick(world, DUE + timedelta(minutes=3))
    assert [who for who, _ in box.mails] == ["boss@alpha.example", "bank@firm.example"]
    text = text_of(box.mails[0][1])
    assert box.mails[0][1]["Subject"] == "Alpha Telecom: Invoices: November 2026"
    assert "Gross: 240.00\n" in text
    assert "A-NOV1 | " in text
    assert "A-OCT" not in text
    assert "A-DEC" not in text
    assert "because Ana Alder set up “Invoices of last month”: every month on day 1 at 07:00" in text
    assert f"/reports/schedules/{schedule.pk}/" in text
    assert "comes late" not in text
    assert turns(world) == [("sent", "2 of 2 mails went out.")]
    assert again(world, schedule).next_run_at == datetime(2027, 1, 1, 7, tzinfo=UTC)
    with enter(world.alpha.scope()):
        run = Run.objects.get()
    assert (run.period_start, run.period_end, run.user_id) == (
        date(2026, 11, 1),
        date(2026, 12, 1),
        world.ana.pk,
    )
    assert run.kept_until == DUE + timedelta(minutes=3) + schedules.KEPT
    tick(world, DUE + timedelta(minutes=8))
    assert len(box.mails) == 2


def test_the_interval_is_the_zones_own(world: World, box: Box) -> None:
    save(world, frequency="daily", time=time(0, 30), zone="Pacific/Auckland")
    tick(world, datetime(2026, 11, 30, 11, 31, tzinfo=UTC))  # 1 Dec 00:31 in Auckland
    assert box.mails[0][1]["Subject"] == "Alpha Telecom: Invoices: November 2026"


def test_two_schedulers_at_once_make_one_turn_and_one_mail_each(world: World, box: Box) -> None:
    save(world)
    start, errors = threading.Barrier(2), []

    def beat() -> None:
        try:
            with enter(world.alpha.scope()):
                start.wait(timeout=10)
                schedules.claim_due(now=DUE)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert turns(world) == [("sent", "2 of 2 mails went out.")]
    assert sorted(who for who, _ in box.mails) == ["bank@firm.example", "boss@alpha.example"]


def test_a_turn_run_twice_by_two_workers_mails_once(world: World, box: Box) -> None:
    save(world)
    tick(world, DUE)
    with enter(world.alpha.scope()):
        turn = ScheduleTurn.objects.get()
    task = Task(job_id=str(turn.job_id), stored_scope=world.alpha.scope())
    assert run_scheduled(task, turn=turn.pk) == {}
    run_job(job_id=str(turn.job_id), reseller_id=world.alpha.reseller.pk)
    assert len(box.mails) == 2


def test_after_a_stand_still_one_mail_stands_for_all_and_says_so(world: World, box: Box) -> None:
    schedule = save(world, frequency="daily", recipients=["boss@alpha.example"])
    tick(world, datetime(2026, 11, 24, 9, 30, tzinfo=UTC))
    assert len(box.mails) == 1
    words = "This mail was due on 24 Nov 2026 at 07:00 and comes late. 3 before it were left out: one stands for them."
    assert words in text_of(box.mails[0][1])
    assert words in html_of(box.mails[0][1])
    assert again(world, schedule).next_run_at == datetime(2026, 11, 25, 7, tzinfo=UTC)
    with enter(world.alpha.scope()):
        assert ScheduleTurn.objects.get().skipped == 3


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (
            lambda w: Membership.objects.filter(user=w.ana).delete(),
            "does not belong to this reseller any more.",
        ),
        (lambda w: type(w.ana).objects.filter(pk=w.ana.pk).update(is_active=False), "has left."),
        (
            lambda w: Membership.objects.filter(user=w.ana).update(role=Role.VIEWER),
            "Ana Alder may not send reports by mail any more.",
        ),
    ],
    ids=["reseller lost", "left", "role lost"],
)
def test_who_lost_the_rights_gets_nothing_sent_and_is_told(
    world: World, box: Box, lose: Any, words: str
) -> None:
    schedule = save(world)
    oz = type(world.ana).objects.create(email="oz@alpha.example", name="Oz")
    Membership.objects.create(user=oz, reseller=world.alpha.reseller, role=Role.OWNER)
    lose(world)
    tick(world, DUE)
    found = again(world, schedule)
    assert words in found.paused_why
    assert found.paused_at == DUE
    assert turns(world) == [("stopped", found.paused_why)]
    with enter(world.alpha.scope()):
        assert MailDelivery.objects.count() == Run.objects.count() == 0
    told = "ana@alpha.example" if "may not send" in words else "oz@alpha.example"
    assert [(who, m["Subject"].strip()) for who, m in box.mails] == [
        (told, "Alpha Telecom: the schedule “Invoices of last month” has stopped")
    ]
    assert words in text_of(box.mails[0][1])
    tick(world, DUE + timedelta(days=40))
    assert len(box.mails) == 1


def test_a_column_the_owner_may_not_see_any_more_is_left_out(
    world: World, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(world)
    monkeypatch.setattr(
        reports.rights,
        "capabilities",
        lambda role: frozenset(c for c in Scope.of(1, role=Role.OWNER).capabilities if c != "view_wholesale"),
    )
    tick(world, DUE)
    assert "Net" in text_of(box.mails[0][1])
    with enter(world.alpha.scope()):
        assert "cost" not in [c["name"] for c in Run.objects.get().columns]
    assert "Cost" not in text_of(box.mails[0][1])


def test_rights_are_the_meeting_of_then_and_now(world: World) -> None:
    owner, dealer = Scope.of(1, role=Role.OWNER), Scope.of(1, role=Role.DEALER, dealer_id=7)
    assert (
        narrowed(owner, role=Role.FINANCE, dealer_id=None).capabilities
        == Scope.of(1, role=Role.FINANCE).capabilities
    )
    assert narrowed(dealer, role=Role.OWNER, dealer_id=None).dealer_id == 7
    assert narrowed(owner, role=Role.DEALER, dealer_id=7).dealer_id == 7
    with pytest.raises(RightsLost):
        narrowed(dealer, role=Role.DEALER, dealer_id=8)


def test_a_server_that_is_down_is_tried_again_and_those_who_got_it_get_it_once(
    world: World, box: Box
) -> None:
    schedule = save(world)
    box.refuse = {"bank@firm.example": "452 4.2.2 Mailbox full"}
    tick(world, DUE)
    assert turns(world) == [("failed", "The mail server refused the address: 452 4.2.2 Mailbox full")]
    assert again(world, schedule).failures == 1
    box.refuse = {}
    tick(world, DUE + timedelta(minutes=14))
    assert len(box.mails) == 1
    tick(world, DUE + timedelta(minutes=15))
    assert [who for who, _ in box.mails] == ["boss@alpha.example", "bank@firm.example"]
    assert turns(world) == [("sent", "2 of 2 mails went out.")]
    found = again(world, schedule)
    assert (found.failures, found.last_error) == (0, "")
    with enter(world.alpha.scope()):
        assert Run.objects.count() == 1


def test_five_failures_stop_it_and_the_owner_is_told(world: World, box: Box, settings: Any) -> None:
    schedule = save(world, recipients=["boss@alpha.example"])
    box.refuse = {"boss@alpha.example": "451 4.3.0 Try later"}
    at = DUE
    for wait in (0, 15, 60, 4 * 60):
        at += timedelta(minutes=wait)
        tick(world, at)
        assert again(world, schedule).paused_at is None
    tick(world, at + timedelta(hours=12))
    found = again(world, schedule)
    assert found.failures == 5
    assert found.paused_why == (
        "It failed 5 times in a row: The mail server refused the address: 451 4.3.0 Try later"
    )
    assert [(who, "has stopped" in m["Subject"]) for who, m in box.mails] == [("ana@alpha.example", True)]
    tick(world, at + timedelta(days=60))
    assert len(box.mails) == 1
    with enter(Scope.of(world.alpha.reseller.pk, user_id=world.ana.pk)):
        schedules.resume(found, now=at + timedelta(days=60))
    box.refuse = {}
    found = again(world, schedule)
    assert (found.failures, found.paused_at, found.next_run_at) == (
        0,
        None,
        datetime(2027, 2, 1, 7, tzinfo=UTC),
    )


def test_a_report_that_breaks_counts_as_a_failure(
    world: World, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> Run:
        raise RuntimeError("secret detail")

    schedule = save(world)
    monkeypatch.setattr(reports.turns, "run", broken)
    tick(world, DUE)
    assert turns(world) == [("failed", reports.turns.BROKEN)]
    assert again(world, schedule).last_error == reports.turns.BROKEN
    assert box.mails == []


def test_a_turn_whose_worker_died_is_found_and_counted(world: World, box: Box) -> None:
    schedule = save(world)
    with enter(world.alpha.scope()):
        job = Job.objects.create(
            reseller=world.alpha.reseller,
            kind="reports.scheduled",
            title="x",
            state="failed",
            error="It died.",
        )
        ScheduleTurn.objects.create(
            reseller=world.alpha.reseller, schedule=schedule, due_at=SAVED, request=uuid.uuid4(), job=job
        )
    tick(world, SAVED + timedelta(hours=1))
    assert turns(world) == [("failed", "It died.")]
    tick(world, SAVED + timedelta(hours=1, minutes=15))
    assert turns(world) == [("sent", "2 of 2 mails went out.")]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"send": "rows"}, ""),
        ({"send": "above", "total": "gross", "amount": D("240.00")}, "No total was above 240.00."),
        ({"send": "above", "total": "gross", "amount": D("239.99")}, ""),
        ({"send": "below", "total": "gross", "amount": D("240.01")}, ""),
        ({"send": "below", "total": "gross", "amount": D("240.00")}, "No total was below 240.00."),
    ],
)
def test_a_condition_keeps_the_mail_back(
    world: World, box: Box, condition: dict[str, Any], words: str
) -> None:
    save(world, **condition)
    tick(world, DUE)
    assert len(box.mails) == (0 if words else 2)
    assert turns(world) == [("nothing", words)] if words else [("sent", "2 of 2 mails went out.")]


def test_no_rows_send_nothing_where_rows_are_asked_for(world: World, box: Box) -> None:
    save(world, send="rows")
    tick(world, datetime(2027, 3, 1, 8, tzinfo=UTC))
    assert turns(world) == [("nothing", "There were no rows.")]
    assert box.mails == []


def test_who_may_not_send_may_not_schedule(world: World) -> None:
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.VIEWER)), pytest.raises(NotAllowed):
        schedules.create(
            report="invoices",
            params={},
            plan=Plan("x", "daily", time(7), "UTC", ["a@b.example"], [], NAMES),
            now=SAVED,
        )
