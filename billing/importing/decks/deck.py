"""Loads a rate deck into a tariff, all or nothing; the tariff is made when there is none of the name."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from django.db import transaction

from billing.importing.decks.diff import apply_deck
from billing.importing.decks.difference import Difference
from billing.importing.decks.fields import BANDS, price_columns
from billing.importing.decks.names import Names
from billing.importing.decks.options import DeckOptions, DeckOutcome, DeckStopped, cautions
from billing.importing.decks.rates import Rate, Reader, defaults_of, divided, out_of_range
from billing.importing.decks.tariff import make_bands, tariff_of
from billing.importing.refused import FileRefused
from billing.importing.tables.examine import Examined, examine
from billing.importing.tables.mapping import Mapping
from billing.importing.tables.problems import Problem, Problems
from billing.models import Tariff, TariffRate
from billing.models.locks import hold_book
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller

__all__ = ["DeckOptions", "DeckOutcome", "import_deck"]
FIRST_DAY = date(1990, 1, 1)
#: Looks at what a deck that is not loaded would leave: the tariff, the deck's rates, and the lines of the difference.
Look: TypeAlias = Callable[[Tariff, list[Rate], list[dict[str, Any]]], None]


def import_deck(
    path: Path,
    *,
    reseller: Reseller,
    mapping: Mapping,
    options: DeckOptions,
    today: date,
    look: Look | None = None,
) -> DeckOutcome:
    """Check a deck and load it when nothing about it is a question; must run inside the reseller's scope.

    Of a dry run nothing stays; before it goes, `look` may look at it.
    """
    hold_book(reseller.pk)
    try:
        with transaction.atomic():
            return _import(path, reseller, mapping, options, today, look)
    except DeckStopped as stopped:
        return stopped.outcome
    except FileRefused as refused:
        return DeckOutcome(problems=(Problem(None, "", str(refused)),))


def _import(
    path: Path, reseller: Reseller, mapping: Mapping, options: DeckOptions, today: date, look: Look | None
) -> DeckOutcome:
    tariff, rates, outcome, problems = _read(path, reseller, mapping, options, today)
    complete = options.complete or options.absent == "end" or bool(mapping.extra.get("complete"))
    lines: list[dict[str, Any]] | None = None if look is None else []
    difference = apply_deck(
        tariff,
        rates,
        complete=complete,
        accept_outliers=options.accept_outliers,
        problems=problems,
        lines=lines,
    )
    if options.guarded and not options.dry_run:
        _guard(difference, options, complete, problems)
    if problems:
        raise DeckStopped(replace(outcome, problems=tuple(problems)))
    make_bands(tariff, rates, mapping)
    if options.dry_run:
        if look is not None and lines is not None:
            look(tariff, rates, lines)
        raise DeckStopped(replace(outcome, difference=difference))
    record("tariff.imported", tariff, rates=len(rates), new=difference.new, changed=difference.changed)
    return replace(outcome, loaded=len(rates), difference=difference)


def _read(
    path: Path, reseller: Reseller, mapping: Mapping, options: DeckOptions, today: date
) -> tuple[Tariff, list[Rate], DeckOutcome, Problems]:
    """Return the tariff and the deck's rates; raises DeckStopped when a line is a question."""
    kind, mapping, prices = price_columns(mapping)
    examined = examine(kind, path, mapping, reseller=reseller, today=today)
    problems = examined.work.problems
    tariff = tariff_of(reseller, mapping.extra.get("tariff", {}), options)
    bad = problems.lines()
    reader = Reader(
        prices,
        defaults_of(kind, mapping.extra.get("defaults", {}), mapping.reading),
        _first_day(tariff, options, examined),
        problems,
        names=None if {"prefix", "charge_code"} & set(examined.sources) else Names.of(tariff, options),
        repeats=options.repeats,
        bands={**BANDS, **mapping.extra.get("bands", {})},
    )
    rates = reader.read(row for row in examined.rows if row["line"] not in bad)
    if options.divide > 1:
        rates = [divided(rate, options.divide) for rate in rates]
    outliers = out_of_range(rates)
    if outliers and options.divide_outliers > 1:
        lost = {rate.place for rate in outliers}
        rates = [divided(r, options.divide_outliers) if r.place in lost else r for r in rates]
        outliers = out_of_range(rates)
    if outliers and not options.accept_outliers:
        problems.add(None, "price", _question(outliers))
    rows = len(rates) + reader.collapsed + len(problems.lines() - {None})
    unmatched = tuple(sorted(reader.unmatched.items()))
    outcome = DeckOutcome(rows, 0, reader.collapsed, outliers=len(outliers), unmatched=unmatched)
    if problems:
        raise DeckStopped(replace(outcome, collapsed=0, problems=tuple(problems)))
    return tariff, rates, outcome, problems


def _guard(difference: Difference, options: DeckOptions, complete: bool, problems: Problems) -> None:
    """Make questions of what is asked before a deck is loaded from a page."""
    if difference.absent and not complete and options.absent != "keep":
        problems.add(
            None, "", f"The deck lacks {difference.absent:,} prices of the tariff: say whether they end."
        )
    for caution in cautions(difference) if not options.accept_effect else ():
        problems.add(None, "", f"{caution} Tick that this is right to load it.")


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
