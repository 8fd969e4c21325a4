"""The book a batch of calls is rated by: numbers, whose they are, tariffs and rates, as arrays.

A rate brings the rounding, increments, bands and currency of the tariff it stands in. Money is int64 in 1e-8 of
the tariff's currency, days are day numbers, and positions in arrays stand for ids; -1 is "none".
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from billing.models import Carrier
from billing.phones import to_e164
from billing.rating.bands import HolidayRegion, TimeBand
from billing.rating.book_rows import BookRows, ChoiceRow, RateRow, TariffRow, read_book, read_prices
from billing.rating.dated import FOREVER, NONE, DatedTable
from billing.rating.keys import CodeTable, PrefixTable
from billing.rating.rounding import ROUNDINGS
from resellerkpi.core.models import Reseller

Ints: TypeAlias = NDArray[np.int64]

SERVICES = ("voice", "sms", "data")
VOICE, SMS, DATA = range(3)
MAX_PARENTS = 8
NO_MARKUP = -FOREVER
REMEMBERED = 200_000


@dataclass(frozen=True)
class Tariffs:
    """The tariffs as columns by position."""

    ids: Ints
    parents: Ints
    places: Ints
    rounding: Ints
    split: NDArray[np.bool_]
    charge_unanswered: NDArray[np.bool_]
    fee_inside: NDArray[np.bool_]
    data_unit: Ints
    per_period: NDArray[np.bool_]
    access: Ints
    markups: Ints
    markup_classes: list[str]
    currencies: list[str]
    zones: list[ZoneInfo]
    holidays: list[HolidayRegion | None]
    bands: list[tuple[TimeBand, ...]]

    @classmethod
    def of(cls, rows: Sequence[TariffRow]) -> "Tariffs":
        """Build the columns; bands, access charge and markups that a tariff lacks come from its parents."""
        position = {row.id: at for at, row in enumerate(rows)}
        parents = [position.get(row.parent_id, NONE) for row in rows]
        lines = [_line(at, parents) for at in range(len(rows))]
        classes = ["", *sorted({name for row in rows for name, _ in row.markups} - {""})]
        return cls(
            ids=_ints(row.id for row in rows),
            parents=_ints(line[1] if len(line) > 1 else NONE for line in lines),
            places=_ints(row.places for row in rows),
            rounding=_ints(int(ROUNDINGS[row.rounding]) for row in rows),
            split=np.array([row.split for row in rows], dtype=bool),
            charge_unanswered=np.array([row.charge_unanswered for row in rows], dtype=bool),
            fee_inside=np.array([row.fee_inside for row in rows], dtype=bool),
            data_unit=_ints(row.data_unit for row in rows),
            per_period=np.array([row.per_period for row in rows], dtype=bool),
            access=_ints(_access([rows[at] for at in line]) for line in lines),
            markups=np.array(
                [_markups([rows[at] for at in line], classes) for line in lines], dtype=np.int64
            ).reshape(len(rows), len(classes)),
            markup_classes=classes,
            currencies=[row.currency for row in rows],
            zones=[ZoneInfo(row.zone) for row in rows],
            holidays=[region_of(row.holidays) for row in rows],
            bands=[next((rows[at].bands for at in line if rows[at].bands), ()) for line in lines],
        )


@dataclass(frozen=True)
class RatesTable:
    """The rates as columns by position, sorted by tariff; `markup_class` is a position among `markup_classes`."""

    rows: list[RateRow]
    ids: Ints
    tariff: Ints
    price: Ints
    fee: Ints
    minimum: Ints
    maximum: Ints
    initial: Ints
    next: Ints
    free: Ints
    is_service_charge: NDArray[np.bool_]
    markup_class: Ints
    destinations: list[str]
    classes: list[str]

    @classmethod
    def of(cls, rows: Sequence[RateRow], tariffs: Tariffs) -> "RatesTable":
        """Build the columns of the rates of these tariffs."""
        position = {tariff: at for at, tariff in enumerate(tariffs.ids.tolist())}
        classes = {name: at for at, name in enumerate(tariffs.markup_classes)}
        kept = sorted(
            (row for row in rows if row.tariff_id in position), key=lambda row: position[row.tariff_id]
        )
        return cls(
            rows=kept,
            ids=_ints(row.id for row in kept),
            tariff=_ints(position[row.tariff_id] for row in kept),
            price=_ints(row.price for row in kept),
            fee=_ints(row.fee for row in kept),
            minimum=_ints(row.minimum for row in kept),
            maximum=_ints(row.maximum for row in kept),
            initial=_ints(row.initial for row in kept),
            next=_ints(row.next for row in kept),
            free=_ints(row.free for row in kept),
            is_service_charge=np.array([row.is_service_charge for row in kept], dtype=bool),
            markup_class=_ints(classes.get(row.call_class, 0) for row in kept),
            destinations=[row.destination for row in kept],
            classes=[row.call_class for row in kept],
        )


@dataclass(frozen=True)
class TariffRates:
    """The rates of one tariff and service: positions, the days their validity changes on, their bands."""

    positions: Ints
    changes: Ints
    bands: frozenset[str]
    has_codes: bool


class Identities(dict[str, int]):
    """Positions of numbers by the texts calls carry; a text is made comparable once and remembered."""

    def __init__(self, by_key: dict[str, int]) -> None:
        super().__init__({"": NONE})
        self.by_key = by_key

    def __missing__(self, text: str) -> int:
        found = self.by_key.get(identity_key(text), NONE)
        if len(self) < REMEMBERED:
            self[text] = found
        return found


@dataclass(frozen=True)
class RatingBook:
    """Numbers, assignments, tariffs and rates, ready for columns of calls."""

    zone: ZoneInfo
    number_ids: Ints
    number_types: Ints
    identities: Identities
    assigned: DatedTable
    assignment_number: Ints
    assignment_customer: Ints
    classes: list[str]
    by_number: DatedTable
    by_customer: DatedTable
    defaults: tuple[DatedTable, ...]
    wholesale: DatedTable
    tariffs: Tariffs
    rates: RatesTable
    _of_tariff: dict[tuple[int, int], TariffRates] = field(default_factory=dict)
    _tables: dict[tuple[int, int, str, int, str], PrefixTable | CodeTable] = field(default_factory=dict)

    @classmethod
    def load(cls, reseller: Reseller, carrier: Carrier, first: date, last: date) -> "RatingBook":
        """Read the book for calls of a carrier from the first to the last local day, both included."""
        return cls.build(read_book(reseller, carrier.pk, first, last))

    @classmethod
    def prices(cls, reseller: Reseller, rate_ids: Collection[int], first: date, last: date) -> "RatingBook":
        """Read only the rates named and their tariffs: for calls that already know their rate."""
        return cls.build(read_prices(reseller, rate_ids, first, last))

    @classmethod
    def build(cls, rows: BookRows) -> "RatingBook":
        """Make the book out of plain rows."""
        numbers = {row.id: at for at, row in enumerate(rows.numbers)}
        owned = [row for row in rows.assignments if row.number_id in numbers]
        tariffs = Tariffs.of(rows.tariffs)
        place = {tariff: at for at, tariff in enumerate(tariffs.ids.tolist())}
        choices = [row for row in rows.choices if row.tariff_id in place]
        classes = ["", *sorted({row.call_class for row in choices} - {""})]
        types = ["", *sorted({row.type for row in rows.numbers} - {""})]
        return cls(
            zone=ZoneInfo(rows.zone),
            number_ids=_ints(row.id for row in rows.numbers),
            number_types=_ints(types.index(row.type) for row in rows.numbers),
            identities=Identities(_identities(rows, numbers)),
            assigned=DatedTable.of((numbers[r.number_id], r.start, r.end, at) for at, r in enumerate(owned)),
            assignment_number=_ints(numbers[row.number_id] for row in owned),
            assignment_customer=_ints(row.customer_id for row in owned),
            classes=classes,
            by_number=_chosen(choices, classes, place, numbers),
            by_customer=_chosen([row for row in choices if row.customer_id], classes, place, None),
            defaults=_defaults(rows, types, place),
            wholesale=DatedTable.of(_succession([r for r in rows.tariffs if _buys(r, rows)], 0, place)),
            tariffs=tariffs,
            rates=RatesTable.of(rows.rates, tariffs),
        )

    def of_tariff(self, tariff: int, service: int) -> TariffRates:
        """Return what is known of a tariff's own rates for a service."""
        key = (tariff, service)
        if key not in self._of_tariff:
            low, high = np.searchsorted(self.rates.tariff, [tariff, tariff + 1])
            mine = [at for at in range(low, high) if self.rates.rows[at].service == SERVICES[service]]
            edges = {edge for at in mine for edge in self.rates.rows[at][13:15]} - {FOREVER}
            self._of_tariff[key] = TariffRates(
                positions=_ints(mine),
                changes=_ints(sorted(edges)),
                bands=frozenset(self.rates.rows[at].band for at in mine) - {""},
                has_codes=any(self.rates.rows[at].kind == "code" for at in mine),
            )
        return self._of_tariff[key]

    def table(self, tariff: int, service: int, kind: str, epoch: int, band: str) -> PrefixTable | CodeTable:
        """Return a tariff's own rates of a kind in a band ("" for no band), between two changes of validity."""
        key = (tariff, service, kind, epoch, band)
        if key not in self._tables:
            mine = self.of_tariff(tariff, service)
            day = int(mine.changes[epoch - 1]) if epoch else -FOREVER
            best: dict[str, tuple[bool, int, int]] = {}
            for at in mine.positions.tolist():
                row = self.rates.rows[at]
                if row.kind == kind and row.band in ("", band) and row.start <= day < row.end:
                    best[row.key] = max(
                        best.get(row.key, (False, -FOREVER, NONE)), (row.band != "", row.start, at)
                    )
            found = {rate_key: choice[2] for rate_key, choice in best.items()}
            self._tables[key] = (
                CodeTable(found) if kind == "code" else PrefixTable.of(list(found), list(found.values()))
            )
        return self._tables[key]


