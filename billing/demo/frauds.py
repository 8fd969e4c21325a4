"""The fraud planted in the demo: a hacked switchboard on one number, and a customer past a spend limit of its own.

Both lie in the last days before the demo's day, so that the watch looks at them; no bill has them yet, unless the
month has just begun. `planted.json` names the warnings that must come of it, and no other may.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import floor

import numpy as np
from django.db.models import Sum

from billing.demo.catalogue import PBX, WHOLESALER
from billing.demo.plan import CustomerPlan, NumberPlan
from billing.demo.shape import Calendar
from billing.demo.traffic import ALL, DAY, VOICE, Month, Traffic, empty, per_minute
from billing.models import Customer, SpendLimit, UsageHour
from billing.watch.alerts import look
from billing.watch.hours import keep_up
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months

#: The night of the hack: so many days before the demo's day, calls from one in the morning, one begun each 280 s.
NIGHTS_AGO, FIRST_HOUR, CALLS, EVERY = 2, 1, 38, 280
#: Where the calls go, by turns: dear for both sides, and seldom called by anybody.
CALLED = ("Jamaica", "Jamaica", "Kenya mobile")
#: What every customer may spend a day on international calls; the share of a month's usage that the other limit is.
A_DAY, OF_A_MONTH = Decimal(30), Decimal("0.9")


@dataclass(frozen=True)
class Warned:
    """A warning that must come: its mark, its subject as the watch names it, and what was planted."""

    mark: str
    subject: str
    why: str


def victim(plans: list[CustomerPlan], calendar: Calendar) -> tuple[CustomerPlan, NumberPlan] | None:
    """Return whose switchboard is hacked: a steady customer with a line of its own, one with a switchboard first."""
    known = calendar.ago(6)
    fit = [
        (plan, number)
        for plan in plans
        if not plan.is_loyal and plan.start <= known and len(plan.events) == 1
        for number in plan.numbers
        if number.carrier in (PBX, WHOLESALER)
        and number.weight
        and number.end is None
        and number.start <= known
    ]
    return min(fit, key=lambda pair: (pair[1].carrier != PBX, -pair[0].wanted, pair[1].number), default=None)


def hacked_calls(number: NumberPlan, month: Month, calendar: Calendar) -> Traffic:
    """Return the calls of the hack, if its night lies in the month."""
    day = (night(calendar) - month.first).days
    if not 0 <= day < month.days:
        return empty([number.number])
    turn = np.arange(CALLS)
    names = {destination.name: index for index, destination in enumerate(ALL)}
    destination = np.array([names[name] for name in CALLED])[turn % len(CALLED)]
    same, seconds = np.ones(CALLS, dtype=np.int64), 240 + turn * 97 % 360
    return Traffic(
        numbers=[number.number],
        line=same * 0,
        carrier=same * number.carrier,
        service=same * VOICE,
        destination=destination,
        at=day * DAY + FIRST_HOUR * 3600 + turn * EVERY,
        seconds=seconds,
        kilobytes=same * 0,
        cost=per_minute(seconds, month.prices[number.carrier, destination]),
    )


def night(calendar: Calendar) -> date:
    """Return the day on whose first hours the switchboard is hacked."""
    return calendar.today - timedelta(days=NIGHTS_AGO)


def watch(
    reseller: Reseller, plans: list[CustomerPlan], calendar: Calendar, *, has_fraud: bool, now: datetime
) -> list[Warned]:
    """Set the limits, have the watch look as it does every hour, and return what it must have warned of."""
    warned = _limits(reseller, plans, calendar) if has_fraud else []
    look(reseller, now=now)
    return warned


def _limits(reseller: Reseller, plans: list[CustomerPlan], calendar: Calendar) -> list[Warned]:
    """Limit everybody's international calls of a day, and one customer's usage of the month to less than it is."""
    limit = {"reseller": reseller, "currency": reseller.currency, "start_date": calendar.first}
    SpendLimit.objects.create(**limit, per="day", covers="abroad", amount=A_DAY)
    hacked = victim(plans, calendar)
    keep_up(reseller, today=calendar.today)
    month = (calendar.today - timedelta(days=1)).replace(day=1)
    used = UsageHour.objects.filter(day__gte=month, day__lt=add_months(month, 1))
    used = used.exclude(customer__code=hacked[0].code) if hacked else used
    customer, spent = (
        used.values_list("customer").annotate(spent=Sum("retail")).order_by("-spent", "customer")[0]
    )
    amount = max(1, floor(spent * OF_A_MONTH))
    limit["start_date"] = month
    SpendLimit.objects.create(**limit, customer_id=customer, per="month", covers="all", amount=amount)
    code = Customer.objects.get(pk=customer).code
    why = f"It has used {spent:.2f} of {amount} in the month so far."
    return [*_of_hack(hacked, calendar), Warned("over", f"{code}, limit a month: all usage", why)]


def _of_hack(hacked: tuple[CustomerPlan, NumberPlan] | None, calendar: Calendar) -> list[Warned]:
    if hacked is None:
        return []
    plan, number = hacked
    why = (
        f"{CALLS} calls to {' and '.join(sorted(set(CALLED)))} from {FIRST_HOUR:02}:00 on {night(calendar)}."
    )
    limited = f"Those calls come to more than the {A_DAY} a day that every customer may spend on international calls."
    return [
        Warned("unusual", f"{plan.code} {number.number}", why),
        Warned("over", f"{plan.code}, limit a day: international calls", limited),
    ]
