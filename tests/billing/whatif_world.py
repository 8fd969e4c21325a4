"""A month of random calls on several tariffs and decks, and the same month priced call by call in plain Python."""

import hashlib
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from django.apps import apps
from django.db import connection

from billing.models import Customer, Tariff
from billing.rating.redraw import redraw_allowances
from tests.billing.rating_book import UNIT, at, chunk_of
from tests.billing.rating_world import World
from tests.oracles import NaiveCall, naive_price

MARCH = (date(2026, 3, 1), date(2026, 3, 31))
#: Prefix -> (retail, the proposed retail, wholesale, the proposed wholesale); None: the proposal has no such prefix.
PRICES: dict[str, tuple[str, str | None, str, str | None]] = {
    "44": ("0.03", "0.025", "0.01", "0.012"),
    "447": ("0.12", "0.15", "0.05", "0.04"),
    "33": ("0.20", None, "0.10", "0.11"),
    "332": ("0.24", "0.22", "0.11", None),
}
NAMES = {"44": "UK", "447": "UK mobile", "33": "France", "332": "France mobile"}
ALLOWANCE = 600


@dataclass
class Month:
    """The house and the calls of its month: (customer code, prefix, seconds, answered, start)."""

    world: World
    standard: Tariff
    proposed: Tariff
    deck: Tariff
    newer: Tariff
    customers: dict[str, Customer] = field(default_factory=dict)
    calls: list[tuple[str, str, int, bool, str]] = field(default_factory=list)

    def by_hand(self, code: str, proposal: str) -> dict[str, list[Decimal]]:
        """Return a customer's calls, seconds, retail, proposed, cost, proposed by destination, call by call."""
        found: dict[str, list[Decimal]] = {}
        left = [ALLOWANCE if code == "C1" else 0] * 2
        for who, prefix, seconds, answered, _ in sorted(self.calls, key=lambda call: call[4]):
            if who != code:
                continue
            old, new, cost, dearer = PRICES[prefix]
            new = new or PRICES[prefix[:2]][1]
            dearer = dearer or PRICES[prefix[:2]][3]
            retail = [old, new if proposal == "retail" else old]
            bought = [cost, dearer if proposal == "deck" else cost]
            sums = found.setdefault(NAMES[prefix], [Decimal(0)] * 6)
            sums[0] += 1
            sums[1] += seconds if answered else 0
            for side in range(2):
                sums[2 + side] += self._price(retail[side], seconds, answered, left, side)
                sums[4 + side] += self._price(bought[side], seconds, answered, [0, 0], side)
        return found

    @staticmethod
    def _price(price: str | None, seconds: int, answered: bool, left: list[int], side: int) -> Decimal:
        if price is None:
            return Decimal(0)
        drawn = min(left[side], seconds) if answered else 0
        left[side] -= drawn
        call = NaiveCall(seconds=seconds, rate=int(Decimal(price) * UNIT), answered=answered, bundle=drawn)
        return Decimal(naive_price(call)[1]) / UNIT


def make_month(world: World, seed: int, calls: int = 60) -> Month:
    """Make a house with three customers on the standard tariff, one of them with an allowance, and a month's calls."""
    random = Random(seed)
    carrier = world.carrier
    month = Month(
        world,
        standard=world.tariff("Standard"),
        proposed=world.tariff("2027 prices"),
        deck=world.tariff("Deck", kind="wholesale", carrier=carrier),
        newer=world.tariff("Newer deck", kind="wholesale"),
    )
    for prefix, prices in PRICES.items():
        for tariff, price in zip(
            (month.standard, month.proposed, month.deck, month.newer), prices, strict=True
        ):
            if price is not None:
                world.rate(tariff, prefix, price, destination=NAMES[prefix])
    pack = world.package(seconds=str(ALLOWANCE))
    for code in ("C1", "C2", "C3"):
        customer = month.customers[code] = world.customer(code)
        world.number(f"N{code}", customer)
        world.assign(month.standard, customer=customer)
    world.feature(pack, month.customers["C1"])
    _supply(month, random, calls)
    redraw_allowances(world.reseller, None, *MARCH)
    return month


def _supply(month: Month, random: Random, count: int) -> None:
    rows: list[dict[str, Any]] = []
    for n in range(count):
        code, prefix = random.choice(["C1", "C2", "C3"]), random.choice(list(PRICES))
        seconds, answered = random.randint(0, 400), random.random() > 0.1
        start = f"2026-03-{random.randint(1, 31):02d}T{n % 24:02d}:{n % 60:02d}:{random.randint(0, 59):02d}"
        month.calls.append((code, prefix, seconds, answered, start + f"#{n:05d}"))
        rows.append(
            {
                "identity_1": f"N{code}",
                "dialled": f"+{prefix}9{n % 10}00900{n:03d}",
                "duration": seconds,
                "answered": answered,
                "started_at": at(start),
                "dedupe_key": n,
            }
        )
    month.world.supply(chunk_of(*rows))


def prints() -> dict[str, str]:
    """Return a fingerprint of every table of the house, row by row."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
            found[table] = hashlib.sha256(str(cursor.fetchall()).encode()).hexdigest()
    return found
