"""Writes down what came of each allowance in a month: granted, carried, used, lapsed, and what went over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from billing.models import AllowanceUse, SecondDraw
from billing.models import Bundle as BundleRow
from billing.rating.book import DATA, SMS
from billing.rating.carry import Lots, close_month, month_number
from billing.rating.dated import NONE
from billing.rating.draw_rows import Billed, Held
from billing.rating.draws import UNITS, Drawing, Usage
from billing.rating.keys import Distinct
from billing.rating.pools import Party, Plan, to_stored
from billing.rating.unused import with_unused
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period

Ints: TypeAlias = NDArray[np.int64]
MILLIONTH = Decimal("0.000001")
_FIGURES = ("granted", "carried_in", "used", "drawn", "overdrawn", "expired", "carried_out", "overflow")


class Use(NamedTuple):
    """One allowance of one party in a month; `amounts` are those of _FIGURES, in millionths of its unit."""

    amounts: tuple[int, ...] = (0,) * len(_FIGURES)
    overflow_calls: int = 0
    overflow_charge: int | None = 0
    currency: str = ""
    lots: Lots = ()


@dataclass(slots=True)
class Over:
    """What no allowance covered of the calls that a party's allowance served last: units in the grain, calls, price
    (1e-8) by currency.
    """

    units: int = 0
    calls: int = 0
    charge: dict[str, int] = field(default_factory=dict)


def lots_before(customers: Sequence[int], month: Period) -> dict[Party, Lots]:
    """Return what the customers' allowances carry into a month."""
    rows = AllowanceUse.objects.filter(
        month=month.previous().start, customer_id__in=customers, carried_out__gt=0
    ).values_list("bundle_id", "customer_id", "number_id", "lots")
    return {
        (bundle, customer, number or 0): tuple((origin, units) for origin, units in lots)
        for bundle, customer, number, lots in rows
    }


def overflow_of(plan: Plan, held: Held, usage: Usage, billed: Billed, drawing: Drawing) -> dict[Party, Over]:
    """Return what went over the allowances, by the last party that might have served each call."""
    rows = np.flatnonzero(drawing.last != NONE)
    if not len(rows):
        return {}
    units = {bundle.id: UNITS.index(bundle.unit) for bundle, _ in plan.bundles}
    unit = np.array([units[party[0]] for party in drawing.parties], dtype=np.int64)[drawing.last[rows]]
    covered = np.where(usage.open, drawing.covered, billed.covered)[rows]
    price = np.where(usage.open, drawing.retail, held["retail"])[rows]
    service = usage.calls.service[rows]
    need = np.where(service == DATA, usage.calls.volume[rows], drawing.billed[rows])
    left = np.maximum(np.where(service == SMS, usage.calls.answered[rows], need) - covered, 0)
    left = np.where(unit == UNITS.index("calls"), left > 0, left)
    left = np.where(unit == UNITS.index("money"), price, left)
    over = np.flatnonzero(left > 0)
    currency = Distinct.of(held.table["currency"])
    keys = np.stack([drawing.last[rows][over], currency.codes[rows][over]], axis=1)
    keys, at = np.unique(keys, axis=0, return_inverse=True)
    sums = np.zeros((3, len(keys)), dtype=np.int64)
    for place, amounts in enumerate((left[over], np.ones(len(over), dtype=np.int64), price[over])):
        np.add.at(sums[place], at.reshape(-1), amounts)
    found: dict[Party, Over] = {}
    for (party, code), size, calls, charge in zip(keys.tolist(), *sums.tolist(), strict=True):
        mine = found.setdefault(drawing.parties[party], Over())
        mine.units, mine.calls = mine.units + size, mine.calls + calls
        if charge:
            name = currency.values[code]
            mine.charge[name] = mine.charge.get(name, 0) + charge
    return found


def uses_of(
    month: Period,
    plan: Plan,
    lots: Mapping[Party, Lots],
    billed: Billed,
    drawing: Drawing | None,
    over: dict[Party, Over],
) -> dict[Party, Use]:
    """Return every party's month."""
    bundles = {bundle.id: bundle for bundle, _ in plan.bundles}
    used, spared = (drawing.used, drawing.spared) if drawing else ({}, {})
    parties = {*plan.granted, *lots, *billed.used, *used, *over}
    unknown = {party[0] for party in parties} - set(bundles)
    units = {bundle.id: bundle.unit for bundle in bundles.values()}
    units |= dict(BundleRow.objects.filter(pk__in=unknown).values_list("pk", "unit")) if unknown else {}
    found = {}
    number = month_number(month.start)
    for party in parties & {party for party in parties if party[0] in units}:
        bundle, unit = bundles.get(party[0]), units[party[0]]
        taken = billed.used.get(party, 0) + used.get(party, 0)
        goes_on = bundle is not None and party in plan.goes_on
        closing = close_month(
            number,
            lots.get(party, ()),
            plan.granted.get(party, 0),
            taken,
            months=bundle.rollover_months if bundle and goes_on else 0,
            cap=bundle.rollover_cap if bundle else None,
        )
        mine = over.get(party, Over())
        kept = billed.spared.get(party, 0) + spared.get(party, 0)
        carried = sum(size for _, size in lots.get(party, ()))
        amounts = (plan.granted.get(party, 0), carried, taken, kept, closing.overdrawn, closing.expired)
        found[party] = Use(
            tuple(to_stored(amount, unit) for amount in (*amounts, closing.carried_out, mine.units)),
            mine.calls,
            sum(mine.charge.values()) // 100 if len(mine.charge) < 2 else None,
            next(iter(mine.charge), "") if len(mine.charge) < 2 else "",
            closing.lots,
        )
    return found


