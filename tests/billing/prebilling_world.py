"""Random small books in which every pre-billing check has something to find and something to leave alone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from billing.models import (
    Call,
    Carrier,
    CarrierCharge,
    CarrierInvoice,
    Contract,
    Customer,
    CustomerEvent,
    Feature,
    FeaturePrice,
    FeatureType,
    LedgerEntry,
    Mandate,
    Number,
    NumberAssignment,
    Supply,
    Tariff,
    TariffAssignment,
    TariffRate,
)
from resellerkpi.core.models import Reseller
from tests.billing.money import a_call, make_customer, rate_batch

FIRST, LAST = date(2026, 1, 1), date(2026, 2, 1)
CURRENCIES = ("GBP", "GBP", "EUR")


class Dice:
    """Chance, from a seed: days around January 2026, spans, amounts."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def day(self) -> date:
        """Return a day of the weeks around January, often an edge of the month."""
        return self.random.choice((FIRST, LAST, FIRST + timedelta(days=self.random.randint(-40, 70))))

    def span(self) -> tuple[date, date | None]:
        """Return a start and an end, open in one of three cases."""
        start = self.day()
        length = timedelta(days=self.random.choice((1, 5, 31, 60)))
        return start, None if self.random.random() < 0.35 else start + length

    def some(self, *choices: Any) -> Any:
        """Return one of the choices."""
        return self.random.choice(choices)

    def amount(self) -> Decimal:
        """Return an amount that does not divide evenly."""
        return Decimal(self.random.randint(1, 4000)) / 100


def apart(dice: Dice, tries: int) -> list[tuple[date, date | None]]:
    """Return spans that do not overlap."""
    kept: list[tuple[date, date | None]] = []
    for _ in range(tries):
        start, end = dice.span()
        if all((end is not None and end <= s) or (e is not None and e <= start) for s, e in kept):
            kept.append((start, end))
    return kept


def random_world(house: Reseller, seed: int) -> None:
    """Fill a reseller's book, calls, ledger and carriers' bills by chance."""
    dice = Dice(seed)
    customers = _customers(house, dice)
    numbers = _numbers(house, dice, customers)
    rates = _tariffs(house, dice, customers, numbers)
    _features(house, dice, customers, numbers)
    _supplies(house, dice, numbers)
    _calls(house, dice, customers, numbers, rates)


def _customers(house: Reseller, dice: Dice) -> list[Customer]:
    customers = [
        make_customer(
            house, f"C{n}", payment_method=dice.some("direct_debit", "transfer"), currency=dice.some(*CURRENCIES),
            is_test=n == 7, contract_end=dice.some(None, dice.day(), date(2025, 12, 1)),
        )
        for n in range(8)
    ]  # fmt: skip
    for customer in customers:
        for day in {dice.day() for _ in range(2)}:
            CustomerEvent.objects.create(
                reseller=house, customer=customer, date=day, status=dice.some("active", "active", "ceased")
            )
        for n in range(dice.some(0, 0, 1)):
            start, end = dice.span()
            reference = f"{customer.code}/{n}"
            Mandate.objects.create(
                reseller=house, customer=customer, reference=reference, start_date=start, end_date=end
            )
            Contract.objects.create(
                reseller=house, customer=customer, reference=reference, start_date=start, minimum_term_end=end
            )
        for n in range(3):
            LedgerEntry.objects.create(
                reseller=house, customer=customer, date=FIRST, kind="invoice", currency=dice.some(*CURRENCIES),
                amount=dice.amount() - 15, source_key=f"{customer.code}:{n}",
            )  # fmt: skip
    return customers


def _numbers(house: Reseller, dice: Dice, customers: list[Customer]) -> list[Number]:
    kinds = ("geographic", "geographic", "mobile", "broadband")
    numbers = [
        Number.objects.create(
            reseller=house, number=f"+44113496{n:04}", type=dice.some(*kinds), monthly_cost=dice.some(0, 3)
        )
        for n in range(12)
    ]
    for number in numbers:
        for start, end in apart(dice, dice.some(0, 1, 3)):
            NumberAssignment.objects.create(
                reseller=house, number=number, customer=dice.some(*customers), start_date=start, end_date=end
            )
    return numbers


