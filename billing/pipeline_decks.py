"""What a rate deck would do to its tariff, line by line, and to the calls of last month; nothing is kept."""

from collections.abc import Mapping as Dict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing.importing.decks.deck import DeckOptions, import_deck
from billing.importing.decks.rates import Rate
from billing.importing.tables.mapping import Mapping
from billing.models import Carrier, Tariff
from billing.models.freshness import fingerprint
from billing.pipeline_prices import Progress, what_if
from billing.rating.book_rows import read_tariffs
from billing.rating.overlay import Overlay, rates_on
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import month_of

TOP = 25


class _Seen:
    """What is looked at before a deck that was only compared is taken back."""

    def __init__(self, reseller: Reseller) -> None:
        self.reseller = reseller
        self.lines: list[dict[str, Any]] = []
        self.overlay = Overlay()
        self.tariff: Tariff | None = None
        self.day: date | None = None
        self.carrier: Carrier | None = None

    def look(self, tariff: Tariff, rates: list[Rate], lines: list[dict[str, Any]]) -> None:
        """Take down the difference, and the tariff as it would be on the deck’s (last) day."""
        self.tariff, self.lines = tariff, lines
        self.day = max(rate.valid_from for rate in rates)
        self.carrier = tariff.carrier if tariff.kind == Tariff.Kind.WHOLESALE else None
        row = next(row for row in read_tariffs(self.reseller) if row.id == tariff.pk)
        bought = {self.carrier.pk: tariff.pk} if self.carrier else {}
        rates_then = rates_on(self.reseller, [tariff.pk], self.day)
        self.overlay = Overlay(tariffs=[row], rates=rates_then, bought=bought)


def compare_deck(
    reseller: Reseller,
    path: Path,
    *,
    mapping: Dict[str, Any],
    options: Dict[str, Any],
    today: date,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return what a deck would do to its tariff and to last month’s calls, or what about it is a question."""
    seen, stamp = _Seen(reseller), fingerprint(reseller.pk)
    known = Tariff.objects.filter(name=str(options["tariff"]).strip()).values_list("pk", flat=True).first()
    dry = DeckOptions.of({**options, "guarded": False}, dry_run=True)
    outcome = import_deck(
        path, reseller=reseller, mapping=Mapping.of(mapping), options=dry, today=today, look=seen.look
    )
    tariff = seen.tariff
    found: dict[str, Any] = {
        **outcome.as_dict(),
        "held": outcome.difference.held,
        "unmatched_names": [list(pair) for pair in outcome.unmatched],
        "fingerprint": stamp,
        "lines": [_plain(line) for line in seen.lines],
        "tariff": str(options["tariff"]).strip(),
        "tariff_id": known,
        "wholesale": bool(options.get("wholesale")),
        "currency": tariff.currency if tariff else "",
        "day": seen.day.isoformat() if seen.day else None,
        "effect": None,
    }
    if tariff is not None:
        found["effect"] = _effect(reseller, seen, known, today, progress)
    return found


def _effect(
    reseller: Reseller, seen: _Seen, known: int | None, today: date, progress: Progress | None
) -> dict[str, Any] | None:
    """Return what last month’s calls would have come to; None where nobody is priced or bought from by the tariff."""
    assert seen.tariff is not None
    buying = seen.tariff.kind == Tariff.Kind.WHOLESALE
    if (buying and seen.carrier is None) or (not buying and known is None):
        return None
    month = month_of(today, reseller.zone).previous()
    asked: dict[str, Any] = {
        "kind": "deck",
        "first": month.start.isoformat(),
        "end": month.end.isoformat(),
        "buying": buying,
        "carrier_id": seen.carrier.pk if seen.carrier else None,
    }
    answer = what_if(reseller, asked, laid=seen.overlay, progress=progress)
    side = "cost" if buying else "retail"
    moved = [row for row in answer["destinations"] if row[f"old_{side}"] != row[f"new_{side}"]]
    moved.sort(key=lambda row: -abs(_moved_by(row, side)))
    names = ("calls", "unpriced", "uncovered", "stale", "totals")
    return {
        **{name: answer[name] for name in names},
        "month": str(month),
        "side": side,
        "destinations": moved[:TOP],
    }


def _moved_by(row: dict[str, Any], side: str) -> Any:
    """Return by how much a row's money moves, exactly."""
    return Decimal(row[f"new_{side}"]) - Decimal(row[f"old_{side}"])


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in line.items()}
