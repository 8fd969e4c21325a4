"""Rating again: after a repair, in preview, with allowances; what is billed stays."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.models import Bundle, ChangedDay, Invoice, NumberAssignment, RatingBatch, TariffRate
from billing.rating.redraw import redraw_allowances
from billing.rating.rerate import Effect, rerate
from billing.rating.selection import RerateSelection
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import chunk_of, money
from tests.billing.rating_world import World, calls, total
from tests.billing.test_redraw import MARCH, surf, voice

NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
MONTH = RerateSelection(first=date(2026, 3, 1), last=date(2026, 3, 31))
PENCE = Decimal("0.03")


@pytest.fixture
def world(db):
    made = World.make()
    with enter(Scope.of(made.reseller.pk)):
        yield made.begin()


def plain(world):
    """Make a customer on a tariff of 0.03 a minute."""
    customer = world.customer()
    tariff = world.tariff()
    world.rate(tariff, "", "0.03")
    world.assign(tariff, customer=customer)
    return customer, tariff


def test_a_repaired_number_is_priced_and_nothing_else_changes(world):
    customer, _ = plain(world)
    world.number("U1", customer)
    cost = {"cost": money("0.01"), "has_cost": True, "cost_currency": "GBP"}
    world.supply(
        chunk_of(voice(60, "2026-03-02T10:00", 1), {**voice(60, "2026-03-03T10:00", 2, "U2"), **cost})
    )
    old_batch = RatingBatch.objects.get().pk
    assert calls("state", "reason") == [("rated", ""), ("error", "unknown_cli")]
    world.number("U2", customer)
    where = RerateSelection(first=MARCH[0], last=MARCH[1], identities=("U2",), reasons=("unknown_cli",))
    result = rerate(world.reseller, where=where, apply=True, now=NOW)
    assert (result.looked_at, result.changed, result.billed) == (1, 1, 0)
    assert result.effects == (
        Effect(0, "GBP", Decimal(0), Decimal(0), Decimal("0.01"), Decimal(0)),
        Effect(customer.pk, "GBP", PENCE, 2 * PENCE, Decimal(0), Decimal("0.01")),
    )
    assert calls("state", "reason", "retail", "customer_id") == [("rated", "", PENCE, customer.pk)] * 2
    new = RatingBatch.objects.latest("pk")
    assert calls("batch_id") == [(old_batch,), (new.pk,)]
    assert (new.kind, new.calls, new.created_at) == ("rerate", 1, NOW)
    assert new.first_call_at == datetime(2026, 3, 3, 10, tzinfo=UTC)
    assert list(ChangedDay.objects.values_list("day", flat=True)) == [date(2026, 3, 3)]
    assert rerate(world.reseller, where=MONTH, apply=True, now=NOW).changed == 0


def test_a_preview_shows_the_same_and_writes_nothing(world):
    customer, _ = plain(world)
    world.number("U1", customer)
    world.supply(chunk_of(*(voice(60, f"2026-03-{n:02d}T10:00", n) for n in range(1, 6))))
    TariffRate.objects.update(price="0.05")
    before = calls("pk", "retail", "batch_id")
    preview = rerate(world.reseller, where=MONTH, apply=False, now=NOW)
    assert calls("pk", "retail", "batch_id") == before
    assert (RatingBatch.objects.count(), ChangedDay.objects.count()) == (1, 0)
    assert preview.effects == (
        Effect(customer.pk, "GBP", 5 * PENCE, Decimal("0.25"), Decimal(0), Decimal(0)),
    )
    assert preview.effects[0].margin_change == Decimal("0.10")
    done = rerate(world.reseller, where=MONTH, apply=True, now=NOW)
    assert (done.effects, done.changed, total()) == (preview.effects, 5, Decimal("0.25"))


def test_allowances_are_drawn_anew_for_the_customers_touched(world):
    customer, _ = surf(world)
    Bundle.objects.filter(unit="seconds").update(amount=120)
    world.supply(chunk_of(voice(60, "2026-03-02T10:00", 1), voice(60, "2026-03-03T10:00", 2)))
    world.supply(chunk_of(voice(60, "2026-03-01T10:00", 3, "U2")))
    redraw_allowances(world.reseller, None, *MARCH)
    assert calls("drawn", "state") == [(0, "error"), (60, "rated"), (60, "rated")]
    assert rerate(world.reseller, where=MONTH, apply=True, now=NOW).changed == 0
    world.number("U2", customer)
    assert rerate(world.reseller, where=MONTH, apply=True, now=NOW).changed == 1
    assert calls("drawn", "retail") == [(60, 0), (60, 0), (0, PENCE)]


def test_a_call_moves_to_another_customer(world):
    first, tariff = plain(world)
    world.number("U1", first)
    second = world.customer("C2")
    world.assign(tariff, customer=second)
    world.supply(chunk_of(voice(60, "2026-03-02T10:00", 1), voice(60, "2026-03-20T10:00", 2)))
    NumberAssignment.objects.update(end_date=date(2026, 3, 10))
    NumberAssignment.objects.create(
        **world.own, number_id=calls("number_id")[0][0], customer=second, start_date=date(2026, 3, 10)
    )
    where = RerateSelection(first=MARCH[0], last=MARCH[1], customer_ids=(first.pk,))
    assert {
        e.customer_id: e.new_retail for e in rerate(world.reseller, where=where, apply=True, now=NOW).effects
    } == {
        first.pk: PENCE,
        second.pk: PENCE,
    }


def test_billed_calls_stay_and_are_counted(world):
    customer, _ = plain(world)
    world.number("U1", customer)
    world.supply(chunk_of(voice(60, "2026-03-02T10:00", 1), voice(60, "2026-03-20T10:00", 2)))
    Invoice.objects.create(
        **world.own,
        customer=customer,
        invoice_date=date(2026, 3, 10),
        due_date=date(2026, 3, 24),
        currency="GBP",
        usage_before=datetime(2026, 3, 10, tzinfo=UTC),
        usage_batch=RatingBatch.objects.get().pk,
    )
    TariffRate.objects.update(price="0.05")
    result = rerate(world.reseller, where=MONTH, apply=True, now=NOW)
    assert (result.looked_at, result.changed, result.billed) == (1, 1, 1)
    assert [row[0] for row in calls("retail")] == [PENCE, Decimal("0.05")]


def test_the_callers_number_repairs_an_unknown_reference(world):
    customer, _ = plain(world)
    call = {**voice(60, "2026-03-02T10:00", 1, "TRUNK9"), "cli": "+442079460009"}
    world.supply(chunk_of(call))
    world.number("+442079460009", customer)
    rerate(world.reseller, where=MONTH, apply=True, now=NOW)
    assert calls("state", "billed_party") == [("rated", "+442079460009")]


def test_a_name_of_the_file_stays_and_a_name_of_the_rate_follows_the_rate(world):
    customer, tariff = plain(world)
    world.number("U1", customer)
    TariffRate.objects.update(destination="Any")
    world.supply(
        chunk_of(
            {**voice(60, "2026-03-02T10:00", 1), "destination": "Mars"}, voice(60, "2026-03-03T10:00", 2)
        )
    )
    TariffRate.objects.update(valid_to=date(2026, 3, 1))
    world.rate(tariff, "", "0.03", destination="Anywhere", valid_from=date(2026, 3, 1))
    assert rerate(world.reseller, where=MONTH, apply=True, now=NOW).changed == 2
    assert calls("destination") == [("Mars",), ("Anywhere",)]


def test_excluded_calls_keep_their_reason_and_a_selection_survives_json(world):
    customer, _ = plain(world)
    world.supply(chunk_of({**voice(60, "2026-03-02T10:00", 1), "excluded": "internal"}))
    world.number("U1", customer)
    where = RerateSelection(first=MARCH[0], last=MARCH[1], states=("excluded",), number_ids=None)
    again = RerateSelection.from_params(where.as_params())
    assert again == where
    assert rerate(world.reseller, where=again, apply=True, now=NOW).changed == 1
    assert calls("state", "reason", "customer_id") == [("excluded", "internal", customer.pk)]
