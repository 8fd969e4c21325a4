"""Produces the draft invoices of a run, set by set in the database.

Calls are summed exactly and rounded half-up once per usage line (the rounding place “invoice line”), charges carry
their own rounding, VAT is worked out per rate on the invoice's total. Customers who were in the previous run of the
cycle are looked up from its watermark on, so that the size of the past does not matter; others over all their calls.
"""

from datetime import UTC, datetime
from typing import Any

from babel.core import get_global
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Max

from billing.billrun import build_sql as sql
from billing.billrun.runs import RunRefused
from billing.models import BillingRun, RatingBatch
from billing.models.exchange import factors
from billing.models.locks import hold_money, hold_usage
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE_CURRENCIES = [code for code, (digits, *_) in get_global("currency_fractions").items() if digits == 0]
BILLED_STATES = (BillingRun.State.BILLED, BillingRun.State.CONFIRMED, BillingRun.State.SENT)


def hold_still(reseller: Reseller) -> None:
    """Keep ratings, charges and payments of the reseller waiting until the bills are committed."""
    hold_usage(reseller.pk)
    hold_money(reseller.pk)


def build_invoices(reseller: Reseller, run: BillingRun, *, customer_id: int | None = None) -> int:
    """Make the drafts of a locked run, and the reasons of those not made; return the batch it goes up to.

    Needs hold_still() before, unless it is for one customer and taken back. Charges and calls that an invoice holds
    already are left out.
    """
    previous = _previous(run)
    values = _values(reseller, run, previous) | {"customer": customer_id}
    with connection.cursor() as cursor:
        cursor.execute(sql.ROOM)
        for statement in sql.CLEAR:
            cursor.execute(statement)
        cursor.execute(sql.ACCOUNTS, values)
        cursor.execute("ANALYZE run_account")
        if customer_id is None:
            _sum_usage(cursor, values, previous)
        else:
            cursor.execute(sql.USAGE_TABLE + sql.EACH, {**values, "customers": [customer_id]})
        _convert_costs(cursor, run)
        for statement in sql.BUILD:
            cursor.execute(statement, values)
    return int(values["batch"])


def _sum_usage(cursor: CursorWrapper, values: dict[str, Any], previous: BillingRun | None) -> None:
    """Sum the unbilled calls: the larger group of customers first and by looking at every call, the rest by theirs."""
    cursor.execute(sql.MEMBERS)
    regulars, fresh, rest = cursor.fetchone()
    cursor.execute(sql.UNBILLED_SINCE, values)
    first_call_at = cursor.fetchone()[0] or values["billed_before"]
    since = min(values["billed_before"], first_call_at) if previous else BEGINNING
    never = {"from": BEGINNING, "billed_before": BEGINNING, "billed_batch": 0}
    most, fewer = ({"customers": regulars, "from": since}, {"customers": fresh, **never})
    if len(fresh) > len(regulars):
        most, fewer = fewer, most
    cursor.execute(sql.USAGE_TABLE + sql.BROAD, {**values, **most, "others": [*fewer["customers"], *rest]})
    if fewer["customers"]:
        cursor.execute(sql.MORE_USAGE + sql.NARROW, {**values, **fewer})
    if rest:
        cursor.execute(sql.MORE_USAGE + sql.EACH, {**values, "customers": rest})


def _convert_costs(cursor: CursorWrapper, run: BillingRun) -> None:
    """Say at what rate costs in other currencies count; costs without a rate are left out and noted."""
    cursor.execute(sql.FACTOR_TABLE)
    cursor.execute(sql.PAIRS)
    pairs = cursor.fetchall()
    known = list(factors(pairs, run.invoice_date))
    cursor.executemany("INSERT INTO run_factor VALUES (%s, %s, %s)", known)
    missing = sorted(set(pairs) - {(source, target) for source, target, _ in known})
    if missing:
        record(
            "run.costs_left_out",
            run,
            currencies=", ".join(f"{source} to {target}" for source, target in missing),
        )


def _previous(run: BillingRun) -> BillingRun | None:
    """Return the latest billed run of the cycle; raises RunRefused when it is a later one than this."""
    billed = BillingRun.objects.filter(cycle=run.cycle, state__in=BILLED_STATES).exclude(pk=run.pk)
    previous = billed.order_by("-period_start").first()
    if previous and previous.period_start > run.period_start:
        raise RunRefused(
            f"{previous.name} has been billed already; what is left of {run.name} goes on the next bill."
        )
    return previous


def _values(reseller: Reseller, run: BillingRun, previous: BillingRun | None) -> dict[str, Any]:
    newest = RatingBatch.objects.aggregate(newest=Max("pk"))["newest"] or 0
    before = midnight(run.period_end, reseller.zone)
    return {
        "reseller": reseller.pk,
        "run": run.pk,
        "cycle": run.cycle,
        "previous": previous.pk if previous else None,
        "before": before,
        "billed_before": midnight(previous.period_end, reseller.zone) if previous else BEGINNING,
        "billed_batch": (previous.usage_batch or 0) if previous else 0,
        "batch": max(newest, (previous.usage_batch or 0) if previous else 0),
        "zone": reseller.time_zone,
        "whole": WHOLE_CURRENCIES,
        "period_start": run.period_start,
        "period_end": run.period_end,
        "invoice_date": run.invoice_date,
        "due_date": run.due_date,
    }
