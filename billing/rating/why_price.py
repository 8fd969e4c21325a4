"""The arithmetic of one call's price in words: increments, allowance, fee, limits, rounding."""

from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from billing.models import Bundle, Call, Tariff, TariffRate
from billing.rating.bands import TimeBand, bands_at, split_at_bands
from billing.rating.book import MAX_PARENTS, region_of
from billing.rating.words import amount_words
from billing.rating.worked import Piece, Worked, data_units, work_units, work_voice
from resellerkpi.core.periods import month_of

ROUNDED = {
    Tariff.Rounding.HALF_UP: "half up",
    Tariff.Rounding.HALF_EVEN: "half to even",
    Tariff.Rounding.UP: "up",
    Tariff.Rounding.DOWN: "down",
}


def priced_steps(
    call: Call, rate: TariffRate, zone: ZoneInfo, bundle: Bundle | None, *, wholesale: bool = False
) -> tuple[list[str], Fraction]:
    """Return the sentences from duration to price, and the price; wholesale knows no allowances."""
    tariff = rate.tariff
    steps: list[str] = []
    if rate.service == TariffRate.Service.VOICE:
        access = Decimal(0) if wholesale else call.access_charge or Decimal(0)
        worked = _voice(call, _pieces(call, rate, access), bundle, steps)
    elif rate.service == TariffRate.Service.SMS:
        covered = int(call.drawn) if bundle is not None and bundle.unit == Bundle.Unit.SMS else 0
        units = int(call.answered)
        steps += _covered(call, bundle, "message")
        worked = work_units(units, units - min(covered, units), rate, tariff)
    elif tariff.data_per_period and not wholesale:
        worked = _period_data(call, rate, zone, bundle, steps)
    else:
        worked = _data(call, rate, bundle, steps)
    steps += _limits(worked, rate, tariff)
    amount = worked.amount
    if bundle is not None and bundle.unit == Bundle.Unit.MONEY:
        amount -= Fraction(call.drawn)
        steps.append(
            f"{amount_words(call.drawn, tariff.currency)} came out of the allowance of {bundle.feature_type}."
        )
    return steps, amount


def _voice(call: Call, pieces: list[Piece], bundle: Bundle | None, steps: list[str]) -> Worked:
    rate = pieces[0].rate
    tariff = rate.tariff
    covered: int | None = 0
    if bundle is not None and bundle.unit in (Bundle.Unit.SECONDS, Bundle.Unit.CALLS):
        covered = int(call.drawn) if bundle.unit == Bundle.Unit.SECONDS else None
    worked = work_voice(pieces, tariff, answered=call.answered, covered=covered)
    if not call.answered or call.duration == 0:
        free = "was not answered" if not call.answered else "lasted no time"
        steps.append(
            f"The call {free}" + (", and the tariff charges its connection fee." if worked.fee else ".")
        )
        return worked
    free_words = f", the first {rate.free_seconds} s free" if rate.free_seconds else ""
    if rate.initial_increment == rate.next_increment:
        how = "by the second" if rate.next_increment == 1 else f"in steps of {rate.next_increment}"
    else:
        how = f"{rate.initial_increment} then steps of {rate.next_increment}"
    steps.append(f"{call.duration} s billed as {worked.billed} s: {how}{free_words}.")
    steps += _covered(call, bundle, "s")
    if len(pieces) > 1:
        parts = [
            f"{paid} s in {piece.rate.band or 'no band'} at {amount_words(piece.price, tariff.currency)}"
            for paid, piece in zip(worked.paid_by_piece, pieces, strict=True)
        ]
        steps.append(f"The call crosses time bands: {', '.join(parts)} a minute.")
    elif worked.paid:
        price, usage = (amount_words(value, tariff.currency) for value in (pieces[0].price, worked.usage))
        steps.append(f"{worked.paid} s at {price} a minute make {usage}.")
    return worked


def _pieces(call: Call, rate: TariffRate, access: Decimal) -> list[Piece]:
    """Return the call cut where its tariff splits it, each piece with the rate of its band."""
    tariff = rate.tariff
    bands = _bands(tariff)
    whole = [Piece(call.duration, rate, access)]
    if tariff.band_rule != Tariff.BandRule.SPLIT or not bands or call.band or not call.answered:
        return whole
    started = np.array([int(call.started_at.timestamp())], dtype=np.int64)
    zone, region = ZoneInfo(tariff.time_zone), region_of(tariff.holidays)
    cut = split_at_bands(started, np.array([call.duration], dtype=np.int64), zone, bands, region)
    if len(cut.call) < 2:
        return whole
    codes = bands_at(started[0] + cut.offset, zone, bands, region)
    names = ["" if code < 0 else bands[code].name for code in codes.tolist()]
    return [
        Piece(int(seconds), _rate_in(call, tariff, name) or rate, access)
        for seconds, name in zip(cut.seconds.tolist(), names, strict=True)
    ]


