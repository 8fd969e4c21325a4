"""Looking over the latest usage: each warning is written down once for its subject, period and mark."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from billing.models import FraudAlert
from billing.watch.hours import keep_up
from billing.watch.limits import Used, warned
from billing.watch.unusual import Unusual, unusual
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months, local_day

#: Days that are looked over each time: files come late, and a weekend lies between.
WINDOW = 7
Mark = FraudAlert.Mark
Key = tuple[str, date, str]
#: What moves when a warning grows; that it was given, and when first, stays.
GROWS = (
    "label",
    "why",
    "calls",
    "retail",
    "currency",
    "cost",
    "cost_currency",
    "cells",
    "last_seen",
    "limit_id",
)


@dataclass(frozen=True)
class Looked:
    """What a look did: days summed again, warnings that are new, warnings that still hold."""

    days: int
    new: int
    known: int

    def as_dict(self) -> dict[str, int]:
        """Return it for a job's result."""
        return {"days": self.days, "alerts": self.new, "known": self.known}


def look(reseller: Reseller, *, now: datetime) -> Looked:
    """Bring the kept hours up to date, look over the last days and write warnings down. Call inside the scope.

    The lock of the kept hours is held to the end of the transaction, so that two workers take turns and the second
    finds the warnings of the first.
    """
    today = local_day(now, reseller.zone)
    days = keep_up(reseller, today=today)
    found = unusual(reseller, first=today - timedelta(days=WINDOW - 1), until=today + timedelta(days=1))
    rows = [*(_of_usage(one) for one in found), *(_of_limit(one) for one in warned(reseller.pk, today=today))]
    new, known = _write(reseller, rows, now=now)
    return Looked(days, new, known)


def _of_usage(one: Unusual) -> dict[str, Any]:
    return {
        "subject": one.subject[:200],
        "period": one.first.replace(day=1),
        "mark": Mark.UNUSUAL,
        "label": one.label[:200],
        "why": one.why,
        "customer_id": one.customer_id,
        "limit_id": None,
        "calls": one.calls,
        "retail": one.retail,
        "currency": one.currency,
        "cost": one.cost,
        "cost_currency": one.cost_currency,
        "cells": {"hours": one.hours},
    }


def _of_limit(one: Used) -> dict[str, Any]:
    return {
        "subject": f"{one.code}, limit a {one.per}: {one.what}"[:200],
        "period": one.start,
        "mark": Mark.OVER if one.over else Mark.NEAR,
        "label": one.customer[:200],
        "why": one.why,
        "customer_id": one.customer_id,
        "limit_id": one.limit_id,
        "calls": one.calls,
        "retail": one.retail,
        "currency": one.currency,
        "cost": one.cost,
        "cost_currency": one.cost_currency,
        "cells": {
            "first": one.start.isoformat(),
            "until": one.until.isoformat(),
            "covers": one.covers,
            "destination": one.destination,
        },
    }


def _write(reseller: Reseller, rows: Iterable[dict[str, Any]], *, now: datetime) -> tuple[int, int]:
    """Add what was not told yet, let what was grow; return how many of either, in three statements."""
    found = {(row["subject"], row["period"], row["mark"]): row for row in rows}
    if not found:
        return 0, 0
    since = add_months(min(period for _, period, _ in found).replace(day=1), -1)
    held: dict[Key, FraudAlert] = {
        (alert.subject, alert.period, alert.mark): alert
        for alert in FraudAlert.objects.filter(period__gte=since)
    }
    wanted = {_told_as(key, row, held): row for key, row in found.items()}
    fresh = [
        FraudAlert(reseller=reseller, first_seen=now, last_seen=now, **row)
        for key, row in wanted.items()
        if key not in held
    ]
    FraudAlert.objects.bulk_create(fresh)
    grown = []
    for key, alert in held.items():
        row = wanted.get(key)
        if row is None:
            continue
        alert.last_seen = now
        if max(row["retail"], row["cost"]) >= max(alert.retail, alert.cost):
            for name in GROWS:
                setattr(alert, name, row.get(name, getattr(alert, name)))
        grown.append(alert)
    FraudAlert.objects.bulk_update(grown, [name.removesuffix("_id") for name in GROWS], batch_size=500)
    return len(fresh), len(grown)


def _told_as(key: Key, row: dict[str, Any], held: Mapping[Key, FraudAlert]) -> Key:
    """Return by what a warning is kept: of the month before, where that has its first hour already.

    Days leave the window one by one, so that what began on the last of a month begins, some days later, on the first.
    """
    before = (key[0], add_months(key[1], -1), key[2])
    if key in held or before not in held or "hours" not in row["cells"]:
        return key
    return before if row["cells"]["hours"][0] in held[before].cells["hours"] else key