def keep_uses(
    reseller: Reseller, customers: Sequence[int], month: date, uses: Mapping[Party, Use]
) -> set[int]:
    """Write the month's rows that differ; return the customers whose allowances carry over something else now."""
    held: dict[Party, tuple[int, Use]] = {}
    for row in AllowanceUse.objects.filter(month=month, customer_id__in=customers):
        held[row.bundle_id, row.customer_id, row.number_id or 0] = (row.pk, _use(row))
    wrong = [pk for party, (pk, use) in held.items() if uses.get(party) != use]
    fresh = [(party, use) for party, use in uses.items() if party not in held or held[party][1] != use]
    if wrong:
        AllowanceUse.objects.filter(pk__in=wrong).delete()
    AllowanceUse.objects.bulk_create(
        [_row(reseller, month, party, use) for party, use in sorted(fresh)], batch_size=2_000
    )
    nothing = (0, Use())
    return {
        party[1]
        for party in {*held, *uses}
        if held.get(party, nothing)[1].lots != uses.get(party, nothing[1]).lots
    }


def keep_second_draws(
    reseller: Reseller,
    customers: Sequence[int],
    month: Period,
    held: Held,
    billed: Billed,
    drawing: Drawing | None,
) -> None:
    """Write what open calls drew from further bundles; those of billed calls stay."""
    old = SecondDraw.objects.filter(
        customer_id__in=customers, started_at__gte=month.starts_at, started_at__lt=month.ends_at
    )
    old.exclude(call_id__in=billed.several).delete()
    rows = [
        SecondDraw(
            reseller=reseller,
            call_id=int(held["id"][row]),
            started_at=datetime.fromtimestamp(int(held["started_at"][row]), UTC),
            customer_id=int(held["customer_id"][row]),
            bundle_id=take.bundle,
            number_id=number or None,
            drawn=drawn * MILLIONTH,
        )
        for take in (drawing.second if drawing else ())
        for row, number, drawn in zip(
            *(a.tolist() for a in (take.rows, take.number, take.drawn)), strict=True
        )
    ]
    SecondDraw.objects.bulk_create(rows, batch_size=2_000)


def _use(row: AllowanceUse) -> Use:
    """Return a stored row's figures."""
    charge = None if row.overflow_charge is None else int(row.overflow_charge / MILLIONTH)
    lots = tuple((origin, units) for origin, units in row.lots)
    amounts = tuple(int(getattr(row, name) / MILLIONTH) for name in _FIGURES)
    return Use(amounts, row.overflow_calls, charge, row.currency, lots)


def _row(reseller: Reseller, month: date, party: Party, use: Use) -> AllowanceUse:
    bundle, customer, number = party
    amounts: dict[str, Any] = {"overflow_charge": None}
    amounts |= {name: n * MILLIONTH for name, n in zip(_FIGURES, use.amounts, strict=True)}
    if use.overflow_charge is not None:
        amounts["overflow_charge"] = use.overflow_charge * MILLIONTH
    return AllowanceUse(
        reseller=reseller,
        month=month,
        customer_id=customer,
        bundle_id=bundle,
        number_id=number or None,
        overflow_calls=use.overflow_calls,
        currency=use.currency,
        lots=[list(lot) for lot in use.lots],
        **amounts,
    )


def allowance_use(
    reseller: Reseller, month: date, customer_ids: Sequence[int] | None = None
) -> QuerySet[AllowanceUse]:
    """Return what came of allowances in the local month that begins on a day, by customer, package and number.

    Rows carry `available` and `unused` beside what is stored; they are as of the last drawing of the month.
    """
    rows = with_unused(AllowanceUse.objects.filter(reseller=reseller, month=month))
    if customer_ids is not None:
        rows = rows.filter(customer_id__in=customer_ids)
    return rows.select_related("customer", "bundle__feature_type", "number").order_by(
        "customer__name", "customer_id", "bundle__priority", "bundle_id", "number__number"
    )
