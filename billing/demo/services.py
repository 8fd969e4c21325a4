"""What each demo customer has: numbers out of the drama ranges, the lines and features on them, over time."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from billing.demo.catalogue import MOBILE, PBX, WHOLESALER
from billing.demo.plan import CustomerPlan, FeaturePlanned, NumberPlan
from billing.demo.shape import Calendar, House, stream
from billing.demo.words import SITES, TOWNS
from resellerkpi.core.periods import add_months

#: Number type, the feature type that rents it, its carrier, share of the numbers, weight of its calls.
KINDS = (
    ("geographic", "DDI", WHOLESALER, 62, 4),
    ("mobile", "SIM", MOBILE, 21, 8),
    ("broadband", "BB80", MOBILE, 7, 0),
    ("sip", "SIPCH", PBX, 4, 0),
    ("non_geographic", "NGN", WHOLESALER, 4, 0),
    ("freephone", "FREE", WHOLESALER, 2, 0),
)
STEMS = {"mobile": "447700900", "non_geographic": "443069990", "freephone": "448081570"}
CIRCUITS = {"broadband": "BB", "sip": "SIP"}


class NumberStock:
    """The drama ranges, handed out number by number; a second block follows where a range is used up."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._next: dict[str, int] = {}

    def take(self, kind: str, town: int) -> str:
        """Return the next number of a kind, as calls carry it: E.164, or a circuit reference."""
        if kind in CIRCUITS:
            return f"{self.house.account_prefix}{CIRCUITS[kind]}{10001 + self._count(kind)}"
        if kind in STEMS:
            return f"+{STEMS[kind]}{self._count(kind):03d}"
        for offset in range(len(TOWNS)):
            stem = TOWNS[(town + offset) % len(TOWNS)][1]
            if self._next.get(stem, 0) < 1000:
                return f"+{stem}{self._count(stem):04d}"
        raise ValueError("The demo asks for more geographic numbers than the drama ranges hold.")

    def _count(self, key: str) -> int:
        self._next[key] = self._next.get(key, 0) + 1
        return self._next[key] - 1


def plan_services(house: House, plans: list[CustomerPlan], calendar: Calendar, seed: int) -> NumberStock:
    """Give each customer its numbers and features; return the stock, for numbers that nobody has."""
    stock = NumberStock(house)
    random = stream(seed, house.code, "services")
    for plan in plans:
        _numbers(random, plan, stock, calendar)
        plan.features = [
            *_lines(random, plan, calendar),
            *_call_plan(random, plan, calendar),
            *_extras(random, plan, calendar),
        ]
        plan.tariff = _tariff(random, plan, calendar)
    return stock