def _tariffs(
    house: Reseller, dice: Dice, customers: list[Customer], numbers: list[Number]
) -> list[TariffRate]:
    own = Tariff.objects.create(reseller=house, name="Own")
    Tariff.objects.create(
        reseller=house, name="Mobile", is_default=True, default_number_type="mobile", superseded_on=dice.day()
    )
    for whose in (*({"customer": c} for c in customers), *({"number": n} for n in numbers)):
        starts = {dice.day() for _ in range(dice.some(0, 0, 2, 3))}
        TariffAssignment.objects.bulk_create(
            TariffAssignment(
                reseller=house, tariff=own, start_date=start, end_date=dice.some(None, start + timedelta(days=9)),
                **whose,
            )
            for start in starts
        )  # fmt: skip
    return TariffRate.objects.bulk_create(
        TariffRate(
            reseller=house, tariff=own, key=f"44{n}", destination=dice.some("", f"Place {n % 4}"),
            price=dice.some(0, 0, dice.amount()), connection_fee=dice.some(0, 0, 0, 1), valid_from=start,
            valid_to=dice.some(None, start + timedelta(days=dice.some(3, 20))),
        )
        for n in range(9)
        for start in sorted({dice.day() for _ in range(dice.some(1, 3))})
    )  # fmt: skip


def _features(house: Reseller, dice: Dice, customers: list[Customer], numbers: list[Number]) -> None:
    types = [
        FeatureType.objects.create(
            reseller=house, code=f"T{n}", name=f"Type {n}", interval=dice.some("month", "quarter", "year", "once"),
            currency=dice.some(*CURRENCIES),
        )
        for n in range(7)
    ]  # fmt: skip
    for kind in types:
        for start, end in apart(dice, dice.some(0, 1, 2)):
            FeaturePrice.objects.create(
                reseller=house, feature_type=kind, price=dice.some(0, dice.amount()), cost=dice.some(0, dice.amount()),
                valid_from=start, valid_to=end,
            )  # fmt: skip
    for _ in range(90):
        start, end = dice.span()
        Feature.objects.create(
            reseller=house, customer=dice.some(*customers), number=dice.some(None, *numbers[:4]),
            feature_type=dice.some(*types), quantity=dice.some(1, 3), start_date=start, end_date=end,
            price=dice.some(None, None, 0, dice.amount()), cost=dice.some(None, None, dice.amount()),
            discount_percent=dice.some(0, 0, Decimal("12.5"), 100), not_charged=dice.some(False, False, True),
            minimum_term_end=dice.some(None, dice.day()),
        )  # fmt: skip


def _supplies(house: Reseller, dice: Dice, numbers: list[Number]) -> None:
    carrier = Carrier.objects.create(reseller=house, code="GAM", name="Gamma", currency="EUR")
    bills = [
        CarrierInvoice.objects.create(
            reseller=house, carrier=carrier, number=currency, invoice_date=LAST, currency=currency
        )
        for currency in ("GBP", "EUR")
    ]
    for line, number in enumerate(numbers):
        for start, end in apart(dice, dice.some(0, 1, 2)):
            Supply.objects.create(
                reseller=house, number=number, carrier=carrier, start_date=start, end_date=end
            )
        for bill in bills:
            start = dice.day()
            if dice.some(True, False):
                CarrierCharge.objects.create(
                    reseller=house, invoice=bill, line=line, description="Rental", kind=dice.some("rental", "usage"),
                    service_start=start, service_end=start + timedelta(days=20), amount=dice.amount() - 10,
                    state="allocated", number=number,
                )  # fmt: skip


def _calls(
    house: Reseller, dice: Dice, customers: list[Customer], numbers: list[Number], rates: list[TariffRate]
) -> None:
    calls: list[Call] = []
    for n in range(120):
        at = datetime(2025, 12, 30, tzinfo=UTC) + timedelta(hours=dice.random.randint(0, 24 * 40), seconds=n)
        reason = dice.some(*[""] * 12, "no_tariff", "unknown_cli", "inactive", "no_rate")
        number = dice.some(*numbers)
        more: dict[str, Any] = {"state": "error", "reason": reason}
        if not reason:
            more = {"rate": dice.some(*rates), "bundle_id": dice.some(None, None, 1)}
        more |= {"number": None if reason == "unknown_cli" else number, "currency": dice.some(*CURRENCIES)}
        more |= {"cost": dice.some(None, dice.amount()), "expected_cost": dice.some(None, dice.amount())}
        price = "0" if reason else str(dice.some(0, dice.amount()))
        call = a_call(
            dice.some(*customers), f"{at:%Y-%m-%d %H:%M:%S}", price, billed_party=f"+4420{n % 3}",
            cost_currency=dice.some(*CURRENCIES), **more,
        )  # fmt: skip
        if reason in ("unknown_cli", "inactive"):
            call.customer = None
        calls.append(call)
    rate_batch(house, *calls)
