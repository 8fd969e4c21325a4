"""A book as it would be: proposed tariffs and rates laid over the plain rows of the book, in memory only."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connection

from billing.rating.book_rows import (
    BookRows,
    ChoiceRow,
    RateRow,
    TariffRow,
    read_prices,
    read_tariffs,
    with_parents,
)
from billing.rating.dated import FOREVER
from resellerkpi.core.models import Reseller

ALWAYS = -FOREVER // 2
GRAIN = 10**8
_IN_FORCE = (
    "SELECT id FROM billing_tariffrate WHERE reseller_id = %s AND tariff_id = ANY(%s)"
    " AND valid_from <= %s AND (valid_to IS NULL OR valid_to > %s)"
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of price: of the rates whose prefix starts with digits, whose class or destination is named, or ("")
    of all; by a per cent of the price, or to a new price.
    """

    match: str = ""
    percent: Decimal | None = None
    price: Decimal | None = None

    def applies(self, rate: RateRow) -> bool:
        """Say whether the change is meant for a rate."""
        wanted = self.match.strip().lstrip("+").casefold()
        if not wanted:
            return True
        if wanted.isdigit():
            return rate.kind == "prefix" and rate.key.startswith(wanted)
        return rate.call_class.casefold() == wanted or wanted in rate.destination.casefold()

    def changed(self, rate: RateRow, places: int) -> RateRow:
        """Return the rate at its new price; a per cent is rounded half up to so many places of the price."""
        if self.price is not None:
            return rate._replace(price=_grains(self.price))
        raised = Decimal(rate.price) / GRAIN * (100 + (self.percent or Decimal(0))) / 100
        return rate._replace(price=_grains(raised.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)))


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """What a book has differently while a question lasts.

    `tariffs` come on top or replace those of their id; `rates` are all the rates of a tariff; `moved` says by which
    tariff the users of another are priced, `customers` which tariff a customer has for every class, `bought` by which
    tariff the calls of a carrier are bought.
    """

    tariffs: Sequence[TariffRow] = ()
    rates: Mapping[int, Sequence[RateRow]] = field(default_factory=dict)
    moved: Mapping[int, int] = field(default_factory=dict)
    customers: Mapping[int, int] = field(default_factory=dict)
    bought: Mapping[int, int] = field(default_factory=dict)

    def over(self, rows: BookRows) -> BookRows:
        """Return the book's rows as they would be."""
        kept = [rate for rate in rows.rates if rate.tariff_id not in self.rates]
        known = {row.id: row for row in [*rows.tariffs, *self.tariffs]}
        for old, new in self.moved.items():
            known[old], known[new] = _hand_over(known[old], known[new])
        for carrier, new in self.bought.items():
            known = {pk: _not_of(row, carrier) for pk, row in known.items()}
            known[new] = known[new]._replace(kind="wholesale", carrier_id=carrier, superseded=FOREVER)
        return replace(
            rows,
            tariffs=[known[pk] for pk in sorted(known)],
            choices=self._choices(rows.choices),
            rates=[*kept, *(rate for rates in self.rates.values() for rate in rates)],
        )

    def _choices(self, rows: Sequence[ChoiceRow]) -> list[ChoiceRow]:
        stay = [row for row in rows if row.number_id or row.customer_id not in self.customers]
        stay = [row._replace(tariff_id=self.moved.get(row.tariff_id, row.tariff_id)) for row in stay]
        own = [ChoiceRow(0, pk, "", tariff, ALWAYS, FOREVER) for pk, tariff in self.customers.items()]
        return [*stay, *own]


