"""Changes to tariffs by hand: details, copies, succession, rates over dates, time bands, markups by class.

Rates end and begin, they are never rewritten. A call keeps the price it was given until it is rated again, so every
function that reaches into the past says how many calls that concerns.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from billing.book import BookRefused, keep, set_rate
from billing.models import Call, CdrFile, Tariff, TariffAssignment, TariffMarkup, TariffRate, TimeBand
from billing.rating.book import MAX_PARENTS
from resellerkpi.core import audit
from resellerkpi.core.columns import day
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import round_half_up
from resellerkpi.core.periods import midnight

MIDNIGHT = 1440
COPY_PLACES = 5
#: What a copy may change by a percentage; a service charge is the called provider's and stays.
_COPY_RATES = """
INSERT INTO billing_tariffrate (reseller_id, tariff_id, service, key_kind, key, destination, call_class, band, price,
    connection_fee, minimum_charge, maximum_charge, initial_increment, next_increment, free_seconds, is_service_charge,
    valid_from, valid_to)
SELECT reseller_id, %(new)s, service, key_kind, key, destination, call_class, band,
    CASE WHEN is_service_charge THEN price ELSE changed(price) END,
    changed(connection_fee), changed(minimum_charge), changed(maximum_charge), initial_increment, next_increment,
    free_seconds, is_service_charge, greatest(valid_from, %(first)s), valid_to