def identity_key(text: str) -> str:
    """Return the form in which a call's party and a number are compared: without spaces, + and case."""
    return "".join(text.split()).lstrip("+").casefold()


def region_of(text: str) -> HolidayRegion | None:
    """Read a tariff's bank holidays ("GB-ENG", "DE"); empty is none."""
    country, _, part = text.partition("-")
    return HolidayRegion(country, part or None) if country else None


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _line(start: int, parents: list[int]) -> list[int]:
    """Return a tariff and its parents, nearest first; a circle ends where it closes."""
    line: list[int] = []
    at = start
    while at != NONE and at not in line and len(line) < MAX_PARENTS:
        line.append(at)
        at = parents[at]
    return line


def _access(line: list[TariffRow]) -> int:
    """Return what a tariff adds to a service charge: its own, else the nearest parent's; buying adds nothing."""
    if line[0].kind == "wholesale":
        return 0
    return next((row.access for row in line if row.access is not None), 0)


def _markups(line: list[TariffRow], classes: list[str]) -> list[int]:
    """Return a tariff's markup for each class ("" for any): that of the class, else the general one, nearest first."""
    general = next((row.markup for row in line if row.markup is not None), NO_MARKUP)
    return [
        general,
        *(
            next((markup for row in line for name, markup in row.markups if name == wanted), general)
            for wanted in classes[1:]
        ),
    ]