def _rate_in(call: Call, tariff: Tariff, band: str) -> TariffRate | None:
    """Return the rate of a band for the call's destination, in the tariff or the nearest it inherits from."""
    day = call.started_at.astimezone(call.reseller.zone).date()
    digits = call.dialled.lstrip("+")
    at: Tariff | None = tariff
    for _ in range(MAX_PARENTS):
        if at is None:
            return None
        rows = TariffRate.objects.filter(
            Q(valid_to__isnull=True) | Q(valid_to__gt=day),
            tariff=at,
            service=call.service,
            valid_from__lte=day,
            band__in=("", band),
        ).select_related("tariff")
        codes = (
            rows.filter(key_kind=TariffRate.KeyKind.CODE, key=call.charge_code)
            if call.charge_code
            else rows.none()
        )
        prefixes = rows.filter(
            key_kind=TariffRate.KeyKind.PREFIX, key__in=[digits[:n] for n in range(len(digits) + 1)]
        )
        for found in (codes, prefixes):
            best = max(found, key=lambda r: (len(r.key), r.band != "", r.valid_from), default=None)
            if best is not None:
                return best
        at = at.parent
    return None


def _bands(tariff: Tariff) -> tuple[TimeBand, ...]:
    """Return the time bands of a tariff or of the nearest it inherits from."""
    at: Tariff | None = tariff
    for _ in range(MAX_PARENTS):
        if at is None:
            return ()
        rows = at.bands.order_by("-priority", "pk")
        found = tuple(
            TimeBand(row.code, row.weekdays, row.start_minute, row.end_minute, row.on_holidays, row.priority)
            for row in rows
        )
        if found:
            return found
        at = at.parent
    return ()


def _data(call: Call, rate: TariffRate, bundle: Bundle | None, steps: list[str]) -> Worked:
    tariff = rate.tariff
    covered = call.drawn if bundle is not None and bundle.unit == Bundle.Unit.DATA else Decimal(0)
    units, paid = (
        data_units(call.volume, tariff.data_unit_mb),
        data_units(call.volume - covered, tariff.data_unit_mb),
    )
    steps += _covered(call, bundle, "MB")
    size = f"{tariff.data_unit_mb.normalize():f} MB"
    steps.append(f"{_mb(call.volume - covered)} MB are {paid:,} units of {size}.")
    return work_units(units, paid, rate, tariff)


def _period_data(
    call: Call, rate: TariffRate, zone: ZoneInfo, bundle: Bundle | None, steps: list[str]
) -> Worked:
    """Price a session by the units it adds to the month's sum."""
    tariff = rate.tariff
    covered = call.drawn if bundle is not None and bundle.unit == Bundle.Unit.DATA else Decimal(0)
    steps += _covered(call, bundle, "MB")
    before = _used_before(call, zone)
    after = before + call.volume - covered
    unit = tariff.data_unit_mb
    added = data_units(after, unit) - data_units(before, unit)
    steps.append(
        f"Data is summed over the month and rounded up to whole units of {unit.normalize():f} MB: with this session"
        f" {_mb(after)} MB are to be paid, before it {_mb(before)} MB, so it adds {added:,}"
        f" {'unit' if added == 1 else 'units'}."
    )
    return work_units(added, added, rate, tariff)


def _used_before(call: Call, zone: ZoneInfo) -> Decimal:
    """Return the MB to be paid of the customer's earlier sessions of the month at the same rate."""
    month = month_of(call.started_at.astimezone(zone).date(), zone)
    earlier = Call.objects.filter(
        Q(started_at__lt=call.started_at) | Q(started_at=call.started_at, dedupe_key__lt=call.dedupe_key),
        customer_id=call.customer_id,
        rate_id=call.rate_id,
        started_at__gte=month.starts_at,
        started_at__lt=month.ends_at,
        direction="out",
        state__in=(Call.State.RATED, Call.State.ZERO),
    )
    data_bundles = Bundle.objects.filter(unit=Bundle.Unit.DATA).values("pk")
    none = Decimal(0)
    sums = earlier.aggregate(
        volume=Coalesce(Sum("volume"), none),
        drawn=Coalesce(Sum("drawn", filter=Q(bundle_id__in=data_bundles)), none),
    )
    return Decimal(sums["volume"] - sums["drawn"])


def _covered(call: Call, bundle: Bundle | None, what: str) -> list[str]:
    """Say what an allowance covers."""
    if bundle is None or bundle.unit == Bundle.Unit.MONEY:
        return []
    whose = f"the allowance of {bundle.feature_type}"
    if bundle.unit == Bundle.Unit.CALLS:
        return [f"The call came out of {whose} as one of its calls."]
    if bundle.unit == Bundle.Unit.SMS:
        return [f"The {what} came out of {whose}."]
    return [f"{_mb(call.drawn)} {what} of it came out of {whose}."]


def _limits(worked: Worked, rate: TariffRate, tariff: Tariff) -> list[str]:
    """Say what fee, minimum, maximum and rounding do."""
    currency, steps = tariff.currency, []
    if worked.fee:
        fee, total = amount_words(worked.fee, currency), amount_words(worked.sum, currency)
        steps.append(f"With the connection fee of {fee} that is {total}.")
    if worked.limited > worked.sum:
        steps.append(f"The minimum charge of {amount_words(rate.minimum_charge, currency)} applies.")
    if rate.maximum_charge is not None and worked.limited < worked.sum:
        steps.append(f"The maximum charge of {amount_words(rate.maximum_charge, currency)} applies.")
    if worked.amount != worked.limited:
        steps.append(
            f"Rounded {ROUNDED[Tariff.Rounding(tariff.rounding)]} to {tariff.places} decimal places:"
            f" {amount_words(worked.amount, currency)}."
        )
    return steps


def _mb(value: Decimal) -> str:
    return f"{value.normalize():,f}"
