"""The leaks planted in the demo, each with the money it costs, worked out from how it was planted.

Per month is what the last closed month lost (for standing charges: at today's list price); to date is the sum of
the closed months (for money not collected: what is overdue).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from billing.demo.catalogue import BY_CODE, STALE_FEATURE, STALE_FEATURE_COST, WHOLESALER, prices_at_rises
from billing.demo.plan import CustomerPlan, FeaturePlanned
from billing.demo.services import NumberStock, billed_from
from billing.demo.shape import Calendar
from resellerkpi.core.periods import add_months

PENNY = Decimal("0.01")

UNRATED, MISSING, STALE, UNCOLLECTED, STILL_SUPPLIED, BELOW, FREE = (
    "unrated_calls",
    "missing_recurring",
    "stale_pricing",
    "uncollected",
    "ceased_still_supplied",
    "below_cost",
    "free_by_mistake",
)


@dataclass(frozen=True)
class Finding:
    """One leak: which check must find it, on what, since when, what it costs and why it is one."""

    check: str
    subject: str
    period: str
    money_per_month: Decimal
    money_to_date: Decimal
    why: str
    currency: str = "GBP"


@dataclass
class Planted:
    """Where leaks were put: what the generators of calls and payments must know, and the findings so far."""

    findings: list[Finding] = field(default_factory=list)
    unknown_number: str = ""
    unpriced_callers: list[tuple[int, int]] = field(default_factory=list)
    used_after_cease: tuple[int, int] | None = None
    never_presented: dict[str, date] = field(default_factory=dict)

    def add(
        self, check: str, subject: str, since: date, per_month: Decimal, to_date: Decimal, why: str
    ) -> None:
        """Add a finding; amounts are rounded half-up to the penny."""
        monthly, so_far = (amount.quantize(PENNY, ROUND_HALF_UP) for amount in (per_month, to_date))
        self.findings.append(Finding(check, subject, f"{since:%Y-%m}", monthly, so_far, why))


def list_price(code: str, day: date, calendar: Calendar) -> Decimal:
    """Return the list price in force on a day."""
    return prices_at_rises(BY_CODE[code], sum(rise <= day for rise in calendar.price_rises))[0]


def months_since(start: date, calendar: Calendar) -> list[date]:
    """Return the closed months from a day on."""
    return [month for month in calendar.months if month >= start.replace(day=1)]


def plant(plans: list[CustomerPlan], stock: NumberStock, calendar: Calendar) -> Planted:
    """Put leaks into the plans of steady customers, each customer at most one; return where."""
    planted = Planted()
    steady = _steady(plans, calendar)
    _not_charged(planted, steady, calendar)
    _lines_not_rented(planted, steady, calendar)
    _free(planted, steady, calendar)
    _still_supplied(planted, plans, steady, calendar)
    _mandates_gone(planted, steady, calendar)
    _stale_feature(planted, plans, steady, calendar)
    planted.unknown_number = stock.take("geographic", 0)
    callers = _steady(plans, calendar)
    for plan in (next(callers), next(callers)):
        planted.unpriced_callers.append((plans.index(plan), _geographic(plan)))
    return planted


def _steady(plans: list[CustomerPlan], calendar: Calendar) -> Iterator[CustomerPlan]:
    """Yield customers who were there all along and stay, whose first number is a line, the larger ones first."""
    fit = [plan for plan in plans if plan.is_loyal and plan.start <= calendar.ago(14)]
    return iter(sorted(fit, key=lambda plan: (-min(plan.wanted, 12), plan.code)))


def _geographic(plan: CustomerPlan) -> int:
    return next(i for i, n in enumerate(plan.numbers) if n.type == "geographic" and n.end is None)


def _not_charged(planted: Planted, steady: Iterator[CustomerPlan], calendar: Calendar) -> None:
    for code, quantity, ago in (("REC", 6, 8), ("SET", 4, 5)):
        plan, start = next(steady), calendar.ago(ago)
        plan.features.append(FeaturePlanned(code, start, None, quantity, not_charged=True))
        prices = [list_price(code, month, calendar) * quantity for month in months_since(start, calendar)]
        why = f"{quantity} × {BY_CODE[code].name} provided since {start} and marked as not charged."
        planted.add(MISSING, f"{plan.code} {code}", start, prices[-1], sum(prices, Decimal(0)), why)


def _lines_not_rented(planted: Planted, steady: Iterator[CustomerPlan], calendar: Calendar) -> None:
    for _ in range(2):
        plan = next(steady)
        index = _geographic(plan)
        number = plan.numbers[index]
        start = billed_from(number.start, calendar)
        if start.day != 1:
            start = add_months(start.replace(day=1), 1)
            plan.features += [
                FeaturePlanned(number.line, billed_from(number.start, calendar), start, number=index)
            ]
        plan.features = [f for f in plan.features if f.number != index or f.end == start]
        plan.change_number(index, has_line=False)
        prices = [list_price(number.line, month, calendar) for month in months_since(start, calendar)]
        why = f"{number.number} is assigned since {start} and no {BY_CODE[number.line].name.lower()} is charged."
        planted.add(MISSING, number.number, start, prices[-1], sum(prices, Decimal(0)), why)


def _free(planted: Planted, steady: Iterator[CustomerPlan], calendar: Calendar) -> None:
    for code, quantity, ago in (("IVR", 1, 6), ("HUNT", 2, 5)):
        plan, start = next(steady), calendar.ago(ago)
        plan.features.append(FeaturePlanned(code, start, None, quantity, price=Decimal(0)))
        prices = [list_price(code, month, calendar) * quantity for month in months_since(start, calendar)]
        why = f"{quantity} × {BY_CODE[code].name} has the price 0 of its own; the supplier charges for it."
        planted.add(FREE, f"{plan.code} {code}", start, prices[-1], sum(prices, Decimal(0)), why)


def _still_supplied(
    planted: Planted, plans: list[CustomerPlan], steady: Iterator[CustomerPlan], calendar: Calendar
) -> None:
    """End a number of each customer while the carrier goes on charging; the first one even goes on calling."""
    for ago in (6, 5, 3):
        plan, end = next(steady), calendar.ago(ago)
        index = _geographic(plan)
        number = plan.numbers[index]
        plan.change_number(index, end=end, supply_end=None)
        plan.features = list(_ended(plan.features, index, end))
        cost = number_cost(number.line)
        months = months_since(end, calendar)
        why = f"{number.number} was ceased on {end}; the carrier goes on charging {cost} a month for it."
        planted.add(STILL_SUPPLIED, number.number, end, cost, cost * len(months), why)
        if planted.used_after_cease is None:
            plan.change_number(index, carrier=WHOLESALER)
            planted.used_after_cease = (plans.index(plan), index)


def number_cost(line: str) -> Decimal:
    """Return what the carrier charges a month for a number rented as a feature type."""
    return BY_CODE[line].cost


def _ended(features: Iterable[FeaturePlanned], index: int, end: date) -> Iterator[FeaturePlanned]:
    for planned in features:
        if planned.number != index:
            yield planned
        elif planned.start < end:
            yield replace(planned, end=min(planned.end or end, end))


def _mandates_gone(planted: Planted, steady: Iterator[CustomerPlan], calendar: Calendar) -> None:
    """Let mandates lapse unnoticed: from then on nothing is presented; the money is known once bills exist."""
    for ago in (5, 4, 3):
        plan = next(steady)
        plan.method, plan.payer, plan.terms = "direct_debit", "good", 14
        planted.never_presented[plan.code] = calendar.ago(ago)


def _stale_feature(
    planted: Planted, plans: list[CustomerPlan], steady: Iterator[CustomerPlan], calendar: Calendar
) -> None:
    """Let the supplier's price of one feature rise alone; its list price is never raised (see store)."""
    since, rise = calendar.ago(7), STALE_FEATURE_COST - BY_CODE[STALE_FEATURE].cost
    next(steady).features.append(FeaturePlanned(STALE_FEATURE, calendar.ago(13), None, 3))
    lost = [rise * _in_service(plans, STALE_FEATURE, month) for month in months_since(since, calendar)]
    why = f"The supplier's price of {BY_CODE[STALE_FEATURE].name} rose by {rise} on {since}; ours stayed."
    planted.add(STALE, STALE_FEATURE, since, lost[-1], sum(lost, Decimal(0)), why)


def _in_service(plans: list[CustomerPlan], code: str, month: date) -> Decimal:
    """Return how many of a feature type were in service in a month, part months by days."""
    end = add_months(month, 1)
    days = sum(
        planned.quantity * max(timedelta(0), min(planned.end or end, end) - max(planned.start, month)).days
        for plan in plans
        for planned in plan.features
        if planned.code == code
    )
    return Decimal(days) / (end - month).days


def summary(reseller_code: str, findings: list[Finding]) -> dict[str, object]:
    """Return the findings with their totals, money as strings, for planted.json."""
    zero = Decimal("0.00")
    return {
        "reseller": reseller_code,
        "total": {
            "findings": len(findings),
            "money_per_month": str(sum((f.money_per_month for f in findings), zero)),
            "money_to_date": str(sum((f.money_to_date for f in findings), zero)),
            "currency": "GBP",
        },
        "findings": [
            {
                "check": f.check,
                "subject": f.subject,
                "period": f.period,
                "money_per_month": str(f.money_per_month),
                "money_to_date": str(f.money_to_date),
                "currency": f.currency,
                "why": f.why,
            }
            for f in findings
        ],
    }