FROM billing_tariffrate
WHERE reseller_id = %(reseller)s AND tariff_id = %(old)s AND (valid_to IS NULL OR valid_to > %(first)s)
"""


def line_of(tariff: Tariff) -> list[Tariff]:
    """Return a tariff and those it inherits from, nearest first; a circle ends where it closes."""
    known = Tariff.objects.in_bulk() if tariff.parent_id else {}
    line = [tariff]
    while (
        (parent := known.get(line[-1].parent_id)) is not None
        and parent not in line
        and len(line) < MAX_PARENTS
    ):
        line.append(parent)
    return line


def keep_tariff(tariff: Tariff, *, changed: Iterable[str] = ()) -> Tariff:
    """Write a new or changed tariff; refuses circles of parents and changes that would reprice what is agreed."""
    _check_parent(tariff)
    held = Tariff.objects.filter(pk=tariff.pk).first() if tariff.pk else None
    if held is not None:
        _check_kept(tariff, held)
    row: Tariff = keep(tariff, changed=changed)
    return row


def _check_parent(tariff: Tariff) -> None:
    parent = tariff.parent
    if parent is None:
        return
    if tariff.pk and tariff in [parent, *line_of(parent)]:
        raise BookRefused(
            f"{parent} looks for its rates in this tariff already; the two cannot look in each other.",
            field="parent",
        )
    if (parent.currency, parent.kind) != (tariff.currency, tariff.kind):
        raise BookRefused(
            f"{parent} is a {parent.kind} tariff in {parent.currency}; rates are taken only from a tariff of the"
            " same kind and currency.",
            field="parent",
        )
    if len(line_of(parent)) >= MAX_PARENTS:
        raise BookRefused(f"Rates are looked for in at most {MAX_PARENTS} tariffs.", field="parent")


def _check_kept(tariff: Tariff, held: Tariff) -> None:
    """Refuse another currency or kind once the tariff may have priced something."""
    for field, words in (("currency", held.currency), ("kind", held.kind)):
        if getattr(tariff, field) != getattr(held, field) and (why := _in_use(held)):
            raise BookRefused(
                f"It stays {words}: {why}. Copy the tariff or add a new one instead.", field=field
            )


def _in_use(tariff: Tariff) -> str:
    """Return why a tariff may have priced calls or is built upon, "" when it is not."""
    users = TariffAssignment.objects.filter(tariff=tariff).count()
    if users:
        return (
            f"{users:,} {'customer or number was' if users == 1 else 'customers and numbers were'} given it"
        )
    if tariff.is_default:
        return "it is a default tariff"
    child = Tariff.objects.filter(parent=tariff).order_by("pk").first()
    if child is not None:
        return f"{child} takes rates from it"
    if tariff.carrier_id and CdrFile.objects.filter(carrier_id=tariff.carrier_id).exists():
        return f"calls of {tariff.carrier} were checked by it"
    return ""


def copy_tariff(source: Tariff, *, name: str, first: date, percent: Decimal = Decimal(0)) -> Tariff:
    """Copy a tariff with the rates in force from a day on, its bands and markups; prices change by a percentage.

    Changed prices are rounded half up to five places; service charges stay, they are the called provider's.
    """
    if percent <= -100:
        raise BookRefused("Prices cannot fall by 100 per cent or more.", field="percent")
    with transaction.atomic():
        copy = Tariff.objects.get(pk=source.pk)
        copy.pk, copy._state.adding = None, True
        copy.name, copy.is_default, copy.superseded_on, copy.successor = name, False, None, None
        factor = 1 + percent / 100
        if percent and copy.access_charge is not None:
            copy.access_charge = round_half_up(copy.access_charge * factor, COPY_PLACES)
        keep(copy, changed=("name",))
        rates = _copy_rates(source, copy, first, factor if percent else None)
        for model in (TimeBand, TariffMarkup):
            model.objects.bulk_create(
                [_moved(row, copy) for row in model.objects.filter(tariff=source).order_by("pk")]
            )
        audit.record("tariff.copied", copy, source=source, percent=percent, first=first, rates=rates)
    return copy


def _copy_rates(source: Tariff, copy: Tariff, first: date, factor: Decimal | None) -> int:
    sql = _COPY_RATES
    for name in ("price", "connection_fee", "minimum_charge", "maximum_charge"):
        sql = sql.replace(
            f"changed({name})", f"round({name} * %(factor)s, {COPY_PLACES})" if factor is not None else name
        )
    values: dict[str, Any] = {
        "new": copy.pk,
        "old": source.pk,
        "first": first,
        "reseller": source.reseller_id,
        "factor": factor,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def _moved(row: Any, tariff: Tariff) -> Any:
    row.pk, row._state.adding, row.tariff = None, True, tariff
    return row


def supersede(
    tariff: Tariff,
    *,
    on: date | None,
    successor: Tariff | None = None,
    move_on: date | None = None,
    moves: bool = True,
) -> int:
    """Mark a tariff as superseded from a day on (None: in use again); with a successor, everybody who is on it moves
    there on that day, or on `move_on`, unless it is only named (`moves`). Return how many moved.

    Whoever is not moved stays on it and is priced by it; only as a default it stops on that day.
    """
    if on is None and not moves:
        successor = None
    if successor is not None:
        if on is None:
            raise BookRefused("Say from which day.", field="on")
        if tariff in line_of(successor)[:1] or (successor.currency, successor.kind) != (
            tariff.currency,
            tariff.kind,
        ):
            raise BookRefused(
                f"Choose another {tariff.kind} tariff in {tariff.currency} to move to.", field="successor"
            )
    with transaction.atomic():
        tariff.superseded_on, tariff.successor = on, successor
        keep(tariff, changed=("superseded_on", "successor"))
        moved = _move_all(tariff, successor, move_on or on) if moves and successor and on else 0
        if moved:
            audit.record("tariff.succeeded", tariff, successor=successor, on=move_on or on, moved=moved)
    return moved


def _move_all(tariff: Tariff, successor: Tariff, on: date) -> int:
    """End every use of a tariff on a day and go on with another; uses that begin later change over."""
    later = TariffAssignment.objects.filter(tariff=tariff, start_date__gte=on)
    running = TariffAssignment.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gt=on), tariff=tariff, start_date__lt=on
    )
    new = [
        TariffAssignment(
            reseller_id=row.reseller_id,
            customer_id=row.customer_id,
            number_id=row.number_id,
            call_class=row.call_class,
            tariff=successor,
            start_date=on,
            end_date=row.end_date,
        )
        for row in running
    ]
    running.update(end_date=on)
    there = TariffAssignment.objects.filter(tariff=successor, start_date=on)
    before = there.count()
    TariffAssignment.objects.bulk_create(new, ignore_conflicts=True)  # who has another from that day keeps it
    return there.count() - before + later.update(tariff=successor)


def put_rate(rate: TariffRate, reseller: Reseller) -> int:
    """Put a rate in force from its day on; the one of the same key and band before it ends there. Return how many calls
    since that day were priced by the rate before: they keep their price until they are rated again.
    """
    check_rate(rate)
    same = TariffRate.objects.filter(
        tariff_id=rate.tariff_id, service=rate.service, key_kind=rate.key_kind, key=rate.key, band=rate.band
    )
    before = list(same.values_list("pk", flat=True))
    set_rate(rate)
    return calls_priced(before, rate.valid_from, reseller, until=rate.valid_to)


def check_rate(rate: TariffRate) -> None:
    """Refuse a rate whose terms contradict each other."""
    if rate.is_service_charge and rate.service != TariffRate.Service.VOICE:
        raise BookRefused("Only voice rates are service charges.", field="is_service_charge")
    for name in ("price", "connection_fee", "minimum_charge", "maximum_charge"):
        if (getattr(rate, name) or 0) < 0:
            raise BookRefused("A rate has no amount below zero.", field=name)
    if rate.maximum_charge is not None and rate.maximum_charge < rate.minimum_charge:
        raise BookRefused("The maximum charge is below the minimum charge.", field="maximum_charge")
    if rate.key_kind == TariffRate.KeyKind.CODE and not rate.key:
        raise BookRefused("Say which charge code.", field="key")


def end_rate(rate: TariffRate, *, on: date, reseller: Reseller) -> int:
    """End a rate; `on` is the first day without it. Return how many calls since that day it has priced."""
    if on <= rate.valid_from:
        raise BookRefused(f"It begins on {day(rate.valid_from)}: end it after that.", field="on")
    if rate.valid_to is not None and on > rate.valid_to:
        raise BookRefused(f"It ends on {day(rate.valid_to)} already.", field="on")
    rate.valid_to = on
    keep(rate, changed=("valid_to",))
    return calls_priced([rate.pk], on, reseller)


def calls_priced(rate_ids: list[int], since: date, reseller: Reseller, *, until: date | None = None) -> int:
    """Return how many calls that start on or after a day (and before another) were priced by some rates."""
    if not rate_ids:
        return 0
    calls = Call.objects.filter(
        Q(rate_id__in=rate_ids) | Q(cost_rate_id__in=rate_ids), started_at__gte=midnight(since, reseller.zone)
    )
    if until is not None:
        calls = calls.filter(started_at__lt=midnight(until, reseller.zone))
    return calls.count()


def keep_band(band: TimeBand, *, start: int, end: int) -> TimeBand:
    """Write a time band from a minute of the day to another; one that passes midnight is kept as two parts."""
    if start == end:
        raise BookRefused(
            "A band begins and ends at different times; all day is 00:00 to 24:00.", field="end"
        )
    if not band.weekdays and not band.on_holidays:
        raise BookRefused("Choose at least one day.", field="days")
    with transaction.atomic():
        if end < start and end > 0:
            rest = TimeBand(
                tariff=band.tariff,
                code=band.code,
                weekdays=band.weekdays,
                on_holidays=band.on_holidays,
                priority=band.priority,
                start_minute=0,
                end_minute=end,
            )
            keep(rest)
        band.start_minute, band.end_minute = start, end if end > start else MIDNIGHT
        keep(band)
    return band


def remove(row: TimeBand | TariffMarkup) -> None:
    """Take a time band or a markup off its tariff."""
    with transaction.atomic():
        audit.record(f"{row._meta.model_name}.removed", row.tariff, what=str(row))
        row.delete()


def still_on(tariff: Tariff, today: date) -> Any:
    """Return the uses of a tariff that run today, soonest to end last."""
    return TariffAssignment.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gt=today), tariff=tariff, start_date__lte=today
    ).order_by(F("end_date").desc(nulls_first=True), "customer__name", "pk")
