"""Billed calls that would cost something else now: proposed per invoice to the penny, raised once, billed next."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from zoneinfo import ZoneInfo

import pytest

from billing.bills import bill, credit, undo
from billing.charging.adjust import add_charge
from billing.charging.corrections import Ticked, raise_corrections
from billing.models import BillingRun, Charge, Invoice, InvoiceLine, TariffRate
from billing.rating.corrections import Correction, propose
from billing.rating.selection import RerateSelection
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D
from tests.billing.rating_book import UNIT, at, chunk_of
from tests.billing.rating_world import World
from tests.billing.whatif_world import prints
from tests.oracles import NaiveCall, naive_price

NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
MARCH = RerateSelection(first=date(2026, 3, 1), last=date(2026, 3, 31))
ZONE = ZoneInfo("Europe/London")
PENNY = Decimal("0.01")
CLASSES = {"44": "uk", "447": "mobile"}


class Billed:
    """A house whose March is billed: two customers, two numbers each, two classes of calls."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.tariff = world.tariff("Standard")
        self.prices = {"44": "0.0337", "447": "0.1213"}
        for key, price in self.prices.items():
            world.rate(self.tariff, key, price, call_class=CLASSES[key])
        self.customers = {}
        for code in ("C1", "C2"):
            customer = self.customers[code] = world.customer(code, status="active", vat_rate="20")
            world.assign(self.tariff, customer=customer)
            for line in "ab":
                world.number(f"{code}{line}", customer)
        random = Random(seed)
        self.calls = [
            (
                random.choice(["C1a", "C1b", "C2a", "C2b"]),
                random.choice(["44", "447"]),
                random.randint(1, 300),
                n,
            )
            for n in range(40)
        ]
        world.supply(
            chunk_of(
                *(
                    {
                        "identity_1": line,
                        "dialled": f"+{prefix}9{prefix}00900{n:03d}",
                        "duration": seconds,
                        "started_at": at(f"2026-03-{1 + n % 31:02d}T10:00:{n:02d}"),
                        "dedupe_key": n,
                    }
                    for line, prefix, seconds, n in self.calls
                )
            )
        )

    def usage(self, code: str, prices: dict[str, str]) -> Decimal:
        """Return a customer's usage of March line by line (number and class), each rounded once, call by call."""
        lines: dict[tuple[str, str], Decimal] = {}
        for line, prefix, seconds, _ in self.calls:
            if line.startswith(code):
                price = naive_price(NaiveCall(seconds=seconds, rate=int(Decimal(prices[prefix]) * UNIT)))[1]
                lines[line, prefix] = lines.get((line, prefix), Decimal(0)) + Decimal(price) / UNIT
        return sum((amount.quantize(PENNY, ROUND_HALF_UP) for amount in lines.values()), Decimal(0))

    def bill(self, month: str, until: str = "confirmed") -> None:
        """Bill a month up to a state."""
        scope = Scope.of(self.world.reseller.pk)
        bill(self.world.reseller, parse_month(month, ZONE), until=until, now=NOW, scope=scope, accept="tests")


@pytest.fixture(params=range(2))
def billed(request: pytest.FixtureRequest, db: None) -> Iterator[Billed]:
    world = World.make()
    with enter(Scope.of(world.reseller.pk)):
        made = Billed(world.begin(), request.param)
        made.bill("2026-03")
        yield made


def reprice(billed: Billed) -> dict[str, str]:
    """Find out that mobiles were too dear and the rest too cheap; return the right prices."""
    prices = {"44": "0.0351", "447": "0.0977"}
    for key, price in prices.items():
        TariffRate.objects.filter(key=key).update(price=price)
    return prices


def test_nothing_is_proposed_while_the_book_is_as_billed(billed: Billed) -> None:
    assert propose(billed.world.reseller, MARCH).corrections == []


def test_the_difference_is_that_of_the_rounded_lines(billed: Billed) -> None:
    old, new = dict(billed.prices), reprice(billed)
    before = prints()
    found = propose(billed.world.reseller, MARCH)
    assert prints() == before
    assert (found.drafts, found.left) == (0, 0)
    expected = {
        code: (
            billed.usage(code, old),
            billed.usage(code, new),
            len([c for c in billed.calls if c[0][:2] == code]),
        )
        for code in ("C1", "C2")
    }
    shown = {row.customer_id: (row.billed, row.right, row.calls) for row in found.corrections}
    assert shown == {billed.customers[code].pk: figures for code, figures in expected.items()}


def test_a_correction_is_raised_once_and_goes_on_the_next_bill(billed: Billed) -> None:
    old, new = dict(billed.prices), reprice(billed)
    reseller = billed.world.reseller
    rows = [Ticked(row.invoice_id, row.right, row.calls) for row in propose(reseller, MARCH).corrections]
    made = raise_corrections(reseller, rows, on=date(2026, 4, 1))
    assert raise_corrections(reseller, rows, on=date(2026, 4, 1)) == []
    assert propose(reseller, MARCH).corrections == []
    due = {
        billed.customers[code].pk: billed.usage(code, new) - billed.usage(code, old) for code in ("C1", "C2")
    }
    assert {charge.customer_id: charge.amount for charge in made} == due
    assert {charge.kind for charge in made} == {
        "credit" if amount < 0 else "one_off" for amount in due.values()
    }
    assert all(charge.description.startswith("Calls of March 2026 priced again: ") for charge in made)
    assert {(charge.service_start.month, charge.vat_rate) for charge in made} == {(3, None)}
    billed.bill("2026-04")
    lines = InvoiceLine.objects.filter(invoice__period_start=date(2026, 4, 1))
    charged = {
        line.invoice.customer_id: (line.net, line.vat_rate) for line in lines.select_related("invoice")
    }
    assert charged == {pk: (amount, Decimal(20)) for pk, amount in due.items() if amount > 0}


