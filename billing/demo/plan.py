"""The life of each demo customer: when it came, what it has, how it pays, when and why it left. No database here."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from billing.demo.shape import Calendar, House, stream
from billing.demo.words import (
    CAMPAIGNS,
    COMPETITORS,
    PARTING_WORDS,
    SEGMENT_WEIGHTS,
    STREETS,
    TOWNS,
    TRADES,
    company,
    person,
)
from resellerkpi.core.periods import add_months

METHODS = (("direct_debit", 66), ("transfer", 18), ("card", 9), ("cheque", 4), ("prepaid", 3))
PARTINGS = (
    ("price", 26),
    ("competitor", 22),
    ("port_out", 12),
    ("service", 14),
    ("ceased_trading", 12),
    ("moved", 6),
    ("non_payment", 5),
    ("other", 3),
)
MONTHLY_CHURN = 0.013
LEGACY_SHARE = 0.58
#: So many of the oldest customers never leave and have a few lines each: leaks are planted among them.
LOYAL = 15


@dataclass(frozen=True)
class NumberPlan:
    """A number and when the customer has it; `line` is the feature type it is rented under."""

    number: str
    type: str
    line: str
    start: date
    end: date | None
    site: str
    carrier: int
    weight: int
    has_line: bool = True
    supply_end: date | None = None


@dataclass(frozen=True)
class FeaturePlanned:
    """Something the customer has from the catalogue; `number` is the index of its number, None for the account."""

    code: str
    start: date
    end: date | None
    quantity: int = 1
    number: int | None = None
    price: Decimal | None = None
    discount: int = 0
    not_charged: bool = False


@dataclass(frozen=True)
class EventPlan:
    """A dated status with its reason."""

    day: date
    status: str
    reason: str = ""
    words: str = ""
    competitor: str = ""


@dataclass
class CustomerPlan:
    """One customer's whole story."""

    code: str
    name: str
    legal_class: str
    segment: str
    town: int
    street: str
    contact: str
    start: date
    end: date | None
    method: str
    payer: str
    terms: int
    wanted: int
    dealer: int | None = None
    campaign: str = ""
    tags: list[str] = field(default_factory=list)
    events: list[EventPlan] = field(default_factory=list)
    tariff: str = ""
    is_loyal: bool = False
    contract_end: date | None = None
    numbers: list[NumberPlan] = field(default_factory=list)
    features: list[FeaturePlanned] = field(default_factory=list)

    def change_number(self, index: int, **changes: object) -> None:
        """Replace fields of one planned number."""
        self.numbers[index] = replace(self.numbers[index], **changes)  # type: ignore[arg-type]


def plan_customers(house: House, calendar: Calendar, seed: int) -> list[CustomerPlan]:
    """Return the customers of a house in the order in which they came."""
    random = stream(seed, house.code, "customers")
    starts = _starts(random, house.size.customers, calendar)
    sizes = _sizes(random, len(starts), house.size.numbers)
    taken: set[str] = set()
    plans = []
    for position, (start, wanted) in enumerate(zip(starts, sizes, strict=True), start=1):
        plan = _customer(random, house, position, start, wanted, calendar)
        while plan.name in taken:
            plan.name, plan.legal_class = company(random, plan.segment)
        taken.add(plan.name)
        plans.append(plan)
    return plans


