"""Loads a rate deck into a tariff, all or nothing; the tariff is made when there is none of the name."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

from django.db import transaction

from billing.importing.decks.diff import Difference, apply_deck
from billing.importing.decks.fields import BANDS, price_columns
from billing.importing.decks.rates import Rate, defaults_of, out_of_range, rates_of
from billing.importing.refused import FileRefused
from billing.importing.tables.examine import Examined, examine
from billing.importing.tables.mapping import Mapping
from billing.importing.tables.problems import BadMapping, Problem
from billing.models import Carrier, Tariff, TariffRate, TimeBand
from billing.models.locks import hold_book
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller

SHOWN = 100
FIRST_DAY = date(1990, 1, 1)
WEEKDAYS, WEEKEND = 0b0011111, 0b1100000
_TEXTS = ("rounding", "band_rule", "time_zone", "holidays", "default_number_type", "currency")
_FLAGS = ("charge_unanswered", "fee_inside_allowance", "data_per_period", "is_default")
_EXACT = ("data_unit_mb", "markup_percent")


@dataclass(frozen=True, kw_only=True)
class DeckOptions:
    """What a deck is for: its tariff, the day it holds from, and what was agreed to."""

    tariff: str
    wholesale: bool = False
    effective: date | None = None
    currency: str = ""
    carrier: str = ""
    accept_outliers: bool = False
    complete: bool = False
    dry_run: bool = False

    @classmethod
    def of(cls, given: Dict[str, Any], *, dry_run: bool = False) -> Self:
        """Build options from plain values, the day as ISO text."""
        effective = date.fromisoformat(given["effective"]) if given.get("effective") else None
        return cls(**{**given, "effective": effective, "dry_run": dry_run})


@dataclass(frozen=True)
class DeckOutcome:
    """How a deck ended: rows = loaded + collapsed + refused, counted in rates."""

    rows: int = 0
    loaded: int = 0
    collapsed: int = 0
    difference: Difference = field(default_factory=Difference)
    problems: tuple[Problem, ...] = ()
    outliers: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON, with the first problems."""
        return {
            "rows": self.rows,
            "loaded": self.loaded,
            "collapsed": self.collapsed,
            "new": self.difference.new,
            "changed": self.difference.changed,
            "ended": self.difference.ended,
            "unchanged": self.difference.unchanged,
            "refused": self.rows - self.loaded - self.collapsed if self.problems else 0,
            "outliers": self.outliers,
            "error_count": len(self.problems),
            "errors": [problem.as_dict() for problem in self.problems[:SHOWN]],
        }


def import_deck(
    path: Path, *, reseller: Reseller, mapping: Mapping, options: DeckOptions, today: date
) -> DeckOutcome:
    """Check a deck and load it when nothing about it is a question; must run inside the reseller's scope."""
    hold_book(reseller.pk)
    try:
        with transaction.atomic():
            return _import(path, reseller, mapping, options, today)
    except DeckStopped as stopped:
        return stopped.outcome
    except FileRefused as refused:
        return DeckOutcome(problems=(Problem(None, "", str(refused)),))


class DeckStopped(RuntimeError):
    """Raised to undo what was written of a deck that turns out to be a question."""

    def __init__(self, outcome: DeckOutcome) -> None:
        super().__init__("The deck was not loaded.")
        self.outcome = outcome


def _import(
    path: Path, reseller: Reseller, mapping: Mapping, options: DeckOptions, today: date
) -> DeckOutcome:
    kind, mapping, prices = price_columns(mapping)
    examined = examine(kind, path, mapping, reseller=reseller, today=today)
    problems = examined.work.problems
    tariff = _tariff(reseller, mapping.extra.get("tariff", {}), options)
    defaults = defaults_of(kind, mapping.extra.get("defaults", {}), mapping.reading)
    bad = problems.lines()
    good = [row for row in examined.rows if row["line"] not in bad]
    rates, collapsed = rates_of(good, prices, defaults, _first_day(tariff, options, examined), problems)
    outliers = out_of_range(rates)
    if outliers and not options.accept_outliers:
        problems.add(None, "price", _question(outliers))
    rows = len(rates) + collapsed + len(problems.lines() - {None})
    if problems:
        raise DeckStopped(DeckOutcome(rows, 0, 0, problems=tuple(problems), outliers=len(outliers)))
    difference = apply_deck(
        tariff,
        rates,
        complete=options.complete or bool(mapping.extra.get("complete")),
        accept_outliers=options.accept_outliers,
        problems=problems,
    )
    if problems:
        raise DeckStopped(DeckOutcome(rows, 0, 0, problems=tuple(problems), outliers=len(outliers)))
    if options.dry_run:
        raise DeckStopped(DeckOutcome(rows, 0, collapsed, difference, outliers=len(outliers)))
    _make_bands(tariff, rates, mapping)
    record("tariff.imported", tariff, rates=len(rates), new=difference.new, changed=difference.changed)
    return DeckOutcome(rows, len(rates), collapsed, difference, outliers=len(outliers))