def test_a_second_correction_takes_the_first_off(billed: Billed) -> None:
    reseller = billed.world.reseller
    reprice(billed)
    rows = [Ticked(row.invoice_id, row.right, row.calls) for row in propose(reseller, MARCH).corrections]
    raise_corrections(reseller, rows, on=date(2026, 4, 1))
    TariffRate.objects.filter(key="447").update(price="0.05")
    again: list[Correction] = propose(reseller, MARCH).corrections
    third = {"44": "0.0351", "447": "0.05"}
    earlier = {charge.customer_id: charge.amount for charge in Charge.objects.all()}
    for row in again:
        code = next(code for code, customer in billed.customers.items() if customer.pk == row.customer_id)
        assert (
            row.amount
            == billed.usage(code, third) - billed.usage(code, billed.prices) - earlier[row.customer_id]
        )
    assert len(again) == 2


def test_cancelled_invoices_are_not_corrected(billed: Billed) -> None:
    reprice(billed)
    first, second = Invoice.objects.order_by("customer__code")
    credit(first.pk, reason="all of it", on=date(2026, 4, 1), now=NOW)
    assert [row.invoice_id for row in propose(billed.world.reseller, MARCH).corrections] == [second.pk]


def test_what_was_credited_of_the_usage_is_shown_and_not_taken_off(billed: Billed) -> None:
    reprice(billed)
    before = {row.invoice_id: row.amount for row in propose(billed.world.reseller, MARCH).corrections}
    first, second = Invoice.objects.order_by("customer__code")
    one, two = InvoiceLine.objects.filter(invoice=first, kind="usage").order_by("-net")[:2]
    credit(first.pk, reason="too dear", on=date(2026, 4, 1), now=NOW, lines={one.pk: D("0.08")})
    parts = {one.pk: D("0.02"), two.pk: D("0.05")}
    credit(first.pk, reason="again", on=date(2026, 4, 1), now=NOW, lines=parts)
    found = propose(billed.world.reseller, MARCH).corrections
    assert {row.invoice_id: row.credited for row in found} == {first.pk: D("0.15"), second.pk: D(0)}
    assert {row.invoice_id: row.amount for row in found} == before


def test_crediting_a_bill_whole_takes_its_waiting_correction_along(billed: Billed) -> None:
    reprice(billed)
    rows = propose(billed.world.reseller, MARCH).corrections
    raise_corrections(
        billed.world.reseller, [Ticked(r.invoice_id, r.right, r.calls) for r in rows], on=date(2026, 4, 1)
    )
    first, second = Invoice.objects.order_by("customer__code")
    line = InvoiceLine.objects.filter(invoice=second).order_by("-net").first()
    assert line is not None
    credit(second.pk, reason="part", on=date(2026, 4, 1), now=NOW, lines={line.pk: D("0.02")})
    assert Charge.objects.filter(source_key__startswith="rerate:").count() == 2
    credit(first.pk, reason="all of it", on=date(2026, 4, 1), now=NOW)
    assert Charge.objects.get(source_key__startswith="rerate:").customer_id == second.customer_id
    event = AuditEvent.objects.filter(action="invoice.credited").latest("pk")
    assert event.details["corrections"] == 1


def test_drafts_are_counted_and_left_to_their_run(billed: Billed) -> None:
    reprice(billed)
    undo(BillingRun.objects.get().pk)
    billed.bill("2026-03", until="billed")
    found = propose(billed.world.reseller, MARCH)
    assert (found.corrections, found.drafts) == ([], 2)


def test_calls_that_cannot_be_priced_any_more_are_left_alone(billed: Billed) -> None:
    TariffRate.objects.filter(key="447").update(valid_to=date(2026, 1, 2))
    TariffRate.objects.filter(key="44").update(valid_to=date(2026, 1, 2))
    found = propose(billed.world.reseller, MARCH)
    assert (found.corrections, found.left) == ([], len(billed.calls))


def test_an_undone_run_takes_the_corrections_of_its_bills_along(billed: Billed) -> None:
    reprice(billed)
    found = propose(billed.world.reseller, MARCH).corrections
    ticked = [Ticked(row.invoice_id, row.right, row.calls) for row in found]
    assert len(raise_corrections(billed.world.reseller, ticked, on=date(2026, 4, 2))) == 2
    undo(BillingRun.objects.get().pk)
    assert Charge.objects.filter(source_key__startswith="rerate:").count() == 0
    event = AuditEvent.objects.get(action="run.undone")
    assert event.details == {"invoices": 2, "corrections": 2}


def test_a_bill_without_usage_lines_can_be_corrected(billed: Billed) -> None:
    world = billed.world
    quiet = world.customer("C3", status="active", vat_rate="20")
    add_charge(quiet, description="Visit", amount=Decimal(9), on=date(2026, 4, 2))
    billed.bill("2026-04")
    invoice = Invoice.objects.get(customer=quiet)
    made = raise_corrections(world.reseller, [Ticked(invoice.pk, Decimal("3.20"), 1)], on=date(2026, 5, 2))
    shown = [(c.amount, c.service_start, c.service_end) for c in made]
    assert shown == [(Decimal("3.20"), date(2026, 4, 1), date(2026, 5, 1))]
