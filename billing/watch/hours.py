"""Usage summed by number, local hour and destination: kept for HELD days, each day summed again when it changed."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import phonenumbers
from django.db import connection

from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight

#: Days kept: a month that is being billed, the month before it, and three months of history before that.
HELD = 160
LOCK = 7311

#: Days whose calls changed since they were summed, by the moment each was noted as changed: no clock is compared.
STALE = """
SELECT changed.day, changed.changed_at
FROM billing_changedday changed
LEFT JOIN billing_watchedday held ON held.reseller_id = changed.reseller_id AND held.day = changed.day
WHERE changed.reseller_id = %(reseller)s AND changed.day >= %(first)s AND changed.day <= %(today)s
  AND held.changed_at IS DISTINCT FROM changed.changed_at
ORDER BY changed.day
"""

FORGET = """
DELETE FROM billing_usagehour
WHERE reseller_id = %(reseller)s AND (day = ANY (%(days)s::date[]) OR day < %(first)s)
"""

#: Where a call went, and of which kind; parameters `premium` (patterns of dialled numbers) and `home` (likewise).
DESTINATION = """
CASE WHEN call.destination <> '' THEN call.destination
     WHEN call.dialled = '' THEN 'an unknown number'
     ELSE 'numbers beginning ' || left(call.dialled, CASE WHEN call.dialled LIKE '+%%' THEN 4 ELSE 3 END) END"""
KIND = """
CASE WHEN call.service = 'sms' THEN 'message' WHEN call.service = 'data' THEN 'data'
     WHEN call.call_class ILIKE '%%premium%%' OR call.dialled LIKE ANY (%(premium)s::text[]) THEN 'premium'
     WHEN call.dialled LIKE '+%%' AND call.dialled NOT LIKE %(home)s THEN 'abroad'
     WHEN call.dialled NOT LIKE '+%%' AND call.call_class ILIKE '%%international%%' THEN 'abroad'
     ELSE 'national' END"""
#: Calls that count: answered and outgoing, whether they could be priced or not.
COUNTED = """
call.state <> 'excluded' AND call.answered AND call.direction = 'out'
AND call.reason NOT IN ('internal', 'inbound', 'unanswered')"""

#: One pass over the calls of days in a row; plain bounds let the database leave out the months beside them.
SUM = """
INSERT INTO billing_usagehour (reseller_id, customer_id, number_id, day, slot, kind, destination, currency,
    cost_currency, calls, seconds, retail, cost)
SELECT %(reseller)s, customer_id, number_id, at::date,
    (extract(isodow FROM at)::int - 1) * 24 + extract(hour FROM at)::int, kind, destination, currency, cost_currency,
    count(*), sum(duration), sum(retail), sum(cost)
FROM (
    SELECT call.customer_id, call.number_id, call.duration, call.retail, call.cost_currency,
        coalesce(nullif(call.cost, 0), call.expected_cost, 0) AS cost,
        date_trunc('hour', call.started_at AT TIME ZONE %(zone)s) AS at,
        CASE WHEN call.currency = '' THEN customer.currency ELSE call.currency END AS currency,
        {kind} AS kind, {destination} AS destination
    FROM billing_call call
    JOIN billing_customer customer ON customer.id = call.customer_id
    WHERE call.reseller_id = %(reseller)s AND call.started_at >= %(starts)s AND call.started_at < %(ends)s AND {counted}
) one
GROUP BY customer_id, number_id, at, kind, destination, currency, cost_currency
"""

MARK = """
INSERT INTO billing_watchedday (reseller_id, day, changed_at)
SELECT %(reseller)s, day, changed_at FROM unnest(%(days)s::date[], %(moments)s::timestamptz[]) AS done (day, changed_at)
ON CONFLICT (reseller_id, day) DO UPDATE SET changed_at = excluded.changed_at
"""

#: Numbers that cost their caller extra, by the calling code of the country that dials them.
PREMIUM = {44: ("+449%", "+4470%", "+44118%"), 353: ("+35315%",)}


def runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Put days in order together to ranges [first, until) of days in a row."""
    found: list[tuple[date, date]] = []
    for day in days:
        after = day + timedelta(days=1)
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], after)
        else:
            found.append((day, after))
    return found


def written(text: str) -> str:
    """Put the expressions of a call into a text that asks about `call`."""
    return text.replace("{kind}", KIND).replace("{destination}", DESTINATION).replace("{counted}", COUNTED)


def places_of(reseller: Reseller) -> dict[str, Any]:
    """Return what the expressions ask for: the reseller's zone, its own numbers and those that cost extra."""
    home = phonenumbers.country_code_for_region(reseller.country) or 44
    return {"zone": reseller.time_zone, "home": f"+{home}%", "premium": list(PREMIUM.get(home, ()))}


def keep_up(reseller: Reseller, *, today: date) -> int:
    """Sum the days again whose calls changed since, and forget days past HELD; return how many. Inside the scope.

    Two workers take turns; the second finds nothing left to do.
    """
    about: dict[str, Any] = {"reseller": reseller.pk, "first": today - timedelta(days=HELD), "today": today}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, reseller.pk])
        cursor.execute(STALE, about)
        stale = cursor.fetchall()
        if not stale:
            return 0
        about |= {
            "days": [day for day, _ in stale],
            "moments": [moment for _, moment in stale],
            **places_of(reseller),
        }
        cursor.execute(FORGET, about)
        for first, until in runs(about["days"]):
            bounds = {"starts": midnight(first, reseller.zone), "ends": midnight(until, reseller.zone)}
            cursor.execute(written(SUM), about | bounds)
        cursor.execute(MARK, about)
    return len(stale)
