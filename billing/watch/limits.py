"""Spend limits: which holds for whom in which days, and how much of each is used."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from billing.models import SpendLimit
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.periods import add_months

#: Days that are looked at again: files come late.
BACK = 7
BY_COST = "Calls inside an allowance or without a price count at what the carrier charges for them."

#: A call inside an allowance, or without a rate, has no price; the carrier charges it all the same. So each kept hour
#: counts with the dearer of price and cost, where both are in one currency (docs/fraud.md, “Spend limits”).
#: For each span of days and each customer: its own limit, else the reseller's, in force on the span's last day.
USED = """
WITH span (per, start, until, on_day) AS (
    SELECT * FROM unnest(%(per)s::text[], %(start)s::date[], %(until)s::date[], %(on_day)s::date[])
), chosen AS (
    SELECT DISTINCT ON (span.per, span.start, customer.id, held.covers, held.destination)
        held.id AS limit_id, customer.id AS customer_id, customer.code, customer.name, span.per, span.start, span.until,
        held.covers, held.destination, held.amount, held.currency, held.warn_percent,
        held.customer_id IS NOT NULL AS own
    FROM billing_spendlimit held
    JOIN span ON span.per = held.per AND held.start_date <= span.on_day
     AND (held.end_date IS NULL OR held.end_date > span.on_day)
    JOIN billing_customer customer ON customer.reseller_id = %(reseller)s
     AND (held.customer_id = customer.id OR held.customer_id IS NULL)
    WHERE held.reseller_id = %(reseller)s AND (%(customer)s::bigint IS NULL OR customer.id = %(customer)s)
    ORDER BY span.per, span.start, customer.id, held.covers, held.destination, own DESC, held.start_date DESC
), used AS (
    SELECT customer_id, day, kind, destination, currency, sum(calls) AS calls, sum(retail) AS retail,
        sum(greatest(retail, CASE WHEN cost_currency = currency THEN cost ELSE 0 END)) AS spent,
        sum(cost) AS cost, max(cost_currency) AS cost_currency
    FROM billing_usagehour
    WHERE reseller_id = %(reseller)s AND day >= %(first)s AND day < %(last)s
      AND (%(customer)s::bigint IS NULL OR customer_id = %(customer)s) AND EXISTS (SELECT FROM chosen)
    GROUP BY 1, 2, 3, 4, 5
)
SELECT chosen.limit_id, chosen.customer_id, chosen.code, chosen.name, chosen.per, chosen.start, chosen.until,
    chosen.covers, chosen.destination, chosen.amount, chosen.currency, chosen.warn_percent, chosen.own,
    coalesce(sum(used.calls), 0)::bigint, coalesce(sum(used.spent), 0), coalesce(sum(used.retail), 0),
    coalesce(sum(used.cost), 0), coalesce(max(used.cost_currency), '')
FROM chosen
LEFT JOIN used ON used.customer_id = chosen.customer_id AND used.currency = chosen.currency
 AND used.day >= chosen.start AND used.day < chosen.until
 AND (chosen.covers = 'all' OR chosen.covers = used.kind
      OR (chosen.covers = 'destination' AND lower(used.destination) = lower(chosen.destination)))
GROUP BY chosen.limit_id, chosen.customer_id, chosen.code, chosen.name, chosen.per, chosen.start, chosen.until,
    chosen.covers, chosen.destination, chosen.amount, chosen.currency, chosen.warn_percent, chosen.own
HAVING coalesce(sum(used.spent), 0) * 100 >= chosen.amount * chosen.warn_percent * %(least)s
ORDER BY chosen.customer_id, chosen.per, chosen.covers, chosen.destination, chosen.start
"""


class Used(NamedTuple):
    """How much of a limit is used in its days.

    `spent` is what counts: the price before VAT or, where dearer, the cost. `retail` and `cost` are these alone.
    """

    limit_id: int
    customer_id: int
    code: str
    customer: str
    per: str
    start: date
    until: date
    covers: str
    destination: str
    amount: Decimal
    currency: str
    warn_percent: int
    own: bool
    calls: int
    spent: Decimal
    retail: Decimal
    cost: Decimal
    cost_currency: str

    @property
    def percent(self) -> int:
        """The share used, in whole per cent, rounded down."""
        return int(self.spent * 100 / self.amount)

    @property
    def by_cost(self) -> bool:
        """Whether some of what counts has no price, or one below its cost."""
        return self.spent > self.retail

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.spent >= self.amount

    @property
    def what(self) -> str:
        """What counts, in words: “international calls”."""
        return self.destination or SpendLimit.Covers(self.covers).label.lower()

    @property
    def when(self) -> str:
        """The days that count, in words."""
        return day_words(self.start) if self.per == "day" else f"{self.start:%B %Y}"

    @property
    def why(self) -> str:
        """Why people are told, without amounts: who may not see money, or costs, reads it too.

        So no share is named where costs count: with the price beside it, it would give them away.
        """
        whose = "its limit" if self.own else "the limit for every customer"
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        noun = f"calls to {self.destination}" if self.destination else self.what
        within = "on" if self.per == "day" else "in"
        state = "has reached" if self.over else "comes near"
        told = f"{self.customer} {state} {whose} for {noun} {within} {self.when}"
        if self.by_cost:
            return f"{told}, with {calls}. {BY_COST}"
        return f"{told}: {self.percent:,}\N{NO-BREAK SPACE}% of it, with {calls}."


def warned(reseller_id: int, *, today: date) -> list[Used]:
    """Return the limits used to their warning share or more, of the last days and of the months they lie in."""
    days = [today - timedelta(days=n) for n in range(BACK + 1)]
    spans = [("day", day, day + timedelta(days=1)) for day in days]
    months = sorted({day.replace(day=1) for day in days})
    spans += [("month", month, add_months(month, 1)) for month in months]
    return _used(reseller_id, spans, today=today, customer_id=None, least=1)


def uses_of(reseller_id: int, customer_id: int, *, today: date) -> list[Used]:
    """Return each limit of a customer, its own and the reseller's, with what is used of it today or this month."""
    month = today.replace(day=1)
    spans = [("day", today, today + timedelta(days=1)), ("month", month, add_months(month, 1))]
    return _used(reseller_id, spans, today=today, customer_id=customer_id, least=0)


def _used(
    reseller_id: int,
    spans: Sequence[tuple[str, date, date]],
    *,
    today: date,
    customer_id: int | None,
    least: int,
) -> list[Used]:
    about = {
        "reseller": reseller_id,
        "customer": customer_id,
        "per": [per for per, _, _ in spans],
        "start": [start for _, start, _ in spans],
        "until": [until for _, _, until in spans],
        "on_day": [min(until - timedelta(days=1), today) for _, _, until in spans],
        "first": min(start for _, start, _ in spans),
        "last": max(until for _, _, until in spans),
        "least": least,
    }
    with connection.cursor() as cursor:
        cursor.execute(USED, about)
        return [Used(*row) for row in cursor.fetchall()]