def _question(outliers: list[Rate]) -> str:
    highest = max(outliers, key=lambda rate: rate.price)
    return (
        f"{len(outliers)} rates jump out of the deck's range, such as {highest.price.normalize():f} for "
        f"{highest.key} on line {highest.line}: have their decimal points been lost? "
        "Mend the deck, or accept outliers if they are right."
    )


def _first_day(tariff: Tariff, options: DeckOptions, examined: Examined) -> date:
    """Return the day from which lines without a day of their own hold."""
    if options.effective is not None:
        return options.effective
    if all(row["effective_date"] is not None for row in examined.rows):
        return FIRST_DAY
    held = TariffRate.objects.filter(tariff=tariff)
    first = held.order_by("valid_from").first()
    if first is None:
        return FIRST_DAY
    if not held.exclude(valid_from=FIRST_DAY).exists():
        return FIRST_DAY
    raise FileRefused(f"“{tariff.name}” has rates already: say from which day the deck holds (effective).")


def _tariff(reseller: Reseller, given: Any, options: DeckOptions) -> Tariff:
    """Return the tariff of the name, made with the options given when there is none."""
    wanted = Tariff.Kind.WHOLESALE if options.wholesale else Tariff.Kind.RETAIL
    name = options.tariff.strip()
    if not 0 < len(name) <= 120:
        raise FileRefused("A tariff needs a name of up to 120 characters.")
    tariff = Tariff.objects.filter(name=name).first()
    if tariff is not None:
        if tariff.kind != wanted:
            raise FileRefused(f"“{name}” is a {tariff.kind} tariff, the deck is for a {wanted} one.")
        if options.currency and options.currency.upper() != tariff.currency:
            raise FileRefused(f"“{name}” is in {tariff.currency}, the deck in {options.currency.upper()}.")
        return tariff
    values = _tariff_options(given)
    currency = (options.currency or str(values.pop("currency", "")) or reseller.currency).upper()
    if len(currency) != 3 or not currency.isalpha():
        raise FileRefused(f"“{currency}” is not a currency code such as GBP.")
    values.pop("currency", None)
    carrier = Carrier.objects.filter(code=options.carrier).first() if options.carrier else None
    if options.carrier and carrier is None:
        raise FileRefused(f"There is no carrier “{options.carrier}”.")
    return Tariff.objects.create(
        reseller=reseller, name=name, kind=wanted, currency=currency, carrier=carrier, **values
    )


def _tariff_options(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadMapping('“tariff” is an object such as {"places": 4, "rounding": "half_up"}.')
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in _TEXTS:
            values[name] = str(value)
        elif name in _FLAGS and isinstance(value, bool):
            values[name] = value
        elif name in _EXACT:
            values[name] = _decimal(name, value)
        elif name == "places" and value in range(7):
            values[name] = value
        elif name == "parent":
            values["parent"] = Tariff.objects.filter(name=value).first()
            if values["parent"] is None:
                raise BadMapping(f"There is no tariff “{value}” to be the parent.")
        else:
            raise BadMapping(f"“tariff” cannot have {name} = {value!r}.")
    for name, choices in (("rounding", Tariff.Rounding), ("band_rule", Tariff.BandRule)):
        if name in values and values[name] not in choices.values:
            raise BadMapping(f"“{name}” is one of {', '.join(choices.values)}.")
    return values


def _decimal(name: str, value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise BadMapping(f"“{name}” is a number.") from None


def _make_bands(tariff: Tariff, rates: list[Rate], mapping: Mapping) -> None:
    """Give a tariff with day, evening and weekend prices the usual British hours of them, if it has no bands."""
    codes: Dict[str, str] = {**BANDS, **mapping.extra.get("bands", {})}
    used = {rate.band for rate in rates} - {""}
    if not used or not used <= set(codes.values()) or TimeBand.objects.filter(tariff=tariff).exists():
        return
    hours = [
        (codes["peak"], WEEKDAYS, 8 * 60, 18 * 60),
        (codes["off_peak"], WEEKDAYS, 0, 8 * 60),
        (codes["off_peak"], WEEKDAYS, 18 * 60, 24 * 60),
        (codes["weekend"], WEEKEND, 0, 24 * 60),
    ]
    TimeBand.objects.bulk_create(
        TimeBand(
            reseller_id=tariff.reseller_id,
            tariff=tariff,
            code=code,
            weekdays=days,
            start_minute=start,
            end_minute=end,
        )
        for code, days, start, end in hours
    )