def _starts(random: Random, count: int, calendar: Calendar) -> list[date]:
    """Return when each customer came: most before the demo's first month, then a few more each month."""
    legacy = round(count * LEGACY_SHARE)
    old = [calendar.first - timedelta(days=random.randint(40, 2600)) for _ in range(legacy)]
    months = [*calendar.months, calendar.current]
    weights = [10 + index // 2 - (4 if month.month in (8, 12) else 0) for index, month in enumerate(months)]
    new = []
    for month in random.choices(months, weights, k=count - legacy):
        limit = 27 if month < calendar.current else max(0, (calendar.today - month).days - 1)
        new.append(month + timedelta(days=random.choice((0, 0, random.randint(0, limit)))))
    return sorted(old + new)


def _sizes(random: Random, count: int, numbers: int) -> list[int]:
    """Return how many numbers each customer ever has: many small ones, a few large ones, adding up exactly."""
    weights = [random.lognormvariate(0, 1.0) for _ in range(count)]
    scale = (numbers - count) / sum(weights)
    sizes = [1 + int(weight * scale) for weight in weights]
    for index in random.sample(range(count), (numbers - sum(sizes)) % count):
        sizes[index] += 1
    sizes[0] += numbers - sum(sizes)
    for index in range(min(LOYAL, count // 2)):
        while sizes[index] < 3:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[index] += 1
    return sizes


def _customer(
    random: Random, house: House, position: int, start: date, wanted: int, calendar: Calendar
) -> CustomerPlan:
    segment = random.choices(list(TRADES), SEGMENT_WEIGHTS)[0]
    name, legal = company(random, segment)
    is_loyal = house.has_leaks and position <= LOYAL
    end, parting = (None, None) if is_loyal else _parting(random, start, wanted, calendar)
    method = random.choices([m for m, _ in METHODS], [w for _, w in METHODS])[0]
    has_dealer = random.random() < 0.6
    plan = CustomerPlan(
        code=f"{house.account_prefix}{position:04d}",
        name=name,
        legal_class=legal,
        segment=segment,
        town=random.randrange(len(TOWNS)),
        street=f"{random.randint(1, 140)} {random.choice(STREETS)}",
        contact=person(random),
        start=start,
        end=end,
        method=method,
        payer=_payer(random, method),
        terms=14 if method == "direct_debit" else random.choice((14, 14, 30)),
        wanted=wanted,
        is_loyal=is_loyal,
        dealer=random.randrange(house.size.dealers) if has_dealer else None,
        campaign=random.choice(CAMPAIGNS) if start >= calendar.first and random.random() < 0.7 else "",
        tags=sorted(tag for tag, share in _TAGS if random.random() < share),
    )
    plan.events = [EventPlan(start, "active"), *([parting] if parting else [])]
    if plan.payer == "shaky" and end is None and start < calendar.ago(3) and random.random() < 0.3:
        plan.events.append(
            EventPlan(
                calendar.ago(1) + timedelta(days=8), "suspended", "non_payment", "Direct Debit unpaid again"
            )
        )
    plan.contract_end = _contract_end(random, start, calendar)
    return plan


_TAGS = (("Multi-site", 0.12), ("Price sensitive", 0.1), ("Key account", 0.07), ("Remote workers", 0.15))


def _parting(
    random: Random, start: date, wanted: int, calendar: Calendar
) -> tuple[date | None, EventPlan | None]:
    """Decide month by month whether the customer leaves; larger ones stay longer."""
    hazard = MONTHLY_CHURN * (0.5 if wanted > 10 else 1.25 if wanted <= 3 else 1.0)
    month = max(add_months(calendar.first, 1), add_months(start.replace(day=1), 3))
    while month < calendar.current:
        if random.random() < hazard:
            day = month + timedelta(days=random.choice((0, 0, random.randint(1, 27))))
            reason = random.choices([r for r, _ in PARTINGS], [w for _, w in PARTINGS])[0]
            rival = random.choice(COMPETITORS) if reason in ("competitor", "port_out") else ""
            return day, EventPlan(day, "ceased", reason, random.choice(PARTING_WORDS[reason]), rival)
        month = add_months(month, 1)
    return None, None


def _payer(random: Random, method: str) -> str:
    """Return how the customer behaves when an invoice is due."""
    if method == "direct_debit":
        return random.choices(("good", "shaky"), (92, 8))[0]
    if method == "prepaid":
        return "prepaid"
    return random.choices(("good", "late", "chronic"), (62, 26, 12))[0]


def _contract_end(random: Random, start: date, calendar: Calendar) -> date:
    """Return the end of the term in force: terms of 1, 2 or 3 years renew."""
    years = random.choice((1, 2, 3))
    end = add_months(start, 12 * years)
    while end <= calendar.first or (end < calendar.today and random.random() < 0.85):
        end = add_months(end, 12 * years)
    return end
