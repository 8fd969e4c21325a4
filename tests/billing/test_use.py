"""What comes of allowances in the database: roll-over over months and files, billed calls, caps, dates, and the figures
written down, which agree with the calls.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum

from billing.models import AllowanceUse, Bundle, Call, Feature, Invoice, RatingBatch, SecondDraw
from billing.rating.redraw import redraw_allowances
from billing.rating.use import allowance_use
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import MB, at, chunk_of
from tests.billing.rating_world import World, calls

D = Decimal
FIRST, LAST = date(2026, 3, 1), date(2026, 5, 31)


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


def begin(world, start=FIRST, **bundle):
    """Give a user a package of 100 seconds (or what is told) and a price of 0.01 a second."""
    plan = world.tariff()
    world.rate(plan, "", "0.60")
    world.rate(plan, "", "0.05", service="sms")
    world.rate(plan, "", "1", service="data")
    world.pack = world.package()
    world.bundle = Bundle.objects.create(
        **world.own, feature_type=world.pack, **{"unit": "seconds", "amount": 100, **bundle}
    )
    world.user = world.customer("C1")
    world.assign(plan, customer=world.user)
    for text in ("U1", "U2"):
        world.number(text, world.user)
    return world.feature(world.pack, world.user, start=start)


def talk(seconds, when, key, party="U1", **more):
    return {
        "identity_1": party,
        "dialled": "+4420",
        "duration": seconds,
        "started_at": at(when),
        "dedupe_key": key,
        **more,
    }


def months(*names):
    return list(AllowanceUse.objects.order_by("month", "bundle_id", "number_id").values_list(*names))


def drawn():
    return [int(row[0]) for row in calls("drawn")]


def bill(world, before, batch):
    return Invoice.objects.create(
        **world.own,
        customer=world.user,
        invoice_date=before.date(),
        due_date=before.date(),
        currency="GBP",
        usage_before=before,
        usage_batch=batch,
    )


def test_what_is_left_is_used_first_in_the_next_month_and_then_lapses(world):
    begin(world, rollover_months=1)
    world.supply(
        chunk_of(
            talk(30, "2026-03-10T10:00", 1),
            talk(120, "2026-04-10T10:00", 2),
            talk(60, "2026-05-10T10:00", 3),
            talk(200, "2026-05-11T10:00", 4),
        )
    )
    redraw_allowances(world.reseller, None, FIRST, LAST)
    # March leaves 70; April uses them and 50 of its own, leaves 50; May has 150 and charges 110 seconds
    assert drawn() == [30, 120, 60, 90]
    assert months("granted", "carried_in", "used", "expired", "carried_out") == [
        (100, 0, 30, 0, 70),
        (100, 70, 120, 0, 50),
        (100, 50, 150, 0, 0),
    ]
    may = AllowanceUse.objects.get(month=date(2026, 5, 1))
    assert (may.overflow, may.overflow_calls, may.overflow_charge, may.currency) == (110, 1, D("1.1"), "GBP")
    assert [str(lot[1]) for lot in AllowanceUse.objects.get(month=date(2026, 4, 1)).lots] == ["50"]
    assert redraw_allowances(world.reseller, None, FIRST, LAST) == 0


def test_a_cap_keeps_what_may_be_carried(world):
    begin(world, rollover_months=2, rollover_cap=120)
    redraw_allowances(world.reseller, None, FIRST, LAST)
    assert months("carried_in", "expired", "carried_out") == [(0, 0, 100), (100, 80, 120), (120, 100, 120)]


def test_a_late_file_moves_the_months_after_it(world):
    begin(world, rollover_months=1)
    world.supply(chunk_of(talk(150, "2026-04-10T10:00", 1)))
    redraw_allowances(world.reseller, None, date(2026, 4, 1), date(2026, 4, 30))
    assert drawn() == [150]
    world.supply(chunk_of(talk(80, "2026-03-10T10:00", 2)))
    assert redraw_allowances(world.reseller, [world.user.pk], FIRST, FIRST) == 2
    assert calls("drawn", "retail") == [(80, 0), (120, D("0.3"))]


def test_months_without_a_file_are_drawn_when_they_are_needed(world):
    begin(world, rollover_months=3)
    world.supply(chunk_of(talk(500, "2026-05-10T10:00", 1)))
    redraw_allowances(world.reseller, [world.user.pk], date(2026, 5, 1), date(2026, 5, 31))
    assert drawn() == [300]
    assert months("granted", "carried_in") == [(100, 0), (100, 100), (100, 200)]


def test_nothing_is_carried_from_before_the_first_calls_supplied(world):
    begin(world, rollover_months=3)
    RatingBatch.objects.create(**world.own, kind="import", first_call_at=datetime(2026, 4, 2, tzinfo=UTC))
    world.supply(chunk_of(talk(500, "2026-05-10T10:00", 1)))
    redraw_allowances(world.reseller, [world.user.pk], date(2026, 5, 1), date(2026, 5, 31))
    assert drawn() == [200]


def test_a_package_that_ends_carries_nothing_on(world):
    feature = begin(world, rollover_months=2)
    Feature.objects.filter(pk=feature.pk).update(end_date=date(2026, 4, 1))
    redraw_allowances(world.reseller, None, FIRST, LAST)
    assert months("month", "granted", "expired", "carried_out") == [(FIRST, 100, 100, 0)]


def test_billed_calls_keep_their_draw_and_count_as_used(world):
    begin(world, rollover_months=1)
    world.supply(chunk_of(talk(40, "2026-03-10T10:00", 1), talk(150, "2026-04-10T10:00", 2)))
    redraw_allowances(world.reseller, None, FIRST, LAST)
    assert drawn() == [40, 150]
    bill(world, datetime(2026, 5, 1, tzinfo=UTC), RatingBatch.objects.order_by("-pk").first().pk)
    world.supply(
        chunk_of(
            talk(50, "2026-03-05T10:00", 3), talk(10, "2026-04-05T10:00", 4), talk(90, "2026-05-05T10:00", 5)
        )
    )
    redraw_allowances(world.reseller, None, FIRST, LAST)
    # March now leaves 10 to carry; April has 110 and 150 are billed as drawn: 40 beyond it, none for the late call
    assert calls("dedupe_key", "drawn", "retail") == [
        (3, 50, 0), (1, 40, 0), (4, 0, D("0.1")), (2, 150, 0), (5, 90, 0),
    ]  # fmt: skip
    assert months("granted", "carried_in", "used", "overdrawn", "expired", "carried_out") == [
        (100, 0, 90, 0, 0, 10),
        (100, 10, 150, 40, 0, 0),
        (100, 0, 90, 0, 0, 10),
    ]


def test_one_number_draws_no_more_of_a_shared_allowance_than_its_cap(world):
    begin(world, member_cap=60)
    world.supply(
        chunk_of(
            talk(50, "2026-03-01T10:00", 1),
            talk(50, "2026-03-02T10:00", 2),
            talk(30, "2026-03-03T10:00", 3, "U2"),
            talk(30, "2026-03-04T10:00", 4, "U2"),
        )
    )
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    assert drawn() == [50, 10, 30, 10]
    assert months("used", "overflow", "overflow_calls", "overflow_charge") == [(100, 60, 2, D("0.6"))]


def test_a_changed_allowance_serves_the_calls_from_its_day(world):
    begin(world, valid_to=date(2026, 3, 16), rollover_months=1)
    later = Bundle.objects.create(
        **world.own,
        feature_type=world.pack,
        unit="seconds",
        amount=310,
        valid_from=date(2026, 3, 16),
        prorate_first=True,
    )
    world.supply(
        chunk_of(
            talk(70, "2026-03-15T10:00", 1),
            talk(400, "2026-03-16T10:00", 2),
            talk(400, "2026-04-16T10:00", 3),
        )
    )
    redraw_allowances(world.reseller, None, FIRST, LAST)
    # 16 of 31 days of the new one: 160; what the old one left is drawn in April, before the new one
    assert drawn() == [70, 160, 340]
    assert months("bundle_id", "granted", "carried_in", "used") == [
        (world.bundle.pk, 100, 0, 70),
        (later.pk, 160, 0, 160),
        (world.bundle.pk, 0, 30, 30),
        (later.pk, 310, 0, 310),
        (later.pk, 310, 0, 0),
    ]


def test_a_feature_that_continues_another_goes_on_with_its_allowance(world):
    feature = begin(world)
    Feature.objects.filter(pk=feature.pk).update(end_date=date(2026, 3, 11))
    more = world.feature(world.pack, world.user, start=date(2026, 3, 11), quantity=3, continues=feature)
    world.supply(chunk_of(talk(150, "2026-03-05T10:00", 1), talk(500, "2026-03-20T10:00", 2)))
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    assert drawn() == [100, 200]
    Feature.objects.filter(pk=more.pk).update(quantity=1)
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    assert drawn() == [100, 0]


def test_a_call_of_several_allowances_names_the_first_and_each_counts_its_own(world):
    begin(world)
    second = Bundle.objects.create(
        **world.own, feature_type=world.pack, unit="seconds", amount=50, priority=1
    )
    paid = Bundle.objects.create(**world.own, feature_type=world.pack, unit="money", amount="0.25")
    world.supply(chunk_of(talk(180, "2026-03-05T10:00", 1), talk(40, "2026-03-06T10:00", 2)))
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    # 100 and 50 seconds, then 0.25 of the 0.30 that the last 30 cost
    assert calls("bundle_id", "drawn", "retail") == [(world.bundle.pk, 150, D("0.05")), (None, 0, D("0.4"))]
    assert months("bundle_id", "used", "drawn", "overflow", "overflow_calls") == [
        (world.bundle.pk, 100, 100, 0, 0), (second.pk, 50, 50, 0, 0), (paid.pk, D("0.25"), D("0.25"), D("0.45"), 2),
    ]  # fmt: skip
    assert list(SecondDraw.objects.order_by("pk").values_list("bundle_id", "drawn")) == [
        (second.pk, 50), (paid.pk, D("0.25")),
    ]  # fmt: skip
    bill(world, datetime(2026, 4, 1, tzinfo=UTC), RatingBatch.objects.order_by("-pk").first().pk)
    world.supply(chunk_of(talk(20, "2026-03-01T10:00", 3)))
    assert redraw_allowances(world.reseller, None, FIRST, FIRST) == 0
    assert [row[1] for row in months("bundle_id", "used")] == [100, 50, D("0.25")]


def test_a_package_without_calls_is_listed_with_all_of_it_unused(world):
    begin(world, unit="data", amount=5)
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    assert months("granted", "used", "expired") == [(5, 0, 5)]
    Feature.objects.all().delete()
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    assert months("granted") == []


def test_a_month_that_does_not_add_up_cannot_be_stored(world):
    begin(world)
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    with pytest.raises(IntegrityError, match="allowance_use_adds_up"), transaction.atomic():
        AllowanceUse.objects.update(used=1)


def test_the_use_of_a_month_is_told_by_customer_package_and_number(world):
    begin(world, member_cap=60)
    world.supply(chunk_of(talk(50, "2026-03-01T10:00", 1), talk(50, "2026-03-02T10:00", 2)))
    redraw_allowances(world.reseller, None, FIRST, FIRST)
    (row,) = allowance_use(world.reseller, FIRST)
    assert (row.customer, row.bundle.feature_type, row.number) == (world.user, world.pack, None)
    assert (row.granted, row.used, row.unused, row.overflow) == (100, 60, 40, 40)
    assert not allowance_use(world.reseller, FIRST, [world.user.pk + 1])
    assert not allowance_use(world.reseller, date(2026, 4, 1))


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_files_ends_the_same_and_agrees_with_the_calls(db, seed):
    """Calls of three months in one file, in two, and month by month backwards."""
    random = Random(seed)
    rows = [
        {
            **talk(
                random.randint(1, 90), f"2026-0{random.randint(3, 5)}-{random.randint(1, 28):02d}T10:00", n
            ),
            "identity_1": random.choice(["U1", "U2"]),
            "service": random.choice(["voice", "voice", "sms", "data"]),
            "volume": random.randint(1, 40) * MB,
        }
        for n in range(60)
    ]
    halves = rows[:25], rows[25:]
    by_month = sorted({row["started_at"] // 2_592_000 for row in rows}, reverse=True)
    backwards = [[row for row in rows if row["started_at"] // 2_592_000 == month] for month in by_month]
    results = []
    for turn, files in enumerate(([rows], halves, backwards)):
        made = World.make(f"house-{turn}")
        with enter(Scope.of(made.reseller.pk)):
            made.begin()
            begin(made, amount=150, rollover_months=2, rollover_cap=200, member_cap=140)
            for unit, amount, months_ in (
                ("seconds", 60, 1),
                ("sms", 2, 3),
                ("data", 50, 1),
                ("money", "0.40", 2),
            ):
                Bundle.objects.create(
                    **made.own,
                    feature_type=made.pack,
                    unit=unit,
                    amount=amount,
                    rollover_months=months_,
                    priority=1,
                )
            for part in files:
                made.supply(chunk_of(*part))
                days = [datetime.fromtimestamp(row["started_at"], UTC).date() for row in part]
                redraw_allowances(made.reseller, [made.user.pk], min(days), max(days))
            found = calls("dedupe_key", "drawn", "retail", "state")
            which = ("month", "bundle__unit", "bundle__priority")
            uses = months(*which, "granted", "carried_in", "used", "expired", "overflow", "overflow_charge")
            results.append((found, sorted(uses, key=str)))
            assert redraw_allowances(made.reseller, None, FIRST, LAST) == 0
            agrees_with_calls()
            continues()
    assert results[0] == results[1] == results[2]


def agrees_with_calls():
    """Check that what allowances spared is what the calls drew, bundle by bundle and month by month."""
    second = {row.call_id: [] for row in SecondDraw.objects.all()}
    for row in SecondDraw.objects.select_related("bundle"):
        second[row.call_id].append(row)
    spared: dict = {}
    for call in Call.objects.exclude(bundle_id=None):
        month = call.started_at.date().replace(day=1)
        own = Bundle.objects.get(pk=call.bundle_id)
        more = second.get(call.pk, [])
        left = call.drawn - sum(row.drawn for row in more if row.bundle.unit == own.unit)
        for bundle, units in [(own.pk, left), *((row.bundle_id, row.drawn) for row in more)]:
            spared[month, bundle] = spared.get((month, bundle), 0) + units
    stored = AllowanceUse.objects.values_list("month", "bundle_id").annotate(n=Sum("drawn"))
    assert {(month, bundle): n for month, bundle, n in stored if n} == spared
    assert len(spared) > 8


def continues():
    """Check that each month begins with what the month before carried out."""
    rows = {(row.bundle_id, row.month): row for row in AllowanceUse.objects.all()}
    for (bundle, month), row in rows.items():
        before = rows.get((bundle, date(month.year, month.month - 1, 1)))
        assert row.carried_in == (before.carried_out if before else 0)