def rates_on(reseller: Reseller, tariff_ids: Collection[int], day: date) -> dict[int, list[RateRow]]:
    """Return the rates of tariffs in force on a day as if they always were."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_FORCE, [reseller.pk, sorted(tariff_ids), day, day])
        ids = {row[0] for row in cursor.fetchall()}
    found: dict[int, list[RateRow]] = {pk: [] for pk in tariff_ids}
    for rate in read_prices(reseller, ids, day, day).rates:
        if rate.id in ids:
            found[rate.tariff_id].append(rate._replace(start=ALWAYS, end=FOREVER))
    return found


def line_of(tariff_id: int, tariffs: Sequence[TariffRow]) -> list[int]:
    """Return a tariff and those it looks further in, nearest first."""
    parents = {row.id: row.parent_id for row in tariffs}
    line = [tariff_id]
    while parents.get(line[-1]) and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    return line


def proposed_tariff(
    reseller: Reseller, tariff_id: int, day: date, changes: Sequence[Change] = (), places: int = 4
) -> dict[int, list[RateRow]]:
    """Return the rates of a tariff and of those it inherits from as they are on a day, with changes of its prices.

    A change of what the tariff inherits stands in the tariff itself, as it would when it is made.
    """
    line = line_of(tariff_id, read_tariffs(reseller))
    rates = rates_on(reseller, with_parents({tariff_id}, read_tariffs(reseller)), day)
    if changes:
        seen = _effective(line, rates)
        seen = _split_off(seen, changes, tariff_id)
        rates[tariff_id] = _changed(seen, changes, tariff_id, places)
    return rates


def _effective(line: Sequence[int], rates: Mapping[int, list[RateRow]]) -> dict[tuple[str, ...], RateRow]:
    """Return what a tariff prices by: its own rate of a key and band, else that of the nearest it inherits from."""
    seen: dict[tuple[str, ...], RateRow] = {}
    for tariff in line:
        for rate in rates[tariff]:
            seen.setdefault((rate.service, rate.kind, rate.key, rate.band), rate)
    return seen


def _split_off(
    seen: dict[tuple[str, ...], RateRow], changes: Iterable[Change], tariff_id: int
) -> dict[tuple[str, ...], RateRow]:
    """Add the prefixes that changes name and no rate has: each begins as the rate that prices it now."""
    found = dict(seen)
    for change in changes:
        digits = change.match.strip().lstrip("+")
        if not digits.isdigit():
            continue
        nearest: dict[str, RateRow] = {}
        for rate in seen.values():
            fits = rate.service == "voice" and rate.kind == "prefix" and digits.startswith(rate.key)
            if fits and len(rate.key) >= len(nearest.get(rate.band, rate).key):
                nearest[rate.band] = rate
        for band, rate in nearest.items():
            found.setdefault(
                ("voice", "prefix", digits, band), rate._replace(key=digits, tariff_id=tariff_id, id=0)
            )
    return found


def _changed(
    seen: Mapping[tuple[str, ...], RateRow], changes: Sequence[Change], tariff_id: int, places: int
) -> list[RateRow]:
    """Return the tariff's own rates: those it had, and those that a change moves away from what it inherits."""
    own: list[RateRow] = []
    for rate in seen.values():
        change = next((change for change in changes if change.applies(rate)), None)
        if change is None:
            own += [rate] if rate.tariff_id == tariff_id else []
        else:
            own.append(change.changed(rate, places)._replace(tariff_id=tariff_id, id=-1 - len(own)))
    return own


def numbered(rates: Iterable[RateRow]) -> list[RateRow]:
    """Return rates that stand in no table under ids of their own, below zero."""
    return [rate._replace(id=-1 - at) for at, rate in enumerate(rates)]


def by_tariff(rates: Iterable[RateRow]) -> dict[int, list[RateRow]]:
    """Return rates by their tariff."""
    found: dict[int, list[RateRow]] = defaultdict(list)
    for rate in rates:
        found[rate.tariff_id].append(rate)
    return dict(found)


def _hand_over(old: TariffRow, new: TariffRow) -> tuple[TariffRow, TariffRow]:
    """Return both tariffs with the new one as default in the place of the old."""
    if not old.is_default:
        return old, new
    place: dict[str, Any] = {
        name: getattr(old, name) for name in ("carrier_id", "number_type", "superseded", "is_default")
    }
    return old._replace(is_default=False), new._replace(**place)


def _not_of(row: TariffRow, carrier: int) -> TariffRow:
    return row._replace(carrier_id=0) if row.kind == "wholesale" and row.carrier_id == carrier else row


def _grains(amount: Decimal) -> int:
    return int((amount * GRAIN).to_integral_value(ROUND_HALF_UP))