def _numbers(random: Random, plan: CustomerPlan, stock: NumberStock, calendar: Calendar) -> None:
    kinds = random.choices(KINDS, [kind[3] for kind in KINDS], k=plan.wanted)
    kinds[0] = KINDS[0] if plan.is_loyal or random.random() < 0.9 else KINDS[1]
    from_pbx = random.random() < 0.3 and not plan.is_loyal
    last = plan.end or calendar.current
    for index, (kind, line, carrier, _, weight) in enumerate(kinds):
        start = plan.start
        if index and random.random() < 0.22:
            start = _later(random, max(plan.start, calendar.first), last) or plan.start
        end = plan.end
        if index and random.random() < 0.07:
            end = _later(random, max(start, calendar.first), last) or plan.end
        plan.numbers.append(
            NumberPlan(
                number=stock.take(kind, plan.town),
                type=kind,
                line=_line(random, kind, line, index, from_pbx),
                start=start,
                end=end,
                site=SITES[min(index // 6, len(SITES) - 1)],
                carrier=PBX if from_pbx and kind == "geographic" else carrier,
                weight=weight * random.choice((1, 2, 2, 3, 6)),
                supply_end=end,
            )
        )


def _line(random: Random, kind: str, line: str, index: int, from_pbx: bool) -> str:
    if kind == "geographic" and index < 2 and not from_pbx:
        return "LINE"
    return random.choice(("BB80", "BB330")) if kind == "broadband" else line


def _later(random: Random, first: date, last: date) -> date | None:
    """Return the start of a month strictly between two days, if there is one."""
    months = []
    month = add_months(first.replace(day=1), 1)
    while month < last:
        months.append(month)
        month = add_months(month, 1)
    return random.choice(months) if months else None


def _lines(random: Random, plan: CustomerPlan, calendar: Calendar) -> Iterator[FeaturePlanned]:
    """Rent every number for as long as the customer has it; some customers negotiated."""
    percent = random.choice((0, 0, 0, 0, 0, 0, 5, 10))
    for index, number in enumerate(plan.numbers):
        negotiable = number.line in ("LINE", "BB80", "BB330")
        quantity = random.randint(2, 8) if number.line == "SIPCH" else 1
        yield FeaturePlanned(
            number.line,
            billed_from(number.start, calendar),
            number.end,
            quantity=quantity,
            number=index,
            discount=percent if negotiable else 0,
        )
        if number.type == "mobile" and random.random() < 0.8:
            yield FeaturePlanned("MOB", billed_from(number.start, calendar), number.end, number=index)


def _call_plan(random: Random, plan: CustomerPlan, calendar: Calendar) -> Iterator[FeaturePlanned]:
    """Give more than half of the customers a call plan; some move up or down the ladder."""
    if random.random() > 0.58:
        return
    level = 1 if plan.wanted <= 3 else 2 if plan.wanted <= 10 else 3
    start = billed_from(plan.start, calendar)
    moved = _later(random, start, plan.end or calendar.current) if random.random() < 0.22 else None
    if moved is None:
        yield FeaturePlanned(f"PLAN{level}", start, plan.end)
        return
    other = level + (1 if level == 1 or (level == 2 and random.random() < 0.7) else -1)
    yield FeaturePlanned(f"PLAN{level}", start, moved)
    yield FeaturePlanned(f"PLAN{other}", moved, plan.end)


#: Feature type, share of the customers, numbers per unit (0: one for the account), share that takes it up later.
EXTRAS = (
    ("REC", 0.24, 4, 0.0),
    ("VM", 0.45, 2, 0.4),
    ("HUNT", 0.30, 0, 0.2),
    ("IVR", 0.22, 0, 0.5),
    ("FAX", 0.16, 0, 0.1),
    ("CRM", 0.12, 0, 0.0),
    ("SET", 0.52, 1, 0.2),
    ("CARE", 0.14, 0, 0.4),
)


def _extras(random: Random, plan: CustomerPlan, calendar: Calendar) -> Iterator[FeaturePlanned]:
    """Add what lines are not: features, handsets (whose quantity may change), support, an engineer's visit."""
    first = billed_from(plan.start, calendar)
    last = plan.end or calendar.current
    chosen = [extra for extra in EXTRAS if random.random() < extra[1]]
    for code, _, per, later in chosen:
        start = (_later(random, first, last) if random.random() < later else None) or first
        quantity = max(1, plan.wanted // per) if per else 1
        changed = _later(random, start, last) if code == "SET" and random.random() < 0.3 else None
        if changed is None:
            yield FeaturePlanned(code, start, plan.end, quantity=quantity)
            continue
        yield FeaturePlanned(code, start, changed, quantity=quantity)
        after = max(1, quantity + random.choice((-2, -1, 1, 2, 3)))
        yield FeaturePlanned(code, changed, plan.end, quantity=after)
    codes = {code for code, *_ in chosen}
    if "CRM" in codes and "REC" not in codes:
        yield FeaturePlanned("REC", first, plan.end, quantity=max(1, plan.wanted // 4))
    if random.random() < 0.15:
        visit = max(first, calendar.first) + timedelta(days=random.randint(0, 27))
        if visit < last:
            yield FeaturePlanned("VISIT", visit, visit + timedelta(days=1))


def billed_from(start: date, calendar: Calendar) -> date:
    """Return from when a service is billed here: customers who moved in are billed from the first month on."""
    return max(start, calendar.first)


def _tariff(random: Random, plan: CustomerPlan, calendar: Calendar) -> str:
    """Return the name of the tariff of its own, "" for the default one; the oldest keep a superseded one."""
    if plan.start < add_months(calendar.first, -36) and random.random() < 0.3:
        return "Classic"
    return "Business plan" if plan.wanted >= 8 or random.random() < 0.15 else ""