def _identities(rows: BookRows, numbers: dict[int, int]) -> dict[str, int]:
    """Return the position of each number by every text it is known by; its own text beats another's identity.

    A number written in its national form is known as E.164 too, the form in which calls carry it.
    """
    texts = [*rows.identities, *((row.text, row.id) for row in reversed(rows.numbers))]
    known = {
        identity_key(to_e164(text, rows.country, only_valid=True)): numbers[number]
        for text, number in texts
        if number in numbers and not text.startswith("+")
    }
    known.update(
        (identity_key(text), numbers[number]) for text, number in rows.identities if number in numbers
    )
    known.update({identity_key(row.text): numbers[row.id] for row in reversed(rows.numbers)})
    known.pop("", None)
    return known


def _chosen(
    choices: list[ChoiceRow], classes: list[str], place: dict[int, int], numbers: dict[int, int] | None
) -> DatedTable:
    """Return tariffs by (number or customer, class); the key is subject x classes + class."""
    found = []
    for row in choices:
        subject = row.customer_id if numbers is None else numbers.get(row.number_id, NONE)
        if subject != NONE:
            key = subject * len(classes) + classes.index(row.call_class)
            found.append((key, row.start, row.end, place[row.tariff_id]))
    return DatedTable.of(found)


def _buys(row: TariffRow, rows: BookRows) -> bool:
    return row.kind == "wholesale" and row.carrier_id == rows.carrier_id and rows.carrier_id != 0


def _defaults(rows: BookRows, types: list[str], place: dict[int, int]) -> tuple[DatedTable, ...]:
    """Return the default tariffs, most specific first: carrier and number type, carrier, number type, any.

    Keys are number types; the tables of any type have the one key 0.
    """
    retail = [row for row in rows.tariffs if row.is_default and row.kind == "retail"]
    tables = []
    for carrier in sorted({rows.carrier_id, 0}, reverse=True):
        mine = [row for row in retail if row.carrier_id == carrier]
        typed = [
            _succession([row for row in mine if row.number_type == kind], at, place)
            for at, kind in enumerate(types)
        ]
        tables += [
            DatedTable.of(range_ for ranges in typed[1:] for range_ in ranges),
            DatedTable.of(typed[0]),
        ]
    return tuple(tables)


def _succession(rows: list[TariffRow], key: int, place: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """Return which of several tariffs holds over which days: the one that is superseded next."""
    found, start = [], -FOREVER // 2
    for row in sorted(rows, key=lambda row: (row.superseded, row.id)):
        if row.superseded > start:
            found.append((key, start, row.superseded, place[row.id]))
            start = row.superseded
    return found
