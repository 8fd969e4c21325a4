"""The three-way match: was each service provided, billed to the customer and billed by the supplier in a month?

A service is a feature with those that continue it. A supplier's rental or credit that names a number alone is for the
line or package that rents it, else for the number; one that names a customer alone for the customer. The customer's
side are recurring charges with their credits, credit notes on their lines and rentals passed on; what is on no issued
bill yet waits. Charges are spread evenly over their days, half-open, and a month gets those that fall into it; usage
and one-off charges are not monthly and stay out. docs/three-way-match.md says what each state means.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Max

from billing.charging.three_way_judge import FORGET, JUDGE, MATCHED, SINCE
from billing.charging.three_way_sql import BILLED_IN_BOOKS, CLEAR, PREPARE, SUPPLIED_IN_BOOKS
from billing.models import MatchedMonth
from billing.models.locks import hold_match
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day
from resellerkpi.core.planner import joined_by_hash

#: How many months are matched by themselves each night: the open one and a year before it.
KEPT = 13
#: The most that is matched at once.
MOST = 120


class Span(NamedTuple):
    """Months matched: from one to before another, both firsts of months."""

    first: date
    end: date


def match(reseller: Reseller, first: date, end: date, *, now: datetime) -> Span:
    """Match the months in which days from `first` to before `end` fall, no later one than that of `now`; keep it.

    At most MOST months, the latest. Doing it again replaces what was kept; nothing else is touched.
    """
    newest = add_months(local_day(now, reseller.zone).replace(day=1), 1)
    start = first.replace(day=1)
    until = min(newest, end if end.day == 1 else add_months(end.replace(day=1), 1))
    start = max(start, add_months(until, -MOST))
    if start >= until:
        return Span(start, start)
    hold_match(reseller.pk)
    values: dict[str, Any] = {"reseller": reseller.pk, "first": start, "end": until, "now": now}
    with joined_by_hash() as cursor:
        for statements in PREPARE:
            for statement in statements:
                cursor.execute(statement, values)
        cursor.execute(FORGET, values)
        cursor.execute(JUDGE, values)
        cursor.execute(CLEAR)
        cursor.execute(MATCHED, values)
        cursor.execute(SINCE, values)
    return Span(start, until)


def match_latest(reseller: Reseller, *, now: datetime) -> Span:
    """Match the open month and the year before it, and the months between the last one matched and those."""
    newest = add_months(local_day(now, reseller.zone).replace(day=1), 1)
    return match(reseller, _first(add_months(newest, -KEPT)), newest, now=now)


def matched_at(month: date) -> datetime | None:
    """Return when a month of the scope's reseller was matched last, None if never."""
    return MatchedMonth.objects.filter(month=month).aggregate(at=Max("matched_at"))["at"]


def _first(month: date) -> date:
    """Return the month, or an earlier one right behind the last month that is matched."""
    last = MatchedMonth.objects.filter(month__lt=month).aggregate(last=Max("month"))["last"]
    return month if last is None else min(month, add_months(last, 1))


def billed_in_books(reseller: Reseller, first: date, end: date) -> dict[str, Decimal]:
    """Return by currency what issued invoices hold of days from a month to before another, read from their lines.

    Recurring lines, credits of features and rentals passed on, less credit notes.
    """
    return _by_currency(BILLED_IN_BOOKS, reseller, first, end)


def supplied_in_books(reseller: Reseller, first: date, end: date) -> dict[str, Decimal]:
    """Return by currency what rentals and credits on carriers' bills hold of days from a month to before another."""
    return _by_currency(SUPPLIED_IN_BOOKS, reseller, first, end)


def _by_currency(sql: str, reseller: Reseller, first: date, end: date) -> dict[str, Decimal]:
    with joined_by_hash() as cursor:
        cursor.execute(sql, {"reseller": reseller.pk, "first": first, "end": end})
        return dict(cursor.fetchall())
